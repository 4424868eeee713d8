package rewrite

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Editor is asked about the string values of a JSON text.
type Editor interface {
	// Wants says whether the string at the path may have to change. It is called before the string is read.
	Wants(p Path) bool
	// Edit returns the value to put in place of s, and whether it differs.
	// An Editor that also has EditUnfinished, of the same shape, is asked about a string that the end of input cut.
	Edit(p Path, s string) (string, bool)
}

// ErrLongString says that a string the Editor asked for is longer than the stream may hold.
var ErrLongString = errors.New("a string to be rewritten is too long")

// Path is the place of a value: Path[0] is the root's child. It is valid during the call only.
type Path []Step

// Step is one level: the member's key in an object, the index in an array.
type Step struct {
	Key   string
	Index int
	Array bool
}

// Pointer is the path as an RFC 6901 JSON Pointer.
func (p Path) Pointer() string {
	var b strings.Builder
	for _, s := range p {
		b.WriteByte('/')
		if s.Array {
			b.WriteString(strconv.Itoa(s.Index))
		} else {
			b.WriteString(strings.ReplaceAll(strings.ReplaceAll(s.Key, "~", "~0"), "/", "~1"))
		}
	}
	return b.String()
}

// keyCap bounds the bytes of a member name that are kept; longer names match nothing.
const keyCap = 128

// Stream copies a JSON text and lets an Editor replace string values. It is a token-level machine, not a parser: bytes it need
// not understand, malformed input included, come out as they went in. Memory is bounded by maxString and the nesting depth seen.
type Stream struct {
	src       io.Reader
	editor    Editor
	maxDepth  int
	maxString int
	err       error

	in     []byte
	out    []byte
	outPos int

	path  Path // steps down to maxDepth
	depth int  // true depth, may exceed len(path)
	isKey bool // the next string is a member name

	str    strState
	escape bool
	held   []byte // the string being read, with its opening quote

	names map[string]string // member names seen, so that each is allocated once; bounded by maxNames
}

const maxNames = 256

type strState uint8

const (
	outside strState = iota
	passing
	holdingKey
	holdingValue
)

// NewStream reads src. Strings deeper than maxDepth levels are passed without asking; 0 asks at every level (down to 4,096).
func NewStream(src io.Reader, e Editor, maxDepth, maxString int) *Stream {
	if maxDepth <= 0 {
		maxDepth = 4096
	}
	return &Stream{src: src, editor: e, maxDepth: maxDepth, maxString: maxString}
}

// Read implements io.Reader. What was read is handed on at once, but for a string that is being held.
func (s *Stream) Read(p []byte) (int, error) {
	for s.outPos == len(s.out) {
		if s.err != nil {
			return 0, s.err
		}
		s.out, s.outPos = s.out[:0], 0
		if s.in == nil {
			s.in = make([]byte, 32<<10)
		}
		n, err := s.src.Read(s.in)
		s.feed(s.in[:n])
		if err != nil {
			s.unfinished()
			if s.err == nil {
				s.err = err
			}
		}
	}
	n := copy(p, s.out[s.outPos:])
	s.outPos += n
	return n, nil
}

// all runs a text that is wholly in memory through the stream.
func (s *Stream) all(b []byte) ([]byte, error) {
	s.out = make([]byte, 0, len(b)+len(b)/8+64)
	s.feed(b)
	s.unfinished()
	return s.out, s.err
}

func (s *Stream) feed(b []byte) {
	for len(b) > 0 && s.err == nil {
		if s.str != outside {
			b = s.inString(b)
			continue
		}
		i := 0
	scan:
		for ; i < len(b); i++ {
			switch b[i] {
			case '"':
				break scan
			case '{', '[':
				s.push(b[i] == '[')
			case '}', ']':
				s.pop()
			case ',':
				s.next()
			case ':':
				s.isKey = false
			}
		}
		s.out = append(s.out, b[:i]...)
		b = b[i:]
		if len(b) > 0 {
			s.open()
			b = b[1:]
		}
	}
}

func (s *Stream) push(array bool) {
	s.depth++
	if s.depth <= s.maxDepth {
		s.path = append(s.path, Step{Array: array})
	}
	s.isKey = !array
}

