package localca

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// Options tune Open and Load. The zero value works.
type Options struct {
	// Clock gives the time; default time.Now.
	Clock func() time.Time
	// Name stands in the root's subject, so that people know whose it is: the event, the machine.
	Name string
}

// Lifetimes. Issuing certificates are replaced well before their end; leaves before a third of their time is left.
const (
	rootLife    = 10 * 365 * day
	clientsLife = 5 * 365 * day
	serversLife = 90 * day
	leafLife    = 6 * day
	day         = 24 * time.Hour
	// backdate is for clients whose clock is behind.
	backdate = time.Hour
)

// The folder's files. A file with a key has its certificate behind it, so that the two cannot part.
const (
	rootFile    = "root.key"
	rootPublic  = "root.pem" // for people; never read
	serversFile = "servers.key"
	clientsFile = "clients.key"
	namedDir    = "named"
)

// Authority is one opened folder. Its methods are safe for concurrent use. It prints as the root's fingerprint.
type Authority struct {
	dir   string
	clock func() time.Time
	root  *x509.Certificate

	flight singleflight.Group

	// mu guards what follows.
	mu         sync.RWMutex
	clients    *pair
	issuers    []*issuer
	generation int // counts replacements of issuers, so that no leaf of an old one is kept
	leaves     map[string]*leaf
	named      map[string]*namedFile
}

// Open reads the authority of dir, or makes one there.
func Open(dir string, o Options) (*Authority, error) {
	a, err := Load(dir, o)
	if !errors.Is(err, fs.ErrNotExist) {
		return a, err
	}
	if err := create(dir, o); err != nil {
		return nil, fmt.Errorf("local CA: %w", err)
	}
	a, err = Load(dir, o)
	if err != nil {
		return nil, err
	}
	if _, err := a.clientIssuer(); err != nil { // so that ClientRoots has it from the beginning
		return nil, fmt.Errorf("local CA: %w", err)
	}
	return a, nil
}

// Load reads the authority of dir. The error wraps os.ErrNotExist when there is none.
func Load(dir string, o Options) (*Authority, error) {
	if o.Clock == nil {
		o.Clock = time.Now //nolint:forbidigo // the edge of the program; tests pass their own
	}
	root, err := readPair(filepath.Join(dir, rootFile))
	if err != nil {
		return nil, fmt.Errorf("local CA: %w", err)
	}
	a := &Authority{dir: dir, clock: o.Clock, root: root.cert, leaves: map[string]*leaf{}, named: map[string]*namedFile{}}
	if a.issuers, err = readIssuers(filepath.Join(dir, serversFile)); err != nil {
		return nil, fmt.Errorf("local CA: %w", err)
	}
	a.clients, err = readPair(filepath.Join(dir, clientsFile))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("local CA: %w", err)
	}
	return a, nil
}

// create makes the root. Of two processes that do it at once, one wins and both read its root.
func create(dir string, o Options) error {
	if err := os.MkdirAll(filepath.Join(dir, namedDir), 0o700); err != nil {
		return err
	}
	if o.Clock == nil {
		o.Clock = time.Now //nolint:forbidigo // the edge of the program; tests pass their own
	}
	name := "fhirwire local CA"
	if o.Name != "" {
		name += " " + o.Name
	}
	now := o.Clock()
	key, err := newKey()
	if err != nil {
		return err
	}
	root, err := sign(&x509.Certificate{
		Subject:   pkix.Name{CommonName: name, Organization: []string{organization}},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(rootLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLen: 1,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, key, nil)
	if err != nil {
		return err
	}
	if err := writeNew(filepath.Join(dir, rootFile), root.encode()); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	} else if err != nil {
		return nil
	}
	return writeFile(filepath.Join(dir, rootPublic), encodeCertificates(root.cert), 0o644)
}

// organization is in the subject of what this authority issues for itself.
const organization = "fhirwire"

// Root is the certificate that people trust.
func (a *Authority) Root() *x509.Certificate { return a.root }

// RootPEM is Root in PEM.
func (a *Authority) RootPEM() []byte { return encodeCertificates(a.root) }

// Fingerprint is the SHA-256 of the root in lower-case hexadecimal.
func (a *Authority) Fingerprint() string {
	sum := sha256.Sum256(a.root.Raw)
	return hex.EncodeToString(sum[:])
}

// ClientRoots are the anchors of client certificates issued here. A client that sends no intermediate is found, too.
func (a *Authority) ClientRoots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.root)
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.clients != nil {
		pool.AddCert(a.clients.cert)
	}
	return pool
}

func (a *Authority) String() string { return "local CA " + a.Fingerprint() }

// LogValue is the fingerprint.
func (a *Authority) LogValue() slog.Value { return slog.StringValue(a.String()) }

// rootPair reads the root's key, which is not kept.
func (a *Authority) rootPair() (*pair, error) {
	root, err := readPair(filepath.Join(a.dir, rootFile))
	if err != nil {
		return nil, err
	}
	if !root.cert.Equal(a.root) {
		return nil, fmt.Errorf("%s was replaced since it was read; start again", rootFile)
	}
	return root, nil
}

// pair is a certificate with its key.
type pair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// sign makes the certificate of key; without a parent it is self-signed.
func sign(template *x509.Certificate, key *ecdsa.PrivateKey, parent *pair) (*pair, error) {
	by, with := template, key
	if parent != nil {
		by, with = parent.cert, parent.key
		if template.NotAfter.After(by.NotAfter) {
			template.NotAfter = by.NotAfter
		}
	}
	cert, err := signFor(template, by, &key.PublicKey, with)
	if err != nil {
		return nil, err
	}
	return &pair{cert, key}, nil
}

func (p *pair) encode() []byte {
	return append(encodeKey(p.key), pem.EncodeToMemory(&pem.Block{Type: blockCertificate, Bytes: p.cert.Raw})...)
}
