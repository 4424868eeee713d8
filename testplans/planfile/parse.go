package planfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/santhosh-tekuri/jsonschema/v5"

	"fhirwire/testplans"
	"fhirwire/validators/fhirpath"
)

// MaxSize bounds a plan's file, in bytes.
const MaxSize = 256 << 10

// maxDepth bounds how deep a plan nests: the YAML parser takes time that grows with the square of it. A plan needs less than ten.
const maxDepth = 64

// Parse reads and vets a plan. file is its name in the faults; model, which may be nil, is what FHIRPath expressions are compiled
// for. The error joins every *Fault, in the order of the file.
func Parse(file string, src []byte, model fhirpath.Model) (testplans.Plan, error) {
	src = unmarked(src)
	if len(src) > MaxSize {
		return testplans.Plan{}, &Fault{File: file, Line: 1, Column: 1, Message: fmt.Sprintf("the file has more than %d bytes", MaxSize)}
	}
	if line := deepAt(src); line > 0 {
		return testplans.Plan{}, &Fault{File: file, Line: line, Column: 1, Message: fmt.Sprintf("more than %d levels of nesting", maxDepth)}
	}
	root, err := rootOf(file, src)
	if err != nil {
		return testplans.Plan{}, err
	}
	if err := bounded(file, root); err != nil {
		return testplans.Plan{}, err
	}
	p := locate(file, root)

	var tree any
	if err := yaml.UnmarshalWithOptions(src, &tree); err != nil {
		return testplans.Plan{}, syntaxFault(file, src, err)
	}
	if err := compiledSchema().Validate(plain(tree)); err != nil {
		failed, ok := errors.AsType[*jsonschema.ValidationError](err)
		if !ok {
			return testplans.Plan{}, fmt.Errorf("plan %s: schema: %w", file, err)
		}
		return testplans.Plan{}, joined(p.schemaFaults(failed, nil))
	}
	var plan testplans.Plan
	if err := yaml.UnmarshalWithOptions(src, &plan, yaml.Strict()); err != nil {
		return testplans.Plan{}, syntaxFault(file, src, err)
	}
	sum := sha256.Sum256(src)
	plan.Digest = hex.EncodeToString(sum[:])
	v := vetter{places: p, plan: &plan, model: model}
	v.vet()
	return plan, joined(v.faults)
}

// deepAt is the line at which brackets, list markers or indentation pass maxDepth, 0 for none. Brackets in texts count as well, which is
// on the safe side.
func deepAt(src []byte) int {
	open, number := 0, 0
	for line := range strings.Lines(string(src)) {
		number++
		text := strings.TrimLeft(line, " -?:&!|\t")
		if (len(line)-len(text))/2 > maxDepth {
			return number
		}
		for _, c := range text {
			switch c {
			case '[', '{':
				open++
			case ']', '}':
				open = max(0, open-1)
			}
			if open > maxDepth {
				return number
			}
		}
	}
	return 0
}

// unmarked is a text without the byte order mark that some editors begin it with. It is no part of a plan, nor of its digest.
func unmarked(src []byte) []byte { return bytes.TrimPrefix(src, []byte("\xef\xbb\xbf")) }

func rootOf(file string, src []byte) (ast.Node, error) {
	src = unmarked(src)
	doc, err := parser.ParseBytes(src, 0)
	if err != nil {
		return nil, syntaxFault(file, src, err)
	}
	if len(doc.Docs) != 1 || doc.Docs[0].Body == nil {
		return nil, &Fault{File: file, Line: 1, Column: 1, Message: "one plan is expected: a mapping that begins with plan:"}
	}
	return doc.Docs[0].Body, nil
}

// syntaxFault is a fault of YAML or of decoding, whose place the library knows.
func syntaxFault(file string, src []byte, err error) *Fault {
	f := &Fault{File: file, Line: 1, Column: 1, Message: err.Error()}
	if e, ok := errors.AsType[yaml.Error](err); ok {
		f.Message = e.GetMessage()
		if t := e.GetToken(); t != nil && t.Position != nil {
			f.Line, f.Column = t.Position.Line, t.Position.Column
		}
	}
	f.Message = strings.Join(strings.Fields(f.Message), " ")
	f.explain(src)
	return f
}

// plain turns the tree into what a schema validator takes.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case uint64:
		return float64(v) // limits of a plan are far below where this is exact
	}
	return v
}

var (
	extraForm   = regexp.MustCompile(`'([^']*)'`)
	missingForm = regexp.MustCompile(`^missing propert`)
)

// schemaFaults says in the format's words what the schema found.
func (p *places) schemaFaults(e *jsonschema.ValidationError, out []*Fault) []*Fault {
	if len(e.Causes) > 0 {
		for _, c := range e.Causes {
			out = p.schemaFaults(c, out)
		}
		return out
	}
	at := e.InstanceLocation
	switch keyword := e.KeywordLocation[strings.LastIndexByte(e.KeywordLocation, '/')+1:]; keyword {
	case "additionalProperties":
		known := knownAt(e)
		for _, m := range extraForm.FindAllStringSubmatch(e.Message, -1) {
			out = append(out, p.key(at+"/"+escape(m[1]), "unknown key %q; expected %s", m[1], suggest(m[1], known)))
		}
	default:
		message := e.Message
		if missingForm.MatchString(message) {
			message = strings.ReplaceAll(strings.Replace(message, "properties", "key", 1), "'", "")
		}
		out = append(out, p.at(at, "%s: %s", name(at), p.inWords(at, message)))
	}
	return out
}

// knownAt are the keys that the object, of which a schema refused a key, may have.
func knownAt(e *jsonschema.ValidationError) []string {
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
		}
	}
	if s == nil {
		return nil
	}
	known := make([]string, 0, len(s.Properties))
	for k := range s.Properties {
		known = append(known, k)
	}
	slices.Sort(known)
	return known
}

// name is the last word of a pointer, for messages.
func name(pointer string) string {
	if pointer == "" {
		return "the plan"
	}
	segments := strings.Split(pointer, "/")
	last := segments[len(segments)-1]
	if strings.Trim(last, "0123456789") == "" && len(segments) > 2 {
		return segments[len(segments)-2] + " " + last
	}
	return last
}
