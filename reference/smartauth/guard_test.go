package smartauth

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestScopes(t *testing.T) { // AUTH-14, P2P-TOK-121 to 124
	for _, tt := range []struct {
		scope string
		ok    bool
		want  Scope
	}{
		{"system/*.read", true, Scope{Context: "system", Type: "*", Rights: Read | Search}},
		{"system/*.rs", true, Scope{Context: "system", Type: "*", Rights: Read | Search}},
		{"system/Group.cud", true, Scope{Context: "system", Type: "Group", Rights: Create | Update | Delete}},
		{"system/Group.write", true, Scope{Context: "system", Type: "Group", Rights: Create | Update | Delete}},
		{"patient/Observation.*", true, Scope{Context: "patient", Type: "Observation", Rights: allRights}},
		{MemberMatch, true, Scope{Operation: MemberMatch}},
		{bulkMemberMatch21, true, Scope{Operation: BulkMemberMatch}},
		{"system.Group.u?code=http://hl7.org/fhir/us/davinci-pdex/ValueSet/PDexMultiMemberMatchResultVS|match", true, Scope{Context: "system", Type: "Group", Rights: Read | Search}},
		{"system/*.sr", false, Scope{}},
		{"system/*.rr", false, Scope{}},
		{"system/*.", false, Scope{}},
		{"system/.rs", false, Scope{}},
		{"system/patient.rs", false, Scope{}},
		{"user/*.rs", false, Scope{}},
		{"system/Observation.rs?category=x", false, Scope{}},
		{"launch", false, Scope{}},
		{"", false, Scope{}},
	} {
		got, ok := ParseScope(tt.scope)
		if ok && got.String() != tt.scope {
			t.Errorf("%q prints as %q", tt.scope, got)
		}
		if got.literal = ""; ok != tt.ok || ok && got != tt.want {
			t.Errorf("%q: %+v %v, want %+v %v", tt.scope, got, ok, tt.want, tt.ok)
		}
	}
	for _, tt := range []struct{ asked, allowed, want string }{
		{"system/*.rs", "system/*.read", "system/*.rs"},
		{"system/*.rs", "system/Patient.rs system/Group.cruds", "system/Patient.rs system/Group.rs"},
		{"system/*.*", "system/*.rs", ""},
		{"system/Patient.r", "system/*.rs", "system/Patient.r"},
		{"patient/*.rs", "system/*.rs", ""},
		{bulkMemberMatch21, BulkMemberMatch, bulkMemberMatch21},
		{MemberMatch, "system/*.cruds", ""},
	} {
		if got := ParseScopes(tt.asked).within(ParseScopes(tt.allowed)).String(); got != tt.want {
			t.Errorf("%s within %s: %q, want %q", tt.asked, tt.allowed, got, tt.want)
		}
	}
	for _, tt := range []struct{ asked, allowed, want string }{
		{"system/*.cruds", "system/*.rs system/*.read system/Group.cruds patient/*.rs", "system/*.rs system/Group.cruds"},
		{"system/*.*", "system/*.rs", "system/*.rs"},
		{"patient/*.* system/Patient.*", "system/*.rs patient/*.rs", "patient/*.rs system/Patient.rs"},
		{"system/Patient.cud", "system/*.rs", ""},
		{"system/*.rs system/*.rs", "system/*.rs", "system/*.rs"},
		{MemberMatch, "system/*.cruds", ""},
	} {
		if got := ParseScopes(tt.asked).offered(ParseScopes(tt.allowed)).String(); got != tt.want {
			t.Errorf("%s offered of %s: %q, want %q", tt.asked, tt.allowed, got, tt.want)
		}
	}
}

