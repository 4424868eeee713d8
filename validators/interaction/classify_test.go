package interaction_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fhirwire/proxy"
	"fhirwire/validators/interaction"
)

func request(method, target string) *proxy.Exchange {
	return &proxy.Exchange{Request: proxy.Request{Method: method, URL: target, Target: target}}
}

const base = "http://payer.example/fhir"

func TestClassify(t *testing.T) {
	tests := []struct {
		request string // METHOD and path from the host, or a URL
		want    proxy.Interaction
	}{
		{"GET /fhir/Patient/1", proxy.Interaction{Kind: proxy.KindRead, ResourceType: "Patient", ResourceID: "1"}},
		{"HEAD /fhir/Patient/1", proxy.Interaction{Kind: proxy.KindRead, ResourceType: "Patient", ResourceID: "1"}},
		{"GET /fhir/Patient/1/", proxy.Interaction{Kind: proxy.KindRead, ResourceType: "Patient", ResourceID: "1"}},
		{"GET /fhir/Patient/1/_history/2", proxy.Interaction{Kind: proxy.KindVRead, ResourceType: "Patient", ResourceID: "1"}},
		{"GET /fhir/Patient/1/_history", proxy.Interaction{Kind: proxy.KindHistoryInstance, ResourceType: "Patient", ResourceID: "1"}},
		{"GET /fhir/Patient/_history", proxy.Interaction{Kind: proxy.KindHistoryType, ResourceType: "Patient"}},
		{"GET /fhir/_history?_count=1", proxy.Interaction{Kind: proxy.KindHistorySystem}},
		{"GET /fhir/Patient?name=x", proxy.Interaction{Kind: proxy.KindSearchType, ResourceType: "Patient"}},
		{"GET /fhir/Patient", proxy.Interaction{Kind: proxy.KindSearchType, ResourceType: "Patient"}},
		{"POST /fhir/Patient/_search", proxy.Interaction{Kind: proxy.KindSearchType, ResourceType: "Patient"}},
		{"GET /fhir/Patient/1/Observation?code=x", proxy.Interaction{Kind: proxy.KindSearchType, ResourceType: "Observation"}},
		{"GET /fhir/Patient/1/*", proxy.Interaction{Kind: proxy.KindSearchType}},
		{"POST /fhir/Patient/1/Observation/_search", proxy.Interaction{Kind: proxy.KindSearchType, ResourceType: "Observation"}},
		{"POST /fhir/_search", proxy.Interaction{Kind: proxy.KindSearchSystem}},
		{"GET /fhir?_getpages=abc", proxy.Interaction{Kind: proxy.KindSearchSystem}},
		{"GET /fhir", proxy.Interaction{Kind: proxy.KindOther}},
		{"POST /fhir/Patient", proxy.Interaction{Kind: proxy.KindCreate, ResourceType: "Patient"}},
		{"PUT /fhir/Patient/1", proxy.Interaction{Kind: proxy.KindUpdate, ResourceType: "Patient", ResourceID: "1"}},
		{"PUT /fhir/Patient?identifier=1", proxy.Interaction{Kind: proxy.KindUpdate, ResourceType: "Patient"}},
		{"PATCH /fhir/Patient/1", proxy.Interaction{Kind: proxy.KindPatch, ResourceType: "Patient", ResourceID: "1"}},
		{"DELETE /fhir/Patient/1", proxy.Interaction{Kind: proxy.KindDelete, ResourceType: "Patient", ResourceID: "1"}},
		{"DELETE /fhir/Patient?x=1", proxy.Interaction{Kind: proxy.KindDelete, ResourceType: "Patient"}},
		{"POST /fhir/Patient/1", proxy.Interaction{Kind: proxy.KindOther}},
		{"GET /fhir/metadata?mode=full", proxy.Interaction{Kind: proxy.KindCapabilities}},
		{"OPTIONS /fhir", proxy.Interaction{Kind: proxy.KindCapabilities}},
		{"POST /fhir", proxy.Interaction{Kind: proxy.KindBatch}},
		{"POST /fhir/", proxy.Interaction{Kind: proxy.KindBatch}},
		{"POST /fhir/Patient/$member-match", proxy.Interaction{Kind: proxy.KindOperation, ResourceType: "Patient", Operation: "$member-match"}},
		{"POST /fhir/Patient/%24member-match", proxy.Interaction{Kind: proxy.KindOperation, ResourceType: "Patient", Operation: "$member-match"}},
		{"GET /fhir/Patient/1/$everything?_count=5", proxy.Interaction{Kind: proxy.KindOperation, ResourceType: "Patient", ResourceID: "1", Operation: "$everything"}},
		{"GET /fhir/Patient/1/_history/2/$meta", proxy.Interaction{Kind: proxy.KindOperation, ResourceType: "Patient", ResourceID: "1", Operation: "$meta"}},
		{"POST /fhir/$convert", proxy.Interaction{Kind: proxy.KindOperation, Operation: "$convert"}},
		{"GET /fhir/$export", proxy.Interaction{Kind: proxy.KindBulkKickoff, Operation: "$export"}},
		{"GET /fhir/Patient/$export?_type=Patient", proxy.Interaction{Kind: proxy.KindBulkKickoff, ResourceType: "Patient", Operation: "$export"}},
		{"POST /fhir/Group/g/$export", proxy.Interaction{Kind: proxy.KindBulkKickoff, ResourceType: "Group", ResourceID: "g", Operation: "$export"}},
		{"GET /fhir/InsurancePlan/p/$export", proxy.Interaction{Kind: proxy.KindBulkKickoff, ResourceType: "InsurancePlan", ResourceID: "p", Operation: "$export"}},
		{"GET /fhir/Group/g/$davinci-data-export", proxy.Interaction{Kind: proxy.KindBulkKickoff, ResourceType: "Group", ResourceID: "g", Operation: "$davinci-data-export"}},
		{"GET /fhir/bulk/j1/status", proxy.Interaction{Kind: proxy.KindBulkStatus}},
		{"DELETE /fhir/bulk/j1/status", proxy.Interaction{Kind: proxy.KindBulkDelete}},
		{"GET /fhir/bulk/j1/files/Patient-1.ndjson", proxy.Interaction{Kind: proxy.KindBulkFile}},
		{"GET /fhir/bulk/j1/files/Patient", proxy.Interaction{Kind: proxy.KindBulkFile}},
		{"GET /fhir/$export-poll-status?_jobId=7", proxy.Interaction{Kind: proxy.KindBulkStatus}},
		{"DELETE /fhir/$export-poll-status?_jobId=7", proxy.Interaction{Kind: proxy.KindBulkDelete}},
		{"GET /fhir/bulkstatus/bmm-5", proxy.Interaction{Kind: proxy.KindBulkStatus}},
		{"GET /bulk/jobs/7d3e", proxy.Interaction{Kind: proxy.KindBulkStatus}},
		{"GET /files/Patient.ndjson", proxy.Interaction{Kind: proxy.KindBulkFile}},
		{"POST /oauth/token", proxy.Interaction{Kind: proxy.KindToken}},
		{"POST /fhir/token", proxy.Interaction{Kind: proxy.KindToken}},
		{"GET /fhir/Patient/token", proxy.Interaction{Kind: proxy.KindRead, ResourceType: "Patient", ResourceID: "token"}},
		{"POST /oauth/register", proxy.Interaction{Kind: proxy.KindRegister}},
		{"PUT /oauth/register", proxy.Interaction{Kind: proxy.KindRegister}},
		{"GET /oauth/authorize?client_id=x", proxy.Interaction{Kind: proxy.KindAuthorize}},
		{"POST /oauth/introspect", proxy.Interaction{Kind: proxy.KindIntrospect}},
		{"GET /fhir/.well-known/smart-configuration", proxy.Interaction{Kind: proxy.KindSMARTConfig}},
		{"GET /.well-known/smart-configuration", proxy.Interaction{Kind: proxy.KindSMARTConfig}},
		{"GET /fhir/.well-known/openid-configuration", proxy.Interaction{Kind: proxy.KindOAuthConfig}},
		{"GET /.well-known/oauth-authorization-server/oauth2/x", proxy.Interaction{Kind: proxy.KindOAuthConfig}},
		{"GET /.well-known/oauth-protected-resource/fhir", proxy.Interaction{Kind: proxy.KindOAuthConfig}},
		{"GET /.well-known/security.txt", proxy.Interaction{Kind: proxy.KindOther}},
		{"GET /fhir/.well-known/udap", proxy.Interaction{Kind: proxy.KindUDAPConfig}},
		{"GET /favicon.ico", proxy.Interaction{Kind: proxy.KindOther}},
		{"GET /", proxy.Interaction{Kind: proxy.KindOther}},
		{"GET /fhirs/x", proxy.Interaction{Kind: proxy.KindOther}},
		{"GET /r4/Patient/1", proxy.Interaction{Kind: proxy.KindRead, ResourceType: "Patient", ResourceID: "1"}}, // another base
		{"GET http://other.example/x/y/metadata", proxy.Interaction{Kind: proxy.KindCapabilities}},
		{"GET http://PAYER.example:80/fhir/Patient/1", proxy.Interaction{Kind: proxy.KindRead, ResourceType: "Patient", ResourceID: "1"}},
		{"GET /fhir/Patient/%zz", proxy.Interaction{Kind: proxy.KindRead, ResourceType: "Patient", ResourceID: "%zz"}},
		{"GET /fhir/Patient/1/2/3/4", proxy.Interaction{Kind: proxy.KindOther}},
		{"BREW /fhir/Patient/1", proxy.Interaction{Kind: proxy.KindOther}},
	}
	for _, tc := range tests {
		method, target, _ := strings.Cut(tc.request, " ")
		if strings.HasPrefix(target, "/") {
			target = "http://payer.example" + target
		}
		if got := interaction.Classify(request(method, target), base); got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.request, got, tc.want)
		}
	}
}

