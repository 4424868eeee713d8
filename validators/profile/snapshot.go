package profile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"fhirwire/validators/ig"
)

// snapshot is the definition with its snapshot: the published one, or else one generated from its base and its differential.
// trail is the definitions that are waiting for this one.
func (c *Catalog) snapshot(d *definition, trail []*definition) (*ig.StructureDefinition, error) {
	d.snapshotMu.Lock()
	sd := d.structure
	d.snapshotMu.Unlock()
	if sd != nil {
		return sd, nil
	}
	sd, err := d.Structure()
	if err != nil {
		return nil, err
	}
	if len(sd.Snapshot) > 0 {
		return sd, nil
	}
	if sd.Snapshot, err = c.generate(sd, d, trail); err != nil {
		return nil, fmt.Errorf("%s: %w", d.File, err)
	}
	d.snapshotMu.Lock()
	d.structure = sd // a published snapshot is as easily read again, a generated one is dear
	d.snapshotMu.Unlock()
	return sd, nil
}

// ErrMissing is wrapped where a definition builds on one that is not at hand. Such a definition is not broken; it cannot be
// used until the missing package is added.
var ErrMissing = errors.New("it is not at hand")

// FillSnapshots gives the structures of a package in the catalog that lack one a snapshot, but for those that build on what is
// not at hand. The package's resources are replaced. The structures with an id in rebuild get a new one although they are
// published with a snapshot: theirs cannot be used.
func (c *Catalog) FillSnapshots(p *ig.Package, rebuild ...string) error {
	s := c.byID[p.ID()]
	if s == nil {
		return fmt.Errorf("package %s: not at hand", p.ID())
	}
	for i, d := range s.list {
		if d.ResourceType != "StructureDefinition" {
			continue
		}
		if slices.Contains(rebuild, d.ID) {
			if err := d.forgetSnapshot(); err != nil {
				return err
			}
		}
		sd, err := c.snapshot(d, nil)
		if errors.Is(err, ErrMissing) {
			continue
		}
		if err != nil {
			return fmt.Errorf("package %s: %w", p.ID(), err)
		}
		if d.structure != nil {
			p.Resources[i] = d.WithJSON(sd.AppendFacts(nil))
		}
	}
	return nil
}

// forgetSnapshot leaves the definition with its differential only.
func (d *definition) forgetSnapshot() error {
	sd, err := d.Structure()
	if err != nil {
		return err
	}
	sd.Snapshot = nil
	d.Resource = d.WithJSON(sd.AppendFacts(nil))
	return nil
}

// Regenerate makes a snapshot from the differential of a definition even where it is published with one. It is for comparing
// the two.
func (c *Catalog) Regenerate(id, url string) (published, generated []ig.ElementDefinition, err error) {
	s := c.byID[id]
	if s == nil {
		return nil, nil, fmt.Errorf("package %s: not at hand", id)
	}
	for _, d := range s.list {
		if d.ResourceType != "StructureDefinition" || d.URL != url {
			continue
		}
		sd, err := d.Structure()
		if err != nil {
			return nil, nil, err
		}
		generated, err = c.generate(sd, d, nil)
		return sd.Snapshot, generated, err
	}
	return nil, nil, fmt.Errorf("package %s: it does not define %s", id, url)
}

// node is an element while a snapshot is made. Paths and ids are written when the tree is flattened.
type node struct {
	ed   ig.ElementDefinition
	name string // last step of the path, with [x]
	// children is nil when the content is that of the type.
	children []*node
	// slices are in order, re-slices behind their slice.
	slices []*node
	// base is the node as it was before the differential, for new slices to start from.
	base *node
	// narrowed: the choice has only the types that renamed paths gave it; choice: the one that such a slice belongs to.
	narrowed bool
	choice   *node
}

func (n *node) copy() *node {
	m := *n
	m.base, m.choice = nil, nil
	m.ed.Constraints = slices.Clone(n.ed.Constraints)
	m.children = copyNodes(n.children)
	m.slices = copyNodes(n.slices)
	return &m
}

func copyNodes(list []*node) []*node {
	if list == nil {
		return nil
	}
	out := make([]*node, len(list))
	for i, n := range list {
		out[i] = n.copy()
	}
	return out
}

