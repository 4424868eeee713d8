package main

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"fhirwire/proxy"
)

// patience is how long a test waits for what does happen, however busy the machine is.
const patience = 15 * time.Minute

// unlimited is an environment in which serve leaves the garbage collector as it is: in a test it is not alone in its process.
func unlimited(key string) string {
	if key == "GOGC" {
		return "100"
	}
	return ""
}

// stored are the exchanges of a filter in the order they began, with their connections, once there are n of them: what a client has
// seen the end of may be on its way to the store.
func (s *served) stored(filter string, n int) []*proxy.Exchange {
	s.t.Helper()
	st, done, err := openStore(s.t.Context(), &process{now: time.Now, stderr: io.Discard}, s.data, "")
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = done() }()
	parsed, faults := proxy.ParseFilter(filter)
	if len(faults) > 0 {
		s.t.Fatal(faults)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		page, err := st.Exchanges(s.t.Context(), proxy.Query{Filter: parsed, Limit: 200})
		if err != nil {
			s.t.Fatal(err)
		}
		if len(page.Exchanges) < n {
			if time.Now().After(deadline) {
				s.t.Fatalf("%d exchanges of %q are stored, want %d", len(page.Exchanges), filter, n)
			}
			continue
		}
		var out []*proxy.Exchange
		for _, row := range page.Exchanges {
			ex, err := st.Exchange(s.t.Context(), row.ID) // lists leave connections out
			if err != nil {
				s.t.Fatal(err)
			}
			out = append(out, ex)
		}
		slices.SortStableFunc(out, func(a, b *proxy.Exchange) int { return a.Timing.Start.Compare(b.Timing.Start) })
		return out
	}
}

// counting counts the requests that go through it.
type counting struct {
	next http.RoundTripper
	n    atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.next.RoundTrip(r)
}

// walkFiles calls look for each file under dir. A running process makes and removes some meanwhile.
func walkFiles(t *testing.T, dir string, look func(path string) error) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files++
			err = look(path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil || files < 5 {
		t.Errorf("%d files looked at: %v", files, err)
	}
}
