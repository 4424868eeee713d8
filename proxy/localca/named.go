package localca

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"fhirwire/proxy"
)

// Kind is what a certificate of the authority is for.
type Kind string

// The kinds.
const (
	KindRoot     Kind = "root"
	KindServers  Kind = "servers" // issues server certificates
	KindClients  Kind = "clients" // issues client certificates
	KindClient   Kind = "client"
	KindServer   Kind = "server"
	KindImported Kind = "imported" // issued elsewhere
)

// Entry describes a certificate; it holds no key.
type Entry struct {
	Name  string
	Kind  Kind
	Chain []proxy.Certificate // leaf first; empty when the file cannot be read
	// Expires is the end of the first certificate of Chain that ends.
	Expires time.Time
	// Warnings are for people: expired, about to expire, unreadable.
	Warnings []string
	// Replaced marks what was issued earlier under the same name.
	Replaced bool
}

// warnBefore is how early the end of a certificate is announced.
const warnBefore = 14 * day

// defaultLife is how long named certificates hold unless something else is asked for.
const (
	defaultClientLife = 365 * day
	defaultServerLife = 90 * day
	maxNamedLife      = 825 * day // beyond that, some systems refuse
)

// ClientRequest asks for a client certificate.
type ClientRequest struct {
	// Name is the certificate's name in the store and its common name: lower-case letters, digits and single hyphens.
	Name         string
	Organization string
	DNSNames     []string
	// URIs identify the client, as HRex asks; without any name, urn:fhirwire:NAME.
	URIs []string
	// Valid is at most 825 days; 0 means one year.
	Valid time.Duration
}

var nameForm = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// ErrName is wrapped when a name is not acceptable.
var ErrName = errors.New("use 1 to 60 lower-case letters, digits and single hyphens as a name, for example acme-client")

func checkName(name string) error {
	if !nameForm.MatchString(name) || len(name) > 60 {
		return fmt.Errorf("%q: %w", name, ErrName)
	}
	return nil
}

func checkLife(asked, otherwise time.Duration) (time.Duration, error) {
	switch {
	case asked == 0:
		return otherwise, nil
	case asked < 0 || asked > maxNamedLife:
		return 0, errors.New("a certificate is valid for 1 to 825 days")
	default:
		return asked, nil
	}
}

// IssueClient issues a client certificate and stores it under its name; what had the name before is kept as NAME.N.
func (a *Authority) IssueClient(r ClientRequest) (Entry, error) {
	if err := checkName(r.Name); err != nil {
		return Entry{}, err
	}
	life, err := checkLife(r.Valid, defaultClientLife)
	if err != nil {
		return Entry{}, err
	}
	now := a.clock()
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: r.Name},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(life), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if r.Organization != "" {
		template.Subject.Organization = []string{r.Organization}
	}
	for _, d := range r.DNSNames {
		name, err := normal(d)
		if err != nil {
			return Entry{}, err
		}
		template.DNSNames = append(template.DNSNames, name)
	}
	if len(r.URIs)+len(r.DNSNames) == 0 {
		r.URIs = []string{"urn:fhirwire:" + r.Name}
	}
	for _, s := range r.URIs {
		u, err := url.Parse(s)
		if err != nil || !u.IsAbs() {
			return Entry{}, fmt.Errorf("%q is no absolute URI", s)
		}
		template.URIs = append(template.URIs, u)
	}
	by, err := a.clientIssuer()
	if err != nil {
		return Entry{}, fmt.Errorf("local CA: %w", err)
	}
	key, err := newKey()
	if err != nil {
		return Entry{}, err
	}
	p, err := sign(template, key, by)
	if err != nil {
		return Entry{}, fmt.Errorf("local CA: %w", err)
	}
	return a.put(r.Name, append(p.encode(), encodeCertificates(by.cert)...))
}

