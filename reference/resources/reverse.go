package resources

import (
	"strings"

	"fhirwire/reference/search"
)

// reverse asks for a resource that refers to r and fulfils all clauses. It is a test per row, from r's id on: a set of all that
// is referred to would be as large as the index.
func reverse(h *search.Reverse, r string) (cond, error) {
	alias := r + "h"
	test := cond{sql: alias + ".type = ? AND " + alias + ".deleted = 0", args: []any{h.Type}}
	for i := range h.Clauses {
		inner, err := clause(&h.Clauses[i], true, alias)
		if err != nil {
			return inner, err
		}
		test.sql += " AND " + inner.sql
		test.args = append(test.args, inner.args...)
	}
	var out []cond
	if h.Param.Compartment { // a Patient that the resource belongs to is in its row
		out = append(out, cond{
			"(" + r + ".type = 'Patient' AND EXISTS (SELECT 1 FROM ref_resource " + alias + " WHERE " + alias + ".patient = " + r + ".id AND " + alias + ".patient <> '' AND " + test.sql + "))",
			test.args,
		})
	}
	link := "x" + strings.TrimPrefix(alias, "r")
	out = append(out, cond{
		"EXISTS (SELECT 1 FROM ref_term " + link + " CROSS JOIN ref_resource " + alias + " WHERE " + link + ".param = ? AND " + link + ".key = " + r + ".id AND " +
			link + ".qualifier = " + r + ".type AND " + alias + ".rid = " + link + ".rid AND " + test.sql + ")",
		append([]any{h.Param.ID}, test.args...),
	})
	return any1(" OR ", out), nil
}
