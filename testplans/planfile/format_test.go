package planfile_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/testplans/planfile"
	"fhirwire/validators/fhirpath/fhirpathtest"
)

// TestFormatPage reads the example of the page, which must use every kind of check, every relation and every key of the schema.
func TestFormatPage(t *testing.T) {
	page, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "```yaml\n")
	example, _, ok2 := strings.Cut(rest, "```\n")
	if !ok || !ok2 {
		t.Fatal("the page has no example")
	}
	plan, err := planfile.Parse("FORMAT.md", []byte(example), fhirpathtest.Small())
	if err != nil {
		t.Fatal(err)
	}
	table := checks.NewTable(nil)
	var kinds []string
	for _, s := range plan.Steps {
		for k := range s.Checks {
			kind, _ := table.Find(&s.Checks[k])
			kinds = append(kinds, kind.Name)
		}
	}
	for _, k := range table.Kinds {
		if !slices.Contains(kinds, k.Name) {
			t.Errorf("the example has no check of the kind %s", k.Name)
		}
	}
	for _, by := range []testplans.Relation{testplans.ByURL, testplans.BySame, testplans.ByToken, testplans.ByClient, testplans.ByID, testplans.ByOrder} {
		if !strings.Contains(example, "by: "+string(by)) {
			t.Errorf("the example has no relation %s", by)
		}
	}
	var schema any
	if err := json.Unmarshal(planfile.Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	for _, key := range keysOf(schema, nil) {
		if !strings.Contains(example, key+":") {
			t.Errorf("the example does not use the key %s", key)
		}
	}
}

