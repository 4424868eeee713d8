package resources

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gorm.io/gorm"

	"fhirwire/internal/sqldb"
	"fhirwire/reference/search"
)

// batch collects rows and writes them sorted and many at a time. It goes round gorm's statement builder, not round its
// connection: at 200,000 rows a second the builder would cost more than the database.
type batch struct {
	pool    gorm.ConnPool
	dialect sqldb.Dialect
	rows    []resourceRow
	terms   []termRow
	dates   []dateRow
	amounts []amountRow
}

type resourceRow struct {
	r       Resource
	patient string
	body    []byte
}

type termRow struct {
	search.Term
	rid int64
}

type dateRow struct {
	search.Span
	rid int64
}

type amountRow struct {
	search.Measure
	rid int64
}

func newBatch(tx *gorm.DB, d sqldb.Dialect) *batch {
	return &batch{pool: tx.Statement.ConnPool, dialect: d}
}

func (b *batch) insert(r *Resource, packed []byte, e *search.Entries) error {
	if r.rid == 0 {
		return fmt.Errorf("%s/%s: no row id", r.Type, r.ID)
	}
	b.rows = append(b.rows, resourceRow{*r, e.Patient, notNil(packed)})
	b.entries(r.rid, e)
	return nil
}

func (b *batch) entries(rid int64, e *search.Entries) {
	for _, t := range e.Terms {
		b.terms = append(b.terms, termRow{t, rid})
	}
	for _, d := range e.Dates {
		b.dates = append(b.dates, dateRow{d, rid})
	}
	for _, q := range e.Quantities {
		b.amounts = append(b.amounts, amountRow{q, rid})
	}
}

// flush writes what was collected and empties the batch.
func (b *batch) flush(ctx context.Context) error {
	err := insertRows(ctx, b, "ref_resource (rid, type, id, version, updated, deleted, patient, body)", 8, b.rows, func(args []any, row *resourceRow) []any {
		return append(args, row.r.rid, row.r.Type, row.r.ID, row.r.Version, row.r.Updated.UnixMilli(), flag(row.r.Deleted), row.patient, row.body)
	})
	if err != nil {
		return fmt.Errorf("insert resources: %w", err)
	}
	// Sorted rows touch each page of the index once.
	slices.SortFunc(b.terms, func(x, y termRow) int {
		if c := cmp.Compare(x.Param, y.Param); c != 0 {
			return c
		}
		if c := strings.Compare(x.Key, y.Key); c != 0 {
			return c
		}
		if c := cmp.Compare(x.rid, y.rid); c != 0 {
			return c
		}
		return strings.Compare(x.Qualifier, y.Qualifier)
	})
	b.terms = slices.Compact(b.terms)
	err = insertRows(ctx, b, "ref_term (param, key, rid, qualifier)", 4, b.terms, func(args []any, row *termRow) []any {
		return append(args, row.Param, row.Key, row.rid, row.Qualifier)
	})
	if err != nil {
		return fmt.Errorf("insert index terms: %w", err)
	}
	slices.SortFunc(b.dates, func(x, y dateRow) int {
		return cmp.Or(cmp.Compare(x.Param, y.Param), cmp.Compare(x.rid, y.rid), cmp.Compare(x.Lo, y.Lo), cmp.Compare(x.Hi, y.Hi))
	})
	b.dates = slices.Compact(b.dates)
	err = insertRows(ctx, b, "ref_date (param, rid, lo, hi)", 4, b.dates, func(args []any, row *dateRow) []any {
		return append(args, row.Param, row.rid, row.Lo, row.Hi)
	})
	if err != nil {
		return fmt.Errorf("insert index dates: %w", err)
	}
	err = insertRows(ctx, b, "ref_quantity (param, rid, lo, hi, system, code)", 6, b.amounts, func(args []any, row *amountRow) []any {
		return append(args, row.Param, row.rid, row.Lo, row.Hi, row.System, row.Code)
	})
	if err != nil {
		return fmt.Errorf("insert index quantities: %w", err)
	}
	clear(b.rows)
	clear(b.terms)
	b.rows, b.terms, b.dates, b.amounts = b.rows[:0], b.terms[:0], b.dates[:0], b.amounts[:0]
	return nil
}

// insertRows uses two statement shapes per table, so that the prepared-statement cache stays small.
func insertRows[T any](ctx context.Context, b *batch, into string, cols int, rows []T, add func([]any, *T) []any) error {
	const many = 64
	args := make([]any, 0, cols*many)
	for len(rows) > 0 {
		n := 1
		if len(rows) >= many {
			n = many
		}
		args = args[:0]
		for i := range n {
			args = add(args, &rows[i])
		}
		if _, err := b.pool.ExecContext(ctx, insertSQL(b.dialect, into, cols, n), args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

func insertSQL(d sqldb.Dialect, into string, cols, rows int) string {
	var s strings.Builder
	s.Grow(len(into) + 20 + rows*cols*4)
	s.WriteString("INSERT INTO ")
	s.WriteString(into)
	s.WriteString(" VALUES ")
	n := 0
	for r := range rows {
		if r > 0 {
			s.WriteByte(',')
		}
		for c := range cols {
			s.WriteByte("(,"[min(c, 1)])
			if n++; d == sqldb.Postgres {
				s.WriteByte('$')
				s.WriteString(strconv.Itoa(n))
			} else {
				s.WriteByte('?')
			}
		}
		s.WriteByte(')')
	}
	return s.String()
}
