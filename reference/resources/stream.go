package resources

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"gorm.io/gorm"

	"fhirwire/reference/search"
)

// Filter narrows a Stream.
type Filter struct {
	Type string
	// Patients narrows to their compartments; nil: no limit. An empty slice gives nothing.
	Patients []string
	// InCompartment narrows to resources of any patient.
	InCompartment bool
	// Since leaves out what was last changed at or before it, Until takes the version that was current then.
	Since, Until time.Time
}

const (
	streamRows     = 500
	streamPatients = 200
)

// Stream reads current resources of a type, page by page: no transaction stays open while the caller writes, and memory is
// bounded by a page. With Patients the order is theirs, otherwise that of creation. A resource changed after Until comes in
// the version it had then; one created after it does not come.
func (s *Store) Stream(ctx context.Context, f Filter) iter.Seq2[Resource, error] {
	return func(yield func(Resource, error) bool) {
		if f.Patients == nil {
			s.streamRows(ctx, f, nil, yield)
			return
		}
		for part := range slices.Chunk(f.Patients, streamPatients) {
			if !s.streamRows(ctx, f, part, yield) {
				return
			}
		}
	}
}

// where is the filter as SQL, but for deleted and the two times.
func (f *Filter) where(patients []string) (string, []any) {
	where, args := "r.type = ?", []any{f.Type}
	if patients != nil {
		where += " AND r.patient IN ? AND r.patient <> ''"
		args = append(args, patients)
	}
	if f.InCompartment {
		where += " AND r.patient <> ''"
	}
	return where, args
}

func (s *Store) streamRows(ctx context.Context, f Filter, patients []string, yield func(Resource, error) bool) bool {
	where, args := f.where(patients)
	since := ""
	if !f.Since.IsZero() {
		since = " AND r.updated > ?"
	}
	give := func(deleted bool) func([]Resource) bool {
		return func(rs []Resource) bool {
			for _, r := range rs {
				if r.Deleted != deleted {
					continue // changed since its number was read: for the other pass
				}
				at, err := s.at(ctx, r, f)
				if err != nil {
					yield(Resource{}, err)
					return false
				}
				if at != nil && !yield(*at, nil) {
					return false
				}
			}
			return true
		}
	}
	current := slices.Clone(args)
	if since != "" {
		current = append(current, f.Since.UnixMilli())
	}
	pass := s.pages
	if patients != nil {
		pass = s.listed
	}
	err := pass(ctx, where+" AND r.deleted = 0"+since, current, give(false))
	if err == nil && !f.Until.IsZero() {
		// what was there at Until and is deleted now; a pass of its own, so that both have an index
		err = pass(ctx, where+" AND r.deleted = 1 AND r.updated > ?", append(args, f.Until.UnixMilli()), give(true))
	}
	if err != nil && !errors.Is(err, errEnough) {
		yield(Resource{}, fmt.Errorf("read %s: %w", f.Type, err))
	}
	return err == nil
}

// errEnough ends a pass whose reader wants no more.
var errEnough = errors.New("enough")

// pages reads the rows of where in the order of creation, each page from where the last ended.
func (s *Store) pages(ctx context.Context, where string, args []any, give func([]Resource) bool) error {
	for last := int64(0); ; {
		rs, err := s.query(ctx, s.db.Read, "SELECT "+columns+" FROM ref_resource r WHERE "+where+" AND r.rid > ? ORDER BY r.rid LIMIT ?", append(slices.Clone(args), last, streamRows)...)
		if err != nil {
			return err
		}
		if !give(rs) {
			return errEnough
		}
		if len(rs) < streamRows {
			return nil
		}
		last = rs[len(rs)-1].rid
	}
}

