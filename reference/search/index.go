package search

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/fhirpath"
	"fhirwire/validators/fhirpath/value"
)

// ErrType means that a resource's type is not served.
var ErrType = errors.New("resource type is not served")

// Index appends what the resource contributes. Text in into shares memory with the resource's source. An expression that
// fails on this resource is an error: a resource that cannot be found is worse than one that is refused.
func (r *Registry) Index(ctx context.Context, root *fhirjson.Node, into *Entries) error {
	t := r.types[root.ResourceType()]
	if t == nil {
		return fmt.Errorf("%q: %w", root.ResourceType(), ErrType)
	}
	env := fhirpath.Env{Resource: root, RootResource: root, Context: root, Resolver: r.referents}
	for _, p := range t.params {
		for _, e := range p.exprs {
			items, err := e.Eval(ctx, root, env)
			if err != nil {
				return fmt.Errorf("search parameter %s.%s: %w", p.Type, p.Code, err)
			}
			for _, item := range items {
				if p.Kind != Composite {
					into.add(p, item)
				} else if err := into.composite(ctx, p, item, env); err != nil {
					return fmt.Errorf("search parameter %s.%s: %w", p.Type, p.Code, err)
				}
			}
		}
	}
	return nil
}

// References evaluates one reference parameter on a resource: the local targets as Term{Key: id, Qualifier: type}.
func (r *Registry) References(ctx context.Context, root *fhirjson.Node, params []*Param) ([]Term, error) {
	var into Entries
	env := fhirpath.Env{Resource: root, RootResource: root, Context: root, Resolver: r.referents}
	for _, p := range params {
		plain := *p
		plain.Compartment = false
		for _, e := range p.exprs {
			items, err := e.Eval(ctx, root, env)
			if err != nil {
				return nil, fmt.Errorf("search parameter %s.%s: %w", p.Type, p.Code, err)
			}
			for _, item := range items {
				into.add(&plain, item)
			}
		}
	}
	out := into.Terms[:0]
	for _, t := range into.Terms {
		if t.Qualifier != "" && isTypeName(t.Qualifier) {
			out = append(out, t)
		}
	}
	return out, nil
}

func (e *Entries) add(p *Param, item value.Value) {
	el, ok := item.(value.Element)
	if !ok {
		switch p.Kind {
		case Token:
			e.term(p.ID, item.String(), ImplicitSystem)
		case String:
			e.text(p.ID, item.String())
		default: // a computed value of another kind has no index form
		}
		return
	}
	switch p.Kind {
	case Token:
		e.token(p.ID, el)
		if p.Typed() {
			e.typed(p.SubID(string(OfType)), el.Node)
		}
	case String:
		e.str(p.ID, el)
	case Reference:
		e.reference(p, el)
	case Date:
		e.date(p.ID, el)
	case URI:
		url, version := el.Node.Text(), ""
		if p.Code == codeProfile {
			url, version, _ = strings.Cut(url, "|")
		}
		e.term(p.ID, url, version)
	case Number, Quantity:
		e.quantity(p.ID, el)
	case Composite: // of its parts, see composite
	}
}

func (e *Entries) token(id int64, el value.Element) {
	n := el.Node
	switch el.FHIRType {
	case "CodeableConcept":
		for c := n.Member("coding").FirstOrNil(); c != nil; c = c.Next() {
			e.term(id, c.MemberText("code"), c.MemberText("system"))
		}
	case "Coding":
		e.term(id, n.MemberText("code"), n.MemberText("system"))
	case "Identifier":
		e.term(id, n.MemberText("value"), n.MemberText("system"))
	case "ContactPoint":
		e.term(id, n.MemberText("value"), n.MemberText("system"))
	case "Quantity":
		e.term(id, n.MemberText("code"), n.MemberText("system"))
	default:
		if n.IsPrimitive() {
			e.term(id, n.Text(), ImplicitSystem)
		}
	}
}

// typed indexes an identifier by its value and each coding of its type.
func (e *Entries) typed(id int64, n *fhirjson.Node) {
	for c := n.Member("type").Member("coding").FirstOrNil(); c != nil; c = c.Next() {
		if value := n.MemberText("value"); value != "" {
			e.term(id, value, c.MemberText("system")+"|"+c.MemberText("code"))
		}
	}
}

func (e *Entries) text(id int64, s string) {
	if s = strings.TrimSpace(s); s != "" {
		e.term(id, fold(s), s)
	}
}

// textParts are the members of complex types that a string parameter searches, R4 search 3.1.1.4.8.
var textParts = map[string][]string{
	"HumanName":       {"family", "given", "text", "prefix", "suffix"},
	"Address":         {"text", "line", "city", "district", "state", "postalCode", "country"},
	"CodeableConcept": {"text"},
	"Annotation":      {"text"},
}

func (e *Entries) str(id int64, el value.Element) {
	if el.Node.IsPrimitive() {
		e.text(id, el.Node.Text())
		return
	}
	for _, part := range textParts[el.FHIRType] {
		m := el.Node.Member(part)
		if m == nil {
			continue
		}
		if m.Kind() != fhirjson.Array {
			e.text(id, m.Text())
			continue
		}
		for c := m.First(); c != nil; c = c.Next() {
			e.text(id, c.Text())
		}
	}
}