func (s *Stream) pop() {
	if s.depth == 0 {
		return
	}
	if s.depth <= s.maxDepth {
		s.path = s.path[:len(s.path)-1]
	}
	s.depth--
	s.isKey = false
}

func (s *Stream) next() {
	if s.depth == 0 || s.depth > s.maxDepth {
		return
	}
	top := &s.path[len(s.path)-1]
	if top.Array {
		top.Index++
		return
	}
	top.Key, s.isKey = "", true
}

func (s *Stream) open() {
	shallow := s.depth > 0 && s.depth <= s.maxDepth
	switch {
	case shallow && s.isKey:
		s.str = holdingKey
	case shallow && s.editor.Wants(s.path):
		s.str = holdingValue
	default:
		s.str = passing
	}
	s.held = append(s.held[:0], '"')
	if s.str != holdingValue {
		s.out = append(s.out, '"')
	}
}

// inString takes what belongs to the current string from b and returns the rest.
func (s *Stream) inString(b []byte) []byte {
	// quote is the next quotation mark at or after n; it is looked for again only once passed, so that the scan stays linear.
	n, quote, closed := 0, -1, false
	for n < len(b) && !closed {
		if s.escape {
			s.escape = false
			n++
			continue
		}
		if quote < n {
			if quote = bytes.IndexByte(b[n:], '"'); quote >= 0 {
				quote += n
			} else {
				quote = len(b)
			}
		}
		j := bytes.IndexByte(b[n:quote], '\\')
		switch {
		case j >= 0:
			s.escape = true
			n += j + 1
		case quote < len(b):
			n, closed = quote+1, true
		default:
			n = len(b)
		}
	}
	part := b[:n]
	switch s.str {
	case holdingValue:
		if len(s.held)+len(part) > s.maxString {
			s.err = fmt.Errorf("%s: %w", s.path.Pointer(), ErrLongString)
			return nil
		}
		s.held = append(s.held, part...)
	case holdingKey:
		if len(s.held) <= keyCap {
			s.held = append(s.held, part...)
		}
		s.out = append(s.out, part...)
	default:
		s.out = append(s.out, part...)
	}
	if closed {
		s.close()
	}
	return b[n:]
}

func (s *Stream) close() {
	switch s.str {
	case holdingKey:
		key := ""
		if len(s.held) <= keyCap {
			key = s.name(s.held)
		}
		s.path[len(s.path)-1].Key = key
	case holdingValue:
		out := s.held
		v, ok := unquote(s.held)
		if !ok {
			v = string(s.held[1 : len(s.held)-1]) // not JSON's escapes: the editor judges the text as it is
		}
		if to, changed := s.editor.Edit(s.path, v); changed {
			out = Quote(to)
		}
		s.out = append(s.out, out...)
	case outside, passing:
	}
	s.held = s.held[:0]
	s.str = outside
}

// unfinished ends a string that the input broke off: it leaves as it came, unless the editor has its own mind about it.
func (s *Stream) unfinished() {
	if s.str != holdingValue || len(s.held) == 0 {
		return
	}
	out := s.held
	if e, ok := s.editor.(interface {
		EditUnfinished(p Path, s string) (string, bool)
	}); ok {
		if to, changed := e.EditUnfinished(s.path, string(s.held[1:])); changed {
			out = Quote(to)
		}
	}
	s.out = append(s.out, out...)
	s.held = s.held[:0]
}

// name is the member name that raw spells, "" for one that is no JSON string.
func (s *Stream) name(raw []byte) string {
	if v, ok := s.names[string(raw)]; ok {
		return v
	}
	v, _ := unquote(raw)
	if s.names == nil {
		s.names = map[string]string{}
	}
	if len(s.names) < maxNames {
		s.names[string(raw)] = v
	}
	return v
}

// unquote reads a JSON string with its quotation marks.
func unquote(raw []byte) (string, bool) {
	plain := true
	for _, c := range raw[1 : len(raw)-1] {
		plain = plain && c >= ' ' && c < 0x80 && c != '\\'
	}
	if plain {
		return string(raw[1 : len(raw)-1]), true
	}
	var v string
	err := json.Unmarshal(raw, &v)
	return v, err == nil
}

// Quote is s as a JSON string, with only what JSON requires escaped.
func Quote(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
