package reference_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fhirwire/internal/sqldb"
	"fhirwire/reference"
	"fhirwire/reference/resources"
	"fhirwire/reference/synth"
)

// lines reads every file of a list: the ids by type.
func (s *server) lines(manifest reply, list string) map[string][]string {
	s.t.Helper()
	out := map[string][]string{}
	entries, _ := manifest.json[list].([]any)
	for _, e := range entries {
		m := e.(map[string]any)
		_, path, _ := strings.Cut(m["url"].(string), "/fhir") // a restarted test server has another port
		r := s.get(path)
		if r.status != 200 || r.header.Get("Content-Type") != "application/fhir+ndjson" {
			s.t.Fatalf("%s: %d %s", m["url"], r.status, r.header.Get("Content-Type"))
		}
		n := 0
		for line := range strings.Lines(r.raw) {
			n++
			var res struct{ ResourceType, ID string }
			if err := json.Unmarshal([]byte(line), &res); err != nil || res.ResourceType != m["type"] {
				s.t.Fatalf("%s line %d: %v %q", m["url"], n, err, res.ResourceType)
			}
			out[res.ResourceType] = append(out[res.ResourceType], res.ID)
		}
		if float64(n) != m["count"] {
			s.t.Errorf("%s: %d lines, count %v", m["url"], n, m["count"])
		}
	}
	for typ, ids := range out {
		slices.Sort(ids)
		if len(slices.Compact(slices.Clone(ids))) != len(ids) && list == "output" {
			s.t.Errorf("%s: ids come twice", typ)
		}
	}
	return out
}

func TestExportOfAllPatients(t *testing.T) {
	s := start(t, 3)
	kick := s.get("/Patient/$export", "Accept", "application/fhir+json", "Prefer", "respond-async, handling=strict")
	poll := kick.header.Get("Content-Location")
	if kick.status != 202 || !strings.HasPrefix(poll, s.url+"/bulk/") || !strings.HasSuffix(poll, "/status") {
		t.Fatalf("kick-off: %d, Content-Location %q", kick.status, poll)
	}
	m := s.wait(poll)
	if m.status != 200 || m.header.Get("Content-Type") != "application/json" || m.header.Get("Expires") == "" {
		t.Fatalf("manifest: %d %v", m.status, m.header)
	}
	if m.json["request"] != s.url+"/Patient/$export" || m.json["requiresAccessToken"] != false {
		t.Errorf("manifest %s", m.raw)
	}
	if _, ok := m.json["error"].([]any); !ok {
		t.Errorf("manifest without error: %s", m.raw)
	}
	counts, err := s.ref.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := s.lines(m, "output")
	for _, typ := range []string{"Patient", "Observation", "ExplanationOfBenefit", "Coverage", "Provenance", "Consent"} {
		if int64(len(got[typ])) != counts[typ] {
			t.Errorf("%s: %d exported, %d there", typ, len(got[typ]), counts[typ])
		}
	}
	if len(got["Organization"]) == 0 || len(got["Practitioner"]) == 0 || len(got["Group"]) != 0 {
		t.Errorf("context types: %d organizations, %d practitioners, %d groups", len(got["Organization"]), len(got["Practitioner"]), len(got["Group"]))
	}

	file := m.files("output")[0]
	if r := s.get(file, "Range", "bytes=0-9"); r.status != 206 || len(r.raw) != 10 {
		t.Errorf("range: %d, %d bytes", r.status, len(r.raw))
	}
	if r := s.get(file, "Accept-Encoding", "gzip"); r.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("file not compressed: %v", r.header)
	}
	if r := s.get(strings.Replace(file, "Patient-1", "../../ref.db", 1)); r.status != 404 {
		t.Errorf("path out of the folder: %d", r.status)
	}
	if r := s.do(http.MethodDelete, poll, ""); r.status != 202 {
		t.Errorf("DELETE: %d", r.status)
	}
	for _, url := range []string{poll, file} {
		if r := s.get(url); r.status != 404 || issueCode(r) != "not-found" {
			t.Errorf("%s after DELETE: %d", url, r.status)
		}
	}
	if r := s.do(http.MethodDelete, poll, ""); r.status != 404 {
		t.Errorf("second DELETE: %d", r.status)
	}
}

