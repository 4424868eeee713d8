package synth

import (
	"bytes"
	"iter"
	"math/rand/v2"
	"slices"
	"time"
)

// Resource is one generated FHIR resource. JSON belongs to the receiver.
type Resource struct {
	Type, ID string
	JSON     []byte
}

// Options choose the data. The zero value gives the fixed members only, on a fixed day.
type Options struct {
	Seed uint64
	// Members is how many members are made beside the fixed ones.
	Members int
	// Today is the last day of every history. Default 2026-02-02, so that the data are the same on every machine.
	Today time.Time
	// LargeObservations is how many observations the very large member has on top of a normal record. Default 2000.
	LargeObservations int
}

// Generator makes one data set. It is immutable: All may be ranged over many times and at once.
type Generator struct {
	opt Options
	net network
}

// New prepares a generator.
func New(opt Options) *Generator {
	if opt.Today.IsZero() {
		opt.Today = time.Date(2026, 2, 2, 0, 0, 0, 0, time.UTC)
	}
	opt.Today = opt.Today.UTC().Truncate(24 * time.Hour)
	if opt.LargeObservations == 0 {
		opt.LargeObservations = 2000
	}
	opt.Members = max(opt.Members, 0)
	return &Generator{opt: opt, net: makeNetwork(opt)}
}

// All streams the data set: providers, the plan with its formularies, then member after member, then the attribution Groups.
func (g *Generator) All() iter.Seq[Resource] {
	return func(yield func(Resource) bool) {
		b := &builder{today: g.opt.Today, net: &g.net, large: g.opt.LargeObservations, yield: yield}
		b.providers()
		b.drugCoverage()
		groups := newRoster(&g.net)
		for m := range g.members() {
			if b.stopped {
				return
			}
			groups.add(m)
			b.member(m)
		}
		if !b.stopped {
			b.groups(groups)
		}
	}
}

// MemberIDs are the Patient ids in the order of All.
func (g *Generator) MemberIDs() iter.Seq[string] {
	return func(yield func(string) bool) {
		for m := range g.members() {
			if !yield(m.id) {
				return
			}
		}
	}
}

func (g *Generator) members() iter.Seq[*member] {
	return func(yield func(*member) bool) {
		for _, m := range fixedMembers(g) {
			if !yield(m) {
				return
			}
		}
		for i := range g.opt.Members {
			if !yield(g.generated(i)) {
				return
			}
		}
	}
}

// random is the source of everything about one member.
func (g *Generator) random(stream uint64) *rand.Rand {
	return rand.New(rand.NewPCG(g.opt.Seed, stream*0x9e3779b97f4a7c15+1))
}

// builder writes resources one at a time.
type builder struct {
	w       writer
	today   time.Time
	net     *network
	large   int
	yield   func(Resource) bool
	stopped bool

	typ, id string
	last    time.Time // lastUpdated of the resource being written

	// links of the member being written
	made []string // clinical resources since the last Provenance
}

// begin opens a resource: id, meta and narrative. event is when it came to be; the plan knows of it a few days later.
func (b *builder) begin(typ, id string, event time.Time, summary string, profiles ...string) {
	b.open(typ, id, event, profiles)
	b.closeMeta(summary)
}

func (b *builder) open(typ, id string, event time.Time, profiles []string) {
	b.typ, b.id = typ, id
	w := &b.w
	w.b = append(w.b[:0], '{')
	w.str("resourceType", typ)
	w.str("id", id)
	b.last = event.Add(time.Duration(20+len(id)%7*11) * time.Hour)
	if b.last.After(b.today) {
		b.last = b.today
	}
	w.obj("meta")
	w.instant("lastUpdated", b.last)
	if len(profiles) > 0 {
		w.list("profile")
		for _, p := range profiles {
			w.str("", p)
		}
		w.endList()
	}
}

func (b *builder) closeMeta(summary string) {
	b.w.end()
	b.w.narrative(summary)
}

// done closes the resource, hands it out and returns its relative reference.
func (b *builder) done() string {
	b.w.end()
	ref := b.typ + "/" + b.id
	if !b.stopped {
		b.stopped = !b.yield(Resource{Type: b.typ, ID: b.id, JSON: bytes.Clone(b.w.b)})
	}
	return ref
}

// clinical is done for a resource that a Provenance is to name.
func (b *builder) clinical() string {
	ref := b.done()
	b.made = append(b.made, ref)
	return ref
}

// take empties the list of resources that wait for a Provenance.
func (b *builder) take() []string {
	made := slices.Clone(b.made)
	b.made = b.made[:0]
	return made
}
