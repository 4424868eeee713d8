package resources

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"fhirwire/reference/search"
)

// cond is a piece of SQL with its arguments.
type cond struct {
	sql  string
	args []any
}

func condf(sql string, args ...any) cond { return cond{sql, args} }

func any1(join string, cs []cond) cond {
	if len(cs) == 1 {
		return cs[0]
	}
	var out cond
	parts := make([]string, len(cs))
	for i, c := range cs {
		parts[i] = c.sql
		out.args = append(out.args, c.args...)
	}
	out.sql = "(" + strings.Join(parts, join) + ")"
	return out
}

// plan is a search as SQL: FROM from WHERE where, with the resource as r.
type plan struct {
	from  string
	conds []cond
	// ordered is the column that gives rows in rid order without sorting.
	rid string
	// repeats: a row may come several times in a row.
	repeats bool
	// pre are the arguments of from.
	pre []any
	// narrow: few rows are looked at.
	narrow bool
	// lone is set when the driver is the only clause: then the index alone can count.
	lone *cond
}

func (p *plan) where() (string, []any) {
	all := any1(" AND ", p.conds)
	return all.sql, append(slices.Clone(p.pre), all.args...)
}

// newPlan chooses how to find the candidates, since the database has no statistics worth the name while it fills. A patient
// or an id narrows to a few rows and the rest is looked up per row. Otherwise the most telling clause with a single exact
// key drives, in rid order, so that a page needs no sort. What is left becomes a set (text, a date's day) or a test per row.
func newPlan(q search.Query, patient []string) (*plan, error) {
	p := &plan{from: "ref_resource r", rid: "r.rid"}
	p.conds = append(p.conds, condf("r.type = ?", q.Type), condf("r.deleted = 0"))
	if patient != nil {
		p.conds = append(p.conds, condf("r.patient IN ? AND r.patient <> ''", patient))
	}
	narrow := patient != nil
	driver, best := -1, 0
	gathered := false
	for i := range q.Clauses {
		c := &q.Clauses[i]
		if narrows(c) {
			narrow = true
		}
		if w := drives(c); w > best {
			driver, best = i, w
		}
	}
	if p.narrow = narrow; narrow {
		p.rid = "+r.rid" // the sign keeps SQLite from walking a whole type in row order instead
	}
	for i := range q.Clauses {
		c := &q.Clauses[i]
		if i == driver && !narrow {
			match, err := termMatch(c, c.Alts[0])
			if err != nil {
				return nil, err
			}
			// CROSS JOIN pins the order of the loops in SQLite.
			p.from, p.rid, p.repeats = "ref_term i CROSS JOIN ref_resource r", "i.rid", !c.Alts[0].Qualified
			p.conds = append(p.conds, condf("r.rid = i.rid"), condf("i.param = ?", indexID(c)), match)
			if len(q.Clauses) == 1 && patient == nil {
				p.lone = &cond{"i.param = ? AND " + match.sql, append([]any{indexID(c)}, match.args...)}
			}
			continue
		}
		if driver < 0 && !narrow && !gathered && small(c) {
			match, table, err := setMatch(c)
			if err != nil {
				return nil, err
			}
			gathered = true
			p.from, p.rid = "(SELECT DISTINCT i.rid AS rid FROM "+table+" i WHERE i.param = ? AND "+match.sql+") i CROSS JOIN ref_resource r", "r.rid"
			p.pre = append([]any{indexID(c)}, match.args...)
			p.conds = append(p.conds, condf("r.rid = i.rid"))
			continue
		}
		cc, err := clause(c, narrow, "r")
		if err != nil {
			return nil, err
		}
		p.conds = append(p.conds, cc)
	}
	return p, nil
}

// small reports a clause whose matches are few enough to be gathered first: the start of a name, a day.
func small(c *search.Clause) bool {
	if c.Modifier != search.Plain || len(c.Chain) > 0 || c.Has != nil || len(c.Alts) != 1 || c.Param.Column() {
		return false
	}
	return c.Param.Kind == search.String || c.Param.Kind == search.Date && c.Alts[0].Prefix == search.Eq
}