func (e *Entries) reference(p *Param, el value.Element) {
	if el.Node.IsPrimitive() { // uri or canonical
		ref, _, _ := strings.Cut(el.Node.Text(), "|")
		e.term(p.ID, ref, "")
		return
	}
	if el.FHIRType != "Reference" && el.FHIRType != "" {
		return // a contained or inline resource
	}
	if ident := el.Node.Member("identifier"); ident != nil {
		e.term(p.SubID("identifier"), ident.MemberText("value"), ident.MemberText("system"))
	}
	ref := el.Node.MemberText("reference")
	if ref == "" || ref[0] == '#' {
		return
	}
	typ, id, ok := local(ref)
	if !ok {
		e.term(p.ID, ref, "")
		return
	}
	if p.Compartment && typ == "Patient" && (e.Patient == "" || e.Patient == id) {
		e.Patient = id
		return
	}
	e.term(p.ID, id, typ)
}

// local splits a relative literal reference "Type/id[/_history/v]".
func local(ref string) (typ, id string, ok bool) {
	typ, rest, ok := strings.Cut(ref, "/")
	if !ok || !isTypeName(typ) {
		return "", "", false
	}
	id, _, _ = strings.Cut(rest, "/_history/")
	return typ, id, validID(id)
}

func (e *Entries) date(id int64, el value.Element) {
	n := el.Node
	if n.IsPrimitive() {
		if lo, hi, err := dateRange(n.Text()); err == nil {
			e.span(id, lo, hi)
		}
		return
	}
	switch el.FHIRType {
	case "Period":
		e.period(id, n)
	case "Timing":
		for c := n.Member("event").FirstOrNil(); c != nil; c = c.Next() {
			if lo, hi, err := dateRange(c.Text()); err == nil {
				e.span(id, lo, hi)
			}
		}
		if b := n.Member("repeat").Member("boundsPeriod"); b != nil {
			e.period(id, b)
		}
	}
}

func (e *Entries) period(id int64, n *fhirjson.Node) {
	lo, hi := Past, Future
	if start, _, err := dateRange(n.MemberText("start")); err == nil {
		lo = start
	}
	if _, end, err := dateRange(n.MemberText("end")); err == nil {
		hi = end
	}
	if lo != Past || hi != Future {
		e.span(id, lo, hi)
	}
}

func (e *Entries) quantity(id int64, el value.Element) {
	n := el.Node
	if n.IsPrimitive() {
		if v, _, _, ok := decimalRange(n.Text()); ok {
			e.measure(Measure{Param: id, Lo: v, Hi: v})
		}
		return
	}
	if el.FHIRType == "Range" {
		low, high := n.Member("low"), n.Member("high")
		m := Measure{Param: id, Lo: -math.MaxFloat64, Hi: math.MaxFloat64}
		if v, _, _, ok := decimalRange(low.MemberText("value")); ok {
			m.Lo = v
		}
		if v, _, _, ok := decimalRange(high.MemberText("value")); ok {
			m.Hi = v
		}
		unit := low
		if unit == nil {
			unit = high
		}
		m.System, m.Code = unit.MemberText("system"), unit.MemberText("code")
		e.measure(m)
		return
	}
	v, _, _, ok := decimalRange(n.MemberText("value"))
	if !ok {
		return
	}
	m := Measure{Param: id, Lo: v, Hi: v, System: n.MemberText("system"), Code: n.MemberText("code")}
	if m.Code == "" {
		m.Code = n.MemberText("unit")
	}
	if cur := n.MemberText("currency"); cur != "" {
		m.System, m.Code = "urn:iso:std:iso:4217", cur
	}
	switch n.MemberText("comparator") {
	case "<", "<=":
		m.Lo = -math.MaxFloat64
	case ">", ">=":
		m.Hi = math.MaxFloat64
	}
	e.measure(m)
}

// referents answer resolve() with an empty resource of the referenced type, which is all that "resolve() is Patient" asks. An
// index that read other resources would change with them.
type referents map[string]*fhirjson.Node

func newReferents(types []string) referents {
	s := referents{}
	for _, t := range types {
		s[t] = fhirjson.Parse([]byte(`{"resourceType":"` + t + `"}`)).Root()
	}
	return s
}

// Resolve implements fhirpath.Resolver.
func (s referents) Resolve(_ context.Context, from *fhirjson.Node, reference string) (*fhirjson.Node, error) {
	if id, ok := strings.CutPrefix(reference, "#"); ok {
		for c := from.Resource().Member("contained").FirstOrNil(); c != nil; c = c.Next() {
			if c.MemberText("id") == id {
				return c, nil
			}
		}
		return nil, nil
	}
	if typ, _, ok := local(reference); ok {
		return s[typ], nil
	}
	parts := strings.Split(reference, "/")
	if n := len(parts); n >= 2 {
		return s[parts[n-2]], nil
	}
	return nil, nil
}
