package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"golang.org/x/net/dns/dnsmessage"
)

// acmeAuthority is an ACME server that others wrote, on loopback. It looks at names by a name service that says loopback to all.
type acmeAuthority struct {
	*httptest.Server

	t        *testing.T
	answers  atomic.Pointer[http.Handler] // nil: it asks for patience
	gone     atomic.Bool                  // it does not even do that
	accounts map[string]string            // external ones with their keys; it asks for one if there are any
	rootFile string                       // has the roots of its own server
}

func newACMEAuthority(t *testing.T) *acmeAuthority {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "0")
	a := &acmeAuthority{t: t}
	a.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.gone.Load() {
			panic(http.ErrAbortHandler)
		}
		if h := a.answers.Load(); h != nil {
			(*h).ServeHTTP(w, r)
			return
		}
		http.Error(w, "busy", http.StatusServiceUnavailable)
	}))
	t.Cleanup(a.Close)
	a.rootFile = filepath.Join(t.TempDir(), "authority.pem")
	if err := os.WriteFile(a.rootFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// up makes it issue certificates that live for some seconds to who answers at a TLS listener; it returns what they verify by.
func (a *acmeAuthority) up(listener string, seconds uint64) (roots, between *x509.CertPool) {
	a.t.Helper()
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(listener, "https://"))
	number, err := strconv.Atoi(port)
	if err != nil {
		a.t.Fatal(err)
	}
	quiet, store := log.New(io.Discard, "", 0), db.NewMemoryStore()
	issuing := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {ValidityPeriod: seconds}})
	front := wfe.New(quiet, store, va.New(quiet, 1, number, false, nameServiceTCP(a.t), store), issuing, []string{"authority.example"}, false, len(a.accounts) > 0, 1, 1)
	for kid, key := range a.accounts {
		if err := store.AddExternalAccountKeyByID(kid, key); err != nil {
			a.t.Fatal(err)
		}
	}
	h := front.Handler()
	a.answers.Store(&h)
	roots, between = x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM(issuing.GetRootCert(0).PEM())
	between.AppendCertsFromPEM(issuing.GetIntermediateCert(0).PEM())
	return roots, between
}

// nameServiceTCP answers each question with 127.0.0.1, over TCP.
func nameServiceTCP(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() { _ = ln.Close(); serving.Wait() })
	serving.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { defer func() { _ = c.Close() }(); answerName(c) })
		}
	})
	return ln.Addr().String()
}

func answerName(c net.Conn) {
	var size uint16
	if binary.Read(c, binary.BigEndian, &size) != nil {
		return
	}
	buf := make([]byte, size)
	var m dnsmessage.Message
	if _, err := io.ReadFull(c, buf); err != nil || m.Unpack(buf) != nil || len(m.Questions) == 0 {
		return
	}
	m.Response, m.Additionals = true, nil
	if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
		}}
	}
	if out, err := m.Pack(); err == nil {
		_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...)) //nolint:gosec // a short message
	}
}

// shown is the chain that the TLS listener presents for a name.
func (s *served) shown(name string) []*x509.Certificate {
	s.t.Helper()
	d := tls.Dialer{Config: &tls.Config{ServerName: name, InsecureSkipVerify: true}} //nolint:gosec // it is looked at below
	c, err := d.DialContext(s.t.Context(), "tcp", strings.TrimPrefix(s.at, "https://"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	return c.(*tls.Conn).ConnectionState().PeerCertificates
}

// within waits for something that will come.
func within(t *testing.T, what string, came func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !came(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never came: %s", what)
		}
	}
}

// byACME starts serve with one name by ACME.
func byACME(t *testing.T, authority *acmeAuthority, args ...string) *served {
	return startServe(t, t.TempDir(), slices.Concat([]string{
		"--acme-hosts", "Proxy.Event.Example", "--acme-email", "it@event.example", "--log-level", "info",
		"--acme-directory", authority.URL + wfe.DirectoryPath, "--acme-ca", authority.rootFile,
	}, args)...)
}

func (s *served) certificatesPage() string {
	s.t.Helper()
	_, text, _ := s.do(http.DefaultClient, http.MethodGet, s.dashboard+"/certificates", "", "", "Accept", "text/html")
	return text
}

func TestACMEAuthorityDown(t *testing.T) {
	authority := newACMEAuthority(t)
	authority.gone.Store(true)
	s := byACME(t, authority)
	own, between := x509.NewCertPool(), x509.NewCertPool()
	own.AddCert(s.ca.Root())
	chain := s.shown("proxy.event.example")
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{DNSName: "proxy.event.example", Roots: own, Intermediates: between}); err != nil {
		t.Error(err)
	}
	within(t, "a warning in the log", func() bool {
		return strings.Contains(s.out.String(), "no certificate by ACME; the local CA's is presented")
	})
	if text := s.certificatesPage(); !strings.Contains(text, "The local CA&#39;s is presented: ") || !strings.Contains(text, "TLS listener, by ACME") {
		t.Error("the Certificates page does not say that the authority is down")
	}
}

