package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/reference/edgecases"
	"fhirwire/validators"
)

var saidForward = regexp.MustCompile(`(?m)^  forward +(http://\S+)`)

// forwardURL is the forward proxy's address with a user name.
func (s *served) forwardURL(user string) *url.URL {
	s.t.Helper()
	m := saidForward.FindStringSubmatch(s.out.String())
	if m == nil {
		s.t.Fatalf("no forward proxy: %s", s.out.String())
	}
	u, err := url.Parse(m[1])
	if err != nil {
		s.t.Fatal(err)
	}
	u.User = url.User(user)
	return u
}

// slowExports has the reference server take its time for an export, so that a first poll is never the last one.
func (s *served) slowExports() {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPut, s.reference+edgecases.AdminPath+"/"+edgecases.Everybody, strings.NewReader(`{"edges":["slow-job"],"seconds":1}`))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		s.t.Fatal(res.Status)
	}
}

// play plays the client's side of payer to payer against base and tells how many requests that took.
func (s *served) play(base string, through *url.URL) int {
	s.t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(s.ca.Root())
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	if through != nil {
		tr.Proxy = http.ProxyURL(through)
	}
	defer tr.CloseIdleConnections()
	counted := &counting{next: tr}
	d := &demoClient{
		base: base, origin: strings.TrimSuffix(base, "/fhir"), tokens: true, http: &http.Client{Transport: counted, Timeout: patience}, now: time.Now,
		logger: slog.New(slog.DiscardHandler),
	}
	if err := d.payerToPayer(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	return int(counted.n.Load())
}

// captured is what a channel's n exchanges come to, in their order; how often a client asked whether its export was ready is left out.
func (s *served) captured(channel string, n int) (out []string, exchanges []*proxy.Exchange) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	st, done, err := openStore(ctx, &process{now: time.Now, stderr: io.Discard}, s.data, "")
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = done() }()
	for _, ex := range s.stored("channel:"+channel, n) {
		var rep *validators.Report
		for { // judging follows traffic
			if rep, err = st.Report(ctx, ex.ID); err == nil {
				break
			}
			if ctx.Err() != nil {
				s.t.Fatalf("%s is not judged: %v", ex.Request.URL, err)
			}
			time.Sleep(20 * time.Millisecond)
		}
		if ex.Interaction.Kind == proxy.KindBulkStatus && ex.Status() == http.StatusAccepted {
			continue
		}
		var ids []string
		for _, is := range rep.Issues {
			ids = append(ids, is.MessageID)
		}
		slices.Sort(ids)
		out = append(out, fmt.Sprintf("%s %s %d %v", ex.Request.Method, ex.Interaction.Label(), ex.Status(), ids))
		exchanges = append(exchanges, ex)
	}
	return out, exchanges
}

// TestForwardCapturesTheSame plays payer to payer twice against the reference server over TLS, by a channel's URL and by an unmodified
// client through the forward proxy: interactions, findings, verdicts and evidence are the same.
func TestForwardCapturesTheSame(t *testing.T) {
	if testing.Short() {
		t.Skip("plays the demo")
	}
	s := startServe(t, t.TempDir(), "--demo")
	for deadline := time.Now().Add(patience); !strings.Contains(s.out.String(), "Demo played"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the demo did not end: %s", s.out.String())
		}
	}
	s.channel("one", "byurl", s.at+"/fhir")
	s.channel("two", "direct", s.at+"/fhir")
	s.slowExports()
	sent := s.play(s.at+"/one~byurl/fhir", nil)
	byURL, _ := s.captured("one~byurl", sent)
	sent = s.play(s.at+"/fhir", s.forwardURL("two~direct"))
	direct, exchanges := s.captured("two~direct", sent)
	if !slices.Equal(byURL, direct) {
		t.Errorf("by channel URL:\n%s\nby forward proxy:\n%s", strings.Join(byURL, "\n"), strings.Join(direct, "\n"))
	}
	if len(direct) < 20 {
		t.Errorf("only %d exchanges", len(direct))
	}
	for _, ex := range exchanges {
		if ex.Mode != proxy.ModeForward || ex.Request.URL != ex.Request.Target || len(ex.Edits) > 0 || ex.Failure != nil || ex.Matched != "proxy user name two~direct" {
			t.Errorf("%s: %+v", ex.Request.URL, ex)
		}
		if c, v := ex.ClientLeg, ex.ServerLeg; c == nil || c.TLS == nil || c.TLS.Protocol != "h2" || v == nil || v.TLS == nil || v.TLS.Trust != proxy.TrustLocalCA {
			t.Errorf("%s: legs %+v %+v", ex.Request.URL, c, v)
		}
	}
	verdicts := func(channel string) []string {
		var out []string
		answer := judged(t, exitFine, []string{"judge", "payer-to-payer-stu2", "--channel", channel, "--attest", "mtls/connected=Track lead", "--format", "json", "--data", s.data})
		for _, r := range answer {
			evidence := len(r.Evidence)
			if r.Step == "poll" || r.Step == "manifest" { // how often a client polls is a matter of time
				evidence = min(evidence, 1)
			}
			out = append(out, fmt.Sprintf("%s/%s %s %d", r.Step, r.Check, r.Verdict, evidence))
		}
		return out
	}
	if a, b := verdicts("one~byurl"), verdicts("two~direct"); !slices.Equal(a, b) || len(a) < 20 {
		t.Errorf("verdicts by channel URL:\n%s\nby forward proxy:\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
	}
}

