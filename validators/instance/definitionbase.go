package instance

import (
	"slices"
	"strconv"
	"strings"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/fhirpath"
	"fhirwire/validators/profile"
)

var kindNames = map[profile.Kind]string{
	profile.PrimitiveType: "primitive-type", profile.ComplexType: "complex-type", profile.Resource: "resource", profile.Logical: "logical",
}

// definitionBase checks what a StructureDefinition says of itself against what it builds on.
func (w *walk) definitionBase(n *fhirjson.Node, base *plan) {
	add := func(at *fhirjson.Node, message, next string) {
		w.add(finding{rule: ruleDefinitionBase, node: at, prof: base.prof, message: w.name(at) + " " + message, next: next})
	}
	typ, derivation := n.MemberText("type"), n.MemberText("derivation")
	if c := n.Member("context"); c != nil && typ != "" && typ != "Extension" {
		add(c, "says where an extension may stand; this defines a "+typ+".", "Leave it out.")
	}
	w.definitionContexts(n, add)
	from := n.MemberText("baseDefinition")
	if from == "" {
		return
	}
	if from == corePrefix+"Extension" && derivation == "constraint" {
		w.extensionURL(n, add)
	}
	parent, ok := w.v.defs.Profile(from)
	switch {
	case derivation == "":
		add(n, "has a base and does not say whether it constrains or extends it.", "Add derivation: constraint or specialization.")
	case !ok:
	case derivation == "constraint" && n.MemberText("kind") != "" && n.MemberText("kind") != kindNames[parent.Kind]:
		add(n.Member("kind"), "is "+n.MemberText("kind")+"; the base "+short(from)+" is a "+kindNames[parent.Kind]+".", "")
	case derivation == "specialization" && typ == parent.Type:
		add(n.Member("type"), "is that of the base; a specialization makes a type of its own.", "Give it another type, or make it a constraint.")
	}
}

// extensionURL checks that an extension's definition fixes its url.
func (w *walk) extensionURL(n *fhirjson.Node, add func(at *fhirjson.Node, message, next string)) {
	url := n.MemberText("url")
	for _, view := range [...]string{"differential", "snapshot"} {
		for _, e := range n.Member(view).AppendElements(nil, "element") {
			if e.MemberText("path") != "Extension.url" {
				continue
			}
			switch fixed := e.Member("fixedUri"); {
			case fixed == nil:
			case fixed.Text() != url:
				add(fixed, "is "+fixed.Text()+"; the extension is "+url+".", "")
				return
			default:
				return
			}
		}
	}
	add(n, "does not fix Extension.url: nothing tells the extension by.", "Add Extension.url with the fixedUri "+url+".")
}

// definitionContexts checks that the elements an extension may stand on exist, and that the rules on its use can be evaluated.
func (w *walk) definitionContexts(n *fhirjson.Node, add func(at *fhirjson.Node, message, next string)) {
	for _, c := range n.AppendElements(nil, "context") {
		path := c.MemberText("expression")
		if c.MemberText("type") != "element" || path == "" || strings.ContainsAny(path, "/#:") {
			continue
		}
		name, _, _ := strings.Cut(path, ".")
		root, ok := w.v.defs.Type(name)
		if !ok {
			add(c, "names "+path+", and there is no type "+name+".", "")
			continue
		}
		d := &definition{w: w, root: root}
		if _, missing, _ := d.types(path); missing != "" {
			add(c, "names "+path+", and "+missing+".", "")
		}
	}
	for _, c := range n.AppendElements(nil, "contextInvariant") {
		if c.Kind() != fhirjson.String || c.Text() == "" {
			continue
		}
		if _, err := fhirpath.Compile(c.Text(), w.v.defs); err != nil {
			add(c, "cannot be evaluated: "+err.Error()+".", "")
		}
	}
}

// stated checks the types that an element of a profile states by more than their code, its binding and its place.
func (d *definition) stated(e *fhirjson.Node, inherited *profile.Element) {
	for _, t := range e.AppendElements(nil, "type") {
		code := t.MemberText("code")
		if code == "" || strings.Contains(code, "/") {
			continue
		}
		if _, ok := d.w.v.defs.Type(code); !ok {
			d.add(finding{rule: ruleDefinitionType, node: t, found: code, message: d.w.name(t) + " is " + code + ", and there is no such type."})
			continue
		}
		for _, p := range t.AppendElements(nil, "profile") {
			if prof, ok := d.w.v.defs.Profile(p.Text()); ok && prof.Type != code && !d.specializes(prof.Type, code) {
				d.add(finding{
					rule: ruleDefinitionType, node: p, expected: "a profile of " + code, found: prof.Type,
					message: d.w.name(p) + " is a profile of " + prof.Type + "; the type is " + code + ".",
				})
			}
		}
		if inherited != nil {
			d.targets(t, code, inherited)
		}
	}
	if inherited != nil {
		d.binding(e, inherited)
	}
}

// targets checks that references lead to what the base lets them lead to.
func (d *definition) targets(t *fhirjson.Node, code string, inherited *profile.Element) {
	i := slices.IndexFunc(inherited.Types, func(have profile.Type) bool { return have.Code == code })
	if i < 0 || len(inherited.Types[i].TargetProfiles) == 0 {
		return
	}
	var allowed []string
	for _, p := range inherited.Types[i].TargetProfiles {
		have, ok := d.w.v.defs.Profile(p)
		if !ok || have.Type == "Resource" || have.Type == "DomainResource" {
			return // anything, or what cannot be told
		}
		allowed = append(allowed, have.Type)
	}
	for _, p := range t.AppendElements(nil, "targetProfile") {
		if prof, ok := d.w.v.defs.Profile(p.Text()); ok && !slices.Contains(allowed, prof.Type) && !slices.ContainsFunc(allowed, func(a string) bool { return d.specializes(prof.Type, a) }) {
			d.add(finding{
				rule: ruleDefinitionType, node: p, expected: strings.Join(allowed, ", "), found: prof.Type,
				message: d.w.name(p) + " is a " + prof.Type + "; the base allows references to " + strings.Join(allowed, ", ") + ".",
			})
		}
	}
}

