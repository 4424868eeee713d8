package instance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/profile"
)

// ErrWhole is wrapped by the error of ValidateBundle for an input that has to be validated as one document; the text says why.
// Nothing was validated then, and ValidateDocument gives the report.
var ErrWhole = errors.New("to be validated in one piece")

// StreamOptions tune ValidateBundle.
type StreamOptions struct {
	// Workers is how many entries are validated at the same time; 0 is 1.
	Workers int
	// Visit, when set, is called with every resource and the profiles it was held against, before the resource is forgotten; by
	// several goroutines where there are several workers.
	Visit func(resource *fhirjson.Node, profiles []validators.ProfileChoice)
}

// ValidateBundle is ValidateDocument for a Bundle that is too large to be held in memory: the same report, with the memory of a
// few entries and of an index, some 60 bytes an entry. The input is read two or three times and must not change meanwhile.
func (v *Validator) ValidateBundle(ctx context.Context, src fhirjson.Input, o StreamOptions, profiles ...string) (validators.Report, error) {
	split, err := fhirjson.SplitArray(ctx, src, "entry")
	if err != nil {
		if errors.Is(err, fhirjson.ErrNotSplit) {
			return validators.Report{}, fmt.Errorf("%w: %w", err, ErrWhole)
		}
		return validators.Report{}, err
	}
	big := &bigBundle{src: src, split: split, visit: o.Visit}
	first, err := v.streamWalk(ctx, big)
	if err != nil {
		return validators.Report{}, err
	}
	defer v.done(first)
	if fatal, err := big.build(ctx, first, max(1, o.Workers)); err != nil || fatal != nil {
		return first.fatalReport(fatal), err
	}
	sequential, err := first.divisible(profiles)
	if err != nil {
		return validators.Report{}, err
	}
	first.stream.prepare()
	if typ := first.stream.index.typ; typ == "document" || typ == "message" {
		if err := first.stream.findOrphans(); err != nil {
			return validators.Report{}, err
		}
	}
	walks := []*walk{first}
	for n := o.Workers; n > 1 && !sequential; n-- {
		w, err := v.streamWalk(ctx, big)
		if err != nil {
			return validators.Report{}, err
		}
		defer v.done(w)
		w.stream.echo, w.stream.outside = true, true
		w.stream.prepare()
		walks = append(walks, w)
	}
	return runStreams(ctx, walks, profiles)
}

func (v *Validator) streamWalk(ctx context.Context, big *bigBundle) (*walk, error) {
	doc, list := fhirjson.ParseAround(big.split.Before, big.split.After, big.split.Rest)
	root := doc.Root()
	if list == nil || list.Parent() != root || root.Member("entry") != list || root.Member("_entry") != nil || len(big.split.Items) == 0 {
		return nil, fmt.Errorf("an array of entries that is not the Bundle's: %w", ErrWhole)
	}
	if fatal := doc.Fatal(); fatal != nil && (!big.split.Cut || fatal.Offset < len(big.split.Before)) || hasComment(doc) {
		return nil, fmt.Errorf("what stands around the entries is no JSON: %w", ErrWhole)
	}
	if root.ResourceType() != "Bundle" && !big.split.Cut {
		return nil, fmt.Errorf("a %s, not a Bundle: %w", root.ResourceType(), ErrWhole)
	}
	w := v.walk(ctx, doc)
	w.stream = &stream{bigBundle: big, walk: w, frame: doc, bundle: root, list: list, cur: -1, tried: map[streamTrial]bool{}, folds: map[uncheckedKey]int{}}
	w.stream.index = &bundleIndex{typ: root.MemberText("type"), stream: w.stream}
	return w, nil
}

// hasComment reports a comment, which can hide brackets from SplitArray.
func hasComment(doc *fhirjson.Document) bool {
	return slices.ContainsFunc(doc.Problems(), func(p fhirjson.Problem) bool { return p.ID == fhirjson.ProblemComment })
}

