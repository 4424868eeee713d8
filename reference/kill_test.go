package reference_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fhirwire/internal/sqldb"
	"fhirwire/reference"
	"fhirwire/reference/resources"
	"fhirwire/reference/synth"
)

// killFolder is set for the process that is to be killed.
const killFolder = "FHIRWIRE_TEST_KILL_FOLDER"

// TestVictim is that process: a server over a folder, which says where it listens.
func TestVictim(t *testing.T) {
	dir := os.Getenv(killFolder)
	if dir == "" {
		t.Skip("runs in the process that TestKillInTheMiddleOfExports starts")
	}
	hs := httptest.NewUnstartedServer(nil)
	s := openFolder(t, dir)
	hs.Config.Handler = s.Handler()
	hs.Start()
	done := make(chan error, 1)
	go func() { done <- s.Run(t.Context()) }()
	if _, err := os.Stdout.WriteString("listens " + hs.URL + "\n"); err != nil {
		t.Fatal(err)
	}
	t.Fatal(<-done) // the test's end is a signal
}

// openFolder opens the server of a folder with 30 members in it.
func openFolder(t *testing.T, dir string) *reference.Server {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldb.SQLiteDSN(filepath.Join(dir, "ref.db")), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	set, err := guideSet()
	if err != nil {
		t.Fatal(err)
	}
	s, err := reference.New(t.Context(), db, set, reference.Options{DataDir: dir, Clock: time.Now, PollEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Seed(t.Context(), synth.New(synth.Options{Seed: 1, Members: 20, LargeObservations: 1}).All(), resources.LoadOptions{}); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestKillInTheMiddleOfExports: OPS-01, OPS-03, OPS-51, BULK-FI-23: a process is killed in the middle of ten exports and a match, and
// again; who comes after it finishes each, with the transactionTime it had, nothing twice and nothing missing.
func TestKillInTheMiddleOfExports(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	dir := t.TempDir()
	openFolder(t, dir) // fills it
	victim := func() (base string, kill func()) {
		t.Helper()
		ctx, stop := context.WithCancel(t.Context())
		cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestVictim$", "-test.timeout=30m")
		cmd.Env = append(os.Environ(), killFolder+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if url, ok := strings.CutPrefix(lines.Text(), "listens "); ok {
				base = url
				break
			}
		}
		if base == "" {
			t.Fatal("the process does not listen")
		}
		return base, func() {
			stop() // SIGKILL
			_ = cmd.Wait()
		}
	}
	base, kill := victim()
	s := &server{t: t, url: base + "/fhir"}
	var jobs []string // paths of their status
	begin := func() {
		t.Helper()
		jobs = nil
		for range 9 {
			kick := s.dataExport(allMembers)
			if kick.status != 202 {
				t.Fatalf("%d %s", kick.status, kick.raw)
			}
			jobs = append(jobs, strings.TrimPrefix(kick.header.Get("Content-Location"), s.url))
		}
		kick := s.get("/Patient/$export")
		jobs = append(jobs, strings.TrimPrefix(kick.header.Get("Content-Location"), s.url))
		kick = s.do(http.MethodPost, "/Group/$bulk-member-match", bundles(odalys.bundle(hrexConsent("regular", "2099-01-01"))), "Content-Type", "application/fhir+json", "Prefer", "respond-async")
		jobs = append(jobs, strings.TrimPrefix(kick.header.Get("Content-Location"), s.url))
	}
	unfinished := func() (n int) {
		for _, j := range jobs {
			if s.get(j).status == 202 {
				n++
			}
		}
		return n
	}
	left := 0
	for round := 0; left == 0; round++ { // this process may be the slower one
		if round == 20 {
			t.Fatal("all done each time: nothing to kill")
		}
		begin()
		left = unfinished()
	}
	kill()
	t.Logf("killed with %d of %d unfinished", left, len(jobs))
	base, kill = victim()
	s.url = base + "/fhir"
	time.Sleep(100 * time.Millisecond)
	t.Logf("killed again with %d unfinished", unfinished())
	kill()
	base, kill = victim()
	defer kill()
	s.url = base + "/fhir"
	var first string
	for i, j := range jobs {
		m := s.wait(j)
		if m.status != 200 {
			t.Fatalf("%s: %d %s", j, m.status, m.raw)
		}
		taken, err := time.Parse(time.RFC3339, m.json["transactionTime"].(string))
		if err != nil || taken.After(time.Now()) {
			t.Errorf("transactionTime %v %v", taken, err)
		}
		if i == 10 {
			if got := s.lines(m, "output"); len(got["Group"]) != 1 || len(got["Parameters"]) != 1 {
				t.Errorf("match: %v", got)
			}
			continue
		}
		got := summary(t, s, m)
		switch {
		case i == 0:
			first = got
		case i < 9 && got != first:
			t.Errorf("export %d differs: %s, the first %s", i+1, got, first)
		case i == 9 && !strings.Contains(got, "Observation"):
			t.Errorf("patient export: %s", got)
		}
	}
	kick := s.dataExport(allMembers)
	if got := summary(t, s, s.wait(kick.header.Get("Content-Location"))); got != first {
		t.Errorf("an undisturbed export has %s, those before %s", got, first)
	}
}

// summary is how many of each type an export has; that no id comes twice is checked on the way.
func summary(t *testing.T, s *server, m reply) string {
	t.Helper()
	counts := map[string]int{}
	for typ, ids := range s.lines(m, "output") {
		counts[typ] = len(ids)
	}
	b, err := json.Marshal(counts)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(string(b))
}
