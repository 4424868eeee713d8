package reference_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fhirwire/internal/sqldb"
	"fhirwire/reference"
	"fhirwire/reference/smartauth"
	"fhirwire/validators/guides"
)

// person is a member as somebody else submits them.
type person struct{ id, family, given, gender, born, subscriber string }

var (
	odalys   = person{"m1", "Brannigan-Reyes", "Odalys", "female", "1979-04-18", "CM-778812"}
	stranger = person{"m2", "Nowhere", "Imre", "male", "1970-01-01", "XX"}
	teodora  = person{"m3", "Quillfeather", "Teodora", "female", "1991-01-25", "CM-515151"}
	lucian   = person{"m4", "Ashdown", "Lucian", "male", "1969-09-09", "CM-700010"}
	pell     = person{"m5", "Pell", "Marguerite", "female", "1955-12-30", "CM-700020"}
)

func (p person) bundle(consent string) string {
	return fmt.Sprintf(`{"name":"MemberBundle","part":[
		{"name":"MemberPatient","resource":{"resourceType":"Patient","id":%[1]q,"meta":{"versionId":"3","lastUpdated":"2026-01-01T00:00:00Z","security":[{"code":"R"}]},"name":[{"family":%[2]q,"given":[%[3]q]}],"gender":%[4]q,"birthDate":%[5]q}},
		{"name":"CoverageToMatch","resource":{"resourceType":"Coverage","id":"c-%[1]s","status":"active","subscriberId":%[6]q,"beneficiary":{"reference":"Patient/%[1]s"},"relationship":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/subscriber-relationship","code":"self"}]},"payor":[{"display":"Cedar Mesa"}]}},
		{"name":"Consent","resource":%[7]s}]}`, p.id, p.family, p.given, p.gender, p.born, p.subscriber, strings.ReplaceAll(consent, "WHO", p.id))
}

func hrexConsent(policy, end string) string {
	return `{"resourceType":"Consent","status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"IDSCL"}]}],
		"patient":{"reference":"Patient/WHO"},"policy":[{"uri":"http://hl7.org/fhir/us/davinci-hrex/StructureDefinition-hrex-consent.html#` + policy + `"}],
		"provision":{"type":"permit","period":{"start":"2020-01-01","end":"` + end + `"},"actor":[
		{"role":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/provenance-participant-type","code":"performer"}]},"reference":{"identifier":{"system":"http://hl7.org/fhir/sid/us-npi","value":"1000008429"}}},
		{"role":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ParticipationType","code":"IRCP"}]},"reference":{"identifier":{"system":"http://hl7.org/fhir/sid/us-npi","value":"1000007314"}}}],
		"action":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentaction","code":"disclose"}]}]}}`
}

func attestation(status string) string {
	return `{"resourceType":"Consent","status":"` + status + `","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"IDSCL"}]}],
		"patient":{"reference":"Patient/WHO"},"dateTime":"2026-01-02T13:05:00Z","performer":[{"identifier":{"system":"http://hl7.org/fhir/sid/us-npi","value":"1482103755"}}],
		"organization":[{"identifier":{"system":"http://hl7.org/fhir/sid/us-npi","value":"1992701833"}}],"policy":[{"uri":"https://example.org/attestation"}],
		"provision":{"type":"permit","period":{"start":"2020-02-10"}}}`
}

func bundles(all ...string) string {
	return `{"resourceType":"Parameters","parameter":[` + strings.Join(all, ",") + `]}`
}

// matchGroups are the Groups of a finished match, by their code.
func (s *server) matchGroups(m reply) map[string]map[string]any {
	s.t.Helper()
	out := map[string]map[string]any{}
	for key, line := range s.texts(m, "output") {
		if !strings.HasPrefix(key, "Group/") {
			continue
		}
		var g map[string]any
		if err := json.Unmarshal([]byte(line), &g); err != nil {
			s.t.Fatal(err)
		}
		out[g["code"].(map[string]any)["coding"].([]any)[0].(map[string]any)["code"].(string)] = g
	}
	return out
}

