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
	out, err := s.Apply(ctx, []Change{{Type: typ, ID: id, Body: body, IfMatch: o.IfMatch}})
	if err != nil {
		return r, false, err
	}
	return out[0].Resource, out[0].Created, nil
}

// Delete makes a deleted version. Deleting what is deleted or never was is no error.
func (s *Store) Delete(ctx context.Context, typ, id string) (Resource, error) {
	out, err := s.Apply(ctx, []Change{{Delete: true, Type: typ, ID: id}})
	if err != nil {
		return Resource{}, err
	}
	return out[0].Resource, nil
}

// Preview is body as Put would store it now, or why it would not.
func (s *Store) Preview(typ, id string, body []byte) ([]byte, error) {
	doc, err := parseAs(typ, body)
	if err != nil {
		return nil, err
	}
	defer doc.Release()
	return stamp(doc.Root(), id, 1, s.clock().UTC().Truncate(time.Millisecond)), nil
}

func parseAs(typ string, body []byte) (*fhirjson.Document, error) {
	doc, err := parse(body)
	if err == nil && doc.Root().ResourceType() != typ {
		err = fmt.Errorf("%w: resourceType is %s, the URL says %s", ErrInvalid, doc.Root().ResourceType(), typ)
	}
	return doc, err
}

// Change is a Put or a Delete.
type Change struct {
	Delete   bool
	Type, ID string
	Body     []byte
	// IfMatch is the version that must be current, 0 for no condition.
	IfMatch int64
}

// Applied is what became of a Change.
type Applied struct {
	Resource Resource
	Created  bool
}

// ChangeError is the change that an Apply failed on.
type ChangeError struct {
	Index int
	Err   error
}

func (e *ChangeError) Error() string { return fmt.Sprintf("change %d: %s", e.Index, e.Err) }

// Unwrap gives the cause.
func (e *ChangeError) Unwrap() error { return e.Err }

// Apply makes all changes, in their order, or none. Each is of another resource. The error is a ChangeError around ErrInvalid,
// ErrConflict or a failure of the database.
func (s *Store) Apply(ctx context.Context, changes []Change) ([]Applied, error) {
	docs := make([]*fhirjson.Document, len(changes))
	for i, c := range changes {
		if c.Delete {
			continue
		}
		doc, err := parseAs(c.Type, c.Body)
		if err != nil {
			return nil, &ChangeError{i, err}
		}
		docs[i] = doc
	}
	out := make([]Applied, len(changes))
	err := s.locked(ctx, func(tx *gorm.DB, now time.Time) error {
		w := newBatch(tx, s.db.Dialect)
		for i := range changes {
			var err error
			if out[i], err = s.change(ctx, tx, w, &changes[i], docs[i], now); err != nil {
				return &ChangeError{i, err}
			}
		}
		return w.flush(ctx)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Store) change(ctx context.Context, tx *gorm.DB, w *batch, c *Change, doc *fhirjson.Document, now time.Time) (Applied, error) {
	old, err := s.current(ctx, tx, c.Type, c.ID)
	missing := errors.Is(err, ErrNotFound) || errors.Is(err, ErrDeleted)
	switch {
	case err != nil && !missing:
		return Applied{}, err
	case c.IfMatch != 0 && c.IfMatch != old.Version:
		return Applied{}, ErrConflict
	case c.Delete && missing:
		return Applied{Resource: old}, nil
	}
	a := Applied{Created: missing && !c.Delete}
	r := &a.Resource
	*r = Resource{Type: c.Type, ID: c.ID, Version: old.Version + 1, Updated: later(now, old.Updated), Deleted: c.Delete, rid: old.rid}
	if !c.Delete {
		r.Body = stamp(doc.Root(), c.ID, r.Version, r.Updated)
	}
	return a, s.replace(ctx, tx, w, old, r)
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
