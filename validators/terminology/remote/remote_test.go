package remote_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fhirwire/validators/terminology"
	"fhirwire/validators/terminology/remote"
)

// offline knows one value set, and nothing else.
type offline struct{}

const why = "the code system is not at hand"

func (offline) Member(valueSet, _, code string) terminology.Answer {
	switch {
	case valueSet != "http://x.org/vs/here":
		return terminology.Answer{Why: why}
	case code == "a":
		return terminology.Answer{Value: terminology.Yes}
	}
	return terminology.Answer{Value: terminology.No}
}

func (offline) Code(system, code string) (string, terminology.Answer) {
	if system == "http://x.org/here" {
		return "A", terminology.Answer{Value: terminology.Yes}
	}
	return "", terminology.Answer{Why: why}
}

func (offline) Known(valueSet string) bool { return valueSet == "http://x.org/vs/here" }

// server answers by the code or the value set that is asked about.
type server struct {
	*httptest.Server
	requests atomic.Int64
	running  atomic.Int64
	most     atomic.Int64

	mu   sync.Mutex
	seen []string
}

func valid(ok bool, more string) string {
	return fmt.Sprintf(`{"resourceType":"Parameters","parameter":[{"name":"result","valueBoolean":%v}%s]}`, ok, more)
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{}
	release := make(chan struct{})
	mux := http.NewServeMux()
	validate := func(w http.ResponseWriter, r *http.Request) {
		switch code := r.FormValue("code"); code {
		case "slow":
			select {
			case <-release:
			case <-r.Context().Done():
			}
		case "500":
			http.Error(w, "<html>down", http.StatusInternalServerError)
		case "404":
			w.WriteHeader(http.StatusNotFound)
			_, _ = fmt.Fprint(w, `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found","details":{"text":"no such \u001b[31mvalue set"}}]}`)
		case "garbage":
			_, _ = fmt.Fprint(w, "<html>Sign in</html>")
		case "other":
			_, _ = fmt.Fprint(w, `{"resourceType":"Bundle"}`)
		case "empty":
			_, _ = fmt.Fprint(w, `{"resourceType":"Parameters"}`)
		case "huge":
			_, _ = fmt.Fprint(w, `{"resourceType":"Parameters","parameter":[{"name":"message","valueString":"`+strings.Repeat("x", 2<<20)+`"}]}`)
		case "deep":
			_, _ = fmt.Fprint(w, strings.Repeat(`{"parameter":[`, 100_000))
		case "cut":
			w.Header().Set("Content-Length", "1000")
			_, _ = fmt.Fprint(w, `{"resourceType":"Parameters"`)
		case "away":
			http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
		case "no":
			_, _ = fmt.Fprint(w, valid(false, `,{"name":"message","valueString":"Unknown code\nno"}`))
		case "lacking":
			_, _ = fmt.Fprint(w, valid(false, `,{"name":"x-caused-by-unknown-system","valueCanonical":"http://x.org/far"}`))
		case "issues":
			_, _ = fmt.Fprint(w, valid(false, `,{"name":"issues","resource":{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found","details":{"text":"no definition of the system"}}]}}`))
		case "invalid":
			_, _ = fmt.Fprint(w, valid(false, `,{"name":"issues","resource":{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"code-invalid"}]}}`))
		default:
			_, _ = fmt.Fprint(w, valid(true, `,{"name":"display","valueString":"Show `+code+`"}`))
		}
	}
	mux.HandleFunc("GET /r4/ValueSet/$validate-code", validate)
	mux.HandleFunc("GET /r4/CodeSystem/$validate-code", validate)
	mux.HandleFunc("GET /r4/ValueSet/$expand", func(w http.ResponseWriter, r *http.Request) {
		entries := `{"system":"http://x.org/far","code":"c0","contains":[{"system":"http://x.org/far","code":"c1"},{"system":"http://x.org/far","code":"group","abstract":true}]}`
		switch r.FormValue("url") {
		case "http://x.org/vs/small":
			_, _ = fmt.Fprintf(w, `{"resourceType":"ValueSet","expansion":{"total":3,"contains":[%s]}}`, entries)
		case "http://x.org/vs/page":
			_, _ = fmt.Fprintf(w, `{"resourceType":"ValueSet","expansion":{"total":4000,"contains":[%s]}}`, entries)
		case "http://x.org/vs/open":
			_, _ = fmt.Fprintf(w, `{"resourceType":"ValueSet","expansion":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/valueset-unclosed"}],"contains":[%s]}}`, entries)
		case "http://x.org/vs/empty":
			_, _ = fmt.Fprint(w, `{"resourceType":"ValueSet","expansion":{"total":0}}`)
		default:
			http.Error(w, `{"resourceType":"OperationOutcome"}`, http.StatusUnprocessableEntity)
		}
	})
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		n := s.running.Add(1)
		defer s.running.Add(-1)
		for {
			if most := s.most.Load(); n <= most || s.most.CompareAndSwap(most, n) {
				break
			}
		}
		s.mu.Lock()
		s.seen = append(s.seen, r.URL.String())
		s.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { close(release); s.Close() })
	return s
}

