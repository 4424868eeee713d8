package instance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/fhirpath"
	"fhirwire/validators/profile"
	"fhirwire/validators/terminology"
)

// invariant is a constraint of an element, ready to run.
type invariant struct {
	*profile.Invariant
	prof   *profile.Profile
	expr   *compiled
	native func(e *fhirjson.Node) truth
}

// truth is what a native rule says; undecided leaves it to the expression.
type truth uint8

const (
	undecided truth = iota
	holds
	broken
)

// compiled is an expression, shared by all invariants that have it.
type compiled struct {
	once sync.Once
	expr *fhirpath.Expr
	err  error
}

func (i *invariant) same(o *invariant) bool {
	return i.Key == o.Key && i.Expression == o.Expression
}

const corePrefix = "http://hl7.org/fhir/StructureDefinition/"

// elsewhere are the rules of R4 that other parts of the walk state, with a better place and once per cause.
var elsewhere = map[string]bool{
	"ele-1": true,                                              // walk.go: empty objects, primitives with nothing
	"ext-1": true,                                              // extension.go
	"ref-1": true,                                              // reference.go
	"dom-2": true, "dom-3": true, "dom-4": true, "dom-5": true, // contained.go
	"txt-1": true, "txt-2": true, // narrative.go
	"bdl-7": true, // bundle.go
}

// natives are rules of R4's datatypes that occur so often that they are worth code.
var natives = map[string]func(*fhirjson.Node) truth{
	"per-1": periodOrder,
	"qty-3": codeHasSystem,
	"cpt-2": valueHasSystem,
	"att-1": dataHasType,
}

// invariants appends those of el that are to be run and are not in list.
func (v *Validator) invariants(list []*invariant, el *profile.Element, prof *profile.Profile) []*invariant {
	for _, i := range el.Invariants {
		core := i.Source == "" || strings.HasPrefix(i.Source, corePrefix)
		if core && elsewhere[i.Key] {
			continue
		}
		if (i.BestPractice || i.Key == "dom-6") && !v.opt.BestPractice {
			continue
		}
		one := &invariant{Invariant: i, prof: prof}
		if core {
			one.native = natives[i.Key]
		}
		known := false
		for _, o := range list {
			known = known || o.same(one)
		}
		if known {
			continue
		}
		c, _ := v.exprs.LoadOrStore(i.Expression, new(compiled))
		one.expr = c.(*compiled)
		list = append(list, one)
	}
	return list
}

func (v *Validator) expression(c *compiled, src string) (*fhirpath.Expr, error) {
	c.once.Do(func() { c.expr, c.err = fhirpath.Compile(src, v.defs) })
	return c.expr, c.err
}

// rootInvariants runs those that are stated on a resource itself, not those on the place it stands at.
func (w *walk) rootInvariants(e *fhirjson.Node, acts []*plan) {
	for i := range acts {
		if acts[i].el != acts[i].prof.Root {
			acts = slices.Clone(acts)
			acts = slices.DeleteFunc(acts, func(p *plan) bool { return p.el != p.prof.Root })
			break
		}
	}
	w.invariantsOf(e, acts)
}

// invariantsOf runs the constraints of all active plans on e.
func (w *walk) invariantsOf(e *fhirjson.Node, acts []*plan) {
	t := acts[0].fpType
	if acts[0].typ == "Resource" {
		t = nil // the place of a resource; its own type is in it
	}
	for i, p := range acts {
	next:
		for _, inv := range p.invariants {
			for _, q := range acts[:i] {
				for _, o := range q.invariants {
					if o.expr == inv.expr && o.Key == inv.Key {
						continue next
					}
				}
			}
			w.invariant(e, p, inv, t)
		}
	}
}

func (w *walk) invariant(e *fhirjson.Node, p *plan, inv *invariant, t *fhirpath.Type) {
	if w.stream != nil && e == w.stream.bundle {
		if v := w.stream.verdicts[inv]; v != nil {
			w.streamed(v, p, inv)
			return
		}
	}
	if inv.native != nil {
		switch inv.native(e) {
		case holds:
			return
		case broken:
			w.breaks(e, p, inv)
			return
		default:
		}
	}
	x, err := w.v.expression(inv.expr, inv.Expression)
	if err != nil {
		w.uncheckable(e, p, inv, err)
		return
	}
	w.env.Resource, w.env.RootResource, w.env.Context, w.env.FocusType = w.scope.resource, w.scope.root, e, t
	ok, err := x.Truth(w.ctx, e, w.env)
	switch {
	case err != nil:
		w.uncheckable(e, p, inv, err)
	case !ok:
		w.breaks(e, p, inv)
	}
}

