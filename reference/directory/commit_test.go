package directory

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"
)

func TestCommit(t *testing.T) {
	a, b := strings.Repeat("a1", 20), strings.Repeat("b2", 32)
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  string
	}{
		"none":     {fstest.MapFS{"x.json": file("{}")}, ""},
		"branch":   {fstest.MapFS{".git/HEAD": file("ref: refs/heads/main\n"), ".git/refs/heads/main": file(a + "\n")}, a},
		"detached": {fstest.MapFS{".git/HEAD": file(b + "\n")}, b},
		"packed": {fstest.MapFS{".git/HEAD": file("ref: refs/heads/main\n"), ".git/packed-refs": file("# pack-refs with: peeled\n" +
			strings.Repeat("c", 40) + " refs/heads/maintenance\n" + a + " refs/heads/main\n")}, a},
		"folder":      {fstest.MapFS{"entries/.git/HEAD": file(a)}, a},
		"two folders": {fstest.MapFS{"one/.git/HEAD": file(a), "two/.git/HEAD": file(a)}, ""},
		"unborn":      {fstest.MapFS{".git/HEAD": file("ref: refs/heads/main\n")}, ""},
		"out of it":   {fstest.MapFS{".git/HEAD": file("ref: ../secret\n"), "secret": file(a)}, ""},
		"worktree":    {fstest.MapFS{".git": file("gitdir: /elsewhere\n")}, ""},
		"no hash":     {fstest.MapFS{".git/HEAD": file("hello")}, ""},
	} {
		if got := Commit(c.files); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	var index Index
	rec := get(t, New(fstest.MapFS{".git/HEAD": file(a), "x.json": file("{}")}, Options{}).Handler(), "GET", "/directory/index.json", nil)
	if err := json.Unmarshal(rec.Body.Bytes(), &index); err != nil || index.Commit != a || len(index.Bundles) != 1 {
		t.Errorf("%v %+v", err, index)
	}
}

func TestNames(t *testing.T) {
	const plan = `{"resourceType":"Bundle","entry":[
		{"resource":{"resourceType":"Organization","id":"cedarmesa","identifier":[{"system":"http://hl7.org/fhir/sid/us-npi","value":"100"},{"value":"cm-1"}]}},
		{"resource":{"resourceType":"Organization","id":"operator","identifier":[{"value":"op"}]}},
		{"resource":{"resourceType":"Endpoint","id":"e","identifier":[{"value":"100"},{"value":"e-1"}]}}]}`
	files := fstest.MapFS{
		"bundles/a.json": {Data: []byte(plan)}, "b.json": {Data: []byte("{")}, "c.json": {Data: []byte("[]")},
		".git/d.json": {Data: []byte(`{"entry":[{"resource":{"resourceType":"Organization","id":"hidden","identifier":[{"value":"100"}]}}]}`)},
	}
	for name, want := range map[string]bool{
		"cm-1": true, "Organization/cedarmesa": true, "100": true, "Organization/operator": false, "op": false, "e-1": false, "Organization/hidden": false, "": false,
	} {
		if got := Names(files, name, []string{"100"}); got != want {
			t.Errorf("%q: %t", name, got)
		}
	}
}
