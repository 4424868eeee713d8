package fhirpath

import (
	"fmt"
	"slices"
	"strings"

	"fhirwire/validators/fhirpath/value"
)

// Utilities and types: FHIRPath N1, 5.9 and 6.3, and later additions.
var utilityFunctions = map[string]*function{
	"trace": {min: 1, max: 2, do: funcTrace, lambda: true, gives: asInput},
	"now": {do: func(s *state, _ *frame, _ *call, _, dst []item) ([]item, error) {
		t, err := s.now()
		return append(dst, item{val: t}), err
	}, gives: isDateTime},
	"today": {do: func(s *state, _ *frame, _ *call, _, dst []item) ([]item, error) {
		t, err := s.now()
		return append(dst, item{val: t.Date()}), err
	}, gives: isDate},
	"timeOfDay": {do: func(s *state, _ *frame, _ *call, _, dst []item) ([]item, error) {
		t, err := s.now()
		return append(dst, item{val: t.Time()}), err
	}, gives: isTime},
	"type":           {do: funcType, gives: isAny},
	"defineVariable": {min: 1, max: 2, do: funcDefineVariable, gives: asInput},
}

func (s *state) now() (value.DateTime, error) {
	if s.env.Now == nil {
		return value.DateTime{}, fmt.Errorf("%w: there is no clock", ErrNotChecked)
	}
	return value.Instant(s.env.Now()), nil
}

func funcTrace(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	name, err := c.value(s, f, 0)
	if err != nil {
		return dst, err
	}
	if s.env.Trace != nil {
		shown := in
		if len(c.args) == 2 {
			shown = s.get()
			for i := range in {
				if shown, err = s.project(f, c.args[1], in, i, shown); err != nil {
					return dst, err
				}
			}
		}
		label := ""
		if name != nil {
			label = name.String()
		}
		s.env.Trace(label, s.export(shown))
	}
	return append(dst, in...), nil
}

func funcType(s *state, _ *frame, _ *call, in, dst []item) ([]item, error) {
	for i := range in {
		it := &in[i]
		info := value.TypeInfo{Namespace: "System"}
		switch {
		case it.node == nil:
			info.Name = it.val.Type()
		case it.typ == nil:
			info = value.TypeInfo{Namespace: "FHIR", Name: it.node.ResourceType()}
			if info.Name == "" {
				return dst, fmt.Errorf("%w: the type of %s is not known", ErrNotChecked, it.node.Expression())
			}
		default:
			t := it.typ
			for strings.Contains(t.Name, ".") && t.Base != nil {
				t = t.Base // a backbone element
			}
			info = value.TypeInfo{Namespace: "FHIR", Name: t.Name}
		}
		dst = append(dst, item{val: info})
	}
	return dst, nil
}

func funcDefineVariable(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	v, err := c.value(s, f, 0)
	if err != nil {
		return dst, err
	}
	name, ok := v.(value.String)
	if !ok || name == "" {
		return dst, fmt.Errorf("the name of a variable is a string")
	}
	_, constant := externals[string(name)]
	if _, given := s.env.Vars[string(name)]; given || constant || name == "resource" || name == "rootResource" || name == "context" {
		return dst, fmt.Errorf("%%%s is defined already", name)
	}
	for b := f.vars; b != nil; b = b.outer {
		if b.name == string(name) {
			return dst, fmt.Errorf("%%%s is defined already", name)
		}
	}
	items := slices.Clone(in)
	if len(c.args) == 2 {
		l := s.lambda(f)
		if c.input != nil {
			l.this, l.hasThis, l.many = item{}, false, items
		}
		items, err = c.args[1].eval(s, l, nil)
		s.drop(l)
		if err != nil {
			return dst, err
		}
	}
	f.vars = &binding{name: string(name), items: items, outer: f.vars}
	return append(dst, in...), nil
}

func funcSort(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	type entry struct {
		it   item
		keys []value.Value
	}
	list := make([]entry, len(in))
	for i := range in {
		e := entry{it: in[i]}
		if len(c.args) == 0 {
			v, err := s.system(&in[i])
			if err != nil {
				return dst, err
			}
			e.keys = []value.Value{v}
		}
		for _, a := range c.args {
			b, err := s.project(f, a, in, i, s.get())
			var v value.Value
			if err == nil {
				v, err = s.singleOf(b)
			}
			s.put(b)
			if err != nil {
				return dst, err
			}
			e.keys = append(e.keys, v)
		}
		list[i] = e
	}
	var fault error
	slices.SortStableFunc(list, func(a, b entry) int {
		for k := range a.keys {
			order, err := compareKeys(a.keys[k], b.keys[k])
			if err != nil {
				fault = err
			}
			if c.descending&(1<<k) != 0 {
				order = -order
			}
			if order != 0 {
				return order
			}
		}
		return 0
	})
	for _, e := range list {
		dst = append(dst, e.it)
	}
	return dst, fault
}

// compareKeys puts what is missing behind everything else.
func compareKeys(a, b value.Value) (int, error) {
	switch {
	case a == nil && b == nil:
		return 0, nil
	case a == nil:
		return 1, nil
	case b == nil:
		return -1, nil
	}
	order, _, err := value.Compare(a, b)
	return order, err
}
