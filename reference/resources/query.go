package resources

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"fhirwire/reference/search"
)

// Page is the part of a result wanted.
type Page struct {
	Limit int
	// After is the Next of the page before, zero for the first.
	After Cursor
	// Patients narrows to the compartments of these patients: what the requester may see. Nil: no limit.
	Patients []string
}

// Cursor is where a page starts. With a sort it counts rows, otherwise it names the last row of the page before, so that
// changes in between neither repeat nor skip a resource.
type Cursor struct {
	Row    int64 `json:"r,omitempty"`
	Offset int64 `json:"o,omitempty"`
	// Last is the newest row when the search began: resources created while a client pages are left out.
	Last int64 `json:"l,omitempty"`
}

// Result is one page.
type Result struct {
	Resources []Resource
	// Next is nil on the last page.
	Next *Cursor
}

// Search gives one page of the matches, in order of creation unless q sorts.
func (s *Store) Search(ctx context.Context, q search.Query, page Page) (Result, error) {
	p, err := newPlan(q, page.Patients)
	if err != nil {
		return Result{}, err
	}
	if page.After.Last == 0 {
		page.After.Last = s.last.Load()
	}
	var res Result
	if len(q.Sort) > 0 {
		res, err = s.sorted(ctx, q, p, page)
	} else {
		res, err = s.keyset(ctx, p, page)
	}
	if err != nil {
		return res, fmt.Errorf("search %s: %w", q.Type, err)
	}
	return res, nil
}

// page is the statement of a page in row order; its last arguments are the row before, the last row and the limit.
func (p *plan) page(where string) string {
	return "SELECT " + columns + " FROM " + p.from + " WHERE " + where +
		" AND " + p.rid + " > ? AND " + p.rid + " <= ? ORDER BY " + p.rid + " LIMIT ?"
}

func (s *Store) keyset(ctx context.Context, p *plan, page Page) (Result, error) {
	where, args := p.where()
	var res Result
	row := page.After.Row
	for {
		limit := page.Limit + 1 - len(res.Resources)
		got, err := s.query(ctx, s.db.Read, p.page(where), append(append([]any{}, args...), row, page.After.Last, limit)...)
		if err != nil {
			return res, err
		}
		for _, r := range got {
			if r.rid != row {
				res.Resources = append(res.Resources, r)
			}
			row = r.rid
		}
		if len(res.Resources) > page.Limit {
			res.Resources = res.Resources[:page.Limit]
			last := page.After.Row
			if page.Limit > 0 {
				last = res.Resources[page.Limit-1].rid
			}
			res.Next = &Cursor{Row: last, Last: page.After.Last}
			return res, nil
		}
		if len(got) < limit || !p.repeats {
			return res, nil
		}
	}
}

func (s *Store) sorted(ctx context.Context, q search.Query, p *plan, page Page) (Result, error) {
	where, args := p.where()
	var joins, order strings.Builder
	var joinArgs []any
	for i, key := range q.Sort {
		dir := " ASC"
		if key.Descending {
			dir = " DESC"
		}
		if i > 0 {
			order.WriteString(", ")
		}
		alias := fmt.Sprintf("s%d", i)
		var expr string
		switch {
		case key.Param.Code == search.CodeID:
			expr = "r.id"
		case key.Param.Code == search.CodeLastUpdated:
			expr = "r.updated"
		case key.Param.Compartment:
			expr = "r.patient"
		default:
			table, value := tableOf(key.Param), "lo"
			if table == "ref_term" {
				value = "key"
			}
			agg := "MIN"
			if key.Descending {
				agg = "MAX"
			}
			fmt.Fprintf(&joins, " LEFT JOIN (SELECT x.rid AS rid, %s(x.%s) AS v FROM %s x WHERE x.param = ? GROUP BY x.rid) %s ON %s.rid = r.rid", agg, value, table, alias, alias)
			joinArgs = append(joinArgs, key.Param.ID)
			expr = alias + ".v"
			order.WriteString("CASE WHEN " + expr + " IS NULL THEN 1 ELSE 0 END, ")
		}
		order.WriteString(expr + dir)
	}
	sql := "SELECT " + columns + " FROM ref_resource r" + joins.String() +
		" WHERE r.rid IN (SELECT r.rid FROM " + p.from + " WHERE " + where + ") AND r.rid <= ? ORDER BY " + order.String() + ", r.rid LIMIT ? OFFSET ?"
	args = append(append(joinArgs, args...), page.After.Last, page.Limit+1, page.After.Offset)
	got, err := s.query(ctx, s.db.Read, sql, args...)
	if err != nil {
		return Result{}, err
	}
	res := Result{Resources: got}
	if len(got) > page.Limit {
		res.Resources = got[:page.Limit]
		res.Next = &Cursor{Offset: page.After.Offset + int64(page.Limit), Last: page.After.Last}
	}
	return res, nil
}

// Cheap reports whether counting all matches costs no more than finding a few: an index alone answers, or a patient or an id
// leaves little to look at.
func (s *Store) Cheap(q search.Query, patients []string) bool {
	p, err := newPlan(q, patients)
	return err == nil && (p.narrow || p.lone != nil || len(q.Clauses) == 0)
}

// Count counts the matches up to limit, all of them when limit is 0.
func (s *Store) Count(ctx context.Context, q search.Query, patients []string, limit int) (int, error) {
	p, err := newPlan(q, patients)
	if err != nil {
		return 0, err
	}
	where, args := p.where()
	distinct := ""
	if p.repeats {
		distinct = "DISTINCT "
	}
	sql := "SELECT " + distinct + "r.rid FROM " + p.from + " WHERE " + where
	if p.lone != nil { // index rows are of current resources of the type only
		sql, args = "SELECT "+distinct+"i.rid FROM ref_term i WHERE "+p.lone.sql, slices.Clone(p.lone.args)
	}
	if limit > 0 {
		sql += " LIMIT ?"
		args = append(args, limit)
	}
	var n int
	if err := s.db.Read.WithContext(ctx).Raw("SELECT count(*) FROM ("+sql+") AS n", args...).Scan(&n).Error; err != nil {
		return 0, fmt.Errorf("count %s: %w", q.Type, err)
	}
	return n, nil
}

// Referring gives the current resources that refer to one of the ids of type target by any of these parameters.
func (s *Store) Referring(ctx context.Context, params []*search.Param, target string, ids []string) ([]Resource, error) {
	var out []Resource
	seen := map[int64]bool{}
	for _, p := range params {
		sql, args := `SELECT `+columns+` FROM ref_term i CROSS JOIN ref_resource r
			WHERE r.rid = i.rid AND i.param = ? AND i.key IN ? AND i.qualifier = ? AND r.deleted = 0 ORDER BY r.rid`, []any{p.ID, ids, target}
		if p.Compartment && target == "Patient" {
			sql, args = `SELECT `+columns+` FROM ref_resource r WHERE r.patient IN ? AND r.type = ? AND r.deleted = 0 ORDER BY r.rid`, []any{ids, p.Type}
		}
		rs, err := s.query(ctx, s.db.Read, sql, args...)
		if err != nil {
			return nil, fmt.Errorf("%s.%s to %s: %w", p.Type, p.Code, target, err)
		}
		for _, r := range rs {
			if !seen[r.rid] {
				seen[r.rid] = true
				out = append(out, r)
			}
		}
	}
	return out, nil
}
