package fhirjson

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"fhirwire/validators"
)

// Line is one line of NDJSON.
type Line struct {
	// Bytes is the line without its end. It is valid until the next Scan.
	Bytes []byte
	// Position is what stands before the line, zero-based, as ParseAt wants it.
	Position validators.Position
	// Open is true for a last line without a line end: where the input was cut, it is half a line.
	Open bool
}

// LineScanner splits NDJSON into lines with their positions, holding one line in memory.
type LineScanner struct {
	r      *bufio.Reader
	max    int
	buf    []byte
	line   Line
	next   validators.Position
	err    error
	closed bool
}

// ErrLineTooLong is wrapped by the error of a LineScanner that met a line over its cap.
var ErrLineTooLong = errors.New("line too long")

// NewLineScanner reads from r; a line longer than maxLine bytes ends the scan with ErrLineTooLong.
func NewLineScanner(r io.Reader, maxLine int) *LineScanner {
	return &LineScanner{r: bufio.NewReaderSize(r, 64<<10), max: maxLine}
}

// Scan steps to the next line and reports whether there is one.
func (s *LineScanner) Scan() bool {
	if s.closed {
		return false
	}
	s.buf = s.buf[:0]
	size := 0
	for {
		part, err := s.r.ReadSlice('\n')
		size += len(part)
		if len(s.buf)+len(part) > s.max+2 {
			return s.stop(fmt.Errorf("line %d has more than %d bytes: %w", s.next.Line+1, s.max, ErrLineTooLong))
		}
		if err == nil && len(s.buf) == 0 {
			return s.found(part, size) // the common case: no copy
		}
		s.buf = append(s.buf, part...)
		switch {
		case err == nil:
			return s.found(s.buf, size)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			s.closed = true
			return len(s.buf) > 0 && s.found(s.buf, size)
		default:
			return s.stop(err)
		}
	}
}

func (s *LineScanner) found(b []byte, size int) bool {
	open := true
	if n := len(b); n > 0 && b[n-1] == '\n' {
		b, open = b[:n-1], false
	}
	if n := len(b); n > 0 && b[n-1] == '\r' {
		b = b[:n-1]
	}
	s.line = Line{Bytes: b, Position: s.next, Open: open}
	s.next.Line++
	s.next.Offset += size
	return true
}

func (s *LineScanner) stop(err error) bool {
	s.err, s.closed = err, true
	return false
}

// Line is the line that Scan found.
func (s *LineScanner) Line() Line { return s.line }

// Err is what ended the scan before the end of the input, nil otherwise.
func (s *LineScanner) Err() error { return s.err }
