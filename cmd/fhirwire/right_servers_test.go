package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"fhirwire/testplans"
	"fhirwire/testplans/play"
	"fhirwire/validators/guides"
	"fhirwire/validators/profile"
)

// rightServer is something that a server may do otherwise than the reference payer, by a choice that a specification leaves to it.
type rightServer struct {
	variant string
	// why is what leaves the choice.
	why string
	// plans are those in whose plays it occurs, separated by spaces; "" is all that are played.
	plans string
	// together is a letter that variants share which are played at once, since none hides another.
	together string
	// on says which requests it is about; nil is all.
	on which
	// ask, if set, changes the request before the reference payer has it.
	ask func(*http.Request)
	// do changes the answer, and reports whether there was something to change.
	do func(*http.Request, *heldAnswer) bool
	// moves are verdicts that are rightly others than those on the reference payer, as "PLAN,PLAN STEP/CHECK VERDICT: reason".
	moves []string
}

// heldAnswer is an answer that is complete before it is sent.
type heldAnswer struct {
	status int
	header http.Header
	body   []byte
	// chunked leaves the length out.
	chunked bool
}

// object changes a body that is a JSON object, whatever its status.
func (a *heldAnswer) object(change func(map[string]any) bool) bool {
	m, ok := jsonObject(a.body)
	if !ok || !change(m) {
		return false
	}
	a.body = jsonBytes(m)
	return true
}

