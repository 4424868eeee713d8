package rewrite_test

import (
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"fhirwire/proxy"
	"fhirwire/proxy/rewrite"
)

// withAuxiliary is a channel whose server has an authorization server on another host and a second one on its own.
func withAuxiliary(t testing.TB, mode proxy.Discovery) *rewrite.Map {
	t.Helper()
	m, err := rewrite.NewMap(&proxy.Channel{
		Name: "a~b", ServerURL: "https://s.example/fhir", Options: proxy.ChannelOptions{Discovery: mode},
		Server: proxy.SystemOptions{Auxiliary: []proxy.Auxiliary{
			{Name: "auth", URL: "https://auth.example/oauth2"},
			{Name: "deep", URL: "https://auth.example/oauth2/deep/"},
			{Name: "same", URL: "https://s.example/oauth"},
			{Name: "files", URL: "https://s.example"},
		}},
	}, pathBase)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAuxiliaryURLs(t *testing.T) {
	m := withAuxiliary(t, "")
	auth, ok := m.From("auth")
	if !ok {
		t.Fatal("no map from the auxiliary server")
	}
	if _, ok := m.From("other"); ok {
		t.Error("a map from a server that is not declared")
	}
	for _, c := range []struct {
		name     string
		m        *rewrite.Map
		in, want string
	}{
		{"other host", m, "https://auth.example/oauth2/token?x=1", pathBase + "/@auth/token?x=1"},
		{"its base", m, "https://auth.example/oauth2", pathBase + "/@auth"},
		{"longest base", m, "https://auth.example/oauth2/deep/x", pathBase + "/@deep/x"},
		{"no path boundary", m, "https://auth.example/oauth2x", "https://auth.example/oauth2x"},
		{"outside its base", m, "https://auth.example/other", "https://auth.example/other"},
		{"other scheme", m, "http://auth.example/oauth2/token", "http://auth.example/oauth2/token"},
		{"default port", m, "https://AUTH.example:443/oauth2/token", pathBase + "/@auth/token"},
		{"own origin", m, "https://s.example/oauth/token", pathBase + "/@same/token"},
		{"the FHIR base before a shorter one", m, "https://s.example/fhir/Patient", pathBase + "/fhir/Patient"},
		{"own origin, shorter", m, "https://s.example/f/1.ndjson", pathBase + "/@files/f/1.ndjson"},
		{"root relative, FHIR server", m, "/oauth/token", pathBase + "/@same/token"},
		{"root relative, auxiliary server", auth, "/oauth2/token", pathBase + "/@auth/token"},
		{"root relative, elsewhere on it", auth, "/login", "/login"},
		{"absolute from the auxiliary server", auth, "https://s.example/fhir", pathBase + "/fhir"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, changed := c.m.URL(c.in)
			if got != c.want || changed != (c.in != c.want) {
				t.Errorf("URL(%q) = %q, %v; want %q", c.in, got, changed, c.want)
			}
			if !changed || strings.HasPrefix(c.in, "/") {
				return
			}
			if back, ok := m.Server(got); !ok || !strings.EqualFold(strings.Replace(c.in, ":443", "", 1), back) {
				t.Errorf("back: %q, %v", back, ok)
			}
		})
	}
	for _, ref := range []string{"http://127.0.0.1:8081/a~bc/fhir", "https://s.example/fhir", pathBase + "/@nobody/x", ""} {
		if to, ok := m.Server(ref); ok {
			t.Errorf("Server(%q) = %q", ref, to)
		}
	}
}

const (
	smartDoc = `{"issuer":"https://s.example/fhir","jwks_uri":"https://s.example/fhir/jwks","authorization_endpoint":"https://auth.example/oauth2/authorize","token_endpoint":"https://auth.example/oauth2/token",` +
		`"introspection_endpoint":"https://other.example/introspect","revocation_endpoint":"https://other.example/revoke","scopes_supported":["https://s.example/fhir/scope"],"capabilities":["https://s.example/fhir"],` +
		`"mtls_endpoint_aliases":{"token_endpoint":"https://auth.example/oauth2/token"},"management_endpoint":"/oauth/manage","n":[1,null]}`
	capability = `{"resourceType":"CapabilityStatement","url":"https://s.example/fhir/metadata","implementation":{"url":"https://s.example/fhir"},"rest":[{"mode":"server","documentation":"https://s.example/fhir","security":{"extension":[` +
		`{"url":"http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris","extension":[{"url":"token","valueUri":"https://auth.example/oauth2/t"},{"valueUri":"https://auth.example/oauth2/token","url":"token"},{"url":"authorize","valueUri":"https://auth.example/oauth2/token"},{"url":"manage","valueUri":"https://o.example/m"}]}]},` +
		`"operation":[{"definition":"https://s.example/fhir/OperationDefinition/x"}]}]}`
)

