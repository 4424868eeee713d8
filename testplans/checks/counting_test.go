package checks_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"fhirwire/proxy/proxytest"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/validators/coverage"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/profile"
)

const usCore = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"

// shown are members that resources have or have not, by type.
var shown = map[string][]string{
	"Patient": {
		`"id":"%d"`, `"gender":"male"`, `"birthDate":"2000"`, `"name":[{"family":"A"}]`, `"name":[{"given":["B"]}]`, `"_gender":{"extension":[]}`,
		`"telecom":[{"system":"phone","value":"1\u002d%d"}]`, `"extension":[{"url":"` + usCore + `race"}]`, `"communication":[{"language":{"text":"é"}}]`,
	},
	"Observation": {
		`"id":"%d"`, `"status":"final"`, `"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}]}]`,
		`"code":{"text":"x"}`, `"valueString":"x"`, `"valueQuantity":{"value":1.0}`, `"subject":{"reference":"Patient/%d"}`,
	},
	"Immunization": {`"status":"completed"`, `"statusReason":{"text":"x"}`, `"vaccineCode":{"text":"x"}`, `"patient":{"reference":"#p"}`, `"occurrenceString":"x"`, `"primarySource":true`},
}

// someResource has some of what its type may have; few are told apart, so that many come again.
func someResource(r *rand.Rand) string {
	typ := []string{"Patient", "Patient", "Observation", "Observation", "Immunization", "Basic"}[r.IntN(6)]
	members := []string{`"resourceType":"` + typ + `"`}
	for _, m := range shown[typ] {
		if r.IntN(3) == 0 {
			if strings.Contains(m, "%d") {
				m = fmt.Sprintf(m, r.IntN(2))
			}
			members = append(members, m)
		}
	}
	if r.IntN(4) == 0 {
		members = append(members[1:], members[0])
	}
	return "{" + strings.Join(members, ",") + "}"
}

// someBody is an answer in one of the forms that answers have, good ones and others.
func someBody(r *rand.Rand) (body, media string) {
	media = "application/fhir+json"
	list := make([]string, r.IntN(4))
	for i := range list {
		list[i] = someResource(r)
	}
	entries := func() string {
		var b []string
		for _, res := range list {
			b = append(b, `{"fullUrl":"http://x.example/1","resource":`+res+`}`)
		}
		return strings.Join(b, ",")
	}
	switch r.IntN(12) {
	case 0, 1:
		return someResource(r), media
	case 2, 3:
		return strings.Join(list, "\n"), "application/fhir+ndjson"
	case 4:
		return strings.Join(append(list, "{broken", "", " "+someResource(r)+"\r"), "\n"), "application/ndjson"
	case 5:
		return `{"entry":[` + entries() + `,],"resourceType":"Bundle"}`, media // not strict, yet read
	case 6:
		return `{"resourceType":"Bundle","entry":[` + entries() + `]`, media // not closed
	case 7:
		return `{"resourceType":"Bundle","entry":{"resource":` + someResource(r) + `}}`, media
	case 8:
		return `{"resourceType":"Bundle","entry":[` + entries() + `],"entry":[{"resource":` + someResource(r) + `}]}`, media
	case 9:
		return `{"entry":[null,[1],{"resource":[]},{"resource":` + someResource(r) + `,"resource":{}}],"total":1e3,"\u0072esourceType":"Bundle"}`, media
	default:
		return `{"resourceType":"Bundle", "entry" : [` + entries() + `] } `, media
	}
}

// plainly counts all of the attempts from nothing, each resource by itself: what countings must come to.
func plainly(t *testing.T, s *profile.Set, check *testplans.Check, attempts []checks.Item) checks.Outcome {
	t.Helper()
	c := coverage.New(s, s.Terms())
	desk := checks.NewDesk(s)
	var out checks.Outcome
	for _, it := range attempts {
		if it.Exchange.Status() != 200 {
			continue
		}
		body, err := desk.Body(t.Context(), it, testplans.OnResponse)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		add := func(r *fhirjson.Node) {
			if r == nil {
				return
			}
			if p, _ := s.Profile(check.Covers.Profile); p.Type != r.ResourceType() {
				return
			}
			if check.Covers.Where != "" {
				if ok, err := desk.Truth(t.Context(), check.Covers.Where, r); err != nil || !ok {
					return
				}
			}
			if c.Add(coverage.Subject{ID: it.Exchange.ID, Order: it.Exchange.Timing.Start.UnixNano()}, r, check.Covers.Profile) {
				n++
			}
		}
		if strings.Contains(it.Exchange.Response.Header.Get("Content-Type"), "ndjson") {
			for line := range bytes.Lines(body.Text) {
				if doc := fhirjson.Parse(line); doc.Fatal() == nil {
					add(doc.Root())
				}
			}
		} else if root, fault := body.JSON(); fault == "" && root.ResourceType() != "Bundle" {
			add(root)
		} else if fault == "" {
			for e := root.Member("entry").FirstOrNil(); e != nil; e = e.Next() {
				add(e.Member("resource"))
			}
		}
		if n > 0 {
			out.Items = append(out.Items, it)
		}
	}
	report := c.Report()
	if len(report) == 0 {
		return checks.Outcome{Verdict: testplans.NotShown, Message: "no resource of the profile came"}
	}
	gaps := report[0].Missing()
	if out.Verdict = testplans.Pass; len(gaps) == 0 {
		return out
	}
	var names []string
	for i, g := range gaps {
		if i == 12 {
			names = append(names, fmt.Sprint(len(gaps)-12, " more"))
			break
		}
		names = append(names, g.ID)
	}
	many := "s"
	if report[0].Resources == 1 {
		many = ""
	}
	out.Verdict = testplans.NotShown
	out.Message = fmt.Sprintf("%d of %d not seen in %d resource%s: %s", len(gaps), len(report[0].Items), report[0].Resources, many, strings.Join(names, ", "))
	return out
}

