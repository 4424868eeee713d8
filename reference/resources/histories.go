package resources

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// VersionKey names a version by its place in the order of changes, newest first. The zero value is before all of them.
type VersionKey struct {
	Updated int64 `json:"u,omitempty"` // Unix milliseconds
	Row     int64 `json:"r,omitempty"`
	Version int64 `json:"v,omitempty"`
}

func (k VersionKey) compare(d VersionKey) int {
	return cmp.Or(cmp.Compare(d.Updated, k.Updated), cmp.Compare(d.Row, k.Row), cmp.Compare(d.Version, k.Version))
}

// HistoryQuery is which part of the history of a type, or of all, is wanted.
type HistoryQuery struct {
	Type  string    // empty: all types
	Since time.Time // zero: from the beginning
	// After is the last change of the page before. What changes while a client pages comes before it, so that nothing is repeated.
	After VersionKey
	Limit int
	// Hidden are the ids of Groups that are left out.
	Hidden []string
}

func (q *HistoryQuery) where(table string) cond {
	all := []cond{condf("1 = 1")}
	if q.Type != "" {
		all = append(all, condf("r.type = ?", q.Type))
	}
	if len(q.Hidden) > 0 {
		all = append(all, condf("NOT (r.type = 'Group' AND r.id IN ?)", q.Hidden))
	}
	if !q.Since.IsZero() {
		all = append(all, condf(table+".updated > ?", q.Since.UnixMilli()))
	}
	return any1(" AND ", all)
}

const (
	currentChanges = " FROM ref_resource r WHERE "
	formerChanges  = " FROM ref_version v JOIN ref_resource r ON r.rid = v.rid WHERE "
)

// Histories gives a page of the versions, deletions included, newest first, and where the next one starts; nil on the last.
func (s *Store) Histories(ctx context.Context, q HistoryQuery) ([]Resource, *VersionKey, error) {
	var all []VersionKey
	for table, from := range map[string]string{"r": currentChanges, "v": formerChanges} {
		c := q.where(table)
		if a := q.After; a != (VersionKey{}) {
			c = any1(" AND ", []cond{c, condf(fmt.Sprintf("%[1]s.updated <= ? AND (%[1]s.updated < ? OR %[1]s.rid < ? OR %[1]s.rid = ? AND %[1]s.version < ?)", table),
				a.Updated, a.Updated, a.Row, a.Row, a.Version)})
		}
		var part []VersionKey
		sql := fmt.Sprintf("SELECT %[1]s.updated AS updated, %[1]s.rid AS row, %[1]s.version AS version%[2]s%[3]s ORDER BY %[1]s.updated DESC, %[1]s.rid DESC, %[1]s.version DESC LIMIT ?", table, from, c.sql)
		if err := s.db.Read.WithContext(ctx).Raw(sql, append(c.args, q.Limit+1)...).Scan(&part).Error; err != nil {
			return nil, nil, fmt.Errorf("history of %q: %w", q.Type, err)
		}
		all = append(all, part...)
	}
	slices.SortFunc(all, VersionKey.compare)
	all = slices.CompactFunc(all, func(a, b VersionKey) bool { return a == b }) // superseded between the two statements
	var next *VersionKey
	if len(all) > q.Limit {
		all = all[:q.Limit]
		next = &all[q.Limit-1]
	}
	out, err := s.versions(ctx, all)
	return out, next, err
}

// CountHistories is how many there are.
func (s *Store) CountHistories(ctx context.Context, q HistoryQuery) (int, error) {
	total := 0
	for table, from := range map[string]string{"r": currentChanges, "v": formerChanges} {
		var n int
		c := q.where(table)
		if err := s.db.Read.WithContext(ctx).Raw("SELECT count(*)"+from+c.sql, c.args...).Scan(&n).Error; err != nil {
			return 0, fmt.Errorf("history of %q: %w", q.Type, err)
		}
		total += n
	}
	return total, nil
}

// versions reads these, in their order.
func (s *Store) versions(ctx context.Context, wanted []VersionKey) ([]Resource, error) {
	found := map[VersionKey]Resource{}
	for part := range slices.Chunk(wanted, 200) {
		rows, numbers := make([]int64, len(part)), make([]int64, len(part))
		for i, c := range part {
			rows[i], numbers[i] = c.Row, c.Version
		}
		// The current ones first: what is superseded in between is among the former then.
		for _, sql := range []string{
			"SELECT " + columns + currentChanges + "r.rid IN ? AND r.version IN ?",
			"SELECT v.rid, r.type, r.id, v.version, v.updated, v.deleted, v.body" + formerChanges + "v.rid IN ? AND v.version IN ?",
		} {
			rs, err := s.query(ctx, s.db.Read, sql, rows, numbers)
			if err != nil {
				return nil, fmt.Errorf("versions: %w", err)
			}
			for _, r := range rs {
				found[VersionKey{r.Updated.UnixMilli(), r.rid, r.Version}] = r
			}
		}
	}
	out := make([]Resource, 0, len(wanted))
	for _, c := range wanted {
		if r, ok := found[c]; ok {
			out = append(out, r)
		}
	}
	return out, nil
}
