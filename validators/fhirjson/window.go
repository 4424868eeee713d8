package fhirjson

import "fhirwire/validators"

// jump is a gap in a document's source: from the offset at on, places are counted from base.
type jump struct {
	at   int
	base validators.Position
}

// ParseAround reads a value of which the items of one array were left out: before ends behind the array's opening bracket,
// after starts with its closing one, and rest is what stands before after in the whole input, zero-based. Positions are those in
// the whole input. It returns the array too, nil when there is none at that place.
func ParseAround(before, after []byte, rest validators.Position) (*Document, *Node) {
	src := make([]byte, 0, len(before)+len(after))
	src = append(append(src, before...), after...)
	d := new(Document)
	d.src, d.jump = src, &jump{at: len(before), base: rest}
	s := scanner{d: d, src: src, limits: Limits{}.orDefault(), last: []*Node{nil}}
	s.document()
	for n := d.root; n != nil; {
		if n.kind == Array && int(n.start) == len(before)-1 {
			return d, n
		}
		var in *Node
		for c := n.first; c != nil; c = c.next {
			if int(c.start) < len(before) {
				in = c
			}
		}
		n = in
	}
	return d, nil
}

// Adopt makes item, the root of another document, an item of the array as seen from below: its Parent, Index, Expression and
// Pointer are those of the i-th item. The array itself does not show it. It must not be used by several goroutines on one array's
// document, and Adopt and Show are not for documents that others read.
func (n *Node) Adopt(item *Node, i int) { item.parent, item.index, item.next = n, int32(i), nil }

// Show makes item the only one that can be seen of an array with count items; nil shows none.
func (n *Node) Show(item *Node, count int) { n.first, n.count = item, int32(count) }

// positionBehind is Position behind the gap.
func (d *Document) positionBehind(offset, line int) validators.Position {
	first := d.lineOf(d.jump.at)
	p := validators.Position{Offset: d.jump.base.Offset + offset - d.jump.at, Line: d.jump.base.Line + line - first + 1}
	if line == first {
		p.Column = d.jump.base.Column + offset - d.jump.at + 1
	} else {
		p.Column = offset - int(d.lines[line]) + 1
	}
	return p
}
