package proxy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxFilter bounds a filter's text: what people type or link to is far shorter.
const maxFilter = 4096

// ParseFilter reads a filter. Terms are separated by blanks and must all hold:
//
//	type:Patient op:$member-match status:>=400 -method:GET "two words"
//
// A word without a colon is looked for in the URL. A leading - or ! inverts a term, a comma separates alternatives, double
// quotes keep blanks and commas together (\" and \\ inside), * stands for any characters in names, and status, number, size
// and ms compare with > >= < <=. A term that cannot be taken is left out of the Filter and described in the errors.
func ParseFilter(s string) (Filter, []FilterError) {
	if len(s) > maxFilter {
		return Filter{}, []FilterError{{Pos: maxFilter, End: len(s), Problem: fmt.Sprintf("the filter is longer than %d characters", maxFilter)}}
	}
	var f Filter
	var errs []FilterError
	for pos := 0; ; {
		tok, ok := nextToken(s, pos)
		if !ok {
			return f, errs
		}
		pos = tok.end
		t, problem, suggestion := tok.term()
		if problem != "" {
			errs = append(errs, FilterError{Pos: tok.pos, End: tok.end, Problem: problem, Suggestion: suggestion})
			continue
		}
		f.Terms = append(f.Terms, t)
	}
}

// token is one blank-separated piece. quoted runs parallel to text: true for bytes that stood in quotes, which are never
// syntax.
type token struct {
	pos, end int
	text     []byte
	quoted   []bool
	open     bool // a quote without its end
}

func nextToken(s string, pos int) (token, bool) {
	for pos < len(s) && blank(s[pos]) {
		pos++
	}
	if pos == len(s) {
		return token{}, false
	}
	t := token{pos: pos}
	in := false
	for ; pos < len(s) && (in || !blank(s[pos])); pos++ {
		c := s[pos]
		switch {
		case c == '"':
			in = !in
			continue
		case in && c == '\\' && pos+1 < len(s) && (s[pos+1] == '"' || s[pos+1] == '\\'):
			pos++
			c = s[pos]
		}
		t.text, t.quoted = append(t.text, c), append(t.quoted, in)
	}
	t.end, t.open = pos, in
	return t, true
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// index finds an unquoted byte, -1 when there is none.
func (t token) index(c byte) int {
	for i, b := range t.text {
		if b == c && !t.quoted[i] {
			return i
		}
	}
	return -1
}

func (t token) from(i int) token { return token{text: t.text[i:], quoted: t.quoted[i:]} }

// prefix reports whether the token starts with unquoted p.
func (t token) prefix(p string) bool {
	return strings.HasPrefix(string(t.text), p) && !slices.Contains(t.quoted[:len(p)], true)
}

// values splits at unquoted commas.
func (t token) values() []string {
	var out []string
	for {
		i := t.index(',')
		if i < 0 {
			return append(out, string(t.text))
		}
		out = append(out, string(t.text[:i]))
		t = t.from(i + 1)
	}
}

// term turns the token into a Term, or says what is wrong and what to use instead.
func (t token) term() (_ Term, problem, suggestion string) {
	if t.open {
		return Term{}, "a quote is not closed", ""
	}
	sign := ""
	rest := t
	if t.prefix("-") || t.prefix("!") {
		sign = string(t.text[:1])
		rest = t.from(1)
	}
	term := Term{Not: sign != "", Op: OpEq}
	word, value := rest.split()
	if word == "" {
		if len(rest.text) == 0 {
			return Term{}, "nothing to look for", ""
		}
		term.Key, term.Values = KeyText, []string{string(rest.text)}
		return term, "", ""
	}
	term.Key = Key(strings.ToLower(word))
	spec, ok := keySpecs[term.Key]
	if !ok {
		problem = fmt.Sprintf("unknown word %q", word)
		if k, v := suggestKey(strings.ToLower(word), string(value.text)); k != "" {
			suggestion = sign + string(k) + ":" + v
		}
		return Term{}, problem, suggestion
	}
	for _, op := range []Op{OpGe, OpLe, OpGt, OpLt, OpEq} {
		if value.prefix(string(op)) {
			if !spec.compares && op != OpEq {
				return Term{}, fmt.Sprintf("%s does not compare with %s", term.Key, op), ""
			}
			term.Op, value = op, value.from(len(op))
			break
		}
	}
	term.Values = value.values()
	if term.Op != OpEq && len(term.Values) > 1 {
		return Term{}, fmt.Sprintf("%s compares with one value", term.Key), ""
	}
	for i, v := range term.Values {
		if v == "" {
			return Term{}, fmt.Sprintf("%s needs a value", term.Key), sign + string(term.Key) + ":" + spec.example
		}
		if spec.fold {
			v = strings.ToLower(v)
			term.Values[i] = v
		}
		if spec.ok != nil && !spec.ok(v, term.Op) {
			problem = fmt.Sprintf("%s cannot be %q; use %s", term.Key, v, spec.wants)
			if near := nearest(v, spec.words); near != "" {
				suggestion = sign + string(term.Key) + ":" + near
			}
			return Term{}, problem, suggestion
		}
	}
	return term, "", ""
}

// split finds the key: letters before an unquoted colon, or before a comparison of a key that compares ("status>=400").
// The word is empty for text, which includes URLs ("http://…").
func (t token) split() (word string, value token) {
	n := 0
	for n < len(t.text) && !t.quoted[n] && letter(t.text[n]) {
		n++
	}
	if n == 0 || n == len(t.text) || t.quoted[n] {
		return "", token{}
	}
	word = string(t.text[:n])
	switch t.text[n] {
	case ':':
		if t.from(n + 1).prefix("//") {
			return "", token{}
		}
		return word, t.from(n + 1)
	case '<', '>':
		if keySpecs[Key(strings.ToLower(word))].compares {
			return word, t.from(n)
		}
	}
	return "", token{}
}

func letter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// keySpec says what a key takes.
type keySpec struct {
	compares bool
	// fold makes values lower-case: those of closed lists.
	fold bool
	// ok judges a value, nil takes all; wants says in words what it takes; words are the values to suggest from.
	ok      func(v string, op Op) bool
	wants   string
	words   []string
	example string
}

func oneOf(words ...string) keySpec {
	return keySpec{
		fold: true, words: words, example: words[0],
		ok:    func(v string, _ Op) bool { return slices.Contains(words, v) },
		wants: strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1],
	}
}

