package instance

import (
	"context"
	"strings"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/fhirpath"
	"fhirwire/validators/profile"
)

// walk is the state of one validation. Its slices are stacks that grow with the depth of the tree and are reused.
type walk struct {
	v   *Validator
	ctx context.Context //nolint:containedctx // the walk lives for one call of Validate
	doc *fhirjson.Document
	env fhirpath.Env

	acts   []*plan // vectors of active plans, one above the other
	counts []int32
	runs   []run
	nodes  []*fhirjson.Node

	scope      scope
	depth      int
	resources  []validators.ResourceResult
	checked    int
	findings   []finding
	uncheckeds map[uncheckedKey]int // the first finding of each, in findings
	unkept     validators.Summary   // of findings that were not kept
	cut        int

	pins   []string // packages of the active profiles, innermost resource last
	open   []openClaim
	fits   map[*fhirjson.Node][]string // packages found to fit a resource best
	folded []int                       // findings that took another one in, for rewind

	trial       int // > 0: findings are counted, not kept
	trialErrors int
	tried       map[trialKey]bool
	pending     []pendingTarget
	bundles     map[*fhirjson.Node]*bundleIndex
	containers  map[*fhirjson.Node]map[string]*fhirjson.Node
	anchors     map[string]bool

	stream *stream // of a Bundle that is read entry by entry
}

func (w *walk) reset() {
	clear(w.acts[:cap(w.acts)])
	clear(w.runs[:cap(w.runs)])
	clear(w.nodes[:cap(w.nodes)])
	clear(w.findings)
	clear(w.resources)
	clear(w.pending)
	clear(w.open[:cap(w.open)])
	const keep = 4096 // of each; what a huge input left is given back
	if cap(w.findings) > keep {
		w.findings = nil
	}
	if len(w.uncheckeds) > keep {
		w.uncheckeds = nil
	}
	clear(w.uncheckeds)
	if cap(w.pending) > keep {
		w.pending = nil
	}
	*w = walk{
		v: w.v, acts: w.acts[:0], counts: w.counts[:0], runs: w.runs[:0], nodes: w.nodes[:0], findings: w.findings[:0],
		uncheckeds: w.uncheckeds, resources: w.resources[:0], pending: w.pending[:0],
		pins: w.pins[:0], open: w.open[:0], folded: w.folded[:0],
		scope: scope{local: w.scope.local[:0], ids: w.scope.ids[:0]},
	}
}

// start validates the resource that the caller asked for.
func (w *walk) start(root *fhirjson.Node, asked []string) {
	w.scope.bundle, w.scope.entry = bundleAround(root)
	w.resource(root, nil, asked)
}

// object checks the members of n against the active plans; acts[0] is the base plan.
func (w *walk) object(n *fhirjson.Node, acts []*plan) {
	if w.depth++; w.depth > maxDepth {
		w.add(finding{rule: ruleDepth, node: n, message: w.name(n) + " is nested too deeply to be checked."})
		w.depth--
		return
	}
	k := w.v.children(acts[0])
	mark, runMark := len(w.counts), len(w.runs)
	counts := w.take(len(k.slots))
	runs := w.startRuns(acts)
	for c := n.First(); c != nil; c = c.Next() {
		w.member(n, c, k, acts, counts, runs)
	}
	w.cardinality(n, k, acts, counts)
	w.endRuns(n, counts, runs)
	w.counts, w.runs = w.counts[:mark], w.runs[:runMark]
	w.depth--
}

// take gives n zeroed counters from the stack.
func (w *walk) take(n int) []int32 {
	at := len(w.counts)
	if at+n > cap(w.counts) {
		w.counts = append(make([]int32, 0, 2*(at+n)+64), w.counts...)
	}
	w.counts = w.counts[:at+n]
	c := w.counts[at : at+n : at+n]
	clear(c)
	return c
}