// binding checks that a required binding stays required.
func (d *definition) binding(e *fhirjson.Node, inherited *profile.Element) {
	b, have := e.Member("binding"), d.w.v.bindingOf(inherited)
	if b == nil || have == nil || have.Strength != profile.Required {
		return
	}
	if s := b.Member("strength"); s != nil && slices.Contains([]string{"example", "preferred", "extensible"}, s.Text()) {
		d.add(finding{
			rule: ruleDefinitionBinding, node: s, expected: "required", found: s.Text(),
			message: d.w.name(s) + " is " + s.Text() + ", and the base requires codes of " + short(have.ValueSet) + ".", next: "A profile can only narrow what it constrains.",
		})
	}
}

// unprepared reports a slice of an element that nothing slices, and a slicing of one that cannot repeat.
func (d *definition) unprepared(e *fhirjson.Node, inherited *profile.Element) {
	name, id := e.MemberText("sliceName"), e.MemberText("id")
	if s := e.Member("slicing"); s != nil {
		d.sliced = append(d.sliced, id)
		if inherited != nil && !inherited.Many && !inherited.Choice && name == "" {
			d.add(finding{
				rule: ruleDefinitionSlicing, node: s, message: d.w.name(s) + " slices " + e.MemberText("path") + ", which does not repeat.",
			})
		}
	}
	bare, ok := strings.CutSuffix(id, ":"+name)
	if name == "" || !ok || strings.Contains(bare, ":") || strings.Contains(name, "/") || d.parent == nil || slices.Contains(d.sliced, bare) {
		return
	}
	of := elementAt(d.parent.Root, e.MemberText("path"))
	if of == nil || of.Slicing != nil || of.Choice || of.Name == "extension" || of.Name == "modifierExtension" {
		return
	}
	d.add(finding{
		rule: ruleDefinitionSlicing, node: e, found: name, message: d.w.name(e) + " is the slice " + name + " of " + e.MemberText("path") + ", and nothing slices that.",
		next: "Add the element with its slicing before its first slice.",
	})
}

// order reports an element of the differential that comes before one it stands behind in the base: tools read them in order.
func (d *definition) order(e *fhirjson.Node) {
	if d.parent == nil || strings.Contains(e.MemberText("id"), ":") || e.Member("sliceName") != nil {
		return
	}
	path := e.MemberText("path")
	at := positionOf(d.parent.Root, path)
	if at == nil {
		return
	}
	if slices.Compare(at, d.last) < 0 {
		d.add(finding{
			rule: ruleDefinitionOrder, node: e, found: path, expected: "before " + d.lastPath,
			message: d.w.name(e) + " is about " + path + ", which comes before " + d.lastPath + " in the base.", next: "List the elements in the order of the base.",
		})
		return
	}
	d.last, d.lastPath = at, path
}

// positionOf is where an element stands among its siblings, from the root down; nil when the base does not spell it out.
func positionOf(root *profile.Element, path string) []int {
	at, e := []int{}, root
	for _, step := range strings.Split(path, ".")[1:] {
		name := strings.TrimSuffix(step, "[x]")
		i := slices.IndexFunc(e.Children, func(c *profile.Element) bool { return c.Name == name && (c.Choice || name == step) })
		if i < 0 {
			return nil
		}
		at, e = append(at, i), e.Children[i]
	}
	return at
}

// operation checks that the profiles of an OperationDefinition are profiles of Parameters.
func (w *walk) operation(n *fhirjson.Node, base *plan) {
	for _, name := range [...]string{"inputProfile", "outputProfile"} {
		c := n.Member(name)
		if c == nil || c.Kind() != fhirjson.String || c.Text() == "" || strings.HasPrefix(c.Text(), "#") {
			continue
		}
		f := finding{rule: ruleOperationProfile, node: c, prof: base.prof, expected: "a profile of Parameters", found: c.Text()}
		switch p, ok := w.v.defs.Profile(c.Text()); {
		case !ok:
			f.message = w.name(c) + " names " + c.Text() + ", which is not at hand."
			f.next = "Load the guide that defines it, or correct the canonical."
		case p.Type != "Parameters":
			f.message, f.found = w.name(c)+" is a profile of "+p.Type+"; an operation takes and gives Parameters.", p.Type
		default:
			continue
		}
		w.add(f)
	}
}

// searchExpression checks that the expression of a SearchParameter can be evaluated on its base types, and that a composite has parts.
func (w *walk) searchExpression(n *fhirjson.Node, base *plan) {
	if n.MemberText("type") == "composite" {
		if parts := len(n.AppendElements(nil, "component")); parts < 2 {
			w.add(finding{
				rule: ruleSearchComponent, node: n, prof: base.prof, expected: "two or more", found: strconv.Itoa(parts),
				message: w.name(n) + " is a composite and has fewer than two components.",
			})
		}
	}
	x := n.Member("expression")
	if x == nil || x.Kind() != fhirjson.String || x.Text() == "" {
		return
	}
	if err := w.compileSearch(n, x.Text()); err != nil {
		w.add(finding{
			rule: ruleSearchExpression, node: x, prof: base.prof, found: brief(x),
			message: w.name(x) + " cannot be evaluated: " + err.Error() + ".",
		})
	}
}
