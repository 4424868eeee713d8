package instance

import (
	"slices"
	"strings"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/profile"
)

// scope is where the walk is: which resource, in which container, in which Bundle.
type scope struct {
	resource  *fhirjson.Node // %resource
	root      *fhirjson.Node // %rootResource: the container of a contained resource, else the resource
	bundle    *fhirjson.Node // the nearest Bundle around
	entry     *fhirjson.Node // the entry of that Bundle
	typ       string         // of resource
	result    int            // row of Report.Resources
	acts      int            // where the plans of resource begin
	contained bool
	local     []string // "#id" seen in references and uris of root
	ids       []string // element ids in root
}

// nested validates a resource inside another. acts are the plans of the place it stands at.
func (w *walk) nested(n *fhirjson.Node, acts []*plan) {
	if w.trial > 0 && len(acts) == 1 {
		return // a trial is about what profiles add, and none says anything here
	}
	if w.v.opt.SkipContained && acts[0].el.Name == "contained" {
		return
	}
	outer := w.scope
	inner := scope{bundle: outer.bundle, entry: outer.entry}
	if acts[0].el.Name == "contained" {
		inner.root, inner.contained, inner.local, inner.ids = outer.root, true, outer.local, outer.ids
		if outer.contained {
			w.add(finding{
				rule: ruleContainedNested, node: outer.root, at: n, prof: acts[0].prof, key: "dom-2",
				message: w.name(n) + " is contained in a contained resource.", next: "Contain it in " + outer.root.ResourceType() + " itself.",
			})
		}
	} else if entry := n.Parent(); entry != nil && entry.Parent() != nil && entry.Parent().Key() == "entry" {
		inner.entry = entry
	}
	w.scope = inner
	w.resource(n, acts, nil)
	if inner.contained {
		outer.local, outer.ids = w.scope.local, w.scope.ids
	}
	w.scope = outer
	w.invariantsOf(n, acts) // rules of the place are the container's: its %resource
}

// resource validates n against its base type, what place asks of it, its claims and the asked profiles.
func (w *walk) resource(n *fhirjson.Node, place []*plan, asked []string) {
	typ, ok := w.typeOf(n, asked)
	if !ok {
		return
	}
	base := w.v.basePlan(typ)
	if base == nil {
		return
	}
	w.scope.resource, w.scope.typ = n, typ
	if !w.scope.contained {
		w.scope.root = n
	}
	if w.trial > 0 {
		w.against(n, typ, base, place, asked)
		return
	}
	before := w.checkpoint()
	w.against(n, typ, base, place, asked)
	if w.refit(n, before) {
		w.rewind(before)
		w.against(n, typ, base, place, asked)
	}
	w.leave(before)
}

// against walks n with all plans that apply to it.
func (w *walk) against(n *fhirjson.Node, typ string, base *plan, place []*plan, asked []string) {
	if w.trial == 0 {
		w.enter(n, typ)
	}
	mark := len(w.acts)
	w.scope.acts = mark
	w.acts = append(w.acts, base)
	for _, p := range placeOf(place) {
		if len(p.types) > 0 && !slices.Contains(p.types, typ) {
			w.add(finding{
				rule: ruleResourceKind, node: n, prof: p.prof, slice: p.el.SliceName, expected: strings.Join(p.types, ", "), found: typ,
				message: w.name(n) + " is a " + typ + "; the profile allows " + strings.Join(p.types, ", ") + " here.",
			})
		}
		w.placeProfiles(n, p, base, typ)
	}
	w.choose(n, base, typ, asked)
	acts := w.acts[mark:]
	if typ == "Bundle" {
		w.scope.bundle, w.scope.entry = n, nil
	}
	w.object(n, acts)
	w.rootInvariants(n, acts)
	if w.trial == 0 {
		w.whole(n, typ, base)
	}
	w.acts = w.acts[:mark]
}

func placeOf(place []*plan) []*plan {
	if len(place) == 0 {
		return nil
	}
	return place[1:]
}

