package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"fhirwire/internal/blobs"
	"fhirwire/internal/sqldb"
	"fhirwire/internal/store"
	"fhirwire/proxy"
	"fhirwire/testplans/checks"
)

const scaleChannel = "acme-ehr~diamond-payer"

// BenchmarkJudgeFolder is the command judge for every built-in plan over a channel of a data folder with the traffic of all plans, as many
// plays of it as make FHIRWIRE_BENCH_EXCHANGES exchanges (1,000 unless it says). FHIRWIRE_BENCH_DATA names a folder to keep, which is
// filled once and then used as it is.
func BenchmarkJudgeFolder(b *testing.B) {
	data, total := os.Getenv("FHIRWIRE_BENCH_DATA"), 1000
	if v, err := strconv.Atoi(os.Getenv("FHIRWIRE_BENCH_EXCHANGES")); err == nil {
		total = v
	}
	if data == "" {
		data = b.TempDir()
	}
	lib, set := builtinGuides(b)
	all, err := builtinPlans(set)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(data, "fhirwire.db")); err != nil {
		var whole []checks.Item
		for _, plan := range all {
			if plan.Play != nil {
				whole = append(whole, playedKept(b, lib, set, plan)...)
			}
		}
		fillFolder(b, data, whole, total)
	}
	for _, plan := range all {
		b.Run(plan.ID, func(b *testing.B) {
			for b.Loop() {
				debug.FreeOSMemory()
				peak, stop := peakHeap()
				begun, at := spent(b), time.Now()
				var out bytes.Buffer
				p := &process{stdout: &out, stderr: io.Discard, getenv: func(string) string { return "" }, now: time.Now}
				if code, err := runJudge(b.Context(), p, []string{plan.ID, "--channel", scaleChannel, "--data", data, "--format", "json"}); err != nil || code == exitUsage {
					b.Fatal(code, err)
				}
				b.ReportMetric(time.Since(at).Seconds(), "s/all")
				b.ReportMetric((spent(b) - begun).Seconds(), "cpu-s/all")
				stop()
				b.ReportMetric(float64(peak.Load())/1e6, "peak-MB")
			}
		})
	}
}

// peakHeap is the most memory in use until stop, looked at now and then.
func peakHeap() (peak *atomic.Uint64, stop func()) {
	peak = &atomic.Uint64{}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak.Store(max(peak.Load(), m.HeapInuse))
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	})
	return peak, func() { close(done); wg.Wait() }
}

// fillFolder makes a data folder with plays of items in one channel, inspected.
func fillFolder(b *testing.B, data string, items []checks.Item, total int) {
	b.Helper()
	if err := os.MkdirAll(data, 0o700); err != nil {
		b.Fatal(err)
	}
	db, err := sqldb.Open(b.Context(), sqldb.SQLiteDSN(filepath.Join(data, "fhirwire.db")), sqldb.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	files, err := blobs.OpenDir(filepath.Join(data, "blobs"), blobs.Options{Clock: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	st, err := store.Open(b.Context(), db, files, store.Options{Clock: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	client := &proxy.System{Slug: "acme-ehr", Name: "Acme", Roles: []proxy.Role{proxy.RoleClient}}
	server := &proxy.System{Slug: "diamond-payer", Name: "Diamond", Roles: []proxy.Role{proxy.RoleServer}, BaseURL: "http://payer.example/fhir"}
	for _, s := range []*proxy.System{client, server} {
		if err := st.SaveSystem(b.Context(), s); err != nil {
			b.Fatal(err)
		}
	}
	if err := st.SaveChannel(b.Context(), &proxy.Channel{Name: scaleChannel, ClientID: client.ID, ServerID: server.ID}); err != nil {
		b.Fatal(err)
	}
	work, ctx := errgroup.WithContext(b.Context())
	work.SetLimit(16)
	n := 0
	for it := range many(items, total) {
		play := n / len(items)
		n++
		work.Go(func() error { return putPlayed(ctx, st, it, play) })
	}
	if err := work.Wait(); err != nil {
		b.Fatal(err)
	}
}

// putPlayed stores an exchange of a play with its report.
func putPlayed(ctx context.Context, st *store.Store, it checks.Item, play int) error {
	ex, bodies := *it.Exchange, memoryBodies{}
	ex.Channel = scaleChannel
	own := func(b proxy.Body) (proxy.Body, error) {
		if b.Digest == "" {
			return b, nil
		}
		r, err := it.Bodies.OpenBody(ctx, b.Digest)
		if err != nil {
			return b, err
		}
		text, err := io.ReadAll(r)
		if err != nil {
			return b, err
		}
		sum := sha256.Sum256(text)
		b.Digest = proxy.Digest(hex.EncodeToString(sum[:]))
		if b.Redacted { // it is of what passed, not of what is stored
			sum = sha256.Sum256(fmt.Append(nil, b.Digest, play))
			b.Digest = proxy.Digest(hex.EncodeToString(sum[:]))
		}
		bodies[b.Digest] = text
		return b, r.Close()
	}
	var err error
	if ex.Request.Body, err = own(ex.Request.Body); err != nil {
		return err
	}
	if ex.Response != nil {
		r := *ex.Response
		if r.Body, err = own(r.Body); err != nil {
			return err
		}
		r.Forwarded = nil
		ex.Response = &r
	}
	if err := st.Put(ctx, &ex, bodies); err != nil || it.Report == nil {
		return err
	}
	report := *it.Report
	report.Subject = ex.ID
	return st.SaveReport(ctx, report)
}