func TestDiscoveryDocuments(t *testing.T) {
	for _, c := range []struct {
		name, path, in string
		mode           proxy.Discovery
		edits          string // what changes, in order
		left           string // what is left, with the reason
	}{
		{
			"SMART configuration", "/fhir/.well-known/smart-configuration", smartDoc, "",
			"/jwks_uri /authorization_endpoint /token_endpoint /mtls_endpoint_aliases/token_endpoint /management_endpoint",
			"/issuer:" + proxy.WhyIssuer + " /introspection_endpoint:" + proxy.WhyEscape,
		},
		{
			"token endpoint kept", "/fhir/.well-known/smart-configuration", smartDoc, proxy.DiscoveryKeepToken,
			"/jwks_uri /authorization_endpoint /management_endpoint",
			"/issuer:" + proxy.WhyIssuer + " /token_endpoint:" + proxy.WhyToken + " /introspection_endpoint:" + proxy.WhyEscape + " /mtls_endpoint_aliases/token_endpoint:" + proxy.WhyToken,
		},
		{"passed", "/fhir/.well-known/smart-configuration", smartDoc, proxy.DiscoveryPass, "", ""},
		{
			"RFC 8414", "/.well-known/oauth-authorization-server/oauth2", `{"issuer":"https://auth.example/oauth2","token_endpoint":"https://auth.example/oauth2/token"}`, "",
			"/issuer /token_endpoint", "",
		},
		{
			"RFC 9728", "/.well-known/oauth-protected-resource/fhir", `{"resource":"https://s.example/fhir","authorization_servers":["https://auth.example/oauth2","https://x.example/"]}`, "",
			"/resource /authorization_servers/0", "/authorization_servers/1:" + proxy.WhyEscape,
		},
		{
			"UDAP", "/fhir/.well-known/udap", `{"token_endpoint":"https://auth.example/oauth2/token","udap_certifications_supported":["https://s.example/c"],"signed_metadata":"eyJ.e30.x"}`, "",
			"/token_endpoint", "/signed_metadata:" + proxy.WhySigned,
		},
		{
			"CapabilityStatement", "/fhir/metadata", capability, "",
			"/implementation/url /rest/0/security/extension/0/extension/0/valueUri /rest/0/security/extension/0/extension/1/valueUri /rest/0/security/extension/0/extension/2/valueUri",
			"/rest/0/security/extension/0/extension/3/valueUri:" + proxy.WhyEscape,
		},
		{
			"CapabilityStatement, token endpoint kept", "/fhir/metadata?_format=json", capability, proxy.DiscoveryKeepToken,
			"/implementation/url /rest/0/security/extension/0/extension/2/valueUri",
			"/rest/0/security/extension/0/extension/0/valueUri:" + proxy.WhyToken + " /rest/0/security/extension/0/extension/1/valueUri:" + proxy.WhyToken + " /rest/0/security/extension/0/extension/3/valueUri:" + proxy.WhyEscape,
		},
		{"a resource of another path", "/fhir/CapabilityStatement/1", capability, "", "", ""},
		{"an unknown document", "/.well-known/security.txt", smartDoc, "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := withAuxiliary(t, c.mode)
			kind := m.Document(c.path)
			out, edits, err := m.JSON([]byte(c.in), kind)
			if err != nil {
				t.Fatal(err)
			}
			var changed, left []string
			want := c.in
			for _, e := range edits {
				if e.Left() {
					left = append(left, e.At+":"+e.Why)
					continue
				}
				changed = append(changed, e.At)
			}
			if got := strings.Join(changed, " "); got != c.edits {
				t.Errorf("changed %q\nwant    %q", got, c.edits)
			}
			if got := strings.Join(left, " "); got != c.left {
				t.Errorf("left %q\nwant %q", got, c.left)
			}
			if len(changed) == 0 && string(out) != want {
				t.Errorf("changed without an edit: %s", out)
			}
			for _, e := range edits { // nothing else changes
				if !e.Left() {
					want = replaceAt(want, e)
				}
			}
			if sorted(string(out)) != sorted(want) {
				t.Errorf("got  %s\nwant %s", out, want)
			}
			slow, err := io.ReadAll(m.Reader(iotest.OneByteReader(strings.NewReader(c.in)), kind))
			if err != nil || kind != rewrite.Unknown && string(slow) != string(out) {
				t.Errorf("byte by byte %s, %v", slow, err)
			}
		})
	}
}

