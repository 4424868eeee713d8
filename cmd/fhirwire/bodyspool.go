package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"fhirwire/proxy"
)

// bodySpool keeps the bodies of a file that is judged, each once, so that a large one needs not fit into memory. It is for one goroutine.
type bodySpool struct {
	file *os.File
	end  int64
	at   map[proxy.Digest]span
}

type span struct{ from, size int64 }

func newBodySpool() (*bodySpool, error) {
	f, err := os.CreateTemp("", "fhirwire-judge-*")
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	return &bodySpool{file: f, at: map[proxy.Digest]span{}}, nil
}

func (s *bodySpool) keep(bodies memoryBodies) error {
	for d, text := range bodies {
		if _, ok := s.at[d]; ok || d == "" {
			continue
		}
		if _, err := s.file.WriteAt(text, s.end); err != nil {
			return fmt.Errorf("spool: %w", err)
		}
		s.at[d] = span{s.end, int64(len(text))}
		s.end += int64(len(text))
	}
	return nil
}

// OpenBody implements proxy.Bodies.
func (s *bodySpool) OpenBody(_ context.Context, d proxy.Digest) (io.ReadCloser, error) {
	at, ok := s.at[d]
	if !ok {
		return nil, fmt.Errorf("body %s: %w", d, proxy.ErrNoBody)
	}
	return io.NopCloser(io.NewSectionReader(s.file, at.from, at.size)), nil
}

func (s *bodySpool) close() error { return errors.Join(s.file.Close(), os.Remove(s.file.Name())) }