// typeOf reads the resource type; without a usable one there is nothing more to check.
func (w *walk) typeOf(n *fhirjson.Node, asked []string) (string, bool) {
	if n.Kind() != fhirjson.Object {
		w.add(finding{
			rule: ruleJSONType, node: n, message: "A FHIR resource is a JSON object, and this is not: " + n.Kind().String() + ".",
			expected: "object", found: n.Kind().String(),
		})
		return "", false
	}
	t := n.Member("resourceType")
	switch {
	case t == nil:
		w.add(finding{
			rule: ruleResourceTypeMissing, node: n, message: "The object has no resourceType, so it cannot be told which resource it is.",
			next: "Add resourceType as a member.",
		})
		return "", false
	case t.Kind() != fhirjson.String:
		w.add(finding{rule: ruleResourceTypeMissing, node: t, message: "resourceType is a JSON " + t.Kind().String() + ", not a string."})
		return "", false
	}
	typ := t.Text()
	if w.v.concrete(typ) {
		return typ, true
	}
	f := finding{
		rule: ruleResourceTypeUnknown, node: n, found: brief(t), message: "There is no resource type " + brief(t) + " in FHIR R4. Nothing else in it was checked.",
	}
	if meant := w.meantType(n, asked); meant != "" {
		f.expected = meant
		f.next = "Its profile is for " + meant + ": make that the resourceType."
		if n.Parent() == nil {
			f.path = meant // no expression starts with a type there is not
		}
	}
	w.add(f)
	return "", false
}

// meantType is the type that the profiles of a resource of no known type are for, "" when they do not tell.
func (w *walk) meantType(n *fhirjson.Node, asked []string) string {
	canonicals := slices.Clone(asked)
	for c := n.Member("meta").Member("profile").FirstOrNil(); c != nil; c = c.Next() {
		canonicals = append(canonicals, c.Text())
	}
	meant := ""
	for _, canonical := range canonicals {
		f := w.v.family(canonical)
		if f == nil || !w.v.concrete(f.list[0].Type) {
			continue
		}
		if typ := f.list[0].Type; meant == "" || meant == typ {
			meant = typ
			continue
		}
		return ""
	}
	return meant
}

// enter opens a row in the report.
func (w *walk) enter(n *fhirjson.Node, typ string) {
	w.checked++
	if len(w.resources) >= maxResources {
		w.scope.result = -1
		return
	}
	row := validators.ResourceResult{ResourceType: strings.Clone(typ), ID: strings.Clone(n.MemberText("id")), Line: n.Position().Line}
	if n.Parent() != nil {
		row.Expression = n.Expression()
	}
	w.scope.result = len(w.resources)
	w.resources = append(w.resources, row)
}

// placeProfiles activates what a profile of the container says about the resource at this place.
func (w *walk) placeProfiles(n *fhirjson.Node, p, base *plan, typ string) {
	if p.el.Children != nil {
		if sub := w.v.profilePlan(p.prof, p.el, base); sub != nil {
			w.acts = append(w.acts, sub)
		}
	}
	switch len(p.alternatives) {
	case 0:
	case 1:
		w.activate(n, base, typ, p.alternatives[0], "profile of the place in "+short(p.prof.URL))
	default:
		w.oneOf(n, p)
	}
}

// choose activates claimed, asked and extra profiles and notes them in the report.
func (w *walk) choose(n *fhirjson.Node, base *plan, typ string, asked []string) {
	if w.trial > 0 {
		return
	}
	w.note(profileName(base.prof), "base type")
	if meta := n.Member("meta"); meta != nil {
		if list := meta.Member("profile"); list != nil && list.Kind() == fhirjson.Array {
			for c := list.First(); c != nil; c = c.Next() {
				if c.Kind() == fhirjson.String && c.Text() != "" {
					w.claim(n, c, base, typ)
				}
			}
		}
	}
	for _, canonical := range asked {
		w.activate(n, base, typ, canonical, "asked for")
	}
	if w.v.opt.ExtraProfiles != nil {
		for _, c := range w.v.opt.ExtraProfiles(n) {
			w.activate(n, base, typ, c.URL, c.Why)
		}
	}
	if typ == "Observation" && !w.v.opt.NoVitalSigns {
		if canonical, code := vitalSign(n); canonical != "" {
			w.activate(n, base, typ, canonical, "R4 vital signs: code "+code)
		}
	}
}

