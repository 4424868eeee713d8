package reference_test

import (
	"strings"
	"testing"

	"fhirwire/reference/edgecases"
	"fhirwire/reference/synth"
)

// An export of what changed tells of the Coverage that was seeded and deleted, once however often that is done.
func TestSeedDeleted(t *testing.T) {
	s := start(t, 0)
	for range 2 {
		if err := s.ref.SeedDeleted(t.Context(), synth.StoryMember); err != nil {
			t.Fatal(err)
		}
	}
	const coverage = "/Coverage/cov-former-" + synth.StoryMember
	if r := s.get(coverage); r.status != 410 {
		t.Errorf("%d %s", r.status, r.raw)
	}
	if r := s.get(coverage + "/_history"); strings.Count(r.raw, `"fullUrl"`) != 2 {
		t.Errorf("versions: %s", r.raw)
	}
	manifest := s.export("/Patient/$export?_type=Coverage&_since=2020-01-01T00:00:00Z")
	files := manifest.files("deleted")
	if len(files) != 1 {
		t.Fatalf("deletions: %s", manifest.raw)
	}
	if file := s.get(files[0]); !strings.Contains(file.raw, `"url":"`+coverage[1:]+`"`) || strings.Count(file.raw, "\n") != 1 {
		t.Errorf("file: %s", file.raw)
	}
}

// Files that are opened on request are had without a token, and their manifest says so; an export that fails says why.
func TestEdgesOfExports(t *testing.T) {
	s := start(t, 0)
	manifest := s.export("/Patient/$export?_type=Coverage")
	status := strings.Replace(manifest.files("output")[0], "/files/Coverage-1.ndjson", "/status", 1)
	if r := s.get(status, edgecases.Header, "open-files"); !strings.Contains(r.raw, `"requiresAccessToken":false`) {
		t.Errorf("%d %s", r.status, r.raw)
	}
	if r := s.get(manifest.files("output")[0]); r.status != 200 {
		t.Errorf("%d %.200s", r.status, r.raw)
	}
	if r := s.get(status, edgecases.Header, "failed-job"); r.status != 500 || r.json["resourceType"] != "OperationOutcome" {
		t.Errorf("%d %s", r.status, r.raw)
	}
	if r := s.get("/Immunization?patient="+synth.StoryMember, edgecases.Header, "status-required"); r.status != 400 || r.json["resourceType"] != "OperationOutcome" {
		t.Errorf("%d %s", r.status, r.raw)
	}
}
