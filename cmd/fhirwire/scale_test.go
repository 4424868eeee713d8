package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

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
	traffic := map[string][]checks.Item{}
	of := func(b *testing.B, plan testplans.Plan) []checks.Item {
		b.Helper()
		if traffic[plan.ID] == nil && plan.Play != nil {
			traffic[plan.ID] = playedKept(b, lib, set, plan)
		}
		return traffic[plan.ID]
	}
	for _, plan := range all {
		b.Run(plan.ID, func(b *testing.B) {
			items := of(b, plan)
			if items == nil {
				items = of(b, all[slices.IndexFunc(all, func(p testplans.Plan) bool { return p.ID == "us-core-3-1-1-server" })])
			}
			judgeMany(b, set, plan, items, total)
		})
	}
	b.Run("all", func(b *testing.B) {
		var whole []checks.Item
		for _, plan := range all {
			whole = append(whole, of(b, plan)...)
		}
		b.ResetTimer()
		for b.Loop() {
			var list []*judge.Judging
			heap := heapNow()
			begun := spent(b)
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
			b.ReportMetric((spent(b) - begun).Seconds(), "cpu-s/all")
			b.ReportMetric((float64(heapNow())-float64(heap))/float64(total), "kept-B/exchange")
			var worst time.Duration
			for n, it := range whole {
				begun := spent(b)
				for _, j := range list {
					j.Add(another(it, 1<<20, time.Duration(total)*time.Hour+time.Duration(n)))
					if _, err := j.Results(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
				worst = max(worst, spent(b)-begun)
			}
			b.ReportMetric(worst.Seconds(), "cpu-s/next-worst")
			runtime.KeepAlive(list)
		}
	})
}

func judgeMany(b *testing.B, set *profile.Set, plan testplans.Plan, items []checks.Item, total int) {
	b.ResetTimer()
	for b.Loop() {
		heap := heapNow()
		begun := spent(b)
		j := judge.New(plan, testplans.Run{Kind: testplans.Simulated}, checks.NewTable(set))
		for it := range many(items, total) {
			j.Add(it)
		}
		results, err := j.Results(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric((spent(b) - begun).Seconds(), "cpu-s/all")
		b.ReportMetric((float64(heapNow())-float64(heap))/float64(total), "kept-B/exchange")
		var worst, sum time.Duration
		for n, it := range items {
			j.Add(another(it, 1<<20, time.Duration(total)*time.Hour+time.Duration(n)))
			begun := spent(b)
			if _, err := j.Results(b.Context()); err != nil {
				b.Fatal(err)
			}
			took := spent(b) - begun
			worst, sum = max(worst, took), sum+took
		}
		b.ReportMetric(worst.Seconds(), "cpu-s/next-worst")
		b.ReportMetric(sum.Seconds()/float64(len(items)), "cpu-s/next")
		if results[0].Verdict == testplans.NotShown && len(items) == 0 {
			b.Fatal("nothing was judged")
		}
		runtime.KeepAlive(j)
	}
}

// spent is the processor time of this process, which other work on the machine does not change.
func spent(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func heapNow() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// playedKept plays a plan against the reference payer, with the bodies in memory.
func playedKept(b *testing.B, lib *guides.Library, set *profile.Set, plan testplans.Plan) []checks.Item {
	b.Helper()
	data := b.TempDir()
	p := &process{stdout: io.Discard, stderr: io.Discard, getenv: func(string) string { return "" }, now: time.Now}
	r := runner{p: p, f: runFlags{data: data, patience: time.Minute}, lib: lib, model: set, plan: plan, inputs: map[string]string{}}
	if _, err := r.run(b.Context()); err != nil {
		b.Fatal(err)
	}
	st, closeAll, err := openStore(b.Context(), p, data, "")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = closeAll() }()
	var items []checks.Item
	for it, err := range storedEvidence(b.Context(), p, st, lib, proxy.Filter{}, func(*proxy.Exchange) (wanted, report bool) { return true, true }) {
		if err != nil {
			b.Fatal(err)
		}
		bodies := playedBodies{memoryBodies{}, map[proxy.Digest][]place{}}
		list := []proxy.Body{it.Exchange.Request.Body}
		if it.Exchange.Response != nil {
			list = append(list, it.Exchange.Response.Body)
		}
		for _, body := range list {
			if body.Empty() {
				continue
			}
			r, err := st.OpenBody(b.Context(), body.Digest)
			if err != nil {
				b.Fatal(err)
			}
			bodies.memoryBodies[body.Digest], err = io.ReadAll(r)
			bodies.own[body.Digest] = places(bodies.memoryBodies[body.Digest])
			if err := errors.Join(err, r.Close()); err != nil {
				b.Fatal(err)
			}
		}
		it.Bodies = bodies
		items = append(items, it)
	}
	return items
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

// own is what differs from play to play: fingerprints, and the ids of clients, jobs and consents; and whom it is about, the ids of members
// and of what is theirs. What a payer has for everybody, such as its list of drugs, is the same.
var own = regexp.MustCompile(`hmac:[0-9a-f]{10}()|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{6}()|(?:[/"=]|%2F)(?:()(?:pt-[0-9]{5}|m0[0-9]{5}|999|usc)\b|()pdex-[A-Z])`)

// place is where a text has something of its own.
type place struct {
	at, size int
}

func places(text []byte) []place {
	var out []place
	for _, m := range own.FindAllSubmatchIndex(text, -1) {
		at := max(m[2], m[4])
		if at >= 0 {
			out = append(out, place{at, 6})
			continue
		}
		out = append(out, place{max(m[6], m[8]), 2})
	}
	return out
}

// another is the exchange of another play.
func another(it checks.Item, play int, later time.Duration) checks.Item {
	if play == 0 {
		return it
	}
	bodies := otherBodies{it.Bodies.(playedBodies), play}
	change := func(s string) string { return string(numbered([]byte(s), places([]byte(s)), play)) }
	ex := *it.Exchange
	ex.ID = fmt.Sprintf("%s-%06d", ex.ID, play)
	ex.Timing.Start, ex.Timing.End = ex.Timing.Start.Add(later), ex.Timing.End.Add(later)
	ex.Request.URL, ex.Request.Target = change(ex.Request.URL), change(ex.Request.Target)
	ex.Request.Header = changed(ex.Request.Header, change)
	ex.Request.Body.Digest = bodies.digest(ex.Request.Body.Digest)
	if ex.Response != nil {
		r := *ex.Response
		r.Header = changed(r.Header, change)
		r.Body.Digest = bodies.digest(r.Body.Digest)
		ex.Response = &r
	}
	return checks.Item{Exchange: &ex, Report: it.Report, Bodies: bodies}
}

func changed(h proxy.Header, change func(string) string) proxy.Header {
	h = slices.Clone(h)
	for i := range h {
		h[i].Value = change(h[i].Value)
	}
	return h
}

// numbered writes a play's number into what is its own: two characters at the front of an id, six behind a fingerprint.
func numbered(text []byte, at []place, play int) []byte {
	if at != nil {
		text = slices.Clone(text)
	}
	who := strconv.FormatInt(int64(36+play%(35*36)), 36)
	for _, p := range at {
		number := fmt.Sprintf("%06x", play)
		if p.size == 2 {
			number = who
		}
		copy(text[p.at:], number)
	}
	return text
}

// playedBodies are the bodies of an exchange, with the places of what differs from play to play.
type playedBodies struct {
	memoryBodies

	own map[proxy.Digest][]place
}

type otherBodies struct {
	playedBodies

	play int
}

// digest is what a body has in this play: another where its text is.
func (o otherBodies) digest(d proxy.Digest) proxy.Digest {
	if len(o.own[d]) == 0 {
		return d
	}
	return d + proxy.Digest(fmt.Sprintf("-%d", o.play))
}

func (o otherBodies) OpenBody(_ context.Context, d proxy.Digest) (io.ReadCloser, error) {
	first, _, _ := strings.Cut(string(d), "-")
	d = proxy.Digest(first)
	text, ok := o.memoryBodies[d]
	if !ok {
		return nil, proxy.ErrNoBody
	}
	return io.NopCloser(bytes.NewReader(numbered(text, o.own[d], o.play))), nil
}
