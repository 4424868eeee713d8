package instance

import (
	"slices"
	"strings"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/terminology"
)

// holds says whether e meets all conditions of a slice; Unknown when terminology cannot tell. m is the member e is a value of.
func (w *walk) holds(e *fhirjson.Node, conds []condition, m *member) terminology.Value {
	all := terminology.Yes
	for i := range conds {
		switch w.meets(e, &conds[i], m) {
		case terminology.No:
			return terminology.No
		case terminology.Unknown:
			all = terminology.Unknown
		default:
		}
	}
	return all
}

func truthOf(b bool) terminology.Value {
	if b {
		return terminology.Yes
	}
	return terminology.No
}

func (w *walk) meets(e *fhirjson.Node, c *condition, m *member) terminology.Value {
	mark := len(w.nodes)
	defer func() { w.nodes = w.nodes[:mark] }()
	w.nodes = append(w.nodes, e)
	for _, s := range c.path {
		from := len(w.nodes)
		for i := mark; i < from; i++ {
			w.follow(w.nodes[i], s)
		}
		w.nodes = append(w.nodes[:mark], w.nodes[from:]...)
	}
	found := w.nodes[mark:]
	switch c.test {
	case testPresent:
		return truthOf(len(found) > 0)
	case testAbsent:
		return truthOf(len(found) == 0)
	default:
	}
	best := terminology.No
	for i := range found {
		switch w.passes(w.nodes[mark+i], c, m) {
		case terminology.Yes:
			return terminology.Yes
		case terminology.Unknown:
			best = terminology.Unknown
		default:
		}
	}
	return best
}

// follow appends what a step leads to from n.
func (w *walk) follow(n *fhirjson.Node, s pathStep) {
	switch s.kind {
	case stepResolve:
		ref := n.Text()
		if n.Kind() == fhirjson.Object {
			ref = n.MemberText("reference")
		}
		if ref != "" {
			if t := w.resolve(n, ref); t != nil {
				w.nodes = append(w.nodes, t)
			}
		}
	case stepOfType:
		if typeMatches(n, []string{s.name}, "") {
			w.nodes = append(w.nodes, n)
		}
	case stepExtension:
		p := n.Properties()
		for _, name := range [...]string{"extension", "modifierExtension"} {
			if x := p.Member(name); x != nil && x.Kind() == fhirjson.Array {
				for c := x.First(); c != nil; c = c.Next() {
					if c.MemberText("url") == s.name {
						w.nodes = append(w.nodes, c)
					}
				}
			}
		}
	default:
		p := n.Properties()
		if p == nil {
			return
		}
		before := len(w.nodes)
		w.nodes = p.AppendElements(w.nodes, s.name)
		if len(w.nodes) > before {
			return
		}
		for c := p.First(); c != nil; c = c.Next() {
			if rest, ok := strings.CutPrefix(c.Key(), s.name); ok && rest != "" && rest[0] >= 'A' && rest[0] <= 'Z' && w.isTypeName(rest) {
				w.nodes = append(w.nodes, c)
			}
		}
	}
}

func (w *walk) passes(n *fhirjson.Node, c *condition, m *member) terminology.Value {
	switch c.test {
	case testFixed:
		return truthOf(equalNodes(c.value, n))
	case testPattern:
		return truthOf(matchesPattern(c.value, n))
	case testBinding:
		return w.anyMember(n, c.valueOf)
	case testType:
		known := ""
		if len(c.path) == 0 && m != nil {
			known = m.typ.Code
		}
		return truthOf(typeMatches(n, c.names, known))
	case testProfile:
		for _, canonical := range c.names {
			if w.conforms(n, canonical) {
				return terminology.Yes
			}
		}
	default:
	}
	return terminology.No
}

// typeMatches compares the type of n with names: a resource by its resourceType, a choice by the end of its member name.
func typeMatches(n *fhirjson.Node, names []string, known string) bool {
	if rt := n.ResourceType(); rt != "" {
		return slices.Contains(names, rt) || slices.Contains(names, "Resource") || slices.Contains(names, "DomainResource")
	}
	if known != "" {
		return slices.Contains(names, known)
	}
	key := strings.TrimPrefix(n.Key(), "_")
	for _, name := range names {
		if strings.HasSuffix(key, choiceName("", name)) {
			return true
		}
	}
	return false
}

// anyMember says whether some code in n is in the value set.
func (w *walk) anyMember(n *fhirjson.Node, valueSet string) terminology.Value {
	best := terminology.No
	eachCode(n, func(c code) bool {
		switch a := w.v.terms.Member(valueSet, c.system, c.code); a.Value {
		case terminology.Yes:
			best = terminology.Yes
			return false
		case terminology.Unknown:
			best = terminology.Unknown
		default:
		}
		return true
	})
	return best
}

// code is a code with its system, as a code, Coding, Quantity or part of a CodeableConcept gives it.
type code struct {
	system, code, display string
	at                    *fhirjson.Node
}

// eachCode calls f with the codes in n until it returns false.
func eachCode(n *fhirjson.Node, f func(code) bool) {
	if n.IsPrimitive() {
		f(code{code: n.Text(), at: n})
		return
	}
	if n.Kind() != fhirjson.Object {
		return
	}
	if list := n.Member("coding"); list != nil {
		for c := list.First(); c != nil; c = c.Next() {
			if c.Kind() == fhirjson.Object && !f(code{c.MemberText("system"), c.MemberText("code"), c.MemberText("display"), c}) {
				return
			}
		}
		return
	}
	if n.Member("code") != nil && n.Member("code").IsPrimitive() {
		f(code{n.MemberText("system"), n.MemberText("code"), n.MemberText("display"), n})
	}
}
