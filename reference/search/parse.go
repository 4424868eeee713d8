package search

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ParseOptions tune Parse. The zero value is lenient.
type ParseOptions struct {
	// Strict makes unknown and unsupported parameters errors (Prefer: handling=strict).
	Strict bool
	// Base is this server's own base URL; references to it are local.
	Base string
	// Skip names parameters that belong to the caller and are no search: "_format".
	Skip []string
	// Now is what the prefix ap of a date measures from (R4 search 3.1.1.4.6); zero: it means overlap.
	Now time.Time
}

// ParsePairs decodes a raw query in order. Go's url.Values would lose the order, which the self link keeps.
func ParsePairs(raw string) ([]Pair, error) {
	var out []Pair
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		n, err := url.QueryUnescape(name)
		if err != nil {
			return nil, &Error{Name: name, Code: "invalid", Message: "is not URL-encoded"}
		}
		v, err := url.QueryUnescape(value)
		if err != nil {
			return nil, &Error{Name: n, Code: "invalid", Message: "value is not URL-encoded"}
		}
		out = append(out, Pair{n, v})
	}
	return out, nil
}

// Parse turns parameters into a query over typ. A value that cannot be read is an *Error in either handling: results without
// that restriction would be wrong. typ must be served.
func (r *Registry) Parse(typ string, pairs []Pair, o ParseOptions) (Query, error) {
	q := Query{Type: typ, Count: -1}
	p := parser{reg: r, o: o, q: &q}
	for _, pair := range pairs {
		pair.Value = strings.TrimSpace(pair.Value)
		if slices.Contains(o.Skip, pair.Name) {
			continue
		}
		if pair.Value == "" {
			if err := p.ignore(pair.Name, "has no value"); err != nil {
				return Query{}, err
			}
			continue
		}
		if slices.Contains(unserved, pair.Name) {
			return Query{}, &Error{Name: pair.Name, Code: "not-supported", Message: "is not supported here, and results without it would be wrong"}
		}
		used, err := p.result(pair)
		if err == nil && !used && !shapes(pair.Name) {
			var c Clause
			if c, used, err = p.clause(typ, pair.Name, pair.Value); used {
				q.Clauses = append(q.Clauses, c)
			}
		}
		if err != nil {
			return Query{}, err
		}
		if used {
			q.Applied = append(q.Applied, pair)
		}
	}
	return q, nil
}

// unserved restrict a search in ways that are not served. Who sends one knows it for a restriction, so it is refused and not ignored.
var unserved = []string{"_filter", "_text", "_content", "_list", "_query", "_in"}

type parser struct {
	reg *Registry
	o   ParseOptions
	q   *Query
}

func (p *parser) ignore(name, reason string) error {
	if p.o.Strict {
		return &Error{Name: name, Code: "not-supported", Message: reason}
	}
	p.q.Ignored = append(p.q.Ignored, Ignored{name, reason})
	return nil
}

func invalid(name, format string, args ...any) error {
	return &Error{Name: name, Code: "invalid", Message: fmt.Sprintf(format, args...)}
}

// shapes reports a parameter that shapes the answer, whether it took effect or was ignored.
func shapes(name string) bool {
	return slices.Contains([]string{"_count", "_total", "_summary", "_elements", "_sort", "_include", "_revinclude"}, name) ||
		strings.HasPrefix(name, "_include:") || strings.HasPrefix(name, "_revinclude:")
}

