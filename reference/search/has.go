package search

import (
	"fmt"
	"slices"
	"strings"
)

// maxHas bounds how deep _has can be nested: each level multiplies what is looked at.
const maxHas = 4

// has reads "_has:Type:reference:parameter", R4 search 3.1.1.5.4; the parameter may be another _has or a chain.
func (p *parser) has(typ, name, rest, v string) (c Clause, used bool, err error) {
	parts := strings.SplitN(rest, ":", 3)
	if len(parts) != 3 || slices.Contains(parts, "") {
		return c, false, invalid(name, "want _has:Type:reference:parameter")
	}
	if strings.Count(name, "_has:") > maxHas {
		return c, false, &Error{Name: name, Code: "too-costly", Message: fmt.Sprintf("is nested more than %d times", maxHas)}
	}
	source, code, inner := parts[0], parts[1], parts[2]
	if !p.reg.Serves(source) {
		return c, false, p.ignore(name, fmt.Sprintf("resource type %q is not served", source))
	}
	param, ok := p.reg.Param(source, code)
	if !ok || param.Kind != Reference {
		return c, false, p.ignore(name, fmt.Sprintf("%s has no reference parameter %q", source, code))
	}
	if len(param.Targets) > 0 && !slices.Contains(param.Targets, typ) {
		return c, false, p.ignore(name, fmt.Sprintf("%s of %s does not refer to %s", code, source, typ))
	}
	in, used, err := p.clause(source, inner, v)
	if err != nil || !used {
		return c, false, err
	}
	c.Param, c.Has = param, &Reverse{Type: source, Param: param, Clauses: []Clause{in}}
	return c, true, nil
}
