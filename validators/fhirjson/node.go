package fhirjson

import (
	"strconv"
	"strings"
	"unsafe"

	"fhirwire/validators"
)

// Kind is the JSON kind of a node.
type Kind uint8

// The kinds.
const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

// String names the kind as messages do.
func (k Kind) String() string {
	return [...]string{"null", "boolean", "number", "string", "array", "object"}[k]
}

// Node is one JSON value in a Document. Nodes are read-only and live as long as their Document.
type Node struct {
	doc                       *Document
	parent, first, next, twin *Node
	key                       string
	start, end                int32
	keyStart                  int32
	index, count              int32
	kind                      Kind
	escaped, quoted, repeated bool
}

// Doc is the document the node is in.
func (n *Node) Doc() *Document { return n.doc }

// Kind is the JSON kind.
func (n *Node) Kind() Kind { return n.kind }

// Parent is the enclosing object or array, nil for the root.
func (n *Node) Parent() *Node { return n.parent }

// First is the first member or item; go on with Next.
func (n *Node) First() *Node { return n.first }

// FirstOrNil is First for a node that may be nil: "for c := n.Member("x").FirstOrNil(); c != nil; c = c.Next()".
func (n *Node) FirstOrNil() *Node {
	if n == nil {
		return nil
	}
	return n.first
}

// Next is the following member or item.
func (n *Node) Next() *Node { return n.next }

// Len counts members or items.
func (n *Node) Len() int { return int(n.count) }

// Key is the member's name as written ("_given" for a twin), empty for array items and the root.
func (n *Node) Key() string { return n.key }

// Index is the node's position in its array or among its object's members.
func (n *Node) Index() int { return int(n.index) }

// Repeated reports that an earlier member of the same object has the same name.
func (n *Node) Repeated() bool { return n.repeated }

// Quoted reports that the value was written in quotes; a String that is not Quoted is a mended problem.
func (n *Node) Quoted() bool { return n.quoted }

// Offset and End delimit the value's bytes in Document.Source.
func (n *Node) Offset() int { return int(n.start) }

// End is the offset behind the value.
func (n *Node) End() int { return int(n.end) }

// KeyOffset is the offset of the member's name, or of the value where there is none.
func (n *Node) KeyOffset() int {
	if n.key == "" {
		return int(n.start)
	}
	return int(n.keyStart)
}

// Position is where the value starts.
func (n *Node) Position() validators.Position { return n.doc.Position(int(n.start)) }

// Raw is the value's bytes as written, quotes included. It shares memory with the source.
func (n *Node) Raw() []byte { return n.doc.src[n.start:n.end] }

// Text is a string's value, or the literal of a number or boolean as written. It is empty for null, arrays and objects.
func (n *Node) Text() string {
	switch n.kind {
	case String:
		b := n.doc.src[n.start:n.end]
		if n.quoted {
			b = b[1:]
			if len(b) > 0 && b[len(b)-1] == '"' && n.end-n.start > 1 {
				b = b[:len(b)-1]
			}
		}
		if !n.escaped {
			return unsafeString(b)
		}
		return unescape(b)
	case Number, Bool:
		return unsafeString(n.doc.src[n.start:n.end])
	default:
		return ""
	}
}

// IsPrimitive reports a string, number or boolean.
func (n *Node) IsPrimitive() bool { return n.kind == String || n.kind == Number || n.kind == Bool }

// Member is the first member with this name, nil when the node has none or is no object.
func (n *Node) Member(name string) *Node {
	if n == nil || n.kind != Object {
		return nil
	}
	for c := n.first; c != nil; c = c.next {
		if c.key == name {
			return c
		}
	}
	return nil
}

// MemberText is the text of a primitive member, or "".
func (n *Node) MemberText(name string) string {
	if m := n.Member(name); m != nil {
		return m.Text()
	}
	return ""
}

// Item is the i-th item of an array, nil beyond its end.
func (n *Node) Item(i int) *Node {
	if n == nil || n.kind != Array || i < 0 {
		return nil
	}
	c := n.first
	for ; c != nil && i > 0; i-- {
		c = c.next
	}
	return c
}

// IsTwin reports a "_name" member, or an item of one that is an array: the part of a primitive element that holds its id and
// extensions.
func (n *Node) IsTwin() bool {
	if n.key == "" && n.parent != nil && n.parent.kind == Array {
		n = n.parent
	}
	return len(n.key) > 1 && n.key[0] == '_'
}

