package web

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"fhirwire/web/views"
)

// layout says how a body is shown as lines. Every line shows one contiguous range of the source, in order, so the line of a
// byte offset is found by binary search and nothing but white space between JSON tokens is left out. Building a layout
// never fails, whatever the bytes are.
type layout struct {
	src   []byte
	lines []segment
	json  bool
	// cut says that the source has more lines than maxLines; the last line then ends before the source does.
	cut bool
	// all leads to all findings, for lines that have more than are shown under them.
	all string
}

type segment struct {
	start, end int
	number     int // 1-based; 0 for the continuation of a long line
	depth      int
	close      int          // index of the line that closes the container opened at the end of this one; 0 for none
	spans      []views.Span // what the line shows instead of its range, nil for the range
}

const (
	maxLines    = 400_000
	maxRawLine  = 2_000 // bytes of a raw line before it continues on the next
	inlineBytes = 60    // a container is written on one line up to this size
	inlineScan  = 400   // bytes looked at to find out
	maxIndent   = 40
	maxFolds    = 24 // nesting of folds
	partLines   = 2_000
	partBytes   = 256 << 10
	maxSpan     = 4_096 // bytes of one token shown in the pretty view
)

// prettyLayout lays JSON out one member a line. With records set a newline ends a record, so one broken line of NDJSON does
// not indent the rest.
func prettyLayout(src []byte, records bool) *layout {
	l := &layout{src: src, json: true}
	var (
		open      []int
		start     = -1 // of the line being built
		end       int
		inline    int  // tokens before this offset stay on the line
		valueDone bool // at depth 0, a value is complete
	)
	flush := func() {
		if start < 0 {
			return
		}
		l.lines = append(l.lines, segment{start: start, end: end, number: len(l.lines) + 1, depth: len(open)})
		start = -1
	}
	for i := 0; ; {
		t, ok := nextToken(src, i)
		if !ok {
			break
		}
		if len(l.lines) >= maxLines {
			l.cut = true
			return l
		}
		if records && i < t.start && bytes.IndexByte(src[i:t.start], '\n') >= 0 {
			flush()
			open, valueDone, inline = open[:0], false, 0
		}
		i = t.end
		if t.start < inline {
			end = t.end
			continue
		}
		if valueDone && t.kind != ',' {
			flush()
			valueDone = false
		}
		switch t.kind {
		case '{', '[':
			if start < 0 {
				start = t.start
			}
			end = t.end
			if stop, ok := inlineEnd(src, t.start, len(open)); ok {
				inline = stop
				valueDone = len(open) == 0
				continue
			}
			flush()
			open = append(open, len(l.lines)-1)
		case '}', ']':
			flush()
			if n := len(open); n > 0 {
				l.lines[open[n-1]].close = len(l.lines)
				open = open[:n-1]
			}
			start, end = t.start, t.end
			valueDone = len(open) == 0
		case ',':
			if start < 0 {
				start = t.start
			}
			end = t.end
			flush()
			valueDone = false
		default:
			if start < 0 {
				start = t.start
			}
			end = t.end
			valueDone = len(open) == 0 && t.kind != ':' && !colonFollows(src, t.end)
		}
	}
	flush()
	return l
}

// inlineEnd is the end of the container at i when it is small and simple enough for one line: empty, an array of scalars, or
// nested containers of one member each.
func inlineEnd(src []byte, i, depth int) (int, bool) {
	limit := min(len(src), i+inlineScan)
	used, nested := 0, 0
	var kinds [8]byte
	for at := i; ; {
		t, ok := nextToken(src[:limit], at)
		if !ok || t.end == limit && limit < len(src) {
			return 0, false
		}
		if used += t.end - t.start; used > inlineBytes {
			return 0, false
		}
		switch t.kind {
		case '{', '[':
			if nested == len(kinds) {
				return 0, false
			}
			kinds[nested] = t.kind
			nested++
		case '}', ']':
			if kinds[nested-1] != t.kind-2 { // '{'+2 == '}', '['+2 == ']'
				return 0, false
			}
			if nested--; nested == 0 {
				// A whole small body still reads better as lines.
				return t.end, depth > 0 || used == 2
			}
		case ',':
			if kinds[nested-1] == '{' || nested > 1 && depth == 0 {
				return 0, false
			}
		}
		at = t.end
	}
}

// rawLayout shows physical lines, the long ones continued.
func rawLayout(src []byte) *layout {
	l := &layout{src: src}
	for i, number := 0, 1; i < len(src); number++ {
		end, next := len(src), len(src)
		if n := bytes.IndexByte(src[i:], '\n'); n >= 0 {
			end, next = i+n, i+n+1
		}
		for first := true; first || i < end; first = false {
			if len(l.lines) >= maxLines {
				l.cut = true
				return l
			}
			stop := end
			if stop-i > maxRawLine {
				stop = i + maxRawLine
				for stop > i+maxRawLine-utf8.UTFMax && !utf8.RuneStart(src[stop]) {
					stop--
				}
			}
			s := segment{start: i, end: stop}
			if first {
				s.number = number
			}
			l.lines = append(l.lines, s)
			i = stop
		}
		i = next
	}
	return l
}

// lineAt is the index of the line that shows the byte at offset, or the one before it; -1 for an empty layout.
func (l *layout) lineAt(offset int) int {
	i, found := slices.BinarySearchFunc(l.lines, offset, func(s segment, o int) int { return s.start - o })
	if found {
		return i
	}
	return max(i-1, min(0, len(l.lines)-1))
}

