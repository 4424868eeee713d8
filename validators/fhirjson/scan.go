package fhirjson

import (
	"bytes"
	"fmt"

	"fhirwire/validators"
)

// Limits bound what Parse builds. Zero fields take the defaults.
type Limits struct {
	Depth int // nesting of arrays and objects; default 128
	Nodes int // values; default 20 million
	// Around is how deep the value stands in what it is a part of.
	Around int
}

func (l Limits) orDefault() Limits {
	if l.Depth == 0 {
		l.Depth = 128
	}
	if l.Nodes == 0 {
		l.Nodes = 20_000_000
	}
	return l
}

// Parse reads one JSON value. It always returns a document; Document.Problems says what is wrong with its form.
func Parse(src []byte) *Document { return ParseAt(src, validators.Position{}, Limits{}) }

// ParseAt is Parse for input that is a part of something larger: base is what stands before it (lines and bytes passed,
// and columns on its first line), all zero-based.
func ParseAt(src []byte, base validators.Position, limits Limits) *Document {
	d := pool.Get().(*Document)
	d.src, d.base = src, base
	s := scanner{d: d, src: src, limits: limits.orDefault()}
	if len(src) > 1<<31-2 {
		s.fatal(ProblemSize, 0, "the input is larger than 2 GiB")
		return d
	}
	s.depth = s.limits.Around
	s.last = append(d.last[:0], make([]*Node, s.depth+1)...)
	s.document()
	clear(s.last)
	d.last = s.last
	return d
}

type scanner struct {
	d      *Document
	src    []byte
	pos    int
	depth  int
	nodes  int
	failed bool
	limits Limits
	last   []*Node                    // the last child so far of each open object and array
	wide   map[*Node]map[string]*Node // objects with too many members to compare each with each
}

func (s *scanner) problem(id string, off int, n *Node, format string, args ...any) {
	if len(s.d.problems) < MaxProblems {
		s.d.problems = append(s.d.problems, Problem{ID: id, Text: fmt.Sprintf(format, args...), Offset: off, Node: n})
	}
}

func (s *scanner) fatal(id string, off int, format string, args ...any) {
	if s.failed {
		return
	}
	s.failed = true
	s.d.problems = append(s.d.problems, Problem{ID: id, Text: fmt.Sprintf(format, args...), Offset: off, Fatal: true})
}

func (s *scanner) document() {
	if bytes.HasPrefix(s.src, []byte("\xef\xbb\xbf")) {
		s.problem(ProblemBOM, 0, nil, "the input starts with a byte order mark, which RFC 8259 forbids")
		s.pos = 3
	}
	s.space()
	if s.pos >= len(s.src) {
		s.fatal(ProblemEmpty, s.pos, "there is no JSON value here")
		return
	}
	if c := s.src[s.pos]; c != '{' && c != '[' && c != '"' && c != '-' && (c < '0' || c > '9') && !s.literalAhead() {
		s.fatal(ProblemNotJSON, s.pos, "this is not JSON: it starts with %s", show(s.src[s.pos:]))
		return
	}
	s.d.root = s.value(nil, "", 0)
	s.d.typeName = s.d.root.ResourceType()
	if s.failed {
		return
	}
	s.space()
	if s.pos < len(s.src) {
		s.fatal(ProblemNotJSON, s.pos, "text after the end of the JSON value: %s", show(s.src[s.pos:]))
	}
}

func (s *scanner) literalAhead() bool {
	for _, w := range []string{"true", "false", "null"} {
		if bytes.HasPrefix(s.src[s.pos:], []byte(w)) {
			return true
		}
	}
	return false
}

func (s *scanner) space() {
	for s.pos < len(s.src) {
		switch s.src[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		case '/':
			if !s.comment() {
				return
			}
		default:
			return
		}
	}
}

