package ig

import "strings"

// SearchParam is a search parameter.
type SearchParam struct {
	URL, Version, Name, Code string
	Base                     []string
	Type                     string // number, date, string, token, reference, composite, quantity, uri, special
	Expression               string
	Target                   []string
	Comparators              []string
	Modifiers                []string
	Chain                    []string
	MultipleOr, MultipleAnd  Flag
	Components               []SearchComponent
	// Package is the id of the package it came from.
	Package string
}

// SearchComponent is one part of a composite parameter.
type SearchComponent struct{ Definition, Expression string }

// SearchParameter decodes a SearchParameter.
func (r *Resource) SearchParameter() (*SearchParam, error) {
	root, done, err := r.decode("SearchParameter")
	if err != nil {
		return nil, err
	}
	defer done()
	d := &decoder{file: r.File, strings: map[string]string{}}
	p := &SearchParam{
		URL: r.URL, Version: r.Version, Name: r.Name, Code: r.Of, Base: strings.Fields(r.Base), Type: d.text(root, "type"),
		Expression: d.text(root, "expression"), Target: d.texts(root, "target"), Comparators: d.texts(root, "comparator"),
		Modifiers: d.texts(root, "modifier"), Chain: d.texts(root, "chain"),
		MultipleOr: d.flag(root, "multipleOr"), MultipleAnd: d.flag(root, "multipleAnd"),
	}
	for c := first(root.Member("component")); c != nil; c = c.Next() {
		p.Components = append(p.Components, SearchComponent{d.text(c, "definition"), d.text(c, "expression")})
	}
	return p, nil
}
