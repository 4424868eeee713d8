package store

import (
	"context"
	"fmt"
	"maps"

	"gorm.io/gorm/clause"

	"fhirwire/proxy"
)

// BulkURL is the kind of a URL that a server named as a bulk status or file, learned from earlier exchanges; the error
// wraps proxy.ErrNotFound when it was never named.
func (s *Store) BulkURL(ctx context.Context, url string) (proxy.Kind, error) {
	s.mu.Lock()
	kind, ok := s.bulkURLs[url]
	s.mu.Unlock()
	if ok {
		return kind, nil
	}
	var row bulkURLRow
	err := s.read(ctx).Where("url = ?", url).Take(&row).Error
	if err != nil {
		return "", fmt.Errorf("bulk URL: %w", absent(err))
	}
	s.rememberBulkURLs(map[string]proxy.Kind{url: proxy.Kind(row.Kind)})
	return proxy.Kind(row.Kind), nil
}

// maxBulkURLs bounds the memory for learned URLs; beyond it the database is asked.
const maxBulkURLs = 10_000

func (s *Store) rememberBulkURLs(urls map[string]proxy.Kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.bulkURLs)+len(urls) > maxBulkURLs {
		clear(s.bulkURLs)
	}
	maps.Copy(s.bulkURLs, urls)
}

// LearnBulkURLs remembers URLs that a server named as bulk status or file.
func (s *Store) LearnBulkURLs(ctx context.Context, urls map[string]proxy.Kind) error {
	var rows []bulkURLRow
	for url, kind := range urls {
		rows = append(rows, bulkURLRow{url, string(kind)})
	}
	if len(rows) == 0 {
		return nil
	}
	err := s.write(ctx).Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "url"}}, UpdateAll: true}).
		CreateInBatches(&rows, 500).Error
	if err != nil {
		return fmt.Errorf("remember bulk URLs: %w", err)
	}
	s.rememberBulkURLs(urls)
	return nil
}