// TestForwardWithCurl is an unmodified client that others wrote.
func TestForwardWithCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	s := startServe(t, t.TempDir(), "--forward-user", "acme:a-secret-of-acme", "--forward-user", "event:a-secret-of-all")
	s.channel("acme", "secure", s.at+"/fhir")
	s.channel("beta", "plain", s.reference+"/fhir")
	root := filepath.Join(s.data, "ca", "root.pem")
	tests := []struct {
		name, user, target string
		args               []string
		want               string
	}{
		{"HTTP/2", "acme:a-secret-of-acme", s.at + "/fhir/metadata", nil, "200 2"},
		{"HTTP/1.1", "event:a-secret-of-all", s.at + "/fhir/metadata", []string{"--http1.1"}, "200 1.1"},
		{"in clear", "event:a-secret-of-all", s.reference + "/fhir/metadata", nil, "200 1.1"},
		{"in clear through a tunnel", "event:a-secret-of-all", s.reference + "/fhir/metadata", []string{"--proxytunnel"}, "200 1.1"},
		{"asked first", "acme:a-secret-of-acme", s.at + "/fhir/metadata", []string{"--proxy-anyauth", "--http1.1"}, "200 1.1"},
		{"another client's channel", "acme:a-secret-of-acme", s.reference + "/fhir/metadata", nil, "403 1.1"},
		{"wrong secret", "acme:wrong", s.reference + "/fhir/metadata", nil, "407 1.1"},
		{"unregistered", "acme:a-secret-of-acme", "http://unregistered.example/", nil, "403 1.1"},
		{"the dashboard", "acme:a-secret-of-acme", s.dashboard + "/", nil, "403 1.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			through := s.forwardURL("")
			through.User = nil
			args := append([]string{
				"--silent", "--show-error", "--noproxy", "", "--proxy", through.String(), "--proxy-user", tt.user, "--cacert", root, "--output", filepath.Join(t.TempDir(), "body"),
				"--write-out", "%{http_code} %{http_version}", tt.target,
			}, tt.args...)
			out, err := exec.CommandContext(t.Context(), curl, args...).CombinedOutput()
			if err != nil || string(out) != tt.want {
				t.Errorf("%s %v, want %s", out, err, tt.want)
			}
		})
	}
	// What clients gave as credentials is nowhere: not in the data, not in what the program printed.
	for _, secret := range []string{"a-secret-of-acme", "a-secret-of-all", "YWNtZTphLXNlY3JldC1vZi1hY21l"} {
		if strings.Contains(s.out.String(), secret) {
			t.Errorf("%s was printed", secret)
		}
		walkFiles(t, s.data, func(path string) error {
			text, err := os.ReadFile(path)
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("%s is in %s", secret, path)
			}
			return err
		})
	}
}

func TestForwardURLFromElsewhere(t *testing.T) {
	for proxyURL, want := range map[string]string{
		"": "http://127.0.0.1:8082", "https://proxy.event.example": "http://proxy.event.example:8082", "http://[fd00::1]:8081": "http://[fd00::1]:8082",
	} {
		if got := reachedFromElsewhere("http://127.0.0.1:8082", proxyURL, 8082); got != want {
			t.Errorf("%q: %s, want %s", proxyURL, got, want)
		}
	}
}