func TestClassifyByTheResponse(t *testing.T) {
	answered := func(target string, status int, contentType string) *proxy.Exchange {
		e := request("GET", target)
		e.Response = &proxy.Response{Status: status}
		e.Response.Header = proxy.Header{{Name: "content-type", Value: contentType}}
		return e
	}
	tests := []struct {
		name string
		ex   *proxy.Exchange
		want proxy.Kind
	}{
		{"a Binary of many resources", answered(base+"/Binary/x", 200, "application/fhir+ndjson"), proxy.KindBulkFile},
		{"a Binary", answered(base+"/Binary/x", 200, "application/pdf"), proxy.KindRead},
		{"202 somewhere", answered("http://payer.example/wait/7", 202, ""), proxy.KindBulkStatus},
		{"200 somewhere", answered("http://payer.example/wait/7", 200, "text/plain"), proxy.KindOther},
		{"NDJSON somewhere", answered("http://files.example/7", 200, "application/x-ndjson; charset=utf-8"), proxy.KindBulkFile},
	}
	for _, tc := range tests {
		if got := interaction.Classify(tc.ex, base).Kind; got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestClassifyWithoutAForwardedURL(t *testing.T) {
	e := &proxy.Exchange{Channel: "a~b", Request: proxy.Request{Method: "GET", URL: "http://proxy:8081/a~b/fhir/Patient/1"}}
	want := proxy.Interaction{Kind: proxy.KindRead, ResourceType: "Patient", ResourceID: "1"}
	for _, b := range []string{"", "http://proxy:8081/fhir"} {
		if got := interaction.Classify(e, b); got != want {
			t.Errorf("base %q: %+v", b, got)
		}
	}
	for _, ex := range []*proxy.Exchange{
		{Mode: proxy.ModeTunnel, Request: proxy.Request{Method: "CONNECT", URL: "https://payer.example"}},
		{Mode: proxy.ModeForward, Request: proxy.Request{Method: "CONNECT", URL: "https://payer.example:22"}},
	} {
		if got := interaction.Classify(ex, base); got.Kind != proxy.KindTunnel || got.Label() != "Tunnel" {
			t.Errorf("%s: %+v", ex.Request.URL, got)
		}
	}
	if got := interaction.Classify(&proxy.Exchange{Request: proxy.Request{Method: "GET", URL: "::bad"}}, base); got.Kind != proxy.KindOther {
		t.Errorf("a broken URL: %+v", got)
	}
}

// TestPostmanCollections classifies every request of the shared collections; the counts are what a reader of the
// collections finds.
func TestPostmanCollections(t *testing.T) {
	shared := os.Getenv("FHIRWIRE_SHARED")
	if shared == "" {
		shared = "../../../shared"
	}
	tests := []struct {
		file, base string
		want       map[proxy.Kind]int
	}{
		{"pdex-payer-client", "http://host/custom/pdex_payer_client/fhir", map[proxy.Kind]int{
			proxy.KindOperation: 3, proxy.KindSearchType: 17, proxy.KindRead: 6, proxy.KindSearchSystem: 1, proxy.KindBulkKickoff: 1, proxy.KindBulkStatus: 1,
		}},
		{"us-core-client", "http://0.0.0.0:9292", map[proxy.Kind]int{
			proxy.KindRead: 1, proxy.KindVRead: 1, proxy.KindSearchType: 6, proxy.KindCreate: 1, proxy.KindUpdate: 1,
		}},
		{"member-attribution", "http://ecr.drajer.com/mal/fhir", map[proxy.Kind]int{
			proxy.KindCreate: 4, proxy.KindRead: 1, proxy.KindSearchType: 1, proxy.KindVRead: 1, proxy.KindOperation: 4, proxy.KindBulkKickoff: 1,
			proxy.KindBulkStatus: 1, proxy.KindBulkFile: 1,
		}},
	}
	for _, tc := range tests {
		raw, err := os.ReadFile(filepath.Join(shared, "postman", tc.file+".postman_collection.json"))
		if err != nil {
			t.Skipf("the shared collections are not here: %v", err)
		}
		var root struct{ Item []item }
		if err := json.Unmarshal(raw, &root); err != nil {
			t.Fatal(err)
		}
		got := make(map[proxy.Kind]int)
		walk(root.Item, func(method, url string) {
			url = strings.ReplaceAll(url, "{{url_prefix}}", "http://host")
			url = strings.Replace(url, "http://localhost:4567/", "http://host/", 1) // the three with another host
			got[interaction.Classify(request(method, url), tc.base).Kind]++
		})
		for k, n := range tc.want {
			if got[k] != n {
				t.Errorf("%s: %d times %s, want %d (all: %v)", tc.file, got[k], k, n, got)
			}
		}
		if n := got[proxy.KindOther]; n > 0 {
			t.Errorf("%s: %d requests are other", tc.file, n)
		}
	}
}

type item struct {
	Item    []item
	Request *struct {
		Method string
		URL    json.RawMessage
	}
}

func walk(items []item, visit func(method, url string)) {
	for _, i := range items {
		walk(i.Item, visit)
		if i.Request == nil {
			continue
		}
		var url string
		var parts struct{ Raw string }
		if json.Unmarshal(i.Request.URL, &url) != nil && json.Unmarshal(i.Request.URL, &parts) == nil {
			url = parts.Raw
		}
		visit(i.Request.Method, url)
	}
}

func FuzzClassify(f *testing.F) {
	for _, s := range []string{"/fhir/Patient/1", "/fhir/$export", "/fhir/%zz", "//", "?", "/fhir/Patient/1/_history/2/$x", "http://[::1", ""} {
		f.Add("GET", s)
	}
	f.Fuzz(func(t *testing.T, method, target string) {
		for _, b := range []string{base, "", "::"} {
			if got := interaction.Classify(request(method, target), b); got.Kind == "" {
				t.Errorf("%s %q has no kind", method, target)
			}
		}
	})
}

func BenchmarkClassify(b *testing.B) {
	e := request("GET", base+"/Patient/1/$everything?_count=50")
	b.ReportAllocs()
	for b.Loop() {
		interaction.Classify(e, base)
	}
}
