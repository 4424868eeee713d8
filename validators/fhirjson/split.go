package fhirjson

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"fhirwire/validators"
)

// Input is what can be read in parts, such as an io.SectionReader over a file.
type Input interface {
	io.ReaderAt
	Size() int64
}

// Item is one item of a Split array.
type Item struct {
	Offset, End  int64
	Line, Column int32 // zero-based, of the start
}

// Len counts the item's bytes.
func (i *Item) Len() int { return int(i.End - i.Offset) }

// Position is what stands before the item, as ParseAt wants it.
func (i *Item) Position() validators.Position {
	return validators.Position{Offset: int(i.Offset), Line: int(i.Line), Column: int(i.Column)}
}

// Split is a large object with one of its arrays taken out: the places of the array's items, and what stands around them.
type Split struct {
	Before, After []byte
	// Rest is what stands before After.
	Rest  validators.Position
	Items []Item
	// Cut is true where the input ends within the array; the last item may be half an item then.
	Cut bool
}

// ErrNotSplit is wrapped by the error of an input that SplitArray cannot take apart, which says nothing about its being good.
var ErrNotSplit = errors.New("not to be taken apart")

const (
	splitChunk  = 256 << 10
	splitAround = 16 << 20 // bytes that may stand around the array
)

// SplitArray finds the items of the array that is the member name of the object in src, with one pass over the bytes and a
// buffer's memory. It takes strict JSON with objects as items; anything else around the items is ErrNotSplit. What is within an
// item is for Parse to judge.
func SplitArray(ctx context.Context, src Input, name string) (*Split, error) {
	s := splitter{src: src, size: src.Size(), buf: make([]byte, splitChunk), name: name}
	if err := s.run(ctx); err != nil {
		return nil, err
	}
	return &s.out, nil
}

type splitter struct {
	src    Input
	size   int64
	buf    []byte
	part   []byte // of buf: what was read and not looked at
	read   int64  // offset behind part
	line   int
	lineAt int64 // offset at which the line starts
	name   string
	out    Split
	err    error
}

func (s *splitter) at() int64 { return s.read - int64(len(s.part)) }

// more fills part when it is empty, and reports false at the end.
func (s *splitter) more() bool {
	if len(s.part) > 0 {
		return true
	}
	if s.err != nil || s.read >= s.size {
		return false
	}
	n, err := s.src.ReadAt(s.buf, s.read)
	if n == 0 && err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	s.part = s.buf[:n]
	s.read += int64(n)
	return n > 0
}

func (s *splitter) take() byte {
	c := s.part[0]
	if c == '\n' {
		s.line, s.lineAt = s.line+1, s.at()+1
	}
	s.part = s.part[1:]
	return c
}

// space steps over white space and gives the byte behind it, 0 at the end.
func (s *splitter) space() byte {
	for s.more() {
		switch c := s.part[0]; c {
		case ' ', '\t', '\r', '\n':
			s.take()
		default:
			return c
		}
	}
	return 0
}

func (s *splitter) refuse(what string) error {
	if s.err != nil {
		return s.err
	}
	return fmt.Errorf("line %d, column %d: %s: %w", s.line+1, s.at()-s.lineAt+1, what, ErrNotSplit)
}

func (s *splitter) run(ctx context.Context) error {
	if s.space() != '{' {
		return s.refuse("no object")
	}
	s.take()
	for {
		if s.at() > splitAround {
			return s.refuse("too much before the array")
		}
		if s.space() != '"' {
			return s.refuse("no member name")
		}
		key := s.key()
		if s.space() != ':' {
			return s.refuse("no colon")
		}
		s.take()
		if c := s.space(); key == s.name && c == '[' {
			break
		}
		if !s.skip() {
			return s.refuse("the input ends")
		}
		if s.space() != ',' {
			return s.refuse("no " + s.name)
		}
		s.take()
	}
	s.take()
	before := s.at()
	if err := s.items(ctx); err != nil {
		return err
	}
	s.out.Rest = validators.Position{Offset: int(s.at()), Line: s.line, Column: int(s.at() - s.lineAt)}
	if s.size-s.at() > splitAround {
		return s.refuse("too much behind the array")
	}
	var err error
	if s.out.Before, err = s.bytes(0, before); err != nil {
		return err
	}
	s.out.After, err = s.bytes(s.at(), s.size)
	return err
}