func (n *node) child(name string) *node {
	for _, c := range n.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

func (n *node) slice(name string) *node {
	for _, s := range n.slices {
		if s.ed.SliceName == name {
			return s
		}
	}
	return nil
}

// generator makes one snapshot.
type generator struct {
	catalog *Catalog
	def     *definition
	trail   []*definition
	root    *node
	// original is the base's tree, which contentReference looks in.
	original *node
	// grow allows elements that the base does not have: the definition is a new type.
	grow bool
}

func (c *Catalog) generate(sd *ig.StructureDefinition, d *definition, trail []*definition) ([]ig.ElementDefinition, error) {
	if slices.Contains(trail, d) {
		return nil, fmt.Errorf("%s builds on itself", d.URL)
	}
	g := &generator{catalog: c, def: d, trail: append(slices.Clone(trail), d), grow: sd.Derivation != "constraint"}
	var base *ig.StructureDefinition
	if sd.Base == "" {
		base = &ig.StructureDefinition{Snapshot: []ig.ElementDefinition{{ID: sd.Type, Path: sd.Type, Max: "*"}}}
	} else {
		bd := c.resolve(c.structures, sd.Base, d.shelf)
		if bd == nil {
			return nil, fmt.Errorf("its base %s: %w", sd.Base, ErrMissing)
		}
		var err error
		if base, err = c.snapshot(bd, g.trail); err != nil {
			return nil, fmt.Errorf("its base: %w", err)
		}
	}
	g.root = treeOf(base.Snapshot)
	if g.root == nil {
		return nil, fmt.Errorf("its base %s has no elements", sd.Base)
	}
	if g.grow {
		g.root.name = sd.Type
		if i := strings.LastIndexByte(sd.Type, '/'); i >= 0 { // a logical model's type may be a url
			g.root.name = sd.Type[i+1:]
		}
		if len(sd.Differential) > 0 {
			g.root.name, _, _ = strings.Cut(sd.Differential[0].Path, ".")
		}
	}
	if !g.grow {
		g.root.referToType()
	}
	g.original = g.root.copy()
	at := &cursor{}
	for i := range sd.Differential {
		ed := &sd.Differential[i]
		if err := g.apply(ed, at); err != nil {
			return nil, fmt.Errorf("element %s: %w", ed.ID, err)
		}
	}
	return flatten(nil, g.root, "", ""), nil
}

// treeOf builds the tree of a snapshot, by order and path.
func treeOf(list []ig.ElementDefinition) *node {
	type open struct {
		path string
		n    *node
	}
	var stack []open
	var root *node
	for i := range list {
		ed := list[i]
		n := &node{ed: ed, name: ed.Path[strings.LastIndexByte(ed.Path, '.')+1:]}
		if root == nil {
			root = n
			stack = []open{{ed.Path, n}}
			continue
		}
		dot := strings.LastIndexByte(ed.Path, '.')
		if dot < 0 {
			continue
		}
		for len(stack) > 1 && stack[len(stack)-1].path != ed.Path[:dot] {
			stack = stack[:len(stack)-1]
		}
		parent := stack[len(stack)-1].n
		if sliced := parent.child(n.name); sliced != nil {
			sliced.slices = append(sliced.slices, n)
		} else {
			parent.children = append(parent.children, n)
		}
		stack = append(stack, open{ed.Path, n})
	}
	return root
}

func flatten(out []ig.ElementDefinition, n *node, path, id string) []ig.ElementDefinition {
	ed := n.ed
	step := n.name
	if ed.SliceName != "" {
		step += ":" + ed.SliceName
	}
	if path == "" {
		ed.Path, ed.ID = n.name, n.name
	} else {
		ed.Path, ed.ID = path+"."+n.name, id+"."+step
	}
	if ed.BaseMax == "" {
		ed.BaseMax = ed.Max
	}
	out = append(out, ed)
	for _, c := range n.children {
		out = flatten(out, c, ed.Path, ed.ID)
	}
	for _, s := range n.slices {
		out = flatten(out, s, path, id)
	}
	return out
}

// cursor is where the differential has come to: the nodes of the path applied last, for elements whose id does not say which
// slice they are in.
type cursor struct {
	path  []string
	nodes []*node
}

// apply finds or makes the node that ed is about and merges it.
func (g *generator) apply(ed *ig.ElementDefinition, at *cursor) error {
	steps := strings.Split(ed.Path, ".")
	ids := strings.Split(ed.ID, ".")
	if len(ids) != len(steps) || !strings.Contains(ed.ID, ":") {
		ids = nil // no id, or one that says no more than the path: the order tells which slice is meant
	}
	if steps[0] != g.root.name {
		return fmt.Errorf("the path does not start with %s", g.root.name)
	}
	n := g.root
	now := cursor{path: steps, nodes: []*node{g.root}}
	for i := 1; i < len(steps); i++ {
		last := i == len(steps)-1
		name, sliceName := steps[i], ""
		switch {
		case ids != nil:
			_, sliceName, _ = strings.Cut(ids[i], ":")
		case last:
			sliceName = ed.SliceName
		}
		if !last && sliceName == "" && ids == nil && i < len(at.nodes) && slices.Equal(at.path[:i+1], steps[:i+1]) {
			n = at.nodes[i] // the slice we are in
			now.nodes = append(now.nodes, n)
			continue
		}
		if last && ed.SliceName != "" {
			sliceName = ed.SliceName
		}
		next, err := g.step(n, name, sliceName)
		if err != nil {
			return err
		}
		n = next
		now.nodes = append(now.nodes, n)
	}
	*at = now
	return g.merge(n, ed)
}

// step goes to a child, or to a slice of it, making what is not there yet.
func (g *generator) step(n *node, name, sliceName string) (*node, error) {
	if err := g.expand(n); err != nil {
		return nil, err
	}
	c := n.child(name)
	if c == nil {
		if choice := g.choiceOf(n, name); choice != nil { // Observation.valueQuantity means value[x]:valueQuantity
			if sliceName == "" {
				sliceName = name
			}
			return g.renamedSlice(choice, name, sliceName), nil
		}
		if !g.grow {
			return nil, fmt.Errorf("there is no element %s in its base", name)
		}
		c = &node{name: name, ed: ig.ElementDefinition{Max: "1"}}
		if element := g.catalog.typeDefinition("Element"); element != nil && element != g.def {
			sd, err := g.catalog.snapshot(element, g.trail)
			if err != nil {
				return nil, err
			}
			c.ed.Constraints = slices.Clone(sd.Snapshot[0].Constraints)
		}
		n.children = append(n.children, c)
	}
	if sliceName == "" {
		return c, nil
	}
	s := g.sliceOf(c, sliceName)
	if stem, ok := strings.CutSuffix(c.name, "[x]"); ok && len(s.ed.Types) > 1 && strings.HasPrefix(sliceName, stem) {
		if typ := g.catalog.typeBySuffix(sliceName[len(stem):]); typ != "" {
			s.ed.Types = typeNamed(s.ed.Types, typ)
		}
	}
	return s, nil
}

// renamedSlice is the slice of a choice that a renamed path means. Without a slicing of its own such a path also narrows the
// choice to the types that the differential names this way.
func (g *generator) renamedSlice(choice *node, name, sliceName string) *node {
	if choice.base == nil {
		choice.base = choice.copy()
	}
	typ := g.catalog.typeBySuffix(strings.TrimPrefix(name, strings.TrimSuffix(choice.name, "[x]")))
	if choice.ed.Slicing == nil {
		choice.ed.Slicing = &ig.Slicing{Discriminators: []ig.Discriminator{{Type: "type", Path: "$this"}}, Rules: "closed"}
		choice.narrowed = true
		choice.ed.Types = nil
	}
	if choice.narrowed && !slices.ContainsFunc(choice.ed.Types, func(t ig.Type) bool { return t.Code == typ }) {
		choice.ed.Types = append(choice.ed.Types, typeNamed(choice.base.ed.Types, typ)...)
	}
	s := g.sliceOf(choice, sliceName)
	if len(s.ed.Types) != 1 {
		s.ed.Types = typeNamed(s.ed.Types, typ)
	}
	return s
}

// typeNamed keeps the type with that code, with its profiles.
func typeNamed(list []ig.Type, code string) []ig.Type {
	for _, t := range list {
		if t.Code == code {
			return []ig.Type{t}
		}
	}
	return []ig.Type{{Code: code}}
}

// choiceOf finds the choice element that name is a renaming of.
func (g *generator) choiceOf(n *node, name string) *node {
	for _, c := range n.children {
		stem, ok := strings.CutSuffix(c.name, "[x]")
		if ok && len(name) > len(stem) && strings.HasPrefix(name, stem) && g.catalog.typeBySuffix(name[len(stem):]) != "" {
			return c
		}
	}
	return nil
}

// sliceOf finds a slice by name or makes it from the element as the base has it.
func (g *generator) sliceOf(sliced *node, name string) *node {
	if s := sliced.slice(name); s != nil {
		return s
	}
	from := sliced
	if sliced.base != nil {
		from = sliced.base
	}
	at := len(sliced.slices)
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		if parent := sliced.slice(name[:i]); parent != nil {
			from = parent
			at = slices.Index(sliced.slices, parent) + 1
			for at < len(sliced.slices) && strings.HasPrefix(sliced.slices[at].ed.SliceName, name[:i]+"/") {
				at++
			}
		}
	}
	s := from.copy()
	s.slices = nil
	s.ed.SliceName, s.ed.Slicing = name, nil
	s.ed.Min = 0
	if strings.HasSuffix(sliced.name, "[x]") {
		s.choice = sliced
	}
	if sliced.ed.Slicing == nil && (sliced.name == "extension" || sliced.name == "modifierExtension") {
		sliced.ed.Slicing = &ig.Slicing{Discriminators: []ig.Discriminator{{Type: "value", Path: "url"}}, Rules: "open"}
	}
	sliced.slices = slices.Insert(sliced.slices, at, s)
	return s
}

