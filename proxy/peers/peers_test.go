package peers_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/peers"
	"fhirwire/proxy/proxytest"
)

type systems struct {
	list  []*proxy.System
	err   error
	reads int
}

func (s *systems) Systems(context.Context) ([]*proxy.System, error) {
	s.reads++
	return s.list, s.err
}

type directory struct {
	lists *x509.Certificate
	asked *int
}

func (d directory) Entry(_ context.Context, chain []*x509.Certificate) (string, error) {
	if d.asked != nil {
		*d.asked++
	}
	if d.lists != nil && chain[0].Equal(d.lists) {
		return "Cedar Mesa (cedar.json)", nil
	}
	return "", errors.New("no valid entry has it")
}

func pin(c tls.Certificate) string { return proxy.CertificateOf(c.Leaf).Fingerprint }

func chain(c tls.Certificate) []*x509.Certificate { return []*x509.Certificate{c.Leaf} }

// TestOf: each kind of trust, and each reason against it, in words that say what to do about it.
func TestOf(t *testing.T) {
	event, local, foreign := proxytest.NewCA(t, "Event CA"), proxytest.NewCA(t, "Local CA"), proxytest.NewCA(t, "Foreign CA")
	now := time.Now()
	clients := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	pinned, others, both := foreign.Client(t, "pinned"), event.Client(t, "other's"), foreign.Client(t, "both")
	listed := foreign.Client(t, "listed")
	for _, c := range []struct {
		name   string
		cert   *tls.Certificate
		client string // slug of the channel's client
		trust  proxy.Trust
		words  []string
	}{
		{"missing", nil, "acme", proxy.TrustNone, []string{"no client certificate"}},
		{"pinned", &pinned, "acme", proxy.TrustPinned, []string{"on record for Acme"}},
		{"pinned for another", &others, "acme", proxy.TrustRefused, []string{"belongs to the system Birch (birch)", "not this channel's client"}},
		{"pinned for another, none here", &others, "cedar", proxy.TrustRefused, []string{"belongs to the system Birch"}},
		{"its own", &others, "birch", proxy.TrustPinned, nil},
		{"pinned for two, this one second", &both, "birch", proxy.TrustPinned, nil},
		{"pinned for two, this one first", &both, "acme", proxy.TrustPinned, nil},
		{"not among the pins", new(event.Client(t, "x")), "acme", proxy.TrustRefused, []string{"Acme are on record", "not among them"}},
		{"event CA", new(event.Client(t, "x")), "cedar", proxy.TrustEventCA, []string{"event's CA (event.pem)"}},
		{"local CA", new(local.Client(t, "x")), "cedar", proxy.TrustLocalCA, []string{"fhirwire's own CA"}},
		{"local CA, made out to another", new(local.Client(t, "birch")), "cedar", proxy.TrustRefused, []string{"belongs to the system Birch"}},
		{"event CA, another's slug says nothing", new(event.Client(t, "birch")), "cedar", proxy.TrustEventCA, nil},
		{"directory", &listed, "cedar", proxy.TrustDirectory, []string{"Cedar Mesa (cedar.json)"}},
		{"unlisted", new(foreign.Client(t, "x")), "cedar", proxy.TrustRefused, []string{"issued by CN=Foreign CA", "neither the event's CA (event.pem) nor fhirwire's own", "no valid entry has it", "fingerprint", "the client sent no certificate of that issuer"}},
		{"self-signed", &tls.Certificate{Leaf: foreign.Cert}, "cedar", proxy.TrustRefused, []string{"self-signed"}},
		{"expired", new(event.Issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "old"}, NotBefore: now.Add(-9 * time.Hour), NotAfter: now.Add(-time.Hour), ExtKeyUsage: clients})), "cedar", proxy.TrustRefused, []string{"CN=old expired on " + now.UTC().Format("2006-")}},
		{"not yet valid", new(event.Issue(t, &x509.Certificate{NotBefore: now.Add(time.Hour), ExtKeyUsage: clients})), "cedar", proxy.TrustRefused, []string{"not valid before"}},
		{"for servers", new(event.Server(t, "x.example")), "cedar", proxy.TrustRefused, []string{"lacks clientAuth"}},
		{"no usage named", new(event.Issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "any"}})), "cedar", proxy.TrustEventCA, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			known := &systems{list: []*proxy.System{
				{ID: "1", Slug: "acme", Name: "Acme", Roles: []proxy.Role{proxy.RoleClient}, Options: proxy.SystemOptions{ClientPins: []string{pin(pinned), pin(both)}}},
				{ID: "2", Slug: "birch", Name: "Birch", Roles: []proxy.Role{proxy.RoleClient}, Options: proxy.SystemOptions{ClientPins: []string{pin(others), pin(both)}}},
				{ID: "3", Slug: "cedar", Name: "Cedar", Roles: []proxy.Role{proxy.RoleClient}},
			}}
			j := peers.New(peers.Options{
				EventCA: event.Pool(), EventCAName: "event.pem", Local: local.Pool(), Systems: known, Directory: directory{lists: listed.Leaf},
			})
			var presented []*x509.Certificate
			if c.cert != nil {
				presented = chain(*c.cert)
			}
			id := map[string]string{"acme": "1", "birch": "2", "cedar": "3"}[c.client]
			for range 2 { // the second time from what is kept
				f := j.Of(t.Context(), presented, &proxy.Channel{ClientID: id}, nil)
				if f.Trust != c.trust || f.Accepted != (c.trust != proxy.TrustRefused && c.trust != proxy.TrustNone) {
					t.Fatalf("%+v, want %s", f, c.trust)
				}
				for _, w := range c.words {
					if !strings.Contains(f.Detail, w) {
						t.Errorf("%q lacks %q", f.Detail, w)
					}
				}
			}
			if known.reads > 1 {
				t.Errorf("systems read %d times", known.reads)
			}
		})
	}
}