func setMatch(c *search.Clause) (match cond, table string, err error) {
	if c.Param.Kind == search.Date {
		match, err = dateMatch(c.Alts[0])
		return match, "ref_date", err
	}
	match, err = termMatch(c, c.Alts[0])
	return match, "ref_term", err
}

// narrows reports a clause that leaves few rows by a column of the resource.
func narrows(c *search.Clause) bool {
	if c.Modifier != search.Plain || len(c.Chain) > 0 || c.Has != nil {
		return false
	}
	return c.Param.Code == search.CodeID || c.Param.Compartment
}

// drives weighs a clause as the driver: 0 cannot, more is more telling.
func drives(c *search.Clause) int {
	if len(c.Alts) != 1 || len(c.Chain) > 0 || c.Has != nil || c.Alts[0].AnyKey || c.Param.Column() || c.Param.Compartment {
		return 0
	}
	if c.Modifier == search.Identifier || c.Modifier == search.OfType {
		return 4
	}
	if c.Modifier != search.Plain {
		return 0
	}
	switch c.Param.Kind {
	case search.Token:
		switch c.Param.Code {
		case "identifier":
			return 5
		case "status", "gender", "category", "active", "intent", "use":
			return 1
		}
		return 2
	case search.Reference, search.URI:
		return 4
	default:
		return 0
	}
}

func indexID(c *search.Clause) int64 {
	if c.Modifier == search.Identifier || c.Modifier == search.OfType {
		return c.Param.SubID(string(c.Modifier))
	}
	return c.Param.ID
}

// clause is the condition on the resource whose alias is r.
func clause(c *search.Clause, narrow bool, r string) (cond, error) {
	if c.Has != nil {
		return reverse(c.Has, r)
	}
	if len(c.Chain) > 0 {
		return chain(c, r)
	}
	if c.Param.Column() {
		return column(c, r)
	}
	if c.Modifier == search.Missing {
		return missing(c, r), nil
	}
	if c.Param.Compartment {
		return compartmentClause(c, r)
	}
	return indexed(c, c.Alts, narrow, r)
}

func indexed(c *search.Clause, alts []search.Alternative, narrow bool, r string) (cond, error) {
	var tests []cond
	for _, a := range alts {
		var (
			match cond
			err   error
			table string
			// keyed: rows of one resource are found directly, so a test per row is cheap.
			keyed bool
		)
		switch c.Param.Kind {
		case search.Date:
			table, keyed = "ref_date", narrow || a.Prefix != search.Eq
			match, err = dateMatch(a)
		case search.Number, search.Quantity:
			table, keyed = "ref_quantity", true
			match, err = quantityMatch(a)
		default:
			table = "ref_term"
			keyed = !a.AnyKey && (c.Param.Kind != search.String || c.Modifier == search.Exact) && c.Modifier != search.Below
			match, err = termMatch(c, a)
		}
		if err != nil {
			return cond{}, err
		}
		args := append([]any{indexID(c)}, match.args...)
		if keyed {
			tests = append(tests, cond{"EXISTS (SELECT 1 FROM " + table + " i WHERE i.param = ? AND i.rid = " + r + ".rid AND " + match.sql + ")", args})
		} else {
			tests = append(tests, cond{r + ".rid IN (SELECT i.rid FROM " + table + " i WHERE i.param = ? AND " + match.sql + ")", args})
		}
	}
	out := any1(" OR ", tests)
	if c.Modifier == search.Not {
		out.sql = "NOT " + out.sql
	}
	return out, nil
}

