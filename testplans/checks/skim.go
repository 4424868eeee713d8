package checks

import "bytes"

// skimmed is a resource as it is written, with its type; of a line with its id too.
type skimmed struct{ typ, id, text []byte }

// skim finds the resource that a JSON text is, or those in the entries of a Bundle, at a fraction of what parsing costs. It takes strict
// JSON only, of which parsing would give the same resources; ok is false for anything else, which says nothing about its being good.
func skim(text []byte) (found []skimmed, ok bool) {
	if len(text) > maxSkim {
		return nil, false
	}
	s := skimmer{src: text}
	s.space()
	from := s.pos
	r, ok := s.object(inBody)
	if !ok {
		return nil, false
	}
	to := s.pos
	if s.space(); s.pos < len(text) {
		return nil, false
	}
	if string(r.typ) != "Bundle" {
		return []skimmed{{typ: r.typ, text: text[from:to]}}, true
	}
	return s.found, !r.odd
}

// skimLine is skim for a line of a file, which is one resource whatever its type.
func skimLine(line []byte) (skimmed, bool) {
	if len(line) > maxSkim {
		return skimmed{}, false
	}
	s := skimmer{src: line}
	s.space()
	from := s.pos
	r, ok := s.object(inLine)
	to := s.pos
	s.space()
	return skimmed{r.typ, r.id, line[from:to]}, ok && s.pos == len(line)
}

const (
	maxSkim      = 32 << 20 // of which parsing takes all values
	maxSkimDepth = 64
)

// skimmer steps over a text. Each method that steps over a value is false where the text is not strict JSON.
type skimmer struct {
	src   []byte
	pos   int
	depth int
	found []skimmed // in the entries of the body
}

// level is where an object is: which members of it matter.
type level int

const (
	inBody level = iota
	inEntry
	inResource
	inLine
)

// skimObject is what an object's members said.
type skimObject struct {
	typ []byte // its resourceType
	id  []byte // of a line
	odd bool   // the entries are no array
}

func (s *skimmer) space() {
	for s.pos < len(s.src) {
		switch s.src[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// next is the byte behind white space, 0 at the end.
func (s *skimmer) next() byte {
	s.space()
	if s.pos < len(s.src) {
		return s.src[s.pos]
	}
	return 0
}

func (s *skimmer) open(c byte) bool {
	if s.next() != c || s.depth >= maxSkimDepth {
		return false
	}
	s.pos++
	s.depth++
	return true
}

// more steps to the next member or item: false, done at the closing bracket, which it steps over.
func (s *skimmer) more(closing byte, first bool) (more, ok bool) {
	switch c := s.next(); {
	case c == closing:
		s.pos++
		s.depth--
		return false, true
	case first:
		return true, true
	case c != ',':
		return false, false
	}
	s.pos++
	return true, s.next() != closing
}

// name steps over a member's name and the colon.
func (s *skimmer) name() (name []byte, asIs, ok bool) {
	if s.next() != '"' {
		return nil, false, false
	}
	name, asIs, ok = s.str()
	if !ok || s.next() != ':' {
		return nil, false, false
	}
	s.pos++
	return name, asIs, true
}

// object steps over an object whose members matter. Of two of a name the first counts.
func (s *skimmer) object(at level) (out skimObject, ok bool) {
	if !s.open('{') {
		return out, false
	}
	typed, listed, named := false, false, false
	for first := true; ; first = false {
		if more, ok := s.more('}', first); !more || !ok {
			return out, ok
		}
		name, asIs, ok := s.name()
		if !ok || !asIs {
			return out, false
		}
		switch {
		case at != inEntry && !typed && string(name) == "resourceType":
			typed = true
			out.typ, ok = s.typeName()
		case at == inLine && !named && string(name) == "id":
			named = true
			out.id, ok = s.id()
		case at == inBody && !listed && string(name) == "entry":
			listed = true
			out.odd, ok = s.entries()
		case at == inEntry && !listed && string(name) == "resource":
			listed = true
			ok = s.resource()
		default:
			ok = s.value()
		}
		if !ok {
			return out, false
		}
	}
}

// typeName is the text of a resourceType; of one that is no text, none.
func (s *skimmer) typeName() (typ []byte, ok bool) {
	if s.next() != '"' {
		return nil, s.value()
	}
	typ, asIs, ok := s.str()
	return typ, ok && asIs
}

// id is one that is written as itself.
func (s *skimmer) id() (id []byte, ok bool) {
	if s.next() != '"' {
		return nil, false
	}
	id, asIs, ok := s.str()
	return id, ok && asIs
}

// entries finds the resources in a Bundle's entries; odd says that they are no array.
func (s *skimmer) entries() (odd, ok bool) {
	if s.next() != '[' {
		return true, s.value()
	}
	if !s.open('[') {
		return false, false
	}
	for first := true; ; first = false {
		if more, ok := s.more(']', first); !more || !ok {
			return false, ok
		}
		if s.next() != '{' {
			if !s.value() {
				return false, false
			}
			continue
		}
		if _, ok := s.object(inEntry); !ok {
			return false, false
		}
	}
}

func (s *skimmer) resource() bool {
	if s.next() != '{' {
		return s.value()
	}
	from := s.pos
	r, ok := s.object(inResource)
	s.found = append(s.found, skimmed{typ: r.typ, text: s.src[from:s.pos]})
	return ok
}

// value steps over any value.
func (s *skimmer) value() bool {
	switch c := s.next(); c {
	case '"':
		_, _, ok := s.str()
		return ok
	case '{', '[':
		if !s.open(c) {
			return false
		}
		closing := c + 2 // in ASCII
		for first := true; ; first = false {
			if more, ok := s.more(closing, first); !more || !ok {
				return ok
			}
			if c == '{' {
				if _, _, ok := s.name(); !ok {
					return false
				}
			}
			if !s.value() {
				return false
			}
		}
	default:
		return s.literal()
	}
}

func (s *skimmer) literal() bool {
	if s.pos == len(s.src) {
		return false
	}
	for _, word := range []string{"true", "false", "null"} {
		if bytes.HasPrefix(s.src[s.pos:], []byte(word)) {
			s.pos += len(word)
			return true
		}
	}
	if c := s.src[s.pos]; c != '-' && (c < '0' || c > '9') {
		return false
	}
	for s.pos++; s.pos < len(s.src); s.pos++ {
		switch c := s.src[s.pos]; {
		case c >= '0' && c <= '9', c == '.', c == '-', c == '+', c == 'e', c == 'E':
		default:
			return true
		}
	}
	return true
}

// plain marks the bytes of a string that stand for themselves.
var plain = func() (t [256]bool) {
	for c := 0x20; c < 256; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// str steps over a string: what is between its quotes, and whether it stands for itself.
func (s *skimmer) str() (text []byte, asIs, ok bool) {
	src, i := s.src, s.pos+1
	from, asIs := i, true
	for {
		for i < len(src) && plain[src[i]] {
			i++
		}
		switch {
		case i == len(src) || src[i] < 0x20:
			return nil, false, false
		case src[i] == '"':
			s.pos = i + 1
			return src[from:i], asIs, true
		}
		if i++; i == len(src) {
			return nil, false, false
		}
		asIs = false
		switch src[i] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't', 'u':
			i++
		default:
			return nil, false, false
		}
	}
}
