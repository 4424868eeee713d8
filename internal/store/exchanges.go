package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gorm.io/gorm"

	"fhirwire/proxy"
)

const (
	defaultLimit = 100
	maxLimit     = 1000
)

// Exchange reads one exchange in full; the error wraps proxy.ErrNotFound when there is none.
func (s *Store) Exchange(ctx context.Context, id string) (*proxy.Exchange, error) {
	var row fullRow
	err := s.read(ctx).Table("exchanges").Select("exchanges.*, exchange_details.detail").
		Joins("JOIN exchange_details ON exchange_details.number = exchanges.number").
		Where("exchanges.id = ?", id).Take(&row).Error
	if err != nil {
		return nil, fmt.Errorf("exchange %s: %w", id, absent(err))
	}
	out, err := s.full(ctx, []fullRow{row})
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// ExchangesByID reads exchanges in full, in no order; those that are not stored are left out.
func (s *Store) ExchangesByID(ctx context.Context, ids []string) ([]*proxy.Exchange, error) {
	out := make([]*proxy.Exchange, 0, len(ids))
	for chunk := range slices.Chunk(ids, 500) {
		var rows []fullRow
		err := s.read(ctx).Table("exchanges").Select("exchanges.*, exchange_details.detail").
			Joins("JOIN exchange_details ON exchange_details.number = exchanges.number").Where("exchanges.id IN ?", chunk).Find(&rows).Error
		if err != nil {
			return nil, fmt.Errorf("exchanges: %w", err)
		}
		full, err := s.full(ctx, rows)
		if err != nil {
			return nil, err
		}
		out = append(out, full...)
	}
	return out, nil
}

// Exchanges reads a page of exchanges in short form: without headers, body digests and edits.
func (s *Store) Exchanges(ctx context.Context, q proxy.Query) (proxy.Page, error) {
	matching := func() *gorm.DB { return s.filter(s.read(ctx).Table("exchanges AS e"), q.Filter) }
	limit := q.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	limit = min(limit, maxLimit)

	query := matching().Select("e.*").Limit(limit + 1)
	if q.Before > 0 {
		query = query.Where("e.number < ?", q.Before)
	}
	if q.After > 0 {
		query = query.Where("e.number > ?", q.After)
	}
	upwards := q.After > 0 && q.Before <= 0
	if upwards {
		query = query.Order("e.number")
	} else {
		query = query.Order("e.number DESC")
	}
	var rows []exchangeRow
	if err := query.Find(&rows).Error; err != nil {
		return proxy.Page{}, fmt.Errorf("exchanges: %w", err)
	}
	more := len(rows) > limit
	rows = rows[:min(len(rows), limit)]
	if upwards {
		slices.Reverse(rows)
	}
	page := proxy.Page{Exchanges: make([]*proxy.Exchange, len(rows))}
	for i := range rows {
		page.Exchanges[i] = rows[i].brief()
	}

	if !q.SkipTotal {
		var total int64
		if err := matching().Count(&total).Error; err != nil {
			return proxy.Page{}, fmt.Errorf("exchanges: count: %w", err)
		}
		page.Total = int(total)
	}
	beyond := func(op string, number int64) (bool, error) {
		var found []int64
		err := matching().Select("e.number").Where("e.number "+op+" ?", number).Limit(1).Find(&found).Error
		return len(found) > 0, err
	}
	oldest, newest := q.After+1, q.Before-1
	if len(rows) > 0 {
		newest, oldest = rows[0].Number, rows[len(rows)-1].Number
	}
	var errOlder, errNewer error
	switch {
	case upwards:
		page.Newer = more
		page.Older, errOlder = beyond("<", oldest)
	case q.Before > 0:
		page.Older = more
		page.Newer, errNewer = beyond(">", newest)
		if q.After > 0 && !more {
			page.Older, errOlder = beyond("<", oldest)
		}
	default:
		page.Older = more
	}
	if err := errors.Join(errOlder, errNewer); err != nil {
		return proxy.Page{}, fmt.Errorf("exchanges: %w", err)
	}
	return page, nil
}

// Neighbours are the ids of the exchanges recorded before and after one, empty where there is none. The error wraps
// proxy.ErrNotFound when id is unknown.
func (s *Store) Neighbours(ctx context.Context, id string) (prev, next string, err error) {
	var at exchangeRow
	if err := s.read(ctx).Select("number").Where("id = ?", id).Take(&at).Error; err != nil {
		return "", "", fmt.Errorf("exchange %s: %w", id, absent(err))
	}
	var before, after []string
	err = errors.Join(
		s.read(ctx).Table("exchanges").Where("number < ?", at.Number).Order("number DESC").Limit(1).Pluck("id", &before).Error,
		s.read(ctx).Table("exchanges").Where("number > ?", at.Number).Order("number").Limit(1).Pluck("id", &after).Error,
	)
	if err != nil {
		return "", "", fmt.Errorf("neighbours of exchange %s: %w", id, err)
	}
	if len(before) > 0 {
		prev = before[0]
	}
	if len(after) > 0 {
		next = after[0]
	}
	return prev, next, nil
}
