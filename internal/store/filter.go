package store

import (
	"strings"

	"gorm.io/gorm"

	"fhirwire/internal/sqldb"
	"fhirwire/proxy"
)

// filter adds the filter's terms to a query over "exchanges AS e".
func (s *Store) filter(q *gorm.DB, f proxy.Filter) *gorm.DB {
	for _, t := range f.Terms {
		c := s.condition(t)
		if t.Not {
			c.sql = "NOT (" + c.sql + ")"
		}
		q = q.Where(c.sql, c.args...)
	}
	return q
}

// condition is a piece of SQL that is never NULL, so that NOT inverts it.
type condition struct {
	sql  string
	args []any
}

var never = condition{sql: "1 = 0"}

func anyOf(parts []condition) condition {
	if len(parts) == 0 {
		return never
	}
	var c condition
	sqls := make([]string, len(parts))
	for i, p := range parts {
		sqls[i] = p.sql
		c.args = append(c.args, p.args...)
	}
	c.sql = "(" + strings.Join(sqls, " OR ") + ")"
	return c
}

func (s *Store) condition(t proxy.Term) condition {
	parts := make([]condition, len(t.Values))
	for i, v := range t.Values {
		parts[i] = s.value(t, v)
	}
	return anyOf(parts)
}

// judgedWhere is the set of exchanges whose newest report fulfils cond.
func judgedWhere(cond string, args ...any) condition {
	return condition{"e.number IN (SELECT number FROM judged WHERE " + cond + ")", args}
}

var findingSQL = map[string]condition{
	"error":       judgedWhere("errors > 0"),
	"warning":     judgedWhere("warnings > 0"),
	"information": judgedWhere("information > 0"),
	"unchecked":   judgedWhere("not_checked > 0 OR unjudged <> ''"),
	"any":         judgedWhere("errors + warnings + information > 0"),
	"none":        judgedWhere("errors + warnings + information + not_checked = 0 AND unjudged = '' AND tool_error = ''"),
	"pending":     {sql: "e.number IN (SELECT number FROM pending)"},
}

func (s *Store) value(t proxy.Term, v string) condition {
	switch t.Key {
	case proxy.KeyText:
		return s.like("e.url", "%"+escapeLike(v)+"%")
	case proxy.KeyType:
		return s.name("e.resource_type", v)
	case proxy.KeyOp:
		if !strings.HasPrefix(v, "$") && !strings.HasPrefix(v, "*") {
			v = "$" + v
		}
		c := s.name("e.operation", v)
		c.sql = "(e.operation <> '' AND " + c.sql + ")" // lets the partial index serve
		return c
	case proxy.KeyKind:
		var parts []condition
		for _, k := range proxy.Kinds(v) {
			parts = append(parts, s.name("e.kind", string(k)))
		}
		return anyOf(parts)
	case proxy.KeyStatus:
		switch {
		case v == "none":
			return condition{sql: "e.status = 0"}
		case strings.HasSuffix(v, "xx"):
			low := int(v[0]-'0') * 100
			return condition{"e.status BETWEEN ? AND ?", []any{low, low + 99}}
		}
		c := compare("e.status", t, v)
		if t.Op != proxy.OpEq {
			c.sql = "(e.status > 0 AND " + c.sql + ")" // no response has no status, which is not a small one
		}
		return c
	case proxy.KeyMethod:
		return s.name("e.method", v)
	case proxy.KeyClient:
		return s.name("e.client", v)
	case proxy.KeyServer:
		return s.name("e.server", v)
	case proxy.KeyChannel:
		return s.name("e.channel", v)
	case proxy.KeyVerdict:
		if v == "pending" {
			return findingSQL["pending"]
		}
		return judgedWhere("verdict = ?", v)
	case proxy.KeyFinding:
		return findingSQL[v]
	case proxy.KeyRule:
		return s.rule(v)
	case proxy.KeyProfile:
		return s.profile(v)
	case proxy.KeySide:
		return judgedWhere("side = ?", v)
	case proxy.KeyFailure:
		switch v {
		case "yes":
			return condition{sql: "e.failure <> ''"}
		case "no":
			return condition{sql: "e.failure = ''"}
		}
		return condition{"(e.failure <> '' AND e.failure = ?)", []any{v}}
	case proxy.KeyTrust:
		if v == "none" {
			v = ""
		}
		return condition{"e.server_trust = ?", []any{v}}
	case proxy.KeyID:
		return s.like("e.id", escapeLike(v)+"%")
	case proxy.KeyNumber:
		return compare("e.number", t, v)
	case proxy.KeySize:
		return compare("e.response_size", t, v)
	case proxy.KeyMS:
		return compare("(e.duration_us / 1000)", t, v) // whole milliseconds, as lists show them
	case proxy.KeySince, proxy.KeyUntil:
		at, ok := proxy.Moment(v, s.opt.Clock())
		if !ok {
			return never
		}
		op := ">="
		if t.Key == proxy.KeyUntil {
			op = "<="
		}
		return condition{"e.start_us " + op + " ?", []any{at.UnixMicro()}}
	}
	return never
}

// compare compares an integer column with a value.
func compare(column string, t proxy.Term, v string) condition {
	n, ok := proxy.Number(t.Key, v)
	if !ok {
		return never
	}
	op := t.Op
	switch op {
	case proxy.OpEq, proxy.OpGe, proxy.OpGt, proxy.OpLe, proxy.OpLt:
	default:
		return never
	}
	return condition{column + " " + string(op) + " ?", []any{n}}
}

// rule matches a rule's id or an invariant's key among findings.
func (s *Store) rule(v string) condition {
	id, key := s.name("rule", v), s.name("constraint_key", v)
	return condition{
		"(e.number IN (SELECT number FROM findings WHERE " + id.sql + ")" +
			" OR e.number IN (SELECT number FROM findings WHERE constraint_key <> '' AND " + key.sql + "))",
		append(id.args, key.args...),
	}
}

// profile matches the canonical of a profile that was used or that a finding is about, whole or by its last segment, with
// or without |version.
func (s *Store) profile(v string) condition {
	pattern := likePattern(v)
	if !strings.Contains(v, "/") {
		pattern = "%/" + pattern
	}
	whole, versioned := s.like("url", pattern), s.like("url", pattern+"|%")
	either := "(" + whole.sql + " OR " + versioned.sql + ")"
	args := append(whole.args, versioned.args...)
	return condition{
		"e.number IN (SELECT number FROM judged_profiles WHERE profile_id IN (SELECT id FROM profiles WHERE " + either + "))", args,
	}
}

// name matches a column with names, case-insensitively; * stands for any characters.
func (s *Store) name(column, v string) condition {
	if strings.Contains(v, "*") {
		return s.like(column, likePattern(v))
	}
	if s.db.Dialect == sqldb.Postgres {
		return condition{"lower(" + column + ") = ?", []any{strings.ToLower(v)}}
	}
	return condition{column + " = ?", []any{v}} // the column collates without case
}

func (s *Store) like(column, pattern string) condition {
	op := "LIKE" // without case in SQLite
	if s.db.Dialect == sqldb.Postgres {
		op = "ILIKE"
	}
	return condition{column + " " + op + ` ? ESCAPE '\'`, []any{pattern}}
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

func escapeLike(v string) string { return likeEscaper.Replace(v) }

// likePattern turns a pattern with * into one of LIKE.
func likePattern(v string) string { return strings.ReplaceAll(escapeLike(v), "*", "%") }