func termMatch(c *search.Clause, a search.Alternative) (cond, error) {
	switch c.Modifier {
	case search.Contains:
		return condf("i.key LIKE ? ESCAPE '!'", "%"+strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(a.Key)+"%"), nil
	case search.Below:
		return prefix(a.Key), nil
	case search.Above:
		return condf("i.key IN ?", above(a.Key)), nil
	case search.Plain, search.Exact, search.Not, search.Identifier, search.OfType:
	default:
		return cond{}, fmt.Errorf("modifier %s of %s: not planned", c.Modifier, c.Param.Code)
	}
	if c.Param.Kind == search.String && c.Modifier != search.Exact {
		return prefix(a.Key), nil
	}
	token := c.Param.Kind == search.Token || c.Modifier == search.Identifier
	switch {
	case a.AnyKey:
		return condf("i.qualifier = ?", a.Qualifier), nil
	case !a.Qualified:
		return condf("i.key = ?", a.Key), nil
	case token:
		return condf("i.key = ? AND i.qualifier IN ?", a.Key, []string{a.Qualifier, search.ImplicitSystem}), nil
	default:
		return condf("i.key = ? AND i.qualifier = ?", a.Key, a.Qualifier), nil
	}
}

// above are the URLs that contain this one: itself and what is before each of its slashes.
func above(url string) []string {
	out := []string{url}
	_, rest, _ := strings.Cut(url, "://")
	for from := len(url) - len(rest); ; {
		i := strings.IndexByte(url[from:], '/')
		if i < 0 {
			return out
		}
		out = append(out, url[:from+i], url[:from+i+1])
		from += i + 1
	}
}

func prefix(key string) cond {
	return condf("i.key >= ? AND i.key < ?", key, key+string(utf8.MaxRune))
}

// dateMatch is the table of comparisons of R4 search on ranges.
func dateMatch(a search.Alternative) (cond, error) {
	lo, hi := a.Lo, a.Hi
	switch a.Prefix {
	case search.Eq:
		return condf("i.lo >= ? AND i.lo <= ? AND i.hi <= ?", lo, hi, hi), nil
	case search.Ne:
		return condf("(i.lo < ? OR i.hi > ?)", lo, hi), nil
	case search.Gt:
		return condf("i.hi > ?", hi), nil
	case search.Lt:
		return condf("i.lo < ?", lo), nil
	case search.Ge:
		return condf("(i.hi > ? OR (i.lo >= ? AND i.hi <= ?))", hi, lo, hi), nil
	case search.Le:
		return condf("(i.lo < ? OR (i.lo >= ? AND i.hi <= ?))", lo, lo, hi), nil
	case search.Sa:
		return condf("i.lo > ?", hi), nil
	case search.Eb:
		return condf("i.hi < ?", lo), nil
	case search.Ap:
		return condf("(i.lo <= ? AND i.hi >= ?)", hi, lo), nil
	}
	return cond{}, fmt.Errorf("prefix %q: not planned", a.Prefix)
}

func quantityMatch(a search.Alternative) (cond, error) {
	var out cond
	switch a.Prefix {
	case search.Eq:
		out = condf("i.lo >= ? AND i.hi < ?", a.Low, a.High)
	case search.Ne:
		out = condf("(i.lo < ? OR i.hi >= ?)", a.Low, a.High)
	case search.Gt:
		out = condf("i.hi > ?", a.Value)
	case search.Lt:
		out = condf("i.lo < ?", a.Value)
	case search.Ge:
		out = condf("i.hi >= ?", a.Value)
	case search.Le:
		out = condf("i.lo <= ?", a.Value)
	case search.Sa:
		out = condf("i.lo > ?", a.Value)
	case search.Eb:
		out = condf("i.hi < ?", a.Value)
	case search.Ap:
		d := math.Abs(a.Value) * 0.1
		out = condf("i.lo <= ? AND i.hi >= ?", a.Value+d, a.Value-d)
	default:
		return out, fmt.Errorf("prefix %q: not planned", a.Prefix)
	}
	if a.Code != "" {
		out.sql += " AND i.code = ?"
		out.args = append(out.args, a.Code)
	}
	if a.System != "" {
		out.sql += " AND i.system = ?"
		out.args = append(out.args, a.System)
	}
	return out, nil
}