// listed reads the rows of where by their numbers, which are found first: the index of patients has no order to page by, and a
// page by number would look at all rows of the patients each time.
func (s *Store) listed(ctx context.Context, where string, args []any, give func([]Resource) bool) error {
	var rids []int64
	if err := s.db.Read.WithContext(ctx).Raw("SELECT r.rid FROM ref_resource r WHERE "+where, args...).Scan(&rids).Error; err != nil {
		return err
	}
	slices.Sort(rids)
	for part := range slices.Chunk(rids, streamRows) {
		for len(part) > 16 && len(part) < streamRows { // few statement shapes
			part = append(slices.Clip(part), part[0])
		}
		rs, err := s.query(ctx, s.db.Read, "SELECT "+columns+" FROM ref_resource r WHERE r.rid IN ? ORDER BY r.rid", part)
		if err != nil {
			return err
		}
		if !give(rs) {
			return errEnough
		}
	}
	return nil
}

// at is the version of r that f asks for, nil for none.
func (s *Store) at(ctx context.Context, r Resource, f Filter) (*Resource, error) {
	if f.Until.IsZero() || !r.Updated.After(f.Until) {
		return &r, nil
	}
	old, err := s.asOf(ctx, r.rid, f.Until)
	if err != nil || old == nil || old.Deleted || !f.Since.IsZero() && !old.Updated.After(f.Since) {
		return nil, err
	}
	return old, nil
}

func (s *Store) asOf(ctx context.Context, rid int64, t time.Time) (*Resource, error) {
	rs, err := s.query(ctx, s.db.Read, versionSQL+" AND v.updated <= ? ORDER BY v.version DESC LIMIT 1", rid, t.UnixMilli())
	if err != nil || len(rs) == 0 {
		return nil, err
	}
	return &rs[0], nil
}

// Deleted streams the ids of the filter's resources that were deleted in (Since, Until].
func (s *Store) Deleted(ctx context.Context, f Filter) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		parts := [][]string{nil}
		if f.Patients != nil {
			parts = slices.Collect(slices.Chunk(f.Patients, streamPatients))
		}
		for _, part := range parts {
			where, args := f.where(part)
			var ids []string
			err := s.db.Read.WithContext(ctx).Raw("SELECT r.id FROM ref_resource r WHERE "+where+" AND r.deleted = 1 AND r.updated > ? AND r.updated <= ? ORDER BY r.id",
				append(args, f.Since.UnixMilli(), f.Until.UnixMilli())...).Scan(&ids).Error
			if err != nil {
				yield("", fmt.Errorf("deleted %s: %w", f.Type, err))
				return
			}
			for _, id := range ids {
				if !yield(id, nil) {
					return
				}
			}
		}
	}
}

// ReferringTo streams the resources of param's type that refer into the compartments of patients: Provenance about a
// patient's data. A resource that refers into two batches of patients comes once.
func (s *Store) ReferringTo(ctx context.Context, param *search.Param, f Filter) iter.Seq2[Resource, error] {
	return func(yield func(Resource, error) bool) {
		seen := map[int64]bool{}
		for part := range slices.Chunk(f.Patients, streamPatients) {
			rs, err := s.query(ctx, s.db.Read, `SELECT DISTINCT i.rid, '', '', 0, 0, 1, '' FROM ref_resource t CROSS JOIN ref_term i
				WHERE t.patient IN ? AND t.patient <> '' AND t.deleted = 0 AND i.param = ? AND i.key = t.id AND i.qualifier = t.type`, part, param.ID)
			if err != nil {
				yield(Resource{}, err)
				return
			}
			var rids []int64
			for _, r := range rs {
				if !seen[r.rid] {
					seen[r.rid] = true
					rids = append(rids, r.rid)
				}
			}
			for rids := range slices.Chunk(rids, streamRows) {
				got, err := s.query(ctx, s.db.Read, "SELECT "+columns+" FROM ref_resource r WHERE r.rid IN ? AND r.deleted = 0 ORDER BY r.rid", rids)
				if err != nil {
					yield(Resource{}, err)
					return
				}
				for _, r := range got {
					if !f.Since.IsZero() && !r.Updated.After(f.Since) || !f.Until.IsZero() && r.Updated.After(f.Until) {
						continue
					}
					if !yield(r, nil) {
						return
					}
				}
			}
		}
	}
}

