package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"fhirwire/internal/blobs"
	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/testplans/judge"
	"fhirwire/validators/guides"
	"fhirwire/validators/profile"
)

// BenchmarkPlans judges every built-in plan over many plays of its scenario in one channel, as many as make FHIRWIRE_BENCH_EXCHANGES
// exchanges (2,000 unless it says): all at once, and then one more play, exchange by exchange. Each play has its own tokens, clients and jobs.
func BenchmarkPlans(b *testing.B) {
	total := 2000
	if v, err := strconv.Atoi(os.Getenv("FHIRWIRE_BENCH_EXCHANGES")); err == nil {
		total = v
	}
	lib, set := builtinGuides(b)
	all, err := builtinPlans(set)
	if err != nil {
		b.Fatal(err)
	}
	traffic := map[string]*judgement{}
	var whole []checks.Item
	for _, plan := range all {
		if plan.Play == nil {
			continue
		}
		j := playedKept(b, lib, set, plan)
		traffic[plan.ID] = j
		whole = append(whole, j.items...)
	}
	for _, plan := range all {
		items, run := whole, testplans.Run{Kind: testplans.Simulated}
		if j := traffic[plan.ID]; j != nil {
			items, run = j.items, j.run
		}
		run.Channel, run.Since = "", time.Time{}
		b.Run(plan.ID, func(b *testing.B) { judgeMany(b, set, plan, run, items, total) })
	}
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			var list []*judge.Judging
			heap := heapNow()
			begun := time.Now()
			for _, plan := range all {
				run := testplans.Run{Kind: testplans.Simulated}
				list = append(list, judge.New(plan, run, checks.NewTable(set)))
			}
			for it := range many(whole, total) {
				for _, j := range list {
					j.Add(it)
				}
			}
			for _, j := range list {
				if _, err := j.Results(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(time.Since(begun).Seconds(), "s/all")
			b.ReportMetric(float64(heapNow()-heap)/float64(total), "kept-B/exchange")
			var worst time.Duration
			for n, it := range whole {
				begun := time.Now()
				for _, j := range list {
					j.Add(another(it, 1<<20, time.Duration(total)*time.Hour+time.Duration(n)))
					if _, err := j.Results(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
				worst = max(worst, time.Since(begun))
			}
			b.ReportMetric(worst.Seconds(), "s/next-worst")
			runtime.KeepAlive(list)
		}
	})
}

func judgeMany(b *testing.B, set *profile.Set, plan testplans.Plan, run testplans.Run, items []checks.Item, total int) {
	for b.Loop() {
		heap := heapNow()
		begun := time.Now()
		j := judge.New(plan, run, checks.NewTable(set))
		for it := range many(items, total) {
			j.Add(it)
		}
		results, err := j.Results(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(begun).Seconds(), "s/all")
		b.ReportMetric(float64(heapNow()-heap)/float64(total), "kept-B/exchange")
		var worst, sum time.Duration
		for n, it := range items {
			j.Add(another(it, 1<<20, time.Duration(total)*time.Hour+time.Duration(n)))
			begun := time.Now()
			if _, err := j.Results(b.Context()); err != nil {
				b.Fatal(err)
			}
			worst = max(worst, time.Since(begun))
			sum += time.Since(begun)
		}
		b.ReportMetric(worst.Seconds(), "s/next-worst")
		b.ReportMetric(sum.Seconds()/float64(len(items)), "s/next")
		if results[0].Verdict == testplans.NotShown && len(items) == 0 {
			b.Fatal("nothing was judged")
		}
		runtime.KeepAlive(j)
	}
}

func heapNow() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// playedKept plays a plan against the reference payer, with the bodies in memory.
func playedKept(b *testing.B, lib *guides.Library, set *profile.Set, plan testplans.Plan) *judgement {
	b.Helper()
	data := b.TempDir()
	p := &process{stdout: io.Discard, stderr: io.Discard, getenv: func(string) string { return "" }, now: time.Now}
	r := runner{p: p, f: runFlags{data: data, patience: time.Minute}, lib: lib, model: set, plan: plan, inputs: map[string]string{}}
	j, err := r.run(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	files, err := blobs.OpenDir(filepath.Join(data, "blobs"), blobs.Options{})
	if err != nil {
		b.Fatal(err)
	}
	for i := range j.items {
		it := &j.items[i]
		bodies := memoryBodies{}
		list := []proxy.Body{it.Exchange.Request.Body}
		if it.Exchange.Response != nil {
			list = append(list, it.Exchange.Response.Body)
		}
		for _, body := range list {
			if body.Empty() {
				continue
			}
			r, err := files.Open(b.Context(), string(body.Digest))
			if err != nil {
				b.Fatal(err)
			}
			bodies[body.Digest], err = io.ReadAll(r)
			if err := errors.Join(err, r.Close()); err != nil {
				b.Fatal(err)
			}
		}
		it.Bodies = bodies
	}
	return j
}

// many repeats items until there are total.
func many(items []checks.Item, total int) iter.Seq[checks.Item] {
	return func(yield func(checks.Item) bool) {
		for n := range total {
			if !yield(another(items[n%len(items)], n/len(items), time.Duration(n/len(items))*time.Hour)) {
				return
			}
		}
	}
}

// own is what differs from play to play: fingerprints, and the ids of clients, jobs and consents.
var own = regexp.MustCompile(`hmac:[0-9a-f]{10}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{6}`)

// another is the exchange of another play.
func another(it checks.Item, play int, later time.Duration) checks.Item {
	if play == 0 {
		return it
	}
	change := func(s string) string {
		at := own.FindAllStringIndex(s, -1)
		if at == nil {
			return s
		}
		text := []byte(s)
		for _, m := range at {
			copy(text[m[1]:], fmt.Sprintf("%06x", play))
		}
		return string(text)
	}
	ex := *it.Exchange
	ex.ID = fmt.Sprintf("%s-%06d", ex.ID, play)
	ex.Timing.Start, ex.Timing.End = ex.Timing.Start.Add(later), ex.Timing.End.Add(later)
	ex.Request.URL, ex.Request.Target = change(ex.Request.URL), change(ex.Request.Target)
	ex.Request.Header = changed(ex.Request.Header, change)
	if ex.Response != nil {
		r := *ex.Response
		r.Header = changed(r.Header, change)
		ex.Response = &r
	}
	return checks.Item{Exchange: &ex, Report: it.Report, Bodies: otherBodies{it.Bodies, change}}
}

func changed(h proxy.Header, change func(string) string) proxy.Header {
	h = slices.Clone(h)
	for i := range h {
		h[i].Value = change(h[i].Value)
	}
	return h
}

type otherBodies struct {
	proxy.Bodies

	change func(string) string
}

func (o otherBodies) OpenBody(ctx context.Context, d proxy.Digest) (io.ReadCloser, error) {
	r, err := o.Bodies.OpenBody(ctx, d)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(strings.NewReader(o.change(string(text)))), r.Close()
}
