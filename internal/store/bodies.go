package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strconv"

	"fhirwire/proxy"
)

// maxInline is the size up to which a body is kept in the database, beside its exchange.
const maxInline = 16 << 10

// storeBodies reads small bodies and streams large ones to the blobs.
func (s *Store) storeBodies(ctx context.Context, e *proxy.Exchange, bodies proxy.Bodies) ([]bodyRow, error) {
	all := []proxy.Body{e.Request.Body}
	if e.Response != nil {
		all = append(all, e.Response.Body)
		if e.Response.Forwarded != nil {
			all = append(all, *e.Response.Forwarded)
		}
	}
	var rows []bodyRow
	for _, b := range all {
		if b.Digest == "" || b.Stored == 0 {
			continue
		}
		row, err := s.storeBody(ctx, b, bodies)
		if errors.Is(err, proxy.ErrNoBody) {
			continue // the recorder kept none; the exchange says what passed
		}
		if err != nil {
			return nil, fmt.Errorf("body %s: %w", b.Digest, err)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func (s *Store) storeBody(ctx context.Context, b proxy.Body, bodies proxy.Bodies) (_ bodyRow, err error) {
	row := bodyRow{Digest: string(b.Digest), Stored: b.Stored, Redacted: b.Redacted}
	rc, err := bodies.OpenBody(ctx, b.Digest)
	if err != nil {
		return bodyRow{}, err
	}
	defer func() { err = errors.Join(err, rc.Close()) }()
	if b.Stored > maxInline {
		row.Blob = blobKey(b)
		return row, s.blobs.Put(ctx, row.Blob, b.Stored, rc)
	}
	row.Data, err = io.ReadAll(io.LimitReader(rc, maxInline+1))
	if err == nil && int64(len(row.Data)) != b.Stored {
		err = fmt.Errorf("got %d bytes, want %d", len(row.Data), b.Stored)
	}
	return row, err
}

// blobKey tells apart copies of one body that differ, so that a key's content never changes.
func blobKey(b proxy.Body) string {
	key := string(b.Digest)
	if b.Redacted {
		return key + "-redacted" + strconv.FormatInt(b.Stored, 10)
	}
	if b.Truncated() {
		return key + "-cut" + strconv.FormatInt(b.Stored, 10)
	}
	return key
}

// OpenBody opens the stored copy of a body. The error wraps proxy.ErrNoBody when there is none.
func (s *Store) OpenBody(ctx context.Context, d proxy.Digest) (io.ReadCloser, error) {
	var data []byte
	var blob string
	// Judging a long channel asks this a hundred thousand times: a plain row costs less than a model.
	err := s.read(ctx).Raw(`SELECT data, blob FROM bodies WHERE digest = ?`, string(d)).Row().Scan(&data, &blob)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("body %s: %w", d, proxy.ErrNoBody)
	}
	if err != nil {
		return nil, fmt.Errorf("body %s: %w", d, err)
	}
	if blob != "" {
		return s.blobs.Open(ctx, blob)
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}
