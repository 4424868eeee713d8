package instance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"fhirwire/validators/fhirjson"
)

// entryRecord is what is known of an entry that is not in memory.
type entryRecord struct {
	url, local uint64 // hashes of fullUrl and of Type/id, 0 for none
	typ        uint16 // in types
	flags      entryFlags
	problems   uint8 // of form
}

type entryFlags uint8

const (
	entrySomeURL     entryFlags = 1 << iota
	entryAbsoluteURL            // of a form that references can use
	entryURLTwice               // the second with its fullUrl and version
	entryResource               // has a resource that is an object
	entryOrphan
	entryBackward // an orphan that leads to what is reached
)

// bigIndex finds the entries of a Bundle by what references name. It keeps hashes of 64 bits with a seed of its own: two that are
// equal by chance are not to be expected in a Bundle of any size.
type bigIndex struct {
	seed           maphash.Seed
	records        []entryRecord
	types          []string
	byURL, byLocal []int32 // entries by hash, then in order
	questionnaires []namedEntry
	elementIDs     bool // some entry has element ids outside of its resource

	anchorsOnce sync.Once
	anchored    map[uint64]bool
}

type namedEntry struct {
	url string
	at  int
}

// indexer is one goroutine's share of build.
type indexer struct {
	b       *bigBundle
	twice   []uint64 // hashes of versionedURL
	mu      *sync.Mutex
	typeNos map[string]uint16
	buf     []byte
}

