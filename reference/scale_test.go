package reference_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"fhirwire/internal/sqldb"
	"fhirwire/reference"
	"fhirwire/reference/resources"
	"fhirwire/reference/synth"
)

// BenchmarkScale loads members, reads, searches and exports them once, on a database as "serve" opens it. FHIRWIRE_SCALE is the
// number of members, 300 by default; 10,000 are about 1.2 million resources:
//
//	FHIRWIRE_SCALE=10000 go test ./reference -run '^$' -bench Scale -benchtime 1x -timeout 60m
func BenchmarkScale(b *testing.B) {
	members := 300
	if v := os.Getenv("FHIRWIRE_SCALE"); v != "" {
		var err error
		if members, err = strconv.Atoi(v); err != nil {
			b.Fatal(err)
		}
	}
	dir := b.TempDir()
	db, err := sqldb.Open(b.Context(), sqldb.SQLiteDSN(filepath.Join(dir, "ref.db")), sqldb.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	set, err := guideSet()
	if err != nil {
		b.Fatal(err)
	}
	ref, err := reference.New(b.Context(), db, set, reference.Options{DataDir: dir, Clock: time.Now, PollEvery: -1})
	if err != nil {
		b.Fatal(err)
	}
	gen := synth.New(synth.Options{Seed: 1, Members: members})
	begin := time.Now()
	report, err := ref.Seed(b.Context(), gen.All(), resources.LoadOptions{})
	if err != nil {
		b.Fatal(err)
	}
	total := float64(report.Created)
	b.ReportMetric(total, "resources")
	b.ReportMetric(total/time.Since(begin).Seconds(), "loaded/s")
	b.Logf("%d resources of %d members in %s", report.Created, members, time.Since(begin).Round(time.Millisecond))

	ids := slices.Collect(gen.MemberIDs())
	h := ref.Handler()
	for _, kind := range []struct{ name, path string }{
		{"read", "/fhir/Patient/%s"},
		{"search", "/fhir/Condition?patient=%s"},
		{"coverage", "/fhir/Coverage?beneficiary=%s"},
	} {
		rate, p99 := hammer(b, h, 2*time.Second, 0, func(i int) string { return fmt.Sprintf(kind.path, ids[i*7919%len(ids)]) })
		b.ReportMetric(rate, kind.name+"s/s")
		_, half := hammer(b, h, 2*time.Second, rate/2, func(i int) string { return fmt.Sprintf(kind.path, ids[i*7919%len(ids)]) })
		b.Logf("%-9s %8.0f/s, p99 %s; at half that p99 %s", kind.name, rate, p99, half)
	}

	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- ref.Run(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			b.Error(err)
		}
	}()
	runtime.GC()
	for range b.N {
		begin = time.Now()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "http://x/fhir/Group/"+synth.AllMembersGroup+"/$export", nil))
		status := w.Header().Get("Content-Location")
		peak := uint64(0)
		for w.Code != http.StatusOK {
			if w.Code != http.StatusAccepted {
				b.Fatal(w.Code, w.Body.String())
			}
			time.Sleep(20 * time.Millisecond)
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapInuse+m.StackInuse)
			w = httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, status, nil))
		}
		lines := 0
		for _, part := range strings.Split(w.Body.String(), `"count":`)[1:] {
			n, err := strconv.Atoi(part[:strings.IndexAny(part, ",}")])
			if err != nil {
				b.Fatal(err)
			}
			lines += n
		}
		took := time.Since(begin)
		b.ReportMetric(float64(lines)/took.Seconds(), "exported/s")
		b.ReportMetric(float64(peak)/(1<<20), "peak-MB")
		b.Logf("%d resources exported in %s, %d MB at the most", lines, took.Round(time.Millisecond), peak>>20)
	}
}

// hammer asks for d, as fast as it goes or at a rate, and gives requests per second and the 99th percentile of their times.
func hammer(b *testing.B, h http.Handler, d time.Duration, rate float64, path func(int) string) (perSecond float64, p99 time.Duration) {
	b.Helper()
	var (
		mu    sync.Mutex // guards times
		times []time.Duration
		wg    sync.WaitGroup
	)
	workers := 2 * runtime.GOMAXPROCS(0)
	begin := time.Now()
	for worker := range workers {
		wg.Go(func() {
			var own []time.Duration
			for i := worker; time.Since(begin) < d; i += workers {
				if rate > 0 {
					time.Sleep(time.Until(begin.Add(time.Duration(float64(i) / rate * float64(time.Second)))))
				}
				start := time.Now()
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequestWithContext(b.Context(), http.MethodGet, "http://x"+path(i), nil))
				if w.Code != http.StatusOK {
					b.Errorf("%s: %d %.200s", path(i), w.Code, w.Body)
					return
				}
				own = append(own, time.Since(start))
			}
			mu.Lock()
			times = append(times, own...)
			mu.Unlock()
		})
	}
	wg.Wait()
	slices.Sort(times)
	if len(times) == 0 {
		return 0, 0
	}
	return float64(len(times)) / time.Since(begin).Seconds(), times[len(times)*99/100].Round(10 * time.Microsecond)
}
