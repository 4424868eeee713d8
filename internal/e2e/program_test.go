//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program is a running "fhirwire serve --demo".
type program struct {
	dashboard, proxy, reference string
	forward, tls                string // addresses, host:port
	cmd                         *exec.Cmd
	stderr                      string        // the file with what it says there
	played                      chan struct{} // closed when the demo has played
	killed, stopped             bool
}

var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "fhirwire-e2e")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "fhirwire")
	build := exec.Command("go", "build", "-o", binary, "fhirwire/cmd/fhirwire")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

var announced = regexp.MustCompile(`(?m)^\s*(dashboard|proxy|reference|forward|TLS)\s+https?://(\S+)`)

// start runs the program on free ports and waits until it has said where it listens.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	args = append([]string{
		"serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--proxy-listen", "127.0.0.1:0", "--reference-listen", "127.0.0.1:0",
		"--tls-listen", "127.0.0.1:0", "--forward-listen", "127.0.0.1:0",
	}, args...)
	p := &program{cmd: exec.Command(binary, args...), played: make(chan struct{})}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr, p.stderr = log, log.Name()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.stop(t)
		if t.Failed() {
			out, _ := os.ReadFile(log.Name())
			t.Logf("its stderr:\n%s", out)
		}
	})
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "  data ") { // the last of what it says
		if m := announced.FindStringSubmatch(lines.Text()); m != nil {
			at := strings.TrimSuffix(m[2], "/")
			switch m[1] {
			case "dashboard":
				p.dashboard = "http://" + at
			case "proxy":
				p.proxy = "http://" + at
			case "reference":
				p.reference = "http://" + at
			case "forward":
				p.forward = at
			case "TLS":
				p.tls = at
			}
		}
	}
	go func() {
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "Demo played") {
				close(p.played)
				break
			}
		}
		_, _ = io.Copy(io.Discard, stdout)
	}()
	if p.dashboard == "" || p.proxy == "" || p.reference == "" {
		t.Fatalf("the program did not say where it listens: %+v", p)
	}
	p.waitReady(t)
	if slices.Contains(args, "--demo") {
		p.waitSeeded(t)
	}
	return p
}

// stop ends the program as a service manager does and waits for it.
func (p *program) stop(t *testing.T) {
	t.Helper()
	if p.stopped {
		return
	}
	p.stopped = true
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil && !p.killed {
		t.Errorf("the program did not stop well: %v", err)
	}
}

// post sends JSON to the API and reads the answer.
func (p *program) post(t *testing.T, path, body string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.dashboard+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode/100 != 2 {
		t.Fatalf("POST %s: %d, %v: %.300s", path, res.StatusCode, err, answer)
	}
	if err := json.Unmarshal(answer, into); err != nil {
		t.Fatalf("POST %s: %v: %.300s", path, err, answer)
	}
}

func (p *program) waitReady(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if res, err := http.Get(p.dashboard + "/readyz"); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
	}
	t.Fatal("not ready in time")
}

// waitSeeded waits until the demo's members and channels are there: the program listens before that.
func (p *program) waitSeeded(t *testing.T) {
	t.Helper()
	const last = "demo-app~reference" // of what the demo registers
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		var channels struct{ Items []struct{ Name string } }
		getJSON(t, p.dashboard+"/api/v1/channels", &channels)
		for _, c := range channels.Items {
			if c.Name == last {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the demo is not there: %+v", channels)
		}
	}
}

// exchange is what these tests read of GET /api/v1/exchanges.
type exchange struct {
	ID      string `json:"id"`
	Number  int64  `json:"number"`
	Channel string `json:"channel"`
	Method  string `json:"method"`
	URL     string `json:"url"`
	Status  int    `json:"status"`
	Verdict string `json:"verdict"`
	State   string `json:"state"`
	Failure struct {
		Reason string `json:"reason"`
	} `json:"failure"`
	Interaction struct {
		Kind      string `json:"kind"`
		Operation string `json:"operation"`
	} `json:"interaction"`
}

func getJSON(t *testing.T, url string, into any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %d, %v: %.300s", url, res.StatusCode, err, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("GET %s: %v: %.300s", url, err, body)
	}
}

// exchanges lists the exchanges of a filter, newest first, once all of them are judged.
func (p *program) exchanges(t *testing.T, filter string, atLeast int) []exchange {
	t.Helper()
	var page struct {
		Exchanges []exchange `json:"items"`
	}
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		getJSON(t, fmt.Sprintf("%s/api/v1/exchanges?limit=200&filter=%s", p.dashboard, filter), &page)
		judged := len(page.Exchanges) >= atLeast
		for _, e := range page.Exchanges {
			judged = judged && e.State == "done"
		}
		if judged {
			return page.Exchanges
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d exchanges for %s, not all judged: %+v", len(page.Exchanges), filter, page.Exchanges)
		}
	}
}

// all lists the exchanges of a filter once nothing more arrives: the store may be behind what a client saw.
func (p *program) all(t *testing.T, filter string, atLeast int) []exchange {
	t.Helper()
	for before, quiet := 0, 0; ; time.Sleep(500 * time.Millisecond) {
		got := p.exchanges(t, filter, atLeast)
		if len(got) != before {
			before, quiet = len(got), 0
		} else if quiet++; quiet == 6 { // what waits on disk is brought every second
			return got
		}
	}
}

// demo waits until the demo has played and all its exchanges are judged.
func (p *program) demo(t *testing.T) {
	t.Helper()
	select {
	case <-p.played:
	case <-time.After(10 * time.Minute):
		t.Fatal("the demo does not end")
	}
	p.all(t, "", 25)
}

func shared(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("FHIRWIRE_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the shared material is not here (FHIRWIRE_SHARED): %v", err)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}
