package peers

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"fhirwire/proxy"
)

// Systems lists the registered systems, whose options have the fingerprints.
type Systems interface {
	Systems(ctx context.Context) ([]*proxy.System, error)
}

// Directory is an endpoint directory. Entry names the entry that a certificate belongs to; an error says why there is none.
type Directory interface {
	Entry(ctx context.Context, chain []*x509.Certificate) (string, error)
}

// Options are a Judge's settings; each zero value means that there is none.
type Options struct {
	// EventCA are the CAs whose client certificates are accepted from everybody at the event; EventCAName says which in words.
	EventCA     *x509.CertPool
	EventCAName string
	// Local are the roots of fhirwire's own CA.
	Local *x509.CertPool
	// Systems has the fingerprints on record.
	Systems Systems
	// Directory names those who are listed.
	Directory Directory
	// Clock gives the time; default time.Now.
	Clock func() time.Time
}

// Finding is what a client's certificate is worth on a channel.
type Finding struct {
	Trust proxy.Trust
	// Detail says in words on what it was accepted, or why not.
	Detail   string
	Accepted bool
}

// Judge judges client certificates; it is safe for concurrent use.
type Judge struct {
	opt Options

	mu      sync.Mutex // guards what follows
	checked map[string]check
	systems registered
}

// New returns a Judge.
func New(o Options) *Judge {
	if o.Clock == nil {
		o.Clock = time.Now //nolint:forbidigo // the edge of the program; tests pass their own
	}
	return &Judge{opt: o, checked: map[string]check{}}
}

// Of judges the chain that a client presented, leaf first, on ch. client is the channel's client system; nil: it is looked up.
func (j *Judge) Of(ctx context.Context, chain []*x509.Certificate, ch *proxy.Channel, client *proxy.System) Finding {
	refused := func(text string, args ...any) Finding {
		return Finding{Trust: proxy.TrustRefused, Detail: fmt.Sprintf(text, args...)}
	}
	if len(chain) == 0 {
		return Finding{Trust: proxy.TrustNone, Detail: "no client certificate was presented"}
	}
	leaf := chain[0]
	if why := unusable(leaf, j.opt.Clock()); why != "" {
		return refused("%s", why)
	}
	c := j.check(chain)
	known, err := j.registered(ctx)
	if err != nil {
		return refused("the systems' fingerprints could not be read: %v", err)
	}
	if client == nil && ch != nil {
		client = known.byID[ch.ClientID]
	}
	owner := known.owner(leaf, c)
	switch {
	case owner != nil && (client == nil || owner.ID != client.ID) && !known.shared(c.fingerprint, client):
		return refused("the certificate of %s belongs to the system %s (%s), which is not this channel's client", c.subject, owner.Name, owner.Slug)
	case client != nil && slices.Contains(client.Options.ClientPins, c.fingerprint):
		return Finding{proxy.TrustPinned, "its fingerprint is on record for " + client.Name, true}
	case client != nil && len(client.Options.ClientPins) > 0:
		return refused("the fingerprints of the certificates of %s are on record, and %s is not among them", client.Name, c.fingerprint)
	case c.event == nil:
		return Finding{proxy.TrustEventCA, "issued under the event's CA" + named(j.opt.EventCAName), true}
	case c.local == nil:
		return Finding{proxy.TrustLocalCA, "issued by fhirwire's own CA", true}
	}
	var unlisted error
	if j.opt.Directory != nil {
		entry, err := j.listed(ctx, chain, c)
		if err == nil {
			return Finding{proxy.TrustDirectory, "listed in the endpoint directory: " + entry, true}
		}
		unlisted = err
	}
	return refused("%s", j.unknown(c, unlisted))
}

// unknown says where a certificate comes from and where it should.
func (j *Judge) unknown(c check, unlisted error) string {
	text := "the certificate of " + c.subject + " is issued by " + c.issuer
	if c.subject == c.issuer {
		text = "the certificate of " + c.subject + " is self-signed"
	}
	// The chain leads to a CA that is accepted, and something else is wrong with it.
	for _, err := range []error{c.event, c.local} {
		var authority x509.UnknownAuthorityError
		if err != nil && !errors.Is(err, errNoRoots) && !errors.As(err, &authority) {
			return text + ", and its chain does not hold: " + err.Error()
		}
	}
	where := "none of the CAs accepted here"
	if j.opt.EventCA != nil {
		where = "neither the event's CA" + named(j.opt.EventCAName) + " nor fhirwire's own"
	}
	text += ", which is " + where
	if len(c.chain) == 1 && j.opt.EventCA != nil {
		text += " (the client sent no certificate of that issuer; if it is below a CA that is accepted, the client has to send it along)"
	}
	if c.subject == c.issuer {
		text = "the certificate of " + c.subject + " is self-signed and not on record"
	}
	if unlisted != nil {
		text += "; the endpoint directory does not vouch for it: " + unlisted.Error()
	}
	return text + "; its fingerprint " + c.fingerprint + " can be put on record for the client system"
}

func named(name string) string {
	if name == "" {
		return ""
	}
	return " (" + name + ")"
}

// ByCertificate is the id of the client system that a chain belongs to, for requests whose URL names none. It finds what is on
// record, and clients named after in certificates of fhirwire's own CA.
func (j *Judge) ByCertificate(ctx context.Context, chain []*x509.Certificate) (id string, ok bool) {
	if len(chain) == 0 || unusable(chain[0], j.opt.Clock()) != "" {
		return "", false
	}
	known, err := j.registered(ctx)
	if err != nil {
		return "", false
	}
	c := j.check(chain)
	owner := known.owner(chain[0], c)
	if owner == nil || known.shared(c.fingerprint, nil) {
		return "", false
	}
	return owner.ID, true
}

// unusable says what is wrong with a certificate whoever issued it, "" for nothing.
func unusable(leaf *x509.Certificate, now time.Time) string {
	const day = "2006-01-02 15:04:05 UTC"
	subject := func() string { return "the certificate of " + leaf.Subject.String() }
	switch {
	case now.After(leaf.NotAfter):
		return subject() + " expired on " + leaf.NotAfter.UTC().Format(day)
	case now.Before(leaf.NotBefore):
		return subject() + " is not valid before " + leaf.NotBefore.UTC().Format(day)
	case len(leaf.ExtKeyUsage)+len(leaf.UnknownExtKeyUsage) > 0 &&
		!slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth) && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny):
		return subject() + " is not for clients: its extended key usage lacks clientAuth"
	}
	return ""
}