// who are the members of a matched Group as "submitted=ours".
func who(g map[string]any) string {
	var out []string
	members, _ := g["member"].([]any)
	for _, m := range members {
		e := m.(map[string]any)["entity"].(map[string]any)
		sub := e["extension"].([]any)[0].(map[string]any)["valueReference"].(map[string]any)["reference"].(string)
		out = append(out, sub+"="+e["reference"].(string))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// TestBulkMemberMatch: P2P-BLK-01, 03, 04, 07, 08, 10, 111, 115 to 117, 121 to 128, 30, 31, 33, and the export of what matched.
func TestBulkMemberMatch(t *testing.T) {
	s, j := start(t, 0), newJudge(t)
	far := "2099-01-01"
	body := bundles(odalys.bundle(hrexConsent("regular", far)), stranger.bundle(hrexConsent("regular", far)), pell.bundle(hrexConsent("regular", "2021-01-01")),
		lucian.bundle(hrexConsent("sensitive", far)), teodora.bundle(hrexConsent("regular", far)))
	kick := s.do(http.MethodPost, "/Group/$bulk-member-match", body, "Content-Type", "application/fhir+json", "Prefer", "respond-async")
	if kick.status != 202 {
		t.Fatalf("%d %s", kick.status, kick.raw)
	}
	j.check("kick-off", kick.raw)
	m := s.wait(kick.header.Get("Content-Location"))
	if m.json["request"] != s.url+"/Group/$bulk-member-match" || len(m.files("output")) != 2 || m.json["error"] == nil {
		t.Errorf("manifest %s", m.raw)
	}
	for key, line := range s.texts(m, "output") {
		j.check(key, line)
		if strings.Contains(line, `"R"`) || strings.Contains(line, "2021-01-01") {
			t.Errorf("%s tells what it should not: %s", key, line)
		}
	}
	groups := s.matchGroups(m)
	for code, want := range map[string]string{"match": "#m1=Patient/pt-90417", "nomatch": "#m2=#m2", "consentconstraint": "#m3=#m3 #m4=#m4 #m5=#m5"} {
		if got := who(groups[code]); got != want {
			t.Errorf("%s: %s, want %s", code, got, want)
		}
	}
	path := "/Group/" + groups["match"]["id"].(string)
	if r := s.get(path); r.status != 200 || who(r.json) != "#m1=Patient/pt-90417" {
		t.Errorf("read of the Group: %d %s", r.status, r.raw)
	}
	data := s.wait(s.dataExport(path, "exportType", "valueCanonical", `"hl7.fhir.us.davinci-pdex#payertopayer"`).header.Get("Content-Location"))
	all := s.texts(data, "output")
	restricted := 0
	for key, line := range all {
		j.check(key, line)
		if strings.Contains(line, `v3-Confidentiality","code":"R"`) {
			restricted++
		}
	}
	if all["Patient/pt-90417"] == "" || len(all) < 50 || restricted != 0 {
		t.Errorf("regular consent: %d resources, %d restricted", len(all), restricted)
	}
	kick = s.do(http.MethodPost, "/Group/$bulk-member-match", bundles(odalys.bundle(hrexConsent("sensitive", far))), "Content-Type", "application/fhir+json", "Prefer", "respond-async")
	path = "/Group/" + s.matchGroups(s.wait(kick.header.Get("Content-Location")))["match"]["id"].(string)
	for _, line := range s.texts(s.wait(s.dataExport(path).header.Get("Content-Location")), "output") {
		if strings.Contains(line, `v3-Confidentiality","code":"R"`) {
			restricted++
		}
	}
	if restricted == 0 {
		t.Error("sensitive consent: nothing restricted")
	}
	j.report()
}

// TestProviderMemberMatch: ATR-01, PMM-16, PMM-02, 03, 05, 06, 08, 09, 12 to 14; CF-08, CF-09; ATR-45.
func TestProviderMemberMatch(t *testing.T) {
	s, j := start(t, 0), newJudge(t)
	body := bundles(odalys.bundle(attestation("active")), stranger.bundle(attestation("active")), lucian.bundle(attestation("active")), pell.bundle(attestation("entered-in-error")))
	sync := s.do(http.MethodPost, "/Group/$provider-member-match", body, "Content-Type", "application/fhir+json")
	if sync.status != 200 {
		t.Fatalf("%d %s", sync.status, sync.raw)
	}
	j.check("at once", sync.raw)
	var names []string
	for _, p := range sync.json["parameter"].([]any) {
		p := p.(map[string]any)
		names = append(names, p["name"].(string)+" "+who(p["resource"].(map[string]any)))
	}
	want := []string{"MatchedMembers #m1=Patient/pt-90417", "NonMatchedMembers #m2=#m2 #m5=#m5", "ConsentConstrainedMembers #m4=#m4"}
	if !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
	kick := s.do(http.MethodPost, "/Group/$provider-member-match", body, "Content-Type", "application/fhir+json", "Prefer", "respond-async, handling=lenient")
	m := s.wait(kick.header.Get("Content-Location"))
	groups := s.matchGroups(m)
	for key, line := range s.texts(m, "output") {
		j.check(key, line)
	}
	if len(groups) != 3 || who(groups["match"]) != "#m1=Patient/pt-90417" {
		t.Errorf("groups %v", groups)
	}
	if profile := fmt.Sprint(groups["consentconstraint"]["meta"].(map[string]any)["profile"]); !strings.Contains(profile, "pdex-member-opt-out") { // CF-31
		t.Errorf("profile %s", profile)
	}
	found := s.get("/Group?code=match&identifier=1992701833").ids("match")
	if !slices.Contains(found, "Group/"+groups["match"]["id"].(string)) || len(found) != 2 {
		t.Errorf("PMM-12: search finds %v", found)
	}
	nobody := s.do(http.MethodPost, "/Group/$provider-member-match", bundles(stranger.bundle(attestation("active"))), "Content-Type", "application/fhir+json")
	if nobody.status != 200 || !strings.Contains(nobody.raw, `"quantity":0`) {
		t.Errorf("nobody: %d %s", nobody.status, nobody.raw)
	}
	many := slices.Repeat([]string{odalys.bundle(attestation("active"))}, 11)
	if r := s.do(http.MethodPost, "/Group/$provider-member-match", bundles(many...), "Content-Type", "application/fhir+json"); r.status != 400 || issueCode(r) != "required" {
		t.Errorf("eleven at once: %d %s", r.status, r.raw)
	}
	j.report()
}

// TestMatchRefuses: P2P-BLK-05, 06, 12, 101, 102, 104; PMM-14.
func TestMatchRefuses(t *testing.T) {
	s, j := start(t, 0), newJudge(t)
	good := odalys.bundle(hrexConsent("regular", "2099-01-01"))
	other := strings.ReplaceAll(good, "Odalys", "Another")
	for _, tt := range []struct {
		name, body string
		status     int
		code       string
	}{
		{"no bundle", bundles(), 422, "required"},
		{"no Consent", bundles(good[:strings.Index(good, `,
		{"name":"Consent"`)] + "]}"), 422, "required"},
		{"wrong type", bundles(strings.ReplaceAll(good, `"resourceType":"Coverage"`, `"resourceType":"Claim"`)), 422, "structure"},
		{"no family name", bundles(good, strings.ReplaceAll(good, `"birthDate":"1979-04-18"`, `"birthDate":"1979"`)), 422, "required"},
		{"another parameter", bundles(good, `{"name":"x","valueString":"y"}`), 422, "structure"},
		{"same id", bundles(good, other), 422, "duplicate"},
		{"no Parameters", `{"resourceType":"Bundle","type":"batch"}`, 400, "structure"},
		{"no JSON", `{`, 400, "structure"},
	} {
		for _, op := range []string{"$bulk-member-match", "$provider-member-match"} {
			r := s.do(http.MethodPost, "/Group/"+op, tt.body, "Content-Type", "application/fhir+json", "Prefer", "respond-async")
			if r.status != tt.status || issueCode(r) != tt.code {
				t.Errorf("%s %s: %d %s, want %d %s", op, tt.name, r.status, r.raw, tt.status, tt.code)
			}
			j.check(tt.name, r.raw)
		}
	}
	if r := s.do(http.MethodPost, "/Group/$bulk-member-match", bundles(good), "Content-Type", "application/fhir+json"); r.status != 400 || issueCode(r) != "required" {
		t.Errorf("no Prefer: %d", r.status)
	}
	if r := s.get("/Group/$bulk-member-match"); r.status != 405 {
		t.Errorf("GET: %d", r.status)
	}
	j.report()
}

// TestSameMemberTwice: P2P-BLK-11.
func TestSameMemberTwice(t *testing.T) {
	s, j := start(t, 0), newJudge(t)
	one := odalys.bundle(hrexConsent("regular", "2099-01-01"))
	two := strings.ReplaceAll(strings.ReplaceAll(one, "CM-778812", "XX"), "c-m1", "c2-m1")
	kick := s.do(http.MethodPost, "/Group/$bulk-member-match", bundles(one, one, two), "Content-Type", "application/fhir+json", "Prefer", "respond-async")
	m := s.wait(kick.header.Get("Content-Location"))
	groups := s.matchGroups(m)
	for key, line := range s.texts(m, "output") {
		j.check(key, line)
	}
	if len(groups["match"]["contained"].([]any)) != 3 || strings.Count(fmt.Sprint(groups["match"]), "base-ext-match-coverage") != 2 || who(groups["nomatch"]) != "#m1=#m1" {
		t.Errorf("%v", groups)
	}
	j.report()
}

// TestMatchedGroupsAreTheirClients: ATR-45, ATR-46, P2P-BLK-13, 14, 36, PMM-11, PMM-15, BULK-KO-10.
func TestMatchedGroupsAreTheirClients(t *testing.T) {
	s := start(t, 0)
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := r.Header.Get("X-Client"); name != "" {
			r = r.WithContext(smartauth.WithGrant(r.Context(), &smartauth.Grant{Client: name}))
		}
		s.ref.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(hs.Close)
	s.url = hs.URL + "/fhir"
	r := s.do(http.MethodPost, "/Group/$provider-member-match", bundles(odalys.bundle(attestation("active"))), "X-Client", "a", "Content-Type", "application/fhir+json")
	id := r.json["parameter"].([]any)[0].(map[string]any)["resource"].(map[string]any)["id"].(string)
	for _, tt := range []struct {
		client string
		status int
		found  int
	}{{"a", 200, 1}, {"b", 404, 0}, {"", 404, 0}} {
		for _, path := range []string{"/Group/" + id, "/Group/" + id + "/_history", "/Group/" + id + "/_history/1"} {
			if r := s.get(path, "X-Client", tt.client); r.status != tt.status {
				t.Errorf("%q GET %s: %d", tt.client, path, r.status)
			}
		}
		kick := s.get("/Group/"+id+"/$export?_type=Patient", "X-Client", tt.client)
		if want := map[int]int{200: 202, 404: 404}[tt.status]; kick.status != want {
			t.Errorf("%q export: %d", tt.client, kick.status)
		}
		if r := s.get("/Group?code=match", "X-Client", tt.client); len(r.ids("match")) != tt.found || r.json["total"] != float64(tt.found) || strings.Contains(r.link("self"), id) {
			t.Errorf("%q search: %s", tt.client, r.raw)
		}
		if r := s.call("/Group/"+id+"/$attribution-status", "patientReference", "valueReference", ref("Patient/pt-90417")); tt.client == "" && r.status != 404 {
			t.Errorf("status: %d", r.status)
		}
	}
}

// TestMatchesNeedTheirGuide: the operations are there with PDex 2.2.0 only, and announced then: P2P-CAP-03, BULK-KO-17.
func TestMatchesNeedTheirGuide(t *testing.T) {
	s := start(t, 0)
	if r := s.get("/metadata"); !strings.Contains(r.raw, `"provider-member-match"`) || !strings.Contains(r.raw, `"davinci-data-export"`) || !strings.Contains(r.raw, `"member-add"`) {
		t.Error("operations are not announced")
	}
	lib, err := guides.Load()
	if err != nil {
		t.Fatal(err)
	}
	set, err := lib.Set("hl7.fhir.us.davinci-pdex#2.0.0", "hl7.fhir.us.core#3.1.1", "hl7.fhir.us.davinci-hrex#1.0.0", "hl7.fhir.us.davinci-atr#2.1.0", "hl7.fhir.us.carin-bb#2.0.0")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	db, err := sqldb.Open(t.Context(), sqldb.SQLiteDSN(filepath.Join(dir, "x.db")), sqldb.Options{Synchronous: "off"})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // a test's
	old, err := reference.New(t.Context(), db, set, reference.Options{DataDir: dir, Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	hs := httptest.NewServer(old.Handler())
	defer hs.Close()
	s.url = hs.URL + "/fhir"
	if r := s.do(http.MethodPost, "/Group/$bulk-member-match", "{}", "Prefer", "respond-async"); r.status != 404 {
		t.Errorf("PDex 2.0.0: %d", r.status)
	}
	if r := s.get("/metadata"); strings.Contains(r.raw, "member-match\"") && strings.Contains(r.raw, "bulk-member-match") || !strings.Contains(r.raw, "characteristic-value-reference") {
		t.Error("PDex 2.0.0 announces what it has not, or lacks ATR-43")
	}
}

// TestGuideExamples: the guide's own requests are understood.
func TestGuideExamples(t *testing.T) {
	found := examplesOf(t, filepath.Join(sharedFolder(), "fhir-packages", "hl7.fhir.us.davinci-pdex-2.2.0.tgz"),
		"Parameters-payer-multi-member-match-in.json", "Parameters-provider-member-match-request-001.json")
	s, j := start(t, 0), newJudge(t)
	for i, op := range []string{"$bulk-member-match", "$provider-member-match"} {
		r := s.do(http.MethodPost, "/Group/"+op, found[i], "Content-Type", "application/fhir+json", "Prefer", "respond-async")
		if r.status != 202 {
			t.Errorf("%s: %d %s", op, r.status, r.raw)
			continue
		}
		for key, line := range s.texts(s.wait(r.header.Get("Content-Location")), "output") {
			j.check(key, line)
		}
	}
	for kind := range j.seen { // CF-09: the profile wants a member, and the answer has to be there with nobody in it
		if strings.HasPrefix(kind, "cardinality-min") && strings.HasSuffix(strings.TrimSpace(kind), "Group.member is missing.") {
			delete(j.seen, kind)
		}
	}
	j.report()
}

// TestStatementClaimsTheChosenGuides: what a chosen guide depends on in another version is no claim of the server.
func TestStatementClaimsTheChosenGuides(t *testing.T) {
	lib, err := guides.Load()
	if err != nil {
		t.Fatal(err)
	}
	chosen := []string{"hl7.fhir.us.davinci-pdex#2.2.0", "hl7.fhir.us.core#6.1.0", "hl7.fhir.us.davinci-hrex#1.0.0"}
	set, err := lib.Set(chosen...)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open(t.Context(), sqldb.SQLiteDSN(filepath.Join(t.TempDir(), "x.db")), sqldb.Options{Synchronous: "off"})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // a test's
	ref, err := reference.New(t.Context(), db, set, reference.Options{DataDir: t.TempDir(), Clock: time.Now, Guides: chosen})
	if err != nil {
		t.Fatal(err)
	}
	hs := httptest.NewServer(ref.Handler())
	defer hs.Close()
	s := &server{t: t, url: hs.URL + "/fhir"}
	claimed, _ := s.get("/metadata").json["implementationGuide"].([]any)
	for _, g := range claimed {
		if _, version, _ := strings.Cut(g.(string), "|"); !slices.ContainsFunc(chosen, func(id string) bool { return strings.HasSuffix(id, "#"+version) }) {
			t.Errorf("%s was not chosen", g)
		}
	}
	if len(claimed) != len(chosen) {
		t.Errorf("claims %v", claimed)
	}
}