func (s *scanner) comment() bool {
	rest := s.src[s.pos:]
	var end int
	switch {
	case bytes.HasPrefix(rest, []byte("//")):
		if end = bytes.IndexByte(rest, '\n'); end < 0 {
			end = len(rest)
		}
	case bytes.HasPrefix(rest, []byte("/*")):
		if end = bytes.Index(rest, []byte("*/")); end < 0 {
			end = len(rest)
		} else {
			end += 2
		}
	default:
		return false
	}
	s.problem(ProblemComment, s.pos, nil, "JSON has no comments")
	s.pos += end
	return true
}

// node starts a value at the current position and hangs it below parent.
func (s *scanner) node(parent *Node, key string, keyStart int) *Node {
	if s.nodes++; s.nodes > s.limits.Nodes {
		s.fatal(ProblemSize, s.pos, "more than %d values", s.limits.Nodes)
	}
	n := s.d.newNode()
	n.doc, n.parent, n.key, n.keyStart, n.start = s.d, parent, key, int32(keyStart), int32(s.pos)
	if parent != nil {
		n.index = parent.count
		parent.count++
		if last := s.last[s.depth]; last == nil {
			parent.first = n
		} else {
			last.next = n
		}
		s.last[s.depth] = n
	}
	return n
}

func (s *scanner) value(parent *Node, key string, keyStart int) *Node {
	n := s.node(parent, key, keyStart)
	switch c := s.src[s.pos]; {
	case c == '"':
		n.kind, n.quoted = String, true
		n.escaped = s.str(n)
	case c == '{':
		s.object(n)
	case c == '[':
		s.array(n)
	case c == '-' || c >= '0' && c <= '9':
		s.number(n)
	default:
		s.word(n)
	}
	n.end = int32(s.pos)
	return n
}

func (s *scanner) enter() bool {
	if s.depth++; s.depth > s.limits.Depth {
		s.fatal(ProblemDepth, s.pos, "nested more than %d levels deep", s.limits.Depth)
		return false
	}
	if s.depth < len(s.last) {
		s.last[s.depth] = nil
	} else {
		s.last = append(s.last, nil)
	}
	return true
}

func (s *scanner) object(n *Node) {
	n.kind = Object
	if !s.enter() {
		return
	}
	open := s.pos
	s.pos++
	for needComma := false; !s.failed; needComma = true {
		if !s.separator(open, '}', needComma) {
			break
		}
		s.member(n)
	}
	s.depth--
}

func (s *scanner) array(n *Node) {
	n.kind = Array
	if !s.enter() {
		return
	}
	open := s.pos
	s.pos++
	for needComma := false; !s.failed; needComma = true {
		if !s.separator(open, ']', needComma) {
			break
		}
		s.value(n, "", 0)
	}
	s.depth--
}

// separator steps to the next member or item and reports whether there is one; at the closing bracket it steps over it.
func (s *scanner) separator(open int, closing byte, needComma bool) bool {
	commas, at := 0, 0
	for {
		s.space()
		if s.pos >= len(s.src) {
			s.fatal(ProblemNotJSON, s.pos, "the input ends before the %q that closes the %q on %s", closing, s.src[open], s.where(open))
			return false
		}
		if s.src[s.pos] != ',' {
			break
		}
		if commas++; commas == 1 {
			at = s.pos
		} else {
			s.problem(ProblemCommaExtra, s.pos, nil, "one comma too many")
		}
		s.pos++
	}
	switch c := s.src[s.pos]; {
	case c == closing:
		if commas > 0 {
			s.problem(ProblemCommaExtra, at, nil, "a comma before the closing %q", closing)
		}
		s.pos++
		return false
	case c == '}' || c == ']' || c == ':':
		s.fatal(ProblemNotJSON, s.pos, "%q where a value or %q belongs (opened on %s)", c, closing, s.where(open))
		return false
	case needComma && commas == 0:
		s.problem(ProblemCommaMissing, s.pos, nil, "a comma is missing before this")
	case !needComma && commas > 0:
		s.problem(ProblemCommaExtra, at, nil, "a comma before the first value")
	}
	return true
}

func (s *scanner) where(off int) string {
	p := s.d.Position(off)
	return fmt.Sprintf("line %d, column %d", p.Line, p.Column)
}