// IDs streams the ids of a type's current resources.
func (s *Store) IDs(ctx context.Context, typ string) ([]string, error) {
	var ids []string
	err := s.db.Read.WithContext(ctx).Raw("SELECT id FROM ref_resource WHERE type = ? AND deleted = 0 ORDER BY rid", typ).Scan(&ids).Error
	return ids, err
}

// Compartment gives a page of everything in a patient's compartment, the patient first, then in order of creation. types nil
// means every type.
func (s *Store) Compartment(ctx context.Context, patient string, types []string, since time.Time, page Page) (Result, error) {
	sql := "SELECT " + columns + " FROM ref_resource r WHERE r.patient = ? AND r.patient <> '' AND r.deleted = 0 AND +r.rid > ?"
	args := []any{patient, page.After.Row}
	if types != nil {
		sql += " AND r.type IN ?"
		args = append(args, types)
	}
	if !since.IsZero() {
		sql += " AND r.updated > ?"
		args = append(args, since.UnixMilli())
	}
	got, err := s.query(ctx, s.db.Read, sql+" ORDER BY +r.rid LIMIT ?", append(args, page.Limit+1)...)
	if err != nil {
		return Result{}, fmt.Errorf("compartment of Patient/%s: %w", patient, err)
	}
	res := Result{Resources: got}
	if len(got) > page.Limit {
		res.Resources = got[:page.Limit]
		res.Next = &Cursor{Row: got[page.Limit-1].rid}
	}
	return res, nil
}

// reindexIfStale rebuilds the index rows when the parameters are not those that wrote them.
func (s *Store) reindexIfStale(ctx context.Context) error {
	var have string
	want := s.index.Fingerprint()
	if err := s.db.Read.WithContext(ctx).Raw("SELECT COALESCE(MAX(value), '') FROM ref_setting WHERE name = 'index'").Scan(&have).Error; err != nil {
		return fmt.Errorf("index of resources: %w", err)
	}
	if have == want {
		return nil
	}
	err := s.locked(ctx, func(tx *gorm.DB, _ time.Time) error {
		for _, table := range []string{"ref_term", "ref_date", "ref_quantity"} {
			if err := tx.Exec("DELETE FROM " + table).Error; err != nil {
				return err
			}
		}
		n := 0
		for last := int64(0); ; {
			rs, err := s.query(ctx, tx, "SELECT "+columns+" FROM ref_resource r WHERE r.deleted = 0 AND r.rid > ? ORDER BY r.rid LIMIT ?", last, streamRows)
			if err != nil {
				return err
			}
			w := newBatch(tx, s.db.Dialect)
			for _, r := range rs {
				last = r.rid
				if err := s.reindexOne(ctx, tx, w, r); err != nil {
					return fmt.Errorf("%s/%s: %w", r.Type, r.ID, err)
				}
			}
			if err := w.flush(ctx); err != nil {
				return err
			}
			if n += len(rs); len(rs) < streamRows {
				break
			}
		}
		if n > 0 {
			s.log.InfoContext(ctx, "search index rebuilt", "resources", n)
		}
		return tx.Exec(`INSERT INTO ref_setting (name, value) VALUES ('index', ?)
			ON CONFLICT (name) DO UPDATE SET value = excluded.value`, want).Error
	})
	if err != nil {
		return fmt.Errorf("rebuild the index of resources: %w", err)
	}
	return nil
}

func (s *Store) reindexOne(ctx context.Context, tx *gorm.DB, w *batch, r Resource) error {
	doc, err := parse(r.Body)
	if err != nil {
		return err
	}
	var e search.Entries
	if err := s.entriesOf(ctx, doc.Root(), r.ID, &e); err != nil {
		return err
	}
	w.entries(r.rid, &e)
	return tx.WithContext(ctx).Exec("UPDATE ref_resource SET patient = ? WHERE rid = ?", e.Patient, r.rid).Error
}