// parts splits the lines into pages; each number is the index of a page's first line.
func (l *layout) parts() []int {
	parts := []int{0}
	from, used := 0, 0
	for i, s := range l.lines {
		used += s.end - s.start
		if i > from && (i-from >= partLines || used > partBytes) {
			parts = append(parts, i)
			from, used = i, s.end-s.start
		}
	}
	return parts
}

// numberOf is the number people see at line i.
func (l *layout) numberOf(i int) int {
	for i > 0 && l.lines[i].number == 0 {
		i--
	}
	if i < 0 || i >= len(l.lines) {
		return 0
	}
	return l.lines[i].number
}

// lineID is the fragment of a line.
func lineID(number int) string { return "L" + strconv.Itoa(number) }

// mark is a finding at a byte of the body.
type mark struct {
	offset  int
	class   string
	word    string
	rank    int
	finding views.Finding
}

const calloutsPerLine = 5

// blocks renders the lines [from, to) with the marks on them. Findings appear under their line when callouts is set.
func (l *layout) blocks(from, to int, marks map[int][]mark, callouts bool) []views.Block {
	return l.nest(from, to, 0, marks, callouts)
}

func (l *layout) nest(from, to, level int, marks map[int][]mark, callouts bool) []views.Block {
	out := make([]views.Block, 0, to-from)
	for i := from; i < to; i++ {
		s := l.lines[i]
		b := views.Block{Line: l.line(i, marks[i], callouts)}
		if s.close > i+1 && s.close < to && s.depth > 0 && level < maxFolds {
			b.Fold = views.Plural(s.close-i, "line", "lines")
			b.Inner = l.nest(i+1, s.close, level+1, marks, callouts)
			i = s.close - 1
		}
		out = append(out, b)
	}
	return out
}

func (l *layout) line(i int, marks []mark, callouts bool) views.Line {
	s := l.lines[i]
	v := views.Line{}
	if s.number > 0 {
		v.Number = views.Count(s.number)
		v.ID = lineID(s.number)
	}
	switch {
	case s.spans != nil:
		v.Spans = slices.Clone(s.spans)
		v.Spans[len(v.Spans)-1].Marked = len(marks) > 0
	case l.json:
		v.Spans = l.jsonSpans(s, marks)
	default:
		v.Spans = rawSpans(l.src[s.start:s.end], s.start, marks)
	}
	if len(marks) == 0 {
		return v
	}
	worst := marks[0]
	for _, m := range marks[1:] {
		if m.rank < worst.rank {
			worst = m
		}
	}
	v.Mark = views.Mark{Class: worst.class, Word: worst.word}
	if v.MarkHref = "#" + worst.finding.Back; worst.finding.Back == "" {
		v.MarkHref = "#" + worst.finding.Key
	}
	if callouts {
		for _, m := range marks[:min(len(marks), calloutsPerLine)] {
			v.Findings = append(v.Findings, m.finding)
		}
		if more := len(marks) - calloutsPerLine; more > 0 && l.all != "" {
			v.More = views.Link{Text: views.Plural(more, "more finding", "more findings") + " on this line", Href: l.all}
		}
	}
	return v
}

func (l *layout) jsonSpans(s segment, marks []mark) []views.Span {
	spans := []views.Span{{Text: strings.Repeat("  ", min(s.depth, maxIndent))}}
	gap := func() {
		spans = append(spans, views.Span{Text: " "})
	}
	var last byte
	for i := s.start; ; {
		t, ok := nextToken(l.src[:s.end], i)
		if !ok {
			return spans
		}
		switch {
		case last == ':', last == ',', last == '{' && t.kind != '}', t.kind == '}' && last != 0 && last != '{':
			gap()
		case last != 0 && (last == '"' || last == 'x') && (t.kind == '"' || t.kind == 'x'):
			gap() // two values without a comma, as sent
		}
		class := map[byte]string{'"': "s", 'x': "d"}[t.kind]
		if class == "" {
			class = "p"
		}
		if t.kind == '"' && colonFollows(l.src[:s.end], t.end) {
			class = "k"
		}
		marked := slices.ContainsFunc(marks, func(m mark) bool { return m.offset >= t.start && m.offset < t.end })
		spans = append(spans, views.Span{Class: class, Text: tokenText(l.src[t.start:t.end]), Marked: marked})
		last, i = t.kind, t.end
	}
}

func tokenText(b []byte) string {
	if len(b) <= maxSpan {
		return visible(b)
	}
	head := maxSpan / 2
	for head > 0 && !utf8.RuneStart(b[head]) {
		head--
	}
	return visible(b[:head]) + " … " + views.Size(int64(len(b)-head)) + " more: see Raw or the download"
}

func rawSpans(b []byte, start int, marks []mark) []views.Span {
	for _, m := range marks {
		at := m.offset - start
		if at < 0 || at >= len(b) {
			continue
		}
		end := at + 1
		if t, ok := nextToken(b, at); ok && t.start == at {
			end = t.end
		}
		return []views.Span{{Text: visible(b[:at])}, {Text: visible(b[at:end]), Marked: true}, {Text: visible(b[end:])}}
	}
	return []views.Span{{Text: visible(b)}}
}
