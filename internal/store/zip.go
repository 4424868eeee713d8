package store

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"fhirwire/validators"
)

// zipper packs reports. What it works with is large beside a report, and is used again.
type zipper struct{ writers, readers sync.Pool }

func (z *zipper) pack(r validators.Report) ([]byte, error) {
	var b bytes.Buffer
	w, ok := z.writers.Get().(*gzip.Writer)
	if !ok {
		w = gzip.NewWriter(nil)
	}
	defer z.writers.Put(w)
	w.Reset(&b)
	if err := errors.Join(json.NewEncoder(w).Encode(r), w.Close()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (z *zipper) unpack(exchangeID string, packed []byte) (*validators.Report, error) {
	r := new(validators.Report)
	return r, z.unpackTo(r, exchangeID, packed)
}

// unpackFindings leaves the results of single resources out.
func (z *zipper) unpackFindings(exchangeID string, packed []byte) (*validators.Report, error) {
	r := new(validators.Report)
	return r, z.unpackTo(&struct {
		*validators.Report
		Resources unread `json:"resources"`
	}{Report: r}, exchangeID, packed)
}

// unread is a value that is passed over.
type unread struct{}

// UnmarshalJSON implements json.Unmarshaler.
func (unread) UnmarshalJSON([]byte) error { return nil }

func (z *zipper) unpackTo(to any, exchangeID string, packed []byte) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("stored report on exchange %s: %w", exchangeID, err)
		}
	}()
	from, ok := z.readers.Get().(*gzip.Reader)
	if !ok {
		from = new(gzip.Reader)
	}
	defer z.readers.Put(from)
	if err := from.Reset(bytes.NewReader(packed)); err != nil {
		return err
	}
	return errors.Join(json.NewDecoder(from).Decode(to), from.Close())
}
