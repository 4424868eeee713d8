package resources_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
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
	"fhirwire/validators/fhirjson"
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

// clock is a test's time.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}

type fixture struct {
	*resources.Store
	t     *testing.T
	db    *sqldb.DB
	reg   *search.Registry
	clock *clock
}

// each runs a test on SQLite and, where FHIRWIRE_TEST_POSTGRES names a database, on Postgres.
func each(t *testing.T, test func(t *testing.T, f *fixture)) {
	t.Run("sqlite", func(t *testing.T) {
		test(t, open(t, sqldb.SQLiteDSN(filepath.Join(t.TempDir(), "ref.db"))))
	})
	t.Run("postgres", func(t *testing.T) {
		dsn := os.Getenv("FHIRWIRE_TEST_POSTGRES")
		if dsn == "" {
			t.Skip("FHIRWIRE_TEST_POSTGRES names no database (postgres://…)")
		}
		test(t, open(t, schema(t, dsn)))
	})
}

// schema makes a schema for the test and gives a DSN that works in it.
func schema(t *testing.T, dsn string) string {
	t.Helper()
	admin, err := sqldb.Open(t.Context(), dsn, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("ref_%d", time.Now().UnixNano())
	if err := admin.Write.Exec("CREATE SCHEMA " + name).Error; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := admin.Write.Exec("DROP SCHEMA " + name + " CASCADE").Error; err != nil {
			t.Error(err)
		}
		if err := admin.Close(); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String()
}

func open(t *testing.T, dsn string) *fixture {
	t.Helper()
	db, err := sqldb.Open(t.Context(), dsn, sqldb.Options{})
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
	c := &clock{now: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)}
	s, err := resources.New(t.Context(), db, reg, resources.Options{Clock: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{s, t, db, reg, c}
}

func (f *fixture) put(typ, id, body string) resources.Resource {
	f.t.Helper()
	r, _, err := f.Put(f.t.Context(), typ, id, []byte(body), resources.PutOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

func (f *fixture) find(query string) string {
	f.t.Helper()
	typ, raw, _ := strings.Cut(query, "?")
	pairs, err := search.ParsePairs(raw)
	if err != nil {
		f.t.Fatal(err)
	}
	q, err := f.reg.Parse(typ, pairs, search.ParseOptions{Strict: true})
	if err != nil {
		f.t.Fatal(err)
	}
	res, err := f.Search(f.t.Context(), q, resources.Page{Limit: 100})
	if err != nil {
		f.t.Fatal(err)
	}
	n, err := f.Count(f.t.Context(), q, nil, 0)
	if err != nil || n != len(res.Resources) {
		f.t.Errorf("%s: count %d, %v; %d found", query, n, err, len(res.Resources))
	}
	var ids []string
	for _, r := range res.Resources {
		ids = append(ids, r.ID)
	}
	return strings.Join(ids, " ")
}

func TestBodiesStayAsWritten(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		in := "{ \"id\":\"other\", \"resourceType\" : \"Patient\",\n \"multipleBirthInteger\": 1.50e0,\t\"name\":[{\"family\":\" a  \\\"b\\u00e9 \"}], \"meta\":{\"profile\":[\"p\"], \"lastUpdated\":\"x\"}, \"_active\": {\"id\":\"q\"} }"
		r := f.put("Patient", "p1", in)
		want := `{"resourceType":"Patient","id":"p1","meta":{"versionId":"1","lastUpdated":"2026-01-01T12:00:00.000Z","profile":["p"]},"multipleBirthInteger":1.50e0,"name":[{"family":" a  \"b\u00e9 "}],"_active":{"id":"q"}}`
		if string(r.Body) != want {
			t.Errorf("stored %s\nwant   %s", r.Body, want)
		}
		got, err := f.Get(t.Context(), "Patient", "p1")
		if err != nil || string(got.Body) != want {
			t.Errorf("read %s, %v", got.Body, err)
		}
		long := `{"resourceType":"Patient","text":{"status":"generated","div":"` + strings.Repeat("lorem ipsum ", 5000) + `"}}`
		f.put("Patient", "p2", long)
		got, err = f.Get(t.Context(), "Patient", "p2")
		if err != nil || !strings.Contains(string(got.Body), long[len(`{"resourceType":"Patient",`):]) {
			t.Errorf("a long body: %d bytes, %v", len(got.Body), err)
		}
		var stored int
		if err := f.db.Read.Raw("SELECT length(body) FROM ref_resource WHERE id = 'p2'").Scan(&stored).Error; err != nil || stored > len(long)/10 {
			t.Errorf("%d bytes stored of %d, %v", stored, len(long), err)
		}
	})
}

func TestWritesRefuse(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for _, bad := range []string{"", "[]", "{}", `{"resourceType":"Group"}`, `{"resourceType":"Patient",}`, `{"resourceType":"Patient","meta":[]}`, `{"resourceType":"Patient"} x`, `{"resourceType":"Patient","id":"a","id":"b"}`} {
			if _, _, err := f.Put(t.Context(), "Patient", "p", []byte(bad), resources.PutOptions{}); !errors.Is(err, resources.ErrInvalid) {
				t.Errorf("%q: %v", bad, err)
			}
		}
		if _, err := f.Get(t.Context(), "Patient", "p"); !errors.Is(err, resources.ErrNotFound) {
			t.Errorf("something was stored: %v", err)
		}
		f.put("Patient", "p", `{"resourceType":"Patient"}`)
		if _, _, err := f.Put(t.Context(), "Patient", "p", []byte(`{"resourceType":"Patient"}`), resources.PutOptions{IfMatch: 2}); !errors.Is(err, resources.ErrConflict) {
			t.Errorf("If-Match: %v", err)
		}
	})
}

