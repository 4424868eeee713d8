package record

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzMask: whatever stands around it, a secret with a name does not come through.
func FuzzMask(f *testing.F) {
	for _, s := range []string{"", "a=b", "a=b#c=d", "#/route?x=1", "%zz", "redirect_uri=http%3A%2F%2Fe%2F%3Fcode%3D1", `"`, `\`, "é=\xff", "eyJhbGci.e30.x", "://u:p@h", "[{", "x\x00"} {
		f.Add(s, uint8(0))
		f.Add(s, uint8(7))
	}
	m := masker{key: testKey}
	secret := plant(1)
	f.Fuzz(func(t *testing.T, s string, how uint8) {
		fhir := how&1 != 0
		check := func(what, in, out string) {
			if strings.Contains(out, secret) && !strings.Contains(s, secret) {
				t.Errorf("%s: %q is kept as %q", what, in, out)
			}
		}
		for _, in := range []string{"https://h.example/cb#/route?access_token=" + secret + "&" + s, "https://h.example/p?" + s + "&access_token=" + secret, "https://h.example/p?client_secret=" + secret + "&" + s} {
			check("url", in, m.url(in, fhir))
			check("header", in, m.field("Location", in, fhir))
		}
		in := s + "&refresh_token=" + secret
		check("form", in, m.params(in, fhir))
		check("cookie", "a="+secret+";"+s, m.field("Cookie", "a="+secret+";"+s, fhir))
		check("authorization", s+" "+secret, m.field("Authorization", s+" "+secret, fhir))
		body, err := json.Marshal(map[string]any{"a": s, "access_token": secret, "z": []any{map[string]any{s: s, "client_secret": secret}}})
		if err != nil {
			t.Fatal(err)
		}
		d := document{contentType: "application/json", oauth: how&2 != 0, fhir: fhir, whole: how&4 != 0}
		if out, ok := m.body(body, d); ok {
			check("body", string(body), string(out))
		}
		_, _ = m.body([]byte(s), d)
	})
}
