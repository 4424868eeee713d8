package checks

import (
	"bytes"
	"context"
	"crypto/sha256"
	"reflect"
	"slices"
	"strings"

	"fhirwire/proxy"
	"fhirwire/proxy/coding"
	"fhirwire/testplans"
	"fhirwire/validators/coverage"
	"fhirwire/validators/fhirjson"
)

// counting is what checks that count over the same exchanges have counted together. An answer that repeats what was counted cannot show
// anything new: of such a resource, or such a body, only the number grows.
type counting struct {
	checks  []*testplans.Check
	tallies []*covering // of the checks, in their order
	lists   []usedList  // of the checks
	// counted says of the exchanges that were counted for which tallies they had resources.
	counted map[*proxy.Exchange]tallySet
	// resources and bodies are some of those that were counted.
	resources map[textDigest]known
	bodies    map[bodyForm][]share
}

// The bounds of what a counting remembers: beyond them it forgets, and counts what comes again as if it were new.
const (
	maxKnownResources = 1 << 18 // some 40 bytes each
	maxKnownBodies    = 1 << 14
	maxTogether       = 32 // checks, as many as a tallySet has
)

// usedList are those of the attempts that have resources for a check, which grow at their end where the attempts do.
type usedList struct{ attempts, used []Item }

// covering is the tally of one check, which grows with its attempts.
type covering struct {
	check *testplans.Check
	typ   string // the profile's
	tally *coverage.Collector
	again int  // resources that are not in tally, since they show nothing new
	full  bool // there are no gaps any more
	doubt string
	// alone says that the condition, if any, asks about the resource alone, and not about where it is or what else is known.
	alone bool
}

// tallySet are tallies of a counting, a bit each.
type tallySet uint32

// textDigest is of a resource as it is written.
type textDigest [16]byte

// known says of a resource which tallies it was offered to, and which of those count it.
type known struct{ told, counts tallySet }

// bodyForm is a body as it is read.
type bodyForm struct {
	digest  proxy.Digest
	codings string
	lines   bool
}

// share are the resources of a body that a tally counts.
type share struct{ tally, resources int }

// Together tells the desk which checks of a plan count over the same exchanges: each file is then read once for all of them.
func (d *Desk) Together(plan *testplans.Plan) {
	type same struct {
		sel   *testplans.Select
		group *counting
	}
	var all []same
	for i := range plan.Steps {
		step := &plan.Steps[i]
		for k := range step.Checks {
			check := &step.Checks[k]
			if check.Covers == nil {
				continue
			}
			at := slices.IndexFunc(all, func(o same) bool {
				return len(o.group.checks) < maxTogether && reflect.DeepEqual(o.sel, &step.Select)
			})
			if at < 0 {
				at = len(all)
				all = append(all, same{&step.Select, &counting{}})
			}
			g := all[at].group
			g.checks = append(g.checks, check)
			d.countings[check] = g
		}
	}
}

// countingOf is the counting of a check so far.
func (d *Desk) countingOf(check *testplans.Check, defs definitions) *counting {
	g := d.countings[check]
	if g == nil {
		g = &counting{checks: []*testplans.Check{check}}
		d.countings[check] = g
	}
	if g.tallies == nil {
		g.begin(defs)
	}
	return g
}

// begin starts without anything counted.
func (g *counting) begin(defs definitions) {
	g.tallies, g.lists = make([]*covering, len(g.checks)), make([]usedList, len(g.checks))
	for i, check := range g.checks {
		g.tallies[i] = &covering{check: check, tally: coverage.New(defs, defs.Terms()), alone: asksAlone(check.Covers.Where)}
		if p, ok := defs.Profile(check.Covers.Profile); ok {
			g.tallies[i].typ = p.Type
		}
	}
	g.counted, g.resources, g.bodies = map[*proxy.Exchange]tallySet{}, map[textDigest]known{}, map[bodyForm][]share{}
}

func asksAlone(expr string) bool {
	return !strings.Contains(expr, "%") && !strings.Contains(expr, "resolve")
}

func (g *counting) indexOf(check *testplans.Check) int { return slices.Index(g.checks, check) }

func (g *counting) of(check *testplans.Check) *covering { return g.tallies[g.indexOf(check)] }

// countAll counts the attempts that were not counted yet, for all checks of the counting, and gives those with resources for this check.
// Where exchanges were counted that are no attempts any more, all are counted anew.
func (c *Case) countAll(ctx context.Context, g *counting, defs definitions) (used []Item, err error) {
	at := g.indexOf(c.Check)
	mine := tallySet(1) << at
	for range 2 {
		list := &g.lists[at]
		if !begins(c.Attempts, list.attempts) {
			*list = usedList{}
		}
		for _, it := range c.Attempts[len(list.attempts):] {
			set, done := g.counted[it.Exchange]
			if !done {
				if set, err = c.count(ctx, g, it); err != nil {
					*list = usedList{}
					return nil, err
				}
				g.counted[it.Exchange] = set
			}
			if set&mine != 0 {
				list.used = append(list.used, it)
			}
		}
		list.attempts, used = c.Attempts, slices.Clip(list.used)
		if len(g.counted) <= len(c.Attempts) {
			break
		}
		g.begin(defs)
	}
	return used, nil
}

// tallying is the counting of one answer.
type tallying struct {
	*counting

	desk  *Desk
	sub   coverage.Subject
	count []int // resources, by tally
	vague bool  // a condition could not be told
}