func profileName(p *profile.Profile) string {
	if p.Version == "" {
		return p.URL
	}
	return p.URL + "|" + p.Version
}

func (w *walk) note(canonical, why string) {
	if w.trial == 0 && w.scope.result >= 0 {
		r := &w.resources[w.scope.result]
		r.Profiles = append(r.Profiles, validators.ProfileChoice{URL: canonical, Why: why})
	}
}

func (w *walk) claim(n, c *fhirjson.Node, base *plan, typ string) {
	canonical := c.Text()
	if w.v.family(canonical) == nil {
		if t := w.canonicalType(canonical); t != "" && t != "StructureDefinition" {
			w.add(finding{
				rule: ruleCanonicalTarget, node: c, prof: base.prof, expected: "StructureDefinition", found: t,
				message: w.name(c) + " names a " + t + "; a profile is a StructureDefinition.",
			})
			return
		}
		w.add(finding{
			rule: ruleProfileUnknown, node: c, notChecked: true, found: canonical,
			message: "Profile " + short(canonical) + " is claimed and not in the active guides: it was not checked.",
			next:    "Add the guide that defines it, or correct the URL.",
		})
		w.note(strings.Clone(canonical), "claimed in meta.profile, unknown")
		return
	}
	w.activate(n, base, typ, canonical, "claimed in meta.profile")
}

// activate puts a profile's plan beside the base plan on the stack.
func (w *walk) activate(n *fhirjson.Node, base *plan, typ, canonical, why string) {
	f := w.v.family(canonical)
	if f == nil {
		w.add(finding{
			rule: ruleProfileUnknown, node: n, notChecked: true, found: canonical,
			message: "Profile " + short(canonical) + " (" + why + ") is not in the active guides: it was not checked.",
		})
		return
	}
	def, ground := w.version(n, f)
	if def == base.prof {
		return
	}
	if def.Type != typ && def.Type != "Resource" && def.Type != "DomainResource" {
		w.add(finding{
			rule: ruleProfileType, node: n, prof: def, expected: def.Type, found: typ,
			message: "Profile " + short(def.URL) + " (" + why + ") is for " + def.Type + ", this is a " + typ + ".",
		})
		return
	}
	p := w.v.rootPlan(def, base)
	if p != nil && slices.Contains(w.acts[w.scope.acts:], p) {
		return
	}
	if len(f.list) > 1 && !f.pinned {
		w.open = append(w.open, openClaim{family: f, def: def, row: w.rowLength(), why: why})
	}
	w.note(profileName(def), why+ground)
	if def.Constraint {
		w.pins = append(w.pins, def.Package)
	}
	w.faults(n, def)
	if p != nil {
		w.acts = append(w.acts, p)
	}
}

// faults names the defects of a definition, once per report.
func (w *walk) faults(n *fhirjson.Node, def *profile.Profile) {
	for _, fault := range def.Faults {
		w.addOnce(def.URL+fault, finding{
			rule: ruleProfileFault, node: n, prof: def, notChecked: true,
			message: "Part of profile " + short(def.URL) + " could not be checked: " + fault + ".",
		})
	}
}

