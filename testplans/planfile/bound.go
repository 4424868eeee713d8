package planfile

import (
	"fmt"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// maxNodes bounds the values of a plan, those behind aliases counted each time they are named: a text of a few lines can stand for more than
// memory holds. A plan of MaxSize without aliases has fewer.
const maxNodes = 200_000

// expansion counts the values that a document stands for.
type expansion struct {
	anchors map[string]int
	open    map[string]bool // anchors around the value that is counted
	fault   *Fault
	file    string
}

// bounded refuses a document whose aliases stand for too much, or for themselves.
func bounded(file string, root ast.Node) error {
	x := expansion{anchors: map[string]int{}, open: map[string]bool{}, file: file}
	if x.count(root); x.fault != nil {
		return x.fault
	}
	return nil
}

func (x *expansion) count(n ast.Node) int {
	if n == nil || x.fault != nil {
		return 0
	}
	total := 1
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			total += x.count(v)
		}
	case *ast.MappingValueNode:
		total += x.count(n.Key) + x.count(n.Value)
	case *ast.SequenceNode:
		for _, v := range n.Values {
			total += x.count(v)
		}
	case *ast.TagNode:
		total += x.count(n.Value)
	case *ast.MappingKeyNode:
		total += x.count(n.Value)
	case *ast.AnchorNode:
		name := n.Name.GetToken().Value
		x.open[name] = true
		total += x.count(n.Value)
		delete(x.open, name)
		x.anchors[name] = total
	case *ast.AliasNode:
		name := n.Value.GetToken().Value
		if x.open[name] {
			x.refuse(n.GetToken(), fmt.Sprintf("*%s stands for itself", name))
		}
		total += x.anchors[name]
	}
	if total > maxNodes {
		x.refuse(n.GetToken(), fmt.Sprintf("aliases make more than %d values of this; expected them to be written out", maxNodes))
	}
	return total
}

func (x *expansion) refuse(t *token.Token, message string) {
	if x.fault == nil {
		x.fault = &Fault{File: x.file, Line: t.Position.Line, Column: t.Position.Column, Message: message}
	}
}
