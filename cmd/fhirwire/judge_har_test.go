package main

import (
	"testing"

	"fhirwire/testplans"
	"fhirwire/testplans/checks"
)

// judgedAlike: what a run recorded says the same once its secrets are replaced and it went through a HAR: bindings of tokens and
// certificates, clients, keys and handshakes included.
func judgedAlike(t testing.TB, r *runner, live *judgement) {
	t.Helper()
	j := judgement{p: r.p, plan: r.plan, lib: r.lib, table: checks.NewTable(r.model), run: testplans.Run{Channel: live.run.Channel, Attestations: live.run.Attestations}}
	if err := j.har(t.Context(), r.f.har); err != nil {
		t.Fatal(err)
	}
	if j.read != live.read {
		t.Errorf("%d exchanges were recorded, %d are in the file", live.read, j.read)
	}
	stored, file := saidOf(live), saidOf(&j)
	if len(stored) != len(file) {
		t.Fatalf("%d results from the store, %d from the file", len(stored), len(file))
	}
	for i := range stored {
		if a, b := plainJSON(t, stored[i]), plainJSON(t, file[i]); a != b {
			t.Errorf("from the store %s\nfrom the file  %s", a, b)
		}
	}
}

// saidOf are results without what tells where they are from.
func saidOf(j *judgement) []testplans.Result {
	out := make([]testplans.Result, len(j.results))
	for i, r := range j.results {
		if r.Kind != testplans.Attested {
			r.Kind = ""
		}
		r.Run, r.Digest = "", ""
		out[i] = r
	}
	return out
}