// build parses every entry once. It gives the first document that is no JSON, and an error where the entries are not what
// SplitArray took them for.
func (b *bigBundle) build(ctx context.Context, w *walk, workers int) (*fhirjson.Document, error) {
	n := len(b.split.Items)
	b.seed, b.records = maphash.MakeSeed(), make([]entryRecord, n)
	b.types = []string{""}
	twice, mu, typeNos := make([]uint64, n), new(sync.Mutex), map[string]uint16{"": 0}
	var next atomic.Int64
	var wg sync.WaitGroup
	var fatal *fhirjson.Document
	fatalAt := n
	var errs []error
	for range min(workers, runtime.GOMAXPROCS(0)) {
		x := &indexer{b: b, twice: twice, mu: mu, typeNos: typeNos}
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				doc, err := x.entry(i)
				if doc == nil && err == nil {
					continue
				}
				mu.Lock()
				if err != nil {
					errs = append(errs, err)
				} else if i < fatalAt {
					fatal, fatalAt = doc, i
				}
				mu.Unlock()
				return
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if fatal != nil {
		return fatal, nil
	}
	if b.split.Cut {
		return w.doc, nil // which says where it ends
	}
	slices.SortFunc(b.questionnaires, func(a, c namedEntry) int { return cmp.Compare(a.at, c.at) })
	b.byURL = b.sorted(func(i int32) uint64 { return b.records[i].url })
	b.byLocal = b.sorted(func(i int32) uint64 { return b.records[i].local })
	b.findTwice(twice)
	return nil, nil
}

// entry indexes one entry, and gives its document where that is no JSON.
func (x *indexer) entry(i int) (*fhirjson.Document, error) {
	b := x.b
	item := &b.split.Items[i]
	if cap(x.buf) < item.Len() {
		x.buf = make([]byte, item.Len())
	}
	buf := x.buf[:item.Len()]
	if n, err := b.src.ReadAt(buf, item.Offset); n < len(buf) {
		return nil, fmt.Errorf("entry %d: %w", i, err)
	}
	doc := fhirjson.ParseAt(buf, item.Position(), fhirjson.Limits{Around: 2})
	half := b.split.Cut && i == len(b.split.Items)-1
	switch fatal := doc.Fatal(); {
	case hasComment(doc):
		return nil, fmt.Errorf("entry %d: a comment: %w", i, ErrWhole)
	case fatal == nil && !half && doc.Root().Kind() == fhirjson.Object:
	case fatal != nil && (half || fatal.Offset < len(buf) && (doc.Root() == nil || fatal.Offset < doc.Root().End())):
		x.buf = nil // it stays with the document
		return doc, nil
	default:
		return nil, fmt.Errorf("entry %d: not an object: %w", i, ErrWhole)
	}
	defer doc.Release()
	root := doc.Root()
	e := &b.records[i]
	e.problems = uint8(len(doc.Problems()))
	if key := versionedURL(root); key != "" {
		x.twice[i] = b.hash(key)
	}
	if hasElementIDs(root) {
		x.mu.Lock()
		b.elementIDs = true
		x.mu.Unlock()
	}
	if u := root.MemberText("fullUrl"); u != "" {
		e.flags |= entrySomeURL
		if isAbsolute(u) {
			e.flags |= entryAbsoluteURL
		}
	}
	r := root.Member("resource")
	if r == nil || r.Kind() != fhirjson.Object {
		return nil, nil
	}
	e.flags |= entryResource
	return nil, x.resource(e, i, root, r)
}

func (x *indexer) resource(e *entryRecord, i int, entry, r *fhirjson.Node) error {
	if u := entry.MemberText("fullUrl"); u != "" {
		e.url = x.b.hash(u)
	}
	typ := r.ResourceType()
	if id := r.MemberText("id"); id != "" {
		e.local = x.b.hash(typ + "/" + id)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	no, ok := x.typeNos[typ]
	if !ok {
		const most = 1 << 12 // there are 148 in R4
		if len(x.b.types) == most {
			return fmt.Errorf("entry %d: more than %d resource types: %w", i, most, ErrWhole)
		}
		no = uint16(len(x.b.types))
		name := strings.Clone(typ)
		x.typeNos[name], x.b.types = no, append(x.b.types, name)
	}
	e.typ = no
	if typ == "Questionnaire" && r.MemberText("url") != "" {
		x.b.questionnaires = append(x.b.questionnaires, namedEntry{strings.Clone(r.MemberText("url")), i})
	}
	return nil
}

// hasElementIDs reports an id in an entry that is not its resource's: those are to be unique in the Bundle.
func hasElementIDs(n *fhirjson.Node) bool {
	for c := n.First(); c != nil; c = c.Next() {
		if c.Key() == "id" || c.Key() != "resource" && hasElementIDs(c) {
			return true
		}
	}
	return false
}

func (b *bigIndex) hash(s string) uint64 { return max(1, maphash.String(b.seed, s)) }

func (b *bigIndex) sorted(hash func(int32) uint64) []int32 {
	n := 0
	for i := range b.records {
		if hash(int32(i)) != 0 {
			n++
		}
	}
	out := make([]int32, 0, n)
	for i := range b.records {
		if hash(int32(i)) != 0 {
			out = append(out, int32(i))
		}
	}
	slices.SortFunc(out, func(x, y int32) int { return cmp.Or(cmp.Compare(hash(x), hash(y)), cmp.Compare(x, y)) })
	return out
}

func (b *bigIndex) findTwice(hashes []uint64) {
	order := b.sorted(func(i int32) uint64 { return hashes[i] })
	for k := 1; k < len(order); k++ {
		if h := hashes[order[k]]; h == hashes[order[k-1]] && (k == 1 || h != hashes[order[k-2]]) {
			b.records[order[k]].flags |= entryURLTwice
		}
	}
}

// allowed are the problems of an entry that a document of the whole would keep.
func (b *bigBundle) allowed(i int, list []fhirjson.Problem) []fhirjson.Problem {
	if len(list) == 0 {
		return nil
	}
	left := fhirjson.MaxProblems
	for k := range b.records[:i] {
		if left -= int(b.records[k].problems); left <= 0 {
			return nil
		}
	}
	return list[:min(left, len(list))]
}

func (s *stream) typeOf(i int) string { return s.types[s.records[i].typ] }

func (s *stream) fullURL(i int) (some, absolute bool) {
	f := s.records[i].flags
	return f&entrySomeURL != 0, f&entryAbsoluteURL != 0
}

func (s *stream) withURL(u string) []resident {
	h := s.hash(u)
	return s.those(s.byURL, h, func(i int32) uint64 { return s.records[i].url })
}

func (s *stream) withLocal(typeAndID string) []resident {
	h := s.hash(typeAndID)
	return s.those(s.byLocal, h, func(i int32) uint64 { return s.records[i].local })
}

func (s *stream) those(order []int32, h uint64, hash func(int32) uint64) []resident {
	at, ok := slices.BinarySearchFunc(order, h, func(i int32, h uint64) int { return cmp.Compare(hash(i), h) })
	if !ok {
		return nil
	}
	const most = 64 // as many of one name are enough for any rule
	var out []resident
	for _, i := range order[at:min(len(order), at+most)] {
		if hash(i) != h {
			break
		}
		out = append(out, resident{stream: s, at: int(i)})
	}
	return out
}

func (s *stream) questionnaire(url string) *fhirjson.Node {
	for _, q := range s.questionnaires {
		if q.url == url {
			return s.fetch(q.at)
		}
	}
	return nil
}

// hasAnchor reads the whole Bundle once, when a narrative has a link within the Bundle.
func (s *stream) hasAnchor(id string) bool {
	s.anchorsOnce.Do(func() {
		s.anchored = map[uint64]bool{}
		note := func(id string) { s.anchored[s.hash(id)] = true }
		s.list.Show(nil, len(s.split.Items))
		eachAnchor(s.bundle, note)
		s.list.Show(s.entry, len(s.split.Items))
		var buf []byte
		for i := range s.split.Items {
			doc, own, err := s.load(i, buf)
			if buf = own; err != nil || doc.Root() == nil || s.walk.ctx.Err() != nil {
				s.err = errors.Join(s.err, err)
				return
			}
			eachAnchor(doc.Root(), note)
			doc.Release()
		}
	})
	return s.anchored[s.hash(id)]
}
