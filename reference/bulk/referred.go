package bulk

import (
	"bytes"
	"context"
	"iter"
	"maps"
	"slices"

	"fhirwire/reference/resources"
)

// referred collects which resources of the context types a job's files refer to, while they are written. It is a memory of
// the process: behind a restart it is made again from the files.
type referred struct {
	// units counts the units whose files are in it.
	units int
	ids   map[string]map[string]bool // by type
}

func newReferred() *referred {
	r := &referred{ids: make(map[string]map[string]bool, len(contextTypes))}
	for _, t := range contextTypes {
		r.ids[t] = map[string]bool{}
	}
	return r
}

var referenceMark = []byte(`"reference":"`)

// add finds literal references in JSON text. It looks at bytes: a parse of a million resources for five kinds of reference
// would cost more than the export.
func (r *referred) add(body []byte) {
	for {
		i := bytes.Index(body, referenceMark)
		if i < 0 {
			return
		}
		body = body[i+len(referenceMark):]
		slash := bytes.IndexByte(body, '/')
		if slash < 0 {
			return
		}
		ids := r.ids[string(body[:slash])]
		if ids == nil {
			continue
		}
		id := body[slash+1:]
		if end := bytes.IndexAny(id, `"/`); end > 0 && !ids[string(id[:end])] {
			ids[string(id[:end])] = true
		}
	}
}

// referred is what the files written so far refer to, nil where the job exports no context type.
func (r *run) referred(ctx context.Context) (*referred, error) {
	if r.order.Level == System || r.order.Level == Formulary || !slices.ContainsFunc(r.order.Types, func(t string) bool { return slices.Contains(contextTypes, t) }) {
		return nil, nil
	}
	m := r.m
	m.mu.Lock()
	known := m.referred[r.job.ID]
	delete(m.referred, r.job.ID) // until this unit is done
	m.mu.Unlock()
	if known != nil && known.units == r.job.UnitsDone {
		return known, nil
	}
	known = newReferred()
	if r.job.UnitsDone == 0 {
		return known, nil
	}
	return known, r.eachWritten(ctx, known.add)
}

// keep remembers known for the job's next unit, as long as there is one that needs it.
func (r *run) keep(known *referred) {
	if known == nil || r.job.UnitsDone+1 >= len(r.order.Types) {
		return
	}
	known.units = r.job.UnitsDone + 1
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	r.m.referred[r.job.ID] = known
}

// context gives the resources of a context type that the files written so far refer to, and those that these refer to in turn
// (an Organization's parent).
func (r *run) context(ctx context.Context, f resources.Filter, known *referred) iter.Seq2[resources.Resource, error] {
	return func(yield func(resources.Resource, error) bool) {
		done := map[string]bool{}
		for {
			var todo []string
			for id := range maps.Keys(known.ids[f.Type]) {
				if !done[id] {
					done[id] = true
					todo = append(todo, id)
				}
			}
			if len(todo) == 0 {
				return
			}
			slices.Sort(todo)
			for part := range slices.Chunk(todo, 200) {
				rs, err := r.m.store.Fetch(ctx, f.Type, part)
				if err != nil {
					yield(resources.Resource{}, err)
					return
				}
				for _, res := range rs {
					known.add(res.Body)
					if !f.Since.IsZero() && !res.Updated.After(f.Since) || res.Updated.After(f.Until) {
						continue
					}
					if !yield(res, nil) {
						return
					}
				}
			}
		}
	}
}

// ahead runs seq in a goroutine of its own and gives its items in order, so that reading goes on while they are written.
func ahead(seq iter.Seq2[resources.Resource, error]) iter.Seq2[resources.Resource, error] {
	const size = 128
	type item struct {
		res resources.Resource
		err error
	}
	return func(yield func(resources.Resource, error) bool) {
		batches, stop, gone := make(chan []item, 2), make(chan struct{}), make(chan struct{})
		go func() {
			defer close(gone)
			defer close(batches)
			batch := make([]item, 0, size)
			send := func() bool {
				select {
				case batches <- batch:
					batch = make([]item, 0, size)
					return true
				case <-stop:
					return false
				}
			}
			for res, err := range seq {
				batch = append(batch, item{res, err})
				if len(batch) == size && !send() {
					return
				}
			}
			if len(batch) > 0 {
				send()
			}
		}()
		defer func() {
			close(stop)
			<-gone
		}()
		for batch := range batches {
			for _, i := range batch {
				if !yield(i.res, i.err) {
					return
				}
			}
		}
	}
}
