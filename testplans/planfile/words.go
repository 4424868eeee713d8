package planfile

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
	"github.com/santhosh-tekuri/jsonschema/v5"

	"fhirwire/validators/fhirpath"
	"fhirwire/validators/profile"
)

// patternWords say what the schema's patterns ask for.
var patternWords = map[string]string{
	`^(/[^/]+)*$`:                      "a JSON Pointer, /output/0/url; * stands for each item",
	`^(/[^/]+)+$`:                      "a JSON Pointer, /output/0/url",
	`^[a-z0-9]+(-[a-z0-9]+)*$`:         "lower-case letters and digits with hyphens between them, payer-to-payer-2",
	`^[a-z0-9]+([.-][a-z0-9]+)*$`:      "the name of a package, hl7.fhir.us.core",
	`^[A-Za-z][A-Za-z0-9]*$`:           "a letter, then letters and digits",
	`^([1-5][0-9][0-9]|[1-5]xx)$`:      `a status, "200", or a class of them, "4xx"`,
	`^\$[a-z][a-z-]*$`:                 "an operation with its $, $member-match",
	`^[A-Z][A-Z0-9]*(-[A-Za-z0-9]+)+$`: "the id of a requirement, P2P-SC-40",
}

var anchorForm = regexp.MustCompile(`(?:alias|alias name) "?([^"\s]+)"?$`)

// schemaForms are what the schema's validator says, and what to say instead. $1 and on are the parts that the expression finds.
var schemaForms = []struct {
	form *regexp.Regexp
	say  string
}{
	{regexp.MustCompile(`^missing propert(?:y|ies): (.*)$`), "missing key: $1"},
	{regexp.MustCompile(`^length must be >= 1,.*$`), "expected a text that is not empty"},
	{regexp.MustCompile(`^minimum 1 items required,.*$`), "expected one item at least; leave the key out where there is none"},
	{regexp.MustCompile(`^must be >= (\S+) but found (\S+)$`), "expected $1 or more, not $2"},
	{regexp.MustCompile(`^must be <= (\S+) but found (\S+)$`), "expected $1 or less, not $2"},
	{regexp.MustCompile(`^expected (\w+), but got null$`), "expected a value; there is none"},
	{regexp.MustCompile(`^expected boolean, but got \w+$`), "expected true or false"},
	{regexp.MustCompile(`^expected integer, but got \w+$`), "expected a whole number, without quotes or a unit"},
	{regexp.MustCompile(`^expected array, but got object$`), "expected a list: items in [ ], or lines that begin with a dash"},
	{regexp.MustCompile(`^expected string, but got array$`), "expected a text, not a list"},
	{regexp.MustCompile(`^expected string, but got object$`), "expected a text, not keys; put a text that has a colon in quotes"},
}

// inWords says of a value what the schema says in its own terms.
func (p *places) inWords(e *jsonschema.ValidationError, keyword string) string {
	at, message := e.InstanceLocation, e.Message
	s, got := schemaAt(e), p.textAt(at)
	_, quoted := p.nodes[at].(*ast.StringNode)
	switch {
	case keyword == "pattern" && s != nil && s.Pattern != nil && patternWords[s.Pattern.String()] != "":
		return fmt.Sprintf("%q is not as expected: %s", got, patternWords[s.Pattern.String()])
	case keyword == "enum" && s != nil && got != "":
		known := make([]string, len(s.Enum))
		for i, v := range s.Enum {
			known[i] = fmt.Sprint(v)
		}
		if !quoted && slices.Contains(known, got) {
			return fmt.Sprintf("expected a text; write \"%s\" in quotes", got)
		}
		return fmt.Sprintf("%q is not known; expected %s", got, suggest(got, known))
	case keyword == "minProperties" && s != nil:
		return "expected at least one more key of " + strings.Join(propertiesOf(s), ", ")
	case keyword == "type" && got != "" && strings.HasPrefix(message, "expected string,"):
		return fmt.Sprintf("expected a text; write \"%s\" in quotes", got)
	case keyword == "type" && got != "" && strings.HasPrefix(message, "expected array,"):
		return fmt.Sprintf("expected a list: [%s]", p.asWritten(at))
	case keyword == "type" && strings.HasPrefix(message, "expected object,") && s != nil && len(s.Properties) > 0:
		return "expected keys of its own, of " + strings.Join(propertiesOf(s), ", ")
	}
	message = strings.ReplaceAll(message, "'", "")
	for _, f := range schemaForms {
		if f.form.MatchString(message) {
			return f.form.ReplaceAllString(message, f.say)
		}
	}
	return message
}