// TestCountingAsFromNothing: what is counted exchange by exchange, in any order, with answers and resources that come again and exchanges
// that go, is what counting all of it from nothing gives.
func TestCountingAsFromNothing(t *testing.T) {
	s, err := set()
	if err != nil {
		t.Fatal(err)
	}
	var plan testplans.Plan
	for i, c := range []testplans.CoversCheck{
		{Profile: usCore + "patient|3.1.1"},
		{Profile: usCore + "observation-lab|3.1.1", Where: "category.coding.where(code = 'laboratory').exists()"},
		{Profile: usCore + "immunization|3.1.1"},
		{Profile: usCore + "smokingstatus|3.1.1", Where: "value.exists()"},
		{Profile: usCore + "observation-lab|3.1.1", Where: "%rootResource.entry.exists()"},
	} {
		step := testplans.Step{ID: fmt.Sprint("s", i), Select: testplans.Select{Status: []string{"2xx"}}, Checks: []testplans.Check{{ID: "c", Covers: &c}}}
		if c.Where == "%rootResource.entry.exists()" {
			step.Select.Type = []string{"Any"} // a counting of its own
		}
		plan.Steps = append(plan.Steps, step)
	}
	table := checks.NewTable(s)
	passes, repeats := 0, 0
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 1))
		bodies := proxytest.Bodies{}
		var pool []checks.Item
		for n := range 40 {
			body, media := someBody(r)
			if n > 0 && r.IntN(4) == 0 { // the same answer again
				was := pool[r.IntN(n)].Exchange.Response
				body, media = string(bodies[was.Body.Digest]), was.Header.Get("Content-Type")
				repeats++
			}
			ex := proxytest.Exchange(bodies, n, "GET", "/x", []int{200, 200, 200, 200, 404}[r.IntN(5)], body)
			ex.Response.Header[0].Value = media
			pool = append(pool, checks.Item{Exchange: ex, Bodies: bodies})
		}
		if seed%3 > 0 { // else they come in order of time
			r.Shuffle(len(pool), func(i, j int) { pool[i], pool[j] = pool[j], pool[i] })
		}
		desk := checks.NewDesk(s)
		desk.Together(&plan)
		var attempts []checks.Item
		for len(pool) > 0 {
			n := min(1+r.IntN(12), len(pool))
			attempts, pool = append(attempts, pool[:n]...), pool[n:]
			if r.IntN(4) == 0 {
				at := r.IntN(len(attempts))
				attempts = slices.Delete(slices.Clone(attempts), at, at+1)
			}
			if !slices.IsSortedFunc(attempts, checks.ByTime) {
				attempts = slices.Clone(attempts) // a list that a check was given never changes
				slices.SortFunc(attempts, checks.ByTime)
			}
			for i := range plan.Steps {
				check := &plan.Steps[i].Checks[0]
				got, err := table.Ask(t.Context(), &checks.Case{Desk: desk, Check: check, Attempts: attempts})
				if err != nil {
					t.Fatal(err)
				}
				want := plainly(t, s, check, attempts)
				if got.Verdict != want.Verdict || got.Message != want.Message || !slices.EqualFunc(got.Items, want.Items, func(a, b checks.Item) bool { return a.Exchange == b.Exchange }) {
					t.Fatalf("seed %d, %s of %d exchanges:\n got %s %s, %d used\nwant %s %s, %d used", seed, check.Covers.Profile, len(attempts),
						got.Verdict, got.Message, len(got.Items), want.Verdict, want.Message, len(want.Items))
				}
				if want.Verdict == testplans.Pass {
					passes++
				}
			}
			if r.IntN(2) == 0 {
				desk.Release()
			}
		}
	}
	if passes == 0 || repeats == 0 {
		t.Errorf("%d passed, %d answers came again", passes, repeats)
	}
}

