package instance

import (
	"slices"
	"strings"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/fhirpath/value"
	"fhirwire/validators/profile"
)

// extension checks an Extension against the rules of all extensions and activates its definition. parents are the plans of
// the element that carries it.
func (w *walk) extension(e *fhirjson.Node, mark int, parents []*plan) {
	b := w.acts[mark]
	w.extensionContent(e, b)
	u := e.Member("url")
	if u == nil {
		w.add(finding{
			rule: ruleExtensionURL, node: e, prof: b.prof, message: w.name(e) + " has no url, so nothing tells what it means.",
			next: "Add the url of its definition.",
		})
		return
	}
	url := u.Text()
	if u.Kind() != fhirjson.String || url == "" {
		return // said by its format
	}
	nested := parents[0].data == dataExtension
	if nested && !isAbsolute(url) {
		w.nestedExtension(e, u, url, parents)
		return
	}
	switch {
	case strings.ContainsRune(url, '|'):
		w.add(finding{
			rule: ruleExtensionURLForm, node: u, prof: b.prof, found: url,
			message: w.name(u) + " has a version; the url of an extension has none.", next: "Leave out the | and what follows.",
		})
		return
	case !isAbsolute(url):
		w.add(finding{
			rule: ruleExtensionURLForm, node: u, prof: b.prof, expected: "an absolute URL", found: url,
			message: w.name(u) + " is not absolute.",
		})
		return
	}
	def := w.extensionDefinition(e, url, w.acts[mark:])
	modifier := b.el.Name == "modifierExtension"
	if def == nil {
		w.unknownExtension(e, url, modifier, b)
		return
	}
	w.extensionUse(e, def, modifier, parents)
	if p := w.v.rootPlan(def, w.v.basePlan("Extension")); p != nil {
		w.acts = append(w.acts, p)
	}
}

func extensionHolds(e *fhirjson.Node) (values, nested bool) {
	for c := e.First(); c != nil; c = c.Next() {
		key := strings.TrimPrefix(c.Key(), "_")
		values = values || len(key) > 5 && strings.HasPrefix(key, "value") && key[5] >= 'A' && key[5] <= 'Z'
		nested = nested || key == "extension"
	}
	return values, nested
}

func emptyExtension(e *fhirjson.Node) bool {
	values, nested := extensionHolds(e)
	return !values && !nested
}

// extensionContent is ext-1.
func (w *walk) extensionContent(e *fhirjson.Node, b *plan) {
	values, nested := extensionHolds(e)
	if values != nested {
		return
	}
	f := finding{rule: ruleExtensionContent, node: e, prof: b.prof, key: "ext-1"}
	if values {
		f.message = w.name(e) + " has both a value and nested extensions."
		f.next = "Keep one of the two."
	} else {
		f.message = w.name(e) + " has neither a value nor nested extensions."
		f.next = "Add the value, or leave the extension out."
	}
	w.add(f)
}

// nestedExtension checks an extension in an extension with a relative url: the outer definition must know it.
func (w *walk) nestedExtension(e, u *fhirjson.Node, url string, parents []*plan) {
	for _, p := range parents[1:] {
		x := child(p.el, "extension")
		if x == nil || p.typ != "Extension" {
			continue
		}
		if len(x.Slices) == 0 || slices.ContainsFunc(x.Slices, func(s *profile.Element) bool { return sliceURL(s) == url }) {
			return
		}
		var known []string
		for _, s := range x.Slices {
			known = append(known, sliceURL(s))
		}
		w.add(finding{
			rule: ruleExtensionNested, node: u, prof: p.prof, expected: strings.Join(known, ", "), found: url,
			message: w.name(e) + " has the url " + url + ", which " + short(p.prof.URL) + " does not define.",
			next:    "Use one of " + strings.Join(known, ", ") + ".",
		})
		return
	}
}

func sliceURL(s *profile.Element) string {
	if u := child(s, "url"); u != nil && u.Fixed != nil {
		return u.Fixed.Text()
	}
	return s.SliceName
}

