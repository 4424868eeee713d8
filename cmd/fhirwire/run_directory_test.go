package main

import (
	"testing"
	"time"

	"fhirwire/validators/directory"
)

// securedServer is the part of a run's reference payer that has certificates and a directory.
func securedServer(t *testing.T) (*ownServer, string) {
	t.Helper()
	s := &ownServer{dir: t.TempDir()}
	l, err := listenOn(t.Context(), "reference", "reference", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.ln.Close() })
	origin, err := s.secure(l, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return s, origin
}

// TestRunDirectory: the entries of a run have no errors, their signatures verify up to the run's CA, and the server's is found by its URL.
func TestRunDirectory(t *testing.T) {
	s, origin := securedServer(t)
	var in directoryInput
	if err := in.addFolder(t.Context(), s.listed.dir); err != nil {
		t.Fatal(err)
	}
	found := directory.Check(in.files, directory.Options{Now: time.Now(), Roots: s.roots})
	if len(found.Entries) != 2 {
		t.Fatalf("%d entries", len(found.Entries))
	}
	for _, e := range found.Entries {
		for _, i := range e.Issues {
			t.Logf("%s %s %s", e.File, i.Severity, i.Message)
		}
		if !e.Valid() {
			t.Errorf("%s has errors", e.File)
		}
	}
	if hit := found.ByBaseURL(origin + "/fhir"); hit.Outcome != directory.Found || hit.Entry.Plan.Name != "Cedar Mesa Mutual" {
		t.Errorf("by URL: %+v", hit)
	}
	chain, err := parseChain(s.client)
	if err != nil {
		t.Fatal(err)
	}
	if who, err := s.identify(t.Context(), chain); err != nil || who.Organization != runnerNPI {
		t.Errorf("the runner: %+v, %v", who, err)
	}
}