// expand spells out the children of n: those of the element it refers to, of its one profile, or of its type.
func (g *generator) expand(n *node) error {
	if n.children != nil {
		return nil
	}
	if n.ed.ContentReference != "" {
		to, err := g.referred(n.ed.ContentReference)
		if err != nil {
			return err
		}
		if to == nil {
			return fmt.Errorf("contentReference %s leads nowhere", n.ed.ContentReference)
		}
		n.ed.ContentReference, n.ed.Types = "", to.ed.Types
		n.children = copyNodes(to.children)
		return nil
	}
	sd, err := g.contentOf(n)
	if err != nil || sd == nil {
		return err
	}
	tree := treeOf(sd.Snapshot)
	n.children = tree.children
	if n.children == nil {
		n.children = []*node{}
	}
	return nil
}

// referToType makes the contentReferences of a type full URLs: what a profile says about an element does not hold where the
// type repeats it.
func (n *node) referToType() {
	if ref := n.ed.ContentReference; strings.HasPrefix(ref, "#") && !strings.Contains(ref, ":") {
		typeName, _, _ := strings.Cut(ref[1:], ".")
		n.ed.ContentReference = typePrefix + typeName + ref
	}
	for _, c := range n.children {
		c.referToType()
	}
	for _, s := range n.slices {
		s.referToType()
	}
}