// replaceAt puts one edit's value in place of the first string that is still the original.
func replaceAt(doc string, e proxy.Edit) string {
	return strings.Replace(doc, `"`+e.From+`"`, `"`+e.To+`"`, 1)
}

// sorted is a text's characters in order: equal for texts that differ in the place of equal values only.
func sorted(s string) string {
	b := []byte(s)
	slices.Sort(b)
	return string(b)
}

func TestChallenge(t *testing.T) {
	in := map[string][]string{"Www-Authenticate": {`Bearer realm="https://s.example/fhir", resource_metadata="https://s.example/.well-known/oauth-protected-resource/fhir", error="invalid_token"`}}
	out, edits := withAuxiliary(t, "").Headers(in)
	want := `Bearer realm="https://s.example/fhir", resource_metadata="` + pathBase + `/@files/.well-known/oauth-protected-resource/fhir", error="invalid_token"`
	if got := out["Www-Authenticate"][0]; got != want || len(edits) != 1 {
		t.Errorf("got %s\nwant %s, edits %v", got, want, edits)
	}
	if out, edits := withAuxiliary(t, proxy.DiscoveryPass).Headers(in); out["Www-Authenticate"][0] != in["Www-Authenticate"][0] || len(edits) > 0 {
		t.Error("changed on a channel that passes discovery")
	}
	_, edits = withAuxiliary(t, "").Headers(map[string][]string{"Content-Location": {"https://jobs.example/1"}})
	if len(edits) != 1 || edits[0].Why != proxy.WhyEscape {
		t.Errorf("a status URL past the proxy: %v", edits)
	}
}

// FuzzDiscovery: a discovery document stays JSON of the same shape, every change is listed, and cutting it into other reads gives the
// same.
func FuzzDiscovery(f *testing.F) {
	for _, doc := range []string{smartDoc, capability, `{"resource":"https://s.example/fhir","authorization_servers":["https://auth.example/oauth2"]}`, `{"signed_metadata":"eyJ`, `[[]]`} {
		f.Add([]byte(doc), uint8(0))
		f.Add([]byte(doc), uint8(1))
	}
	f.Fuzz(func(t *testing.T, in []byte, which uint8) {
		mode := []proxy.Discovery{proxy.DiscoveryRewrite, proxy.DiscoveryKeepToken}[which%2]
		m := withAuxiliary(t, mode)
		for _, kind := range []rewrite.Kind{rewrite.Capabilities, rewrite.Discovery, rewrite.Issuer} {
			out, edits, err := m.JSON(in, kind)
			if err != nil {
				continue
			}
			changes := 0
			for _, e := range edits {
				if !e.Left() {
					changes++
				}
			}
			if changes == 0 && string(out) != string(in) {
				t.Fatalf("%q became %q without a change", in, out)
			}
			if json.Valid(in) && !json.Valid(out) {
				t.Fatalf("%q became %q", in, out)
			}
			slow, err := io.ReadAll(m.Reader(iotest.OneByteReader(strings.NewReader(string(in))), kind))
			if err != nil || changes > 0 && string(slow) != string(out) {
				t.Fatalf("%q: cut differently %q, want %q, %v", in, slow, out, err)
			}
		}
	})
}

func BenchmarkDiscovery(b *testing.B) {
	m := withAuxiliary(b, proxy.DiscoveryRewrite)
	b.ReportAllocs()
	b.SetBytes(int64(len(smartDoc)))
	for b.Loop() {
		if _, _, err := m.JSON([]byte(smartDoc), rewrite.Discovery); err != nil {
			b.Fatal(err)
		}
	}
}