func (s *scanner) member(obj *Node) {
	at := s.pos
	var key string
	if s.src[at] == '"' {
		if s.str(nil) {
			key = unescape(trimQuotes(s.src[at:s.pos]))
		} else {
			key = unsafeString(trimQuotes(s.src[at:s.pos]))
		}
	} else {
		for s.pos < len(s.src) && isWord(s.src[s.pos]) {
			s.pos++
		}
		if s.pos == at {
			s.fatal(ProblemNotJSON, at, "a member name belongs here, not %s", show(s.src[at:]))
			return
		}
		key = unsafeString(s.src[at:s.pos])
		s.problem(ProblemUnquotedName, at, nil, "the member name %s is not in quotes", show(s.src[at:s.pos]))
	}
	if s.failed {
		return
	}
	s.space()
	if s.pos >= len(s.src) || s.src[s.pos] != ':' {
		s.fatal(ProblemNotJSON, s.pos, "a colon is missing after the member name %q", clip(key))
		return
	}
	s.pos++
	s.space()
	if s.pos >= len(s.src) {
		s.fatal(ProblemNotJSON, s.pos, "the input ends before the value of %q", clip(key))
		return
	}
	if c := s.src[s.pos]; c == ',' || c == '}' || c == ']' {
		s.fatal(ProblemNotJSON, s.pos, "the value of %q is missing", clip(key))
		return
	}
	s.link(obj, s.value(obj, key, at))
}

const wideObject = 48 // members

// link finds the earlier member of the same name, and the twin.
func (s *scanner) link(obj, n *Node) {
	if obj.count > wideObject {
		s.linkWide(obj, n)
		return
	}
	key := n.key
	underscore := len(key) > 1 && key[0] == '_'
	for c := obj.first; c != n; c = c.next {
		switch {
		case len(c.key) == len(key):
			if c.key == key && !n.repeated {
				s.duplicate(n)
			}
		case underscore && len(c.key) == len(key)-1 && c.key == key[1:],
			len(c.key) == len(key)+1 && c.key[0] == '_' && c.key[1:] == key:
			if c.twin == nil && n.twin == nil {
				c.twin, n.twin = n, c
			}
		}
	}
}

func (s *scanner) linkWide(obj, n *Node) {
	names := s.wide[obj]
	if names == nil {
		if s.wide == nil {
			s.wide = map[*Node]map[string]*Node{}
		}
		names = make(map[string]*Node, 2*wideObject)
		for c := obj.first; c != n; c = c.next {
			if names[c.key] == nil {
				names[c.key] = c
			}
		}
		s.wide[obj] = names
	}
	if names[n.key] != nil {
		s.duplicate(n)
	} else {
		names[n.key] = n
	}
	other := "_" + n.key
	if len(n.key) > 1 && n.key[0] == '_' {
		other = n.key[1:]
	}
	if t := names[other]; t != nil && t.twin == nil && n.twin == nil {
		t.twin, n.twin = n, t
	}
}

func (s *scanner) duplicate(n *Node) {
	n.repeated = true
	s.problem(ProblemDuplicate, int(n.keyStart), n, "the member %q occurs a second time in this object", clip(n.key))
}

func isWord(c byte) bool {
	return c == '_' || c == '$' || c == '-' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

func (s *scanner) word(n *Node) {
	at := s.pos
	for s.pos < len(s.src) && isWord(s.src[s.pos]) {
		s.pos++
	}
	switch w := string(s.src[at:s.pos]); w {
	case "true", "false":
		n.kind = Bool
	case "null":
		n.kind = Null
	case "":
		s.fatal(ProblemNotJSON, at, "a value belongs here, not %s", show(s.src[at:]))
	default:
		n.kind = String
		s.problem(ProblemUnquotedValue, at, n, "the value %s is not in quotes", show(s.src[at:s.pos]))
	}
}

func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}

// show quotes the start of b for a message.
func show(b []byte) string {
	const most = 24
	cut := ""
	b = bytes.TrimRight(b, " \t\r\n") // a reader in pieces may not see what blanks follow
	if len(b) > most {
		b, cut = b[:most], "…"
	}
	return fmt.Sprintf("%q%s", b, cut)
}
