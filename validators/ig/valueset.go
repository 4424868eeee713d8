package ig

import (
	"fmt"

	"fhirwire/validators/fhirjson"
)

// ValueSet is a value set's definition.
type ValueSet struct {
	URL, Version, Name string
	Include, Exclude   []Include
	// ActiveOnly leaves out codes that their systems call inactive.
	ActiveOnly bool
	// Expansion holds the codes of a value set that is published with its expansion only.
	Expansion []Coded
	// HasExpansion tells an empty expansion from none.
	HasExpansion bool
}

// Include is one of compose.include or compose.exclude.
type Include struct {
	System, Version string
	Concepts        []Coded
	Filters         []Filter
	ValueSets       []string
}

// Coded is a code of a system.
type Coded struct{ System, Code, Display string }

// Filter selects the concepts of a system by a property.
type Filter struct{ Property, Op, Value string }

// CodeSystem is a code system and those of its concepts that are published.
type CodeSystem struct {
	URL, Version, Name string
	// Content is complete, fragment, example, not-present or supplement.
	Content         string
	Supplements     string
	CaseInsensitive bool
	// HierarchyMeaning is is-a unless it says otherwise.
	HierarchyMeaning string
	// Concepts are in order, a parent before its children.
	Concepts []Concept
}

// Concept is a concept in a code system.
type Concept struct {
	Code, Display string
	// Parent is the index of the concept it is nested in, -1 at the top.
	Parent     int
	Properties []Property
}

// Property is one property of a concept, its value as text.
type Property struct{ Code, Value string }

// ValueSet decodes a ValueSet.
func (r *Resource) ValueSet() (*ValueSet, error) {
	root, done, err := r.decode("ValueSet")
	if err != nil {
		return nil, err
	}
	defer done()
	d := &decoder{file: r.File, strings: map[string]string{}}
	vs := &ValueSet{URL: r.URL, Version: r.Version, Name: r.Name}
	compose := root.Member("compose")
	vs.Include = d.includes(compose.Member("include"))
	vs.Exclude = d.includes(compose.Member("exclude"))
	vs.ActiveOnly = compose.MemberText("inactive") == "false"
	if x := root.Member("expansion"); x != nil && compose == nil {
		vs.HasExpansion = true
		d.contains(&vs.Expansion, x.Member("contains"), 0)
	}
	return vs, nil
}

func (d *decoder) includes(list *fhirjson.Node) []Include {
	var out []Include
	for n := first(list); n != nil; n = n.Next() {
		inc := Include{System: d.text(n, "system"), Version: d.text(n, "version"), ValueSets: d.texts(n, "valueSet")}
		for c := first(n.Member("concept")); c != nil; c = c.Next() {
			inc.Concepts = append(inc.Concepts, Coded{Code: d.text(c, "code"), Display: d.text(c, "display")})
		}
		for f := first(n.Member("filter")); f != nil; f = f.Next() {
			inc.Filters = append(inc.Filters, Filter{d.text(f, "property"), d.text(f, "op"), d.text(f, "value")})
		}
		out = append(out, inc)
	}
	return out
}

func (d *decoder) contains(to *[]Coded, list *fhirjson.Node, depth int) {
	for n := first(list); n != nil && depth < 100; n = n.Next() {
		if code := d.text(n, "code"); code != "" && n.MemberText("abstract") != "true" {
			*to = append(*to, Coded{d.text(n, "system"), code, d.text(n, "display")})
		}
		d.contains(to, n.Member("contains"), depth+1)
	}
}

// CodeSystem decodes a CodeSystem.
func (r *Resource) CodeSystem() (*CodeSystem, error) {
	root, done, err := r.decode("CodeSystem")
	if err != nil {
		return nil, err
	}
	defer done()
	d := &decoder{file: r.File, strings: map[string]string{}}
	cs := &CodeSystem{
		URL: r.URL, Version: r.Version, Name: r.Name, Content: d.text(root, "content"), Supplements: d.text(root, "supplements"),
		CaseInsensitive: root.MemberText("caseSensitive") == "false", HierarchyMeaning: d.text(root, "hierarchyMeaning"),
	}
	if cs.Content == "" {
		return nil, fmt.Errorf("%s: CodeSystem.content is missing", r.File)
	}
	d.concepts(cs, root.Member("concept"), -1)
	return cs, nil
}

func (d *decoder) concepts(cs *CodeSystem, list *fhirjson.Node, parent int) {
	for n := first(list); n != nil; n = n.Next() {
		c := Concept{Code: d.text(n, "code"), Display: d.text(n, "display"), Parent: parent}
		for p := first(n.Member("property")); p != nil; p = p.Next() {
			v := d.extensionText(p)
			if c := p.Member("valueCoding"); c != nil {
				v = d.text(c, "code")
			}
			c.Properties = append(c.Properties, Property{d.text(p, "code"), v})
		}
		cs.Concepts = append(cs.Concepts, c)
		d.concepts(cs, n.Member("concept"), len(cs.Concepts)-1)
	}
}
