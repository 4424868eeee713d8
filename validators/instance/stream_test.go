package instance_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/ig"
	"fhirwire/validators/instance"
)

// inBothWays validates a Bundle whole and entry by entry and compares the reports. It reports whether it could be taken apart.
func inBothWays(t *testing.T, v *instance.Validator, name string, src []byte, profiles ...string) bool {
	t.Helper()
	want := validate(t, v, src, profiles...)
	streamed := false
	for _, workers := range []int{1, 3} {
		got, err := v.ValidateBundle(t.Context(), bytes.NewReader(src), instance.StreamOptions{Workers: workers}, profiles...)
		if errors.Is(err, instance.ErrWhole) {
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		streamed = true
		if diff := reportDiff(t, want, got); diff != "" {
			t.Errorf("%s with %d workers: whole (-) and streamed (+) differ:\n%s", name, workers, diff)
		}
	}
	return streamed
}

// TestStreamConformance: every Bundle at hand gets the same report in both ways.
func TestStreamConformance(t *testing.T) {
	v := validator(t, instance.Options{BestPractice: true})
	narrow := validator(t, instance.Options{}, "hl7.fhir.us.davinci-pdex#2.0.0") // one version of the profiles on Bundles
	count, streamed := 0, 0
	try := func(name string, src []byte) {
		doc := fhirjson.Parse(src)
		if doc.Root() == nil || doc.Root().ResourceType() != "Bundle" {
			return
		}
		count++
		if inBothWays(t, v, name, src) {
			streamed++
		}
		if !inBothWays(t, narrow, name, src) && bytes.Contains(src, []byte("mtls-bundle")) {
			t.Errorf("%s: not streamed", name)
		}
	}
	files, err := filepath.Glob(filepath.Join(shared(t, "conformance", "validator-cases-dev", "files"), "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		try(filepath.Base(f), src)
	}
	for guide := range packagesOf {
		for _, src := range lines(t, shared(t, "conformance", "ig-examples", guide+".ndjson")) {
			try(guide, src)
		}
	}
	for i, line := range lines(t, shared(t, "conformance", "mutants-dev.ndjson")) {
		var m struct{ Resource json.RawMessage }
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatal(err)
		}
		try("mutant "+string(rune('0'+i%10)), m.Resource)
	}
	t.Logf("%d of %d Bundles streamed", streamed, count)
	if count < 50 || streamed < count*8/10 {
		t.Errorf("%d of %d Bundles were streamed", streamed, count)
	}
}

// TestStreamLarge: Bundles of all examples and of all mutants, with more findings than a report has room for.
func TestStreamLarge(t *testing.T) {
	var resources [][]byte
	for _, guide := range []string{"us-core-3.1.1", "us-core-6.1.0", "pdex-2.0.0"} {
		resources = append(resources, lines(t, shared(t, "conformance", "ig-examples", guide+".ndjson"))...)
	}
	for _, line := range lines(t, shared(t, "conformance", "mutants-dev.ndjson")) {
		var m struct{ Resource json.RawMessage }
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatal(err)
		}
		resources = append(resources, m.Resource)
	}
	vs := []*instance.Validator{
		validator(t, instance.Options{}),
		validator(t, instance.Options{MaxIssues: 40, BestPractice: true, MustResolve: true}, "hl7.fhir.us.core#6.1.0", "hl7.fhir.us.davinci-pdex#2.0.0"),
	}
	for _, typ := range []string{"collection", "searchset", "document", "message"} {
		for i, v := range vs {
			b := []byte(`{"resourceType":"Bundle","type":"` + typ + `","entry":[` + "\n")
			for k, r := range resources {
				if k > 0 {
					b = append(b, ",\n"...)
				}
				b = append(b, `{"fullUrl":"http://example.org/fhir/`...)
				doc := fhirjson.Parse(r)
				b = append(append(b, doc.Root().ResourceType()+"/"+doc.Root().MemberText("id")+`","resource":`...), r...)
				b = append(b, '}')
			}
			b = append(b, `],"link":[{"relation":"self","url":"http://example.org/fhir/Patient?_id=1"}]}`...)
			if !inBothWays(t, v, typ+" "+string(rune('0'+i)), b) {
				t.Errorf("%s was not streamed", typ)
			}
		}
	}
}

