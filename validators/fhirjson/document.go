package fhirjson

import (
	"bytes"
	"sort"
	"sync"

	"fhirwire/validators"
)

// Document is a parsed input. Reading it is safe for concurrent use once a Position was asked for.
type Document struct {
	src      []byte
	root     *Node
	problems []Problem
	base     validators.Position
	jump     *jump // of a document with a gap
	lines    []int32
	arena    [][]Node
	used     int     // nodes handed out of the last chunk in use
	chunk    int     // index of the chunk in use
	last     []*Node // the scanner's, kept for its memory
	typeName string  // of the root, which every expression starts with
}

// Problem is a fault of form that Parse met.
type Problem struct {
	// ID is stable: one of the Problem constants.
	ID string
	// Text is the fault in words.
	Text   string
	Offset int
	// Node is the value concerned, where there is one.
	Node *Node
	// Fatal problems end parsing; what was read before them is in the tree.
	Fatal bool
}

// The problem ids.
const (
	ProblemNotJSON       = "json-syntax"        // fatal: no JSON here, unclosed, text after the end
	ProblemEmpty         = "json-empty"         // fatal: no value at all
	ProblemDepth         = "json-depth"         // fatal: nested too deeply
	ProblemSize          = "json-size"          // fatal: too many values
	ProblemComment       = "json-comment"       // a comment
	ProblemCommaMissing  = "json-comma-missing" // between members or items
	ProblemCommaExtra    = "json-comma-extra"   // before a closing bracket, or twice
	ProblemUnquotedName  = "json-name-quotes"   // member name without quotes
	ProblemUnquotedValue = "json-value-quotes"  // string without quotes
	ProblemDuplicate     = "json-duplicate"     // member name used twice in an object
	ProblemNumber        = "json-number"        // a number JSON does not allow
	ProblemEscape        = "json-escape"        // bad escape in a string
	ProblemControl       = "json-control"       // bare control character in a string
	ProblemUTF8          = "json-utf8"          // not UTF-8
	ProblemBOM           = "json-bom"           // starts with a byte order mark
)

// MaxProblems is how many problems a document keeps; those after them are dropped.
const MaxProblems = 200

// Root is the top value, nil when there is none.
func (d *Document) Root() *Node { return d.root }

func (d *Document) rootType() string { return d.typeName }

// Source is the input.
func (d *Document) Source() []byte { return d.src }

// Problems are the faults of form in input order.
func (d *Document) Problems() []Problem { return d.problems }

// Fatal is the problem that ended parsing, nil when the whole input was read.
func (d *Document) Fatal() *Problem {
	for i := range d.problems {
		if d.problems[i].Fatal {
			return &d.problems[i]
		}
	}
	return nil
}

// Position turns an offset in Source into a place in the whole input.
func (d *Document) Position(offset int) validators.Position {
	if len(d.lines) == 0 {
		d.lines = append(d.lines, 0)
		for i := 0; ; {
			n := bytes.IndexByte(d.src[i:], '\n')
			if n < 0 {
				break
			}
			i += n + 1
			d.lines = append(d.lines, int32(i))
		}
	}
	line := d.lineOf(offset)
	if d.jump != nil && offset >= d.jump.at {
		return d.positionBehind(offset, line)
	}
	p := validators.Position{
		Offset: d.base.Offset + offset,
		Line:   d.base.Line + line + 1,
		Column: offset - int(d.lines[line]) + 1,
	}
	if line == 0 {
		p.Column += d.base.Column
	}
	return p
}

// lineOf is the index of the line that holds the offset.
func (d *Document) lineOf(offset int) int {
	return sort.Search(len(d.lines), func(i int) bool { return int(d.lines[i]) > offset }) - 1
}

const chunkSize = 256

func (d *Document) newNode() *Node {
	if d.chunk == len(d.arena) {
		d.arena = append(d.arena, make([]Node, chunkSize))
	}
	n := &d.arena[d.chunk][d.used]
	if d.used++; d.used == chunkSize {
		d.chunk, d.used = d.chunk+1, 0
	}
	return n
}

var pool = sync.Pool{New: func() any { return new(Document) }}

// Release gives the document's memory back for a later Parse. The document and its nodes must not be used afterwards.
// Calling it is never required.
func (d *Document) Release() {
	const keep = 64 // chunks; a larger tree is left to the collector
	if len(d.arena) > keep {
		clear(d.arena[keep:])
		d.arena = d.arena[:keep]
	}
	for i := range d.arena {
		if i > d.chunk {
			break
		}
		n := chunkSize
		if i == d.chunk {
			n = d.used
		}
		clear(d.arena[i][:n])
	}
	clear(d.problems)
	if cap(d.lines) > 1<<14 {
		d.lines = nil
	}
	*d = Document{arena: d.arena, last: d.last[:0], problems: d.problems[:0], lines: d.lines[:0]}
	pool.Put(d)
}
