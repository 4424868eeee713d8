package bulk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"fhirwire/reference/attribution"
	"fhirwire/reference/resources"
	"fhirwire/validators/fhirjson"
)

// TestOptOutAfterKickOff: ATR-07, OPS-54, DDE-12, DATA-14, P2P-DAT-12: who opts out between kick-off and reading, or between two parts, is left out from then on.
func TestOptOutAfterKickOff(t *testing.T) {
	out := map[string]bool{}
	f := setup(t, 3, Options{OptedOut: func(context.Context) (map[string]bool, error) { return out, nil }})
	id := f.kick(Group, Param{"_type", "Patient,Observation,Group"})
	out["p0"] = true
	f.steps(100)
	for _, name := range []string{"Patient-1.ndjson", "Observation-1.ndjson", "Group-1.ndjson"} {
		if got := f.read(id, name); strings.Contains(got, `"p0"`) || strings.Contains(got, "Patient/p0") || !strings.Contains(got, "p1") {
			t.Errorf("%s: %s", name, got)
		}
	}
	clear(out)
	id = f.kick(Group, Param{"_type", "Patient,Observation"})
	f.steps(1)
	out["p1"] = true
	f.steps(100)
	if got := f.read(id, "Observation-1.ndjson"); strings.Contains(got, "Patient/p1") || !strings.Contains(got, "Patient/p0") {
		t.Errorf("opted out in between: %s", got)
	}
}

