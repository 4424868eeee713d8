//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// through makes the forward proxy that of commands.
func through(t *testing.T, user, forward string) {
	t.Helper()
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		t.Setenv(name, "http://"+user+"@"+forward)
	}
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		t.Setenv(name, "")
	}
}

// TestForwardNewman runs the public client collection twice, by a channel's URL and with the forward proxy in newman's environment and
// the server's own URLs: what is recorded and how it is judged is the same.
func TestForwardNewman(t *testing.T) {
	src, err := os.ReadFile(filepath.Join(shared(t), "postman", "pdex-payer-client.postman_collection.json"))
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, "--demo")
	_, byURL := p.connect(t, "by-url", p.reference, "", "")
	_, direct := p.connect(t, "direct", p.reference, "", "")
	collection := filepath.Join(t.TempDir(), "collection.json")
	// The collection's base path is its own server's; the forward proxy changes no URL.
	var text bytes.Buffer
	if err := json.Compact(&text, src); err != nil {
		t.Fatal(err)
	}
	plain := strings.NewReplacer("custom/pdex_payer_client/fhir", "fhir", `"custom","pdex_payer_client","fhir"`, `"fhir"`).Replace(text.String())
	if err := os.WriteFile(collection, []byte(plain), 0o600); err != nil {
		t.Fatal(err)
	}
	origin := strings.TrimSuffix(p.reference, "/fhir")
	captured := func(channel, prefix string) []string {
		sent := newman(t, collection, "url_prefix="+prefix)
		var out []string
		for _, e := range p.exchanges(t, url.QueryEscape("channel:"+channel), sent.through()) {
			out = append(out, fmt.Sprintf("%s %s%s %d %s", e.Method, e.Interaction.Kind, e.Interaction.Operation, e.Status, e.Verdict))
		}
		slices.Sort(out)
		return out
	}
	a := captured(byURL, p.proxy+"/"+byURL)
	if n := strings.Count(strings.Join(a, "\n"), " 200 pass"); n < 20 {
		t.Errorf("only %d requests did well: %q", n, a)
	}
	through(t, direct, p.forward)
	if b := captured(direct, origin); !slices.Equal(a, b) {
		t.Errorf("by channel URL:\n%q\nby forward proxy:\n%q", a, b)
	}
}

// TestForwardFHIRClient is a FHIR client library in another language (fhirpy), as it is, over TLS.
func TestForwardFHIRClient(t *testing.T) {
	python := os.Getenv("FHIRWIRE_PYTHON")
	if python == "" {
		python = "python3"
	}
	if err := exec.Command(python, "-c", "import fhirpy").Run(); err != nil {
		t.Skipf("fhirpy is not installed for %s (FHIRWIRE_PYTHON): %v", python, err)
	}
	data := t.TempDir()
	p := start(t, "--demo", "--data", data)
	base := "https://" + p.tls + "/fhir"
	_, channel := p.connect(t, "fhirpy", base, "", "")
	script := filepath.Join(t.TempDir(), "client.py")
	err := os.WriteFile(script, []byte(`
import sys
from fhirpy import SyncFHIRClient
client = SyncFHIRClient(sys.argv[1])
assert len(client.resources("Patient").limit(2).fetch()) == 2
assert client.reference("Patient", "pt-90417").to_resource()["id"] == "pt-90417"
assert client.resources("Coverage").search(patient="pt-90417").fetch_all()
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	through(t, channel+":", p.forward) // requests takes a name for credentials only with a colon behind it
	t.Setenv("REQUESTS_CA_BUNDLE", filepath.Join(data, "ca", "root.pem"))
	if out, err := exec.Command(python, script, base).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, e := range p.exchanges(t, url.QueryEscape("channel:"+channel), 3) {
		if !slices.Contains([]string{"pass", "pass-notes"}, e.Verdict) || !strings.HasPrefix(e.URL, base) {
			t.Errorf("%s %s: %s", e.Method, e.URL, e.Verdict)
		}
	}
}
