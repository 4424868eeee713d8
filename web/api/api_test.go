package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"fhirwire/proxy"
	"fhirwire/validators"
	"fhirwire/web/api"
	"fhirwire/web/api/apitest"
)

var now = time.Date(2026, 9, 12, 10, 0, 0, 0, time.UTC)

type validator struct{}

func (validator) Validate(_ context.Context, body []byte, profiles []string) (validators.Report, error) {
	return validators.Report{Issues: []validators.Issue{{
		Severity: validators.SeverityError, Code: validators.CodeRequired, MessageID: "cardinality-min", Message: "Patient.name is missing in " + string(body),
		Expression: "Patient", Profile: strings.Join(profiles, " "), Position: validators.Position{Line: 1, Column: 2},
	}}}, nil
}

func router(t *testing.T, d api.Deps) *gin.Engine {
	t.Helper()
	gin.SetMode(gin.ReleaseMode)
	n := 0
	r := gin.New()
	api.New(d, api.Options{Clock: func() time.Time { return now }, NewID: func() string { n++; return fmt.Sprintf("id-%d", n) }}).Register(r.Group("/api/v1"))
	return r
}

func call(t *testing.T, r http.Handler, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, "/api/v1"+path, strings.NewReader(body)))
	return w
}

func decode[T any](t *testing.T, w *httptest.ResponseRecorder) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v in %s", err, w.Body)
	}
	return v
}

func TestSystemsAndChannels(t *testing.T) {
	store := apitest.NewStore()
	r := router(t, store.Deps())
	w := call(t, r, "POST", "/systems", `{"name":"","slug":"A b","roles":["server"],"base_url":"x"}`)
	p := decode[api.Problem](t, w)
	var fields []string
	for _, f := range p.Errors {
		fields = append(fields, f.Field)
	}
	if w.Code != 422 || w.Header().Get("Content-Type") != "application/problem+json" || !slices.Equal(fields, []string{"slug", "name", "base_url"}) {
		t.Errorf("status %d, %+v", w.Code, p)
	}
	server := decode[api.System](t, call(t, r, "POST", "/systems", `{"name":"Diamond","roles":["server"],"base_url":"http://d.example:9/fhir"}`))
	client := decode[api.System](t, call(t, r, "POST", "/systems", `{"name":"Acme EHR","roles":["client"]}`))
	if server.Slug != "diamond" || client.Slug != "acme-ehr" {
		t.Errorf("slugs %q, %q", server.Slug, client.Slug)
	}
	if w := call(t, r, "POST", "/systems", `{"name":"Diamond","roles":["client"]}`); w.Code != 409 {
		t.Errorf("taken slug: status %d", w.Code)
	}
	w = call(t, r, "POST", "/channels", fmt.Sprintf(`{"client_id":%q,"server_id":%q,"options":{"base_path":"/custom/fhir"}}`, client.ID, server.ID))
	ch := decode[api.Channel](t, w)
	if w.Code != 201 || ch.Name != "acme-ehr~diamond" || ch.ProxyURL != "http://127.0.0.1:8081/acme-ehr~diamond/custom/fhir" || w.Header().Get("Location") != "/api/v1/channels/"+ch.ID {
		t.Errorf("status %d, %+v", w.Code, ch)
	}
	for _, tt := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "/channels", `{"client_id":"nope","server_id":"nope"}`, 422},
		{"PUT", "/channels/" + ch.ID, `{"options":{"base_path":"x"}}`, 422},
		{"PUT", "/channels/" + ch.ID, `{"client_id":"other","options":{}}`, 422},
		{"PUT", "/channels/" + ch.ID, `{"options":{"track":"T"}}`, 200},
		{"GET", "/channels/" + ch.ID, "", 200},
		{"GET", "/channels", "", 200},
		{"GET", "/systems/" + client.ID, "", 200},
		{"PUT", "/systems/" + client.ID, `{"name":"Acme","slug":"acme-ehr","roles":["client"]}`, 200},
		{"PUT", "/systems/nope", `{"name":"Acme","roles":["client"]}`, 404},
		{"POST", "/systems", `{"title":"x"}`, 400},
		{"POST", "/systems", `[`, 400},
		{"POST", "/systems", `{"name":"` + strings.Repeat("x", api.MaxBody) + `"}`, 413},
		{"DELETE", "/channels/" + ch.ID, "", 204},
		{"DELETE", "/channels/" + ch.ID, "", 404},
		{"DELETE", "/systems/" + client.ID, "", 204},
		{"GET", "/systems/" + client.ID, "", 404},
	} {
		if w := call(t, r, tt.method, tt.path, tt.body); w.Code != tt.want {
			t.Errorf("%s %s: status %d, want %d", tt.method, tt.path, w.Code, tt.want)
		} else if w.Code >= 400 && decode[api.Problem](t, w).Status != tt.want {
			t.Errorf("%s %s: no problem document", tt.method, tt.path)
		}
	}
}

