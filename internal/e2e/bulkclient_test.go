//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// bulkClient is smart-fetch, the bulk exporter of SMART Health IT, with a key of its own.
type bulkClient struct {
	t          *testing.T
	bin, keys  string
	id, server string
}

// newBulkClient registers the client at the reference payer.
func newBulkClient(t *testing.T, p *program) bulkClient {
	t.Helper()
	bin := os.Getenv("FHIRWIRE_SMART_FETCH")
	if bin == "" {
		bin = "smart-fetch"
	}
	if _, err := exec.LookPath(bin); err != nil {
		t.Skipf("smart-fetch is not installed (FHIRWIRE_SMART_FETCH): %v", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	part := func(k any) map[string]any {
		text, err := json.Marshal(jose.JSONWebKey{Key: k, KeyID: "bulk", Algorithm: string(jose.ES384), Use: "sig"})
		if err != nil {
			t.Fatal(err)
		}
		var out map[string]any
		if err := json.Unmarshal(text, &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	private, public := part(key), part(key.Public())
	private["key_ops"], public["key_ops"] = []string{"sign"}, []string{"verify"}
	both, err := json.Marshal(map[string]any{"keys": []any{private, public}})
	if err != nil {
		t.Fatal(err)
	}
	c := bulkClient{t: t, bin: bin, keys: filepath.Join(t.TempDir(), "keys.jwks"), server: p.reference}
	if err := os.WriteFile(c.keys, both, 0o600); err != nil {
		t.Fatal(err)
	}
	metadata, err := json.Marshal(map[string]any{
		"client_name": "smart-fetch", "token_endpoint_auth_method": "private_key_jwt", "grant_types": []string{"client_credentials"},
		"scope": "system/*.rs", "jwks": map[string]any{"keys": []any{public}},
	})
	if err != nil {
		t.Fatal(err)
	}
	origin, err := url.Parse(p.reference)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Post("http://"+origin.Host+"/oauth/register", "application/json", strings.NewReader(string(metadata)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var registered struct {
		ID string `json:"client_id"`
	}
	if err := json.NewDecoder(res.Body).Decode(&registered); err != nil || registered.ID == "" {
		t.Fatalf("registration: %d, %v", res.StatusCode, err)
	}
	c.id = registered.ID
	return c
}

// export runs one bulk export and gives the transaction time and what was downloaded.
func (c bulkClient) export(base string, args ...string) (transactionTime string, files []string) {
	c.t.Helper()
	folder := c.t.TempDir()
	args = append([]string{"bulk", "--fhir-url", base, "--smart-client-id", c.id, "--smart-key", c.keys, "--no-compression"}, append(args, folder)...)
	if out, err := exec.Command(c.bin, args...).CombinedOutput(); err != nil {
		c.t.Fatalf("smart-fetch %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	log, err := os.ReadFile(filepath.Join(folder, "log.ndjson"))
	if err != nil {
		c.t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		var event struct {
			EventID string `json:"eventId"`
			Detail  struct {
				TransactionTime string `json:"transactionTime"`
			} `json:"eventDetail"`
		}
		if json.Unmarshal([]byte(line), &event) == nil && event.EventID == "status_complete" {
			transactionTime = event.Detail.TransactionTime
		}
	}
	found, err := filepath.Glob(filepath.Join(folder, "*.*.ndjson"))
	if err != nil || transactionTime == "" {
		c.t.Fatalf("no transaction time, or %v", err)
	}
	for _, f := range found {
		files = append(files, filepath.Base(f))
	}
	return transactionTime, files
}

// holdExports has the reference payer answer the first poll of every export with 202, however fast either side is: whether a client
// waits is shown each time.
func holdExports(t *testing.T, p *program) {
	t.Helper()
	to := strings.TrimSuffix(p.reference, "/fhir") + "/admin/edges/*"
	if code := send(t, http.MethodPut, to, `{"edges":["slow-job"],"seconds":1}`, http.Header{"Content-Type": {"application/json"}}); code/100 != 2 {
		t.Fatalf("slow exports: %d", code)
	}
}

// TestBulkClientOfOthers exports a Group, what changed in it since, and the system, with backend services' authorization: by a channel's
// URL and by the forward proxy. The client is as its makers left it; its side of the plan is judged from what was recorded.
func TestBulkClientOfOthers(t *testing.T) {
	data := t.TempDir()
	p := start(t, "--demo", "--data", data, "--reference-auth", "required")
	c := newBulkClient(t, p)
	holdExports(t, p)
	_, byURL := p.connect(t, "by-url", p.reference, "", "")
	_, direct := p.connect(t, "direct", p.reference, "", "")
	run := func(channel, base string) {
		t.Helper()
		at, files := c.export(base, "--group", "group-all-members", "--type", "Patient,Condition,Observation")
		if len(files) != 3 {
			t.Errorf("%s: the Group's files are %v", channel, files)
		}
		if _, err := time.Parse(time.RFC3339, at); err != nil {
			t.Errorf("%s: transactionTime: %v", channel, err)
		}
		if _, files = c.export(base, "--group", "group-all-members", "--since", at, "--since-mode", "updated", "--type", "Patient,Condition"); len(files) != 0 {
			t.Errorf("%s: changed since: %v", channel, files)
		}
		if _, files = c.export(base, "--type", "Patient,Encounter"); len(files) != 2 {
			t.Errorf("%s: the system's files are %v", channel, files)
		}
	}
	run(byURL, p.proxy+"/"+byURL+"/fhir")
	through(t, direct, p.forward)
	run(direct, p.reference)

	verdicts := func(channel string) []string {
		t.Helper()
		// Findings may still be on their way; exit 1 is a failed check, which is compared below.
		p.all(t, url.QueryEscape("channel:"+channel), 20)
		out, err := exec.Command(binary, "judge", "provider-access-bulk", "--channel", channel, "--data", data, "--format", "json").Output()
		var judged struct {
			Results []struct {
				Step, Check, Verdict string
			} `json:"results"`
		}
		if jerr := json.Unmarshal(out, &judged); jerr != nil {
			t.Fatalf("judge: %v, %v: %.300s", err, jerr, out)
		}
		var list []string
		for _, r := range judged.Results {
			list = append(list, fmt.Sprintf("%s/%s %s", r.Step, r.Check, r.Verdict))
		}
		return list
	}
	a, b := verdicts(byURL), verdicts(direct)
	if !slices.Equal(a, b) {
		t.Errorf("by channel URL:\n%q\nby forward proxy:\n%q", a, b)
	}
	for _, want := range []string{"kickoff/accepted pass", "poll/waits pass", "manifest/transaction-time pass", "downloads/all pass", "since-export/instant pass"} {
		if !slices.Contains(a, want) {
			t.Errorf("no %q in %q", want, a)
		}
	}
	for _, v := range a {
		if strings.HasSuffix(v, " fail") {
			t.Errorf("the client or the payer fails: %s", v)
		}
	}
}
