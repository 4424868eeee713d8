package reference_test

import (
	"strings"
	"testing"

	"fhirwire/reference/edgecases"
)

// The switches work on the real server, by its administration.
func TestEdgeCases(t *testing.T) {
	s := start(t, 0)
	root := strings.TrimSuffix(s.url, "/fhir")
	turn := func(edges string) {
		t.Helper()
		if r := s.do("PUT", root+"/admin/edges/127.0.0.1", `{"edges":["`+edges+`"],"seconds":1}`, "Content-Type", "application/json"); r.status != 200 {
			t.Fatal(r.status, r.raw)
		}
	}
	turn("broken-resource")
	j := newJudge(t)
	for _, path := range []string{"/Patient/999", "/Patient?_id=999"} {
		r := s.get(path)
		if r.status != 200 || r.header.Get(edgecases.Header) != "broken-resource" {
			t.Errorf("%s: %d %v", path, r.status, r.header)
		}
		j.check(path, r.raw)
	}
	if len(j.seen) == 0 {
		t.Error("the broken resources are valid")
	}
	manifest := s.export("/InsurancePlan/$export?_type=Location")
	if file := s.get(manifest.files("output")[0]); !strings.Contains(file.raw, "brokenOnRequest") {
		t.Errorf("file as it was: %.200s", file.raw)
	}
	turn("failing-file")
	if file := s.get(manifest.files("output")[0]); file.status != 500 || file.json["resourceType"] != "OperationOutcome" {
		t.Errorf("file: %d %.200s", file.status, file.raw)
	}
	turn("slow-job")
	if r := s.export("/InsurancePlan/$export"); r.status != 200 || r.header.Get(edgecases.Header) != "slow-job" {
		t.Errorf("slow job: %d", r.status)
	}
	if r := s.do("DELETE", root+"/admin/edges/127.0.0.1", ""); r.status != 204 {
		t.Fatal(r.status)
	}
	if r := s.get("/Patient/999"); r.header.Get(edgecases.Header) != "" || strings.Contains(r.raw, "brokenOnRequest") {
		t.Error("still on")
	}
}