func (w *walk) unknownExtension(e *fhirjson.Node, url string, modifier bool, b *plan) {
	f := finding{
		rule: ruleExtensionUnknown, node: e, prof: b.prof, notChecked: true, found: url,
		message: "Extension " + short(url) + " has no definition in the active guides; its content was not checked.",
	}
	switch prof, ok := w.v.defs.Profile(url); {
	case ok && prof.Type != "Extension":
		f.severity, f.notChecked = validators.SeverityError, false
		f.message = w.name(e) + " has the url of a definition of " + prof.Type + ", which is no extension."
		w.add(f)
		return
	case modifier:
		f.rule, f.notChecked = ruleExtensionModifierUnknown, false
		f.message = w.name(e) + " is a modifier extension without a definition in the active guides: a receiver that does not know it must not process " + w.name(e.Parent()) + "."
		w.add(f)
		return
	case w.v.opt.ForbidUnknownExtensions, w.v.opt.ForbidExamples && exampleURL(url), w.v.inNamespace(url):
		f.severity, f.notChecked = validators.SeverityError, false
		f.message = w.name(e) + ": there is no extension " + short(url) + "."
		w.add(f)
		return
	case strings.HasPrefix(url, corePrefix): // a later pack may have it
		f.severity = validators.SeverityWarning
		f.message = w.name(e) + ": neither FHIR R4 nor the extensions pack has an extension " + short(url) + "; its content was not checked."
		f.next = "Correct the url, or add the package that defines it."
		w.add(f)
		return
	}
	w.addOnce(url, f)
}

// inNamespace reports a URL in a namespace that is at hand as a whole: what is not there does not exist.
func (v *Validator) inNamespace(url string) bool {
	return slices.ContainsFunc(v.opt.Namespaces, func(ns string) bool { return strings.HasPrefix(url, ns) })
}

// extensionUse checks where and how a defined extension is used.
func (w *walk) extensionUse(e *fhirjson.Node, def *profile.Profile, modifier bool, parents []*plan) {
	if isModifier := def.Root != nil && def.Root.IsModifier; isModifier != modifier {
		f := finding{rule: ruleExtensionModifier, node: e, prof: def, message: w.name(e) + " is defined as a modifier and stands in extension."}
		f.next = "Move it to modifierExtension."
		if modifier {
			f.message, f.next = w.name(e)+" is not defined as a modifier and stands in modifierExtension.", "Move it to extension."
		}
		w.add(f)
	}
	w.contextInvariants(e, def)
	if len(def.Contexts) == 0 {
		return
	}
	if fits, sure := w.inContexts(e, def.Contexts, parents); fits || !sure {
		return
	}
	// The extensions that R4 has itself are also in a pack of later date; what either says of their use holds.
	if own, ok := w.v.defs.Seen(corePackage, def.URL); ok && own != def {
		if fits, sure := w.inContexts(e, own.Contexts, parents); fits || !sure {
			return
		}
	}
	for _, prefix := range looserContexts[def.URL] {
		if strings.HasPrefix(parents[0].el.Path, prefix) {
			return
		}
	}
	var where []string
	for _, c := range def.Contexts {
		where = append(where, c.Expression)
	}
	w.add(finding{
		rule: ruleExtensionContext, node: e, prof: def, expected: strings.Join(where, ", "), found: parents[0].el.Path,
		message: w.name(e) + " is used on " + contextName(parents[0]) + "; its definition allows it on " + strings.Join(where, ", ") + " only.",
	})
}

const corePackage = "hl7.fhir.r4.core#4.0.1"

// looserContexts are extensions that HL7's own guides use beyond their published contexts, and the elements they use them on.
var looserContexts = map[string][]string{
	// the expectation of what a search parameter can do, of what a statement builds on
	corePrefix + "capabilitystatement-expectation": {"SearchParameter.", "CapabilityStatement."},
	corePrefix + "regex":                           {"ElementDefinition.type"},
}

// inContexts reports whether one of the contexts fits, and whether that could be told of all.
func (w *walk) inContexts(e *fhirjson.Node, contexts []profile.Context, parents []*plan) (fits, sure bool) {
	sure = true
	for _, c := range contexts {
		ok, known := w.inContext(e, c, parents)
		if ok {
			return true, true
		}
		sure = sure && known
	}
	return false, sure
}

// contextInvariants runs the rules an extension's definition has for its carrier, with %extension set.
func (w *walk) contextInvariants(e *fhirjson.Node, def *profile.Profile) {
	carrier := w.carrierNode(e)
	if len(def.ContextInvariants) == 0 || carrier == nil {
		return
	}
	env := w.env
	env.Resource, env.RootResource, env.Context, env.FocusType = w.scope.resource, w.scope.root, carrier, nil
	env.Vars = map[string]value.Collection{"extension": {value.Element{Node: e, FHIRType: "Extension"}}}
	for _, src := range def.ContextInvariants {
		c, _ := w.v.exprs.LoadOrStore(src, new(compiled))
		x, err := w.v.expression(c.(*compiled), src)
		ok := false
		if err == nil {
			ok, err = x.Truth(w.ctx, carrier, env)
		}
		switch {
		case err != nil:
			w.addOnce(def.URL+src, finding{
				rule: ruleInvariantUnchecked, node: e, prof: def, notChecked: true,
				message: "The context rule of extension " + short(def.URL) + " could not be checked: " + err.Error() + ".",
			})
		case !ok:
			w.add(finding{
				rule: ruleExtensionContext, node: e, prof: def, expected: src,
				message: w.name(e) + " is used where its definition forbids it: " + sayExpression(src) + " does not hold.",
			})
		}
	}
}