func open(t *testing.T, s *server, o remote.Options) *remote.Service {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	r, err := remote.New(t.Context(), s.URL+"/r4/", offline{}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func TestOfflineComesFirst(t *testing.T) {
	s := newServer(t)
	r := open(t, s, remote.Options{})
	if a := r.Member("http://x.org/vs/here", "", "a"); a.Value != terminology.Yes {
		t.Error(a)
	}
	if a := r.Member("http://x.org/vs/here", "", "b"); a.Value != terminology.No {
		t.Error(a)
	}
	if display, a := r.Code("http://x.org/here", "a"); a.Value != terminology.Yes || display != "A" {
		t.Error(display, a)
	}
	if !r.Known("http://x.org/vs/here") || r.Known("http://x.org/vs/far") {
		t.Error("Known is not the offline one")
	}
	if n := s.requests.Load(); n != 0 {
		t.Errorf("%d requests for what is known offline", n)
	}
}

func TestAnswers(t *testing.T) {
	s := newServer(t)
	for _, tt := range []struct {
		code string
		want terminology.Value
		says string
	}{
		{"fine", terminology.Yes, ""},
		{"no", terminology.No, "the terminology server says: Unknown code no"},
		{"invalid", terminology.No, "the terminology server says so"},
		{"lacking", terminology.Unknown, why + "; the terminology server cannot tell: it does not have a code system that is needed"},
		{"issues", terminology.Unknown, why + "; the terminology server cannot tell: no definition of the system"},
		{"500", terminology.Unknown, why + "; the terminology server answers status 500"},
		{"404", terminology.Unknown, why + "; the terminology server answers status 404: no such  [31mvalue set"},
		{"garbage", terminology.Unknown, why + "; the terminology server's answer is not FHIR JSON"},
		{"deep", terminology.Unknown, why + "; the terminology server's answer is larger than 1048576 bytes"},
		{"other", terminology.Unknown, why + "; the terminology server's answer is no Parameters resource"},
		{"empty", terminology.Unknown, why + "; the terminology server does not say whether the code is valid"},
		{"huge", terminology.Unknown, why + "; the terminology server's answer is larger than 1048576 bytes"},
		{"cut", terminology.Unknown, why + "; the terminology server's answer broke off: unexpected EOF"},
		{"away", terminology.Unknown, why + "; the terminology server cannot be reached: it redirects elsewhere"},
		{"slow", terminology.Unknown, why + "; the terminology server cannot be reached: it did not answer in time"},
		{strings.Repeat("x", 1000), terminology.Unknown, why},
		{"", terminology.Unknown, why},
	} {
		timeout := time.Minute
		if tt.code == "slow" {
			timeout = 50 * time.Millisecond
		}
		r := open(t, s, remote.Options{Timeout: timeout})
		a := r.Member("http://x.org/vs/far", "http://x.org/far", tt.code)
		if a.Value != tt.want || a.Why != tt.says {
			t.Errorf("member %.20q: %v %q, want %v %q", tt.code, a.Value, a.Why, tt.want, tt.says)
		}
		display, a := r.Code("http://x.org/far", tt.code)
		if a.Value != tt.want || a.Why != tt.says {
			t.Errorf("code %.20q: %v %q, want %v %q", tt.code, a.Value, a.Why, tt.want, tt.says)
		}
		if want := "Show fine"; (display == want) != (tt.want == terminology.Yes) {
			t.Errorf("code %.20q: display %q", tt.code, display)
		}
	}
}

func TestWhatIsSent(t *testing.T) {
	s := newServer(t)
	r := open(t, s, remote.Options{})
	r.Member("http://x.org/vs/far|2.0", "http://x.org/far", "a b")
	r.Member("http://x.org/vs/far", "", "c")
	r.Code("http://x.org/far|3", "d")
	want := []string{
		"/r4/ValueSet/$validate-code?code=a+b&system=http%3A%2F%2Fx.org%2Ffar&url=http%3A%2F%2Fx.org%2Fvs%2Ffar&valueSetVersion=2.0",
		"/r4/ValueSet/$validate-code?code=c&inferSystem=true&url=http%3A%2F%2Fx.org%2Fvs%2Ffar",
		"/r4/CodeSystem/$validate-code?code=d&url=http%3A%2F%2Fx.org%2Ffar&version=3",
	}
	if got := strings.Join(s.seen, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("sent\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestExpansion(t *testing.T) {
	for _, tt := range []struct {
		valueSet string
		c1, zz   terminology.Value // zz is not in it; where it is asked about alone the server says yes
		expands  bool
	}{
		{"http://x.org/vs/small", terminology.Yes, terminology.No, true},
		{"http://x.org/vs/page", terminology.Yes, terminology.Yes, false},
		{"http://x.org/vs/open", terminology.Yes, terminology.Yes, false},
		{"http://x.org/vs/empty", terminology.Yes, terminology.Yes, false},
		{"http://x.org/vs/refused", terminology.Yes, terminology.Yes, false},
	} {
		s := newServer(t)
		r := open(t, s, remote.Options{})
		for i := range 3 {
			r.Member(tt.valueSet, "http://x.org/far", fmt.Sprint("ask", i))
		}
		if a := r.Member(tt.valueSet, "http://x.org/far", "c1"); a.Value != tt.c1 {
			t.Errorf("%s c1: %+v", tt.valueSet, a)
		}
		after := s.requests.Load()
		if a := r.Member(tt.valueSet, "http://x.org/far", "zz"); a.Value != tt.zz {
			t.Errorf("%s zz: %+v", tt.valueSet, a)
		}
		r.Member(tt.valueSet, "", "c0")
		if asked := s.requests.Load() > after; asked == tt.expands {
			t.Errorf("%s: asked %v although expanded %v", tt.valueSet, asked, tt.expands)
		}
		before := s.requests.Load()
		if a := r.Member(tt.valueSet, "http://x.org/far", "C1"); a.Value != terminology.Yes { // the system may ignore case
			t.Errorf("%s C1: %+v", tt.valueSet, a)
		}
		if s.requests.Load() != before+1 {
			t.Errorf("%s: C1 was not asked about", tt.valueSet)
		}
	}
}

func TestFailuresEndTheAsking(t *testing.T) {
	s := newServer(t)
	r := open(t, s, remote.Options{Timeout: 20 * time.Millisecond, Concurrency: 1})
	var last terminology.Answer
	for i := range 10 {
		last = r.Member(fmt.Sprint("http://x.org/vs/", i), "http://x.org/far", "slow")
	}
	if n := s.requests.Load(); n > 3 { // fewer when time is up before one arrives
		t.Errorf("%d requests to a server that does not answer", n)
	}
	if last.Value != terminology.Unknown || !strings.HasSuffix(last.Why, "failed 3 times in a row and is not asked again") {
		t.Errorf("%+v", last)
	}
	if st := r.Stats(); st.Asked != 3 || st.Failed != 3 || st.Answered != 0 || st.Stopped == "" {
		t.Errorf("%+v", st)
	}
	// Refusals are answers.
	r = open(t, s, remote.Options{})
	for i := range 10 {
		r.Code(fmt.Sprint("http://x.org/", i), "404")
	}
	if st := r.Stats(); st.Asked != 10 || st.Answered != 10 || st.Stopped != "" {
		t.Errorf("%+v", st)
	}
}

func TestBudget(t *testing.T) {
	s := newServer(t)
	r := open(t, s, remote.Options{MaxRequests: 5, Concurrency: 2})
	var wg sync.WaitGroup
	var known atomic.Int64
	for i := range 40 {
		wg.Go(func() {
			if _, a := r.Code("http://x.org/far", fmt.Sprint(i/2)); a.Value == terminology.Yes { // each twice
				known.Add(1)
			}
		})
	}
	wg.Wait()
	if n := s.requests.Load(); n != 5 {
		t.Errorf("%d requests with a budget of 5", n)
	}
	if n := known.Load(); n != 10 {
		t.Errorf("%d of 40 answered, want both of 5", n)
	}
	if n := s.most.Load(); n > 2 {
		t.Errorf("%d requests at a time", n)
	}
	if st := r.Stats(); st.Stopped != "the budget of 5 requests to the terminology server is used up" {
		t.Errorf("%+v", st)
	}
}

func TestDisk(t *testing.T) {
	s := newServer(t)
	dir := filepath.Join(t.TempDir(), "tx")
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	o := remote.Options{CacheDir: dir, Now: func() time.Time { return now }}
	ask := func(want int64) {
		t.Helper()
		before := s.requests.Load()
		r := open(t, s, o)
		if display, a := r.Code("http://x.org/far", "fine"); a.Value != terminology.Yes || display != "Show fine" {
			t.Error(display, a)
		}
		if a := r.Member("http://x.org/vs/far", "http://x.org/far", "no"); a.Value != terminology.No || !strings.Contains(a.Why, "Unknown code") {
			t.Error(a)
		}
		if _, a := r.Code("http://x.org/far", "500"); a.Value != terminology.Unknown {
			t.Error(a)
		}
		if n := s.requests.Load() - before; n != want {
			t.Errorf("%d requests, want %d", n, want)
		}
	}
	ask(3)
	ask(1) // a failure is not kept
	now = now.Add(31 * 24 * time.Hour)
	ask(3)

	files, err := filepath.Glob(filepath.Join(dir, "*.ndjson"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	for _, content := range []string{"", "not JSON\n", strings.Repeat("x", 100_000), `{"code":"fine","system":"http://x.org/far"`} {
		if err := os.WriteFile(files[0], []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		ask(3)
		ask(1)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, base := range []string{"", "tx.fhir.org/r4", "ftp://x/y", "http://", "http://x/?a=b", "http://x/#f", "://"} {
		if _, err := remote.New(t.Context(), base, offline{}, remote.Options{}); err == nil {
			t.Errorf("%q is taken", base)
		}
	}
}

// FuzzAnswer: whatever a server sends is Yes, No or Unknown with a reason that is fit to print.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		valid(true, ""), valid(false, `,{"name":"issues","resource":{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found"}]}}`),
		`{"resourceType":"ValueSet","expansion":{"total":1,"contains":[{"system":"s","code":"c","contains":[{"code":"d"}]}]}}`, `{"parameter":[null]}`, "<html>", "",
	} {
		f.Add(200, []byte(seed))
		f.Add(404, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 {
			return
		}
		r, err := remote.New(t.Context(), "http://x.org/r4", offline{}, remote.Options{ExpandAfter: 1, Client: &http.Client{Transport: canned{status, body}}})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second asks for an expansion
			for _, code := range []string{"a", "c", "d"} {
				a := r.Member("http://x.org/vs/far", "s", code)
				if a.Value == terminology.Unknown && !strings.HasPrefix(a.Why, why+"; ") || len(a.Why) > 500 || strings.ContainsAny(a.Why, "\x00\x1b\n") {
					t.Errorf("%+v", a)
				}
				if display, _ := r.Code("http://x.org/far", code); len(display) > 1024 {
					t.Errorf("a display of %d bytes", len(display))
				}
			}
		}
	})
}

// canned answers every request alike.
type canned struct {
	status int
	body   []byte
}

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	w.WriteHeader(c.status)
	_, _ = w.Write(c.body)
	res := w.Result()
	res.Request = r
	return res, nil
}

func BenchmarkKept(b *testing.B) {
	r, err := remote.New(b.Context(), "http://x.org/r4", offline{}, remote.Options{Client: &http.Client{Transport: canned{200, []byte(valid(true, ""))}}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if a := r.Member("http://x.org/vs/far", "http://x.org/far", "a"); a.Value != terminology.Yes {
			b.Fatal(a)
		}
	}
}

// TestRenew: after its time a budget starts afresh, and what failed is asked again.
func TestRenew(t *testing.T) {
	srv := newServer(t)
	var clock atomic.Int64
	s, err := remote.New(t.Context(), srv.URL+"/r4", offline{}, remote.Options{
		MaxRequests: 2, ExpandAfter: -1, Renew: time.Hour, Now: func() time.Time { return time.Unix(clock.Load(), 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	view := s.Over(offline{})
	ask := func(code string) terminology.Value {
		return view.Member("http://x.org/vs/there", "http://x.org/s", code).Value
	}
	first, second := ask("500"), ask("500")
	if first != terminology.Unknown || second != terminology.Unknown || srv.requests.Load() != 1 {
		t.Errorf("%d requests for one code that fails", srv.requests.Load())
	}
	ask("b")
	if ask("c") != terminology.Unknown || s.Stats().Stopped == "" || srv.requests.Load() != 2 {
		t.Errorf("%d requests, %+v", srv.requests.Load(), s.Stats())
	}
	clock.Add(3601)
	ask("500")
	if ask("c") == terminology.Unknown || srv.requests.Load() != 4 || s.Stats().Asked != 4 || s.Stats().Stopped != "" {
		t.Errorf("%d requests, %+v", srv.requests.Load(), s.Stats())
	}
	if !view.Known("http://x.org/vs/here") || view.Known("http://x.org/vs/there") {
		t.Error("a view knows what its packages know")
	}
}
