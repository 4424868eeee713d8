package forward

import (
	"net/netip"
	"strings"
	"testing"
)

func TestParseAuthority(t *testing.T) {
	tests := []struct {
		in   string
		port uint16
		want string
	}{
		{"payer.example:443", 0, "payer.example:443"},
		{"Payer.Example.:8443", 0, "payer.example:8443"},
		{"payer.example", 443, "payer.example:443"},
		{"under_score.example:1", 0, "under_score.example:1"},
		{"127.0.0.1:80", 0, "127.0.0.1:80"},
		{"[::1]:443", 0, "[::1]:443"},
		{"[::ffff:127.0.0.1]:443", 0, "127.0.0.1:443"},
		{"[0:0::0001]:443", 0, "[::1]:443"},
		{"[::1]", 443, "[::1]:443"},
		{"2130706433:80", 0, "2130706433:80"},
	}
	for _, tt := range tests {
		if got, err := parseAuthority(tt.in, tt.port); err != nil || got.String() != tt.want {
			t.Errorf("%q: %v %v, want %s", tt.in, got, err, tt.want)
		}
	}
	for _, in := range []string{
		"", ":443", "payer.example", "payer.example:", "payer.example:0", "payer.example:080", "payer.example:+80", "payer.example:65536", "payer.example:-1",
		"payer.example:https", "a:b:443", "::1:443", "[::1", "[::1]443", "[fe80::1%eth0]:443", "[127.0.0.1]:443", "[payer.example]:443", "user@payer.example:443",
		"payer.example/x:443", "payer%2eexample:443", "payer example:443", "bücher.example:443", ".example:443", "a..b:443", ".:443", "/_goRPC_", strings.Repeat("a", 254) + ":443",
	} {
		if got, err := parseAuthority(in, 0); err == nil {
			t.Errorf("%q: %v", in, got)
		}
	}
}

func TestAuthorityOfRegisteredURLs(t *testing.T) {
	for in, want := range map[string]string{
		"https://Payer.example/fhir": "https payer.example:443", "http://payer.example": "http payer.example:80", "https://bücher.example:8443/r4": "https xn--bcher-kva.example:8443",
		"http://[::1]:8083/fhir": "http [::1]:8083", "http://127.0.0.1:8083/fhir": "http 127.0.0.1:8083",
	} {
		scheme, a, err := authorityOf(in)
		if got := scheme + " " + a.String(); err != nil || got != want {
			t.Errorf("%s: %s %v, want %s", in, got, err, want)
		}
	}
	if got := (authority{"::1", 443}).url("https"); got != "https://[::1]" {
		t.Error(got)
	}
}

func FuzzParseAuthority(f *testing.F) {
	for _, s := range []string{"payer.example:443", "[::1]:443", "127.0.0.1:80", "a:b:1", "[::ffff:1.2.3.4]:1", "x%00:1", "0x7f.1:80", "..:1", "[fe80::1%25a]:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parseAuthority(s, 0)
		if err != nil {
			return
		}
		again, err := parseAuthority(a.String(), 0)
		if err != nil || again != a {
			t.Errorf("%q: %v, read again %v %v", s, a, again, err)
		}
		if a.port == 0 || strings.ContainsAny(a.host, "/@%?# []\\\x00\r\n") || a.host != strings.ToLower(a.host) {
			t.Errorf("%q: %+v", s, a)
		}
		if strings.Contains(a.host, ":") {
			if ip, err := netip.ParseAddr(a.host); err != nil || ip.Is4In6() {
				t.Errorf("%q: %+v", s, a)
			}
		}
	})
}