// typeProfiles activates the profiles that the active plans demand of e's type.
func (w *walk) typeProfiles(e *fhirjson.Node, mark int) {
	for i := mark; i < len(w.acts); i++ {
		p := w.acts[i]
		if len(p.alternatives) == 0 {
			continue
		}
		if p.data == dataExtension && len(p.alternatives) == 1 && canonicalURL(p.alternatives[0]) == e.MemberText("url") {
			continue // its definition is active by its url
		}
		if len(p.alternatives) > 1 {
			w.oneOf(e, p)
			continue
		}
		def, ok := w.v.defs.Profile(p.alternatives[0])
		if !ok {
			w.addOnce(p.alternatives[0], finding{
				rule: ruleProfileUnknown, node: e, prof: p.prof, notChecked: true, found: p.alternatives[0],
				message: "Profile " + short(p.alternatives[0]) + " of " + p.el.Path + " is not in the active guides: it was not checked.",
			})
			continue
		}
		if sub := w.v.rootPlan(def, w.v.basePlan(p.typ)); sub != nil && !slices.Contains(w.acts[mark:], sub) {
			w.acts = append(w.acts, sub)
		}
	}
}

// oneOf holds e against profiles of which one has to fit.
func (w *walk) oneOf(e *fhirjson.Node, p *plan) {
	for _, canonical := range p.alternatives {
		if _, ok := w.v.defs.Profile(canonical); !ok || w.conforms(e, canonical) {
			return
		}
	}
	w.add(finding{
		rule: ruleTypeProfile, node: e, prof: p.prof, slice: p.el.SliceName, expected: strings.Join(p.alternatives, ", "),
		message: w.name(e) + " conforms to none of " + shorts(p.alternatives) + ".",
	})
}

type trialKey struct {
	node    *fhirjson.Node
	profile *profile.Profile
}

// conforms tries a profile on e without a word in the report. Only what the profile adds counts: base errors are reported
// where e stands. A profile nobody knows, and a cycle of references back to e, is taken to fit.
func (w *walk) conforms(e *fhirjson.Node, canonical string) bool {
	def, ok := w.v.defs.Profile(canonical)
	return !ok || w.conformsTo(e, def)
}

func (w *walk) conformsTo(e *fhirjson.Node, def *profile.Profile) bool {
	key := trialKey{e, def}
	if was, ok := w.tried[key]; ok {
		return was
	}
	if w.tried == nil {
		w.tried = map[trialKey]bool{}
	}
	w.tried[key] = true
	ok := w.try(e, def)
	w.tried[key] = ok
	return ok
}

func (w *walk) try(e *fhirjson.Node, def *profile.Profile) bool { return w.misfit(e, def) == 0 }

// misfit counts the errors that def finds in e.
func (w *walk) misfit(e *fhirjson.Node, def *profile.Profile) int {
	outer, errorsBefore, mark, pins := w.scope, w.trialErrors, len(w.acts), len(w.pins)
	w.trial++
	w.trialErrors = 0
	defer func() {
		w.trial--
		w.scope, w.trialErrors, w.acts, w.pins = outer, errorsBefore, w.acts[:mark], w.pins[:pins]
	}()
	if def.Constraint {
		w.pins = append(w.pins, def.Package)
	}
	typ := def.Type
	if rt := e.ResourceType(); rt != "" {
		if typ != rt && typ != "Resource" && typ != "DomainResource" {
			return 1
		}
		typ = rt
		w.scope = w.scopeOf(e)
	}
	base := w.v.basePlan(typ)
	if base == nil {
		return 0
	}
	w.acts = append(w.acts, base)
	if p := w.v.rootPlan(def, base); p != nil {
		w.acts = append(w.acts, p)
	}
	if base.shape == primitive {
		w.rules(e, w.acts[mark:])
		return w.trialErrors
	}
	if e.Kind() != fhirjson.Object {
		return 1
	}
	w.object(e, w.acts[mark:])
	w.rules(e, w.acts[mark:])
	return w.trialErrors
}

// scopeOf is the scope of a resource anywhere in the input.
func (w *walk) scopeOf(n *fhirjson.Node) scope {
	s := scope{resource: n, root: n, typ: n.ResourceType(), result: w.scope.result}
	if up := n.Parent(); up != nil && up.Key() == "contained" {
		s.contained = true
		s.root = up.Parent()
	}
	s.bundle, s.entry = bundleAround(s.root)
	return s
}
