package membermatch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"fhirwire/reference/membermatch"
)

// payer is a Lookup over a handful of resources.
type payer struct {
	patients []string
	coverage map[string][]string
	consents map[string][]string
	err      error
}

func (p *payer) Search(_ context.Context, resourceType, parameter, value string) ([][]byte, error) {
	if p.err != nil {
		return nil, p.err
	}
	var found []string
	switch resourceType + "." + parameter {
	case "Patient.birthdate":
		for _, r := range p.patients {
			if strings.Contains(r, `"birthDate":"`+value+`"`) {
				found = append(found, r)
			}
		}
	case "Coverage.patient":
		found = p.coverage[value]
	case "Consent.patient":
		found = p.consents[value]
	default:
		return nil, fmt.Errorf("unexpected search %s?%s", resourceType, parameter)
	}
	out := make([][]byte, 0, len(found))
	for _, f := range found {
		out = append(out, []byte(f))
	}
	return out, nil
}

func (p *payer) enrol(id, given, family, gender, born, card, subscriber, more string) {
	p.patients = append(p.patients, fmt.Sprintf(`{"resourceType":"Patient","id":%q,%s"identifier":[{"system":"urn:mrn","value":"mrn-%[1]s"},
		{"type":{"coding":[{"system":"http://hl7.org/fhir/us/davinci-hrex/CodeSystem/hrex-temp","code":"UMB"}]},"system":"urn:umb","value":"umb-%[1]s"}],
		"name":[{"family":%[3]q,"given":[%[4]q]}],"gender":%[5]q,"birthDate":%[6]q}`, id, more, family, given, gender, born))
	p.coverage[id] = append(p.coverage[id], fmt.Sprintf(`{"resourceType":"Coverage","id":"cov-%[1]s","identifier":[{"system":"urn:card","value":%[2]q}],
		"subscriberId":%[3]q,"beneficiary":{"reference":"Patient/%[1]s"}}`, id, card, subscriber))
}

func cedar() *payer {
	p := &payer{coverage: map[string][]string{}, consents: map[string][]string{}}
	p.enrol("p1", "Zoë", "Núñez-Ward", "female", "1979-04-18", "C-1", "S-1", "")
	p.enrol("twin1", "Rowan", "Castellane", "male", "1988-11-02", "C-2-01", "S-2", "")
	p.enrol("twin2", "Ronan", "Castellane", "male", "1988-11-02", "C-2-02", "S-2", "")
	p.enrol("p3", "Teodora", "Quill", "female", "1991-01-25", "C-3", "S-3", `"meta":{"tag":[{"system":"urn:t","code":"unsegmented"}]},`)
	p.enrol("p4", "Lucian", "Ashdown", "male", "1969-09-09", "C-4", "S-4", "")
	p.consents["p4"] = []string{`{"resourceType":"Consent","id":"c","status":"active","patient":{"reference":"Patient/p4"},"provision":{"type":"deny"}}`}
	return p
}

var today = time.Date(2026, 2, 2, 12, 0, 0, 0, time.UTC)

func matcher(p *payer, change func(*membermatch.Options)) *membermatch.Matcher {
	opt := membermatch.Options{Plan: []string{"1000008429"}, PlanName: "Cedar Mesa Mutual", UnsegmentedTag: "urn:t|unsegmented"}
	if change != nil {
		change(&opt)
	}
	return membermatch.New(p, func() time.Time { return today }, opt)
}

// ask is a request in parts that a case can change.
type ask struct{ patient, toMatch, toLink, consent, extra string }