// textAt is a single value as the document has it, "" for lists, mappings and nothing.
func (p *places) textAt(at string) string {
	switch n := p.nodes[at].(type) {
	case *ast.StringNode:
		return n.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value
	}
	return ""
}

// asWritten is a single value with the quotes that it needs in a list.
func (p *places) asWritten(at string) string {
	n, t := p.nodes[at], p.values[at]
	if _, text := n.(*ast.StringNode); text && (t.Type == token.SingleQuoteType || t.Type == token.DoubleQuoteType || strings.ContainsAny(t.Value, ",[]{}#:")) || !text {
		return strconv.Quote(t.Value)
	}
	return t.Value
}

// schemaAt is the part of the schema that refused a value.
func schemaAt(e *jsonschema.ValidationError) *jsonschema.Schema {
	s := compiledSchema()
	segments := strings.Split(strings.TrimPrefix(e.KeywordLocation, "/"), "/")
	for i := 0; i < len(segments) && s != nil; i++ {
		switch segments[i] {
		case "properties":
			if i++; i < len(segments) {
				s = s.Properties[segments[i]]
			}
		case "items":
			s = s.Items2020
		case "$ref":
			s = s.Ref
		case "propertyNames":
			s = s.PropertyNames
		case "additionalProperties":
			if more, ok := s.AdditionalProperties.(*jsonschema.Schema); ok {
				s = more
			}
		}
	}
	return s
}

func propertiesOf(s *jsonschema.Schema) []string { return slices.Sorted(maps.Keys(s.Properties)) }

// syntaxForms are what the parser says of YAML, and what to say instead.
var syntaxForms = []struct {
	form *regexp.Regexp
	say  string
}{
	{regexp.MustCompile(`^non-map value is specified$`), "expected KEY: VALUE, with a space behind the colon"},
	{regexp.MustCompile(`^mapping value is not allowed in this context$`), "one value too many: expected quotes around a text that has a colon and a space, and the same indentation for keys of one mapping"},
	{regexp.MustCompile(`^value is not allowed in this context.*$`), "this does not belong here; expected the indentation of the lines around it, or a bracket less"},
	{regexp.MustCompile(`^',' or '([\]}])' must be specified$`), "expected a comma or $1 here"},
	{regexp.MustCompile(`^'(.)' is a reserved character$`), "a text cannot begin with $1; expected quotes around it"},
	{regexp.MustCompile(`^found unknown escape character '(.)'$`), "\\$1 is no escape; expected \\\\, or single quotes around the text"},
	{regexp.MustCompile(`^mapping key (".*") already defined at \[(\d+):\d+\]$`), "the key $1 is there already, in line $2; expected it once"},
	{regexp.MustCompile(`^could not find flow map content$`), "a brace within a brace; expected KEY: VALUE"},
	{regexp.MustCompile(`^could not find end character of double-quoted text$`), "the quote that begins here is not closed; expected \""},
	{regexp.MustCompile(`^could not find end character of single-quoted text$`), "the quote that begins here is not closed; expected '"},
}

// explain gives a fault of YAML its place, where the library does not know it, and plain words.
func (f *Fault) explain(src []byte) {
	lines := bytes.Split(src, []byte("\n"))
	if m := anchorForm.FindStringSubmatch(f.Message); m != nil {
		if line, column, ok := placeOf(src, "*"+m[1]); ok {
			f.Line, f.Column = line, column
		}
		f.Message = fmt.Sprintf("no anchor &%s stands before this", m[1])
		return
	}
	for i, line := range lines {
		blank := line[:len(line)-len(bytes.TrimLeft(line, " \t"))]
		if at := bytes.IndexByte(blank, '\t'); at >= 0 && len(blank) < len(line) && i+1 <= f.Line {
			f.Line, f.Column, f.Message = i+1, at+1, "a tab; YAML is indented with spaces"
			return
		}
	}
	if f.Line <= len(lines) {
		f.move(lines)
	}
	for _, s := range syntaxForms {
		if s.form.MatchString(f.Message) {
			f.Message = s.form.ReplaceAllString(f.Message, s.say)
			return
		}
	}
}

