package attribution

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
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
	"fhirwire/validators/fhirjson"
)

// shelf is a Store, a Lookup and Consents in memory.
type shelf struct {
	mu      sync.Mutex
	at      time.Time
	current map[string]resources.Resource
	gone    map[string]time.Time
	// meddle runs before a Put, as another writer would.
	meddle func()
}

func newShelf() *shelf {
	return &shelf{at: time.Date(2026, 2, 2, 0, 0, 0, 0, time.UTC), current: map[string]resources.Resource{}, gone: map[string]time.Time{}}
}

func (s *shelf) Get(_ context.Context, typ, id string) (resources.Resource, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.current[typ+"/"+id]
	if !ok {
		return r, resources.ErrNotFound
	}
	return r, nil
}

func (s *shelf) Put(_ context.Context, typ, id string, body []byte, o resources.PutOptions) (resources.Resource, bool, error) {
	if s.meddle != nil && o.IfMatch != 0 {
		s.meddle()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.current[typ+"/"+id]
	if o.IfMatch != 0 && o.IfMatch != old.Version {
		return old, false, resources.ErrConflict
	}
	s.at = s.at.Add(time.Second)
	r := resources.Resource{Type: typ, ID: id, Version: old.Version + 1, Updated: s.at, Body: body}
	s.current[typ+"/"+id] = r
	return r, old.Version == 0, nil
}

func (s *shelf) Search(_ context.Context, typ, param, value string) ([][]byte, error) {
	_, number, ok := strings.Cut(value, "|")
	if !ok {
		number = value
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out [][]byte
	for key, r := range s.current {
		needle := `"value":"` + number + `"`
		if param == "patient" {
			needle = "Patient/" + number + `"`
		}
		if strings.HasPrefix(key, typ+"/") && strings.Contains(string(r.Body), needle) {
			out = append(out, r.Body)
		}
	}
	return out, nil
}

func (s *shelf) Settled() time.Time { return s.at }

func (s *shelf) Stream(_ context.Context, f resources.Filter) iter.Seq2[resources.Resource, error] {
	return func(yield func(resources.Resource, error) bool) {
		for key, r := range s.current {
			if strings.HasPrefix(key, f.Type+"/") && r.Updated.After(f.Since) && !yield(r, nil) {
				return
			}
		}
	}
}

func (s *shelf) Deleted(_ context.Context, f resources.Filter) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for id, at := range s.gone {
			if at.After(f.Since) && !yield(id, nil) {
				return
			}
		}
	}
}

