package fetch_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fhirwire/validators/ig"
	"fhirwire/validators/ig/fetch"
)

// archive is a package as published, with one value set.
func archive(t *testing.T, name, version, title string, deps map[string]string) []byte {
	t.Helper()
	manifest, err := json.Marshal(map[string]any{"name": name, "version": version, "dependencies": deps})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	tw := tar.NewWriter(zw)
	for file, text := range map[string]string{
		"package/package.json":    string(manifest),
		"package/ValueSet-a.json": `{"resourceType":"ValueSet","url":"http://x.org/a","name":"` + title + `","compose":{"include":[{"system":"http://x.org/cs"}]}}`,
	} {
		if err := tw.WriteHeader(&tar.Header{Name: file, Mode: 0o600, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(tw.Close(), zw.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(t *testing.T, data []byte) *ig.Package {
	t.Helper()
	p, err := ig.ReadTGZ(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// registry serves packages by {name}/{version}; names ending in ".npm" by npm's description.
func registry(t *testing.T, packages map[string][]byte) string {
	t.Helper()
	mux := http.NewServeMux()
	var base string
	mux.HandleFunc("GET /{name}/{version}", func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("name") + "#" + r.PathValue("version")
		data, ok := packages[id]
		switch {
		case !ok:
			http.NotFound(w, r)
		case strings.HasSuffix(r.PathValue("name"), ".npm"):
			_, _ = fmt.Fprintf(w, `{"dist":{"tarball":"%s/-/%s/%s"}}`, base, r.PathValue("name"), r.PathValue("version"))
		default:
			_, _ = w.Write(data)
		}
	})
	mux.HandleFunc("GET /-/{name}/{version}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(packages[r.PathValue("name")+"#"+r.PathValue("version")])
	})
	mux.HandleFunc("GET /{name}", func(w http.ResponseWriter, r *http.Request) {
		versions := map[string]any{}
		for id := range packages {
			if name, version, _ := strings.Cut(id, "#"); name == r.PathValue("name") {
				versions[version] = map[string]any{}
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"versions": versions})
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	base = s.URL
	return s.URL
}

func TestPackage(t *testing.T) {
	url := registry(t, map[string][]byte{
		"a.guide#1.0.0": archive(t, "a.guide", "1.0.0", "A", nil), "a.guide#1.0.10": archive(t, "a.guide", "1.0.10", "A", nil),
		"a.guide#1.0.9": archive(t, "a.guide", "1.0.9", "A", nil), "a.guide#2.0.0-ballot": archive(t, "a.guide", "2.0.0-ballot", "A", nil),
		"b.npm#1.0.0":  archive(t, "b.npm", "1.0.0", "B", nil),
		"liar#1.0.0":   archive(t, "other", "1.0.0", "L", nil),
		"text#1.0.0":   []byte("hello"),
		"cut#1.0.0":    archive(t, "cut", "1.0.0", "C", nil)[:60],
		"file#1.0.0":   []byte(`{"dist":{"tarball":"file:///etc/passwd"}}`),
		"large#1.0.0":  bytes.Repeat([]byte("x"), 1<<16),
		"broken#1.0.0": archive(t, "broken", "1.0.0", `","x`, nil),
	})
	f := fetch.New(fetch.Options{Registry: url + "/", MaxDownload: 1 << 15})
	for _, tt := range []struct{ name, version, want, fault string }{
		{"a.guide", "1.0.0", "a.guide#1.0.0", ""},
		{"a.guide", "1.0.x", "a.guide#1.0.10", ""},
		{"a.guide", "latest", "a.guide#2.0.0-ballot", ""},
		{"a.guide", "", "a.guide#2.0.0-ballot", ""},
		{"b.npm", "1.0.0", "b.npm#1.0.0", ""},
		{"a.guide", "3.0.x", "", "no such version"},
		{"a.guide", "3.0.0", "", "404"},
		{"liar", "1.0.0", "", "calls itself other#1.0.0"},
		{"text", "1.0.0", "", "neither an archive"},
		{"cut", "1.0.0", "", "unexpected EOF"},
		{"file", "1.0.0", "", "no archive to fetch"},
		{"large", "1.0.0", "", "larger than 32768 bytes"},
		{"broken", "1.0.0", "", "ValueSet-a.json"},
		{"../x", "1.0.0", "", "no name and version"},
		{"a", "..", "", "no name and version"},
		{"a?b", "1", "", "no name and version"},
	} {
		p, err := f.Package(t.Context(), tt.name, tt.version)
		switch {
		case tt.fault == "" && (err != nil || p.ID() != tt.want):
			t.Errorf("%s#%s: %v", tt.name, tt.version, err)
		case tt.fault != "" && (err == nil || !strings.Contains(err.Error(), tt.fault)):
			t.Errorf("%s#%s: %v, want %s", tt.name, tt.version, err, tt.fault)
		}
	}
	if _, err := fetch.New(fetch.Options{}).Package(t.Context(), "a", "1"); !errors.Is(err, fetch.ErrNotFound) {
		t.Errorf("nowhere to look: %v", err)
	}
}

// unpack puts a package into a cache folder.
func unpack(t *testing.T, cache, name, version string) {
	t.Helper()
	dir := filepath.Join(cache, name+"#"+version, "package")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"name":"`+name+`","version":"`+version+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDependencies(t *testing.T) {
	cache := t.TempDir()
	unpack(t, cache, "cached", "1.2.3")
	unpack(t, cache, "cached", "1.3.0")
	url := registry(t, map[string][]byte{
		"mid#1.0.0":  archive(t, "mid", "1.0.0", "M", map[string]string{"low": "1.0.0", "top": "1.0.0", "here": "9"}),
		"low#1.0.0":  archive(t, "low", "1.0.0", "L", map[string]string{"gone": "1.0.0"}),
		"down#1.0.0": []byte("x"),
	})
	f := fetch.New(fetch.Options{Cache: cache, Registry: url})
	top := read(t, archive(t, "top", "1.0.0", "T", map[string]string{"mid": "1.0.0", "cached": "1.2.x", "here": "9"}))
	got, notes, err := f.Dependencies(t.Context(), []*ig.Package{top}, func(name, version string) bool { return name == "here" })
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, p := range got {
		ids = append(ids, p.ID())
	}
	slices.Sort(ids)
	if want := []string{"cached#1.2.3", "low#1.0.0", "mid#1.0.0"}; !slices.Equal(ids, want) {
		t.Errorf("got %q, want %q", ids, want)
	}
	if len(notes) != 1 || notes[0] != "low#1.0.0 depends on gone#1.0.0, which is not at hand" {
		t.Errorf("notes %q", notes)
	}
	bad := read(t, archive(t, "bad", "1.0.0", "B", map[string]string{"down": "1.0.0"}))
	if _, _, err := f.Dependencies(t.Context(), []*ig.Package{bad}, func(string, string) bool { return false }); err == nil || !strings.Contains(err.Error(), "what bad#1.0.0 depends on: package down#1.0.0") {
		t.Errorf("a registry that is broken: %v", err)
	}
	if got := f.Cached(); !slices.Equal(got, []string{"cached#1.2.3", "cached#1.3.0"}) {
		t.Errorf("cached %q", got)
	}
}

func TestDir(t *testing.T) {
	d := fetch.Dir(filepath.Join(t.TempDir(), "packages"))
	if got, err := d.Packages(); err != nil || len(got) != 0 {
		t.Fatalf("a folder that is not there: %v, %v", got, err)
	}
	one, other := read(t, archive(t, "a", "1.0.0", "One", nil)), read(t, archive(t, "a", "1.0.0", "Other", nil))
	for i, want := range []bool{true, false} {
		if added, err := d.Put(one); err != nil || added != want {
			t.Errorf("put %d: %v, %v", i, added, err)
		}
	}
	if _, err := d.Put(other); !errors.Is(err, fetch.ErrOther) {
		t.Errorf("other content: %v", err)
	}
	if _, err := d.Put(read(t, archive(t, "a", "1.1.0", "One", nil))); err != nil {
		t.Error(err)
	}
	if _, err := d.Put(&ig.Package{Name: "../a", Version: "1"}); err == nil {
		t.Error("a name that leads out of the folder is taken")
	}
	got, err := d.Packages()
	if err != nil || len(got) != 2 || got[0].ID() != "a#1.0.0" || got[1].ID() != "a#1.1.0" {
		t.Fatalf("packages %v, %v", got, err)
	}
	if vs, err := got[0].Resources[0].ValueSet(); err != nil || vs.Include[0].System != "http://x.org/cs" {
		t.Errorf("value set %+v, %v", vs, err)
	}
	if err := d.Remove("a#1.0.0"); err != nil {
		t.Error(err)
	}
	if err := d.Remove("a#1.0.0"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed twice: %v", err)
	}
	if err := os.Rename(filepath.Join(string(d), "a#1.1.0.fwt"), filepath.Join(string(d), "b#1.fwt")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Packages(); err == nil || !strings.Contains(err.Error(), "b#1.fwt: it holds package a#1.1.0") {
		t.Errorf("a table under another name: %v", err)
	}
}