// count adds the resources of one answer to the tallies: the resource itself, those of a Bundle, or each line of a file.
func (c *Case) count(ctx context.Context, g *counting, it Item) (set tallySet, err error) {
	if status := it.Exchange.Status(); status < 200 || status > 299 {
		return 0, nil
	}
	t := tallying{counting: g, desk: c.Desk, sub: coverage.Subject{ID: it.Exchange.ID}, count: make([]int, len(g.tallies))}
	header := it.Exchange.Response.Header
	form := bodyForm{it.Exchange.Response.Body.Digest, strings.Join(coding.Of(header), ","), strings.Contains(header.Get("Content-Type"), "ndjson")}
	if shares, ok := g.bodies[form]; ok && isWhole(&it.Exchange.Response.Body) {
		for _, s := range shares {
			g.tallies[s.tally].again += s.resources
			set |= 1 << s.tally
		}
		return set, nil
	}
	body, err := c.Desk.Body(ctx, it, testplans.OnResponse)
	if err != nil {
		return 0, err
	}
	why := body.Why
	if why == "" && !body.Empty() {
		why = t.body(ctx, body, form.lines)
	}
	var shares []share
	for i, n := range t.count {
		if n > 0 {
			set |= 1 << i
			shares = append(shares, share{i, n})
		}
	}
	if why != "" {
		for _, o := range g.tallies {
			o.doubt = why
		}
	}
	if why == "" && !t.vague && isWhole(&it.Exchange.Response.Body) {
		if len(g.bodies) >= maxKnownBodies {
			clear(g.bodies)
		}
		g.bodies[form] = shares
	}
	return set, nil
}

// isWhole reports a body that was kept as it passed, so that its digest tells it.
func isWhole(b *proxy.Body) bool {
	return b.Digest != "" && b.Withheld == "" && !b.Redacted && b.Complete && b.Stored > 0 && !b.Truncated()
}

// body counts the resources of a body and says what keeps some of them from it.
func (t *tallying) body(ctx context.Context, body *Body, lines bool) (why string) {
	if lines {
		scan := fhirjson.NewLineScanner(bytes.NewReader(body.Text), maxLine)
		for scan.Scan() {
			line := scan.Line().Bytes
			if found, ok := skimLine(line); ok {
				t.written(ctx, found)
				continue
			}
			doc := fhirjson.Parse(line)
			if doc.Fatal() == nil {
				t.resource(ctx, doc.Root(), nil)
			}
			doc.Release()
		}
		if err := scan.Err(); err != nil {
			return err.Error()
		}
		return ""
	}
	if body.doc == nil && !slices.ContainsFunc(t.tallies, func(o *covering) bool { return !o.alone }) {
		if found, ok := skim(body.Text); ok {
			for _, r := range found {
				t.written(ctx, r)
			}
			return ""
		}
	}
	root, fault := body.JSON()
	if fault != "" {
		return "" // a check of the body says so
	}
	if root.ResourceType() != "Bundle" {
		t.resource(ctx, root, nil)
		return ""
	}
	for e := range children(root.Member("entry")) {
		t.resource(ctx, e.Member("resource"), nil)
	}
	return ""
}

// written counts a resource by its text, which is parsed only where that may show something.
func (t *tallying) written(ctx context.Context, r skimmed) {
	var open tallySet
	for i, o := range t.tallies {
		switch {
		case o.typ != string(r.typ):
		case o.full && o.check.Covers.Where == "":
			t.repeat(i)
		default:
			open |= 1 << i
		}
	}
	if open == 0 {
		return
	}
	sum := sha256.Sum256(r.text)
	key := textDigest(sum[:])
	was := t.resources[key]
	for i := range t.tallies {
		if was.counts&open&(1<<i) != 0 {
			t.repeat(i)
		}
	}
	if open &^= was.told; open == 0 {
		return
	}
	doc := fhirjson.Parse(r.text)
	defer doc.Release()
	now := t.resource(ctx, doc.Root(), func(i int) bool { return open&(1<<i) != 0 })
	if len(t.resources) >= maxKnownResources {
		clear(t.resources)
	}
	t.resources[key] = known{told: was.told | now.told, counts: was.counts | now.counts}
}

func (t *tallying) repeat(i int) {
	t.tallies[i].again++
	t.count[i]++
}

// resource offers a resource to the tallies of its type, those that only lets through, and says what came of it. What is known holds for
// the same text again.
func (t *tallying) resource(ctx context.Context, r *fhirjson.Node, only func(int) bool) (out known) {
	if r == nil {
		return out
	}
	typ := r.ResourceType()
	for i, o := range t.tallies {
		if o.typ != typ || only != nil && !only(i) {
			continue
		}
		ok, err := true, error(nil)
		if expr := o.check.Covers.Where; expr != "" {
			if ok, err = t.desk.Truth(ctx, expr, r); err != nil {
				o.doubt, t.vague = "whether a resource is of the profile could not be told: "+err.Error(), true
				continue
			}
		}
		if o.alone {
			out.told |= 1 << i
		} else {
			t.vague = true
		}
		if ok && o.tally.Add(t.sub, r, o.check.Covers.Profile) {
			t.count[i]++
			if o.alone {
				out.counts |= 1 << i
			}
		}
	}
	return out
}
