package planfile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// Fault is one thing wrong with a plan, and where. Line and Column are 1-based.
type Fault struct { //nolint:errname // a fault in a plan is what people call it, and what a list of them shows
	File         string
	Line, Column int
	Message      string
}

func (f *Fault) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Message)
}

// Joined is the faults of one file as one error, in the order of their places; nil for none.
func Joined(faults []*Fault) error { return joined(faults) }

// joined is the faults in the order of their places, nil for none.
func joined(faults []*Fault) error {
	slices.SortStableFunc(faults, func(a, b *Fault) int { return cmp.Or(a.Line-b.Line, a.Column-b.Column) })
	errs := make([]error, 0, len(faults))
	for i, f := range faults {
		if i == 0 || *faults[i-1] != *f {
			errs = append(errs, f)
		}
	}
	return errors.Join(errs...)
}

// places are where the values of a document stand, by JSON Pointer; keys those of the members' names.
type places struct {
	file         string
	values, keys map[string]*token.Token
	nodes        map[string]ast.Node
}

func locate(file string, root ast.Node) *places {
	p := &places{file: file, values: map[string]*token.Token{}, keys: map[string]*token.Token{}, nodes: map[string]ast.Node{}}
	p.walk("", root)
	return p
}

func (p *places) walk(at string, n ast.Node) {
	if n == nil {
		return
	}
	p.values[at], p.nodes[at] = first(n), n
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			p.member(at, v)
		}
	case *ast.MappingValueNode:
		p.member(at, n)
	case *ast.SequenceNode:
		for i, v := range n.Values {
			p.walk(fmt.Sprintf("%s/%d", at, i), v)
		}
	}
}

func (p *places) member(at string, v *ast.MappingValueNode) {
	key := at + "/" + escape(v.Key.GetToken().Value)
	p.keys[key] = v.Key.GetToken()
	p.walk(key, v.Value)
}

// first is the token that a value begins with; that of a mapping is its first key, not the colon.
func first(n ast.Node) *token.Token {
	switch n := n.(type) {
	case *ast.MappingNode:
		if len(n.Values) > 0 && !n.IsFlowStyle {
			return n.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		return n.Key.GetToken()
	}
	return n.GetToken()
}

func escape(s string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(s)
}

// at makes a fault about the value at a pointer, or about the nearest one around it.
func (p *places) at(pointer, format string, args ...any) *Fault {
	for at := pointer; ; at = at[:strings.LastIndexByte(at, '/')] {
		if t := p.values[at]; t != nil {
			return p.fault(t, 0, 0, format, args...)
		}
		if at == "" {
			return &Fault{File: p.file, Line: 1, Column: 1, Message: fmt.Sprintf(format, args...)}
		}
	}
}

// key makes a fault about the name of a member.
func (p *places) key(pointer, format string, args ...any) *Fault {
	if t := p.keys[pointer]; t != nil {
		return p.fault(t, 0, 0, format, args...)
	}
	return p.at(pointer, format, args...)
}

// inside makes a fault about a place within the text at a pointer: line and column of it, 1-based.
func (p *places) inside(pointer string, line, column int, format string, args ...any) *Fault {
	t := p.values[pointer]
	if t == nil {
		return p.at(pointer, format, args...)
	}
	switch n := p.nodes[pointer].(type) {
	case *ast.LiteralNode: // a block: its text begins on the next line, indented
		if v := n.Value; v != nil && v.Token != nil {
			indent := len(v.Token.Origin) - len(strings.TrimLeft(v.Token.Origin, " "))
			return p.fault(n.Start, line, indent+column-n.Start.Position.Column, format, args...)
		}
	case *ast.StringNode:
		if t.Type == token.SingleQuoteType || t.Type == token.DoubleQuoteType {
			column++
		}
	}
	if line > 1 {
		return p.fault(t, 0, 0, format, args...)
	}
	return p.fault(t, 0, column-1, format, args...)
}

func (p *places) fault(t *token.Token, lines, columns int, format string, args ...any) *Fault {
	return &Fault{File: p.file, Line: t.Position.Line + lines, Column: t.Position.Column + columns, Message: fmt.Sprintf(format, args...)}
}