func TestHistoryAndStreamAsOf(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.put("Patient", "p", `{"resourceType":"Patient","gender":"male"}`)
		f.put("Condition", "c1", `{"resourceType":"Condition","subject":{"reference":"Patient/p"}}`)
		f.put("Condition", "c2", `{"resourceType":"Condition","subject":{"reference":"Patient/other"}}`)
		t1 := f.clock.add(time.Second)
		f.clock.add(time.Second)
		f.put("Condition", "c1", `{"resourceType":"Condition","subject":{"reference":"Patient/other"}}`)
		f.put("Condition", "c3", `{"resourceType":"Condition","subject":{"reference":"Patient/p"}}`)
		if _, err := f.Delete(t.Context(), "Condition", "c2"); err != nil {
			t.Fatal(err)
		}
		ids := func(filter resources.Filter) string {
			t.Helper()
			var out []string
			for r, err := range f.Stream(t.Context(), filter) {
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, fmt.Sprintf("%s.%d", r.ID, r.Version))
			}
			return strings.Join(out, " ")
		}
		for _, tt := range []struct {
			name string
			f    resources.Filter
			want string
		}{
			{"now", resources.Filter{Type: "Condition"}, "c1.2 c3.1"},
			{"as of before the changes", resources.Filter{Type: "Condition", Until: t1}, "c1.1 c2.1"},
			{"since", resources.Filter{Type: "Condition", Since: t1}, "c1.2 c3.1"},
			{"one patient", resources.Filter{Type: "Condition", Patients: []string{"p"}}, "c3.1"},
			{"no patient", resources.Filter{Type: "Condition", Patients: []string{}}, ""},
			{"any patient", resources.Filter{Type: "Condition", InCompartment: true}, "c1.2 c3.1"},
		} {
			if got := ids(tt.f); got != tt.want {
				t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
			}
		}
		var gone []string
		for id, err := range f.Deleted(t.Context(), resources.Filter{Type: "Condition", Patients: []string{"other"}, Since: t1, Until: f.clock.Now()}) {
			if err != nil {
				t.Fatal(err)
			}
			gone = append(gone, id)
		}
		if !slices.Equal(gone, []string{"c2"}) {
			t.Errorf("deleted %v", gone)
		}
		for id, err := range f.Deleted(t.Context(), resources.Filter{Type: "Condition", Patients: []string{"p"}, Since: t1, Until: f.clock.Now()}) {
			t.Errorf("%s was never p's, %v", id, err)
		}
		h, err := f.History(t.Context(), "Condition", "c2")
		if err != nil || len(h) != 2 || !h[0].Deleted || h[1].Version != 1 || h[1].Body == nil {
			t.Errorf("history %v, %v", h, err)
		}
		if got := f.find("Condition?patient=p"); got != "c3" {
			t.Errorf("patient=p finds %q", got)
		}
		if got := f.find("Condition?patient=other"); got != "c1" {
			t.Errorf("patient=other finds %q", got)
		}
	})
}

