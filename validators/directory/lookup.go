package directory

import (
	"crypto/x509"
	"slices"
	"strings"
	"time"
)

// Outcome of a lookup.
type Outcome string

// The outcomes. Only Found gives an entry to rely on (P2P-DIR-50).
const (
	Found     Outcome = "found"
	NotListed Outcome = "not-listed"
	Ambiguous Outcome = "ambiguous"
)

// Hit is the outcome of a lookup, with what an audit record needs (P2P-DIR-52): the caller adds who asked and when.
type Hit struct {
	Outcome Outcome
	// Entry is set when found. Look at Entry.Valid before connecting.
	Entry *Entry
	// Candidates are the files that fit when the key is ambiguous.
	Candidates []string
	// By is the kind of key that decided: "npi", "identifier", "endpoint-identifier", "name", "address", "certificate".
	By string
	// Key is what was looked for; for a certificate its SHA-256.
	Key string
	// Level is how a certificate was bound to the entry (P2P-TLS-20), "" for other keys.
	Level Level
}

func hit(key, by string, entries []*Entry) Hit {
	h := Hit{Outcome: NotListed, By: by, Key: key}
	switch len(entries) {
	case 0:
	case 1:
		h.Outcome, h.Entry = Found, entries[0]
	default:
		h.Outcome = Ambiguous
		for _, e := range entries {
			h.Candidates = append(h.Candidates, e.File)
		}
	}
	return h
}

// Find looks an entry up before connecting to it (P2P-DIR-50): by NPI, any identifier ("value" or "system|value"), the Endpoint's
// identifier, the exact name, the host of the address; the first kind of key that fits decides. A name picks a candidate and
// authorises nothing.
func (d *Directory) Find(key string) Hit {
	system, bare, qualified := strings.Cut(key, "|")
	if !qualified {
		bare = key
	}
	if bare == "" {
		return hit(key, "", nil)
	}
	has := func(ids []Identifier, only string) bool {
		return slices.ContainsFunc(ids, func(id Identifier) bool {
			return id.Value == bare && (!qualified || id.System == system) && (only == "" || id.System == only)
		})
	}
	someone := func(e *Entry, fits func(*Organization) bool) bool { return slices.ContainsFunc(e.organizations, fits) }
	for _, by := range []struct {
		name string
		fits func(*Entry) bool
	}{
		// The plan's NPI: an operator may be in the entries of several plans.
		{"npi", func(e *Entry) bool { return e.Plan != nil && has(e.Plan.Identifiers, npiSystem) }},
		{"identifier", func(e *Entry) bool { return someone(e, func(o *Organization) bool { return has(o.Identifiers, "") }) }},
		{"endpoint-identifier", func(e *Entry) bool { return e.Endpoint != nil && has(e.Endpoint.Identifiers, "") }},
		{"name", func(e *Entry) bool {
			return someone(e, func(o *Organization) bool { return o.Name != "" && strings.EqualFold(o.Name, key) })
		}},
		{"address", func(e *Entry) bool { return e.Endpoint != nil && host(e.Endpoint.Address) == lower(key) }},
	} {
		if entries := d.where(by.fits); len(entries) > 0 {
			return hit(key, by.name, entries)
		}
	}
	return hit(key, "", nil)
}

// ByBaseURL looks up whose a URL is: the longest address or associated server that is a prefix of it, else the host.
func (d *Directory) ByBaseURL(u string) Hit {
	folded := foldURL(u)
	longest := 0
	var best []*Entry
	for _, e := range d.Entries {
		if e.Endpoint == nil {
			continue
		}
		urls := []string{e.Endpoint.Address}
		for _, s := range e.Endpoint.Servers {
			urls = append(urls, s.URL)
		}
		for _, have := range urls {
			have = foldURL(have)
			if have == "" || folded != have && !strings.HasPrefix(folded, have+"/") {
				continue
			}
			if len(have) > longest {
				longest, best = len(have), nil
			}
			if len(have) == longest && !slices.Contains(best, e) {
				best = append(best, e)
			}
		}
	}
	if best == nil {
		h := host(u)
		best = d.where(func(e *Entry) bool { return h != "" && e.Endpoint != nil && host(e.Endpoint.Address) == h })
	}
	return hit(u, "address", best)
}

