package bulk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fhirwire/internal/sqldb"
	"fhirwire/reference/resources"
	"fhirwire/reference/search"
	"fhirwire/validators/guides"
	"fhirwire/validators/profile"
)

type definitions struct{ set *profile.Set }

func (d definitions) SearchDefinitions(base string) []search.Definition {
	var out []search.Definition
	for _, p := range d.set.SearchParams(base) {
		out = append(out, search.Definition{URL: p.URL, Code: p.Code, Kind: search.Kind(p.Type), Expression: p.Expression, Targets: p.Target})
	}
	return out
}

var registry = sync.OnceValues(func() (*search.Registry, error) {
	lib, err := guides.Load()
	if err != nil {
		return nil, err
	}
	set, err := lib.Set()
	if err != nil {
		return nil, err
	}
	return search.NewRegistry(definitions{set}, set)
})

type fixture struct {
	*Manager
	t     *testing.T
	store *resources.Store
	now   time.Time
	ids   int
}

// setup stores patients with some observations each, and a Group "g" of the first two.
func setup(t *testing.T, patients int, o Options) *fixture {
	t.Helper()
	dir := t.TempDir()
	db, err := sqldb.Open(t.Context(), sqldb.SQLiteDSN(filepath.Join(dir, "x.db")), sqldb.Options{Synchronous: "off"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	reg, err := registry()
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return f.now }
	if f.store, err = resources.New(t.Context(), db, reg, resources.Options{Clock: clock}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.Load(t.Context(), data(patients), resources.LoadOptions{}); err != nil {
		t.Fatal(err)
	}
	f.now = f.now.Add(time.Hour)
	o.Dir, o.Clock = filepath.Join(dir, "exports"), clock
	o.NewID = func() string { f.ids++; return fmt.Sprintf("job%d", f.ids) }
	if f.Manager, err = New(t.Context(), db, f.store, reg, o); err != nil {
		t.Fatal(err)
	}
	return f
}

func data(patients int) iter.Seq2[resources.Incoming, error] {
	return func(yield func(resources.Incoming, error) bool) {
		for i := range patients {
			bodies := []string{fmt.Sprintf(`{"resourceType":"Patient","id":"p%d"}`, i)}
			for k := range 5 {
				bodies = append(bodies, fmt.Sprintf(`{"resourceType":"Observation","id":"o%d-%d","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p%d"},"performer":[{"reference":"Organization/org%d"}]}`, i, k, i, i%3))
			}
			for _, b := range bodies {
				if !yield(resources.Incoming{Body: []byte(b)}, nil) {
					return
				}
			}
		}
		for _, b := range []string{
			`{"resourceType":"Organization","id":"org0","partOf":{"reference":"Organization/parent"}}`, `{"resourceType":"Organization","id":"org1"}`, `{"resourceType":"Organization","id":"org2"}`,
			`{"resourceType":"Organization","id":"parent"}`, `{"resourceType":"Organization","id":"stranger"}`,
			`{"resourceType":"Group","id":"g","member":[{"entity":{"reference":"Patient/p0"}},{"entity":{"reference":"Patient/p1"}},{"entity":{"reference":"Patient/p2"},"inactive":true}]}`,
		} {
			if !yield(resources.Incoming{Body: []byte(b)}, nil) {
				return
			}
		}
	}
}

func (f *fixture) kick(level Level, params ...Param) string {
	f.t.Helper()
	id, err := f.Kickoff(f.t.Context(), Kickoff{Level: level, GroupID: "g", URL: "http://x/fhir/$export", Base: "http://x/fhir", Params: params})
	if err != nil {
		f.t.Fatal(err)
	}
	return id
}

// steps works on jobs as one worker would, n units at most, and says which job each unit was of.
func (f *fixture) steps(n int) []string {
	f.t.Helper()
	var out []string
	for range n {
		id, ok := f.next()
		if !ok {
			break
		}
		again, err := f.step(f.t.Context(), id)
		if err != nil {
			f.t.Fatal(err)
		}
		if again {
			f.enqueue(id)
		}
		out = append(out, id)
	}
	return out
}

func (f *fixture) read(id, name string) string {
	f.t.Helper()
	file, err := f.Open(f.t.Context(), id, name)
	if err != nil {
		f.t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // only read
	b, err := io.ReadAll(file)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(b)
}

func TestJobsTakeTurns(t *testing.T) {
	f := setup(t, 3, Options{})
	large := f.kick(Patient)
	small := f.kick(Patient, Param{"_type", "Patient"})
	order := f.steps(8)
	if want := []string{large, small, large, small, large, small, large, large}; !slices.Equal(order, want) {
		t.Errorf("units of %v, want %v", order, want)
	}
	s, err := f.Status(t.Context(), small)
	if err != nil || s.State != Complete || len(s.Manifest.Output) != 1 {
		t.Errorf("the small job: %+v, %v", s, err)
	}
	if s, err = f.Status(t.Context(), large); err != nil || s.State != Running || s.Progress == "" || len(s.Progress) > 100 {
		t.Errorf("the large job: %+v, %v", s, err)
	}
}

func TestGroupExportBringsWhatItRefersTo(t *testing.T) {
	f := setup(t, 4, Options{LinesPerFile: 4})
	id := f.kick(Group)
	f.steps(100)
	s, err := f.Status(t.Context(), id)
	if err != nil || s.State != Complete {
		t.Fatalf("%+v, %v", s, err)
	}
	got := map[string]string{}
	for _, out := range s.Manifest.Output {
		name := out.URL[strings.LastIndexByte(out.URL, '/')+1:]
		var ids []string
		for line := range strings.Lines(f.read(id, name)) {
			_, rest, _ := strings.Cut(line, `"id":"`)
			rest, _, _ = strings.Cut(rest, `"`)
			ids = append(ids, rest)
		}
		slices.Sort(ids)
		got[name] = strings.Join(ids, " ")
		if int64(len(ids)) != out.Count {
			t.Errorf("%s: count %d, %d lines", name, out.Count, len(ids))
		}
	}
	want := map[string]string{
		"Patient-1.ndjson": "p0 p1", "Group-1.ndjson": "g",
		"Observation-1.ndjson": "o0-0 o0-1 o0-2 o0-3", "Observation-2.ndjson": "o0-4 o1-0 o1-1 o1-2", "Observation-3.ndjson": "o1-3 o1-4",
		"Organization-1.ndjson": "org0 org1 parent",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("files %v\nwant  %v", got, want)
	}
}

func TestMembershipIsReadWhenDataAre(t *testing.T) {
	f := setup(t, 3, Options{})
	id := f.kick(Group, Param{"_type", "Patient,Observation"})
	if _, _, err := f.store.Put(t.Context(), "Group", "g", []byte(`{"resourceType":"Group","member":[{"entity":{"reference":"Patient/p1"}}]}`), resources.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	f.steps(100)
	if got := f.read(id, "Patient-1.ndjson"); strings.Contains(got, `"p0"`) || !strings.Contains(got, `"p1"`) {
		t.Errorf("patients %s", got)
	}
}

func TestCancelWhileRunning(t *testing.T) {
	f := setup(t, 3, Options{})
	id := f.kick(Patient)
	f.steps(3)
	if err := f.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	f.steps(100)
	if _, err := f.Status(t.Context(), id); !errors.Is(err, ErrNotFound) {
		t.Errorf("status of a cancelled job: %v", err)
	}
	if _, err := f.Open(t.Context(), id, "Patient-1.ndjson"); !errors.Is(err, ErrNotFound) {
		t.Errorf("file of a cancelled job: %v", err)
	}
	if entries, err := os.ReadDir(f.o.Dir); err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if err := f.Cancel(t.Context(), id); !errors.Is(err, ErrNotFound) {
		t.Errorf("second cancel: %v", err)
	}
}

// TestCancelWhileWriting cancels exports at any moment of their work: none is answered with an error, and nothing stays.
func TestCancelWhileWriting(t *testing.T) {
	f := setup(t, 40, Options{LinesPerFile: 2})
	for i := range 60 {
		id := f.kick(Patient)
		var wg sync.WaitGroup
		wg.Go(func() {
			for again := true; again; {
				again, _ = f.step(t.Context(), id) // what a cancelled unit fails at does not matter
			}
		})
		time.Sleep(time.Duration(i) * 200 * time.Microsecond)
		if err := f.Cancel(t.Context(), id); err != nil {
			t.Fatalf("export %d: %v", i, err)
		}
		wg.Wait()
	}
	if entries, err := os.ReadDir(f.o.Dir); err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestFilesExpire(t *testing.T) {
	f := setup(t, 1, Options{Keep: time.Minute})
	id := f.kick(Patient, Param{"_type", "Patient"})
	f.steps(100)
	f.read(id, "Patient-1.ndjson")
	f.now = f.now.Add(2 * time.Minute)
	check := func(when string) {
		t.Helper()
		if _, err := f.Open(t.Context(), id, "Patient-1.ndjson"); !errors.Is(err, ErrExpired) {
			t.Errorf("%s: file: %v", when, err)
		}
		if _, err := f.Status(t.Context(), id); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: status: %v", when, err)
		}
	}
	check("before the sweep")
	if err := f.expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("after the sweep")
	if entries, err := os.ReadDir(f.o.Dir); err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestTooManyJobs(t *testing.T) {
	f := setup(t, 1, Options{MaxOpen: 1})
	f.kick(System)
	_, err := f.Kickoff(t.Context(), Kickoff{Level: System, Base: "http://x/fhir"})
	var refused *KickoffError
	if !errors.As(err, &refused) || refused.Status != 429 || refused.RetryAfter <= 0 {
		t.Errorf("error %v", err)
	}
	f.steps(1000)
	f.kick(System)
}

func TestJobFailsAfterAttempts(t *testing.T) {
	f := setup(t, 1, Options{Workers: 1})
	id := f.kick(Patient)
	// a folder that cannot be one
	if err := os.WriteFile(filepath.Join(f.o.Dir, id), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	var s Status
	for deadline := time.Now().Add(10 * time.Minute); time.Now().Before(deadline); {
		var err error
		if s, err = f.Status(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if s.State == Failed {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if s.State != Failed || s.Message == "" {
		t.Errorf("%+v", s)
	}
}

func TestSplitFilters(t *testing.T) {
	for in, want := range map[string][]string{
		"Observation?a=b,c,Patient?x=y": {"Observation?a=b,c", "Patient?x=y"},
		"Observation?code=A,B":          {"Observation?code=A,B"},
		"Patient?a=b,":                  {"Patient?a=b,"},
		"":                              {""},
	} {
		if got := splitFilters(in); !slices.Equal(got, want) {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func BenchmarkReferred(b *testing.B) {
	line := []byte(`{"resourceType":"Observation","id":"o","performer":[{"reference":"Organization/org1"}],"subject":{"reference":"Patient/p1"},"text":"` + strings.Repeat("x", 1000) + `"}`)
	known := newReferred()
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		known.add(line)
	}
}