func (w *walk) member(n, c *fhirjson.Node, k *kids, acts []*plan, counts []int32, runs []run) {
	name, twin := c.Key(), false
	if len(name) > 1 && name[0] == '_' {
		name, twin = name[1:], true
	}
	m := k.byName[name]
	if m == nil || twin && !w.v.mayTwin(m) {
		if name == "resourceType" && !twin && acts[0].shape == resourceShape {
			return
		}
		w.unknownMember(c, k, acts, counts)
		return
	}
	if c.Repeated() {
		return
	}
	var value, other *fhirjson.Node
	if twin {
		if v := n.Member(name); v != nil && v.Kind() != fhirjson.Null {
			if c.Kind() == fhirjson.Null {
				w.null(c)
			}
			return // comes with the value
		}
		other = c
	} else {
		if c.Kind() == fhirjson.Null {
			w.null(c)
			counts[m.slot]++
			return
		}
		value, other = c, c.Twin()
	}
	if k.slots[m.slot].el.Choice && counts[m.slot] > 0 {
		w.add(finding{
			rule: ruleChoiceTwo, node: n, at: c, atKey: true, child: c.Key(), prof: acts[0].prof,
			message: w.name(c) + " is a second value for " + w.name(n) + "." + k.slots[m.slot].el.Name + "[x], which has one.",
		})
		return
	}
	for _, p := range acts[1:] {
		if d := w.v.below(p); d != nil && d.forbidden != nil && d.forbidden[m.index] {
			w.choiceType(c, p.prof, childOf(p, k.slots[m.slot].el.Name))
			counts[m.slot]++
			return
		}
	}
	if k.slots[m.slot].many {
		w.list(value, other, m, acts, counts, runs)
		return
	}
	counts[m.slot]++
	e := value
	if e == nil {
		e = other
	}
	switch {
	case e.Kind() == fhirjson.Array:
		w.add(finding{
			rule: ruleSingleExpected, node: e, prof: acts[0].prof,
			message: w.name(e) + " is an array; the element does not repeat.", expected: "one value", found: "an array", next: "Send the value without the brackets.",
		})
	case other != nil && other.Kind() != fhirjson.Object:
		w.twinKind(other, acts[0])
	default:
		w.item(e, m, acts, runs)
	}
}