func column(c *search.Clause, r string) (cond, error) {
	if c.Modifier == search.Missing { // neither is ever missing
		if c.Absent {
			return condf("1 = 0"), nil
		}
		return condf("1 = 1"), nil
	}
	if c.Param.Code == search.CodeID {
		ids := make([]string, len(c.Alts))
		for i, a := range c.Alts {
			ids[i] = a.Key
		}
		if c.Modifier == search.Not {
			return condf(r+".id NOT IN ?", ids), nil
		}
		return condf(r+".id IN ?", ids), nil
	}
	var tests []cond
	for _, a := range c.Alts {
		m, err := dateMatch(a)
		if err != nil {
			return m, err
		}
		m.sql = strings.NewReplacer("i.lo", r+".updated", "i.hi", r+".updated").Replace(m.sql)
		tests = append(tests, cond{"(" + m.sql + ")", m.args})
	}
	return any1(" OR ", tests), nil
}

func missing(c *search.Clause, r string) cond {
	out := condf(r+".rid IN (SELECT i.rid FROM "+tableOf(c.Param)+" i WHERE i.param = ?)", c.Param.ID)
	if c.Param.Compartment {
		out.sql = "(" + out.sql + " OR " + r + ".patient <> '')"
	}
	if c.Absent {
		out.sql = "NOT " + out.sql
	}
	return out
}

// tableOf is the index table of a parameter.
func tableOf(p *search.Param) string {
	switch p.Kind {
	case search.Date:
		return "ref_date"
	case search.Number, search.Quantity:
		return "ref_quantity"
	default:
		return "ref_term"
	}
}

// compartmentClause: a Patient reference is the patient column, any other is an index row.
func compartmentClause(c *search.Clause, r string) (cond, error) {
	if c.Modifier == search.Identifier {
		return indexed(c, c.Alts, true, r)
	}
	var ids []string
	var others []search.Alternative
	for _, a := range c.Alts {
		if a.Qualifier == "Patient" || !a.Qualified {
			ids = append(ids, a.Key)
		}
		if a.Qualifier != "Patient" {
			others = append(others, a)
		}
	}
	// the comparisons with '' are what lets SQLite use its partial index
	if len(others) == 0 {
		return condf("("+r+".patient IN ? AND "+r+".patient <> '')", ids), nil
	}
	var tests []cond
	for _, a := range others {
		match, err := termMatch(c, a)
		if err != nil {
			return match, err
		}
		tests = append(tests, match)
	}
	terms := any1(" OR ", tests)
	set := "SELECT i.rid FROM ref_term i WHERE i.param = ? AND (" + terms.sql + ")"
	args := append([]any{c.Param.ID}, terms.args...)
	if len(ids) > 0 {
		set += " UNION SELECT x.rid FROM ref_resource x WHERE x.patient IN ? AND x.patient <> '' AND x.type = ? AND x.deleted = 0"
		args = append(args, ids, c.Param.Type)
	}
	return cond{r + ".rid IN (" + set + ")", args}, nil
}

// chain follows references to resources that fulfil the inner clause.
func chain(c *search.Clause, r string) (cond, error) {
	alias := r + "t"
	var tests []cond
	for _, ch := range c.Chain {
		inner, err := clause(&ch.Clause, false, alias)
		if err != nil {
			return inner, err
		}
		args := append([]any{ch.Type}, inner.args...)
		set := "SELECT " + alias + ".id FROM ref_resource " + alias + " WHERE " + alias + ".type = ? AND " + alias + ".deleted = 0 AND " + inner.sql
		if c.Param.Compartment && ch.Type == "Patient" {
			tests = append(tests, cond{r + ".patient IN (" + set + ")", args})
			continue
		}
		tests = append(tests, cond{
			r + ".rid IN (SELECT c.rid FROM ref_term c WHERE c.param = ? AND c.qualifier = ? AND c.key IN (" + set + "))",
			append([]any{c.Param.ID, ch.Type}, args...),
		})
	}
	return any1(" OR ", tests), nil
}
