package resources

import (
	"context"
	"fmt"
	"iter"
	"slices"
)

// Reference is a resource and the patient in whose compartment it is.
type Reference struct{ Patient, Type, ID string }

// References streams the names of the current resources of these types in the compartments of f.Patients, patient after
// patient, changed in (f.Since, f.Until]; zero times are no bounds. Bodies are not read.
func (s *Store) References(ctx context.Context, f Filter, types []string) iter.Seq2[Reference, error] {
	return func(yield func(Reference, error) bool) {
		if len(types) == 0 {
			return
		}
		for part := range slices.Chunk(f.Patients, streamPatients) {
			sql := "SELECT patient, type, id FROM ref_resource WHERE patient IN ? AND patient <> '' AND type IN ? AND deleted = 0"
			args := []any{part, types}
			if !f.Since.IsZero() {
				sql += " AND updated > ?"
				args = append(args, f.Since.UnixMilli())
			}
			if !f.Until.IsZero() {
				sql += " AND updated <= ?"
				args = append(args, f.Until.UnixMilli())
			}
			refs, err := s.scanReferences(ctx, sql+" ORDER BY patient, type, rid", args)
			if err != nil {
				yield(Reference{}, fmt.Errorf("references: %w", err))
				return
			}
			for _, r := range refs {
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}

// scanReferences reads all rows before the first is used, so that no query stays open while the caller writes. gorm's own Scan would
// cost more than the query.
func (s *Store) scanReferences(ctx context.Context, sql string, args []any) ([]Reference, error) {
	rows, err := s.db.Read.WithContext(ctx).Raw(sql, args...).Rows()
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err below tells what Close would
	var out []Reference
	for rows.Next() {
		var r Reference
		if err := rows.Scan(&r.Patient, &r.Type, &r.ID); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}