func (d *Directory) where(fits func(*Entry) bool) []*Entry {
	var out []*Entry
	for _, e := range d.Entries {
		if fits(e) {
			out = append(out, e)
		}
	}
	return out
}

// Level is how surely a certificate belongs to an entry.
type Level string

// The levels of section 2.3 of the payer-to-payer document, strongest first.
const (
	Exact    Level = "B1" // the certificate is in the entry
	SameKey  Level = "B2" // its key is: a renewed certificate, or the twin that the trust manager signed
	Issued   Level = "B3" // the entry has the CA that issued it, and it names the address or the operator's domain
	NameOnly Level = "B4" // it names the address: for demonstrations only
)

// BindOptions tune ByCertificate.
type BindOptions struct {
	// Now is the time at which a chain has to hold. Required.
	Now time.Time
	// Roots are the common CAs; with AllowNameOnly a leaf that chains to them and names the address is bound (B4).
	Roots         *x509.CertPool
	AllowNameOnly bool
	// Invalid counts entries with errors too; otherwise only valid ones can be found (P2P-DIR-51).
	Invalid bool
}

// ByCertificate looks up whose a peer's certificate is, leaf first (P2P-TLS-20): exactly one valid entry has to fit at the
// strongest level at which any does.
func (d *Directory) ByCertificate(chain []*x509.Certificate, o BindOptions) Hit {
	if len(chain) == 0 {
		return hit("", "certificate", nil)
	}
	key := Fingerprint(chain[0])
	for _, level := range []Level{Exact, SameKey, Issued, NameOnly} {
		if level == NameOnly && !o.AllowNameOnly {
			break
		}
		entries := d.where(func(e *Entry) bool { return (o.Invalid || e.Valid()) && e.bound(chain, level, o) })
		if len(entries) > 0 {
			h := hit(key, "certificate", entries)
			h.Level = level
			return h
		}
	}
	return hit(key, "certificate", nil)
}

func (e *Entry) bound(chain []*x509.Certificate, level Level, o BindOptions) bool {
	if e.Endpoint == nil {
		return false
	}
	leaf := chain[0]
	own := slices.Concat(e.Endpoint.Certificates, e.Endpoint.MTLS)
	switch level {
	case Exact:
		return slices.ContainsFunc(own, leaf.Equal)
	case SameKey:
		// The trust manager's twin has the entry's own key, so it needs no look of its own.
		return slices.ContainsFunc(own, func(c *x509.Certificate) bool { return !c.IsCA && sameKey(c.PublicKey, leaf.PublicKey) })
	case Issued:
		roots := x509.NewCertPool()
		for _, c := range own {
			if c.IsCA {
				roots.AddCert(c)
			}
		}
		return e.named(leaf) && leads(chain, roots, o.Now)
	case NameOnly:
		h := host(e.Endpoint.Address)
		return h != "" && namesHost(leaf, h) && o.Roots != nil && leads(chain, o.Roots, o.Now)
	default:
		return false
	}
}

// named reports whether the leaf names the host of the address or of the operator's pages.
func (e *Entry) named(leaf *x509.Certificate) bool {
	hosts := []string{host(e.Endpoint.Address)}
	if e.Operator != nil {
		for _, u := range e.Operator.URLs {
			hosts = append(hosts, host(u))
		}
	}
	return slices.ContainsFunc(hosts, func(h string) bool { return h != "" && namesHost(leaf, h) })
}

func leads(chain []*x509.Certificate, roots *x509.CertPool, now time.Time) bool {
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err == nil
}