// move puts a fault of YAML where the mistake is, which the parser meets later or has passed already.
func (f *Fault) move(lines [][]byte) {
	text := bytes.TrimSpace(lines[f.Line-1])
	switch {
	case strings.Contains(f.Message, "must be specified"):
		if line, column, bracket := unclosed(lines[:f.Line-1]); line > 0 {
			f.Message = fmt.Sprintf("the %c that stands here is not closed; expected %c or a comma before line %d", bracket, closing[bracket], f.Line)
			f.Line, f.Column = line, column
		}
	case strings.HasPrefix(f.Message, "value is not allowed") && len(text) > 1 && text[0] == '-' && text[1] != ' ':
		f.Message = "a dash without a space behind it; expected - and a space before an item"
	case strings.HasPrefix(f.Message, "mapping value is not allowed") && bytes.Count(text, []byte(": ")) < 2 && f.Line < len(lines):
		next := lines[f.Line]
		f.Line, f.Column = f.Line+1, len(next)-len(bytes.TrimLeft(next, " "))+1
		f.Message = "this line is indented further than the one before, which has its value already; expected the same indentation"
	}
}

var closing = map[byte]byte{'[': ']', '{': '}'}

// unclosed is the place of the last bracket that is open at the end of lines, 0 for none. Brackets in quotes and comments do not count.
func unclosed(lines [][]byte) (line, column int, bracket byte) {
	type place struct {
		line, column int
		bracket      byte
	}
	var open []place
	for n, text := range lines {
		quote := byte(0)
		for i, c := range text {
			switch {
			case quote != 0:
				if c == quote && (c == '\'' || text[i-1] != '\\') {
					quote = 0
				}
			case c == '#' && (i == 0 || text[i-1] == ' '):
				text = nil
			case (c == '"' || c == '\'') && i > 0 && strings.IndexByte(" [{,", text[i-1]) >= 0:
				quote = c
			case (c == '[' || c == '{') && (len(open) > 0 || i > 0 && (text[i-1] == ' ' || text[i-1] == '[' || text[i-1] == '{')):
				open = append(open, place{n + 1, i + 1, c})
			case (c == ']' || c == '}') && len(open) > 0:
				open = open[:len(open)-1]
			}
			if text == nil {
				break
			}
		}
	}
	if len(open) == 0 {
		return 0, 0, 0
	}
	last := open[len(open)-1]
	return last.line, last.column, last.bracket
}

func placeOf(src []byte, word string) (line, column int, ok bool) {
	for i, text := range bytes.Split(src, []byte("\n")) {
		if at := bytes.Index(text, []byte(word)); at >= 0 {
			return i + 1, at + 1, true
		}
	}
	return 0, 0, false
}

// types vets that the types of a select are resource types.
func (v *vetter) types(at string, list []string) {
	if v.model == nil {
		return
	}
	if _, all := v.model.Type("Patient"); !all {
		return
	}
	for i, name := range list {
		if t, ok := v.model.Type(name); !ok || t.Kind != fhirpath.ResourceType {
			want := "one such as Patient, in its own letters"
			if best := nearest(name, v.resourceTypes()); best != "" {
				want = best
			}
			v.add(v.at(fmt.Sprintf("%s/%d", at, i), "%q is no resource type; expected %s", name, want))
		}
	}
}

// resourceTypes are those of the model, none where it does not list them.
func (v *vetter) resourceTypes() []string {
	if lists, ok := v.model.(interface{ ResourceTypes() []string }); ok {
		return lists.ResourceTypes()
	}
	return nil
}

// profiled vets that a profile is at hand, where the model knows profiles.
func (v *vetter) profiled(at, canonical string) {
	known, ok := v.model.(interface {
		Profile(canonical string) (*profile.Profile, bool)
	})
	if !ok || canonical == "" {
		return
	}
	if _, ok := known.Profile(canonical); !ok {
		v.add(v.at(at, "no guide at hand has the profile %s; add its guide, or correct the URL", canonical))
	}
}
