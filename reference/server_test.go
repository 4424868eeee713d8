package reference_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"fhirwire/internal/sqldb"
	"fhirwire/reference"
	"fhirwire/reference/membermatch"
	"fhirwire/reference/resources"
	"fhirwire/reference/synth"
	"fhirwire/validators/guides"
	"fhirwire/validators/profile"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	dir, err := os.MkdirTemp("", "reference")
	if err != nil {
		panic(err)
	}
	templates.dir = dir
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		panic(err)
	}
	os.Exit(code)
}

var guideSet = sync.OnceValues(func() (*profile.Set, error) {
	lib, err := guides.Load()
	if err != nil {
		return nil, err
	}
	return lib.Set()
})

// templates are seeded databases that tests start from, by number of members.
var templates struct {
	dir  string
	mu   sync.Mutex
	done map[int]string
}

func template(t testing.TB, members int) string {
	t.Helper()
	templates.mu.Lock()
	defer templates.mu.Unlock()
	if path := templates.done[members]; path != "" {
		return path
	}
	path := filepath.Join(templates.dir, fmt.Sprintf("%d.db", members))
	db, ref := openServer(t, path, t.TempDir())
	if _, err := ref.Seed(t.Context(), synth.New(synth.Options{Seed: 1, Members: members, LargeObservations: 150}).All(), resources.LoadOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil { // and with it the write-ahead log
		t.Fatal(err)
	}
	if templates.done == nil {
		templates.done = map[int]string{}
	}
	templates.done[members] = path
	return path
}

func openServer(t testing.TB, path, dir string) (*sqldb.DB, *reference.Server) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldb.SQLiteDSN(path), sqldb.Options{Synchronous: "off"})
	if err != nil {
		t.Fatal(err)
	}
	set, err := guideSet()
	if err != nil {
		t.Fatal(err)
	}
	ref, err := reference.New(t.Context(), db, set, reference.Options{
		PollEvery: -1, DataDir: dir, Clock: time.Now, Match: membermatch.Options{UnsegmentedTag: synth.TagSystem + "|" + synth.TagUnsegmented},
	})
	if err != nil {
		t.Fatal(err)
	}
	return db, ref
}

// server is a seeded reference payer behind HTTP.
type server struct {
	t    testing.TB
	url  string // the FHIR base
	ref  *reference.Server
	seed resources.LoadReport
}

func start(t testing.TB, members int) *server {
	t.Helper()
	data, err := os.ReadFile(template(t, members))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "ref.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	db, ref := openServer(t, path, dir)
	ctx, stop := context.WithCancel(t.Context())
	hs := httptest.NewServer(ref.Handler())
	done := make(chan error, 1)
	go func() { done <- ref.Run(ctx) }()
	t.Cleanup(func() {
		hs.Close()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &server{t: t, url: hs.URL + "/fhir", ref: ref}
}

type reply struct {
	status int
	header http.Header
	raw    string
	json   map[string]any
}

func (s *server) do(method, path, body string, header ...string) reply {
	s.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = s.url + path
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // read below
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	out := reply{status: res.StatusCode, header: res.Header, raw: string(b)}
	if strings.Contains(res.Header.Get("Content-Type"), "json") && !strings.Contains(res.Header.Get("Content-Type"), "ndjson") && len(b) > 0 && res.Header.Get("Content-Encoding") == "" {
		if err := json.Unmarshal(b, &out.json); err != nil {
			s.t.Fatalf("%s %s: %v in %.200s", method, path, err, b)
		}
	}
	return out
}

func (s *server) get(path string, header ...string) reply {
	s.t.Helper()
	return s.do(http.MethodGet, path, "", header...)
}

// ids of a Bundle's entries with a search mode, as Type/id.
func (r reply) ids(mode string) []string {
	var out []string
	entries, _ := r.json["entry"].([]any)
	for _, e := range entries {
		m := e.(map[string]any)
		if search, ok := m["search"].(map[string]any); mode == "" || ok && search["mode"] == mode {
			res := m["resource"].(map[string]any)
			out = append(out, res["resourceType"].(string)+"/"+res["id"].(string))
		}
	}
	return out
}

func (r reply) link(relation string) string {
	links, _ := r.json["link"].([]any)
	for _, l := range links {
		if m := l.(map[string]any); m["relation"] == relation {
			return m["url"].(string)
		}
	}
	return ""
}

// collection are the requests of the two public client collections that this server can answer.
func TestCollections(t *testing.T) {
	s := start(t, 3)
	for _, tt := range []struct {
		path   string
		status int
		first  string // of the matches, "*" for any
	}{
		{"/Patient?identifier=99999", 200, "Patient/999"},
		{"/AllergyIntolerance?patient=999", 200, "*"},
		{"/CarePlan?patient=999&category=assess-plan", 200, "*"},
		{"/CareTeam?patient=999&status=active", 200, "*"},
		{"/Condition?patient=999", 200, "*"},
		{"/Device?patient=999", 200, "*"},
		{"/DiagnosticReport?patient=999", 200, "*"},
		{"/DocumentReference?patient=999", 200, "*"},
		{"/Encounter?patient=999", 200, "*"},
		{"/ExplanationOfBenefit?patient=999", 200, "*"},
		{"/Goal?patient=999", 200, "*"},
		{"/Immunization?patient=999", 200, "*"},
		{"/MedicationDispense?patient=999", 200, "*"},
		{"/MedicationRequest?patient=999&intent=plan", 200, "*"},
		{"/Observation?patient=999&category=vital-signs", 200, "*"},
		{"/Observation?patient=999&category=laboratory", 200, "*"},
		{"/Procedure?patient=999", 200, "*"},
		{"/Location/pdex-Location", 200, ""},
		{"/Organization/pdex-Organization", 200, ""},
		{"/Organization/pdex-Payor-Organization", 200, ""},
		{"/Practitioner/pdex-Practitioner", 200, ""},
		{"/PractitionerRole/pdex-PractitionerRole", 200, ""},
		{"/Patient/999/$everything", 200, "Patient/999"},
		{"/Patient?gender=male&name=Von", 200, "Patient/e86e9cae-89a3-44bf-9033-32a2d56f5113"},
		{"/Patient?gender=male&birthdate=1936-06-07", 200, "Patient/e86e9cae-89a3-44bf-9033-32a2d56f5113"},
		{"/Patient?id=e86e9cae-89a3-44bf-9033-32a2d56f5113&gender=male", 200, "*"},
		{"/Patient?_id=e86e9cae-89a3-44bf-9033-32a2d56f5113", 200, "Patient/e86e9cae-89a3-44bf-9033-32a2d56f5113"},
		{"/Patient?_id=%20e86e9cae-89a3-44bf-9033-32a2d56f5113", 200, "Patient/e86e9cae-89a3-44bf-9033-32a2d56f5113"},
		{"/Observation?code=http://loinc.org%7C29463-7", 200, "*"},
		{"/Patient/e86e9cae-89a3-44bf-9033-32a2d56f5113/_history/1", 200, ""},
	} {
		r := s.get(tt.path)
		if r.status != tt.status {
			t.Errorf("%s: status %d: %.300s", tt.path, r.status, r.raw)
			continue
		}
		if tt.first == "" {
			continue
		}
		if got := r.ids("match"); len(got) == 0 || tt.first != "*" && got[0] != tt.first {
			t.Errorf("%s: matches %v, want %s first", tt.path, got, tt.first)
		}
	}
}
