package inspect_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/validators"
	"fhirwire/validators/guides"
	"fhirwire/validators/inspect"
)

type memory map[proxy.Digest][]byte

func (m memory) OpenBody(_ context.Context, d proxy.Digest) (io.ReadCloser, error) {
	b, ok := m[d]
	if !ok {
		return nil, proxy.ErrNoBody
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

type channel proxy.Channel

func (c channel) ChannelByName(context.Context, string) (*proxy.Channel, error) {
	ch := proxy.Channel(c)
	return &ch, nil
}

var library = func() *guides.Library {
	lib, err := guides.Load()
	if err != nil {
		panic(err)
	}
	return lib
}()

type body struct {
	mediaType, encoding string
	data                []byte
	broken              bool // did not arrive in full
}

func message(bodies memory, b body) proxy.Message {
	m := proxy.Message{Header: proxy.Header{{Name: "Content-Type", Value: b.mediaType}}}
	if b.encoding != "" {
		m.Header = append(m.Header, proxy.Field{Name: "Content-Encoding", Value: b.encoding})
	}
	if len(b.data) > 0 {
		d := proxy.Digest(strings.Repeat("0", len(bodies)+1))
		bodies[d] = b.data
		m.Body = proxy.Body{Size: int64(len(b.data)), Stored: int64(len(b.data)), Digest: d, Complete: !b.broken}
	}
	return m
}

func inspectOne(t *testing.T, in proxy.Interaction, request body, status int, response body, o proxy.ChannelOptions) validators.Report {
	t.Helper()
	bodies := memory{}
	ex := &proxy.Exchange{ID: "x", Channel: "a~b", Interaction: in}
	ex.Request.Method, ex.Request.Target = "GET", "http://payer.example/fhir/Patient"
	if len(request.data) > 0 {
		ex.Request.Method = "POST"
	}
	ex.Request.Message = message(bodies, request)
	ex.Response = &proxy.Response{Status: status, Message: message(bodies, response)}
	if response.broken {
		ex.Failure = &proxy.Failure{Reason: proxy.ReasonUpstreamReset, Side: "server", Detail: "after 61 kB"}
	}
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	i := inspect.New(library, bodies, inspect.Options{
		Channels: channel{Options: o, ServerURL: "http://payer.example/fhir"}, MaxDecoded: 8 << 20, Now: func() time.Time { return at },
	})
	rep, err := i.Inspect(t.Context(), ex)
	if err != nil {
		t.Fatal(err)
	}
	if rep.Subject != "x" || !rep.At.Equal(at) || len(rep.Context.Guides) == 0 || rep.Context.Rules != validators.RulesVersion {
		t.Errorf("context %+v of %s at %s", rep.Context, rep.Subject, rep.At)
	}
	return rep
}

func zip(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func find(rep validators.Report, match func(*validators.Issue) bool) *validators.Issue {
	for i := range rep.Issues {
		if match(&rep.Issues[i]) {
			return &rep.Issues[i]
		}
	}
	return nil
}

var (
	read  = proxy.Interaction{Kind: proxy.KindRead, ResourceType: "Patient", ResourceID: "1"}
	match = proxy.Interaction{Kind: proxy.KindOperation, ResourceType: "Patient", Operation: "$member-match"}
	file  = proxy.Interaction{Kind: proxy.KindBulkFile}
)

const (
	fhir     = "application/fhir+json"
	usCore   = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"
	nameless = "{\n \"resourceType\": \"Patient\",\n \"id\": \"1\",\n \"meta\": {\"profile\": [\"" + usCore + "|3.1.1\"]},\n" +
		" \"identifier\": [{\"system\": \"http://x.example\", \"value\": \"1\"}],\n \"gender\": \"female\"\n}"
	sound = `{"resourceType":"Patient","id":"1","identifier":[{"system":"http://x.example","value":"1"}],"name":[{"family":"A","given":["B"]}],"gender":"female"}`
)

func TestServersResourceIsHeldAgainstItsClaim(t *testing.T) {
	for _, encoding := range []string{"", "gzip"} {
		data := []byte(nameless)
		if encoding != "" {
			data = zip(t, data)
		}
		rep := inspectOne(t, read, body{}, 200, body{mediaType: fhir, encoding: encoding, data: data}, proxy.ChannelOptions{})
		is := find(rep, func(is *validators.Issue) bool { return is.IsError() && strings.Contains(is.Message, "name") })
		if is == nil || is.Side != validators.SideServer || is.Part != validators.PartResponseBody || is.Line != 1 || !strings.HasPrefix(is.Profile, usCore) {
			t.Fatalf("%q: issue %+v in %+v", encoding, is, rep.Issues)
		}
		if rep.Summary.Errors == 0 || rep.Summary.Side != validators.SideServer || rep.Checked != 1 || rep.Resources[is.Resource].ID != "1" {
			t.Errorf("%q: summary %+v, resources %+v", encoding, rep.Summary, rep.Resources)
		}
	}
}

func TestAProfileChosenByContentOnlyWarns(t *testing.T) {
	unclaimed := strings.Replace(nameless, usCore, "http://unknown.example/profile", 1)
	rep := inspectOne(t, read, body{}, 200, body{mediaType: fhir, data: []byte(unclaimed)}, proxy.ChannelOptions{})
	is := find(rep, func(is *validators.Issue) bool { return strings.HasPrefix(is.Profile, usCore) })
	if is == nil || is.Severity != validators.SeverityWarning || rep.Summary.Errors != 0 {
		t.Fatalf("issue %+v, summary %+v", is, rep.Summary)
	}
	i := slices.IndexFunc(rep.Resources[0].Profiles, func(p validators.ProfileChoice) bool { return strings.HasPrefix(p.URL, usCore) })
	if i < 0 || rep.Resources[0].Profiles[i].Why != "content rule of hl7.fhir.us.core#3.1.1" {
		t.Errorf("profiles %+v", rep.Resources[0].Profiles)
	}
}

func TestAChannelsSettingsApply(t *testing.T) {
	options := proxy.ChannelOptions{Guides: []string{"hl7.fhir.us.core#6.1.0"}, Profiles: map[string]string{"Patient": usCore}}
	plain := strings.Replace(nameless, usCore+"|3.1.1", "http://unknown.example/profile", 1)
	rep := inspectOne(t, read, body{}, 200, body{mediaType: fhir, data: []byte(plain)}, options)
	is := find(rep, func(is *validators.Issue) bool { return is.IsError() && strings.HasPrefix(is.Profile, usCore) })
	if is == nil || !strings.HasSuffix(is.Profile, "|6.1.0") {
		t.Fatalf("issue %+v of %+v", is, rep.Issues)
	}
}

func TestMatchRequestWithoutConsentIsTheClientsFault(t *testing.T) {
	params := `{"resourceType":"Parameters","parameter":[{"name":"MemberPatient","resource":` + sound + `}]}`
	outcome := `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"required"}]}`
	rep := inspectOne(t, match, body{mediaType: fhir, data: []byte(params)}, 422, body{mediaType: fhir, data: []byte(outcome)}, proxy.ChannelOptions{})
	for requirement, slice := range map[string]string{"P2P-MM-102": "coverageToMatch", "P2P-MM-104": "consent"} {
		is := find(rep, func(is *validators.Issue) bool { return is.IsError() && is.Requirement == requirement })
		if is == nil || is.Side != validators.SideClient || is.Part != validators.PartRequestBody || !strings.EqualFold(is.Slice, slice) {
			t.Errorf("%s: issue %+v of %+v", requirement, is, rep.Issues)
		}
	}
	if rep.Summary.Side != validators.SideClient {
		t.Errorf("side %s", rep.Summary.Side)
	}
}

func TestFilesAreJudgedLineByLine(t *testing.T) {
	lines := sound + "\n" + strings.ReplaceAll(nameless, "\n", "") + "\n\n{\"resourceType\":\"Patient\",\"nam\":1}\n"
	rep := inspectOne(t, file, body{}, 200, body{mediaType: "application/fhir+ndjson", data: []byte(lines)}, proxy.ChannelOptions{})
	if rep.Checked != 3 {
		t.Errorf("%d resources checked", rep.Checked)
	}
	if is := find(rep, func(is *validators.Issue) bool { return is.IsError() && is.Line == 2 }); is == nil || rep.Resources[is.Resource].Line != 2 {
		t.Errorf("no error on line 2: %+v", rep.Issues)
	}
	if is := find(rep, func(is *validators.Issue) bool { return is.MessageID == "ndjson-blank-line" }); is == nil || is.Line != 3 {
		t.Errorf("blank line: %+v", is)
	}
	if is := find(rep, func(is *validators.Issue) bool { return is.IsError() && is.Line == 4 }); is == nil || is.Offset <= len(sound) {
		t.Errorf("no error on line 4 with its offset in the file: %+v", is)
	}
}

func TestHalfALineIsNotJudged(t *testing.T) {
	lines := sound + "\n" + sound[:40]
	rep := inspectOne(t, file, body{}, 200, body{mediaType: "application/fhir+ndjson", data: []byte(lines), broken: true}, proxy.ChannelOptions{})
	if rep.Checked != 1 || rep.Summary.Errors != 0 || rep.Summary.Unjudged == "" {
		t.Errorf("%d checked, summary %+v", rep.Checked, rep.Summary)
	}
}

func TestWhatCannotBeJudgedIsSaidAndDoesNotPass(t *testing.T) {
	bomb := zip(t, bytes.Repeat([]byte(" "), 100<<20))
	for name, response := range map[string]body{
		"truncated gzip":  {mediaType: fhir, encoding: "gzip", data: zip(t, []byte(sound))[:60]},
		"not gzip at all": {mediaType: fhir, encoding: "gzip", data: []byte(sound)},
		"gzip bomb":       {mediaType: fhir, encoding: "gzip", data: bomb},
		"ndjson bomb":     {mediaType: "application/fhir+ndjson", encoding: "gzip", data: bomb},
		"brotli":          {mediaType: fhir, encoding: "br", data: []byte("????")},
		"xml":             {mediaType: "application/fhir+xml", data: []byte("<Patient/>")},
		"broken off":      {mediaType: fhir, data: []byte(sound[:20]), broken: true},
	} {
		rep := inspectOne(t, read, body{}, 200, response, proxy.ChannelOptions{})
		if rep.Summary.Unjudged == "" || rep.Summary.Errors != 0 || rep.Summary.NotChecked == 0 {
			t.Errorf("%s: summary %+v, issues %+v", name, rep.Summary, rep.Issues)
		}
	}
}

func TestPatchIsNoResource(t *testing.T) {
	patch := proxy.Interaction{Kind: proxy.KindPatch, ResourceType: "Patient", ResourceID: "1"}
	response := body{mediaType: fhir, data: []byte(sound)}
	if rep := inspectOne(t, patch, body{mediaType: "application/json-patch+json; charset=utf-8", data: []byte(`[{"op":"remove","path":"/gender"}]`)}, 200, response, proxy.ChannelOptions{}); rep.Summary.Errors != 0 {
		t.Errorf("%+v %+v", rep.Summary, rep.Issues)
	}
	if rep := inspectOne(t, patch, body{mediaType: "application/json-patch+json", data: []byte(`[{"op":`)}, 400, response, proxy.ChannelOptions{}); rep.Summary.Errors == 0 {
		t.Errorf("a patch that is no JSON: %+v", rep.Summary)
	}
	if rep := inspectOne(t, patch, body{mediaType: fhir, data: []byte(`[1]`)}, 400, response, proxy.ChannelOptions{}); rep.Summary.Errors == 0 {
		t.Errorf("a list as a resource: %+v", rep.Summary)
	}
}

func TestFaultyJSONIsTheServersFault(t *testing.T) {
	for name, data := range map[string]string{"not JSON": "{nope", "no resource": `{"a":1}`, "HTML": "<html>"} {
		rep := inspectOne(t, read, body{}, 200, body{mediaType: fhir, data: []byte(data)}, proxy.ChannelOptions{})
		if rep.Summary.Errors == 0 || rep.Summary.Side != validators.SideServer {
			t.Errorf("%s: %+v", name, rep.Summary)
		}
	}
}

func TestIssuesBeyondTheCapAreCounted(t *testing.T) {
	line := `{"resourceType":"Patient","gender":"x","birthDate":"y"}` + "\n"
	i := inspect.New(library, memory{"0": []byte(strings.Repeat(line, 500))}, inspect.Options{MaxIssues: 100})
	ex := &proxy.Exchange{ID: "x", Interaction: file, Response: &proxy.Response{Status: 200}}
	ex.Response.Header = proxy.Header{{Name: "Content-Type", Value: "application/fhir+ndjson"}}
	ex.Response.Body = proxy.Body{Size: 1, Stored: 1 << 20, Digest: "0", Complete: true}
	rep, err := i.Inspect(t.Context(), ex)
	if err != nil {
		t.Fatal(err)
	}
	if len(rep.Issues) != 100 || rep.Summary.Errors < 1000 || rep.IssuesCut < 900 {
		t.Errorf("%d issues, %d cut, summary %+v", len(rep.Issues), rep.IssuesCut, rep.Summary)
	}
}