func TestACMECertificateIsGotRenewedAndReplaced(t *testing.T) {
	authority := newACMEAuthority(t)
	s := byACME(t, authority)
	roots, between := authority.up(s.at, 15)
	issued := func(c *x509.Certificate) bool {
		_, err := c.Verify(x509.VerifyOptions{DNSName: "proxy.event.example", Roots: roots, Intermediates: between, CurrentTime: c.NotBefore.Add(time.Second)})
		return err == nil
	}
	var first *x509.Certificate
	within(t, "the first certificate", func() bool { first = s.shown("proxy.event.example")[0]; return issued(first) })
	within(t, "the same for another spelling of the name", func() bool { return issued(s.shown("Proxy.Event.Example.")[0]) })
	for _, name := range []string{"elsewhere.example", "localhost", "sub.proxy.event.example"} {
		if issued(s.shown(name)[0]) {
			t.Errorf("%s gets the certificate of another name", name)
		}
	}

	// Nobody who looks for a challenge of another name gets one made.
	d := tls.Dialer{Config: &tls.Config{ServerName: "elsewhere.example", NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true}} //nolint:gosec // nothing is sent
	if c, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(s.at, "https://")); err == nil {
		_ = c.Close()
		t.Error("a challenge for a name that is not ours is answered")
	}

	files := 0
	if err := filepath.WalkDir(filepath.Join(s.data, "ca", "acme"), func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it is being replaced
		}
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		files++
		return err
	}); err != nil || files < 2 {
		t.Errorf("%d files of the account and the certificate: %v", files, err)
	}

	within(t, "a renewed certificate", func() bool {
		now := s.shown("proxy.event.example")[0]
		return issued(now) && now.SerialNumber.Cmp(first.SerialNumber) != 0
	})
	if text := s.certificatesPage(); !strings.Contains(text, "proxy.event.example") || !strings.Contains(text, "TLS listener, by ACME") {
		t.Error("the Certificates page does not show the certificate")
	}

	// The authority's look at the listener is no client's failed handshake.
	_, text, _ := s.do(http.DefaultClient, http.MethodGet, s.dashboard+"/api/v1/exchanges", "", "")
	if n := strings.Count(text, "proxy.event.example"); n != 0 {
		t.Errorf("%d exchanges were recorded of the authority's visits: %s", n, text)
	}

	// The authority goes; what it issued ends; the local CA takes over.
	authority.answers.Store(nil)
	within(t, "the local CA's certificate", func() bool { return !issued(s.shown("proxy.event.example")[0]) })
}

func TestACMESettings(t *testing.T) {
	for args, want := range map[string]string{
		"--acme-hosts 192.0.2.1":                                                           `acme-hosts: "192.0.2.1" is no full host name`,
		"--acme-hosts *.event.example":                                                     "is no full host name",
		"--acme-hosts proxy":                                                               "is no full host name",
		"--acme-directory https://acme.example/directory":                                  "acme-hosts: which names",
		"--acme-hosts a.example --acme-directory http://acme.example/directory":            "acme-directory: want the https URL",
		"--acme-hosts a.example --acme-directory https://acme.example --acme-ca /no/where": "acme-ca: ",
		"--acme-hosts a.example --acme-eab-kid k":                                          "give acme-eab-kid and acme-eab-key-file together",
		"--acme-eab-kid k --acme-eab-key-file f":                                           "acme-hosts: which names",
		"--acme-hosts a.example --acme-eab-kid k --acme-eab-key-file /no/where":            "acme-eab-key-file: ",
		"--acme-hosts a.example --tls-listen off":                                          "tls-listen: certificates are given",
	} {
		t.Run(args, func(t *testing.T) {
			out := &lockedBuffer{}
			p := &process{stdin: strings.NewReader(""), stdout: out, stderr: out, getenv: unlimited, now: time.Now}
			all := slices.Concat([]string{"serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--proxy-listen", "127.0.0.1:0", "--reference-listen", "off", "--forward-listen", "off", "--tls-listen", "127.0.0.1:0"}, strings.Fields(args))
			if code := runMain(t.Context(), p, all); code != exitUsage || !strings.Contains(out.String(), want) {
				t.Errorf("%d: %s", code, out.String())
			}
		})
	}
}