func (w *walk) breaks(e *fhirjson.Node, p *plan, inv *invariant) {
	f := finding{
		rule: ruleInvariant, node: e, prof: inv.prof, slice: p.el.SliceName, key: inv.Key,
		message: w.name(e) + " does not hold to " + inv.Key + ": " + sayExpression(inv.Expression) + ".", expected: inv.Expression,
	}
	if p.base != nil && p.el.Choice && e.Parent() != nil && w.trial == 0 { // effectiveDateTime is no FHIRPath, effective is
		f.path = e.Parent().Expression() + "." + p.el.Name
	}
	if inv.Erratum != "" {
		f.next = "The rule is checked in a corrected form: " + inv.Erratum + "."
	}
	if inv.Warning {
		f.severity = validators.SeverityWarning
	}
	w.add(f)
}

func (w *walk) uncheckable(e *fhirjson.Node, p *plan, inv *invariant, err error) {
	if errors.Is(err, w.ctx.Err()) && w.ctx.Err() != nil {
		return
	}
	w.addOnce(inv.Key+"\x00"+inv.Expression, finding{
		rule: ruleInvariantUnchecked, node: e, prof: inv.prof, slice: p.el.SliceName, key: inv.Key, notChecked: true,
		message: "Constraint " + inv.Key + " could not be checked on " + w.name(e) + ": " + err.Error() + ".",
	})
}

// periodOrder decides per-1 where both ends are written alike; it leaves mixed precisions and zones to the expression.
func periodOrder(e *fhirjson.Node) truth {
	start, end := e.MemberText("start"), e.MemberText("end")
	switch {
	case start == "" || end == "":
		return holds
	case len(start) != len(end):
		return undecided
	case len(start) > 10:
		if from := max(strings.LastIndexAny(start, "Z+-"), 10); start[from:] != end[from:] {
			return undecided
		}
	}
	if start <= end {
		return holds
	}
	return broken
}

func codeHasSystem(e *fhirjson.Node) truth {
	if e.Member("code") == nil && e.Member("_code") == nil {
		return holds
	}
	return present(e, "system")
}

func valueHasSystem(e *fhirjson.Node) truth {
	if e.Member("value") == nil && e.Member("_value") == nil {
		return holds
	}
	return present(e, "system")
}

func dataHasType(e *fhirjson.Node) truth {
	if e.Member("data") == nil && e.Member("_data") == nil {
		return holds
	}
	return present(e, "contentType")
}

func present(e *fhirjson.Node, name string) truth {
	if e.Member(name) != nil || e.Member("_"+name) != nil {
		return holds
	}
	return broken
}

// The walk is what expressions ask: a fhirpath.Resolver, fhirpath.Terminology and fhirpath.Conformance.

// Resolve answers resolve().
func (w *walk) Resolve(_ context.Context, from *fhirjson.Node, reference string) (*fhirjson.Node, error) {
	return w.resolve(from, reference), nil
}

// MemberOf answers memberOf().
func (w *walk) MemberOf(_ context.Context, item *fhirjson.Node, valueSet string) (bool, error) {
	yes, why := false, ""
	eachCode(item, func(c code) bool {
		switch a := w.v.terms.Member(valueSet, c.system, c.code); a.Value {
		case terminology.Yes:
			yes = true
		case terminology.Unknown:
			why = a.Why
		default:
		}
		return !yes
	})
	if !yes && why != "" {
		return false, fmt.Errorf("%w: %s", fhirpath.ErrNotChecked, why)
	}
	return yes, nil
}

// ConformsTo answers conformsTo().
func (w *walk) ConformsTo(_ context.Context, item *fhirjson.Node, canonical string) (bool, error) {
	if _, ok := w.v.defs.Profile(canonical); !ok {
		return false, fmt.Errorf("%w: profile %s is not in the active guides", fhirpath.ErrNotChecked, canonical)
	}
	return w.conforms(item, canonical), nil
}