// resources changes each resource of a body: one, those of a Bundle or of parameters and what they contain, or those on the lines of a file.
func (a *heldAnswer) resources(change func(map[string]any) bool) bool {
	changed := false
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if _, is := v["resourceType"].(string); is && change(v) {
				changed = true
			}
			for _, x := range v {
				walk(x)
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	lines := bytes.SplitAfter(a.body, []byte("\n"))
	if !strings.Contains(a.header.Get("Content-Type"), "ndjson") {
		lines = [][]byte{a.body}
	}
	var out []byte
	for _, l := range lines {
		m, ok := jsonObject(l)
		if !ok {
			out = append(out, l...)
			continue
		}
		walk(m)
		out = append(out, jsonBytes(m)...)
		if bytes.HasSuffix(l, []byte("\n")) {
			out = append(out, '\n')
		}
	}
	if changed {
		a.body = out
	}
	return changed
}

func jsonObject(text []byte) (map[string]any, bool) {
	var m map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return m, d.Decode(&m) == nil && m != nil
}

func jsonBytes(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil { // it came from JSON
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// variants play right servers in front of the reference payer.
type variants struct {
	list []rightServer

	mu   sync.Mutex
	seen map[string]bool // which occurred, by name
}

// around plays the variants one within the other: the first has requests first and answers last.
func (v *variants) around(next http.Handler) http.Handler {
	inner := paced(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := r.Clone(r.Context())
		type layer struct {
			s  rightServer
			at *http.Request // as it asks
		}
		var on []layer
		for _, s := range v.list {
			if s.on != nil && !s.on(asked) {
				continue
			}
			on = append(on, layer{s, asked})
			if s.ask != nil {
				asked = asked.Clone(asked.Context())
				s.ask(asked)
			}
		}
		for _, name := range []string{"Accept-Encoding", "Range", "If-None-Match", "If-Modified-Since"} {
			asked.Header.Del(name) // a whole, plain answer is there to be changed
		}
		rec := httptest.NewRecorder()
		inner.ServeHTTP(rec, asked)
		a := &heldAnswer{status: rec.Code, header: rec.Header().Clone(), body: rec.Body.Bytes()}
		for _, l := range slices.Backward(on) {
			if l.s.do != nil && l.s.do(l.at, a) {
				v.mu.Lock()
				v.seen[l.s.variant] = true
				v.mu.Unlock()
			}
		}
		maps.Copy(w.Header(), a.header)
		w.Header().Del("Content-Length")
		if !a.chunked {
			w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
		}
		w.WriteHeader(a.status)
		if a.chunked {
			_ = http.NewResponseController(w).Flush() // a recorder has nothing to flush
		}
		if r.Method != http.MethodHead {
			_, _ = w.Write(a.body) // the client is gone; there is nobody to tell
		}
	})
}

// rightPlay is a play and what came of it.
type rightPlay struct {
	name     string
	group    []rightServer
	occurred map[string]bool
	verdicts map[string]testplans.Result
	outcomes []play.Outcome
	err      error
}

// play plays a plan against the reference payer behind a handler.
func (x *rightPlay) play(ctx context.Context, from *seeds, lib *guides.Library, set *profile.Set, plan testplans.Plan, around func(http.Handler) http.Handler) {
	p := &process{stdout: new(bytes.Buffer), stderr: new(bytes.Buffer), getenv: func(string) string { return "" }, now: time.Now}
	r := runner{p: p, f: runFlags{patience: 10 * time.Minute}, members: from.put, lib: lib, model: set, inputs: map[string]string{}, around: around, plan: plan}
	j, err := r.run(ctx)
	if err != nil {
		x.err = err
		return
	}
	x.outcomes, x.verdicts = r.outcomes, map[string]testplans.Result{}
	for _, res := range j.results {
		if res.Check != "" {
			x.verdicts[res.Step+"/"+res.Check] = res
		}
	}
}

// TestRightServers: what a specification lets a server do otherwise than the reference payer changes no verdict, but where it is listed why.
func TestRightServers(t *testing.T) {
	if raceDetector {
		t.Skip("plays with the race detector take minutes; testplans/play is under it, and one run of the scripts")
	}
	lib, set := builtinGuides(t)
	all, err := builtinPlans(set)
	if err != nil {
		t.Fatal(err)
	}
	from := newSeeds(t, lib)
	for _, plan := range all {
		if plan.Play == nil {
			continue
		}
		plays := rightPlays(plan.ID)
		if len(plays) == 0 {
			continue
		}
		t.Run(plan.ID, func(t *testing.T) {
			t.Parallel()
			usual := &rightPlay{}
			var wg sync.WaitGroup // plays wait most of the time
			wg.Go(func() { usual.play(t.Context(), from, lib, set, plan, paced) })
			for _, x := range plays {
				v := &variants{list: x.group, seen: map[string]bool{}}
				x.occurred = v.seen
				wg.Go(func() { x.play(t.Context(), from, lib, set, plan, v.around) })
			}
			wg.Wait()
			if usual.err != nil {
				t.Fatal(usual.err)
			}
			for _, x := range plays {
				t.Run(x.name, func(t *testing.T) { x.compare(t, plan.ID, usual.verdicts) })
			}
		})
	}
}

// rightPlays are the variants of a plan in the groups that are played together, by name.
func rightPlays(plan string) []*rightPlay {
	var out []*rightPlay
	for _, s := range rightServers() {
		if s.plans != "" && !slices.Contains(strings.Fields(s.plans), plan) {
			continue
		}
		name := cmp.Or(s.together, s.variant)
		at := slices.IndexFunc(out, func(x *rightPlay) bool { return x.name == name })
		if at < 0 {
			out, at = append(out, &rightPlay{name: name}), len(out)
		}
		out[at].group = append(out[at].group, s)
	}
	return out
}

// moves are the verdicts that the group lists for a plan.
func (x *rightPlay) moves(t *testing.T, plan string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, s := range x.group {
		for _, m := range s.moves {
			what, reason, _ := strings.Cut(m, ": ")
			words := strings.Fields(what)
			if reason == "" || len(words) != 3 {
				t.Errorf("%q: %q is no PLAN STEP/CHECK VERDICT: reason", s.variant, m)
				continue
			}
			if slices.Contains(strings.Split(words[0], ","), plan) {
				out[words[1]+" "+words[2]] = false
			}
		}
	}
	return out
}

// compare holds the verdicts on a group of variants against those on the reference payer.
func (x *rightPlay) compare(t *testing.T, plan string, usual map[string]testplans.Result) {
	if x.err != nil {
		t.Fatal(x.err)
	}
	for _, o := range x.outcomes {
		if o.State != play.Played {
			t.Errorf("act %s is %s: %s", o.Act, o.State, o.Why)
		}
	}
	for _, s := range x.group {
		if !x.occurred[s.variant] && s.plans != "" {
			t.Errorf("%q did not occur", s.variant)
		}
	}
	moves := x.moves(t, plan)
	for _, id := range slices.Sorted(maps.Keys(usual)) {
		was, is := usual[id], x.verdicts[id]
		if is.Verdict == was.Verdict {
			continue
		}
		move := id + " " + string(is.Verdict)
		if _, listed := moves[move]; listed && is.Verdict != testplans.Fail && is.Verdict != testplans.ToolError {
			moves[move] = true
			continue
		}
		t.Errorf("%s (%s, %s) is %s, was %s: %s", id, is.Strength, is.Side, is.Verdict, was.Verdict, is.Message)
	}
	for m, seen := range moves {
		if !seen {
			t.Errorf("%s is listed and did not occur", m)
		}
	}
}
