package peers

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"fhirwire/proxy"
)

// check is what verifying a chain gave: nil errors mean that it holds. It is kept, since a client sends many requests with one
// certificate.
type check struct {
	at              time.Time
	chain           []*x509.Certificate
	fingerprint     string
	subject, issuer string
	event, local    error

	asked    time.Time // when the directory said the following
	entry    string
	unlisted error
}

const (
	// checkAge is how long a check is relied on; a CA certificate may run out in between.
	checkAge  = time.Minute
	maxChecks = 1024
	// directoryAge is how long what the directory said is relied on.
	directoryAge = 2 * time.Second
	// systemsAge is how old the fingerprints on record may be.
	systemsAge = time.Second
)

var errNoRoots = errors.New("no CA")

// check verifies chain, or gives what it found before.
func (j *Judge) check(chain []*x509.Certificate) check {
	now := j.opt.Clock()
	j.mu.Lock()
	have, ok := j.checked[string(chain[0].Raw)]
	j.mu.Unlock()
	same := func(a, b *x509.Certificate) bool { return a == b || bytes.Equal(a.Raw, b.Raw) }
	if ok && now.Sub(have.at).Abs() < checkAge && slices.EqualFunc(have.chain, chain, same) {
		return have
	}
	about := proxy.CertificateOf(chain[0])
	c := check{
		at: now, chain: slices.Clone(chain), fingerprint: about.Fingerprint, subject: about.Subject, issuer: about.Issuer,
		event: verify(chain, j.opt.EventCA, now), local: verify(chain, j.opt.Local, now),
	}
	if c.subject == "" {
		c.subject = "serial " + about.Serial
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.checked) >= maxChecks {
		clear(j.checked)
	}
	j.checked[string(chain[0].Raw)] = c
	return c
}

// listed asks the directory, or gives what it said before.
func (j *Judge) listed(ctx context.Context, chain []*x509.Certificate, c check) (string, error) {
	now := j.opt.Clock()
	if !c.asked.IsZero() && now.Sub(c.asked).Abs() < directoryAge {
		return c.entry, c.unlisted
	}
	c.entry, c.unlisted = j.opt.Directory.Entry(ctx, chain)
	if ctx.Err() == nil {
		c.asked = now
		j.mu.Lock()
		defer j.mu.Unlock()
		j.checked[string(chain[0].Raw)] = c
	}
	return c.entry, c.unlisted
}

func verify(chain []*x509.Certificate, roots *x509.CertPool, now time.Time) error {
	if roots == nil {
		return errNoRoots
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err
}

// registered is the systems as certificates know them.
type registered struct {
	at     time.Time
	read   bool
	byID   map[string]*proxy.System
	bySlug map[string]*proxy.System
	pins   map[string][]*proxy.System // by fingerprint
}

func (j *Judge) registered(ctx context.Context) (registered, error) {
	if j.opt.Systems == nil {
		return registered{}, nil
	}
	now := j.opt.Clock()
	j.mu.Lock()
	have := j.systems
	j.mu.Unlock()
	if have.read && now.Sub(have.at).Abs() < systemsAge {
		return have, nil
	}
	systems, err := j.opt.Systems.Systems(ctx)
	if err != nil {
		return registered{}, err
	}
	r := registered{at: now, read: true, byID: map[string]*proxy.System{}, bySlug: map[string]*proxy.System{}, pins: map[string][]*proxy.System{}}
	for _, s := range systems {
		r.byID[s.ID] = s
		if s.Has(proxy.RoleClient) {
			r.bySlug[s.Slug] = s
		}
		for _, pin := range s.Options.ClientPins {
			if !slices.Contains(r.pins[pin], s) {
				r.pins[pin] = append(r.pins[pin], s)
			}
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.systems = r
	return r, nil
}

// owner is the system that a certificate belongs to, nil when that is not known: the one that has its fingerprint on record, or
// the one whose slug fhirwire's own CA made it out to.
func (r registered) owner(leaf *x509.Certificate, c check) *proxy.System {
	if pinned := r.pins[c.fingerprint]; len(pinned) > 0 {
		return pinned[0]
	}
	if c.local == nil {
		return r.bySlug[leaf.Subject.CommonName]
	}
	return nil
}

// shared reports that a fingerprint is on record for several systems, client among them where one is given.
func (r registered) shared(fingerprint string, client *proxy.System) bool {
	pinned := r.pins[fingerprint]
	if client == nil {
		return len(pinned) > 1
	}
	return slices.ContainsFunc(pinned, func(s *proxy.System) bool { return s.ID == client.ID })
}