func (s *shelf) put(t *testing.T, typ, id, rest string) {
	t.Helper()
	if _, _, err := s.Put(t.Context(), typ, id, fmt.Appendf(nil, `{"resourceType":%q,"id":%q%s}`, typ, id, rest), resources.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

const addP1 = `{"resourceType":"Parameters","parameter":[{"name":"patientReference","valueReference":{"reference":"Patient/p1"}},{"name":"providerReference","valueReference":{"reference":"Practitioner/d1"}}]}`

func fill(t *testing.T) (*shelf, *Lists) {
	t.Helper()
	s := newShelf()
	s.put(t, "Patient", "p1", `,"identifier":[{"system":"urn:m","value":"1"}]`)
	s.put(t, "Patient", "p2", `,"identifier":[{"system":"urn:m","value":"2"}]`)
	s.put(t, "Coverage", "c1", `,"status":"active","identifier":[{"value":"card1"}],"beneficiary":{"reference":"Patient/p1"}`)
	s.put(t, "Practitioner", "d1", `,"identifier":[{"value":"npi1"}]`)
	s.put(t, "Group", "g", `,"x":[1,2],"extension":[{"url":"urn:other","valueCode":"k"},{"url":"`+extContract+`","valuePeriod":{"start":"2026-01-01","end":"2026-12-31"}}],"member":[{"entity":{"reference":"Patient/p2"},"period":{"start":"2025-01-01"}}]`)
	return s, New(s, s, Options{Clock: func() time.Time {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.at
	}})
}

// TestEditKeepsTheRest: what an operation does not concern is as it was, byte for byte.
func TestEditKeepsTheRest(t *testing.T) {
	s, lists := fill(t)
	if _, err := lists.Add(t.Context(), "g", "http://x", []byte(addP1)); err != nil {
		t.Fatal(err)
	}
	want := `{"resourceType":"Group","id":"g","x":[1,2],"extension":[{"url":"urn:other","valueCode":"k"},{"url":"` + extContract + `","valuePeriod":{"start":"2026-01-01","end":"2026-12-31"}},` +
		`{"url":"` + extStatus + `","valueCode":"draft"}],"quantity":2,"member":[{"entity":{"reference":"Patient/p2"},"period":{"start":"2025-01-01"}},` +
		`{"entity":{"reference":"Patient/p1"},"extension":[{"url":"` + extChange + `","valueCode":"new"},{"url":"` + extCoverage + `","valueReference":{"reference":"Coverage/c1"}},{"url":"` + extProvider + `","valueReference":{"reference":"Practitioner/d1"}}],"period":{"start":"2026-02-02","end":"2026-12-31"},"inactive":false}]}`
	if got := string(s.current["Group/g"].Body); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestMemberNumbers: ATR-14: a member number is the Patient's or the card's.
func TestMemberNumbers(t *testing.T) {
	s, lists := fill(t)
	body := `{"resourceType":"Parameters","parameter":[{"name":"memberId","valueIdentifier":{"value":"card1"}},{"name":"providerNpi","valueIdentifier":{"value":"npi1"}}]}`
	if _, err := lists.Add(t.Context(), "g", "", []byte(body)); err != nil {
		t.Fatal(err)
	}
	if got := string(s.current["Group/g"].Body); !strings.Contains(got, "Patient/p1") {
		t.Error(got)
	}
	s.put(t, "Patient", "p3", `,"identifier":[{"system":"urn:n","value":"1"}]`)
	_, err := lists.Remove(t.Context(), "g", "", []byte(`{"resourceType":"Parameters","parameter":[{"name":"memberId","valueIdentifier":{"value":"1"}},{"name":"attributionPeriod","valuePeriod":{"start":"2020"}}]}`))
	if err != nil {
		t.Errorf("one of two with that number is on the list: %v", err)
	}
}

// TestConcurrentEdits: ATR-32: edits follow each other, and another writer's version is not lost.
func TestConcurrentEdits(t *testing.T) {
	s, lists := fill(t)
	var wg sync.WaitGroup
	for i := range 20 {
		s.put(t, "Patient", fmt.Sprintf("q%d", i), "")
		wg.Go(func() {
			body := strings.ReplaceAll(addP1, "Patient/p1", fmt.Sprintf("Patient/q%d", i))
			if _, err := lists.Add(t.Context(), "g", "", []byte(body)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if g := s.current["Group/g"]; strings.Count(string(g.Body), `"entity"`) != 21 || g.Version != 21 {
		t.Errorf("version %d: %s", g.Version, g.Body)
	}
	meddled := false
	s.meddle = func() {
		if !meddled {
			meddled = true
			s.meddle = nil
			s.put(t, "Group", "g", `,"name":"by another"`)
		}
	}
	if _, err := lists.Add(t.Context(), "g", "", []byte(addP1)); err != nil {
		t.Fatal(err)
	}
	if got := string(s.current["Group/g"].Body); !strings.Contains(got, "by another") || !strings.Contains(got, "Patient/p1") {
		t.Error(got)
	}
}

func TestWithoutOptedOut(t *testing.T) {
	out := func(p string) bool { return p == "p2" }
	for _, tt := range []struct {
		in, want string
		left     int
	}{
		{`{"resourceType":"Group","member":[{"entity":{"reference":"Patient/p1"}}],"quantity":1}`, `{"resourceType":"Group","member":[{"entity":{"reference":"Patient/p1"}}],"quantity":1}`, 0},
		{`{"resourceType":"Group","member":[{"entity":{"reference":"Patient/p1"}},{"entity":{"reference":"Patient/p2"}}],"quantity":2}`, `{"resourceType":"Group","member":[{"entity":{"reference":"Patient/p1"}}],"quantity":1}`, 1},
		{`{"resourceType":"Group","quantity":1,"member":[{"entity":{"reference":"http://x/fhir/Patient/p2"}}]}`, `{"resourceType":"Group","quantity":0}`, 1},
		{`{"resourceType":"Group"}`, `{"resourceType":"Group"}`, 0},
	} {
		got, left := WithoutOptedOut([]byte(tt.in), out)
		if string(got) != tt.want || left != tt.left {
			t.Errorf("%s: %s, %d", tt.in, got, left)
		}
	}
}

// TestOptOuts: ATR-05: opting out, changing one's mind, and both again, are all seen at the next question.
func TestOptOuts(t *testing.T) {
	s := newShelf()
	o := NewOptOuts(s)
	want := func(step string, patients ...string) {
		t.Helper()
		got, err := o.Current(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for p := range got {
			list = append(list, p)
		}
		slices.Sort(list)
		if !slices.Equal(list, patients) {
			t.Errorf("%s: %v, want %v", step, list, patients)
		}
	}
	deny := func(p string) string {
		return `,"status":"active","patient":{"reference":"Patient/` + p + `"},"provision":{"type":"deny"}`
	}
	want("none")
	s.put(t, "Consent", "a", deny("p1"))
	s.put(t, "Consent", "b", `,"status":"active","patient":{"reference":"Patient/p2"},"provision":{"type":"permit"}`)
	want("one", "p1")
	s.put(t, "Consent", "c", deny("p1"))
	s.put(t, "Consent", "b", deny("p2"))
	want("two", "p1", "p2")
	s.put(t, "Consent", "a", strings.Replace(deny("p1"), "active", "inactive", 1))
	want("one of two of p1 is over", "p1", "p2")
	s.at = s.at.Add(time.Second)
	delete(s.current, "Consent/c")
	s.gone["c"] = s.at
	want("deleted", "p2")
	if out, err := o.OptedOut(t.Context(), "p2"); err != nil || !out {
		t.Error(out, err)
	}
}

func TestOwners(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { owners(t, sqldb.SQLiteDSN(filepath.Join(t.TempDir(), "x.db"))) })
	t.Run("postgres", func(t *testing.T) {
		dsn := os.Getenv("FHIRWIRE_TEST_POSTGRES")
		if dsn == "" {
			t.Skip("FHIRWIRE_TEST_POSTGRES names no database (postgres://…)")
		}
		owners(t, schema(t, dsn))
	})
}

// schema makes a schema for the test and gives a DSN that works in it.
func schema(t *testing.T, dsn string) string {
	t.Helper()
	admin, err := sqldb.Open(t.Context(), dsn, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("attribution_%d", time.Now().UnixNano())
	if err := admin.Write.Exec("CREATE SCHEMA " + name).Error; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(admin.Write.Exec("DROP SCHEMA "+name+" CASCADE").Error, admin.Close()); err != nil {
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

func owners(t *testing.T, dsn string) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), dsn, sqldb.Options{Synchronous: "off"})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // a test's
	now := time.Date(2026, 2, 2, 0, 0, 0, 0, time.UTC)
	o, err := NewOwners(t.Context(), db, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	term := Term{Patient: "p1", From: now.Add(-time.Hour), Until: now.Add(time.Hour), Sensitive: true}
	for range 2 { // again replaces
		if err := o.Set(t.Context(), "m", "a", now.Add(24*time.Hour), []Term{term, {Patient: "p2"}}); err != nil {
			t.Fatal(err)
		}
	}
	status := func(group, client string) int {
		t.Helper()
		err := o.Check(t.Context(), group, client)
		if r, ok := errors.AsType[*RefusedError](err); ok {
			return r.Status
		}
		if err != nil {
			t.Fatal(err)
		}
		return 0
	}
	hidden := func(client string) int {
		t.Helper()
		ids, err := o.Hidden(t.Context(), client)
		if err != nil {
			t.Fatal(err)
		}
		return len(ids)
	}
	if status("m", "a") != 0 || status("m", "b") != http.StatusNotFound || status("m", "") != http.StatusNotFound || status("list", "b") != 0 || hidden("a") != 0 || hidden("b") != 1 {
		t.Error("before it expires")
	}
	terms, ok, err := o.Terms(t.Context(), "m")
	if err != nil || !ok || terms["p1"] != term || !terms["p2"].Allows(now) || !term.Allows(now) || term.Allows(now.Add(time.Hour)) || term.Allows(now.Add(-2*time.Hour)) {
		t.Errorf("%v %v %v", terms, ok, err)
	}
	if _, ok, err := o.Terms(t.Context(), "list"); ok || err != nil {
		t.Error(ok, err)
	}
	now = now.Add(25 * time.Hour)
	if status("m", "a") != http.StatusGone || hidden("a") != 1 { // PMM-15
		t.Error("after it expired")
	}
}

func FuzzReadInput(f *testing.F) {
	f.Add([]byte(addP1))
	f.Add([]byte(`{"resourceType":"Parameters","parameter":[{"name":"memberId","valueIdentifier":{"system":"a|b","value":"c"}},{"name":"attributionPeriod","valuePeriod":{"end":"2020"}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		in, err := readInput(body, "http://x", addParams)
		if err != nil {
			if _, ok := errors.AsType[*RefusedError](err); !ok {
				t.Fatalf("no refusal: %v", err)
			}
			return
		}
		if in.period != nil && fhirjson.Parse(in.period).Root() == nil {
			t.Fatalf("period %q", in.period)
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	var members strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&members, `{"entity":{"reference":"Patient/m%d"},"period":{"start":"2025-01-01"},"inactive":false},`, i)
	}
	body := []byte(`{"resourceType":"Group","id":"g","member":[` + strings.TrimSuffix(members.String(), ",") + `]}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		l := readList(fhirjson.Parse(body).Root())
		if changed, _ := l.add("p1", []string{"Practitioner/d1"}, "", nil, time.Time{}); !changed {
			b.Fatal("not added")
		}
		if len(l.bytes()) == 0 {
			b.Fatal("empty")
		}
	}
}
