package proxy_test

import (
	"slices"
	"testing"
	"time"

	"fhirwire/proxy"
)

func TestReadMasked(t *testing.T) {
	fp, c, ok := proxy.ReadMasked(`hmac:0123456789abcdef jwt{"alg":"ES384","iss":"c","aud":["a","b"],"scope":["x","y"],"exp":1700000000.5,"iat":"never","jti":"hmac:ffffffffffffffff"}`)
	if !ok || fp != "hmac:0123456789abcdef" || c == nil {
		t.Fatalf("%q %+v %v", fp, c, ok)
	}
	if c.Alg != "ES384" || c.Issuer != "c" || !slices.Equal(c.Audience, []string{"a", "b"}) || c.Scope != "x y" || c.ID != "hmac:ffffffffffffffff" {
		t.Errorf("claims %+v", c)
	}
	if !c.ExpiresAt.Equal(time.Unix(1700000000, 0)) || !c.Issued.IsZero() {
		t.Errorf("times %+v", c)
	}
	for s, want := range map[string]bool{
		"hmac:0123456789abcdef": true, "hmac:0123456789abcdef jwt{broken": true, "hmac:0123456789abcdef {}": true,
		"hmac:0123": false, "": false, "secret": false, "Bearer hmac:0123456789abcdef": false,
	} {
		if fp, c, ok := proxy.ReadMasked(s); ok != want || c != nil || ok && fp != "hmac:0123456789abcdef" {
			t.Errorf("%q: %q %v %v", s, fp, c, ok)
		}
	}
}
