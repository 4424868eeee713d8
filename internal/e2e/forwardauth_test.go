//go:build e2e

package e2e

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestForwardNewmanWithPassword: newman as it is, over TLS, through the forward proxy with credentials. Where the proxy refuses, newman 6
// breaks off with an error of its own, so the exchange has to say why.
func TestForwardNewmanWithPassword(t *testing.T) {
	const user, secret = "postman", "a-long-secret"
	data := t.TempDir()
	p := start(t, "--data", data, "--forward-user", user+":"+secret)
	base := "https://" + p.tls + "/fhir"
	_, channel := p.connect(t, "newman", base, "", "")
	collection := filepath.Join(t.TempDir(), "collection.json")
	err := os.WriteFile(collection, []byte(`{
		"info": {"name": "two reads", "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"},
		"item": [
			{"name": "metadata", "request": {"method": "GET", "url": "{{base}}/metadata"}},
			{"name": "search", "request": {"method": "GET", "url": "{{base}}/Patient?_count=1"}}
		]}`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("NODE_EXTRA_CA_CERTS", filepath.Join(data, "ca", "root.pem"))
	through(t, user+":"+secret, p.forward)
	if run := newman(t, collection, "base="+base); len(run.Run.Executions) != 2 {
		t.Errorf("newman made %d requests", len(run.Run.Executions))
	}
	for _, e := range p.exchanges(t, url.QueryEscape("channel:"+channel), 2) {
		if e.Status != 200 || !strings.HasPrefix(e.URL, base) {
			t.Errorf("%s %s: %d", e.Method, e.URL, e.Status)
		}
	}

	through(t, user+":wrong", p.forward)
	bin := os.Getenv("FHIRWIRE_NEWMAN")
	if bin == "" {
		bin = "newman"
	}
	if out, err := exec.Command(bin, "run", collection, "--env-var", "base="+base).CombinedOutput(); err == nil {
		t.Errorf("newman did well with a wrong password: %s", out)
	}
	refused := p.exchanges(t, url.QueryEscape("failure:refused"), 1)[0]
	if text := fmt.Sprintf("%+v", refused); refused.Method != "CONNECT" || strings.Contains(text, "wrong") || strings.Contains(text, secret) {
		t.Errorf("recorded %s", text)
	}
}
