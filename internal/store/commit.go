package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"fhirwire/proxy"
)

const (
	// maxBatch bounds the exchanges of one transaction.
	maxBatch = 64
	// commitWait bounds one transaction, which outlives the callers waiting for it.
	commitWait = 30 * time.Second
)

// put is an exchange on its way into the database.
type put struct {
	row    exchangeRow
	detail []byte
	bodies []bodyRow
	chains []chainRow
	err    error
	done   chan struct{} // closed when err and row.Number are set
}

// queue batches concurrent puts without a goroutine of its own: whoever takes the turn commits all that wait, and while a
// transaction runs the next batch gathers. A put alone commits at once, so nobody waits for company.
type queue struct {
	turn chan struct{} // holds one token; its holder commits

	mu      sync.Mutex // guards waiting
	waiting []*put
}

func newQueue() queue { return queue{turn: make(chan struct{}, 1)} }

func (q *queue) add(p *put) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, p)
}

func (q *queue) take() []*put {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.waiting), maxBatch)
	batch := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	return batch
}

// remove takes p out again; false when it is being committed already.
func (q *queue) remove(p *put) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, p)
	if i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	return i >= 0
}

// Put stores the exchange and its bodies and returns once they are committed; it sets e.Number. Concurrent calls share a
// transaction. Large bodies reach the blobs before the row. Putting an exchange whose ID is stored already changes nothing
// and gives its Number, so that a caller may try again after an error it does not understand.
func (s *Store) Put(ctx context.Context, e *proxy.Exchange, bodies proxy.Bodies) error {
	row, detail, chains, err := rowOf(e)
	if err != nil {
		return err
	}
	p := &put{row: row, detail: detail, chains: s.newChains(chains), done: make(chan struct{})}
	if p.bodies, err = s.storeBodies(ctx, e, bodies); err != nil {
		return fmt.Errorf("exchange %s: %w", e.ID, err)
	}
	s.queue.add(p)
	for {
		select {
		case <-p.done:
		case s.queue.turn <- struct{}{}:
			s.commit(ctx, s.queue.take())
			<-s.queue.turn
			continue
		case <-ctx.Done():
			if s.queue.remove(p) {
				return fmt.Errorf("exchange %s: %w", e.ID, ctx.Err())
			}
			<-p.done // within commitWait
		}
		if p.err != nil {
			return fmt.Errorf("exchange %s: %w", e.ID, p.err)
		}
		e.Number = p.row.Number
		return nil
	}
}

// commit stores the batch in one transaction. When that fails each exchange gets a transaction of its own, so that one
// that cannot be stored does not take its neighbours with it.
func (s *Store) commit(ctx context.Context, batch []*put) {
	if len(batch) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitWait)
	defer cancel()
	err := s.insert(ctx, batch)
	for _, p := range batch {
		p.err = err
		if err != nil && len(batch) > 1 && ctx.Err() == nil {
			p.err = s.insert(ctx, []*put{p})
		}
		close(p.done)
	}
}

func (s *Store) insert(ctx context.Context, batch []*put) error {
	var chains []chainRow
	err := s.write(ctx).Transaction(func(tx *gorm.DB) error {
		fresh, err := withoutStored(tx, batch)
		if err != nil || len(fresh) == 0 {
			return err
		}
		rows := make([]exchangeRow, len(fresh))
		for i, p := range fresh {
			rows[i] = p.row
			rows[i].Number = 0
		}
		if err := tx.Create(&rows).Error; err != nil {
			return err
		}
		details, pending := make([]detailRow, len(fresh)), make([]pendingRow, len(fresh))
		var bodies []bodyRow
		for i, p := range fresh {
			p.row.Number = rows[i].Number
			details[i] = detailRow{rows[i].Number, p.detail}
			pending[i] = pendingRow{rows[i].Number}
			bodies = append(bodies, p.bodies...)
			for _, c := range p.chains {
				if !slices.ContainsFunc(chains, func(d chainRow) bool { return d.Digest == c.Digest }) {
					chains = append(chains, c)
				}
			}
		}
		errs := []error{tx.Create(&details).Error, tx.Create(&pending).Error}
		if bodies = preferred(bodies); len(bodies) > 0 {
			errs = append(errs, tx.Clauses(bodyConflict).Create(&bodies).Error)
		}
		if len(chains) > 0 {
			errs = append(errs, tx.Clauses(chainConflict).Create(&chains).Error)
		}
		return errors.Join(errs...)
	})
	if err == nil {
		s.chainsStored(chains)
	}
	return err
}

// withoutStored drops exchanges whose id the database or an earlier put of the batch has, giving them their number.
func withoutStored(tx *gorm.DB, batch []*put) ([]*put, error) {
	ids := make([]string, len(batch))
	for i, p := range batch {
		ids[i] = p.row.ID
	}
	var known []exchangeRow
	if err := tx.Select("id", "number").Where("id IN ?", ids).Find(&known).Error; err != nil {
		return nil, err
	}
	var fresh []*put
	for _, p := range batch {
		if i := slices.IndexFunc(known, func(r exchangeRow) bool { return r.ID == p.row.ID }); i >= 0 {
			p.row.Number = known[i].Number
			continue
		}
		if slices.ContainsFunc(fresh, func(q *put) bool { return q.row.ID == p.row.ID }) {
			return nil, fmt.Errorf("id %s occurs twice in a batch", p.row.ID) // each is then inserted on its own
		}
		fresh = append(fresh, p)
	}
	return fresh, nil
}

// bodyConflict keeps the better of two copies of one body: a redacted one wins, so that a secret is never uncovered; then
// the longer one.
var bodyConflict = clause.OnConflict{
	Columns:   []clause.Column{{Name: "digest"}},
	DoUpdates: clause.AssignmentColumns([]string{"stored", "redacted", "data", "blob"}),
	Where: clause.Where{Exprs: []clause.Expression{clause.Expr{
		SQL: "(excluded.redacted AND NOT bodies.redacted) OR (excluded.redacted = bodies.redacted AND excluded.stored > bodies.stored)",
	}}},
}

// preferred keeps one row per digest by the rule of bodyConflict: one statement must not touch a row twice.
func preferred(rows []bodyRow) []bodyRow {
	var out []bodyRow
	at := make(map[string]int, len(rows))
	for _, r := range rows {
		i, ok := at[r.Digest]
		switch {
		case !ok:
			at[r.Digest] = len(out)
			out = append(out, r)
		case r.Redacted && !out[i].Redacted, r.Redacted == out[i].Redacted && r.Stored > out[i].Stored:
			out[i] = r
		}
	}
	return out
}