func good() ask {
	return ask{
		patient: `{"resourceType":"Patient","id":"m1","identifier":[{"system":"urn:new","value":"N-1"}],"name":[{"family":"Nunez Ward","given":["ZOE"]}],"gender":"female","birthDate":"1979-04-18"}`,
		toMatch: `{"resourceType":"Coverage","id":"old","status":"active","identifier":[{"system":"urn:card","value":"C-1"}],"subscriberId":"S-1","beneficiary":{"reference":"Patient/m1"}}`,
		toLink:  `{"resourceType":"Coverage","id":"new","status":"active","subscriberId":"N-1","beneficiary":{"reference":"Patient/m1"}}`,
		consent: `{"resourceType":"Consent","status":"active","patient":{"reference":"Patient/m1"},"policy":[{"uri":"http://hl7.org/fhir/us/davinci-hrex/StructureDefinition-hrex-consent.html#regular"}],
			"provision":{"type":"permit","period":{"start":"2026-01-01","end":"2026-02-02"},"actor":[
			{"role":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/provenance-participant-type","code":"performer"}]},"reference":{"identifier":{"value":"1000008429"}}},
			{"role":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ParticipationType","code":"IRCP"}]},"reference":{"identifier":{"value":"1000007314"}}}],
			"action":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentaction","code":"disclose"}]}]}}`,
	}
}

func (a ask) body() []byte {
	var parts []string
	for _, p := range [...]struct{ name, resource string }{
		{"MemberPatient", a.patient}, {"CoverageToMatch", a.toMatch}, {"CoverageToLink", a.toLink}, {"Consent", a.consent},
	} {
		if p.resource != "" {
			parts = append(parts, fmt.Sprintf(`{"name":%q,"resource":%s}`, p.name, p.resource))
		}
	}
	if a.extra != "" {
		parts = append(parts, a.extra)
	}
	return []byte(`{"resourceType":"Parameters","parameter":[` + strings.Join(parts, ",") + `]}`)
}

func codes(t *testing.T, body []byte) []string {
	t.Helper()
	var o struct {
		ResourceType string
		Issue        []struct {
			Severity, Code string
			Details        struct{ Text string }
			Diagnostics    string
		}
	}
	if err := json.Unmarshal(body, &o); err != nil || o.ResourceType != "OperationOutcome" {
		t.Fatalf("not an OperationOutcome (%v): %s", err, body)
	}
	var list []string
	for _, i := range o.Issue {
		if i.Severity != "error" || i.Details.Text == "" || i.Diagnostics == "" {
			t.Errorf("an issue says too little: %s", body)
		}
		list = append(list, i.Code)
	}
	return list
}