// result handles the parameters that shape the answer.
func (p *parser) result(pair Pair) (used bool, err error) {
	name, v := pair.Name, pair.Value
	switch name {
	case "_count":
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			return false, invalid(name, "%q is not a count", v)
		}
		p.q.Count = n
	case "_total":
		switch t := Total(v); t {
		case TotalNone, TotalEstimate, TotalAccurate:
			p.q.Total = t
		default:
			return false, invalid(name, "%q is none of none, estimate, accurate", v)
		}
	case "_summary":
		switch s := Summary(v); s {
		case SummaryTrue, SummaryText, SummaryData, SummaryCount:
			p.q.Summary = s
		case "false":
		default:
			return false, invalid(name, "%q is none of true, text, data, count, false", v)
		}
	case "_elements":
		for e := range strings.SplitSeq(v, ",") {
			e = strings.TrimSpace(e)
			if t, rest, ok := strings.Cut(e, "."); ok && t == p.q.Type {
				e = rest
			}
			if e != "" {
				p.q.Elements = append(p.q.Elements, e)
			}
		}
	case "_sort":
		return p.sort(v)
	default:
		switch base, mod, _ := strings.Cut(name, ":"); {
		case base != "_include" && base != "_revinclude":
			return false, nil
		case mod != "" && mod != "iterate" && mod != "recurse": // R4 renamed recurse; clients still send it
			return false, &Error{Name: name, Code: "not-supported", Message: fmt.Sprintf("modifier %q is not supported on %s", mod, base)}
		default:
			return p.include(name, base == "_include", mod != "", v)
		}
	}
	return true, nil
}

func (p *parser) sort(v string) (bool, error) {
	var keys []Sort
	for key := range strings.SplitSeq(v, ",") {
		code, desc := strings.CutPrefix(strings.TrimSpace(key), "-")
		param, ok := p.reg.Param(p.q.Type, code)
		if !ok {
			return false, p.ignore("_sort", fmt.Sprintf("%s has no parameter %q to sort by", p.q.Type, code))
		}
		keys = append(keys, Sort{param, desc})
	}
	p.q.Sort = append(p.q.Sort, keys...)
	return true, nil
}

// include reads one _include (forward) or _revinclude.
func (p *parser) include(name string, forward, iterate bool, v string) (bool, error) {
	source, rest, _ := strings.Cut(v, ":")
	code, target, _ := strings.Cut(rest, ":")
	if v == "*" {
		source, code = p.q.Type, "*"
	}
	if !p.reg.Serves(source) {
		return false, p.ignore(name, fmt.Sprintf("resource type %q is not served", source))
	}
	if forward && !iterate && source != p.q.Type {
		return false, p.ignore(name, fmt.Sprintf("%s does not come with a search of %s", source, p.q.Type))
	}
	inc := Include{Source: source, Target: target, Iterate: iterate}
	if code == "*" {
		for _, param := range p.reg.Params(source) {
			if param.Kind == Reference {
				inc.Params = append(inc.Params, param)
			}
		}
	} else {
		param, ok := p.reg.Param(source, code)
		if !ok || param.Kind != Reference {
			return false, p.ignore(name, fmt.Sprintf("%s has no reference parameter %q", source, code))
		}
		inc.Params = []*Param{param}
	}
	if forward {
		p.q.Includes = append(p.q.Includes, inc)
	} else {
		p.q.RevIncludes = append(p.q.RevIncludes, inc)
	}
	return true, nil
}

