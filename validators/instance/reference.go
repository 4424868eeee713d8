package instance

import (
	"slices"
	"strings"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/profile"
)

// targets are what a Reference may point to.
type targets struct {
	types       []string // resource types; empty for any
	profiles    []string // profiles among them that are more than a type
	plain       []string // types allowed without a profile
	aggregation []string
}

func (v *Validator) newTargets(ts []profile.Type) *targets {
	var t targets
	for _, one := range ts {
		t.aggregation = append(t.aggregation, one.Aggregation...)
		for _, canonical := range one.TargetProfiles {
			name := lastSegment(canonicalURL(canonical))
			constraint := false
			if p, ok := v.defs.Profile(canonical); ok {
				name, constraint = p.Type, p.Constraint
			} else if !v.defs.IsResourceType(name) {
				return nil // a target nobody knows may be anything
			}
			if name == "Resource" || name == "DomainResource" {
				return &targets{aggregation: t.aggregation}
			}
			t.types = append(t.types, name)
			if constraint {
				t.profiles = append(t.profiles, canonical)
			} else {
				t.plain = append(t.plain, name)
			}
		}
	}
	if len(t.types) == 0 && len(t.aggregation) == 0 {
		return nil
	}
	slices.Sort(t.types)
	t.types = slices.Compact(t.types)
	return &t
}

func (t *targets) same(o *targets) bool {
	if t == nil || o == nil {
		return t == o
	}
	return slices.Equal(t.types, o.types) && slices.Equal(t.profiles, o.profiles) && slices.Equal(t.aggregation, o.aggregation)
}

// link is a reference taken apart.
type link struct {
	typ, id, version string
	base             string // "" for a relative one
	form             linkForm
}

type linkForm uint8

const (
	linkRelative    linkForm = iota // Type/id
	linkREST                        // https://server/Type/id
	linkAbsolute                    // anything else with a scheme
	linkLocal                       // #id
	linkConditional                 // Type?query
	linkBad
)

func (v *Validator) parseLink(s string) link {
	if s == "" {
		return link{form: linkBad}
	}
	if s[0] == '#' {
		return link{form: linkLocal, id: s[1:]}
	}
	abs := isAbsolute(s)
	if abs && (strings.HasPrefix(s, "urn:") || !strings.Contains(s, "://")) {
		return link{form: linkAbsolute}
	}
	path, query, hasQuery := strings.Cut(s, "?")
	if hasQuery && !abs {
		if v.concrete(path) && query != "" {
			return link{form: linkConditional, typ: path}
		}
		return link{form: linkBad}
	}
	path, _, _ = strings.Cut(path, "#")
	var l link
	rest := path
	if i := strings.Index(rest, "/_history/"); i >= 0 {
		l.version, rest = rest[i+len("/_history/"):], rest[:i]
	}
	i := strings.LastIndexByte(rest, '/')
	if i < 0 {
		return link{form: linkBad}
	}
	l.id, rest = rest[i+1:], rest[:i]
	j := strings.LastIndexByte(rest, '/')
	l.typ = rest[j+1:]
	if j >= 0 {
		l.base = rest[:j]
	}
	switch {
	case v.concrete(l.typ) && l.id != "" && idFault(l.id) == "" && !hasQuery:
		if abs {
			l.form = linkREST
			return l
		}
		if l.base == "" {
			l.form = linkRelative
			return l
		}
	case abs:
		return link{form: linkAbsolute}
	}
	return link{form: linkBad}
}

func (v *Validator) concrete(name string) bool {
	return name != "" && name != "Resource" && name != "DomainResource" && v.defs.IsResourceType(name)
}