// Twin is the "_name" object of a primitive element, given its value (or the null that stands for it in an array), and the
// value given its twin. It is nil when there is none or it is null.
func (n *Node) Twin() *Node {
	t := n.twin
	if n.key == "" && n.parent != nil && n.parent.kind == Array && n.parent.twin != nil {
		t = n.parent.twin.Item(int(n.index))
	}
	if t == nil || t.kind == Null {
		return nil
	}
	return t
}

// Properties is the object that holds a element's children: the node itself for an object, the twin for a primitive; nil
// when the element has no children.
func (n *Node) Properties() *Node {
	if n.kind == Object {
		return n
	}
	if t := n.Twin(); t != nil && t.kind == Object {
		return t
	}
	return nil
}

// AppendElements appends the FHIR elements behind the member name of object n: one node per repetition. An element is its
// value; where a primitive has no value but only a twin, it is the null in the array or else the twin itself.
func (n *Node) AppendElements(dst []*Node, name string) []*Node {
	if n == nil || n.kind != Object {
		return dst
	}
	var value, twin *Node
	for c := n.first; c != nil; c = c.next {
		if c.key == name {
			value = c
			twin = c.twin
			break
		}
		if len(c.key) == len(name)+1 && c.key[0] == '_' && c.key[1:] == name {
			twin = c
		}
	}
	return appendElements(dst, value, twin)
}

func appendElements(dst []*Node, value, twin *Node) []*Node {
	switch {
	case value == nil || value.kind == Null:
		if twin == nil {
			return dst
		}
		if twin.kind != Array {
			return append(dst, twin)
		}
		for c := twin.first; c != nil; c = c.next {
			if c.kind != Null {
				dst = append(dst, c)
			}
		}
		return dst
	case value.kind != Array:
		return append(dst, value)
	}
	var t *Node
	if twin != nil && twin.kind == Array {
		t = twin.first
	}
	for c := value.first; c != nil; c = c.next {
		if c.kind != Null || t != nil && t.kind != Null {
			dst = append(dst, c)
		}
		if t != nil {
			t = t.next
		}
	}
	for ; t != nil; t = t.next {
		if t.kind != Null {
			dst = append(dst, t)
		}
	}
	return dst
}

// ResourceType is the node's resourceType member, "" when it is no resource.
func (n *Node) ResourceType() string { return n.MemberText("resourceType") }

// Resource is the nearest resource at or above n, nil when there is none.
func (n *Node) Resource() *Node {
	for ; n != nil; n = n.parent {
		if n.kind == Object && n.Member("resourceType") != nil {
			return n
		}
	}
	return nil
}

// Expression is a FHIRPath to the node from the root, with indices and JSON names: "Patient.name[0].given[1]". A twin has
// the path of its element.
func (n *Node) Expression() string {
	var b strings.Builder
	n.appendExpression(&b)
	return b.String()
}

func (n *Node) appendExpression(b *strings.Builder) {
	if n.parent == nil {
		if rt := n.doc.rootType(); rt != "" && plainName(rt) {
			b.WriteString(rt)
		} else {
			b.WriteString("$this")
		}
		return
	}
	n.parent.appendExpression(b)
	if n.key == "" {
		b.WriteByte('[')
		b.WriteString(strconv.Itoa(int(n.index)))
		b.WriteByte(']')
		return
	}
	key := n.key
	if len(key) > 1 && key[0] == '_' {
		key = key[1:]
	}
	b.WriteByte('.')
	if plainName(key) {
		b.WriteString(key)
		return
	}
	b.WriteByte('`')
	b.WriteString(strings.NewReplacer("`", "\\`", `\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(key))
	b.WriteByte('`')
}

func plainName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// Pointer is the RFC 6901 JSON Pointer from the root.
func (n *Node) Pointer() string {
	var b strings.Builder
	n.appendPointer(&b)
	return b.String()
}

var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1")

func (n *Node) appendPointer(b *strings.Builder) {
	if n.parent == nil {
		return
	}
	n.parent.appendPointer(b)
	b.WriteByte('/')
	if n.parent.kind == Array {
		b.WriteString(strconv.Itoa(int(n.index)))
		return
	}
	b.WriteString(pointerEscape.Replace(n.key))
}

// At follows a JSON Pointer from n, nil where it leads nowhere.
func (n *Node) At(pointer string) *Node {
	for pointer != "" && n != nil {
		var step string
		step, pointer, _ = strings.Cut(pointer[1:], "/")
		if pointer != "" {
			pointer = "/" + pointer
		}
		if n.kind == Array {
			i, err := strconv.Atoi(step)
			if err != nil {
				return nil
			}
			n = n.Item(i)
			continue
		}
		n = n.Member(strings.NewReplacer("~1", "/", "~0", "~").Replace(step))
	}
	return n
}

func unsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
