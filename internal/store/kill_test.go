package store_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"fhirwire/internal/sqldb"
	"fhirwire/internal/store/storetest"
	"fhirwire/proxy"
)

// TestAKilledProcessLosesNothingItConfirmed kills a process while it stores exchanges. Every exchange whose Put returned is
// there afterwards with its body, and the database takes more.
func TestAKilledProcessLosesNothingItConfirmed(t *testing.T) {
	if dir := os.Getenv("FHIRWIRE_STORE_VICTIM"); dir != "" {
		storeUntilKilled(t, dir)
		return
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$") //nolint:gosec // this test binary
	cmd.Env = append(os.Environ(), "FHIRWIRE_STORE_VICTIM="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var confirmed []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if id, ok := strings.CutPrefix(lines.Text(), "stored "); ok {
			confirmed = append(confirmed, id)
		}
		if len(confirmed) == 200 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the process ended by itself")
	}
	if len(confirmed) < 200 {
		t.Fatalf("only %d exchanges were confirmed", len(confirmed))
	}
	s, db := open(t, sqldb.SQLiteDSN(filepath.Join(dir, "x.db")), dir)
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, id := range confirmed {
		e, err := s.Exchange(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		rc, err := s.OpenBody(t.Context(), e.Response.Body.Digest)
		if err != nil {
			t.Fatal(err)
		}
		if err := rc.Close(); err != nil {
			t.Error(err)
		}
	}
	bodies := storetest.Bodies{}
	if err := s.Put(t.Context(), storetest.Exchange(1_000_000, bodies), bodies); err != nil {
		t.Error(err)
	}
	if page, err := s.Exchanges(t.Context(), proxy.Query{Limit: 1}); err != nil || page.Total <= len(confirmed) {
		t.Errorf("total %d, %v", page.Total, err)
	}
}

// storeUntilKilled stores exchanges, small and large, from several goroutines and says which are confirmed.
func storeUntilKilled(t *testing.T, dir string) {
	s, _ := open(t, sqldb.SQLiteDSN(filepath.Join(dir, "x.db")), dir)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 100_000 {
				bodies := storetest.Bodies{}
				e := storetest.Exchange(w*100_000+i, bodies)
				if i%10 == 0 {
					e.Response.Body = bodies.Add(fmt.Appendf(nil, "%d %s", i, strings.Repeat("x", 20_000)))
				}
				if err := s.Put(t.Context(), e, bodies); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				_, err := os.Stdout.WriteString("stored " + e.ID + "\n")
				mu.Unlock()
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}