// reference checks a Reference.
func (w *walk) reference(e *fhirjson.Node, acts []*plan) {
	b := acts[0]
	r := e.Member("reference")
	if r == nil || r.Kind() != fhirjson.String || r.Text() == "" {
		if e.Member("identifier") == nil && e.Member("display") == nil && e.Member("extension") == nil && e.Member("_reference") == nil && r == nil {
			w.add(finding{
				rule: ruleReferenceEmpty, node: e, prof: b.prof, message: w.name(e) + " has neither reference, identifier nor display.",
			})
		}
		w.targetTypes(e, acts, lastSegment(e.MemberText("type")), resident{})
		return
	}
	text := r.Text()
	if strings.ContainsAny(text, " \t\n\r") {
		w.add(finding{rule: ruleReferenceForm, node: r, prof: b.prof, found: brief(r), message: w.name(r) + " has a blank in its URL."})
		return
	}
	l := w.v.parseLink(text)
	var target resident
	switch l.form {
	case linkLocal:
		if target.node = w.localTarget(e, r, text, b); target.node == nil {
			return
		}
	case linkBad:
		f := finding{
			rule: ruleReferenceForm, node: r, prof: b.prof, expected: "Type/id, an absolute URL, or #id", found: brief(r),
			message: w.name(r) + " is no reference to a resource: " + text + ".",
		}
		if strings.Contains(text, "/") { // a server's own idea of a path; RFC 3986 lets it be
			f.severity = validators.SeverityWarning
		}
		w.add(f)
		return
	case linkConditional:
	default:
		if target = w.inBundle(e, r, text, l); !target.found() && l.form == linkRelative {
			target.node = w.inParameters(e, l)
		}
	}
	if !target.found() && w.v.opt.Resolver != nil && l.form != linkConditional && l.form != linkLocal {
		target.node, _ = w.v.opt.Resolver.Resolve(w.ctx, e, text) // a resolver that fails is one that has not found it
	}
	if !target.found() && w.v.opt.MustResolve && l.form == linkRelative {
		w.add(finding{
			rule: ruleReferenceMissing, node: e, prof: b.prof, found: brief(r), message: w.name(e) + " points to " + text + ", and there is no such resource at hand.",
		})
	}
	w.aggregation(e, acts, l, target)
	typ := l.typ
	if target.found() {
		typ = target.typ()
	}
	if t := lastSegment(e.MemberText("type")); t != "" {
		if typ != "" && t != typ {
			w.add(finding{
				rule: ruleReferenceType, node: e.Member("type"), prof: b.prof, expected: typ, found: t,
				message: w.name(e) + ".type says " + t + ", the reference points to a " + typ + ".",
			})
		} else {
			typ = t
		}
	}
	w.targetTypes(e, acts, typ, target)
}

// localTarget finds what #id points to and notes that it is referred to.
func (w *walk) localTarget(e, r *fhirjson.Node, text string, b *plan) *fhirjson.Node {
	w.local(text)
	if text == "#" {
		return w.scope.root
	}
	if t := w.contained(w.scope.root, text[1:]); t != nil {
		return t
	}
	w.add(finding{
		rule: ruleReferenceContained, node: e, prof: b.prof, key: "ref-1", found: brief(r),
		message: w.name(e) + " points to " + text + ", and no contained resource has that id.",
		next:    "Contain the resource, or refer to it by Type/id.",
	})
	return nil
}

// targetTypes checks the type of a reference's target, and of a target in the input its conformance too.
func (w *walk) targetTypes(e *fhirjson.Node, acts []*plan, typ string, target resident) {
	if typ == "" {
		return
	}
	for _, p := range acts {
		t := p.targets
		if t == nil || len(t.types) == 0 {
			continue
		}
		if _, ok := slices.BinarySearch(t.types, typ); !ok {
			w.add(finding{
				rule: ruleReferenceTarget, node: e, prof: p.prof, slice: p.el.SliceName, expected: strings.Join(t.types, ", "), found: typ,
				message: w.name(e) + " points to a " + typ + "; allowed are " + strings.Join(t.types, ", ") + ".",
			})
			return
		}
		if target.found() && p.base != nil && len(t.profiles) > 0 && !slices.Contains(t.plain, typ) && w.trial == 0 {
			w.pending = append(w.pending, pendingTarget{from: e, target: target, plan: p, typ: typ, result: w.scope.result, open: w.isOpen(p.prof)})
		}
	}
}

// pendingTarget is a target whose profile is checked after the walk, when it is known what else is wrong with it.
type pendingTarget struct {
	from   *fhirjson.Node
	target resident
	plan   *plan
	typ    string
	result int
	open   bool // the version of the profile that asks was ours to choose
}

// settle checks the targets that references led to.
func (w *walk) settle() {
	for i := range w.pending {
		p := &w.pending[i]
		t := p.plan.targets
		ok, tried := false, 0
		for _, canonical := range t.profiles {
			def, known := w.v.defs.Profile(canonical)
			if known && def.Type != p.typ {
				continue
			}
			tried++
			if ok = !known || w.residentConforms(p.target, def) || p.open && w.conformsToOther(p.target, def); ok {
				break
			}
		}
		if ok || tried == 0 {
			continue
		}
		w.scope.result = p.result
		w.add(finding{
			rule: ruleReferenceProfile, node: p.from, prof: p.plan.prof, slice: p.plan.el.SliceName, expected: strings.Join(t.profiles, ", "),
			message: w.name(p.from) + " points to a " + p.typ + " in this input that conforms to none of " + shorts(t.profiles) + ".",
		})
	}
}

// isOpen reports a profile that the current resource or one around it claims without a version, several being active.
func (w *walk) isOpen(def *profile.Profile) bool {
	return slices.ContainsFunc(w.open, func(o openClaim) bool { return o.def == def })
}

// conformsToOther tries the other active versions of a target's profile: where the version of the profile that asks is open, so
// is that of the target.
func (w *walk) conformsToOther(target resident, def *profile.Profile) bool {
	f := w.v.family(def.URL)
	return f != nil && slices.ContainsFunc(f.list, func(p *profile.Profile) bool { return p != def && w.residentConforms(target, p) })
}