// clause reads one restriction. used is false when the parameter was ignored.
func (p *parser) clause(typ, name, v string) (c Clause, used bool, err error) {
	if rest, ok := strings.CutPrefix(name, "_has:"); ok {
		return p.has(typ, name, rest, v)
	}
	head, rest, chained := strings.Cut(name, ".")
	code, mod, _ := strings.Cut(head, ":")
	param, ok := p.reg.Param(typ, code)
	if !ok {
		return c, false, p.ignore(name, fmt.Sprintf("%s has no search parameter %q", typ, code))
	}
	c.Param = param
	if chained {
		return p.chain(c, name, mod, rest, v)
	}
	refType := ""
	if mod != "" {
		ok := false
		switch c.Modifier = Modifier(mod); c.Modifier {
		case Missing:
			if v != "true" && v != "false" {
				return c, false, invalid(name, "%q is neither true nor false", v)
			}
			c.Absent = v == "true"
			return c, true, nil
		case Exact, Contains:
			ok = param.Kind == String
		case Not:
			ok = param.Kind == Token
		case Identifier:
			ok = param.Kind == Reference
		case OfType:
			ok = param.Typed()
		case Below, Above:
			ok = param.Kind == URI
		default:
			ok = param.Kind == Reference && mod[0] >= 'A' && mod[0] <= 'Z'
			refType, c.Modifier = mod, Plain
		}
		if !ok {
			// R4 search: a server SHALL reject a modifier it does not support for the parameter.
			return c, false, &Error{Name: name, Code: "not-supported", Message: fmt.Sprintf("modifier %q is not supported on %s parameter %s", mod, param.Kind, code)}
		}
	}
	if c.Modifier == Plain && param.Typed() && !slices.ContainsFunc(split(v, ','), func(s string) bool { return len(split(s, '|')) != 3 }) {
		c.Modifier = OfType // no other token has three parts; guides write it without the modifier
	}
	for _, part := range split(v, ',') {
		part = strings.TrimSpace(part)
		if part == "" {
			return c, false, invalid(name, "one of the values in %q is empty", v)
		}
		alt, err := p.value(param, c.Modifier, name, part, refType)
		if err != nil {
			return c, false, err
		}
		c.Alts = append(c.Alts, alt)
		p.alias(&c, name, alt)
	}
	return c, true, nil
}

func (p *parser) chain(c Clause, name, mod, rest, v string) (Clause, bool, error) {
	if c.Param.Kind != Reference {
		return c, false, invalid(name, "%s is not a reference, so nothing can follow it", c.Param.Code)
	}
	if strings.HasPrefix(rest, "_has:") {
		return c, false, &Error{Name: name, Code: "not-supported", Message: "_has does not follow a chain here"}
	}
	targets := c.Param.Targets
	if len(targets) == 0 { // any
		targets = p.reg.names
	}
	if mod != "" {
		targets = []string{mod}
	}
	code, _, _ := strings.Cut(rest, ":")
	code, _, _ = strings.Cut(code, ".")
	for _, t := range targets {
		if _, ok := p.reg.Param(t, code); !ok {
			continue
		}
		inner, used, err := p.clause(t, rest, v)
		if err != nil {
			return c, false, err
		}
		if used {
			c.Chain = append(c.Chain, Chained{t, inner})
		}
	}
	if len(c.Chain) == 0 {
		return c, false, p.ignore(name, fmt.Sprintf("no target of %s has a search parameter %q", c.Param.Code, code))
	}
	return c, true, nil
}

func (p *parser) value(param *Param, mod Modifier, name, v, refType string) (Alternative, error) {
	switch {
	case mod == OfType:
		parts := split(v, '|')
		if len(parts) != 3 || parts[1] == "" || parts[2] == "" {
			return Alternative{}, invalid(name, "%q is not system|type|value", v)
		}
		return Alternative{Key: cut(unescape(parts[2])), Qualifier: cut(unescape(parts[0]) + "|" + unescape(parts[1])), Qualified: true}, nil
	case param.Kind == Token || mod == Identifier:
		return token(v), nil
	case param.Kind == Composite:
		return compositeValue(param, name, v)
	case param.Kind == String:
		v = unescape(v)
		if mod == Exact {
			return Alternative{Key: fold(v), Qualifier: cut(v), Qualified: true}, nil
		}
		return Alternative{Key: fold(v)}, nil
	case param.Kind == URI:
		v = unescape(v)
		if url, version, ok := strings.Cut(v, "|"); ok && param.Code == codeProfile {
			return Alternative{Key: cut(url), Qualifier: cut(version), Qualified: true}, nil
		}
		return Alternative{Key: cut(v)}, nil
	case param.Kind == Reference:
		return p.reference(param, name, unescape(v), refType)
	case param.Kind == Date:
		return p.date(name, unescape(v))
	case param.Kind == Number:
		prefix, num := cutPrefix(v)
		alt := Alternative{Prefix: prefix}
		var ok bool
		if alt.Value, alt.Low, alt.High, ok = decimalRange(num); !ok {
			return alt, invalid(name, "%q is not a number", v)
		}
		return alt, nil
	default:
		return quantity(name, v)
	}
}