// TestFormatWords: the page has every word that the schema knows and every verdict, and marks the kinds that are about a step as a whole.
func TestFormatWords(t *testing.T) {
	text, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	var schema any
	if err := json.Unmarshal(planfile.Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	words := wordsOf(schema, nil)
	if len(words) < 100 {
		t.Fatalf("only %d words", len(words))
	}
	for _, v := range []testplans.Verdict{testplans.Pass, testplans.PassNotes, testplans.Fail, testplans.NotShown, testplans.NotChecked, testplans.NotApplicable, testplans.ToolError} {
		words = append(words, string(v))
	}
	for _, w := range words {
		if !regexp.MustCompile(`(^|[^A-Za-z0-9_-])` + regexp.QuoteMeta(w) + `([^A-Za-z0-9_-]|$)`).MatchString(page) {
			t.Errorf("the page does not say %q", w)
		}
	}
	for _, k := range checks.NewTable(nil).Kinds {
		row := "| `" + k.Name + "` |"
		if k.Step {
			row = "| `" + k.Name + "`, step |"
		}
		if !strings.Contains(page, "\n"+row) {
			t.Errorf("the table of kinds has no row %s", row)
		}
	}
}

// wordsOf are the words that a schema lets a value be.
func wordsOf(schema any, out []string) []string {
	switch s := schema.(type) {
	case map[string]any:
		if list, ok := s["enum"].([]any); ok {
			for _, w := range list {
				out = append(out, w.(string))
			}
		}
		for _, v := range s {
			out = wordsOf(v, out)
		}
	case []any:
		for _, v := range s {
			out = wordsOf(v, out)
		}
	}
	return out
}

func keysOf(schema any, out []string) []string {
	switch s := schema.(type) {
	case map[string]any:
		if props, ok := s["properties"].(map[string]any); ok {
			for k := range props {
				out = append(out, k)
			}
		}
		for _, v := range s {
			out = keysOf(v, out)
		}
	case []any:
		for _, v := range s {
			out = keysOf(v, out)
		}
	}
	return out
}

func TestExamples(t *testing.T) {
	const file = "-- good/1.request --\nGET /a\n-- good/1.response --\n200\nX: y\n-- good/2.request --\nGET /b\n-- good/expect --\n* pass\n# a note\ns/c fail\n"
	got, err := planfile.Examples("x.txtar", []byte(file+"-- bad/edit --\nfrom good\n1.response\n- 200\n+ 404\n- X: y\n+\ndrop 2\n-- bad/expect --\ns/d not-shown\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].WantOf("s/c") != testplans.Fail || got[0].WantOf("s/x") != testplans.Pass {
		t.Fatalf("got %+v", got)
	}
	bad := got[1]
	if bad.From != "good" || bad.WantOf("s/c") != testplans.Fail || bad.WantOf("s/d") != testplans.NotShown || bad.WantOf("s/x") != testplans.Pass {
		t.Errorf("expectations %+v", bad)
	}
	if len(bad.Archive.Files) != 2 || string(bad.Archive.Files[1].Data) != "404\n" || string(got[0].Archive.Files[1].Data) != "200\nX: y\n" {
		t.Errorf("files %+v", bad.Archive.Files)
	}
	for _, tt := range []struct{ name, more, want string }{
		{"no folder", "-- 1.request --\n", `x.txtar:12:1: file "1.request"; expected EXAMPLE/N.request`},
		{"a verdict that is missing", "-- b/expect --\n* pass\ns/c\n", `x.txtar:14:1: "s/c"; expected STEP/CHECK, or *, and one of [pass`},
		{"a check without its step", "-- b/expect --\n* pass\nc fail\n", `x.txtar:14:1: "c fail"; expected STEP/CHECK, or *, and one of [pass`},
		{"a check twice", "-- b/expect --\n* pass\ns/c fail\n\ns/c pass\n", `x.txtar:16:1: line 14 says already what is expected of s/c`},
		{"a file twice", "-- good/2.request --\nGET /\n", `x.txtar:12:1: there is a file good/2.request already; expected another number or example`},
		{"an answer to nothing", "-- b/1.response --\n200\n-- b/expect --\n* pass\n", `x.txtar:12:1: file b/1.response; expected its request before it`},
		{"a guide without a version", "-- b/guides --\nhl7.fhir.us.core#3.1.1\nhl7.fhir.us.core\n-- b/expect --\n* pass\n", `x.txtar:14:1: "hl7.fhir.us.core" is no guide; expected PACKAGE#VERSION`},
		{"a failure without a side", "-- b/1.request --\nGET /\n-- b/1.failure --\nrefused\n-- b/expect --\n* pass\n", `x.txtar:15:1: "refused" is no failure; expected a reason, a side (client, server or proxy) and what happened`},
		{"a leg with an unknown member", "-- b/1.request --\nGET /\n-- b/1.clientleg --\n{\n\"tls\": {\"vresion\": 1}}\n-- b/expect --\n* pass\n", `x.txtar:16:9: no connection as recording writes it: unknown field "vresion"; expected JSON such as {"tls"`},
		{"a leg that is no JSON", "-- b/1.request --\nGET /\n-- b/1.serverleg --\n{\n\"tls\" {}}\n-- b/expect --\n* pass\n", `x.txtar:16:7: no connection as recording writes it: invalid character '{'`},
		{"an exchange of its own instead", "-- b/2.request --\nGET /c\n-- b/2.response --\n204\n-- b/edit --\nfrom good\n2.response\n- 200\n+ 201\n", `x.txtar:20:1: 2.response has no "200"`},
		{"nothing instead", "-- b/edit --\nfrom good\n1.response\n- 200\n", `x.txtar:15:1: "- 200" has no line with + behind it`},
		{"an unknown verdict", "-- b/expect --\ns/c passes\n", `x.txtar:13:1: "passes" is no verdict; expected pass`},
		{"says nothing of the others", "-- b/1.request --\nGET /\n-- b/expect --\ns/c pass\n", `x.txtar:14:1: the example b says nothing of the other checks`},
		{"from nowhere", "-- b/edit --\nfrom bad\ndrop 1\n", `x.txtar:13:1: "from bad"; expected from and the name of an example before`},
		{"text that is not there", "-- b/edit --\nfrom good\n1.response\n- 500\n+ 200\n", `x.txtar:16:1: 1.response has no "500"`},
		{"drops what is not there", "-- b/edit --\nfrom good\ndrop 9\n", `x.txtar:14:1: "drop 9": there is no such exchange`},
		{"an unknown message", "-- b/edit --\nfrom good\n9.response\n", `x.txtar:14:1: "9.response"; expected the name of a message`},
		{"changes nothing", "-- b/edit --\nfrom good\n", `x.txtar:13:1: the edit changes nothing`},
	} {
		if _, err := planfile.Examples("x.txtar", []byte(file+tt.more)); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}

func TestVetExamples(t *testing.T) {
	plan, err := planfile.Parse("p.yaml", []byte(good), fhirpathtest.Small())
	if err != nil {
		t.Fatal(err)
	}
	examples, err := planfile.Examples("p.txtar", []byte("-- a/1.request --\nGET /\n-- a/expect --\n* pass\nmatch/answered fail\nmatch/other pass\n"))
	if err != nil {
		t.Fatal(err)
	}
	err = planfile.VetExamples("p.yaml", []byte(good), plan, "p.txtar", examples)
	const want = `p.txtar:6:1: example a: the plan has no check match/other; expected match/answered
p.yaml:15:9: no example in p.txtar in which match/answered passes
p.yaml:27:9: no example in p.txtar in which read/is-patient fails`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}