// stream is one walk's view of a Bundle that is read entry by entry: a frame with everything but the entries, and in it the entry
// the walk is at.
type stream struct {
	*bigBundle
	walk   *walk
	frame  *fhirjson.Document
	bundle *fhirjson.Node
	list   *fhirjson.Node // the array of entries, which shows one
	index  *bundleIndex

	cur     int // the entry shown, -1 for none
	doc     *fhirjson.Document
	entry   *fhirjson.Node
	buf     []byte
	fetched []fetchedEntry // targets of references, oldest first
	tried   map[streamTrial]bool
	err     error // of reading

	verdicts map[*invariant]*verdict
	want     []string // types searched for

	join    func() // waits for the other walks and learns from them
	echo    bool   // another walk reports what is outside of the entries
	outside bool   // of the entries, in an echo
	folds   map[uncheckedKey]int
	once    []onceFinding
	kept    [4][]keptIssue // by rank
	total   int            // findings that are not in once
	sum     validators.Summary
	rows    []keptRow
	errors  int // of the Bundle itself
	warns   int
}

// prepare readies the stream for the rules that divisible found.
func (s *stream) prepare() {
	s.verdicts = make(map[*invariant]*verdict, len(s.each))
	for _, inv := range s.each {
		s.verdicts[inv] = new(verdict)
	}
	if s.index.typ == "searchset" {
		s.want = s.walk.searchedTypes(selfLink(s.bundle))
	}
}

type streamTrial struct {
	at      int
	profile *profile.Profile
}

// verdict is what a rule of the Bundle that holds of a Bundle when it holds of each entry came to.
type verdict struct {
	broken bool
	err    error
}

// mute is true where another walk says the same.
func (s *stream) mute() bool { return s != nil && s.outside }

// lasting is a text that outlives the entry.
func (w *walk) lasting(s string) string {
	if w.stream != nil {
		return strings.Clone(s)
	}
	return s
}

// load parses an entry into buf, or into memory of its own.
func (s *stream) load(i int, buf []byte) (*fhirjson.Document, []byte, error) {
	item := &s.split.Items[i]
	if cap(buf) < item.Len() {
		buf = make([]byte, item.Len())
	}
	buf = buf[:item.Len()]
	if n, err := s.src.ReadAt(buf, item.Offset); n < len(buf) {
		return nil, buf, fmt.Errorf("entry %d: %w", i, err)
	}
	doc := fhirjson.ParseAt(buf, item.Position(), fhirjson.Limits{Around: 2})
	if root := doc.Root(); root != nil {
		s.list.Adopt(root, i)
	}
	return doc, buf, nil
}

// show makes an entry the one that is in the frame.
func (s *stream) show(i int) bool {
	if s.cur == i {
		return true
	}
	s.hide()
	doc, buf, err := s.load(i, s.buf)
	s.buf = buf
	if err == nil && (doc.Root() == nil || doc.Fatal() != nil) {
		err = fmt.Errorf("entry %d: the input changed while it was read", i)
	}
	if err != nil {
		s.err = err
		return false
	}
	s.cur, s.doc, s.entry = i, doc, doc.Root()
	s.list.Show(s.entry, len(s.split.Items))
	return true
}

// hide forgets the entry and everything that points into it.
func (s *stream) hide() {
	if s.cur < 0 {
		return
	}
	w := s.walk
	clear(w.tried)
	clear(w.fits)
	clear(w.containers)
	clear(w.bundles)
	s.list.Show(nil, len(s.split.Items))
	s.doc.Release()
	s.cur, s.doc, s.entry = -1, nil, nil
	const keep = 1 << 20
	if cap(s.buf) > keep {
		s.buf = nil
	}
}

type fetchedEntry struct {
	at       int
	resource *fhirjson.Node
	size     int
}

const (
	maxFetched      = 32
	maxFetchedBytes = 4 << 20
	maxTried        = 1 << 16
)