func incoming(bodies ...string) iter.Seq2[resources.Incoming, error] {
	return func(yield func(resources.Incoming, error) bool) {
		for i, b := range bodies {
			if !yield(resources.Incoming{Body: []byte(b), Source: "in", Line: i + 1}, nil) {
				return
			}
		}
	}
}

func TestLoad(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		var bodies []string
		for i := range 3000 {
			bodies = append(bodies, fmt.Sprintf(`{"resourceType":"Patient","id":"n%d","meta":{"lastUpdated":"2020-01-01T00:00:00Z"},"name":[{"family":"Load%d"}]}`, i, i))
		}
		bodies[10] = `{"resourceType":"Patient"}`
		bodies[20] = `not json`
		bodies[30] = `{"resourceType":"Nonsense","id":"x"}`
		bodies[2500] = bodies[5]                                                            // the same again
		bodies[2501] = `{"resourceType":"Patient","id":"n6","name":[{"family":"Changed"}]}` // another version
		var last int
		report, err := f.Load(t.Context(), incoming(bodies...), resources.LoadOptions{Progress: func(n int) { last = n }})
		if err != nil {
			t.Fatal(err)
		}
		var lines []int
		for _, r := range report.Rejects {
			lines = append(lines, r.Line)
		}
		slices.Sort(lines)
		if report.Created != 2995 || report.Updated != 1 || report.Unchanged != 1 || !slices.Equal(lines, []int{11, 21, 31}) || last != 3000 {
			t.Errorf("%d created, %d updated, %d unchanged, rejects %v, progress %d", report.Created, report.Updated, report.Unchanged, lines, last)
		}
		if got := f.find("Patient?family=changed"); got != "n6" {
			t.Errorf("the new version is found as %q", got)
		}
		if got := f.find("Patient?family=Load6&_lastUpdated=2020-01-01T00:00:00Z&_id=n6,n60,n600"); got != "n60 n600" {
			t.Errorf("found %q", got)
		}
		again, err := f.Load(t.Context(), incoming(bodies[:9]...), resources.LoadOptions{})
		if err != nil || again.Unchanged != 8 || again.Updated != 1 { // n6 goes back
			t.Errorf("again: %+v %v", again, err)
		}
	})
}

