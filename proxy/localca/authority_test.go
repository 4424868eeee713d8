package localca

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// clock is a time that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func open(t *testing.T, hosts ...string) (*Authority, *clock) {
	t.Helper()
	c := &clock{now: time.Now()}
	a, err := Open(filepath.Join(t.TempDir(), "ca"), Options{Clock: c.Now, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Permit(hosts); err != nil {
		t.Fatal(err)
	}
	return a, c
}

// chain is a server chain for name, signed by whatever issuing certificate is at hand, permitted or not.
func chain(t *testing.T, a *Authority, i int, name string) []*x509.Certificate {
	t.Helper()
	c, _, err := serverLeaf([]string{name}, a.clock(), leafLife, &a.issuers[i].pair)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, c)
}

func parse(t *testing.T, c *tls.Certificate) []*x509.Certificate {
	t.Helper()
	var out []*x509.Certificate
	for _, raw := range c.Certificate {
		p, err := x509.ParseCertificate(raw)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func verify(a *Authority, host string, usage x509.ExtKeyUsage, certs []*x509.Certificate) error {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(a.Root())
	for _, c := range certs[1:] {
		between.AddCert(c)
	}
	_, err := certs[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, DNSName: host, CurrentTime: a.clock(), KeyUsages: []x509.ExtKeyUsage{usage},
	})
	return err
}

// TestConstraints holds every verifier against names that are registered and names that are not.
func TestConstraints(t *testing.T) {
	registered := []string{"payer.example", "fhir.other.example", "other.example", "10.1.2.3", "2001:db8::7", "localhost", "*.localhost"}
	for _, c := range []struct {
		name string
		good bool
	}{
		{"payer.example", true},
		{"other.example", true},
		{"fhir.other.example", true},
		{"10.1.2.3", true},
		{"2001:db8::7", true},
		{"localhost", true},
		{"a.localhost", true},
		{"acme-app~diamond-payer.localhost", true},
		{"evil.payer.example", false},
		{"a.b.payer.example", false},
		{"auth.other.example", false},
		{"x.fhir.other.example", false},
		{"example", false},
		{"evilpayer.example", false},
		{"bank.example", false},
		{"10.1.2.4", false},
		{"127.0.0.1", false},
		{"2001:db8::8", false},
	} {
		a, _ := open(t, registered...)
		t.Run(c.name, func(t *testing.T) {
			leaf, err := a.Leaf(c.name)
			if c.good {
				if err != nil {
					t.Fatal(err)
				}
				certs := parse(t, leaf)
				if err := verify(a, c.name, x509.ExtKeyUsageServerAuth, certs); err != nil {
					t.Errorf("Go refuses it: %v", err)
				}
				if out, err := openssl(t, a, c.name, certs); err != nil {
					t.Errorf("openssl refuses it: %s", out)
				}
				return
			}
			if !errors.Is(err, ErrNotPermitted) {
				t.Errorf("Leaf: %v", err)
			}
			for i := range a.issuers { // somebody who has the keys
				certs := chain(t, a, i, c.name)
				if err := verify(a, c.name, x509.ExtKeyUsageServerAuth, certs); err == nil {
					t.Errorf("Go accepts it from issuing certificate %d, for %v", i, a.issuers[i].hosts)
				}
				out, err := openssl(t, a, c.name, certs)
				if err == nil || !strings.Contains(out, "ubtree violation") {
					t.Errorf("openssl accepts it from issuing certificate %d, for %v: %v %s", i, a.issuers[i].hosts, err, out)
				}
			}
		})
	}
}

// openssl verifies a chain with the command that people have.
func openssl(t *testing.T, a *Authority, host string, certs []*x509.Certificate) (string, error) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	name := "-verify_hostname"
	if net.ParseIP(host) != nil {
		name = "-verify_ip"
	}
	out, err := exec.CommandContext(t.Context(), "openssl", "verify", "-x509_strict", "-purpose", "sslserver", name, host,
		"-CAfile", write("root.pem", a.RootPEM()), "-untrusted", write("between.pem", encodeCertificates(certs[1:]...)),
		write("leaf.pem", encodeCertificates(certs[0]))).CombinedOutput()
	return string(out), err
}