func token(v string) Alternative {
	parts := split(v, '|')
	if len(parts) == 1 {
		return Alternative{Key: cut(unescape(v))}
	}
	system, code := unescape(parts[0]), unescape(strings.Join(parts[1:], "|"))
	return Alternative{Key: cut(code), AnyKey: code == "", Qualifier: cut(system), Qualified: true}
}

func (p *parser) date(name, v string) (Alternative, error) {
	prefix, text := cutPrefix(v)
	if i := strings.LastIndexByte(text, ' '); i > 10 {
		text = text[:i] + "+" + text[i+1:] // an unescaped "+" of a zone arrives as a blank
	}
	lo, hi, err := dateRange(text)
	if err != nil {
		return Alternative{}, invalid(name, "%v", err)
	}
	if prefix == Ap && !p.o.Now.IsZero() { // within a tenth of the time between then and now
		d := max(lo-p.o.Now.UnixMilli(), p.o.Now.UnixMilli()-hi, 0) / 10
		lo, hi = lo-d, hi+d
	}
	return Alternative{Prefix: prefix, Lo: lo, Hi: hi}, nil
}

func quantity(name, v string) (Alternative, error) {
	parts := split(v, '|')
	prefix, num := cutPrefix(parts[0])
	alt := Alternative{Prefix: prefix}
	var ok bool
	if alt.Value, alt.Low, alt.High, ok = decimalRange(num); !ok || len(parts) == 2 || len(parts) > 3 {
		return alt, invalid(name, "%q is not a quantity: want [prefix]number[|system|code]", v)
	}
	if len(parts) == 3 {
		alt.System, alt.Code = unescape(parts[1]), unescape(parts[2])
	}
	return alt, nil
}

func (p *parser) reference(param *Param, name, v, refType string) (Alternative, error) {
	if p.o.Base != "" {
		v = strings.TrimPrefix(v, strings.TrimSuffix(p.o.Base, "/")+"/")
	}
	v, _, _ = strings.Cut(v, "/_history/")
	if strings.Contains(v, ":") { // absolute, or a canonical
		return Alternative{Key: cut(v), Qualifier: "", Qualified: true}, nil
	}
	typ, id, typed := strings.Cut(v, "/")
	if !typed {
		typ, id = refType, v
	}
	if !validID(id) || typed && !isTypeName(typ) {
		return Alternative{}, invalid(name, "%q is not a reference: want an id, Type/id or a URL", v)
	}
	if typ == "" && len(param.Targets) == 1 {
		typ = param.Targets[0]
	}
	return Alternative{Key: id, Qualifier: typ, Qualified: typ != ""}, nil
}

func cutPrefix(v string) (Prefix, string) {
	if len(v) > 2 {
		switch p := Prefix(v[:2]); p {
		case Eq, Ne, Gt, Lt, Ge, Le, Sa, Eb, Ap:
			return p, v[2:]
		}
	}
	return Eq, v
}

// validID is the id datatype: VAL-X-03.
func validID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		if c != '-' && c != '.' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

func isTypeName(s string) bool {
	if s == "" || s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// split cuts at sep where no backslash is before it; the parts stay escaped.
func split(s string, sep byte) []string {
	var out []string
	start := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case sep:
			out = append(out, s[start:i])
			start = i + 1
		}
	}
	return append(out, s[start:])
}

func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && strings.IndexByte(`,|$\`, s[i+1]) >= 0 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// SelfQuery is the query string of what was applied.
func (q *Query) SelfQuery() string {
	var b strings.Builder
	for i, p := range q.Applied {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(p.Name))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(p.Value))
	}
	return b.String()
}