func names(example string) keySpec { return keySpec{example: example} }

func numeric(k Key, wants, example string) keySpec {
	return keySpec{
		compares: true, fold: true, wants: wants, example: example,
		ok: func(v string, _ Op) bool { _, ok := Number(k, v); return ok },
	}
}

// keySpecs is the table of the language; it does not change.
var keySpecs = map[Key]keySpec{
	KeyText:    names("Patient"),
	KeyType:    names("Patient"),
	KeyOp:      names("$member-match"),
	KeyMethod:  names("POST"),
	KeyClient:  names("acme-ehr"),
	KeyServer:  names("diamond-payer"),
	KeyChannel: names("acme-ehr~diamond-payer"),
	KeyRule:    names("cardinality-min"),
	KeyProfile: names("us-core-patient"),
	KeyID:      names("019"),
	KeyKind: {
		fold: true, words: kindWords(), example: "search", wants: "an interaction such as read, search, operation, bulk or other",
		ok: func(v string, _ Op) bool { return len(Kinds(v)) > 0 },
	},
	KeyStatus: {
		compares: true, fold: true, example: "404", wants: "a status code, a class such as 4xx, or none",
		ok: func(v string, op Op) bool {
			if op == OpEq && (v == "none" || statusClass(v)) {
				return true
			}
			_, ok := Number(KeyStatus, v)
			return ok
		},
	},
	KeyVerdict: oneOf("pass", "pass-notes", "fail", "not-checked", "error", "pending"),
	KeyFinding: oneOf("error", "warning", "information", "unchecked", "any", "none", "pending"),
	KeySide:    oneOf("client", "server", "both", "tool"),
	KeyFailure: oneOf("yes", "no", string(ReasonUpstreamDown), string(ReasonUpstreamTimeout), string(ReasonUpstreamTLS),
		string(ReasonUpstreamReset), string(ReasonUpstreamInvalid), string(ReasonClientGone), string(ReasonClientTLS), string(ReasonNoChannel), string(ReasonRefused), string(ReasonProxy)),
	KeyTrust:  oneOf(string(TrustInsecure), string(TrustPublic), string(TrustServerCA), string(TrustLocalCA), string(TrustRefused), "none"),
	KeyNumber: numeric(KeyNumber, "the number of an exchange", "121"),
	KeySize:   numeric(KeySize, "bytes, or a size such as 20k or 1M", ">1M"),
	KeyMS:     numeric(KeyMS, "milliseconds, or a time such as 2s", ">500"),
	KeySince:  moment("10m"),
	KeyUntil:  moment("10m"),
}

func moment(example string) keySpec {
	return keySpec{
		example: example, wants: "a time such as 10:30, 2026-01-31, 2026-01-31T10:30, or an age such as 10m, 2h, 3d",
		ok: func(v string, _ Op) bool { _, ok := Moment(v, time.Unix(0, 0).UTC()); return ok },
	}
}

func statusClass(v string) bool {
	return len(v) == 3 && v[0] >= '1' && v[0] <= '5' && strings.EqualFold(v[1:], "xx")
}

// Number is the value of a term with one of the keys status, number, size (bytes) and ms (milliseconds) as a number; false
// for values that are none (a status class, "none").
func Number(k Key, v string) (int64, bool) {
	switch k {
	case KeySize:
		digits := strings.TrimSuffix(strings.ToLower(v), "b")
		unit := int64(1)
		if n := len(digits); n > 0 {
			if i := strings.IndexByte("kmg", digits[n-1]); i >= 0 {
				unit <<= 10 * (i + 1)
				digits = digits[:n-1]
			}
		}
		n, ok := natural(digits)
		if !ok || n > (1<<62)/unit {
			return 0, false
		}
		return n * unit, true
	case KeyMS:
		if d, err := time.ParseDuration(v); err == nil && d >= 0 && v != "0" {
			return d.Milliseconds(), true
		}
	default:
	}
	return natural(v)
}

// natural parses plain digits, without the sign that strconv would take.
func natural(v string) (int64, bool) {
	if v == "" || v[0] == '+' || v[0] == '-' {
		return 0, false
	}
	n, err := strconv.ParseInt(v, 10, 64)
	return n, err == nil
}
