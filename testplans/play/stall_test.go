package play_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"fhirwire/proxy/proxytest"
	"fhirwire/proxy/record"
	"fhirwire/testplans"
	"fhirwire/testplans/play"
)

// TestStall: a body of which no more comes ends the request, and what comes after it is played.
func TestStall(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, `{"resourceType":"Patient"`)
		_ = http.NewResponseController(w).Flush()
		if r.URL.Path == "/fhir/stalls" {
			<-r.Context().Done()
			return
		}
		_, _ = fmt.Fprint(w, "}")
	}))
	defer srv.Close()
	sink := &proxytest.Sink{}
	player := play.New(record.New(sink, testKey, record.Options{SpoolDir: t.TempDir(), HoldFor: time.Hour}), &http.Transport{DisableCompression: true}, members{}, play.Options{Timeout: time.Second})
	plan := &testplans.Plan{ID: "p", Play: &testplans.Play{Acts: []testplans.Act{get("stalls", "/stalls")}}}
	outcomes, err := player.Run(t.Context(), plan, play.Target{Base: srv.URL + "/fhir"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if outcomes[0].State != play.Broken || !strings.Contains(outcomes[0].Why, "in time") {
		t.Errorf("got %+v", outcomes[0])
	}
	if got := sink.Wait(t, 1); len(got) != 1 || got[0].Request.URL != srv.URL+"/fhir/stalls" {
		t.Errorf("recorded %+v", got)
	}
}

// TestHangingServer: a server that never answers is not asked everything.
func TestHangingServer(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer srv.Close()
	player := play.New(record.New(&proxytest.Sink{}, testKey, record.Options{SpoolDir: t.TempDir(), HoldFor: time.Hour}), &http.Transport{DisableCompression: true}, members{}, play.Options{Timeout: 100 * time.Millisecond})
	plan := &testplans.Plan{ID: "p", Play: &testplans.Play{Acts: []testplans.Act{
		get("first", "/1"),
		{Name: "each", Each: &testplans.Each{As: "x", Of: []string{"2", "3", "4", "5"}}, Request: &testplans.PlayRequest{URL: "/${x}"}},
		get("last", "/6"),
	}}}
	outcomes, err := player.Run(t.Context(), plan, play.Target{Base: srv.URL + "/fhir"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range outcomes {
		got = append(got, fmt.Sprintf("%s %s %d", o.Act, o.State, o.Requests))
	}
	if want := "first broken 1, each skipped 2, last skipped 0"; strings.Join(got, ", ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if why := outcomes[2].Why; why != "the server had no answer in time to 3 requests in a row" {
		t.Errorf("the reason is %q", why)
	}
}

// TestNextPageElsewhere: a next link to another host is followed without the token.
func TestNextPageElsewhere(t *testing.T) {
	got := make(chan string, 1)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header.Get("Authorization") }))
	defer other.Close()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer mine" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = fmt.Fprintf(w, `{"resourceType":"Bundle","link":[{"relation":"next","url":"%s/fhir?page=2"}]}`, other.URL)
	}))
	defer srv.Close()
	player := play.New(record.New(&proxytest.Sink{}, testKey, record.Options{SpoolDir: t.TempDir(), HoldFor: time.Hour}), &http.Transport{DisableCompression: true}, members{}, play.Options{})
	act := get("search", "/Patient")
	act.Request.Pages = 2
	plan := &testplans.Plan{ID: "p", Play: &testplans.Play{Acts: []testplans.Act{act}}}
	out, err := player.Run(t.Context(), plan, play.Target{Base: srv.URL + "/fhir", Inputs: map[string]string{"accessToken": "mine"}}, nil)
	if err != nil || out[0].Requests != 2 {
		t.Fatalf("%+v, %v", out, err)
	}
	if auth := <-got; auth != "" {
		t.Errorf("another host is sent %q", auth)
	}
}

// TestDescribeKeepsEveryRemark: what is said of a request's pages does not hide that it goes without a token.
func TestDescribeKeepsEveryRemark(t *testing.T) {
	player := play.New(record.New(&proxytest.Sink{}, testKey, record.Options{SpoolDir: t.TempDir(), HoldFor: time.Hour}), http.DefaultTransport, nil, play.Options{})
	lines, err := player.Describe(&testplans.Plan{Play: &testplans.Play{Acts: []testplans.Act{
		{Name: "pages", Request: &testplans.PlayRequest{URL: "/Patient", Auth: testplans.AuthNone, Certificate: "none", Pages: 3}},
		{Name: "form", Request: &testplans.PlayRequest{Method: "POST", URL: "/Patient/_search", Form: map[string]string{"name": "${name}"}}},
		{Name: "twice", Export: &testplans.PlayExport{Kickoff: testplans.PlayRequest{URL: "/$export", Auth: testplans.AuthInvalid}, Twice: true}},
		{Name: "fails", Export: &testplans.PlayExport{Kickoff: testplans.PlayRequest{URL: "/$export"}, Fails: true}},
		{Name: "cancel", Export: &testplans.PlayExport{Kickoff: testplans.PlayRequest{URL: "/$export"}, Cancel: true, Again: true}},
		{Name: "leave", Export: &testplans.PlayExport{Kickoff: testplans.PlayRequest{URL: "/$export"}, Leave: true}},
	}}}, play.Target{Base: "https://payer.example/fhir"})
	if err != nil {
		t.Fatal(err)
	}
	const status = "at the Content-Location of the answer"
	want := []string{
		"without a token; without a client certificate; and the next pages of the answer",
		"",
		"with a token that nobody issued; GET " + status + " until it is complete; once more the same; GET each file of the manifest",
		"GET " + status + " until it has failed",
		"DELETE, GET and DELETE again " + status,
		"GET " + status + " until it is complete",
	}
	for i, l := range lines {
		if l.Then != want[i] {
			t.Errorf("%s: %q, want %q", l.Act, l.Then, want[i])
		}
	}
	if lines[1].Body != "name=${name}" {
		t.Errorf("the form is %q", lines[1].Body)
	}
}

// TestKeyFiles: a key may stand behind its parameters or certificate, as openssl writes them; what has none is told apart.
func TestKeyFiles(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	for name, tt := range map[string]struct{ text, want string }{
		"behind its parameters": {block("EC PARAMETERS", []byte{6, 8}) + block("EC PRIVATE KEY", der), ""},
		"a certificate":         {block("CERTIFICATE", der), "client key: the PEM has CERTIFICATE, and no private key"},
		"encrypted":             {block("ENCRYPTED PRIVATE KEY", der), "it is encrypted"},
	} {
		_, err := play.ReadKey([]byte(tt.text))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}