// sameAsParsed reports how what is skimmed differs from what is parsed; "" where it does not, or where skimming declines.
func sameAsParsed(text []byte) string {
	types, texts, ok := checks.Skim(text)
	line, id, lineText, lineOK := checks.SkimLine(text)
	doc := fhirjson.Parse(text)
	if ok || lineOK {
		if p := doc.Fatal(); p != nil {
			return "skimmed, but not parsed: " + p.Text
		}
	}
	of := func(n *fhirjson.Node) string {
		if t := n.Member("resourceType"); t != nil && t.Kind() == fhirjson.String {
			return t.Text()
		}
		return ""
	}
	root := doc.Root()
	if lineOK && (line != of(root) || id != root.MemberText("id") || lineText != string(root.Raw())) {
		return fmt.Sprintf("the line is skimmed as %q, %q, %s", line, id, lineText)
	}
	if typ, id, fault := checks.LineOf(text); doc.Fatal() == nil && (typ != root.ResourceType() || id != root.MemberText("id") || fault != "") ||
		doc.Fatal() != nil && fault != doc.Fatal().Text {
		return fmt.Sprintf("the line is of type %q, id %q, fault %q", typ, id, fault)
	}
	if !ok {
		return ""
	}
	var wantTypes, wantTexts []string
	add := func(n *fhirjson.Node) {
		if n != nil && n.Kind() == fhirjson.Object {
			wantTypes, wantTexts = append(wantTypes, of(n)), append(wantTexts, string(n.Raw()))
		}
	}
	if of(root) != "Bundle" {
		add(root)
	} else {
		for e := root.Member("entry").FirstOrNil(); e != nil; e = e.Next() {
			add(e.Member("resource"))
		}
	}
	if !slices.Equal(types, wantTypes) || !slices.Equal(texts, wantTexts) {
		return fmt.Sprintf("skimmed %q %q\n parsed %q %q", types, texts, wantTypes, wantTexts)
	}
	return ""
}

var skimSeeds = []string{
	`{"resourceType":"Patient","x":[1,-2.5e+3,true,false,null,{}],"y":"\"\\\u00e9"}`, ` {"resourceType":"Bundle","entry":[{"resource":{"resourceType":"A"}},{},null,{"resource":7}]} `,
	`{"entry":[{"resource":{"resourceType":"A","entry":[{"resource":{}}]}}],"resourceType":"Bundle"}`, `{"resourceType":"Bundle"}`, `{"resourceType":"Bundle","entry":{}}`, `{`, `[]`, ``, `{}x`,
	`{"a":1,}`, `{"a" 1}`, `{"a":}`, `{,}`, `{"a":[1,]}`, `{"a":[,1]}`, `{"a":tru}`, `{"a":1x}`, `{"a":+1}`, `{"a":"\x"}`, "{\"a\":\"\n\"}", `{"resourceType":"A","resourceType":"Bundle"}`,
	`{"resourceType":7,"resourceType":"A"}`, `{"resourceType":"\u0041"}`, `{/**/}`, "\ufeff{}", strings.Repeat(`{"a":[`, 70) + strings.Repeat(`]}`, 70), `{"a":"` + "\xff" + `"}`, `{"a":--1}`, `{"a":1.2.3}`,
	`{"resourceType":"A","id":"x","id":"y"}`, `{"id":7,"resourceType":"A"}`, `{"id":"\u0041","resourceType":"A"}`, `{"id":null,"resourceType":"A"}`, `{"id":"x"}`, `{"resourceType":"","id":"x"}`,
}

func TestSkim(t *testing.T) {
	for _, seed := range skimSeeds {
		if diff := sameAsParsed([]byte(seed)); diff != "" {
			t.Errorf("%s\n%s", seed, diff)
		}
	}
	types, texts, ok := checks.Skim([]byte(skimSeeds[1]))
	if !ok || !slices.Equal(types, []string{"A"}) || !slices.Equal(texts, []string{`{"resourceType":"A"}`}) {
		t.Errorf("%v %q %q", ok, types, texts)
	}
	for _, odd := range skimSeeds[4:20] {
		if _, _, ok := checks.Skim([]byte(odd)); ok {
			t.Errorf("%s is skimmed", odd)
		}
	}
}

// FuzzSkim: what is skimmed is what parsing gives.
func FuzzSkim(f *testing.F) {
	for _, seed := range skimSeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if diff := sameAsParsed(text); diff != "" {
			t.Error(diff)
		}
	})
}

func BenchmarkSkim(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	var list []string
	for range 200 {
		list = append(list, `{"fullUrl":"http://payer.example/fhir/Patient/1","resource":`+someResource(r)+`}`)
	}
	text := []byte(`{"resourceType":"Bundle","entry":[` + strings.Join(list, ",") + `]}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, _, ok := checks.Skim(text); !ok {
			b.Fatal("not skimmed")
		}
	}
}
