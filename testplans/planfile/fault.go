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
	slices.SortStableFunc(faults, func(a, b *Fault) int {
		return cmp.Or(a.Line-b.Line, a.Column-b.Column, strings.Compare(a.Message, b.Message))
	})
	errs := make([]error, 0, len(faults))
	for i, f := range faults {
		if i == 0 || *faults[i-1] != *f {
			errs = append(errs, f)
		}
	}
	return errors.Join(errs...)
}

// opened is where the values of a text stand that was parsed before.
func opened(file string, src []byte) (*places, error) {
	text, fault := readable(file, src)
	if fault != nil {
		return nil, fault
	}
	root, err := rootOf(file, text)
	if err != nil {
		return nil, err
	}
	return locate(file, text, root), nil
}

// places are where the values of a document stand, by JSON Pointer; keys those of the members' names.
type places struct {
	file         string
	src          []byte
	values, keys map[string]*token.Token
	nodes        map[string]ast.Node
}

func locate(file string, src []byte, root ast.Node) *places {
	p := &places{file: file, src: src, values: map[string]*token.Token{}, keys: map[string]*token.Token{}, nodes: map[string]ast.Node{}}
	p.walk("", root)
	return p
}

func (p *places) walk(at string, n ast.Node) {
	if n == nil {
		return
	}
	if a, ok := n.(*ast.AnchorNode); ok {
		n = a.Value
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
	if !strings.ContainsAny(s, "~/") {
		return s // as nearly every name: a replacer costs more than the rest of the walk
	}
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(s)
}

// at makes a fault about the value at a pointer, or about the nearest one around it.
func (p *places) at(pointer, format string, args ...any) *Fault {
	for at := pointer; ; at = at[:strings.LastIndexByte(at, '/')] {
		if t := p.values[at]; t != nil {
			return p.fault(t, format, args...)
		}
		if at == "" {
			return &Fault{File: p.file, Line: 1, Column: 1, Message: fmt.Sprintf(format, args...)}
		}
	}
}

// key makes a fault about the name of a member.
func (p *places) key(pointer, format string, args ...any) *Fault {
	if t := p.keys[pointer]; t != nil {
		return p.fault(t, format, args...)
	}
	return p.at(pointer, format, args...)
}

func (p *places) fault(t *token.Token, format string, args ...any) *Fault {
	return &Fault{File: p.file, Line: t.Position.Line, Column: t.Position.Column, Message: fmt.Sprintf(format, args...)}
}
