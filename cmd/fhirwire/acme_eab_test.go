package main

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestACMEExternalAccount: an authority that issues to its customers only, as commercial ones and those of organizations do.
func TestACMEExternalAccount(t *testing.T) {
	const kid, key = "customer-7", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	authority := newACMEAuthority(t)
	authority.accounts = map[string]string{kid: key}
	file := filepath.Join(t.TempDir(), "eab.key")
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := byACME(t, authority, "--acme-eab-kid", kid, "--acme-eab-key-file", file, "--log-level", "debug")
	roots, between := authority.up(s.at, 3600)
	within(t, "a certificate", func() bool {
		c := s.shown("proxy.event.example")[0]
		_, err := c.Verify(x509.VerifyOptions{DNSName: "proxy.event.example", Roots: roots, Intermediates: between, CurrentTime: c.NotBefore.Add(time.Second)})
		return err == nil
	})
	if strings.Contains(s.out.String(), key) || strings.Contains(s.certificatesPage(), key) {
		t.Error("the account's key is in the log or on the page")
	}
	walkFiles(t, s.data, func(path string) error {
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), key) {
			t.Errorf("the account's key is kept in %s", path)
		}
		return err
	})
}

// TestACMEWithoutTheExternalAccount: what the authority says is on the Certificates page.
func TestACMEWithoutTheExternalAccount(t *testing.T) {
	authority := newACMEAuthority(t)
	authority.accounts = map[string]string{"customer-7": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"}
	authority.up("https://127.0.0.1:1", 3600)
	s := byACME(t, authority)
	within(t, "the authority's refusal", func() bool {
		return strings.Contains(s.certificatesPage(), "externalAccountBinding") || strings.Contains(s.certificatesPage(), "externalAccountRequired")
	})
}

// TestExternalAccountKeys: the spellings in which authorities give keys; what is none is not repeated in the error.
func TestExternalAccountKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "eab.key")
	c := config{ACMEHosts: "a.example", ACMEEABKid: "k", ACMEEABKeyFile: file}
	for text, want := range map[string]string{
		"-_8":           "\xfb\xff",
		" -_8=\r\n":     "\xfb\xff",
		"+/8=":          "\xfb\xff",
		"":              "",
		"secret key!":   "",
		"{\"k\":\"x\"}": "",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := c.externalAccount()
		switch {
		case want == "" && (err == nil || text != "" && strings.Contains(err.Error(), text)):
			t.Errorf("%q: %v", text, err)
		case want != "" && (err != nil || string(got.Key) != want || got.KID != "k"):
			t.Errorf("%q: %+v %v", text, got, err)
		}
	}
}