func TestExchanges(t *testing.T) {
	store := apitest.NewStore()
	body := store.AddBody([]byte("\x1f\x8bnot really"))
	for i := range 5 {
		e := &proxy.Exchange{ID: fmt.Sprintf("e%d", i+1), Channel: "a~b", Mode: proxy.ModeReverse, Interaction: proxy.Interaction{Kind: proxy.KindRead, ResourceType: "Patient"}}
		e.Request.Method, e.Request.URL = "GET", "http://127.0.0.1:8081/a~b/Patient/1"
		e.Timing = proxy.Timing{Start: now, End: now.Add(1500 * time.Microsecond)}
		e.Response = &proxy.Response{Status: 200 + i}
		e.Response.Header = proxy.Header{{Name: "Content-Type", Value: "application/fhir+json; x=\"\r\nEvil: 1"}, {Name: "Content-Encoding", Value: "gzip"}}
		e.Response.Body = body
		store.AddExchange(e)
	}
	store.AddReport(&validators.Report{Subject: "e1", Issues: []validators.Issue{{Severity: validators.SeverityError, Message: "m"}}, Summary: validators.Summary{Errors: 1, Side: validators.SideServer}})
	r := router(t, store.Deps())
	page := decode[api.List[api.ExchangeItem]](t, call(t, r, "GET", "/exchanges?limit=2", ""))
	if page.Total != 5 || len(page.Items) != 2 || page.Items[0].Number != 5 || page.Previous != "" || page.Items[0].State != "evaluating" || page.Items[0].DurationMS != 1.5 {
		t.Errorf("first page %+v", page)
	}
	var numbers []int64
	for cursor := page.Next; cursor != ""; {
		page = decode[api.List[api.ExchangeItem]](t, call(t, r, "GET", "/exchanges?limit=2&cursor="+cursor, ""))
		for _, it := range page.Items {
			numbers = append(numbers, it.Number)
		}
		cursor = page.Next
	}
	if !slices.Equal(numbers, []int64{3, 2, 1}) || page.Items[0].Verdict != "fail" {
		t.Errorf("the other pages have %v, last %+v", numbers, page.Items)
	}
	for path, want := range map[string]int{
		"/exchanges?filter=stauts:1": 400, "/exchanges?cursor=zz": 400, "/exchanges?limit=0": 400, "/exchanges?filter=status:204": 200,
		"/exchanges/e1": 200, "/exchanges/no": 404, "/exchanges/e1/report": 200, "/exchanges/e2/report": 404, "/exchanges/no/report": 404,
		"/exchanges/e1/request/body": 404, "/plans": 501, "/plans/x": 501, "/matrix?plan=x": 501, "/matrix": 400, "/runs": 501, "/export/har": 501,
	} {
		if w := call(t, r, "GET", path, ""); w.Code != want {
			t.Errorf("%s: status %d, want %d", path, w.Code, want)
		}
	}
	ex := decode[api.Exchange](t, call(t, r, "GET", "/exchanges/e1", ""))
	if ex.Response == nil || ex.Response.Body.SHA256 != body.Digest || ex.Response.Body.Href != "/api/v1/exchanges/e1/response/body" || ex.Verdict != "fail" {
		t.Errorf("exchange %+v", ex)
	}
	w := call(t, r, "GET", "/exchanges/e1/response/body", "")
	if w.Body.String() != "\x1f\x8bnot really" || w.Header().Get("Content-Type") != "application/octet-stream" || w.Header().Get("Content-Encoding") != "" ||
		w.Header().Get("Content-Disposition") != `attachment; filename="exchange-1-response.json.gz"` || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers %v", w.Header())
	}
}

func TestValidate(t *testing.T) {
	d := apitest.NewStore().Deps()
	if w := call(t, router(t, d), "POST", "/validate", "{}"); w.Code != 501 {
		t.Errorf("without a validator: status %d", w.Code)
	}
	d.Validator = validator{}
	w := call(t, router(t, d), "POST", "/validate?profile=http://p", `{"resourceType":"Patient"}`)
	want := `{"resourceType":"OperationOutcome","issue":[{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-line","valueInteger":1},{"url":"http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-col","valueInteger":2},{"url":"http://hl7.org/fhir/StructureDefinition/operationoutcome-message-id","valueString":"cardinality-min"}],"severity":"error","code":"required","details":{"text":"Patient.name is missing in {\"resourceType\":\"Patient\"}"},"diagnostics":"Profile http://p","expression":["Patient"]}]}`
	if w.Code != 200 || w.Body.String() != want || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/fhir+json") {
		t.Errorf("status %d, body %s", w.Code, w.Body)
	}
}

// TestDescription compares the routes with the OpenAPI document, both ways, and resolves its references.
func TestDescription(t *testing.T) {
	r := router(t, apitest.NewStore().Deps())
	w := call(t, r, "GET", "/openapi.json", "")
	doc := decode[struct {
		OpenAPI    string
		Paths      map[string]map[string]json.RawMessage
		Components map[string]map[string]json.RawMessage
	}](t, w)
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("version %q", doc.OpenAPI)
	}
	var described, routed []string
	for path, ops := range doc.Paths {
		for method := range ops {
			if method != "parameters" {
				described = append(described, strings.ToUpper(method)+" "+path)
			}
		}
	}
	param := regexp.MustCompile(`:(\w+)`)
	for _, route := range r.Routes() {
		routed = append(routed, route.Method+" "+param.ReplaceAllString(strings.TrimPrefix(route.Path, "/api/v1"), "{$1}"))
	}
	slices.Sort(described)
	slices.Sort(routed)
	if !slices.Equal(described, routed) {
		t.Errorf("described:\n%s\nrouted:\n%s", strings.Join(described, "\n"), strings.Join(routed, "\n"))
	}
	for _, m := range regexp.MustCompile(`"#/components/(\w+)/(\w+)"`).FindAllStringSubmatch(w.Body.String(), -1) {
		if doc.Components[m[1]][m[2]] == nil {
			t.Errorf("%s leads nowhere", m[0])
		}
	}
}