func contextName(p *plan) string {
	if strings.Contains(p.el.Path, ".") {
		return p.el.Path
	}
	return p.typ
}

// inContext reports whether the carrier of e fits one context of its definition, and whether that could be told.
func (w *walk) inContext(e *fhirjson.Node, c profile.Context, parents []*plan) (ok, known bool) {
	carrier := parents[0]
	switch c.Type {
	case "extension":
		outer := w.carrierNode(e)
		switch {
		case carrier.data == dataExtension:
		case carrier.el.Path == "Extension.value[x]" && outer != nil: // on the value of the extension
			outer = outer.Parent()
		default:
			return false, true
		}
		return outer != nil && outer.MemberText("url") == c.Expression, true
	case "fhirpath":
		return w.inPathContext(e, c.Expression)
	}
	want := c.Expression
	if url, path, found := strings.Cut(want, "#"); found {
		for _, p := range parents {
			if p.prof.URL == url && (path == "" || p.el.ID == path || p.el.Path == path) {
				return true, true
			}
		}
		return false, true
	}
	if want == carrier.el.Path || want == carrier.typ || want == "Element" { // Element stands for anything
		return true, true
	}
	if carrier.el.ContentReference != nil && want == carrier.el.ContentReference.Path {
		return true, true
	}
	if (want == "CanonicalResource" || want == "MetadataResource") && carrier.shape == resourceShape {
		_, hasURL := w.v.children(carrier).byName["url"]
		return hasURL, true
	}
	if strings.HasPrefix(want, "http://") || strings.HasPrefix(want, "https://") {
		for _, p := range parents {
			if p.prof.URL == want {
				return true, true
			}
		}
	}
	for t := carrier.fpType; t != nil; t = t.Base {
		if t.Name == want {
			return true, true
		}
	}
	if first, rest, dotted := strings.Cut(want, "."); dotted { // "DomainResource.text" on Patient.text
		if own, below, ok := strings.Cut(carrier.el.Path, "."); ok && below == rest {
			if t, ok := w.v.defs.Type(own); ok {
				for ; t != nil; t = t.Base {
					if t.Name == first {
						return true, true
					}
				}
			}
		}
	}
	return w.longPath(e, want), true
}

// longPath matches a context that goes through a datatype ("Patient.name.family") with the place of e.
func (w *walk) longPath(e *fhirjson.Node, want string) bool {
	n := w.carrierNode(e)
	r := w.scope.resource
	if n == nil || r == nil {
		return false
	}
	var names []string
	for x := n; x != nil && x != r; x = x.Parent() {
		if key := strings.TrimPrefix(x.Key(), "_"); key != "" {
			names = append(names, key)
		}
	}
	names = append(names, w.scope.typ)
	slices.Reverse(names)
	return strings.Join(names, ".") == strings.TrimSuffix(want, "[x]")
}

// carrierNode is the element that carries extension e.
func (w *walk) carrierNode(e *fhirjson.Node) *fhirjson.Node {
	list := e.Parent()
	if list == nil {
		return nil
	}
	if list.Kind() == fhirjson.Array {
		return list.Parent()
	}
	return list
}

func (w *walk) inPathContext(e *fhirjson.Node, expression string) (ok, known bool) {
	c, _ := w.v.exprs.LoadOrStore(expression, new(compiled))
	x, err := w.v.expression(c.(*compiled), expression)
	if err != nil {
		return false, false
	}
	w.env.Resource, w.env.RootResource, w.env.Context, w.env.FocusType = w.scope.resource, w.scope.root, w.scope.resource, nil
	got, err := x.Eval(w.ctx, w.scope.resource, w.env)
	if err != nil {
		return false, false
	}
	carrier := w.carrierNode(e)
	for _, one := range got {
		if x, ok := one.(value.Element); ok && x.Node != nil && carrier != nil && (x.Node == carrier || x.Node.Twin() == carrier) {
			return true, true
		}
	}
	return false, true
}
