package coverage

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/profile"
	"fhirwire/validators/terminology"
)

// Definitions find profiles; *profile.Set does.
type Definitions interface {
	Profile(canonical string) (*profile.Profile, bool)
}

// Terminology answers whether a code is in a value set, for slices told apart by a binding.
type Terminology interface {
	Member(valueSet, system, code string) terminology.Answer
}

// Subject is a resource that is counted. Of two evidences the one with the lower Order is kept; ID is opaque.
type Subject struct {
	ID    string
	Order int64
}

// Kind sorts what a profile wants supported.
type Kind string

// The kinds.
const (
	KindElement   Kind = "element"
	KindChoice    Kind = "choice" // an element of several types, or one of its types
	KindSlice     Kind = "slice"
	KindExtension Kind = "extension"
)

// Evidence is where something was seen first.
type Evidence struct {
	Subject string `json:"subject"`
	Pointer string `json:"pointer"`
	Line    int    `json:"line"`

	order int64
}

// Item is one thing that a profile wants supported.
type Item struct {
	// ID is the element's id in the snapshot: "Observation.component:SystolicBP.value[x]".
	ID   string `json:"id"`
	Kind Kind   `json:"kind"`
	// URL is an extension's.
	URL string `json:"url,omitempty"`
	// Required says that min is 1 or more.
	Required bool `json:"required,omitempty"`
	// Seen is nil for what did not occur.
	Seen *Evidence `json:"seen,omitempty"`
	// Types are the types of a choice, or the types named by a reference, that were seen.
	Types map[string]Evidence `json:"types,omitempty"`
	// Alternative is the id of the item that was seen in its stead.
	Alternative string `json:"alternative,omitempty"`
	// Unclear says why it cannot be told whether it occurs; it is then neither seen nor missing.
	Unclear string `json:"unclear,omitempty"`
}

// Covered reports whether the item, or an alternative to it, was seen.
func (i *Item) Covered() bool { return i.Seen != nil || i.Alternative != "" }

// Profile is the tally of one profile.
type Profile struct {
	URL     string `json:"url"` // with |version
	Type    string `json:"type"`
	Package string `json:"package,omitempty"`
	// Resources counts those that were held against it.
	Resources int    `json:"resources"`
	Items     []Item `json:"items"`
}

// Missing lists what did not occur and could be told.
func (p *Profile) Missing() []Item {
	return slices.DeleteFunc(slices.Clone(p.Items), func(i Item) bool { return i.Covered() || i.Unclear != "" })
}

// Collector counts. It is safe for concurrent use.
type Collector struct {
	defs  Definitions
	terms Terminology

	mu       sync.Mutex
	profiles map[*profile.Profile]*tally
	byName   map[string]*tally // canonical as given; nil for none
}

// New makes an empty Collector.
func New(defs Definitions, terms Terminology) *Collector {
	return &Collector{defs: defs, terms: terms, profiles: map[*profile.Profile]*tally{}, byName: map[string]*tally{}}
}

// tally is what was seen of one profile.
type tally struct {
	prof *profile.Profile
	plan *plan
	// first is the order of each item's evidence, so that a look decides whether a walk is worth it.
	first     []atomic.Int64
	resources atomic.Int64

	mu    sync.Mutex
	seen  []Evidence
	types []map[string]Evidence
}

func (c *Collector) tallyOf(canonical string) *tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok := c.byName[canonical]; ok {
		return t
	}
	prof, ok := c.defs.Profile(canonical)
	if !ok || !prof.Constraint || prof.Root == nil {
		return nil
	}
	t := c.profiles[prof]
	if t == nil {
		t = newTally(prof, newPlan(c.defs, c.terms, prof))
		c.profiles[prof] = t
	}
	c.byName[strings.Clone(canonical)] = t
	return t
}

func newTally(prof *profile.Profile, p *plan) *tally {
	t := &tally{prof: prof, plan: p}
	t.first = make([]atomic.Int64, len(p.items))
	for i := range t.first {
		t.first[i].Store(math.MaxInt64)
	}
	t.seen = make([]Evidence, len(p.items))
	t.types = make([]map[string]Evidence, len(p.items))
	return t
}

