package web

import (
	"bytes"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"fhirwire/proxy"
	"fhirwire/validators"
	"fhirwire/web/views"
)

// formField is a parameter of a form, or a claim of the signed token in one.
type formField struct {
	name  string
	line  int
	claim bool
}

func isForm(h proxy.Header) bool {
	return strings.Contains(strings.ToLower(h.Get("Content-Type")), "x-www-form-urlencoded")
}

// formLayout shows a form one parameter a line, decoded, and under a signed token the claims that were kept of it.
func formLayout(src []byte) (*layout, []formField) {
	l := &layout{src: src}
	var fields []formField
	add := func(name string, start, end, depth int, claim bool, spans ...views.Span) {
		fields = append(fields, formField{name: name, line: len(l.lines), claim: claim})
		l.lines = append(l.lines, segment{start: start, end: end, number: len(l.lines) + 1, depth: depth, spans: append([]views.Span{{Text: strings.Repeat("  ", depth)}}, spans...)})
	}
	for start := 0; start < len(src) && len(l.lines) < maxLines; {
		end, next := len(src), len(src)
		if n := bytes.IndexByte(src[start:], '&'); n >= 0 {
			end, next = start+n, start+n+1
		}
		raw, value, _ := strings.Cut(string(src[start:end]), "=")
		name, text := unescaped(raw), unescaped(value)
		claims := claimsOf(text)
		if claims != nil {
			text, _, _ = strings.Cut(text, " ")
		}
		add(name, start, end, 0, false, views.Span{Class: "k", Text: tokenText([]byte(name))}, views.Span{Class: "p", Text: "="}, views.Span{Class: "s", Text: tokenText([]byte(text))})
		for _, c := range claims {
			add(c[0], end, end, 1, true, views.Span{Class: "k", Text: tokenText([]byte(c[0]))}, views.Span{Class: "p", Text: ":"}, views.Span{Text: " "}, views.Span{Class: "s", Text: tokenText([]byte(c[1]))})
		}
		start = next
	}
	return l, fields
}

func unescaped(s string) string {
	if text, err := url.QueryUnescape(s); err == nil {
		return text
	}
	return s
}

// claimsOf are the claims in what stands for a signed token, in their order; nil when it is no such text.
func claimsOf(text string) [][2]string {
	if _, claims, ok := proxy.ReadMasked(text); !ok || claims == nil {
		return nil
	}
	_, kept, _ := strings.Cut(text, " jwt")
	d := json.NewDecoder(strings.NewReader(kept))
	if _, err := d.Token(); err != nil {
		return nil
	}
	var out [][2]string
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return out
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return out
		}
		key, _ := name.(string)
		out = append(out, [2]string{key, string(value)})
	}
	return out
}

// claimWords are claims as sentences call them.
var claimWords = map[string]string{"aud": "audience", "iss": "issuer", "sub": "subject", "exp": "expires", "iat": "issued"}

// formLine is the line of the parameter or the claim that an issue speaks of, -1 for none.
func formLine(fields []formField, is *validators.Issue) int {
	line, longest := -1, 0
	said := is.Message + " " + is.Expression
	for _, f := range fields {
		if !f.claim && len(f.name) > longest && mentions(said, f.name) {
			line, longest = f.line, len(f.name)
		}
	}
	if line < 0 {
		return -1
	}
	for _, f := range fields[line+1:] {
		if !f.claim {
			break
		}
		if mentions(said, f.name) || claimWords[f.name] != "" && mentions(said, claimWords[f.name]) {
			return f.line
		}
	}
	return line
}

// mentions says that a name stands in a text as a word.
func mentions(text, name string) bool {
	text, name = strings.ToLower(text), strings.ToLower(name)
	for name != "" {
		before, after, ok := strings.Cut(text, name)
		if !ok {
			return false
		}
		if !endsInWord.MatchString(before) && !beginsWithWord.MatchString(after) {
			return true
		}
		text = after
	}
	return false
}

var (
	endsInWord     = regexp.MustCompile(`[\w-]$`)
	beginsWithWord = regexp.MustCompile(`^(\w|-\w)`)
	namedField     = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*): `)
	namedHeader    = regexp.MustCompile(`\b([A-Z][A-Za-z0-9-]*) header\b|\bheader ([A-Z][A-Za-z0-9-]*)\b`)
)

// headerOf is the header field that an issue speaks of: one of the message, or one that is missing from it; empty for none.
func headerOf(is *validators.Issue, h proxy.Header) string {
	for _, text := range []string{is.Expected, is.Found} {
		if m := namedField.FindStringSubmatch(text); m != nil {
			return m[1]
		}
	}
	for _, text := range []string{is.Message, is.DoNext} {
		if m := namedHeader.FindStringSubmatch(text); m != nil {
			return m[1] + m[2]
		}
	}
	for _, f := range h {
		if mentions(is.Message, f.Name) {
			return f.Name
		}
	}
	return ""
}

// fieldFindings are the findings on a header field.
type fieldFindings struct {
	name string
	list []views.Finding
}

// headerRows are the fields of a message with the findings on them; a field that a finding misses gets a row of its own.
func headerRows(h proxy.Header, on []fieldFindings) []views.HeaderRow {
	rows := make([]views.HeaderRow, 0, len(h)+len(on))
	for _, f := range h {
		rows = append(rows, views.HeaderRow{Name: visible([]byte(f.Name)), Value: visible([]byte(f.Value))})
	}
	for _, o := range on {
		at := slices.IndexFunc(h, func(f proxy.Field) bool { return strings.EqualFold(f.Name, o.name) })
		if at < 0 {
			at = len(rows)
			rows = append(rows, views.HeaderRow{Name: visible([]byte(o.name)), Missing: true})
		}
		rows[at].Mark, rows[at].Findings = o.list[0].Severity, o.list
	}
	return rows
}
