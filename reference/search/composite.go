package search

import (
	"context"
	"fmt"
	"strings"

	"fhirwire/validators/fhirpath"
	"fhirwire/validators/fhirpath/value"
)

// compositeMark joins the parts of a composite key; it occurs in no code.
const compositeMark = "\x1f"

// composite indexes what the parts of item say together (R4 search 3.1.1.4.12): each combination of their tokens, with and
// without system, so that a query in either form is one key.
func (e *Entries) composite(ctx context.Context, p *Param, item value.Value, env fhirpath.Env) error {
	el, ok := item.(value.Element)
	if !ok {
		return nil
	}
	keys := []string{""}
	for i, expr := range p.parts {
		found, err := expr.Eval(ctx, el.Node, env)
		if err != nil {
			return fmt.Errorf("part %d: %w", i+1, err)
		}
		var next []string
		for _, v := range found {
			for _, form := range tokenForms(v) {
				for _, k := range keys {
					if i > 0 {
						k += compositeMark
					}
					next = append(next, k+form)
				}
			}
		}
		keys = next
	}
	for _, k := range keys {
		e.term(p.ID, k, ImplicitSystem)
	}
	return nil
}

// tokenForms are the ways to ask for a part. A reference is asked for as Type/id or by its identifier: profiles of Group put one
// where R4 has a code.
func tokenForms(v value.Value) []string {
	el, ok := v.(value.Element)
	if !ok {
		return []string{v.String(), "|" + v.String()}
	}
	var into Entries
	into.token(0, el)
	if el.FHIRType == "Reference" {
		if id := el.Node.Member("identifier"); id != nil {
			into.term(0, id.MemberText("value"), id.MemberText("system"))
		}
		if ref := el.Node.MemberText("reference"); ref != "" {
			into.term(0, ref, ImplicitSystem)
		}
	}
	var out []string
	for _, t := range into.Terms {
		out = append(out, t.Key)
		if t.Qualifier == ImplicitSystem {
			t.Qualifier = ""
		}
		out = append(out, t.Qualifier+"|"+t.Key)
	}
	return out
}

// compositeValue reads "part$part".
func compositeValue(p *Param, name, v string) (Alternative, error) {
	parts := split(v, '$')
	if len(parts) != len(p.parts) {
		return Alternative{}, invalid(name, "%q has %d parts, want %d joined by $", v, len(parts), len(p.parts))
	}
	keys := make([]string, len(parts))
	for i, part := range parts {
		t := token(part)
		switch {
		case t.Key == "":
			return Alternative{}, invalid(name, "part %d of %q is no [system|]code", i+1, v)
		case t.Qualified:
			keys[i] = t.Qualifier + "|" + t.Key
		default:
			keys[i] = t.Key
		}
	}
	return Alternative{Key: cut(strings.Join(keys, compositeMark))}, nil
}
