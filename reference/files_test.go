package reference_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fhirwire/reference"
	"fhirwire/reference/resources"
)

// sample is a folder of the shared material.
func sample(t *testing.T, name string) string {
	t.Helper()
	root := os.Getenv("FHIRWIRE_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "shared")
	}
	dir := filepath.Join(root, "sample-data", name)
	if _, err := os.Stat(dir); err != nil {
		t.Skip("needs the shared material: ", err)
	}
	return dir
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.ndjson": `{"resourceType":"Organization","id":"a"}` + "\n\n" + `{"resourceType":"Organization","id":"b"}`,
		"b.json":   "\n\n" + `{"resourceType":"Organization","id":"c"}`,
		"c.json": `{"resourceType":"Bundle","entry":[
			{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Organization","id":"d"}},
			{"fullUrl":"urn:uuid:2","resource":{"resourceType":"Organization","partOf":{"reference":"urn:uuid:1"}}},
			{"response":{"status":"200"}}]}`,
		"d.txt":       "not looked at",
		"sub/e.jsonl": `{"resourceType":"Organization","id":"e"}`,
		"f.json":      `{"broken"`,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	type place struct {
		file string
		line int
		id   string
		has  string
	}
	want := []place{
		{"a.ndjson", 1, "", `"a"`},
		{"a.ndjson", 3, "", `"b"`},
		{"b.json", 3, "", `"c"`},
		{"c.json", 2, "", `"d"`},
		{"c.json", 3, "2", `"Organization/d"`},
		{"f.json", 1, "", "broken"},
		{"e.jsonl", 1, "", `"e"`},
	}
	var got []resources.Incoming
	for in, err := range reference.Files([]string{dir}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, in)
	}
	if len(got) != len(want) {
		t.Fatalf("%d resources, want %d", len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if filepath.Base(g.Source) != w.file || g.Line != w.line || g.ID != w.id || !strings.Contains(string(g.Body), w.has) {
			t.Errorf("%d: %s:%d id %q %s, want %+v", i, g.Source, g.Line, g.ID, g.Body, w)
		}
	}
	for _, err := range reference.Files([]string{dir}) {
		if err != nil {
			t.Error(err)
		}
		break // stopping early is fine
	}
	if err := reference.CheckFiles([]string{dir, filepath.Join(dir, "nowhere"), t.TempDir()}); err == nil ||
		!strings.Contains(err.Error(), "nowhere") || !strings.Contains(err.Error(), "no .json") {
		t.Errorf("unreadable paths: %v", err)
	}
}

// The resources of the PDex reference implementation load; operation parameters are no resources of a payer and are told.
func TestSampleOfPDexLoads(t *testing.T) {
	s := start(t, 0)
	report, err := s.ref.Load(t.Context(), reference.Files([]string{sample(t, "pdex-ri")}), resources.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var rejected []string
	for _, r := range report.Rejects {
		rejected = append(rejected, filepath.Base(r.Source))
		if r.Line != 1 || r.Reason == "" {
			t.Errorf("%s:%d: %q", r.Source, r.Line, r.Reason)
		}
	}
	slices.Sort(rejected)
	if want := []string{"Parameters-payer-multi-member-match-in.json", "Parameters-payer-multi-member-match-out.json"}; !slices.Equal(rejected, want) {
		t.Errorf("rejected %v, want %v", rejected, want)
	}
	for _, path := range []string{"/Patient/1", "/Patient/1-2", "/Condition/101", "/Endpoint/Diamond-mtls-endpoint2", "/ExplanationOfBenefit/PDexPriorAuth1"} {
		if r := s.get(path); r.status != 200 {
			t.Errorf("%s: status %d", path, r.status)
		}
	}
	if got := s.get("/Encounter?patient=1").ids("match"); len(got) < 3 {
		t.Errorf("Encounters of Patient/1: %v", got)
	}
}
