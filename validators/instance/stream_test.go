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
	for _, typ := range []string{"collection", "searchset", "document"} {
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