// TestNothingSet: without any setting nothing is accepted, and unreadable settings accept nothing either.
func TestNothingSet(t *testing.T) {
	cert := proxytest.NewCA(t, "CA").Client(t, "x")
	for name, j := range map[string]*peers.Judge{
		"nothing":    peers.New(peers.Options{}),
		"unreadable": peers.New(peers.Options{Systems: &systems{err: errors.New("disk on fire")}}),
	} {
		f := j.Of(t.Context(), chain(cert), &proxy.Channel{}, nil)
		if f.Accepted || f.Trust != proxy.TrustRefused || name == "unreadable" && !strings.Contains(f.Detail, "disk on fire") {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// TestChain: an intermediate that the client sends leads to the CA; time passes and its end is seen.
func TestChain(t *testing.T) {
	root := proxytest.NewCA(t, "Root")
	cert := root.Client(t, "x")
	now := time.Now()
	j := peers.New(peers.Options{EventCA: root.Pool(), Clock: func() time.Time { return now }})
	if f := j.Of(t.Context(), chain(cert), nil, nil); f.Trust != proxy.TrustEventCA {
		t.Errorf("%+v", f)
	}
	now = now.Add(25 * time.Hour)
	if f := j.Of(t.Context(), chain(cert), nil, nil); f.Accepted || !strings.Contains(f.Detail, "expired") {
		t.Errorf("a day later: %+v", f)
	}
}

// TestDirectoryIsAskedNowAndThen: many requests with one certificate are not as many lookups, and a new entry is soon seen.
func TestDirectoryIsAskedNowAndThen(t *testing.T) {
	cert := proxytest.NewCA(t, "CA").Client(t, "x")
	now, asked := time.Now(), 0
	d := &directory{asked: &asked}
	j := peers.New(peers.Options{Directory: d, Clock: func() time.Time { return now }})
	for range 3 {
		if f := j.Of(t.Context(), chain(cert), nil, nil); f.Accepted {
			t.Errorf("%+v", f)
		}
	}
	d.lists = cert.Leaf
	now = now.Add(3 * time.Second)
	for range 3 {
		if f := j.Of(t.Context(), chain(cert), nil, nil); f.Trust != proxy.TrustDirectory {
			t.Errorf("%+v", f)
		}
	}
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
}

func TestByCertificate(t *testing.T) {
	event, local := proxytest.NewCA(t, "Event CA"), proxytest.NewCA(t, "Local CA")
	pinned, both, stranger := event.Client(t, "p"), event.Client(t, "b"), event.Client(t, "cedar")
	known := &systems{list: []*proxy.System{
		{ID: "1", Slug: "acme", Options: proxy.SystemOptions{ClientPins: []string{pin(pinned), pin(both)}}},
		{ID: "2", Slug: "birch", Options: proxy.SystemOptions{ClientPins: []string{pin(both)}}},
		{ID: "3", Slug: "cedar", Roles: []proxy.Role{proxy.RoleClient}},
	}}
	now := time.Now()
	j := peers.New(peers.Options{EventCA: event.Pool(), Local: local.Pool(), Systems: known, Clock: func() time.Time { return now }})
	for _, c := range []struct {
		name  string
		chain []*x509.Certificate
		want  string
	}{
		{"pinned", chain(pinned), "1"},
		{"pinned twice", chain(both), ""},
		{"named by the local CA", chain(local.Client(t, "cedar")), "3"},
		{"named by another CA", chain(stranger), ""},
		{"none", nil, ""},
	} {
		if id, ok := j.ByCertificate(t.Context(), c.chain); id != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q, %v; want %q", c.name, id, ok, c.want)
		}
	}
	known.list[2].Options.ClientPins = []string{pin(stranger)}
	now = now.Add(2 * time.Second)
	if id, _ := j.ByCertificate(t.Context(), chain(stranger)); id != "3" {
		t.Errorf("a new fingerprint is seen after a second: %q", id)
	}
	now = now.Add(48 * time.Hour)
	if id, ok := j.ByCertificate(t.Context(), chain(pinned)); ok {
		t.Errorf("expired: %q", id)
	}
}

func TestConcurrent(t *testing.T) {
	ca := proxytest.NewCA(t, "CA")
	j := peers.New(peers.Options{EventCA: ca.Pool(), Systems: &lockedSystems{}})
	certs := []tls.Certificate{ca.Client(t, "a"), ca.Client(t, "b")}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for range 50 {
				if f := j.Of(t.Context(), chain(certs[i%2]), &proxy.Channel{ClientID: "1"}, nil); !f.Accepted {
					t.Errorf("%+v", f)
				}
			}
		})
	}
	wg.Wait()
}

type lockedSystems struct{}

func (lockedSystems) Systems(context.Context) ([]*proxy.System, error) {
	return []*proxy.System{{ID: "1"}}, nil
}

func BenchmarkOf(b *testing.B) {
	ca := proxytest.NewCA(b, "CA")
	j := peers.New(peers.Options{EventCA: ca.Pool(), Systems: lockedSystems{}})
	presented, ch := chain(ca.Client(b, "a")), &proxy.Channel{ClientID: "1"}
	b.ReportAllocs()
	for b.Loop() {
		if !j.Of(b.Context(), presented, ch, nil).Accepted {
			b.Fatal("refused")
		}
	}
}
