package main

import (
	"crypto/tls"
	"testing"
	"time"

	"fhirwire/proxy"
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

// TestAccepted: on what the run's own payer accepted a certificate is said of those that it knows, and of no other.
func TestAccepted(t *testing.T) {
	s, _ := securedServer(t)
	leg := func(certs ...*tls.Certificate) *proxy.Leg {
		out := &proxy.Leg{TLS: &proxy.TLS{Version: "TLS 1.3", Trust: proxy.TrustServerCA}}
		for _, c := range certs {
			chain, err := parseChain(c)
			if err != nil {
				t.Fatal(err)
			}
			out.TLS.Client = proxy.Chain(chain)
		}
		return out
	}
	for _, tt := range []struct {
		name string
		leg  *proxy.Leg
		want proxy.Trust // "" where nothing is said
	}{
		{"the runner's", leg(s.client), proxy.TrustDirectory},
		{"one that is not listed", leg(s.stranger), proxy.TrustRefused},
		{"none", leg(), proxy.TrustNone},
		{"a person's own", leg(s.identity), ""},
		{"in clear", &proxy.Leg{}, ""},
		{"no connection", nil, ""},
	} {
		got := s.accepted(t.Context(), tt.leg)
		if (got == nil) != (tt.want == "") || got != nil && (got.TLS.Trust != tt.want || tt.want != proxy.TrustNone && got.TLS.Detail == "") {
			t.Errorf("%s: %+v", tt.name, got)
		}
		if tt.leg != nil && tt.leg.TLS != nil && tt.leg.TLS.Trust != proxy.TrustServerCA {
			t.Errorf("%s: the server's leg was changed", tt.name)
		}
	}
	if (&ownServer{}).accepted(t.Context(), leg()) != nil {
		t.Error("a payer in clear says something")
	}
}