// P2P-MM-41: the newer guide asks for the MemberId too.
func TestMatch(t *testing.T) {
	// P2P-MM-40, 43, 45, 171: 200 and exactly one parameter, typed MB, that finds the member.
	m := matcher(cedar(), nil)
	r, err := m.Match(t.Context(), good().body())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"resourceType":"Parameters","parameter":[{"name":"MemberIdentifier","valueIdentifier":{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MB"},{"system":"http://hl7.org/fhir/us/davinci-hrex/CodeSystem/hrex-temp","code":"UMB"}]},"system":"urn:umb","value":"umb-p1","assigner":{"display":"Cedar Mesa Mutual"}}}]}`
	if r.Status != 200 || string(r.Body) != want {
		t.Errorf("%d %s\nwant %s", r.Status, r.Body, want)
	}
	// P2P-MM-29: what a token may rest on.
	g := r.Grant
	if g == nil || g.PatientID != "p1" || g.Sensitive || !slices.Equal(g.Recipients, []string{"1000007314"}) ||
		!g.End.Equal(time.Date(2026, 2, 3, 0, 0, 0, 0, time.UTC)) || !json.Valid(g.Consent) {
		t.Errorf("grant %+v", g)
	}
	// P2P-MM-172: MemberId only where asked for.
	r, err = matcher(cedar(), func(o *membermatch.Options) { o.MemberID = true }).Match(t.Context(), good().body())
	if err != nil || !strings.HasSuffix(string(r.Body), `,{"name":"MemberId","valueReference":{"reference":"Patient/p1"}}]}`) {
		t.Errorf("%v %s", err, r.Body)
	}
}

// P2P-MM-25, P2P-MM-30, P2P-MM-165 and those in the names of the cases.
func TestOutcomes(t *testing.T) {
	rep := strings.ReplaceAll
	castellane := func(a *ask, given, coverage string) {
		a.patient = rep(rep(rep(rep(a.patient, "Nunez Ward", "Castellane"), "ZOE", given), "1979-04-18", "1988-11-02"), "female", "male")
		a.toMatch = `{"resourceType":"Coverage","status":"active",` + coverage + `,"beneficiary":{"reference":"Patient/m1"}}`
	}
	cases := []struct {
		name   string
		change func(*ask)
		opt    func(*membermatch.Options)
		status int
		codes  []string
	}{
		{name: "as it should be", change: func(*ask) {}, status: 200},
		{name: "without CoverageToLink (P2P-MM-103: only payers have to)", change: func(a *ask) { a.toLink = "" }, status: 200},
		{name: "lower-case names of the slices", change: func(a *ask) {
			a.extra, a.patient = `{"name":"memberPatient","resource":`+a.patient+`}`, ""
		}, status: 200},
		{name: "card without system (5.4 step 2)", change: func(a *ask) { a.toMatch = rep(a.toMatch, `"system":"urn:card",`, "") }, status: 200},
		{name: "subscriber number alone", change: func(a *ask) { a.toMatch = rep(a.toMatch, `"identifier":[{"system":"urn:card","value":"C-1"}],`, "") }, status: 200},
		{name: "initial for the given name", change: func(a *ask) { a.patient = rep(a.patient, "ZOE", "Z.") }, status: 200},
		{name: "gender unknown does not contradict", change: func(a *ask) { a.patient = rep(a.patient, `"female"`, `"unknown"`) }, status: 200},
		{name: "one twin by the card", change: func(a *ask) { castellane(a, "Ronan", `"identifier":[{"system":"urn:card","value":"C-2-02"}]`) }, status: 200},

		{name: "P2P-MM-22 both twins by initial and subscriber", change: func(a *ask) { castellane(a, "R", `"subscriberId":"S-2"`) }, status: 422, codes: []string{"multiple-matches"}},
		{name: "P2P-MM-21 unknown birth date", change: func(a *ask) { a.patient = rep(a.patient, "1979-04-18", "1979-04-19") }, status: 422, codes: []string{"not-found"}},
		{name: "P2P-MM-21 other family name", change: func(a *ask) { a.patient = rep(a.patient, "Nunez Ward", "Nunez") }, status: 422, codes: []string{"not-found"}},
		{name: "P2P-MM-21 other given name", change: func(a *ask) { a.patient = rep(a.patient, "ZOE", "ZARA") }, status: 422, codes: []string{"not-found"}},
		{name: "P2P-MM-21 contradicting gender", change: func(a *ask) { a.patient = rep(a.patient, `"female"`, `"male"`) }, status: 422, codes: []string{"not-found"}},
		{name: "P2P-MM-21 card of another, subscriber right", change: func(a *ask) { a.toMatch = rep(a.toMatch, "C-1", "C-9") }, status: 422, codes: []string{"not-found"}},
		{name: "P2P-MM-26 subscriber of another", change: func(a *ask) {
			a.toMatch = rep(rep(a.toMatch, `"identifier":[{"system":"urn:card","value":"C-1"}],`, ""), "S-1", "S-9")
		}, status: 422, codes: []string{"not-found"}},

		{name: "P2P-MM-102 no CoverageToMatch", change: func(a *ask) { a.toMatch = "" }, status: 422, codes: []string{"required"}},
		{name: "P2P-MM-101 no MemberPatient", change: func(a *ask) { a.patient = "" }, status: 422, codes: []string{"required"}},
		{name: "P2P-MM-104 no Consent", change: func(a *ask) { a.consent = "" }, status: 422, codes: []string{"required"}},
		{name: "nothing at all", change: func(a *ask) { *a = ask{} }, status: 422, codes: []string{"required", "required", "required"}},
		{name: "P2P-MM-105 another name", change: func(a *ask) { a.extra = `{"name":"Extra","valueString":"x"}` }, status: 422, codes: []string{"structure"}},
		{name: "P2P-MM-105 a name twice", change: func(a *ask) { a.extra = `{"name":"Consent","resource":` + a.consent + `}` }, status: 422, codes: []string{"structure"}},
		{name: "P2P-MM-105 wrong resource", change: func(a *ask) { a.toMatch = a.patient }, status: 422, codes: []string{"structure"}},
		{name: "P2P-MM-122 coverage without numbers", change: func(a *ask) { castellane(a, "R", `"id":"x"`) }, status: 422, codes: []string{"required"}},
		{name: "P2P-MM-112, 113, 114 bare patient", change: func(a *ask) { a.patient = `{"resourceType":"Patient","id":"m1","birthDate":"1979-04"}` }, status: 422, codes: []string{"required", "required", "required"}},
		{name: "P2P-MM-10 references to somebody else", change: func(a *ask) {
			a.toMatch, a.toLink, a.consent = rep(a.toMatch, "Patient/m1", "Patient/m2"), rep(a.toLink, "Patient/m1", "Patient/m2"), rep(a.consent, "Patient/m1", "Patient/m2")
		}, status: 422, codes: []string{"invalid", "invalid", "invalid"}},

		{name: "P2P-MM-161 consent not active", change: func(a *ask) { a.consent = rep(a.consent, `"status":"active"`, `"status":"inactive"`) }, status: 422, codes: []string{"invalid"}},
		{name: "P2P-MM-161 consent denies", change: func(a *ask) { a.consent = rep(a.consent, "permit", "deny") }, status: 422, codes: []string{"invalid"}},
		{name: "P2P-MM-161 unknown policy", change: func(a *ask) { a.consent = rep(a.consent, "#regular", "#other") }, status: 422, codes: []string{"invalid"}},
		{name: "P2P-MM-152 other action", change: func(a *ask) { a.consent = rep(a.consent, "disclose", "collect") }, status: 422, codes: []string{"invalid"}},
		{name: "P2P-MM-153 limited to a class", change: func(a *ask) { a.consent = rep(a.consent, `"type":"permit"`, `"type":"permit","class":[{"code":"x"}]`) }, status: 422, codes: []string{"invalid"}},
		{name: "P2P-MM-150, 151 no recipient", change: func(a *ask) { a.consent = rep(a.consent, "IRCP", "CST") }, status: 422, codes: []string{"invalid"}},
		{name: "P2P-MM-149 no end", change: func(a *ask) { a.consent = rep(a.consent, `,"end":"2026-02-02"`, "") }, status: 422, codes: []string{"invalid"}},
		{name: "P2P-MM-162 consent is over", change: func(a *ask) { a.consent = rep(a.consent, "2026-02-02", "2026-02-01") }, status: 422, codes: []string{"business-rule"}},
		{name: "P2P-MM-162 consent not yet", change: func(a *ask) {
			a.consent = rep(rep(a.consent, "2026-02-02", "2027"), "2026-01-01", "2026-02-02T12:00:01Z")
		}, status: 422, codes: []string{"business-rule"}},
		{name: "past consent of a member it is honoured for", change: func(a *ask) { a.consent = rep(a.consent, "2026", "2025") }, opt: func(o *membermatch.Options) {
			o.HonourPastConsents = []string{"umb-p1"}
		}, status: 200},
		{name: "past consent, honoured for another member", change: func(a *ask) { a.consent = rep(a.consent, "2026", "2025") }, opt: func(o *membermatch.Options) {
			o.HonourPastConsents = []string{"umb-p4"}
		}, status: 422, codes: []string{"business-rule"}},
		{name: "consent that has not begun, of a member past ones are honoured for", change: func(a *ask) {
			a.consent = rep(rep(a.consent, "2026-02-02", "2028-01-01"), "2026-01-01", "2027-01-01")
		}, opt: func(o *membermatch.Options) {
			o.HonourPastConsents = []string{"umb-p1"}
		}, status: 422, codes: []string{"business-rule"}},
		{name: "P2P-MM-163 another source", change: func(a *ask) { a.consent = rep(a.consent, "1000008429", "1000001648") }, status: 422, codes: []string{"business-rule"}},
		{name: "P2P-MM-163 another recipient", change: func(*ask) {}, opt: func(o *membermatch.Options) {
			o.Requester = func(context.Context) string { return "1000001648" }
		}, status: 422, codes: []string{"business-rule"}},
		{name: "P2P-MM-163 the recipient itself", change: func(*ask) {}, opt: func(o *membermatch.Options) {
			o.Requester = func(context.Context) string { return "1000007314" }
		}, status: 200},
		{name: "P2P-MM-166 no segmentation", change: func(*ask) {}, opt: func(o *membermatch.Options) { o.Segmentation = membermatch.SegmentationNone }, status: 422, codes: []string{"business-rule"}},
		{name: "P2P-MM-164 no segmentation, all data", change: func(a *ask) { a.consent = rep(a.consent, "#regular", "#sensitive") }, opt: func(o *membermatch.Options) {
			o.Segmentation = membermatch.SegmentationNone
		}, status: 200},
		{name: "P2P-MM-31 this member's data are not tagged", change: func(a *ask) {
			a.patient = rep(rep(rep(a.patient, "Nunez Ward", "Quill"), "ZOE", "Teodora"), "1979-04-18", "1991-01-25")
			a.toMatch = rep(a.toMatch, "-1", "-3")
		}, status: 422, codes: []string{"business-rule"}},
		{name: "P2P-MM-167 opted out", change: func(a *ask) {
			a.patient = rep(rep(rep(rep(a.patient, "Nunez Ward", "Ashdown"), "ZOE", "Lucian"), "1979-04-18", "1969-09-09"), "female", "male")
			a.toMatch = rep(a.toMatch, "-1", "-4")
		}, status: 422, codes: []string{"suppressed"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a := good()
			c.change(&a)
			r, err := matcher(cedar(), c.opt).Match(t.Context(), a.body())
			if err != nil {
				t.Fatal(err)
			}
			if r.Status != c.status {
				t.Fatalf("status %d, want %d: %s", r.Status, c.status, r.Body)
			}
			if (r.Grant != nil) != (c.status == 200) {
				t.Errorf("grant %v with status %d", r.Grant, r.Status)
			}
			if c.status == 200 {
				return
			}
			if got := codes(t, r.Body); !slices.Equal(got, c.codes) {
				t.Errorf("codes %v, want %v: %s", got, c.codes, r.Body)
			}
			// P2P-MM-23, P2P-SC-55: nothing of the member in a refusal.
			for _, secret := range []string{"umb-", "mrn-", "Patient/p", "C-1", "S-1", "Núñez"} {
				if strings.Contains(string(r.Body), secret) {
					t.Errorf("the refusal tells %q: %s", secret, r.Body)
				}
			}
		})
	}
}

func TestMalformed(t *testing.T) {
	for name, body := range map[string]string{
		"empty": "", "text": "hello", "cut off": string(good().body()[:200]), "other resource": `{"resourceType":"Patient","id":"m1"}`,
		"array": `[]`, "member twice": `{"resourceType":"Parameters","resourceType":"Parameters"}`,
	} {
		t.Run(name, func(t *testing.T) {
			r, err := matcher(cedar(), nil).Match(t.Context(), []byte(body))
			if err != nil || r.Status != 400 || !slices.Equal(codes(t, r.Body), []string{"structure"}) {
				t.Errorf("%v %d %s", err, r.Status, r.Body)
			}
		})
	}
}

// P2P-MM-27: different cards for one person are guesses, the same one again is not.
func TestGuessing(t *testing.T) {
	now := today
	m := membermatch.New(cedar(), func() time.Time { return now }, membermatch.Options{MaxGuesses: 3})
	try := func(card string) membermatch.Result {
		a := good()
		a.toMatch = strings.NewReplacer("C-1", card).Replace(a.toMatch)
		r, err := m.Match(t.Context(), a.body())
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for i := range 10 {
		if r := try("X-1"); r.Status != 422 {
			t.Fatalf("try %d of one card: %d", i, r.Status)
		}
	}
	try("X-2")
	if r := try("X-3"); r.Status != 422 {
		t.Fatalf("third card: %d", r.Status)
	}
	if r := try("C-1"); r.Status != 429 || r.RetryAfter != time.Hour || codes(t, r.Body)[0] != "throttled" {
		t.Fatalf("after three cards: %d %v %s", r.Status, r.RetryAfter, r.Body)
	}
	now = now.Add(time.Hour)
	if r := try("C-1"); r.Status != 200 {
		t.Fatalf("an hour later: %d %s", r.Status, r.Body)
	}
}

func TestOwnFailureIsAnError(t *testing.T) {
	broken := errors.New("disk on fire")
	if _, err := matcher(&payer{err: broken}, nil).Match(t.Context(), good().body()); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	p := cedar()
	p.coverage["p1"] = []string{`{"resourceType":"Cover`}
	if _, err := matcher(p, nil).Match(t.Context(), good().body()); err == nil {
		t.Error("a broken stored Coverage is no reason to say no match")
	}
}

func FuzzMatch(f *testing.F) {
	f.Add(good().body())
	f.Add([]byte(`{"resourceType":"Parameters","parameter":[{"name":"Consent","resource":null},{"name":5},null,{}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := matcher(cedar(), nil).Match(t.Context(), body)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(r.Body) || r.Status != 200 && r.Status != 400 && r.Status != 422 {
			t.Fatalf("%d %s", r.Status, r.Body)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	m, body := matcher(cedar(), nil), good().body()
	b.ReportAllocs()
	for b.Loop() {
		if r, err := m.Match(b.Context(), body); err != nil || r.Status != 200 {
			b.Fatal(err, r.Status)
		}
	}
}

// A refusal names the place in the request that is at fault (P2P-MM-25).
func TestRefusalsNameThePlace(t *testing.T) {
	change := func(f func(*ask)) []byte {
		a := good()
		f(&a)
		return a.body()
	}
	for name, c := range map[string]struct {
		body       []byte
		expression string
	}{
		"consent's status":  {change(func(a *ask) { a.consent = strings.ReplaceAll(a.consent, `"status":"active"`, `"status":"draft"`) }), "Parameters.parameter[3].resource.status"},
		"consent's period":  {change(func(a *ask) { a.consent = strings.ReplaceAll(a.consent, "2026-02-02", "2026-02-01") }), "Parameters.parameter[3].resource.provision.period"},
		"nothing is there":  {[]byte(`{"resourceType":"Parameters"}`), "Parameters"},
		"no list":           {[]byte(`{"resourceType":"Parameters","parameter":{"name":"Consent"}}`), "Parameters.parameter"},
		"text":              {[]byte(`{"resourceType":"Parameters","parameter":"Consent"}`), "Parameters.parameter"},
		"no resource in it": {change(func(a *ask) { a.patient = `"x"` }), "Parameters.parameter[0]"},
	} {
		r, err := matcher(cedar(), nil).Match(t.Context(), c.body)
		if err != nil {
			t.Fatal(err)
		}
		var o struct {
			Issue []struct{ Expression []string }
		}
		if err := json.Unmarshal(r.Body, &o); err != nil || r.Status != 422 || len(o.Issue) == 0 || !slices.Equal(o.Issue[0].Expression, []string{c.expression}) {
			t.Errorf("%s: %d %v, want %s: %s", name, r.Status, err, c.expression, r.Body)
		}
	}
}