func TestLoadStopsOnErrors(t *testing.T) {
	f := open(t, sqldb.SQLiteDSN(filepath.Join(t.TempDir(), "ref.db")))
	broken := errors.New("disk gone")
	_, err := f.Load(t.Context(), func(yield func(resources.Incoming, error) bool) {
		if yield(resources.Incoming{Body: []byte(`{"resourceType":"Patient","id":"a"}`)}, nil) {
			yield(resources.Incoming{}, broken)
		}
	}, resources.LoadOptions{})
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = f.Load(ctx, func(yield func(resources.Incoming, error) bool) {
		for i := 0; ; i++ {
			if i == 5000 {
				cancel()
			}
			if !yield(resources.Incoming{Body: fmt.Appendf(nil, `{"resourceType":"Patient","id":"b%d"}`, i)}, nil) {
				return
			}
		}
	}, resources.LoadOptions{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// fewer is a registry of other parameters.
type fewer struct{ *search.Registry }

func (fewer) Fingerprint() string { return "fewer" }

func (fewer) Index(_ context.Context, root *fhirjson.Node, into *search.Entries) error {
	into.Terms = append(into.Terms, search.Term{Param: 1, Key: root.ResourceType()})
	return nil
}

func TestIndexIsRebuiltWhenParametersChange(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.put("Patient", "p", `{"resourceType":"Patient","gender":"male","name":[{"family":"X"}]}`)
		f.put("Condition", "c", `{"resourceType":"Condition","subject":{"reference":"Patient/p"}}`)
		count := func() (n int) {
			if err := f.db.Read.Raw("SELECT count(*) FROM ref_term").Scan(&n).Error; err != nil {
				t.Fatal(err)
			}
			return n
		}
		before := count()
		if _, err := resources.New(t.Context(), f.db, fewer{f.reg}, resources.Options{Clock: f.clock.Now}); err != nil {
			t.Fatal(err)
		}
		if n := count(); n != 2 {
			t.Errorf("%d rows by the new parameters", n)
		}
		if _, err := resources.New(t.Context(), f.db, f.reg, resources.Options{Clock: f.clock.Now}); err != nil {
			t.Fatal(err)
		}
		if n := count(); n != before {
			t.Errorf("%d rows, %d before", n, before)
		}
		if got := f.find("Patient?gender=male"); got != "p" {
			t.Errorf("found %q", got)
		}
		if got := f.find("Condition?patient=p"); got != "c" {
			t.Errorf("found %q", got)
		}
	})
}

// TestPlans runs every form of SQL that the planner makes, on both databases; what they find is tested over HTTP.
func TestPlans(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.put("Patient", "p", `{"resourceType":"Patient","identifier":[{"system":"s","value":"v"}],"gender":"male","birthDate":"1980-01-01","name":[{"family":"Ab%c_d!"}]}`)
		f.put("Observation", "o", `{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"s","code":"a"},{"system":"t","code":"a"}]},"subject":{"reference":"Patient/p"},"effectiveDateTime":"2020-01-01","valueQuantity":{"value":5,"system":"u","code":"mg"},"performer":[{"identifier":{"system":"s","value":"logical"}}]}`)
		for _, query := range []string{
			"Patient?identifier=s%7Cv", "Patient?identifier=v", "Patient?identifier=s%7C", "Patient?identifier=v,w", "Patient?gender=male&family=ab", "Patient?family:contains=%25c_d!",
			"Patient?family:exact=Ab%25c_d!", "Patient?birthdate=1980", "Patient?birthdate=1980&gender=male", "Patient?birthdate=ge1980&birthdate=lt1990", "Patient?gender:not=female",
			"Patient?_id=p", "Patient?_lastUpdated=gt2000", "Patient?name:missing=false", "Patient?death-date:missing=true", "Patient?_sort=family,-birthdate,_id,-_lastUpdated",
		} {
			if got := f.find(query); got != "p" {
				t.Errorf("%s: %q", query, got)
			}
		}
		for _, query := range []string{
			"Observation?patient=p", "Observation?patient=p&code=a", "Observation?patient=p&code=s%7Ca,t%7Ca&status=final", "Observation?code=a", "Observation?code=a&status=final",
			"Observation?subject=p", "Observation?subject=Patient/p", "Observation?patient.family=ab", "Observation?patient.identifier=s%7Cv&code=a", "Observation?performer:identifier=logical",
			"Observation?date=2020", "Observation?date=2020,2021&patient=p", "Observation?value-quantity=5&patient=p", "Observation?value-quantity=gt4%7Cu%7Cmg", "Observation?patient:missing=false",
			"Observation?value-quantity:missing=false&date:missing=false", "Observation?_sort=date,patient,value-quantity,-code",
		} {
			if got := f.find(query); got != "o" {
				t.Errorf("%s: %q", query, got)
			}
		}
	})
}

func TestConcurrentWritersKeepVersions(t *testing.T) {
	f := open(t, sqldb.SQLiteDSN(filepath.Join(t.TempDir(), "ref.db")))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, _, err := f.Put(t.Context(), "Patient", "p", []byte(`{"resourceType":"Patient"}`), resources.PutOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	h, err := f.History(t.Context(), "Patient", "p")
	if err != nil || len(h) != 20 || h[0].Version != 20 {
		t.Fatalf("%d versions, %v", len(h), err)
	}
	for i := range h[1:] {
		if !h[i].Updated.After(h[i+1].Updated) {
			t.Errorf("version %d is not later than %d", h[i].Version, h[i+1].Version)
		}
	}
}
