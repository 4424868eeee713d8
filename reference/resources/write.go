package resources

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"fhirwire/reference/search"
	"fhirwire/validators/fhirjson"
)

// PutOptions are the conditions of a Put.
type PutOptions struct {
	// IfMatch is the version that must be current, 0 for no condition.
	IfMatch int64
}

// Put stores body as the next version of typ/id, created when it is new or was deleted. The body's own id is replaced.
// Errors: ErrInvalid, ErrConflict.
func (s *Store) Put(ctx context.Context, typ, id string, body []byte, o PutOptions) (r Resource, created bool, err error) {
	doc, err := parse(body)
	if err != nil {
		return r, false, err
	}
	if got := doc.Root().ResourceType(); got != typ {
		return r, false, fmt.Errorf("%w: resourceType is %s, the URL says %s", ErrInvalid, got, typ)
	}
	err = s.locked(ctx, func(tx *gorm.DB, now time.Time) error {
		old, err := s.current(ctx, tx, typ, id)
		if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrDeleted) {
			return err
		}
		if o.IfMatch != 0 && o.IfMatch != old.Version {
			return ErrConflict
		}
		created = old.Version == 0 || old.Deleted
		r = Resource{Type: typ, ID: id, Version: old.Version + 1, Updated: later(now, old.Updated), rid: old.rid}
		r.Body = stamp(doc.Root(), id, r.Version, r.Updated)
		w := newBatch(tx, s.db.Dialect)
		if err := s.replace(ctx, tx, w, old, &r); err != nil {
			return err
		}
		return w.flush(ctx)
	})
	return r, created, err
}

// Delete makes a deleted version. Deleting what is deleted or never was is no error.
func (s *Store) Delete(ctx context.Context, typ, id string) (Resource, error) {
	var r Resource
	err := s.locked(ctx, func(tx *gorm.DB, now time.Time) error {
		old, err := s.current(ctx, tx, typ, id)
		if errors.Is(err, ErrNotFound) || errors.Is(err, ErrDeleted) {
			r = old
			return nil
		}
		if err != nil {
			return err
		}
		r = Resource{Type: typ, ID: id, Version: old.Version + 1, Updated: later(now, old.Updated), Deleted: true, rid: old.rid}
		w := newBatch(tx, s.db.Dialect)
		if err := s.replace(ctx, tx, w, old, &r); err != nil {
			return err
		}
		return w.flush(ctx)
	})
	return r, err
}

// locked runs do in a write transaction. now is fixed inside the lock.
func (s *Store) locked(ctx context.Context, do func(tx *gorm.DB, now time.Time) error) error {
	s.write.Lock()
	defer s.write.Unlock()
	err := s.db.Write.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		return do(tx, later(s.clock().UTC().Truncate(time.Millisecond), s.floor))
	})
	if err == nil {
		s.last.Store(s.used)
	}
	return err
}

func later(now, old time.Time) time.Time {
	if !now.After(old) {
		return old.Add(time.Millisecond)
	}
	return now
}

// replace writes r over old (the zero Resource when there is none) with its index rows. It sets r.rid for a new resource.
func (s *Store) replace(ctx context.Context, tx *gorm.DB, w *batch, old Resource, r *Resource) error {
	var entries search.Entries
	if !r.Deleted {
		doc, err := parse(r.Body)
		if err != nil {
			return err
		}
		if err := s.entriesOf(ctx, doc.Root(), r.ID, &entries); err != nil {
			return fmt.Errorf("%s/%s: %w", r.Type, r.ID, err)
		}
	}
	if old.Version == 0 {
		if r.rid == 0 {
			r.rid = s.newRID()
		}
		return w.insert(r, s.pack.pack(r.Body), &entries)
	}
	if err := s.archive(ctx, tx, old); err != nil {
		return err
	}
	if r.Deleted { // the patient stays: an export tells only those whose data it holds what was deleted
		err := tx.WithContext(ctx).Exec("UPDATE ref_resource SET version = ?, updated = ?, deleted = 1, body = ? WHERE rid = ?", r.Version, r.Updated.UnixMilli(), []byte{}, r.rid).Error
		if err != nil {
			return fmt.Errorf("%s/%s: %w", r.Type, r.ID, err)
		}
		return nil
	}
	err := tx.WithContext(ctx).Exec("UPDATE ref_resource SET version = ?, updated = ?, deleted = ?, patient = ?, body = ? WHERE rid = ?",
		r.Version, r.Updated.UnixMilli(), flag(r.Deleted), entries.Patient, notNil(s.pack.pack(r.Body)), r.rid).Error
	if err != nil {
		return fmt.Errorf("%s/%s: %w", r.Type, r.ID, err)
	}
	w.entries(r.rid, &entries)
	return nil
}

// archive moves the current version to the history and removes its index rows. The rows are computed from the body again:
// an index by resource only for this would double the cost of every insert.
func (s *Store) archive(ctx context.Context, tx *gorm.DB, old Resource) error {
	tx = tx.WithContext(ctx)
	err := tx.Exec(`INSERT INTO ref_version (rid, version, updated, deleted, body)
		SELECT rid, version, updated, deleted, body FROM ref_resource WHERE rid = ?`, old.rid).Error
	if err != nil {
		return fmt.Errorf("%s/%s: %w", old.Type, old.ID, err)
	}
	if old.Deleted {
		return nil
	}
	doc, err := parse(old.Body)
	if err != nil {
		return err
	}
	var entries search.Entries
	if err := s.entriesOf(ctx, doc.Root(), old.ID, &entries); err != nil {
		return err
	}
	for _, t := range entries.Terms {
		err = errors.Join(err, tx.Exec("DELETE FROM ref_term WHERE param = ? AND key = ? AND rid = ?", t.Param, t.Key, old.rid).Error)
	}
	for _, d := range entries.Dates {
		err = errors.Join(err, tx.Exec("DELETE FROM ref_date WHERE param = ? AND rid = ?", d.Param, old.rid).Error)
	}
	for _, q := range entries.Quantities {
		err = errors.Join(err, tx.Exec("DELETE FROM ref_quantity WHERE param = ? AND rid = ?", q.Param, old.rid).Error)
	}
	return err
}

// entriesOf indexes a resource. A patient is in its own compartment.
func (s *Store) entriesOf(ctx context.Context, root *fhirjson.Node, id string, e *search.Entries) error {
	if err := s.index.Index(ctx, root, e); err != nil {
		return err
	}
	if root.ResourceType() == "Patient" {
		e.Patient = id
	}
	return nil
}

// newRID gives the next row id. The caller holds s.write; a transaction that fails leaves a gap, which is nothing to anybody.
func (s *Store) newRID() int64 {
	s.used++
	return s.used
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