// Add counts one resource, which may lie within a larger document, for one profile. It reports whether the profile is at hand and
// constrains the resource's type; base types have nothing to count.
func (c *Collector) Add(s Subject, resource *fhirjson.Node, canonical string) bool {
	t := c.tallyOf(canonical)
	if t == nil || resource.ResourceType() != t.prof.Type {
		return false
	}
	t.resources.Add(1)
	w := walk{t: t, s: s}
	for _, n := range t.plan.nodes {
		w.element(n, resource)
	}
	return true
}

// mark notes that an item occurs at n.
func (t *tally) mark(item int, s Subject, n *fhirjson.Node) {
	if t.first[item].Load() <= s.Order {
		return
	}
	e := Evidence{Subject: strings.Clone(s.ID), Pointer: n.Pointer(), Line: n.Position().Line, order: s.Order}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keep(item, e)
}

func (t *tally) keep(item int, e Evidence) {
	if e.order < t.first[item].Load() {
		t.seen[item] = e
		t.first[item].Store(e.order)
	}
}

// markType notes the type of a choice or of a reference's target.
func (t *tally) markType(item int, name string, s Subject, n *fhirjson.Node) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if was, ok := t.types[item][name]; ok && was.order <= s.Order {
		return
	}
	t.keepType(item, strings.Clone(name), Evidence{Subject: strings.Clone(s.ID), Pointer: n.Pointer(), Line: n.Position().Line, order: s.Order})
}

func (t *tally) keepType(item int, name string, e Evidence) {
	if was, ok := t.types[item][name]; ok && was.order <= e.order {
		return
	}
	if t.types[item] == nil {
		t.types[item] = map[string]Evidence{}
	}
	t.types[item][name] = e
}

// Merge adds what o has counted. Both must be over the same definitions; o must be at rest.
func (c *Collector) Merge(o *Collector) {
	o.mu.Lock()
	theirs := maps.Clone(o.profiles)
	o.mu.Unlock()
	for prof, from := range theirs {
		c.mu.Lock()
		to := c.profiles[prof]
		if to == nil {
			to = newTally(prof, from.plan)
			c.profiles[prof] = to
		}
		c.mu.Unlock()
		to.resources.Add(from.resources.Load())
		from.mu.Lock()
		to.mu.Lock()
		for i := range from.seen {
			if from.first[i].Load() != math.MaxInt64 {
				to.keep(i, from.seen[i])
			}
			for name, e := range from.types[i] {
				to.keepType(i, name, e)
			}
		}
		to.mu.Unlock()
		from.mu.Unlock()
	}
}

// Report is the tally so far, by profile url and version.
func (c *Collector) Report() []Profile {
	c.mu.Lock()
	all := slices.Collect(maps.Values(c.profiles))
	c.mu.Unlock()
	out := make([]Profile, 0, len(all))
	for _, t := range all {
		if t.resources.Load() > 0 {
			out = append(out, t.report())
		}
	}
	slices.SortFunc(out, func(a, b Profile) int { return cmp.Compare(a.URL, b.URL) })
	return out
}

func (t *tally) report() Profile {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := Profile{URL: t.prof.URL, Type: t.prof.Type, Package: t.prof.Package, Resources: int(t.resources.Load()), Items: slices.Clone(t.plan.items)}
	if t.prof.Version != "" {
		p.URL += "|" + t.prof.Version
	}
	for i := range p.Items {
		if t.first[i].Load() != math.MaxInt64 {
			e := t.seen[i]
			p.Items[i].Seen = &e
		}
		if len(t.types[i]) > 0 {
			p.Items[i].Types = maps.Clone(t.types[i])
		}
	}
	for _, group := range t.plan.anyOf {
		at := slices.IndexFunc(group, func(i int) bool { return p.Items[i].Seen != nil })
		if at < 0 {
			continue
		}
		for _, i := range group {
			if p.Items[i].Seen == nil {
				p.Items[i].Alternative = p.Items[group[at]].ID
			}
		}
	}
	return p
}