// fetch is the resource of an entry that a reference leads to.
func (s *stream) fetch(i int) *fhirjson.Node {
	if i == s.cur {
		return s.entry.Member("resource")
	}
	for _, f := range s.fetched {
		if f.at == i {
			return f.resource
		}
	}
	doc, _, err := s.load(i, nil)
	if err != nil || doc.Root() == nil {
		s.err = errors.Join(s.err, err)
		return nil
	}
	r := doc.Root().Member("resource")
	size := s.split.Items[i].Len()
	for _, f := range s.fetched {
		size += f.size
	}
	for len(s.fetched) > 0 && (len(s.fetched) >= maxFetched || size > maxFetchedBytes) {
		size -= s.fetched[0].size
		s.fetched = append(s.fetched[:0], s.fetched[1:]...)
	}
	s.fetched = append(s.fetched, fetchedEntry{i, r, s.split.Items[i].Len()})
	return r
}

func (s *stream) remember(key streamTrial, ok bool) {
	if len(s.tried) >= maxTried {
		clear(s.tried)
	}
	s.tried[key] = ok
}

// entries walks the entries of the Bundle, or those that the other walks leave to this one.
func (w *walk) entries(m *member, acts []*plan, counts []int32, runs []run) {
	s := w.stream
	base, typ := acts[0], s.index.typ
	for w.ctx.Err() == nil && s.err == nil {
		i := int(s.next.Add(1)) - 1
		if i >= len(s.split.Items) || !s.show(i) {
			break
		}
		s.outside = false
		w.doc = s.doc
		findings, rows := len(w.findings), len(w.resources)
		w.problems(s.allowed(i, s.doc.Problems()), s.entry)
		w.item(s.entry, m, acts, runs)
		w.streamedEntry(i, typ, base)
		pins := w.pins
		w.pins = nil
		w.settle()
		w.pins = pins
		clear(w.pending)
		w.pending = w.pending[:0]
		w.scope.result = 0
		s.deliver(i, findings, rows)
		w.doc, s.outside = s.frame, s.echo
	}
	if s.join != nil {
		s.join()
	}
	counts[m.slot] = int32(len(s.split.Items))
	if w.ctx.Err() == nil && s.err == nil {
		s.show(0) // which rules of the Bundle may look at
	}
}

// streamedEntry is what bundleRules and the rules of the Bundle say about one entry.
func (w *walk) streamedEntry(i int, typ string, base *plan) {
	s := w.stream
	e := &s.records[i]
	if e.flags&entryURLTwice != 0 && typ != "history" {
		w.fullURLTwice(s.bundle, s.entry, w.lasting(versionedURL(s.entry)), base)
	}
	w.entry(s.entry, typ, base)
	switch {
	case e.flags&entryOrphan != 0:
		w.orphan(s.entry, s.entry.Member("resource").ResourceType(), e.flags&entryBackward != 0, base)
	case typ == "searchset":
		w.searchEntry(s.entry, s.want, base)
	}
	for inv, v := range s.verdicts {
		if v.broken || v.err != nil {
			continue
		}
		x, err := w.v.expression(inv.expr, inv.Expression)
		ok := false
		if err == nil {
			w.env.Resource, w.env.RootResource, w.env.Context, w.env.FocusType = s.bundle, s.bundle, s.bundle, base.fpType
			ok, err = x.Truth(w.ctx, s.bundle, w.env)
		}
		v.broken, v.err = err == nil && !ok, err
	}
}

// streamed reports what a rule came to over all entries.
func (w *walk) streamed(v *verdict, p *plan, inv *invariant) {
	switch {
	case v.err != nil:
		w.uncheckable(w.stream.bundle, p, inv, v.err)
	case v.broken:
		w.breaks(w.stream.bundle, p, inv)
	}
}

// bigBundle is what the walks over one streamed Bundle share.
type bigBundle struct {
	src   fhirjson.Input
	split *fhirjson.Split
	visit func(*fhirjson.Node, []validators.ProfileChoice)
	next  atomic.Int64 // entry that is to be validated
	each  []*invariant // rules of the Bundle that hold of it when they hold of every entry
	bigIndex
}
