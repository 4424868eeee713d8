package coverage

import (
	"strings"

	"fhirwire/validators/fhirjson"
)

// walk is one resource being counted.
type walk struct {
	t *tally
	s Subject
}

// news reports whether anything at or below n could still be evidence.
func (w *walk) news(n *node) bool {
	for i := n.from; i < n.to; i++ {
		if w.t.first[i].Load() > w.s.Order || w.t.plan.items[i].Kind == KindChoice {
			return true
		}
	}
	return n.refers
}

// element visits the values of n in parent, which is an object.
func (w *walk) element(n *node, parent *fhirjson.Node) {
	if !w.news(n) {
		return
	}
	for _, m := range n.members {
		v := parent.Member(m.name)
		switch {
		case v == nil:
		case v.Kind() == fhirjson.Array:
			for item := v.First(); item != nil; item = item.Next() {
				w.value(n, item, m)
			}
		default:
			w.value(n, v, m)
		}
	}
}

func (w *walk) value(n *node, v *fhirjson.Node, m member) {
	if m.item >= 0 && present(v) {
		w.t.mark(m.item, w.s, v)
	}
	w.count(n, v, m.typ)
	for _, s := range n.slices {
		w.slice(s, v, m.typ)
	}
}

// slice visits v when it is a member of s.
func (w *walk) slice(s *slice, v *fhirjson.Node, typ string) {
	if len(s.conds) == 0 || !w.news(&s.node) {
		return
	}
	for i := range s.conds {
		if !s.conds[i].holds(v, typ) {
			return
		}
	}
	w.count(&s.node, v, typ)
	for _, sub := range s.slices {
		w.slice(sub, v, typ)
	}
}

// count marks n where v counts as a value for it, and goes on below.
func (w *walk) count(n *node, v *fhirjson.Node, typ string) {
	if n.item >= 0 && w.counts(n, v) {
		w.t.mark(n.item, w.s, v)
		if typ != "" && w.t.plan.items[n.item].Kind == KindChoice {
			w.t.markType(n.item, typ, w.s, v)
		}
		if n.refers {
			if target := targetType(v); target != "" {
				w.t.markType(n.item, target, w.s, v)
			}
		}
	}
	if v.Kind() != fhirjson.Object {
		return
	}
	for _, c := range n.below {
		w.element(c, v)
	}
}

func (w *walk) counts(n *node, v *fhirjson.Node) bool {
	switch {
	case w.t.plan.items[n.item].Kind == KindExtension:
		return true
	case n.el.Fixed != nil:
		return equal(n.el.Fixed, v)
	case n.el.Pattern != nil && !contains(n.el.Pattern, v):
		return false
	}
	return present(v)
}

// present reports whether there is a value once extensions are taken away.
func present(v *fhirjson.Node) bool {
	switch v.Kind() {
	case fhirjson.Null:
		return false
	case fhirjson.Array:
		for c := v.First(); c != nil; c = c.Next() {
			if present(c) {
				return true
			}
		}
		return false
	case fhirjson.Object:
		for c := v.First(); c != nil; c = c.Next() {
			if key := c.Key(); key != "extension" && key != "modifierExtension" && key != "id" && !c.IsTwin() && present(c) {
				return true
			}
		}
		return false
	default:
		return v.IsPrimitive()
	}
}

// targetType is the resource type that a Reference names, "" when it does not.
func targetType(ref *fhirjson.Node) string {
	if t := ref.MemberText("type"); t != "" {
		return t
	}
	at := ref.MemberText("reference")
	if strings.HasPrefix(at, "#") {
		root := ref.Resource()
		for c := root.Member("contained").FirstOrNil(); c != nil; c = c.Next() {
			if c.MemberText("id") == at[1:] {
				return c.ResourceType()
			}
		}
		return ""
	}
	at, _, _ = strings.Cut(at, "/_history/")
	rest, _, ok := cutLast(at)
	if !ok {
		return ""
	}
	if _, name, ok := cutLast(rest); ok {
		rest = name
	}
	if rest == "" || rest[0] < 'A' || rest[0] > 'Z' {
		return ""
	}
	return rest
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// equal compares JSON values as fixed values are compared: the same members, whatever their order.
func equal(a, b *fhirjson.Node) bool {
	return a.Len() == b.Len() && contains(a, b) && (a.IsPrimitive() || contains(b, a))
}

// contains reports whether v has all that pattern states.
func contains(pattern, v *fhirjson.Node) bool {
	if pattern.Kind() != v.Kind() {
		return false
	}
	switch pattern.Kind() {
	case fhirjson.Object:
		for c := pattern.First(); c != nil; c = c.Next() {
			if m := v.Member(c.Key()); m == nil || !contains(c, m) {
				return false
			}
		}
		return true
	case fhirjson.Array:
		for c := pattern.First(); c != nil; c = c.Next() {
			if !someContains(c, v) {
				return false
			}
		}
		return true
	default:
		return pattern.Text() == v.Text()
	}
}

func someContains(pattern, list *fhirjson.Node) bool {
	for c := list.First(); c != nil; c = c.Next() {
		if contains(pattern, c) {
			return true
		}
	}
	return false
}
