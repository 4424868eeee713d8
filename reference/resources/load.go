package resources

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"

	"fhirwire/reference/search"
)

// Incoming is a resource to load.
type Incoming struct {
	// Type and ID may be empty: then the body's own are taken.
	Type, ID string
	Body     []byte
	// Source and Line say where it came from, for rejects.
	Source string
	Line   int
}

// Reject is a resource that Load left out.
type Reject struct {
	Source string
	Line   int
	Reason string
}

// LoadReport counts what Load did.
type LoadReport struct {
	Created, Updated, Unchanged int
	Rejects                     []Reject
}

// LoadOptions tune Load.
type LoadOptions struct {
	// Progress is told the number of resources committed so far, after each transaction.
	Progress func(done int)
}

const (
	loadChunk = 256 // resources prepared together
	// loadCommit is how many resources make a transaction. Their index rows are spread over the whole index, so the more there
	// are, the fewer times each of its pages is written.
	loadCommit = 8192
)

// prepared is a chunk on its way from the workers to the writer, in input order.
type prepared struct {
	in      []Incoming
	docs    []preparedResource
	rejects []Reject
	done    chan struct{}
}

type preparedResource struct {
	r       Resource
	packed  []byte
	entries search.Entries
	in      Incoming
}

// Load stores many resources in input order, in transactions of some thousand. A resource that exists becomes a new version
// unless it is the same; meta.lastUpdated is kept where the body has one in the past. What is no resource is rejected and
// reported, never fatal; an error of seq itself or of the database is.
func (s *Store) Load(ctx context.Context, seq iter.Seq2[Incoming, error], o LoadOptions) (LoadReport, error) {
	var report LoadReport
	g, ctx := errgroup.WithContext(ctx)
	workers := max(1, runtime.GOMAXPROCS(0))
	todo := make(chan *prepared, workers)
	ordered := make(chan *prepared, 2*workers)
	now := s.clock().UTC().Truncate(time.Millisecond)

	g.Go(func() error {
		defer close(todo)
		defer close(ordered)
		send := func(chunk []Incoming) error {
			p := &prepared{in: chunk, done: make(chan struct{})}
			for _, ch := range []chan *prepared{todo, ordered} {
				select {
				case ch <- p:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		}
		var chunk []Incoming
		for in, err := range seq {
			if err != nil {
				return err
			}
			if chunk = append(chunk, in); len(chunk) == loadChunk {
				if err := send(chunk); err != nil {
					return err
				}
				chunk = nil
			}
		}
		if len(chunk) > 0 {
			return send(chunk)
		}
		return nil
	})
	for range workers {
		g.Go(func() error {
			for p := range todo {
				s.prepare(ctx, p, now)
				close(p.done)
			}
			return nil
		})
	}
	g.Go(func() error {
		return s.commit(ctx, ordered, &report, o)
	})
	err := g.Wait()
	return report, err
}

func (s *Store) prepare(ctx context.Context, p *prepared, now time.Time) {
	p.docs = make([]preparedResource, 0, len(p.in))
	for _, in := range p.in {
		pr, err := s.prepareOne(ctx, in, now)
		if err != nil {
			p.rejects = append(p.rejects, Reject{in.Source, in.Line, err.Error()})
			continue
		}
		p.docs = append(p.docs, pr)
	}
}

func (s *Store) prepareOne(ctx context.Context, in Incoming, now time.Time) (preparedResource, error) {
	pr := preparedResource{in: in}
	doc, err := parse(in.Body)
	if err != nil {
		return pr, err
	}
	defer doc.Release()
	root := doc.Root()
	typ, id := root.ResourceType(), root.MemberText("id")
	if in.Type != "" && in.Type != typ {
		return pr, fmt.Errorf("%w: resourceType is %s, not %s", ErrInvalid, typ, in.Type)
	}
	if in.ID != "" {
		id = in.ID
	}
	if id == "" {
		return pr, fmt.Errorf("%w: no id", ErrInvalid)
	}
	updated := now
	if t, err := search.Instant(root.Member("meta").MemberText("lastUpdated")); err == nil && t.Before(now) {
		updated = t.UTC().Truncate(time.Millisecond)
	}
	pr.r = Resource{Type: typ, ID: id, Version: 1, Updated: updated, Body: stamp(root, id, 1, updated)}
	if err := s.entriesOf(ctx, root, id, &pr.entries); err != nil {
		return pr, err
	}
	pr.packed = s.pack.pack(pr.r.Body)
	return pr, nil
}

// commit writes the chunks in order. The transaction opens when its rows are at hand, so a slow source holds no lock.
func (s *Store) commit(ctx context.Context, ordered <-chan *prepared, report *LoadReport, o LoadOptions) error {
	done := 0
	for {
		var docs []preparedResource
		n := 0
		more := true
		for more && n < loadCommit {
			var p *prepared
			select {
			case p, more = <-ordered:
			case <-ctx.Done():
				return ctx.Err()
			}
			if !more {
				break
			}
			select {
			case <-p.done:
			case <-ctx.Done():
				return ctx.Err()
			}
			report.Rejects = append(report.Rejects, p.rejects...)
			docs = append(docs, p.docs...)
			n += len(p.in)
		}
		err := s.locked(ctx, func(tx *gorm.DB, now time.Time) error {
			return s.writeAll(ctx, tx, docs, now, report)
		})
		if err != nil {
			return fmt.Errorf("load: %w", err)
		}
		done += n
		if o.Progress != nil && n > 0 {
			o.Progress(done)
		}
		if !more {
			return nil
		}
	}
}

type key struct{ typ, id string }

func (s *Store) writeAll(ctx context.Context, tx *gorm.DB, docs []preparedResource, now time.Time, report *LoadReport) error {
	w := newBatch(tx, s.db.Dialect)
	known, err := s.existing(ctx, tx, docs)
	if err != nil {
		return err
	}
	for i := range docs {
		d := &docs[i]
		k := key{d.r.Type, d.r.ID}
		if !known[k] {
			known[k] = true
			d.r.rid = s.newRID()
			report.Created++
			if err := w.insert(&d.r, d.packed, &d.entries); err != nil {
				return err
			}
			continue
		}
		if err := w.flush(ctx); err != nil { // the one it replaces may be among the collected rows
			return err
		}
		if err := s.reload(ctx, tx, w, d, now, report); err != nil {
			return err
		}
	}
	return w.flush(ctx)
}

// reload stores d as the next version of a resource that exists.
func (s *Store) reload(ctx context.Context, tx *gorm.DB, w *batch, d *preparedResource, now time.Time, report *LoadReport) error {
	old, err := s.current(ctx, tx, d.r.Type, d.r.ID)
	if err != nil && !errors.Is(err, ErrDeleted) {
		return err
	}
	if !old.Deleted && sameContent(old.Body, d.r.Body) {
		report.Unchanged++
		return nil
	}
	doc, err := parse(d.in.Body)
	if err != nil {
		return err
	}
	r := Resource{Type: d.r.Type, ID: d.r.ID, Version: old.Version + 1, Updated: later(now, old.Updated), rid: old.rid}
	r.Body = stamp(doc.Root(), r.ID, r.Version, r.Updated)
	report.Updated++
	return s.replace(ctx, tx, w, old, &r)
}

func (s *Store) existing(ctx context.Context, tx *gorm.DB, chunk []preparedResource) (map[key]bool, error) {
	byType := map[string][]string{}
	for i := range chunk {
		byType[chunk[i].r.Type] = append(byType[chunk[i].r.Type], chunk[i].r.ID)
	}
	known := make(map[key]bool, len(chunk))
	for typ, ids := range byType {
		for part := range slices.Chunk(ids, 64) {
			for len(part) > 1 && len(part) < 64 { // few statement shapes
				part = append(slices.Clip(part), part[0])
			}
			var have []string
			if err := tx.WithContext(ctx).Raw("SELECT id FROM ref_resource WHERE type = ? AND id IN ?", typ, part).Scan(&have).Error; err != nil {
				return nil, err
			}
			for _, id := range have {
				known[key{typ, id}] = true
			}
		}
	}
	return known, nil
}