// clientIssuer is the certificate that issues client certificates; it is made on first use and replaced a year before its end.
// Its extended key usage alone keeps it from issuing for servers: with any name constraint, Go refuses URIs without a host.
func (a *Authority) clientIssuer() (*pair, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.clock()
	if a.clients != nil && now.Add(defaultClientLife).Before(a.clients.cert.NotAfter) {
		return a.clients, nil
	}
	root, err := a.rootPair()
	if err != nil {
		return nil, err
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	p, err := sign(&x509.Certificate{
		Subject:   pkix.Name{CommonName: "fhirwire clients " + now.UTC().Format(time.RFC3339), Organization: []string{organization}},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(clientsLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, key, root)
	if err != nil {
		return nil, err
	}
	if err := writeFile(filepath.Join(a.dir, clientsFile), p.encode(), 0o600); err != nil {
		return nil, err
	}
	a.clients = p
	return p, nil
}

// IssueServer issues a certificate for a server elsewhere that is to be reached as host, and stores it under that name. It comes
// from an issuing certificate of its own, constrained to host, whose key is gone when IssueServer returns.
func (a *Authority) IssueServer(host string, valid time.Duration) (Entry, error) {
	name, err := normal(host)
	if err != nil || strings.HasPrefix(name, subdomains) {
		return Entry{}, fmt.Errorf("%q is no host name or IP address", host)
	}
	life, err := checkLife(valid, defaultServerLife)
	if err != nil {
		return Entry{}, err
	}
	root, err := a.rootPair()
	if err != nil {
		return Entry{}, fmt.Errorf("local CA: %w", err)
	}
	now := a.clock()
	by, err := newIssuer([]string{name}, now, max(life, serversLife), root)
	if err != nil {
		return Entry{}, fmt.Errorf("local CA: %w", err)
	}
	cert, key, err := serverLeaf([]string{name}, now, life, &by.pair)
	if err != nil {
		return Entry{}, fmt.Errorf("local CA: %w", err)
	}
	return a.put(name, append((&pair{cert.Leaf, key}).encode(), encodeCertificates(by.cert)...))
}

// Import stores a certificate that was issued elsewhere, with its chain and its key, under name.
func (a *Authority) Import(name string, certPEM, keyPEM []byte) (Entry, error) {
	if err := checkName(name); err != nil {
		return Entry{}, err
	}
	c, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return Entry{}, fmt.Errorf("certificate and key of %s: %w", name, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return Entry{}, fmt.Errorf("key of %s: %w", name, err)
	}
	out := pem.EncodeToMemory(&pem.Block{Type: blockKey, Bytes: der})
	for _, raw := range c.Certificate {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: blockCertificate, Bytes: raw})...)
	}
	return a.put(name, out)
}

// fileOf is where a name's certificate is. The colons of an IPv6 address are no letters of file names everywhere.
func (a *Authority) fileOf(name string) string {
	return filepath.Join(a.dir, namedDir, strings.ReplaceAll(name, ":", "_")+".pem")
}

// put stores a name's file and keeps the one before.
func (a *Authority) put(name string, data []byte) (Entry, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := os.MkdirAll(filepath.Join(a.dir, namedDir), 0o700); err != nil {
		return Entry{}, fmt.Errorf("local CA: %w", err)
	}
	path := a.fileOf(name)
	if _, err := os.Stat(path); err == nil {
		for n := 1; ; n++ {
			old := a.fileOf(name + "." + strconv.Itoa(n))
			err := os.Link(path, old)
			if errors.Is(err, fs.ErrExist) {
				continue
			}
			if err != nil {
				return Entry{}, fmt.Errorf("local CA: %w", err)
			}
			break
		}
	}
	if err := writeFile(path, data, 0o600); err != nil {
		return Entry{}, fmt.Errorf("local CA: %w", err)
	}
	delete(a.named, name)
	return a.entry(name), nil
}

// Entries describes the named certificates, sorted by name.
func (a *Authority) Entries() []Entry {
	files, err := os.ReadDir(filepath.Join(a.dir, namedDir))
	if err != nil {
		return nil
	}
	var out []Entry
	for _, f := range files {
		if name, ok := strings.CutSuffix(f.Name(), ".pem"); ok && !strings.HasPrefix(name, ".") {
			if ip, err := netip.ParseAddr(strings.ReplaceAll(name, "_", ":")); err == nil {
				name = ip.String()
			}
			out = append(out, a.entry(name))
		}
	}
	for i := range out {
		if at := strings.LastIndexByte(out[i].Name, '.'); at > 0 {
			out[i].Replaced = slices.ContainsFunc(out, func(e Entry) bool { return e.Name == out[i].Name[:at] })
		}
	}
	return out
}

// Issuers describes the root and the issuing certificates.
func (a *Authority) Issuers() []Entry {
	a.mu.RLock()
	defer a.mu.RUnlock()
	out := []Entry{a.describe("root", KindRoot, a.root)}
	for _, i := range a.issuers {
		out = append(out, a.describe("servers", KindServers, i.cert))
	}
	if a.clients != nil {
		out = append(out, a.describe("clients", KindClients, a.clients.cert))
	}
	return out
}