func TestPermitReplacesIssuers(t *testing.T) {
	a, _ := open(t, "a.example")
	before := parse(t, must(a.Leaf("a.example")))
	if err := a.Permit([]string{"A.example.", "https", "a.example:8443"}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"a.example", "https"}; !slices.Equal(a.Hosts(), want) {
		t.Errorf("hosts %q, want %q", a.Hosts(), want)
	}
	after := parse(t, must(a.Leaf("a.example")))
	if bytes.Equal(before[1].RawSubjectPublicKeyInfo, after[1].RawSubjectPublicKeyInfo) {
		t.Error("the issuing key was kept")
	}
	if err := a.Permit([]string{"https", "a.example"}); err != nil {
		t.Fatal(err)
	}
	if again := must(a.Leaf("a.example")); !parse(t, again)[1].Equal(after[1]) {
		t.Error("the same set replaced the issuing certificate")
	}
	b, err := Load(a.dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(b.Hosts(), a.Hosts()) || !b.issuers[0].cert.Equal(a.issuers[0].cert) {
		t.Errorf("read back: %v", b.Hosts())
	}
	if err := a.Permit(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Leaf("a.example"); !errors.Is(err, ErrNotPermitted) {
		t.Errorf("Leaf of a removed host: %v", err)
	}
	if err := a.Permit([]string{"no such name"}); err == nil {
		t.Error("a name with blanks is permitted")
	}
}

func must(c *tls.Certificate, err error) *tls.Certificate {
	if err != nil {
		panic(err)
	}
	return c
}

func TestLoadWithout(t *testing.T) {
	if _, err := Load(t.TempDir(), Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestRootIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	var all [8]*Authority
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() {
			a, err := Open(dir, Options{})
			if err != nil {
				t.Error(err)
			}
			all[i] = a
		})
	}
	wg.Wait()
	for _, a := range all {
		if a == nil || a.Fingerprint() != all[0].Fingerprint() {
			t.Fatal("two roots were made")
		}
	}
	root := all[0].Root()
	if !root.IsCA || root.MaxPathLen != 1 || time.Until(root.NotAfter) < 9*365*day {
		t.Errorf("root: %+v", root)
	}
}

func TestModes(t *testing.T) {
	a, _ := open(t, "a.example")
	if _, err := a.IssueClient(ClientRequest{Name: "acme"}); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(a.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		switch {
		case d.IsDir():
			want = 0o700
		case d.Name() == rootPublic:
			want = 0o644
			if src, err := os.ReadFile(path); err != nil || bytes.Contains(src, []byte("PRIVATE")) {
				t.Errorf("%s has a key: %v", path, err)
			}
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", d.Name(), info.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestLeafLife(t *testing.T) {
	a, c := open(t, "a.example")
	first := must(a.Leaf("a.example"))
	if life := first.Leaf.NotAfter.Sub(first.Leaf.NotBefore); life > 7*day {
		t.Errorf("a leaf holds %v", life)
	}
	c.add(3 * day)
	if must(a.Leaf("A.Example")) != first {
		t.Error("replaced too early")
	}
	c.add(2 * day)
	second := must(a.Leaf("a.example"))
	if second == first || verify(a, "a.example", x509.ExtKeyUsageServerAuth, parse(t, second)) != nil {
		t.Error("not replaced before its end")
	}
	issuing := a.issuers[0].cert
	c.add(80 * day)
	if third := must(a.Leaf("a.example")); a.issuers[0].cert.Equal(issuing) || verify(a, "a.example", x509.ExtKeyUsageServerAuth, parse(t, third)) != nil {
		t.Error("the issuing certificate was not replaced before its end")
	}
}

func TestLeavesAtOnce(t *testing.T) {
	hosts := []string{"*.many.example"}
	for i := range 20 {
		hosts = append(hosts, fmt.Sprintf("h%d.example", i))
	}
	a, _ := open(t, hosts...)
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			host := fmt.Sprintf("h%d.example", i%20)
			if i%10 == 0 {
				if err := a.Permit(append(slices.Clone(hosts), fmt.Sprintf("p%d.example", i/50))); err != nil {
					t.Error(err)
				}
			}
			leaf, err := a.Leaf(host)
			if err != nil {
				t.Error(err)
				return
			}
			if err := verify(a, host, x509.ExtKeyUsageServerAuth, parse(t, leaf)); err != nil {
				t.Error(err)
			}
			if _, err := a.Leaf(fmt.Sprintf("x%d.many.example", i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(a.leaves); n > maxLeaves {
		t.Errorf("%d leaves are kept", n)
	}
	if one, two := must(a.Leaf("h1.example")), must(a.Leaf("h1.example")); one != two {
		t.Error("a leaf is not shared")
	}
}

func TestNoKeyIsPrinted(t *testing.T) {
	a, _ := open(t, "a.example")
	e, err := a.IssueClient(ClientRequest{Name: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	_, _, key, err := a.Export("acme")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "authority", a, "entry", e, "entries", a.Entries())
	_, _ = fmt.Fprintf(&out, "%v %+v %s %v", a, a, a, e)
	body := strings.Split(string(key), "\n")[1]
	root := must2(a.rootPair())
	if d, err := root.key.Bytes(); err != nil || strings.Contains(out.String(), body) || strings.Contains(out.String(), hex.EncodeToString(d)) ||
		strings.Contains(out.String(), new(big.Int).SetBytes(d).String()) {
		t.Errorf("a key is printed: %v", err)
	}
	if !strings.Contains(out.String(), a.Fingerprint()) {
		t.Errorf("no fingerprint: %s", out.String())
	}
}

func must2(p *pair, err error) *pair {
	if err != nil {
		panic(err)
	}
	return p
}

func BenchmarkLeaf(b *testing.B) {
	a, err := Open(filepath.Join(b.TempDir(), "ca"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	if err := a.Permit([]string{"a.example"}); err != nil {
		b.Fatal(err)
	}
	b.Run("cached", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := a.Leaf("a.example"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("issued", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			a.mu.Lock()
			clear(a.leaves)
			a.mu.Unlock()
			if _, err := a.Leaf("a.example"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