// TestStreamSliced: entries that a profile sorts into slices, and rules that it has for the Bundle.
func TestStreamSliced(t *testing.T) {
	lib, err := library()
	if err != nil {
		t.Fatal(err)
	}
	pkg := &ig.Package{Name: "test.stream", Version: "1"}
	rule := func(name, expression string) string {
		return profileOf(name, "Bundle", `{"id":"Bundle","path":"Bundle","constraint":[{"key":"r-1","severity":"error","human":"h","expression":"`+expression+`"}]}`)
	}
	for _, src := range []string{
		slicingProfiles["profile"], slicingProfiles["named"],
		rule("each", "entry.resource.where(id = 'a').empty() and (type = 'batch' or entry.all(fullUrl.exists()))"),
		rule("first", "entry.first().resource.id = 'a' and total.exists()"),
		rule("all", "entry.resource.id.isDistinct()"),
		rule("children", "descendants().where($this is Patient).exists()"),
		profileOf("inner", "Bundle", `{"id":"Bundle.entry","path":"Bundle.entry","constraint":[{"key":"r-2","severity":"error","human":"h","expression":"%resource.entry.count() > 1"}]}`),
		profileOf("ordered", "Bundle", `{"id":"Bundle.entry","path":"Bundle.entry","slicing":{"discriminator":[{"type":"type","path":"resource"}],"ordered":true,"rules":"closed"}},
			{"id":"Bundle.entry:p","path":"Bundle.entry","sliceName":"p","min":1,"max":"1"},{"id":"Bundle.entry:p.resource","path":"Bundle.entry.resource","min":1,"type":[{"code":"Patient"}]},
			{"id":"Bundle.entry:o","path":"Bundle.entry","sliceName":"o","min":2},{"id":"Bundle.entry:o.resource","path":"Bundle.entry.resource","min":1,"type":[{"code":"Observation"}]}`),
	} {
		r, err := ig.ReadFile("s.json", []byte(src))
		if err != nil {
			t.Fatal(err)
		}
		pkg.Resources = append(pkg.Resources, r)
	}
	if lib, err = lib.With(pkg); err != nil {
		t.Fatal(err)
	}
	set, err := lib.Set("hl7.fhir.r4.core#4.0.1", pkg.ID())
	if err != nil {
		t.Fatal(err)
	}
	v := instance.New(set, set.Terms(), instance.Options{Now: now})
	const (
		named  = `{"fullUrl":"http://e.org/Patient/a","resource":{"resourceType":"Patient","id":"a","name":[{"text":"x"}]}}`
		bare   = `{"fullUrl":"http://e.org/Patient/b","id":"e1","resource":{"resourceType":"Patient","id":"b"}}`
		nobody = `{"id":"e1","resource":{"resourceType":"Patient"}}`
		seen   = `{"fullUrl":"http://e.org/Observation/a","resource":{"resourceType":"Observation","id":"a","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/a"}}}`
	)
	for name, whole := range map[string]bool{"profile": false, "each": false, "first": false, "all": true, "children": true, "inner": true, "ordered": false} {
		for _, entries := range []string{named, bare, nobody, named + "," + bare, bare + "," + named + "," + bare, seen + "," + named, named + "," + seen + "," + seen, nobody + "," + bare} {
			src := []byte(`{"resourceType":"Bundle","type":"collection","entry":[` + entries + `]}`)
			if streamed := inBothWays(t, v, name+" "+entries, src, "http://example.com/s/"+name); streamed == whole {
				t.Errorf("%s: streamed %v", name, streamed)
			}
		}
	}
}

// TestStreamCut: an input that is cut off, or that is no JSON somewhere, is said to be so in the same words.
func TestStreamCut(t *testing.T) {
	v := rulesValidator(t, instance.Options{})
	for i := 1; i < len(searchset); i += 3 {
		inBothWays(t, v, "cut", []byte(searchset[:i]))
		inBothWays(t, v, "quote", []byte(searchset[:i]+`"`+searchset[i:]))
		inBothWays(t, v, "bracket", []byte(searchset[:i]+`]`+searchset[i:]))
		inBothWays(t, v, "comma", []byte(searchset[:i]+`,`+searchset[i:]))
		inBothWays(t, v, "comment", []byte(searchset[:i]+`/*]}*/`+searchset[i:]))
		inBothWays(t, v, "line", []byte(searchset[:i]+"\n"+searchset[i:]))
	}
}

// FuzzStream: whatever the input, reading it entry by entry gives the same report, or is refused.
func FuzzStream(f *testing.F) {
	for _, s := range []string{searchset, document, `{"entry":[{}],"resourceType":"Bundle"}`, `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"X"}},{"fullUrl":1}]}`} {
		f.Add([]byte(s))
	}
	v := rulesValidator(f, instance.Options{BestPractice: true})
	f.Fuzz(func(t *testing.T, src []byte) {
		inBothWays(t, v, "input", src)
	})
}

// reportDiff gives the lines in which two reports differ.
func reportDiff(t *testing.T, want, got validators.Report) string {
	t.Helper()
	text := func(r validators.Report) []string {
		b, err := json.MarshalIndent(r, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(string(b), "\n")
	}
	a, b := text(want), text(got)
	var out []string
	for i := range max(len(a), len(b)) {
		var x, y string
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y && len(out) < 20 {
			out = append(out, "-"+x, "+"+y)
		}
	}
	return strings.Join(out, "\n")
}