// items notes where the items are, up to the closing bracket or the end of the input.
func (s *splitter) items(ctx context.Context) error {
	for first := true; ; first = false {
		switch c := s.space(); {
		case c == 0:
			s.out.Cut = true
			return s.err
		case c == ']':
			return nil
		case !first && c == ',':
			s.take()
			if c = s.space(); c == 0 {
				s.out.Cut = true
				return s.err
			} else if c != '{' {
				return s.refuse("no object")
			}
		case !first || c != '{':
			return s.refuse("no object")
		}
		i := Item{Offset: s.at(), Line: int32(s.line), Column: int32(s.at() - s.lineAt)}
		whole := s.skip()
		i.End = s.at()
		s.grow()
		s.out.Items = append(s.out.Items, i)
		if !whole {
			s.out.Cut = true
			return s.err
		}
		if len(s.out.Items)%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// grow makes room for as many items as the input will have if it goes on like this, instead of half as many again and again.
func (s *splitter) grow() {
	n := len(s.out.Items)
	if n < 4096 || n < cap(s.out.Items) {
		return
	}
	before := s.out.Items[0].Offset
	all := float64(s.size-before) / float64(s.at()-before) * float64(n)
	s.out.Items = slices.Grow(s.out.Items, max(n/8, int(all*1.02)-n))
}

func (s *splitter) bytes(from, to int64) ([]byte, error) {
	b := make([]byte, to-from)
	if n, err := s.src.ReadAt(b, from); n < len(b) {
		return nil, fmt.Errorf("bytes %d to %d: %w", from, to, err)
	}
	return b, nil
}

// key reads a member name as it is written; a long one, or one with escapes, is no name that is looked for.
func (s *splitter) key() string {
	var key []byte
	s.take()
	for s.more() {
		switch c := s.take(); c {
		case '"':
			return string(key)
		case '\\':
			if !s.more() {
				return ""
			}
			key = append(key, '\\', s.take())
		default:
			if len(key) < 64 {
				key = append(key, c)
			}
		}
	}
	return ""
}

// skip steps over one value and reports whether it has an end.
func (s *splitter) skip() bool {
	depth := 0
	for s.more() {
		part, at := s.part, s.at()
		for i := 0; i < len(part); i++ {
			c := part[i]
			if !structural[c] {
				continue
			}
			switch c {
			case '\n':
				s.line, s.lineAt = s.line+1, at+int64(i)+1
				continue
			case '"':
				if n := plainString(part[i:]); n > 0 {
					i += n - 1
				} else { // with escapes, or not to its end in what was read
					s.part = part[i:]
					if !s.skipString() {
						return false
					}
					part, at, i = s.part, s.at(), -1
				}
				if depth > 0 {
					continue
				}
				s.part = part[i+1:]
				return true
			case '{', '[':
				depth++
				continue
			case '}', ']':
				if depth--; depth > 0 {
					continue
				}
				if depth == 0 {
					i++
				} // else of a bare word, at the end of what holds it
			case ',':
				if depth > 0 {
					continue
				}
			}
			s.part = part[i:]
			return true
		}
		s.part = nil
	}
	return false
}

// structural marks the bytes that skip looks at.
var structural = [256]bool{'\n': true, '"': true, '{': true, '[': true, '}': true, ']': true, ',': true}

// plainString is the length of the string that b starts with, quotes included; 0 where it has an escape, a line end or no end.
func plainString(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i + 1
		case '\\', '\n':
			return 0
		}
	}
	return 0
}

func (s *splitter) skipString() bool {
	s.part = s.part[1:]
	for s.more() {
		i := bytes.IndexAny(s.part, "\"\\\n")
		if i < 0 {
			s.part = nil
			continue
		}
		s.part = s.part[i:]
		switch s.take() {
		case '"':
			return true
		case '\\':
			if !s.more() {
				return false
			}
			s.take()
		}
	}
	return false
}