func childOf(p *plan, name string) *profile.Element {
	from := p.el
	if p.ref != nil {
		from = p.ref
	}
	for _, c := range from.Children {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// mayTwin reports whether m has a twin for id and extensions: all primitives do but xhtml, which allows neither.
func (v *Validator) mayTwin(m *member) bool {
	p := m.plan(v)
	return p.shape == primitive && p.prim != primXHTML
}

func (w *walk) null(c *fhirjson.Node) {
	w.add(finding{rule: ruleJSONNull, node: c, message: w.name(c) + " is null.", next: "Leave it out when there is no value."})
}

func (w *walk) twinKind(t *fhirjson.Node, b *plan) {
	w.add(finding{
		rule: ruleJSONType, node: t, prof: b.prof, message: "The part of " + w.name(t) + " for id and extensions is not an object.",
		expected: "object", found: t.Kind().String(),
	})
}

// list walks a repeating element: the array of values and, beside it, that of its twins.
func (w *walk) list(value, other *fhirjson.Node, m *member, acts []*plan, counts []int32, runs []run) {
	if w.stream != nil && value == w.stream.list {
		w.entries(m, acts, counts, runs)
		return
	}
	for _, a := range [...]*fhirjson.Node{value, other} {
		if a == nil {
			continue
		}
		if a.Kind() != fhirjson.Array {
			counts[m.slot]++
			w.add(finding{
				rule: ruleArrayExpected, node: a, prof: acts[0].prof,
				message:  w.name(a) + " is not an array; the element may repeat and is always written as one.",
				expected: "array", found: a.Kind().String(), next: "Put the value in brackets.",
			})
			return
		}
		if a.Len() == 0 {
			counts[m.slot]++
			w.add(finding{
				rule: ruleArrayEmpty, node: a, prof: acts[0].prof, message: w.name(a) + " is an empty array.",
				next: "Leave it out when there is no value.",
			})
			return
		}
	}
	var v, t *fhirjson.Node
	if value != nil {
		v = value.First()
	}
	if other != nil {
		t = other.First()
	}
	for v != nil || t != nil {
		e := v
		if e == nil {
			e = t
		}
		hasTwin := t != nil && t.Kind() != fhirjson.Null
		switch {
		case e.Kind() == fhirjson.Null && !hasTwin:
			w.null(e)
			counts[m.slot]++
		case hasTwin && t.Kind() != fhirjson.Object:
			w.twinKind(t, acts[0])
			counts[m.slot]++
		default:
			counts[m.slot]++
			w.item(e, m, acts, runs)
		}
		if v != nil {
			v = v.Next()
		}
		if t != nil {
			t = t.Next()
		}
		if w.ctx.Err() != nil {
			return
		}
	}
}

// item checks one element: it gathers the plans that apply to it and goes on with them.
func (w *walk) item(e *fhirjson.Node, m *member, parents []*plan, runs []run) {
	mark := len(w.acts)
	w.acts = append(w.acts, m.plan(w.v))
	for _, p := range parents[1:] {
		if d := w.v.below(p); d != nil {
			if c := d.byMember[m.index]; c != nil {
				w.acts = append(w.acts, c)
			}
		}
	}
	for i := range runs {
		if runs[i].s.slot == m.slot {
			w.slice(e, &runs[i], m)
		}
	}
	w.element(e, mark, parents)
	w.acts = w.acts[:mark]
}

// element checks e against the plans on the stack from mark on.
func (w *walk) element(e *fhirjson.Node, mark int, parents []*plan) {
	b := w.acts[mark]
	switch b.shape {
	case primitive:
		if !w.primitive(e, b) {
			return
		}
		if p := e.Properties(); p != nil {
			w.properties(p, w.acts[mark:])
		}
	case complexShape:
		if e.Kind() != fhirjson.Object {
			w.wrongKind(e, b, fhirjson.Object)
			return
		}
		if e.Len() == 0 {
			w.emptyObject(e, b)
			return
		}
		if b.data == dataExtension {
			w.extension(e, mark, parents)
		}
		w.typeProfiles(e, mark)
		w.elementID(e)
		w.object(e, w.acts[mark:])
	case resourceShape:
		if e.Kind() != fhirjson.Object {
			w.wrongKind(e, b, fhirjson.Object)
			return
		}
		if e.Len() == 0 {
			w.emptyObject(e, b)
			return
		}
		w.nested(e, w.acts[mark:])
		return
	}
	w.rules(e, w.acts[mark:])
}

// properties checks the id and extensions of a primitive.
func (w *walk) properties(p *fhirjson.Node, acts []*plan) {
	if p.Len() == 0 {
		w.emptyObject(p, acts[0])
		return
	}
	w.elementID(p)
	w.object(p, acts)
}

func (w *walk) emptyObject(e *fhirjson.Node, b *plan) {
	w.add(finding{
		rule: ruleObjectEmpty, node: e, prof: b.prof, message: w.name(e) + " is an empty object.",
		next: "Leave it out when there is no value.", key: "ele-1",
	})
}

// rules are the checks of a value as a whole, after its children.
func (w *walk) rules(e *fhirjson.Node, acts []*plan) {
	for i, p := range acts {
		if p.fixed != nil || p.pattern != nil {
			w.constants(e, p)
		}
		if p.binding != nil {
			w.bind(e, p, acts[:i])
		}
		if p.form != nil || p.badForm != "" {
			w.matchesForm(e, p)
		}
		if p.story != nil {
			w.story(e, p)
		}
		if p.minValue != nil || p.maxValue != nil || p.maxLength != 0 {
			w.bounds(e, p)
		}
	}
	if d := acts[0].data; d != dataNone {
		w.datatype(e, d, acts)
	}
	w.invariantsOf(e, acts)
}

// unknownMember says what is wrong with a member that its type does not have.
func (w *walk) unknownMember(c *fhirjson.Node, k *kids, acts []*plan, counts []int32) {
	name := strings.TrimPrefix(c.Key(), "_")
	for _, at := range k.choices {
		el := k.slots[at].el
		if rest, ok := strings.CutPrefix(name, el.Name); ok && w.isTypeName(rest) {
			counts[at]++
			w.choiceType(c, acts[0].prof, el)
			return
		}
	}
	f := finding{rule: ruleUnknownElement, node: c, atKey: true, prof: acts[0].prof}
	typeName := acts[0].typ
	if acts[0].el.Children != nil || acts[0].el.ContentReference != nil {
		typeName = acts[0].el.Path
	}
	f.message = w.name(c) + " is not an element of " + typeName + "."
	f.near = k
	w.add(f)
}

// isTypeName reports whether the end of a choice's member name is a type.
func (w *walk) isTypeName(s string) bool {
	if s == "" || s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	if _, ok := w.v.defs.Base(s); ok && !w.v.defs.IsResourceType(s) {
		return true
	}
	_, ok := primKinds[strings.ToLower(s[:1])+s[1:]]
	return ok
}

func (w *walk) choiceType(c *fhirjson.Node, prof *profile.Profile, el *profile.Element) {
	var allowed []string
	for _, t := range el.Types {
		allowed = append(allowed, t.Code)
	}
	want := strings.Join(allowed, ", ")
	f := finding{
		rule: ruleChoiceType, node: c, atKey: true, prof: prof, expected: want,
		message: w.name(c) + " has a type that " + el.Path + " does not allow.",
	}
	f.found = strings.TrimPrefix(strings.TrimPrefix(c.Key(), "_"), el.Name)
	f.next = "Use one of " + want + "."
	w.add(f)
}

// nearest is the member name that a misspelt one most likely means, "" when none is near.
func nearest(name string, k *kids) string {
	best, dist := "", 3
	for _, m := range k.members {
		if d := distance(name, m.name, dist); d < dist && d < len(m.name)/2 {
			best, dist = m.name, d
		}
	}
	return best
}

// distance counts the edits from a to b, or gives limit when there are as many.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit || len(a) > 64 {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diag
			if a[i]|0x20 != b[j]|0x20 {
				cost++
			}
			diag = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