func TestAuthorize(t *testing.T) { // P2P-TOK-04, 06; AUTH-13, BULK-KO-06, BULK-FI-03, FORM-BLK-59, P2P-BLK-02
	w := newWorld(t, Options{})
	p := w.newParty()
	token := p.token("system/Patient.rs", nil)
	need := func(typ string, r Rights) Need { return Need{{{Type: typ, Rights: r}}} }
	for _, tt := range []struct {
		name      string
		header    []string
		after     time.Duration
		need      Need
		status    int
		challenge string
	}{
		{"good", []string{"Bearer " + token}, 0, need("Patient", Read), 0, ""},
		{"scheme in lower case", []string{"bearer " + token}, 0, need("Patient", Search), 0, ""},
		{"no token", nil, 0, nil, 401, `Bearer realm="fhirwire"`},
		{"basic", []string{"Basic eDp5"}, 0, nil, 401, `Bearer realm="fhirwire"`},
		{"not ours", []string{"Bearer abc"}, 0, nil, 401, `error="invalid_token"`},
		{"tampered", []string{"Bearer " + token[:len(token)-2] + "AA"}, 0, nil, 401, `error="invalid_token"`},
		{"oversize", []string{"Bearer " + strings.Repeat("a", maxToken+1)}, 0, nil, 401, `error="invalid_token"`},
		{"two headers", []string{"Bearer " + token, "Bearer x"}, 0, nil, 400, `error="invalid_request"`},
		{"other type", []string{"Bearer " + token}, 0, need("Observation", Read), 403, `error="insufficient_scope"`},
		{"other right", []string{"Bearer " + token}, 0, need("Patient", Update), 403, `scope="system/Patient.u"`},
		{"expired", []string{"Bearer " + token}, 300 * time.Second, need("Patient", Read), 401, `error="invalid_token"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			start := w.now
			defer func() { w.now = start }()
			w.now = w.now.Add(tt.after)
			r := withBearer(t, "/fhir/Patient/1", "")
			r.Header["Authorization"] = tt.header
			_, err := w.Authorize(r, tt.need)
			if tt.status == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			e, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatal(err)
			}
			rec := httptest.NewRecorder()
			WriteFailure(rec, e)
			if rec.Code != tt.status || !strings.Contains(rec.Header().Get("WWW-Authenticate"), tt.challenge) || tt.header == nil && strings.Contains(rec.Header().Get("WWW-Authenticate"), "error") {
				t.Errorf("%d %v", rec.Code, rec.Header())
			}
			var outcome struct {
				ResourceType string
				Issue        []struct{ Severity, Code, Diagnostics string }
			}
			if err := json.Unmarshal(rec.Body.Bytes(), &outcome); err != nil || outcome.ResourceType != "OperationOutcome" || len(outcome.Issue) != 1 || outcome.Issue[0].Diagnostics == "" {
				t.Errorf("%s: %v", rec.Body, err)
			}
			if strings.Contains(rec.Body.String(), token) {
				t.Error("the token is in the answer")
			}
		})
	}
}

func TestNeeds(t *testing.T) {
	for _, tt := range []struct {
		method, target, scopes string
		ok                     bool
	}{
		{"GET", "Patient/1", "system/Patient.r", true},
		{"GET", "Patient/1", "system/Patient.s", false},
		{"GET", "Patient?name=x", "system/Patient.s", true},
		{"POST", "Patient/_search", "system/Patient.s", true},
		{"GET", "Patient?_revinclude=Provenance:target", "system/Patient.rs", false},
		{"GET", "Patient?_revinclude=Provenance:target", "system/Patient.rs system/Provenance.r", true},
		{"GET", "Observation?_include=Observation:subject:Patient", "system/Observation.rs system/Patient.r", true},
		{"GET", "Observation?_include=Observation:subject", "system/Observation.rs system/Patient.r", false},
		{"GET", "Observation?_include=*", "system/*.rs", true},
		{"GET", "Patient?_has:Observation:patient:code=x", "system/Patient.rs", false},
		{"GET", "Patient?_has:Observation:patient:code=x", "system/Patient.rs system/Observation.s", true},
		{"GET", "Patient?_has:Observation:patient:_has:Provenance:target:agent=x", "system/Patient.rs system/Observation.s", false},
		{"GET", "Patient?_has:x", "system/Patient.rs", false},
		{"GET", "Patient/1/Observation?code=x", "system/Patient.rs", false},
		{"GET", "Patient/1/Observation?code=x", "system/Observation.s", true},
		{"POST", "Patient/1/Observation/_search", "system/Observation.s", true},
		{"PATCH", "Patient/1", "system/Patient.rs", false},
		{"PATCH", "Patient/1", "system/Patient.u", true},
		{"POST", "Patient", "system/*.rs", false},
		{"POST", "Patient", "system/Patient.c", true},
		{"PUT", "Patient/1", "system/Patient.u", true},
		{"DELETE", "Patient/1", "system/Patient.cu", false},
		{"POST", "", "system/*.rs", false},
		{"POST", "", "system/*.cruds", true},
		{"GET", "$export", "system/Patient.rs", false},
		{"GET", "$export?_type=Patient,Group", "system/Patient.rs system/Group.rs", true},
		{"GET", "$export?_type=Patient,Observation", "system/Patient.rs", false},
		{"GET", "Group/1/$export", "system/*.rs", true},
		{"GET", "Group/1/$export?_type=Patient", "system/Patient.read", true},
		{"GET", "Group/1/$export?_type=Patient,Group", "system/Patient.read", false},
		{"GET", "Group/1/$davinci-data-export?_type=Patient", "system/Patient.rs", false},
		{"GET", "Patient/$export", "patient/*.rs", true},
		{"GET", "bulk/1/status", "system/Patient.rs", true},
		{"GET", "Patient/1/$everything", "patient/*.rs", true},
		{"GET", "Patient/1/$everything", "system/Patient.rs", false},
		{"POST", "Patient/$member-match", MemberMatch, true},
		{"POST", "Patient/$member-match", "system/*.rs", true},
		{"POST", "Patient/$member-match", "system/Patient.rs", false},
		{"POST", "Group/$bulk-member-match", bulkMemberMatch21, true},
		{"POST", "Group/$bulk-member-match", MemberMatch, false},
		{"POST", "Group/$provider-member-match", "system/Group.c", true},
		{"POST", "Group/1/$member-add", "system/Group.rs", false},
		{"POST", "Group/1/$member-add", "system/Group.write", true},
		{"GET", "Patient/1", MemberMatch, false}, // P2P-TOK-15
	} {
		path, query, _ := strings.Cut(tt.target, "?")
		params, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		granted, ok := ParseScopes(tt.scopes), true
		for _, alternatives := range readRequest(tt.method, "/"+path, params).need() {
			met := false
			for _, n := range alternatives {
				met = met || granted.Covers(n)
			}
			ok = ok && met
		}
		if ok != tt.ok {
			t.Errorf("%s %s with %s: %v", tt.method, tt.target, tt.scopes, ok)
		}
	}
}

// echo answers with what reached it.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = io.WriteString(w, r.URL.RequestURI()+"|"+string(body)+"|"+r.Header.Get("Prefer"))
}

func TestProtectLimitsToTheMember(t *testing.T) { // P2P-TOK-21, USC-SRCH-10
	w := newWorld(t, Options{})
	p := w.newParty()
	if err := w.RecordMatch(t.Context(), Match{Client: p.id, Patient: "p1"}); err != nil {
		t.Fatal(err)
	}
	token := p.token("patient/*.rs", url.Values{"patient": {"p1"}})
	owner := func(_ context.Context, typ, id string, past bool) ([]string, error) {
		switch typ + "/" + id {
		case "Observation/o1":
			return []string{"p1"}, nil
		case "Observation/moved":
			if past {
				return []string{"p2", "p1"}, nil
			}
			return []string{"p1"}, nil
		case "Observation/o2":
			return []string{"p2"}, nil
		default:
			return nil, nil
		}
	}
	h := w.Protect(http.HandlerFunc(echo), ProtectOptions{
		Mode: Required, Owner: owner, Searches: func(typ, param string) bool { return typ != "Media" },
	})
	for _, tt := range []struct {
		method, target, body string
		status               int
		passed               string
	}{
		{"GET", "/fhir/Patient/p1", "", 200, "/fhir/Patient/p1||"},
		{"GET", "/fhir/Patient/p2", "", 403, ""},
		{"GET", "/fhir/Patient/p2/_history/1", "", 403, ""},
		{"GET", "/fhir/Patient%2Fp1", "", 403, ""},
		{"GET", "/fhir/Patient", "", 200, "/fhir/Patient?_id=p1||"},
		{"GET", "/fhir/Patient?_id=p2", "", 403, ""},
		{"GET", "/fhir/Patient?_id=p1,p2", "", 403, ""},
		{"GET", "/fhir/Observation?code=x", "", 200, "/fhir/Observation?code=x&patient=Patient%2Fp1||"},
		{"GET", "/fhir/Observation?patient=p2", "", 403, ""},
		{"GET", "/fhir/Observation?subject=Patient/p2", "", 403, ""},
		{"GET", "/fhir/Observation?patient=Patient/p1", "", 200, "/fhir/Observation?patient=Patient%2Fp1||"},
		{"GET", "/fhir/Observation?subject:Patient=p2", "", 403, ""},
		{"GET", "/fhir/Observation/o1", "", 200, "/fhir/Observation/o1||"},
		{"GET", "/fhir/Observation/o2", "", 403, ""},
		{"GET", "/fhir/Observation/o2/_history", "", 403, ""},
		{"GET", "/fhir/Observation/_history", "", 403, ""},
		{"GET", "/fhir/Observation/moved", "", 200, "/fhir/Observation/moved||"},
		{"GET", "/fhir/Observation/moved/_history", "", 403, ""},
		{"GET", "/fhir/Observation/moved/_history/1", "", 403, ""},
		{"GET", "/fhir/Observation/o9", "", 200, "/fhir/Observation/o9||"},
		{"POST", "/fhir/Observation/_search?code=x", "status=final", 200, "/fhir/Observation/_search|code=x&patient=Patient%2Fp1&status=final|"},
		{"POST", "/fhir/Observation/_search", "patient=p2", 403, ""},
		{"GET", "/fhir/Organization?_id=o", "", 200, "/fhir/Organization?_id=o||"},
		{"GET", "/fhir/Practitioner?_revinclude=Observation:performer", "", 403, ""},
		{"GET", "/fhir/Observation?_revinclude:iterate=Observation:performer", "", 403, ""},
		{"GET", "/fhir/Observation?_revinclude=Provenance:target", "", 200, "/fhir/Observation?_revinclude=Provenance%3Atarget&patient=Patient%2Fp1||"},
		{"GET", "/fhir/Coverage?_include=Coverage:subscriber", "", 403, ""},
		{"GET", "/fhir/Patient?_revinclude=Group:member", "", 403, ""},
		{"GET", "/fhir/Practitioner?_has:Observation:performer:code=x", "", 403, ""},
		{"GET", "/fhir/Patient/p1/Observation?code=x", "", 200, "/fhir/Patient/p1/Observation?code=x&patient=Patient%2Fp1||"},
		{"GET", "/fhir/Patient/p2/Observation?code=x", "", 403, ""},
		{"GET", "/fhir/Patient/p2/Observation?patient=p1", "", 403, ""},
		{"GET", "/fhir/Patient/p1/Observation?patient=p2", "", 403, ""},
		{"POST", "/fhir/Patient/p2/Observation/_search", "code=x", 403, ""},
		{"GET", "/fhir/Patient/p1/Group", "", 403, ""},
		{"PATCH", "/fhir/Patient/p1", "[]", 403, ""},
		{"GET", "/fhir/Group/g1", "", 403, ""},
		{"GET", "/fhir/Media", "", 403, ""},
		{"GET", "/fhir/Patient/p1/$everything", "", 200, "/fhir/Patient/p1/$everything||"},
		{"GET", "/fhir/Patient/p2/$everything", "", 403, ""},
		{"GET", "/fhir/DocumentReference/$docref?patient=p1", "", 200, "/fhir/DocumentReference/$docref?patient=p1||"},
		{"GET", "/fhir/DocumentReference/$docref?patient=p2", "", 403, ""},
		{"GET", "/fhir/DocumentReference/$docref?patient=p1&patient=p2", "", 403, ""},
		{"GET", "/fhir/DocumentReference/$docref", "", 403, ""},
		{"POST", "/fhir/DocumentReference/$docref?patient=p1", "", 403, ""},
		{"GET", "/fhir/Patient/$export", "", 403, ""},
		{"GET", "/fhir/Group/g1/$export", "", 403, ""},
		{"POST", "/fhir/Patient/$member-match", "", 403, ""},
		{"POST", "/fhir/Patient", "{}", 403, ""},
		{"DELETE", "/fhir/Patient/p1", "", 403, ""},
		{"POST", "/fhir", "{}", 403, ""},
		{"GET", "/fhir?_type=Patient", "", 403, ""},
		{"GET", "/elsewhere", "", 200, "/elsewhere||"},
		{"GET", "/fhirx/Patient/p2", "", 200, "/fhirx/Patient/p2||"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.target, strings.NewReader(tt.body))
		r.Header.Set("Authorization", "Bearer "+token)
		if tt.method == http.MethodPost {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code != tt.status || tt.status == 200 && rec.Body.String() != tt.passed {
			t.Errorf("%s %s: %d %s, want %d %s", tt.method, tt.target, rec.Code, rec.Body, tt.status, tt.passed)
		}
	}
}

func TestProtectModes(t *testing.T) {
	w := newWorld(t, Options{})
	p := w.newParty()
	token := p.token("system/Patient.rs", nil)
	for _, tt := range []struct {
		mode          Mode
		target, token string
		status        int
	}{
		{Off, "/fhir/Patient/1", "", 200},
		{Off, "/fhir/Patient/1", "bad", 200},
		{Optional, "/fhir/Patient/1", "", 200},
		{Optional, "/fhir/Patient/1", "bad", 401},
		{Optional, "/fhir/Observation/1", token, 403},
		{Required, "/fhir/Patient/1", "", 401},
		{Required, "/fhir/Patient/1", token, 200},
		{Required, "/fhir/metadata", "", 200}, // P2P-DSC-03
		{Required, "/fhir/.well-known/smart-configuration", "", 200},
		{Required, "/fhir", "", 401},
	} {
		rec := httptest.NewRecorder()
		w.Protect(http.HandlerFunc(echo), ProtectOptions{Mode: tt.mode}).ServeHTTP(rec, withBearer(t, tt.target, tt.token))
		if rec.Code != tt.status {
			t.Errorf("%s %s: %d, want %d", tt.mode, tt.target, rec.Code, tt.status)
		}
	}
	var got *Grant
	h := w.Protect(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = GrantFrom(r.Context()) }), ProtectOptions{Mode: Required})
	h.ServeHTTP(httptest.NewRecorder(), withBearer(t, "/fhir/Patient/1", token))
	if got == nil || got.Client != p.id {
		t.Errorf("grant in the context: %+v", got)
	}
}

func TestOperationTokenLooksItsMemberUp(t *testing.T) { // P2P-TOK-15, 125
	w := newWorld(t, Options{})
	p := w.newParty()
	if err := w.RecordMatch(t.Context(), Match{Client: p.id, Patient: "p1", Identifier: "cmu-1"}); err != nil {
		t.Fatal(err)
	}
	token := p.token(MemberMatch, nil)
	h := w.Protect(http.HandlerFunc(echo), ProtectOptions{Mode: Required, IdentifierLookup: true})
	ask := func(target string) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, withBearer(t, target, token))
		return rec
	}
	if rec := ask("/fhir/Patient?identifier=https://x|cmu-1"); rec.Code != 200 || !strings.Contains(rec.Body.String(), "_id=p1") {
		t.Errorf("own match: %d %s", rec.Code, rec.Body)
	}
	for _, target := range []string{
		"/fhir/Patient?identifier=cmu-2", "/fhir/Patient?identifier=cmu-1,cmu-2", "/fhir/Patient?identifier=cmu-1&_revinclude=Observation:subject",
		"/fhir/Patient/p1", "/fhir/Observation?patient=p1", "/fhir/Patient",
	} {
		if rec := ask(target); rec.Code != 403 {
			t.Errorf("%s: %d %s", target, rec.Code, rec.Body)
		}
	}
	w.now = w.now.Add(25 * time.Hour)
	token = p.token(MemberMatch, nil)
	if rec := ask("/fhir/Patient?identifier=cmu-1"); rec.Code != 403 {
		t.Errorf("a day later: %d", rec.Code)
	}
}

func TestOneTokenThroughout(t *testing.T) { // P2P-TOK-15: the flag that merges both
	w := newWorld(t, Options{OperationReadsData: true})
	p := w.newParty()
	h := w.Protect(http.HandlerFunc(echo), ProtectOptions{Mode: Required})
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, withBearer(t, "/fhir/Observation?patient=p1", p.token(MemberMatch, nil)))
	if rec.Code != 200 {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

func TestOpenTypes(t *testing.T) {
	w := newWorld(t, Options{})
	h := w.Protect(http.HandlerFunc(echo), ProtectOptions{Mode: Required, Open: []string{"InsurancePlan", "Basic"}})
	for target, status := range map[string]int{
		"/fhir/InsurancePlan?status=active": 200, "/fhir/InsurancePlan/1": 200, "/fhir/InsurancePlan?_revinclude=Basic:subject": 200,
		"/fhir/InsurancePlan?_revinclude=Coverage:plan": 401, "/fhir/InsurancePlan?_has:Coverage:plan:beneficiary=1": 401, "/fhir/InsurancePlan?_include=*": 401,
		"/fhir/Basic?subject:Patient.name=x": 401, "/fhir/InsurancePlan/$export": 401, "/fhir/Patient": 401,
	} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, withBearer(t, target, ""))
		if rec.Code != status {
			t.Errorf("%s: %d, want %d", target, rec.Code, status)
		}
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/fhir/InsurancePlan", strings.NewReader("{}")))
	if rec.Code != 401 {
		t.Errorf("create: %d", rec.Code)
	}
}

func TestOpenTypesThatTheHandlerKeepsTo(t *testing.T) {
	w := newWorld(t, Options{})
	var only []string
	h := w.Protect(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { only = OpenTypes(r.Context()) }),
		ProtectOptions{Mode: Required, Open: []string{"InsurancePlan", "Basic"}, NarrowsOpen: true})
	for target, status := range map[string]int{
		"/fhir/InsurancePlan?_include=*": 200, "/fhir/Basic?subject.name=x": 200, "/fhir/InsurancePlan?_has:Basic:formulary:code=x": 200,
		"/fhir/InsurancePlan?_has:Basic:formulary:_has:Coverage:x:y=1": 401, "/fhir/InsurancePlan?_has:Coverage:plan:beneficiary=1": 401,
		"/fhir/InsurancePlan?_include=InsurancePlan:owned-by:Organization": 401, "/fhir/InsurancePlan?_has=1": 200, "/fhir/InsurancePlan?_has:=1": 401,
	} {
		only = nil
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, withBearer(t, target, ""))
		if rec.Code != status || status == 200 && len(only) != 2 {
			t.Errorf("%s: %d, want %d; %v", target, rec.Code, status, only)
		}
	}
}