func TestExportOfGroup(t *testing.T) {
	s := start(t, 6)
	groups := s.get("/Group?_count=1000")
	path := ""
	for _, e := range groups.json["entry"].([]any) {
		g := e.(map[string]any)["resource"].(map[string]any)
		if m, ok := g["member"].([]any); ok && len(m) > 1 {
			path = "/Group/" + g["id"].(string)
			break
		}
	}
	if path == "" {
		t.Fatal("no group with members")
	}
	all := s.lines(s.export(path+"/$export"), "output")
	if len(all["Patient"]) < 2 || len(all["Group"]) != 1 {
		t.Fatalf("patients %v, groups %v", all["Patient"], all["Group"])
	}
	one := all["Patient"][0]
	params := func(patient string) string {
		return `{"resourceType":"Parameters","parameter":[{"name":"patient","valueReference":{"reference":"Patient/` + patient + `"}},{"name":"_type","valueString":"Patient,Observation"}]}`
	}
	kick := s.do(http.MethodPost, path+"/$export", params(one), "Content-Type", "application/json")
	got := s.lines(s.wait(kick.header.Get("Content-Location")), "output")
	if !slices.Equal(got["Patient"], []string{one}) || len(got) > 2 {
		t.Errorf("subset %v", got["Patient"])
	}
	if r := s.do(http.MethodPost, path+"/$export", params("999x"), "Content-Type", "application/fhir+json"); r.status != 400 || issueCode(r) != "not-found" {
		t.Errorf("no member: %d %s", r.status, r.raw)
	}
	kick = s.do(http.MethodPost, path+"/$export", params("999x"), "Content-Type", "application/fhir+json", "Prefer", "respond-async,handling=lenient")
	m := s.wait(kick.header.Get("Content-Location"))
	if len(m.files("output")) != 0 || len(s.lines(m, "error")["OperationOutcome"]) != 1 {
		t.Errorf("lenient, nobody left: %s", m.raw) // DDE-04: never the whole group
	}
	if r := s.get("/Group/none/$export"); r.status != 404 {
		t.Errorf("unknown group: %d", r.status)
	}
}

func TestExportSince(t *testing.T) {
	s := start(t, 0)
	first := s.export("/Patient/$export?_type=Patient,Condition")
	since := first.json["transactionTime"].(string)
	had := s.lines(first, "output")
	time.Sleep(5 * time.Millisecond)
	s.do(http.MethodPut, "/Condition/new1", `{"resourceType":"Condition","id":"new1","subject":{"reference":"Patient/999"}}`)
	s.do(http.MethodDelete, "/Condition/"+had["Condition"][0], "")
	second := s.export("/Patient/$export?_type=Patient&_type=Condition&_since=" + since)
	if got := s.lines(second, "output"); len(got["Patient"]) != 0 || !slices.Equal(got["Condition"], []string{"new1"}) {
		t.Errorf("increment %v", got)
	}
	deleted := second.files("deleted")
	if len(deleted) != 1 {
		t.Fatalf("deleted %v", second.raw)
	}
	if r := s.get(deleted[0]); !strings.Contains(r.raw, `"type":"transaction","entry":[{"request":{"method":"DELETE","url":"Condition/`+had["Condition"][0]+`"}}]`) {
		t.Errorf("deleted file %s", r.raw)
	}
	if first.files("deleted") != nil {
		t.Error("deleted without _since")
	}
	filtered := s.lines(s.export("/Patient/$export?_type=Observation&_typeFilter=Observation%3Fcategory%3Dlaboratory%26patient%3D999,Observation%3Fcode%3D29463-7"), "output")
	want := map[string]bool{}
	for _, q := range []string{"/Observation?category=laboratory&patient=999&_count=1000", "/Observation?code=29463-7&_count=1000"} {
		for _, id := range s.get(q).ids("match") {
			want[strings.TrimPrefix(id, "Observation/")] = true
		}
	}
	if len(filtered["Observation"]) != len(want) || len(want) == 0 {
		t.Errorf("_typeFilter gives %d, two searches %d", len(filtered["Observation"]), len(want))
	}
	thin := s.export("/Patient/$export?_type=Patient&_elements=birthDate")
	if r := s.get(thin.files("output")[0]); strings.Contains(r.raw, "telecom") || !strings.Contains(r.raw, "birthDate") || !strings.Contains(r.raw, "SUBSETTED") {
		t.Errorf("_elements: %.300s", r.raw)
	}
}

