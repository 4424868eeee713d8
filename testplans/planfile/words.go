package planfile

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"fhirwire/validators/fhirpath"
	"fhirwire/validators/profile"
)

// patternWords say what the schema's patterns ask for.
var patternWords = map[string]string{
	`^(/[^/]+)*$`:                      "a JSON Pointer, /output/0/url; * stands for each item",
	`^(/[^/]+)+$`:                      "a JSON Pointer, /output/0/url",
	`^[a-z0-9]+(-[a-z0-9]+)*$`:         "lower-case letters and digits with hyphens between them, payer-to-payer-2",
	`^[A-Za-z][A-Za-z0-9]*$`:           "a letter, then letters and digits",
	`^([1-5][0-9][0-9]|[1-5]xx)$`:      `a status, "200", or a class of them, "4xx"`,
	`^\$[a-z][a-z-]*$`:                 "an operation with its $, $member-match",
	`^[A-Z][A-Z0-9]*(-[A-Za-z0-9]+)+$`: "the id of a requirement, P2P-SC-40",
}

var (
	patternForm = regexp.MustCompile(`^does not match pattern '(.*)'$`)
	enumForm    = regexp.MustCompile(`^value must be one of (".*")$`)
	anchorForm  = regexp.MustCompile(`(?:alias|alias name) "?([^"\s]+)"?$`)
)

// inWords says of a value what the schema says in its own terms.
func (p *places) inWords(at, message string) string {
	got := ""
	if n, ok := p.nodes[at].(*ast.StringNode); ok {
		got = n.Value
	}
	if m := patternForm.FindStringSubmatch(message); m != nil {
		// The library writes the pattern as a quoted text.
		if words := patternWords[strings.ReplaceAll(m[1], `\\`, `\`)]; words != "" {
			return fmt.Sprintf("%q is not as expected: %s", got, words)
		}
	}
	if m := enumForm.FindStringSubmatch(message); m != nil && got != "" {
		known := strings.Split(strings.Trim(m[1], `"`), `", "`)
		return fmt.Sprintf("%q is not known; expected %s", got, suggest(got, known))
	}
	return message
}

// explain gives a fault of YAML its place, where the library does not know it, and plain words.
func (f *Fault) explain(src []byte) {
	if m := anchorForm.FindStringSubmatch(f.Message); m != nil {
		if line, column, ok := placeOf(src, "*"+m[1]); ok {
			f.Line, f.Column = line, column
		}
		f.Message = fmt.Sprintf("no anchor &%s stands before this", m[1])
		return
	}
	for i, line := range bytes.Split(src, []byte("\n")) {
		blank := line[:len(line)-len(bytes.TrimLeft(line, " \t"))]
		if at := bytes.IndexByte(blank, '\t'); at >= 0 && len(blank) < len(line) && i+1 <= f.Line {
			f.Line, f.Column, f.Message = i+1, at+1, "a tab; YAML is indented with spaces"
			return
		}
	}
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
			v.add(v.at(fmt.Sprintf("%s/%d", at, i), "%q is no resource type; expected one such as Patient, in its own letters", name))
		}
	}
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
