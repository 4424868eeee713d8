package proxy_test

import (
	"net/url"
	"slices"
	"strings"
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

// TestWithoutSecrets: a URL in a body, where its secrets are in clear, and the URL that was then asked for, where they are not, are one.
func TestWithoutSecrets(t *testing.T) {
	for named, asked := range map[string]string{
		"f=1&sig=a%2Fb%3D": "f=1&sig=hmac:0123456789abcdef", "f=1&X-Amz-Signature=ab&X-Amz-Expires=9": "X-Amz-Expires=9&f=1&X-Amz-Signature=hmac:0123456789abcdef",
		"f=1&t=eyJhbGciOiJub25lIn0.e30.": "f=1&t=hmac:0123456789abcdef+jwt%7B%7D", "f=1&Token=x": "Token=hmac:0123456789abcdef&f=1",
	} {
		a, err := url.ParseQuery(named)
		if err != nil {
			t.Fatal(err)
		}
		b, err := url.ParseQuery(asked)
		if err != nil {
			t.Fatal(err)
		}
		if x, y := proxy.WithoutSecrets(a).Encode(), proxy.WithoutSecrets(b).Encode(); x != y || !strings.HasSuffix(x, "f=1") {
			t.Errorf("%s: %s and %s", named, x, y)
		}
	}
	if other := proxy.WithoutSecrets(url.Values{"page": {"2"}, "code": {"x"}}); len(other) != 2 {
		t.Errorf("what is no secret is left out: %v", other)
	}
}