func TestKickOffRefuses(t *testing.T) {
	s := start(t, 0)
	for _, tt := range []struct {
		path   string
		header []string
		status int
		code   string
	}{
		{"/Patient/$export?_outputFormat=text/csv", nil, 400, "not-supported"},
		{"/Patient/$export?_since=yesterday", nil, 400, "value"},
		{"/Patient/$export?_since=2999-01-01T00:00:00Z", nil, 400, "value"},
		{"/Patient/$export?_type=Nonsense", nil, 400, "not-supported"},
		{"/Patient/$export?_type=Organization", nil, 400, "not-supported"},
		{"/Patient/$export?unknown=1", nil, 400, "not-supported"},
		{"/Patient/$export?patient=Patient/999", nil, 400, "not-supported"},
		{"/Patient/$export?_typeFilter=Observation%3Fnonsense%3D1", nil, 400, "not-supported"},
		{"/Patient/$export?_typeFilter=Observation%3F_sort%3Ddate", nil, 400, "not-supported"},
		{"/Patient/$export", []string{"Accept", "application/fhir+xml"}, 406, "not-supported"},
		{"/Patient/999/$export", nil, 404, "not-supported"},
	} {
		if r := s.get(tt.path, tt.header...); r.status != tt.status || issueCode(r) != tt.code {
			t.Errorf("%s: %d %s, want %d %s", tt.path, r.status, issueCode(r), tt.status, tt.code)
		}
	}
	for _, format := range []string{"application/fhir%2Bndjson", "application/fhir+ndjson", "ndjson", "application%2Fndjson"} {
		if r := s.get("/Patient/$export?_type=Patient&_outputFormat=" + format); r.status != 202 {
			t.Errorf("_outputFormat=%s: %d %s", format, r.status, r.raw)
		}
	}
	m := s.export("/Patient/$export?_type=Patient,Nonsense&unknown=1", "Prefer", "respond-async", "Prefer", "handling=lenient")
	if n := len(s.lines(m, "error")["OperationOutcome"]); n != 2 {
		t.Errorf("lenient: %d notes", n)
	}
}

// TestExportSurvivesRestart: jobs accepted by one process, half done at most, are finished by the next, once each.
func TestExportSurvivesRestart(t *testing.T) {
	dir := t.TempDir()
	set, err := guideSet()
	if err != nil {
		t.Fatal(err)
	}
	process := func(members int, work func(s *server)) {
		db, err := sqldb.Open(t.Context(), sqldb.SQLiteDSN(filepath.Join(dir, "ref.db")), sqldb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		ref, err := reference.New(t.Context(), db, set, reference.Options{DataDir: dir, Clock: time.Now, PollEvery: -1})
		if err != nil {
			t.Fatal(err)
		}
		report, err := ref.Seed(t.Context(), synth.New(synth.Options{Seed: 1, Members: members, LargeObservations: 50}).All(), resources.LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		hs := httptest.NewServer(ref.Handler())
		defer hs.Close()
		work(&server{t: t, url: hs.URL + "/fhir", ref: ref, seed: report})
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	var jobs []string
	process(12, func(s *server) {
		for range 5 {
			r := s.get("/Patient/$export")
			_, path, _ := strings.Cut(r.header.Get("Content-Location"), "/fhir")
			jobs = append(jobs, path)
		}
		ctx, kill := context.WithTimeout(t.Context(), 60*time.Millisecond)
		defer kill()
		if err := s.ref.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	process(12, func(s *server) {
		if s.seed.Created+s.seed.Updated != 0 {
			t.Errorf("seeding again changed the data: %+v", s.seed)
		}
		for _, job := range jobs {
			if r := s.get(job); r.status != 202 && r.status != 200 {
				t.Errorf("%s is lost: %d", job, r.status)
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.ref.Run(ctx) }()
		counts, err := s.ref.Counts(t.Context())
		if err != nil {
			t.Error(err)
		}
		for _, job := range jobs {
			m := s.wait(s.url + job)
			if m.status != 200 {
				t.Errorf("%s: %d %s", job, m.status, m.raw)
				continue
			}
			got := s.lines(m, "output")
			if int64(len(got["Observation"])) != counts["Observation"] || int64(len(got["Patient"])) != counts["Patient"] {
				t.Errorf("%s: %d observations, %d patients", job, len(got["Observation"]), len(got["Patient"]))
			}
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		left, err := filepath.Glob(filepath.Join(dir, "exports", "*", "*.part"))
		if err != nil || len(left) > 0 {
			t.Errorf("left behind: %v %v", left, err)
		}
	})
	if entries, err := os.ReadDir(filepath.Join(dir, "exports")); err != nil || len(entries) != len(jobs) {
		t.Errorf("folders: %v %v", fmt.Sprint(entries), err)
	}
}