// residentConforms is conforms for the target of a reference.
func (w *walk) residentConforms(r resident, def *profile.Profile) bool {
	if r.stream == nil {
		return w.conformsTo(r.node, def)
	}
	key := streamTrial{r.at, def}
	if was, ok := w.stream.tried[key]; ok {
		return was
	}
	n := r.tree()
	if n == nil {
		return true // reading failed, and there will be no report
	}
	ok := w.conformsTo(n, def)
	w.stream.remember(key, ok)
	return ok
}

// aggregation checks where a target is against where the profile wants it.
func (w *walk) aggregation(e *fhirjson.Node, acts []*plan, l link, target resident) {
	for _, p := range acts {
		if p.targets == nil || len(p.targets.aggregation) == 0 {
			continue
		}
		where := "referenced"
		if l.form == linkLocal {
			where = "contained"
		} else if w.scope.bundle != nil && (target.stream != nil || target.node != nil && target.node.Doc() == e.Doc()) {
			where = "bundled"
		}
		allowed := p.targets.aggregation
		if w.scope.bundle == nil && where == "referenced" && slices.Contains(allowed, "bundled") && !w.v.opt.BundledOnly {
			continue // the Bundle it may stand in is not here
		}
		if slices.Contains(allowed, where) || where == "bundled" && slices.Contains(allowed, "referenced") {
			continue
		}
		w.add(finding{
			rule: ruleReferenceAggregation, node: e, prof: p.prof, slice: p.el.SliceName, expected: strings.Join(allowed, ", "), found: where,
			message: w.name(e) + " leads to a resource that is " + where + "; the profile wants it " + strings.Join(allowed, " or ") + ".",
		})
	}
}

// resolve finds a resource by a reference at n: contained, in the Bundle, or by the Resolver.
func (w *walk) resolve(n *fhirjson.Node, ref string) *fhirjson.Node {
	l := w.v.parseLink(ref)
	switch l.form {
	case linkLocal:
		root := w.scope.root
		if ref == "#" {
			return root
		}
		return w.contained(root, l.id)
	case linkBad, linkConditional:
		return nil
	default:
	}
	if t := w.lookup(n, ref, l); t != nil {
		return t
	}
	if l.form == linkRelative {
		if t := w.inParameters(n, l); t != nil {
			return t
		}
	}
	if w.v.opt.Resolver == nil {
		return nil
	}
	t, err := w.v.opt.Resolver.Resolve(w.ctx, n, ref)
	if err != nil {
		return nil
	}
	return t
}

// inParameters finds what Type/id means in the Parameters around n, where there is no Bundle between.
func (w *walk) inParameters(n *fhirjson.Node, l link) *fhirjson.Node {
	for ; n != nil; n = n.Parent() {
		switch n.ResourceType() {
		case "Bundle":
			return nil
		case "Parameters":
			return w.parametersOf(n)[l.typ+"/"+l.id]
		}
	}
	return nil
}

func (w *walk) parametersOf(n *fhirjson.Node) map[string]*fhirjson.Node {
	if x := w.containers[n]; x != nil {
		return x
	}
	x := map[string]*fhirjson.Node{}
	var collect func(list *fhirjson.Node)
	collect = func(list *fhirjson.Node) {
		if list == nil || list.Kind() != fhirjson.Array {
			return
		}
		for p := list.First(); p != nil; p = p.Next() {
			if r := p.Member("resource"); r != nil && r.MemberText("id") != "" {
				if key := r.ResourceType() + "/" + r.MemberText("id"); x[key] == nil {
					x[key] = r
				}
			}
			collect(p.Member("part"))
		}
	}
	collect(n.Member("parameter"))
	if w.containers == nil {
		w.containers = map[*fhirjson.Node]map[string]*fhirjson.Node{}
	}
	w.containers[n] = x
	return x
}

// contained finds a contained resource of root.
func (w *walk) contained(root *fhirjson.Node, id string) *fhirjson.Node {
	const few = 16 // that many are looked through, more are indexed
	list := root.Member("contained")
	switch {
	case list == nil:
		return nil
	case list.Len() > few:
		return w.container(root, list)[id]
	}
	for c := list.First(); c != nil; c = c.Next() {
		if c.MemberText("id") == id {
			return c
		}
	}
	return nil
}

func (w *walk) container(root, list *fhirjson.Node) map[string]*fhirjson.Node {
	if x := w.containers[root]; x != nil {
		return x
	}
	x := make(map[string]*fhirjson.Node, list.Len())
	for c := list.First(); c != nil; c = c.Next() {
		if id := c.MemberText("id"); id != "" && x[id] == nil {
			x[id] = c
		}
	}
	if w.containers == nil {
		w.containers = map[*fhirjson.Node]map[string]*fhirjson.Node{}
	}
	w.containers[root] = x
	return x
}

func (w *walk) isContained(id string) bool { return w.contained(w.scope.root, id) != nil }