// referred is the element that a contentReference means, nil when there is none.
func (g *generator) referred(ref string) (*node, error) {
	url, id, _ := strings.Cut(ref, "#")
	tree := g.original
	if d := g.catalog.resolve(g.catalog.structures, url, g.def.shelf); url != "" && d != nil {
		sd, err := g.catalog.snapshot(d, g.trail)
		if err != nil {
			return nil, err
		}
		tree = treeOf(sd.Snapshot)
	}
	return find(tree, strings.Split(id, ".")[1:]), nil
}

func find(n *node, steps []string) *node {
	for _, s := range steps {
		name, slice, _ := strings.Cut(s, ":")
		if n = n.child(name); n == nil {
			return nil
		}
		if slice != "" {
			if n = n.slice(slice); n == nil {
				return nil
			}
		}
	}
	return n
}

// contentOf is the definition whose elements are the children of n; nil for an element that is to get its own.
func (g *generator) contentOf(n *node) (*ig.StructureDefinition, error) {
	c := g.catalog
	code := "Element"
	var d *definition
	switch len(n.ed.Types) {
	case 0:
		if g.grow {
			return nil, nil //nolint:nilnil // a new element of a new type
		}
	case 1:
		t := &n.ed.Types[0]
		code = t.Code
		if name, ok := strings.CutPrefix(code, systemPrefix); ok {
			code = fhirName(name, t.FHIRType)
		}
		if len(t.Profiles) == 1 {
			if d = c.resolve(c.structures, t.Profiles[0], g.def.shelf); d == nil {
				return nil, fmt.Errorf("the profile %s of its type: %w", t.Profiles[0], ErrMissing)
			}
			if slices.Contains(g.trail, d) {
				d = nil // a definition that contains itself: its type will do
			}
		}
	default:
		if code = n.ed.Types[0].Code; slices.ContainsFunc(n.ed.Types, func(t ig.Type) bool { return t.Code != code }) {
			code = "Element"
		}
	}
	if d == nil {
		if d = c.typeDefinition(code); d == nil {
			return nil, fmt.Errorf("type %q is not known", code)
		}
	}
	return c.snapshot(d, g.trail)
}
