package reference_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"fhirwire/internal/sqldb"
	"fhirwire/reference"
	"fhirwire/reference/membermatch"
	"fhirwire/reference/smartauth"
	"fhirwire/reference/synth"
)

// guarded is a seeded payer in a mode of authorization, without its FHIR base.
type guarded struct {
	t   *testing.T
	url string
}

func startGuarded(t *testing.T, mode smartauth.Mode) guarded {
	t.Helper()
	data, err := os.ReadFile(template(t, 5))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "ref.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open(t.Context(), sqldb.SQLiteDSN(path), sqldb.Options{Synchronous: "off"})
	if err != nil {
		t.Fatal(err)
	}
	set, err := guideSet()
	if err != nil {
		t.Fatal(err)
	}
	ref, err := reference.New(t.Context(), db, set, reference.Options{
		PollEvery: -1, DataDir: dir, Clock: time.Now, Match: membermatch.Options{UnsegmentedTag: synth.TagSystem + "|" + synth.TagUnsegmented}, Auth: mode,
		Directory: fstest.MapFS{"acme.json": {Data: []byte(`{"resourceType":"Bundle"}`)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, done := t.Context(), make(chan error, 1)
	go func() { done <- ref.Run(ctx) }()
	hs := httptest.NewServer(ref.Handler())
	t.Cleanup(func() {
		hs.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return guarded{t, hs.URL}
}

func (g guarded) send(method, path, token, contentType, body string) (int, http.Header, string) {
	g.t.Helper()
	to := path
	if strings.HasPrefix(path, "/") {
		to = g.url + path
	}
	req, err := http.NewRequestWithContext(g.t.Context(), method, to, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", token)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(raw)
}

func (g guarded) get(path, token string) int {
	g.t.Helper()
	status, _, _ := g.send("GET", path, token, "", "")
	return status
}

// enrol registers a client and gives its id and secret.
func (g guarded) enrol() (id, secret string) {
	g.t.Helper()
	status, _, body := g.send("POST", "/oauth/register", "", "application/json",
		`{"client_name":"T","token_endpoint_auth_method":"client_secret_post","grant_types":["client_credentials"],"scope":"`+smartauth.MemberMatch+` patient/*.rs system/*.rs"}`)
	var c struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	if err := json.Unmarshal([]byte(body), &c); err != nil || status != 201 || c.Secret == "" {
		g.t.Fatalf("registration: %d %v %s", status, err, body)
	}
	return c.ID, c.Secret
}

func (g guarded) token(id, secret, scope, member string) string {
	g.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}, "scope": {scope}}
	if member != "" {
		form.Set("patient", member)
	}
	status, _, body := g.send("POST", "/oauth/token", "", "application/x-www-form-urlencoded", form.Encode())
	var a struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(body), &a); err != nil || status != 200 {
		g.t.Fatalf("token: %d %v %s", status, err, body)
	}
	return "Bearer " + a.Token
}

// foreignToken is what the public payer client collection sends: nobody here has issued it.
const foreignToken = "Bearer UERleFBheWVyQ2xpZW50VGVzdFBvc3RtYW5EZW1v"

func TestModes(t *testing.T) {
	for mode, want := range map[smartauth.Mode]struct{ none, foreign, operation int }{
		smartauth.Off:      {200, 200, 200},
		"":                 {200, 200, 403}, // optional
		smartauth.Required: {401, 401, 403},
	} {
		t.Run("mode "+string(mode), func(t *testing.T) {
			g := startGuarded(t, mode)
			id, secret := g.enrol()
			own := g.token(id, secret, smartauth.MemberMatch, "")
			for _, c := range []struct {
				token string
				want  int
			}{{"", want.none}, {foreignToken, want.foreign}, {own, want.operation}} {
				if got := g.get("/fhir/Condition?_count=1", c.token); got != c.want {
					t.Errorf("token %.20q: %d, want %d", c.token, got, c.want)
				}
			}
			// A token that was altered is not taken for one from elsewhere.
			if mode != smartauth.Off {
				if got := g.get("/fhir/Condition", own[:len(own)-4]+"AAAA"); got != 401 {
					t.Errorf("an altered token: %d, want 401", got)
				}
			}
			if got := g.get("/%66hir/Condition", ""); got != 404 {
				t.Errorf("an escaped spelling of the base: %d, want 404", got)
			}
			for _, open := range []string{"/fhir/metadata", "/fhir/.well-known/smart-configuration", "/.well-known/smart-configuration", "/fhir/InsurancePlan", "/directory/index.json", "/directory/bundles/acme.json"} {
				if got := g.get(open, ""); got != 200 {
					t.Errorf("%s: %d", open, got)
				}
			}
		})
	}
}

func TestUnknownMode(t *testing.T) {
	db, err := sqldb.Open(t.Context(), sqldb.SQLiteDSN(filepath.Join(t.TempDir(), "a.db")), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	set, err := guideSet()
	if err != nil {
		t.Fatal(err)
	}
	_, err = reference.New(t.Context(), db, set, reference.Options{DataDir: t.TempDir(), Clock: time.Now, Auth: "perhaps"})
	if err == nil || !strings.Contains(err.Error(), `"perhaps" is no mode of authorization`) {
		t.Fatalf("%v", err)
	}
}

// P2P-DSC-02: only where there is an authorization server.
func TestStatementNamesTheEndpoints(t *testing.T) {
	for mode, want := range map[smartauth.Mode]bool{smartauth.Off: false, smartauth.Optional: true} {
		g := startGuarded(t, mode)
		_, _, body := g.send("GET", "/fhir/metadata", "", "", "")
		for _, part := range []string{`"url":"token","valueUri":"` + g.url + `/oauth/token"`, `"url":"register","valueUri":"` + g.url + `/oauth/register"`, `"code":"SMART-on-FHIR"`} {
			if strings.Contains(body, part) != want {
				t.Errorf("%s: %s: %v, want %v", mode, part, !want, want)
			}
		}
	}
}

// TestMemberFlow goes from the match over the member's token to data: one member's and nobody else's (DATA-15, P2P-DAT-10).
// The match itself needs a token for it (P2P-MM-07).
func TestMemberFlow(t *testing.T) {
	g := startGuarded(t, smartauth.Required)
	id, secret := g.enrol()
	op := g.token(id, secret, smartauth.MemberMatch, "")
	for token, want := range map[string]int{"": 401, "Bearer x": 401, g.token(id, secret, "system/Patient.rs", ""): 403} {
		if status, _, body := g.send("POST", "/fhir/Patient/$member-match", token, "application/fhir+json", matchOfOdalys); status != want || !strings.Contains(body, "OperationOutcome") && !strings.Contains(body, "error") {
			t.Errorf("match with token %.12q: %d, want %d", token, status, want)
		}
	}
	status, _, body := g.send("POST", "/fhir/Patient/$member-match", op, "application/fhir+json", matchOfOdalys)
	if status != 200 {
		t.Fatalf("match: %d %s", status, body)
	}
	if got := g.get("/fhir/Patient?identifier=cmu-90417", op); got != 200 {
		t.Errorf("looking the member's id up: %d", got)
	}
	other := g.other(g.token(id, secret, "system/*.rs", ""))
	member := g.token(id, secret, "patient/*.rs", "pt-90417")
	for path, want := range map[string]int{
		"/fhir/Patient/pt-90417":                         200,
		"/fhir/Patient/pt-90417/_history":                200,
		"/fhir/Condition?patient=pt-90417":               200,
		"/fhir/Patient/pt-90417/$everything":             200,
		"/fhir/Patient/" + other.patient:                 403,
		"/fhir/Condition?patient=" + other.patient:       403,
		"/fhir/Coverage/" + other.coverage:               403,
		"/fhir/Coverage/" + other.coverage + "/_history": 403,
		"/fhir/Group":    403,
		"/fhir/$export":  403,
		"/fhir/Coverage": 200,
	} {
		if got := g.get(path, member); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}

	status, h, body := g.send("GET", "/fhir/Patient/$export?_type=Patient,Coverage", member, "", "")
	if status != 202 {
		t.Fatalf("export: %d %s", status, body)
	}
	job := h.Get("Content-Location")
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if status, _, body = g.send("GET", job, member, "", ""); status != 202 || time.Now().After(deadline) {
			break
		}
	}
	var manifest struct{ Output []struct{ Type, URL string } }
	if err := json.Unmarshal([]byte(body), &manifest); err != nil || status != 200 || len(manifest.Output) != 2 {
		t.Fatalf("manifest: %d %v %s", status, err, body)
	}
	for _, f := range manifest.Output {
		_, _, lines := g.send("GET", f.URL, member, "", "")
		for line := range strings.Lines(lines) {
			if !strings.Contains(line, "pt-90417") {
				t.Errorf("%s of somebody else: %.200s", f.Type, line)
			}
		}
		if f.Type == "Patient" && strings.Count(lines, "\n") != 1 {
			t.Errorf("%d Patients", strings.Count(lines, "\n"))
		}
	}
	id2, secret2 := g.enrol()
	stranger := g.token(id2, secret2, "system/*.rs", "")
	for _, url := range []string{job, manifest.Output[0].URL} {
		if got := g.get(url, stranger); got != 404 {
			t.Errorf("another client's job %s: %d, want 404", url, got)
		}
	}
	status, _, body = g.send("POST", "/fhir/Patient/$export", member, "application/fhir+json",
		`{"resourceType":"Parameters","parameter":[{"name":"patient","valueReference":{"reference":"Patient/`+other.patient+`"}}]}`)
	if status != 403 {
		t.Errorf("export of another member: %d %s", status, body)
	}
}

// matchOfOdalys asks for the seeded member pt-90417.
const matchOfOdalys = `{"resourceType":"Parameters","parameter":[
	{"name":"MemberPatient","resource":{"resourceType":"Patient","id":"m","name":[{"family":"Brannigan-Reyes","given":["Odalys"]}],"gender":"female","birthDate":"1979-04-18"}},
	{"name":"CoverageToMatch","resource":{"resourceType":"Coverage","id":"c","status":"active","subscriberId":"CM-778812","beneficiary":{"reference":"Patient/m"},
		"relationship":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/subscriber-relationship","code":"self"}]},"payor":[{"display":"Cedar Mesa"}]}},
	{"name":"Consent","resource":{"resourceType":"Consent","status":"active",
		"scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},
		"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"IDSCL"}]}],
		"patient":{"reference":"Patient/m"},"performer":[{"reference":"Patient/m"}],"sourceReference":{"reference":"https://harborlight.example/fhir/DocumentReference/c"},
		"policy":[{"uri":"http://hl7.org/fhir/us/davinci-hrex/StructureDefinition-hrex-consent.html#sensitive"}],
		"provision":{"type":"permit","period":{"start":"2020-01-01","end":"2099-12-31"},"actor":[
			{"role":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/provenance-participant-type","code":"performer"}]},"reference":{"identifier":{"system":"http://hl7.org/fhir/sid/us-npi","value":"1000008429"}}},
			{"role":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ParticipationType","code":"IRCP"}]},"reference":{"identifier":{"system":"http://hl7.org/fhir/sid/us-npi","value":"1000007314"}}}],
			"action":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentaction","code":"disclose"}]}]}}}]}`

type somebody struct{ patient, coverage string }

// other finds a member who is not the matched one.
func (g guarded) other(token string) somebody {
	g.t.Helper()
	_, _, body := g.send("GET", "/fhir/Coverage?_count=50", token, "", "")
	var b struct {
		Entry []struct {
			Resource struct {
				ID          string
				Beneficiary struct{ Reference string }
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &b); err != nil {
		g.t.Fatal(err)
	}
	for _, e := range b.Entry {
		if p := strings.TrimPrefix(e.Resource.Beneficiary.Reference, "Patient/"); p != "" && p != "pt-90417" {
			return somebody{p, e.Resource.ID}
		}
	}
	g.t.Fatalf("nobody else: %.300s", body)
	return somebody{}
}
