package main

import (
	"fmt"

	"fhirwire/validators/ig"
)

// terms is the value sets and code systems that something refers to, by url.
type terms map[string]bool

// neededTerms follows bindings to value sets, and value sets to what they include, over all packages but the shared
// terminology itself, which is far larger than what any guide uses of it.
func neededTerms(packages []*ig.Package) (terms, error) {
	needed := terms{}
	sets := map[string][]*ig.Resource{}
	var open []string
	want := func(canonical string) {
		if url, _ := ig.SplitCanonical(canonical); url != "" && !needed[url] {
			needed[url] = true
			open = append(open, url)
		}
	}
	for _, p := range packages {
		for _, r := range p.Resources {
			switch r.ResourceType {
			case "ValueSet":
				sets[r.URL] = append(sets[r.URL], r)
				if p.Name != terminologyPackage {
					want(r.URL)
				}
			case "StructureDefinition":
				if p.Name == terminologyPackage {
					continue
				}
				sd, err := r.Structure()
				if err != nil {
					return nil, fmt.Errorf("package %s: %w", p.ID(), err)
				}
				for _, list := range [...][]ig.ElementDefinition{sd.Snapshot, sd.Differential} {
					for i := range list {
						if b := list[i].Binding; b != nil {
							want(b.ValueSet)
							want(b.MaxValueSet)
						}
						for _, v := range [...]ig.Value{list[i].Fixed, list[i].Pattern} {
							if v.Node != nil {
								want(v.Node.MemberText("system"))
							}
						}
					}
				}
			}
		}
	}
	for len(open) > 0 {
		url := open[len(open)-1]
		open = open[:len(open)-1]
		for _, r := range sets[url] {
			vs, err := r.ValueSet()
			if err != nil {
				return nil, err
			}
			for _, list := range [...][]ig.Include{vs.Include, vs.Exclude} {
				for i := range list {
					want(list[i].System)
					for _, v := range list[i].ValueSets {
						want(v)
					}
				}
			}
			for _, c := range vs.Expansion {
				want(c.System)
			}
		}
	}
	return needed, nil
}

// only keeps the terminology that is needed, and everything else.
func (t terms) only(list []*ig.Resource) []*ig.Resource {
	var out []*ig.Resource
	for _, r := range list {
		switch r.ResourceType {
		case "ValueSet":
			if !t[r.URL] {
				continue
			}
		case "CodeSystem":
			if system, _ := ig.SplitCanonical(r.Of); !t[r.URL] && (system == "" || !t[system]) {
				continue
			}
		}
		out = append(out, r)
	}
	return out
}
