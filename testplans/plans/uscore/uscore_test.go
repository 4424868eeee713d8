package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCurrent holds the files against the guide's package, where it is at hand.
func TestCurrent(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	shared := os.Getenv("FHIRWIRE_SHARED")
	if shared == "" {
		shared = filepath.Join(root, "..", "shared")
	}
	if found, err := filepath.Glob(filepath.Join(shared, "fhir-packages", "*us.core*3.1.1*.tgz")); err != nil || len(found) == 0 {
		t.Skip("the guide's package is not at hand")
	}
	t.Setenv("FHIRWIRE_SHARED", shared)
	if err := work(root, true, new(strings.Builder)); err != nil {
		t.Error(err)
	}
}

func TestGenerate(t *testing.T) {
	sample := map[string]string{
		"Patient":      `{"resourceType":"Patient","id":"999","gender":"female"}`,
		"Immunization": `{"resourceType":"Immunization","id":"i"}`,
	}
	g := generate([]expected{
		{name: "Patient", read: "SHALL", find: "SHALL", searches: []search{{[]string{"_id"}, "SHALL"}, {[]string{"given"}, "MAY"}, {[]string{"name", "gender"}, "SHALL"}, {[]string{"family"}, "SHOULD"}}},
		{name: "Immunization", read: "SHALL", searches: []search{{[]string{"date", "patient"}, "SHOULD"}}},
		{name: "Goal", read: "SHALL"},
	}, sample)
	plan := g.plan.String()
	for _, want := range []string{
		"  - step: patient-by-id\n    title: Search Patient by _id\n", "  - step: patient-by-gender-name\n", "    optional: true\n    strength: SHOULD\n",
		`parameters: {_id: "-", family: "*", gender: "-", given: "-", name: "-", _count: "-"}`, "  - step: immunization-by-date-patient\n",
	} {
		if !strings.Contains(plan, want) {
			t.Errorf("the plan has no %q", want)
		}
	}
	for _, unwanted := range []string{"goal-read", "patient-by-given", "patient-by-name-gender"} {
		if strings.Contains(plan, unwanted) {
			t.Errorf("the plan has %q", unwanted)
		}
	}
	if text := string(g.traffic()); strings.Contains(text, "%READ") || !strings.Contains(text, "GET /fhir/Patient?gender=female&name=Dexter\n") {
		t.Error("the traffic lacks an exchange, or has a place that nothing was put into")
	}
}

func TestReadSamples(t *testing.T) {
	got, err := readSamples([]byte("-- good/1.response --\n200\n\n{\"resourceType\":\"Goal\",\"id\":\"g\"}\n-- good/2.response --\n200\n\n{\"resourceType\":\"Bundle\",\"id\":\"b\"}\n"))
	if err != nil || len(got) != 1 || got["Goal"] != `{"resourceType":"Goal","id":"g"}` {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "-- good/1.response --\n200\n\n{"} {
		if _, err := readSamples([]byte(bad)); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}