func (a *Authority) entry(name string) Entry {
	key, certs, err := readNamed(a.fileOf(name))
	if err == nil {
		_, err = tls.X509KeyPair(encodeCertificates(certs...), key)
	}
	if err != nil {
		return Entry{Name: name, Warnings: []string{"cannot be read: " + err.Error()}}
	}
	kind := KindImported
	if ours := certs[len(certs)-1].CheckSignatureFrom(a.root) == nil; ours && slices.Contains(certs[0].ExtKeyUsage, x509.ExtKeyUsageServerAuth) {
		kind = KindServer
	} else if ours {
		kind = KindClient
	}
	return a.describe(name, kind, certs...)
}

func (a *Authority) describe(name string, kind Kind, certs ...*x509.Certificate) Entry {
	e := Entry{Name: name, Kind: kind, Chain: proxy.Chain(certs), Expires: certs[0].NotAfter.UTC()}
	for _, c := range certs {
		if c.NotAfter.Before(e.Expires) {
			e.Expires = c.NotAfter.UTC()
		}
	}
	switch now := a.clock(); {
	case !now.Before(e.Expires):
		e.Warnings = append(e.Warnings, "expired on "+e.Expires.Format(time.DateOnly))
	case now.Add(warnBefore).After(e.Expires):
		e.Warnings = append(e.Warnings, "expires soon, on "+e.Expires.Format(time.DateOnly))
	case now.Before(certs[0].NotBefore):
		e.Warnings = append(e.Warnings, "not valid before "+certs[0].NotBefore.UTC().Format(time.DateOnly))
	}
	return e
}

// readNamed reads the key, in PEM, and the certificates of a file.
func readNamed(path string) (keyPEM []byte, certs []*x509.Certificate, err error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	block, rest := pem.Decode(src)
	if block == nil || block.Type != blockKey {
		return nil, nil, errNoPair
	}
	certs, err = proxy.CertificatesFromPEM(string(rest))
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(block), certs, nil
}

// namedFile is a name's certificate as it was read.
type namedFile struct {
	cert *tls.Certificate
	file os.FileInfo
}

// same reports whether info is of the file that was read. Files are replaced, not changed; times are too coarse to tell alone.
func (f *namedFile) same(info os.FileInfo) bool {
	return os.SameFile(f.file, info) && f.file.ModTime().Equal(info.ModTime()) && f.file.Size() == info.Size()
}

// TLS is the certificate of a name with its chain and key, to be presented. It is shared: do not change it. A file that another
// process has replaced is read anew. The error wraps os.ErrNotExist when there is none of that name.
func (a *Authority) TLS(name string) (*tls.Certificate, error) {
	info, err := a.stat(name)
	if err != nil {
		return nil, err
	}
	a.mu.RLock()
	have := a.named[name]
	a.mu.RUnlock()
	if have != nil && have.same(info) {
		return have.cert, nil
	}
	key, certs, err := readNamed(a.fileOf(name))
	if err != nil {
		return nil, fmt.Errorf("certificate %s: %w", name, err)
	}
	cert, err := tls.X509KeyPair(encodeCertificates(certs...), key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s: %w", name, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.named[name] = &namedFile{&cert, info}
	return &cert, nil
}

// Export gives the certificate of a name, the certificates between it and the root, and its key, all in PEM.
func (a *Authority) Export(name string) (certPEM, chainPEM, keyPEM []byte, err error) {
	if _, err := a.stat(name); err != nil {
		return nil, nil, nil, err
	}
	key, certs, err := readNamed(a.fileOf(name))
	if err != nil {
		return nil, nil, nil, fmt.Errorf("certificate %s: %w", name, err)
	}
	return encodeCertificates(certs[0]), encodeCertificates(certs[1:]...), bytes.Clone(key), nil
}

// stat refuses names that lead out of the folder.
func (a *Authority) stat(name string) (fs.FileInfo, error) {
	if name == "" || strings.ContainsAny(name, `/\`) || strings.HasPrefix(name, ".") {
		return nil, fmt.Errorf("certificate %q: %w", name, fs.ErrNotExist)
	}
	info, err := os.Stat(a.fileOf(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the local CA has no certificate named %q: %w", name, fs.ErrNotExist)
	}
	return info, err
}