// TestTermsOfMatch: P2P-BLK-09: a consent that is over gives nothing, one without sensitive data holds them back.
func TestTermsOfMatch(t *testing.T) {
	terms := map[string]attribution.Term{}
	f := setup(t, 3, Options{Transmitter: "Organization/payer", Terms: func(context.Context, string) (map[string]attribution.Term, bool, error) { return terms, true, nil }})
	put := func(id, patient, security string) {
		t.Helper()
		body := fmt.Sprintf(`{"resourceType":"Condition","id":%q,"meta":{"security":[%s]},"subject":{"reference":"Patient/%s"}}`, id, security, patient)
		if _, _, err := f.store.Put(t.Context(), "Condition", id, []byte(body), resources.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	restricted := `{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}`
	put("c0", "p0", restricted)
	put("c1", "p1", restricted)
	put("c2", "p1", `{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"N"}`)
	run := func() string {
		t.Helper()
		id, err := f.Kickoff(t.Context(), Kickoff{Level: Group, GroupID: "g", Base: "http://x/fhir", DataExport: true, Async: true, Params: []Param{{"_type", "Patient,Condition,Provenance"}}})
		if err != nil {
			t.Fatal(err)
		}
		f.steps(100)
		s, err := f.Status(t.Context(), id)
		if err != nil || s.State != Complete {
			t.Fatalf("%+v %v", s, err)
		}
		var got []string
		for _, o := range s.Manifest.Output {
			for line := range strings.Lines(f.read(id, o.URL[strings.LastIndexByte(o.URL, '/')+1:])) {
				root := fhirjson.Parse([]byte(line)).Root()
				name := root.MemberText("id")
				if targets := root.Member("target"); targets != nil {
					name = "tx"
					for x := targets.First(); x != nil; x = x.Next() {
						name += " " + x.MemberText("reference")
					}
				}
				got = append(got, name)
			}
		}
		return strings.Join(got, ", ")
	}
	terms["p0"] = attribution.Term{Sensitive: true}
	terms["p1"] = attribution.Term{From: f.now.Add(-time.Hour), Until: f.now.Add(time.Hour)}
	if got, want := run(), "p0, p1, c0, c2, tx Condition/c0 Patient/p0, tx Condition/c2 Patient/p1"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	f.now = f.now.Add(2 * time.Hour)
	if got, want := run(), "p0, c0, tx Condition/c0 Patient/p0"; got != want {
		t.Errorf("consent is over: %s, want %s", got, want)
	}
}

// TestTransmissionSplits: DATA-11.
func TestTransmissionSplits(t *testing.T) {
	f := setup(t, 1, Options{Transmitter: "Organization/payer"})
	for i := range maxTargets {
		body := fmt.Sprintf(`{"resourceType":"Condition","subject":{"reference":"Patient/p0"},"code":{"text":"%d"}}`, i)
		if _, _, err := f.store.Put(t.Context(), "Condition", fmt.Sprintf("c%d", i), []byte(body), resources.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	f.now = f.now.Add(time.Hour)
	id, err := f.Kickoff(t.Context(), Kickoff{Level: Group, GroupID: "g", Base: "http://x/fhir", DataExport: true, Async: true})
	if err != nil {
		t.Fatal(err)
	}
	f.steps(100)
	got := f.read(id, "transmission-1.ndjson")
	if strings.Count(got, "\n") != 2 || strings.Count(got, `"reference":"Condition/`) != maxTargets || strings.Count(got, `"reference":"Observation/`) != 5 {
		t.Errorf("%d lines, %d conditions", strings.Count(got, "\n"), strings.Count(got, `"reference":"Condition/`))
	}
}

// TestTooManyJobsOfAClient: BULK-KO-22, OPS-11: one client's limit does not concern another.
func TestTooManyJobsOfAClient(t *testing.T) {
	f := setup(t, 1, Options{MaxPerClient: 2})
	kick := func(client string) error {
		_, err := f.Kickoff(t.Context(), Kickoff{Level: System, Base: "http://x/fhir", Client: client})
		return err
	}
	for range 2 {
		if err := kick("a"); err != nil {
			t.Fatal(err)
		}
	}
	refused, ok := errors.AsType[*KickoffError](kick("a"))
	if !ok || refused.Status != http.StatusTooManyRequests || refused.RetryAfter <= 0 || refused.Code != "throttled" {
		t.Errorf("third: %v", refused)
	}
	for _, client := range []string{"b", "", "", ""} {
		if err := kick(client); err != nil {
			t.Errorf("%q: %v", client, err)
		}
	}
	f.steps(1000)
	if err := kick("a"); err != nil {
		t.Errorf("after the first are done: %v", err)
	}
}

// TestWithoutAmounts: DATA-06.
func TestWithoutAmounts(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"nothing to do", `{"resourceType":"ExplanationOfBenefit","id":"1","use":"claim"}`, `{"resourceType":"ExplanationOfBenefit","id":"1","use":"claim"}`},
		{
			"top", `{"id":"1","total":[{"amount":{"value":1}}],"_total":[null],"payment":{"type":{"text":"x"},"amount":{"value":1}},"benefitBalance":[{"category":{"text":"c"},"financial":[{"allowedMoney":{}}]},{"financial":[]}]}`,
			`{"id":"1","payment":{"type":{"text":"x"}},"benefitBalance":[{"category":{"text":"c"}}]}`,
		},
		{"what is empty goes", `{"id":"1","payment":{"amount":{"value":1}},"adjudication":[{"category":{"text":"a"},"amount":{"value":1}}]}`, `{"id":"1"}`},
		{
			"adjudication", `{"adjudication":[{"category":{"text":"a"},"amount":{"value":1},"reason":{"text":"r"}},{"category":{"text":"b"},"value":3}]}`,
			`{"adjudication":[{"category":{"text":"a"},"reason":{"text":"r"}},{"category":{"text":"b"},"value":3}]}`,
		},
		{
			"items to any depth", `{"item":[{"sequence":1,"unitPrice":{},"net":{},"adjudication":[{"category":{},"amount":{}}],"detail":[{"sequence":2,"net":{},"subDetail":[{"sequence":3,"unitPrice":{},"adjudication":[{"amount":{}}]}]}]}],"addItem":[{"net":{},"quantity":{"value":1}}]}`,
			`{"item":[{"sequence":1,"detail":[{"sequence":2,"subDetail":[{"sequence":3}]}]}],"addItem":[{"quantity":{"value":1}}]}`,
		},
		{
			"profiles", `{"meta":{"versionId":"1","profile":["` + carin + `Pharmacy|2.0.0","http://x/y","` + carin + `Oral-Basis"]}}`,
			`{"meta":{"versionId":"1","profile":["` + carin + `Pharmacy-Basis","http://x/y","` + carin + `Oral-Basis"]}}`,
		},
	} {
		doc := fhirjson.Parse([]byte(tt.in))
		if got := string(withoutAmounts(doc.Root())); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func FuzzWithoutAmounts(f *testing.F) {
	f.Add([]byte(`{"total":[1],"item":[{"net":{},"adjudication":[{"amount":1}]}],"meta":{"profile":["a"]},"payment":{"amount":2}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		doc := fhirjson.Parse(in)
		if len(doc.Problems()) > 0 || doc.Root() == nil || doc.Root().Kind() != fhirjson.Object {
			return
		}
		out := withoutAmounts(doc.Root())
		again := fhirjson.Parse(out)
		if len(again.Problems()) > 0 {
			t.Fatalf("%s becomes %s: %v", in, out, again.Problems())
		}
		if again.Root().Member("total") != nil || again.Root().Member("payment").Member("amount") != nil {
			t.Fatalf("amounts in %s", out)
		}
	})
}

func BenchmarkWithoutAmounts(b *testing.B) {
	item := `{"sequence":1,"productOrService":{"text":"x"},"net":{"value":1},"adjudication":[{"category":{"text":"a"},"amount":{"value":1}},{"category":{"text":"b"},"reason":{"text":"r"}}]}`
	body := []byte(`{"resourceType":"ExplanationOfBenefit","meta":{"profile":["` + carin + `Pharmacy|2.0.0"]},"item":[` + strings.Repeat(item+",", 9) + item + `],"total":[{"amount":{"value":1}}]}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	r := &run{}
	for b.Loop() {
		if _, ok := r.claim(body); !ok {
			b.Fatal("left out")
		}
	}
}

// TestTaskSurvivesRestart: OPS-01, OPS-03: the request of a task is on disk when the client has its answer, and whoever comes
// after a failure does it again as a whole.
func TestTaskSurvivesRestart(t *testing.T) {
	fail := true
	var seen []string
	f := setup(t, 1, Options{Tasks: map[string]Task{"echo": func(_ context.Context, r TaskRun) error {
		seen = append(seen, r.Job+r.Client+string(r.Body)+r.At.Format(time.RFC3339))
		for i := range 3 {
			if err := r.Write("Group", fmt.Appendf(nil, `{"resourceType":"Group","id":"g%d"}`, i)); err != nil {
				return err
			}
		}
		if fail {
			return errors.New("half way")
		}
		return r.Write("Parameters", []byte(`{"resourceType":"Parameters"}`))
	}}})
	id, err := f.KickoffTask(t.Context(), TaskKickoff{Task: "echo", URL: "http://x/fhir/Group/$echo", Base: "http://x/fhir", Client: "c", Body: []byte("{}")})
	if err != nil {
		t.Fatal(err)
	}
	f.next()
	if _, err := f.step(t.Context(), id); err == nil {
		t.Fatal("no error")
	}
	fail = false
	f.now = f.now.Add(time.Hour)
	if again, err := f.step(t.Context(), id); err != nil || again {
		t.Fatal(again, err)
	}
	s, err := f.Status(t.Context(), id)
	if err != nil || s.State != Complete || len(s.Manifest.Output) != 2 || s.Manifest.Output[0].Count != 3 || s.Manifest.Error == nil || s.Manifest.Request != "http://x/fhir/Group/$echo" {
		t.Fatalf("%+v %v", s, err)
	}
	if len(seen) != 2 || seen[0] != seen[1] {
		t.Errorf("runs %v", seen)
	}
	if owner, err := f.Owner(t.Context(), id); err != nil || owner != "c" {
		t.Errorf("owner %q %v", owner, err)
	}
	if _, err := f.Open(t.Context(), id, bodyFile); !errors.Is(err, ErrNotFound) {
		t.Errorf("the request is served: %v", err)
	}
	if err := f.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := f.KickoffTask(t.Context(), TaskKickoff{Task: "none"}); err == nil {
		t.Error("unknown task accepted")
	}
}
