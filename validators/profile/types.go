package profile

import (
	"strings"

	"fhirwire/validators/fhirpath"
)

// Type finds a FHIR type by its name ("Patient", "HumanName", "string") or a backbone element's path ("Patient.contact").
func (s *Set) Type(name string) (*fhirpath.Type, bool) {
	t := s.catalog.fhirType(name)
	return t, t != nil
}

// fhirType is the one Type of that name, made at the first call.
func (c *Catalog) fhirType(name string) *fhirpath.Type {
	c.typesMu.Lock()
	t, ok := c.types[name]
	c.typesMu.Unlock()
	if ok {
		return t
	}
	name = strings.Clone(name) // it may share memory with an instance
	t = c.newType(name)
	if t == nil {
		return nil
	}
	c.typesMu.Lock()
	defer c.typesMu.Unlock()
	if first, ok := c.types[name]; ok {
		return first
	}
	c.types[name] = t
	return t
}

func (c *Catalog) newType(name string) *fhirpath.Type {
	if root, _, nested := strings.Cut(name, "."); nested {
		p, ok := c.base(root)
		if !ok {
			return nil
		}
		e := elementAt(p.Root, name)
		if e == nil || len(e.Children) == 0 || len(e.Types) != 1 {
			return nil
		}
		return fhirpath.NewType(strings.Clone(name), fhirpath.ComplexType, c.fhirType(e.Types[0].Code), func() []fhirpath.Element {
			return c.typeElements(e)
		})
	}
	d := c.typeDefinition(name)
	if d == nil {
		return nil
	}
	kind := fhirpath.ComplexType
	switch kindOf(d.Kind) {
	case PrimitiveType:
		kind = fhirpath.PrimitiveType
	case Resource:
		kind = fhirpath.ResourceType
	case ComplexType, Logical:
	}
	var base *fhirpath.Type
	if b, ok := strings.CutPrefix(d.Base, typePrefix); ok {
		base = c.fhirType(b)
	}
	return fhirpath.NewType(d.Of, kind, base, func() []fhirpath.Element {
		p, err := c.compiled(d)
		if err != nil {
			return nil
		}
		return c.typeElements(p.Root)
	})
}

func elementAt(e *Element, path string) *Element {
	for e != nil && e.Path != path {
		var next *Element
		for _, c := range e.Children {
			if path == c.Path || strings.HasPrefix(path, c.Path) && path[len(c.Path)] == '.' {
				next = c
				break
			}
		}
		e = next
	}
	return e
}

func (c *Catalog) typeElements(parent *Element) []fhirpath.Element {
	primitive := !strings.Contains(parent.Path, ".") && parent.Regex != "" || parent.Path == "xhtml"
	out := make([]fhirpath.Element, 0, len(parent.Children))
	for _, e := range parent.Children {
		if e.Name == "value" && (primitive || isPrimitive(c, parent.Path)) {
			continue // the JSON value itself, no element
		}
		fe := fhirpath.Element{Name: e.Name, Choice: e.Choice, Many: e.Many}
		switch {
		case e.ContentReference != nil:
			if t := c.fhirType(e.ContentReference.Path); t != nil {
				fe.Types = []*fhirpath.Type{t}
			}
		case len(e.Children) > 0:
			if t := c.fhirType(e.Path); t != nil {
				fe.Types = []*fhirpath.Type{t}
			}
		default:
			for i := range e.Types {
				if t := c.fhirType(e.Types[i].Code); t != nil {
					fe.Types = append(fe.Types, t)
				}
			}
		}
		out = append(out, fe)
	}
	return out
}

func isPrimitive(c *Catalog, typeName string) bool {
	d := c.typeDefinition(typeName)
	return d != nil && d.Kind == "primitive-type"
}
