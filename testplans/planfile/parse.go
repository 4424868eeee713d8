package planfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
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
	sum := sha256.Sum256(unmarked(src))
	if len(src) > MaxSize {
		return testplans.Plan{}, &Fault{File: file, Line: 1, Column: 1, Message: fmt.Sprintf("the file has more than %d bytes", MaxSize)}
	}
	src, fault := readable(file, src)
	if fault != nil {
		return testplans.Plan{}, fault
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
	p := locate(file, src, root)

	var tree any // from the nodes that are there: the YAML parser takes most of the time
	if err := yaml.NodeToValue(root, &tree); err != nil {
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
	if err := yaml.NodeToValue(root, &plan, yaml.Strict()); err != nil {
		return testplans.Plan{}, syntaxFault(file, src, err)
	}
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
	doc, err := parser.ParseBytes(src, 0)
	if err != nil {
		return nil, syntaxFault(file, src, err)
	}
	const want = "expected one plan, which begins with plan: and its name"
	if len(doc.Docs) > 1 && doc.Docs[0].Body != nil {
		f := &Fault{File: file, Line: 1, Column: 1, Message: "a second document begins here; " + want}
		if t := doc.Docs[1].Start; t != nil {
			f.Line, f.Column = t.Position.Line, t.Position.Column
		}
		return nil, f
	}
	if len(doc.Docs) != 1 || doc.Docs[0].Body == nil {
		return nil, &Fault{File: file, Line: 1, Column: 1, Message: "there is nothing in the file; " + want}
	}
	if tag := firstTag(doc.Docs[0].Body); tag != nil {
		return nil, &Fault{File: file, Line: tag.Position.Line, Column: tag.Position.Column, Message: fmt.Sprintf("the tag %s; a plan has none, expected the value alone", tag.Value)}
	}
	return doc.Docs[0].Body, nil
}

// firstTag is the first tag of a document, nil for none: it makes another value of a text than is written.
func firstTag(root ast.Node) *token.Token {
	var tag *token.Token
	ast.Walk(visit(func(n ast.Node) bool {
		if t, ok := n.(*ast.TagNode); ok && tag == nil {
			tag = t.GetToken()
		}
		return tag == nil
	}), root)
	return tag
}

// visit is asked of each node whether to go on below it.
type visit func(ast.Node) bool

// Visit implements ast.Visitor.
func (v visit) Visit(n ast.Node) ast.Visitor {
	if v(n) {
		return v
	}
	return nil
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

var extraForm = regexp.MustCompile(`'([^']*)'`)

// schemaFaults says in the format's words what the schema found.
func (p *places) schemaFaults(e *jsonschema.ValidationError, out []*Fault) []*Fault {
	if len(e.Causes) > 0 {
		for _, c := range e.Causes {
			out = p.schemaFaults(c, out)
		}
		return out
	}
	at := e.InstanceLocation
	keyword := e.KeywordLocation[strings.LastIndexByte(e.KeywordLocation, '/')+1:]
	if of, key, ok := cutLast(at); ok && strings.Contains(e.KeywordLocation, "/propertyNames/") {
		if s := schemaAt(e); s != nil && s.Pattern != nil {
			return append(out, p.key(at, "the key %q of %s is not as expected: %s", key, p.name(of), patternWords[s.Pattern.String()]))
		}
	}
	if keyword != "additionalProperties" {
		return append(out, p.at(at, "%s: %s", p.name(at), p.inWords(e, keyword)))
	}
	var known []string
	if s := schemaAt(e); s != nil {
		known = propertiesOf(s)
	}
	for _, m := range extraForm.FindAllStringSubmatch(e.Message, -1) {
		out = append(out, p.key(at+"/"+escape(m[1]), "unknown key %q; expected %s", m[1], suggest(m[1], known)))
	}
	return out
}

// cutLast takes the last word off a pointer.
func cutLast(pointer string) (of, last string, ok bool) {
	i := strings.LastIndexByte(pointer, '/')
	if i < 0 {
		return "", "", false
	}
	return pointer[:i], pointer[i+1:], true
}

// singular are what the items of lists are called.
var singular = map[string]string{"steps": "step", "checks": "check", "acts": "act", "unplayed": "step"}

// name is what a value is called in messages: its key, or the step, check or act with its name.
func (p *places) name(pointer string) string {
	if pointer == "" {
		return "the plan"
	}
	segments := strings.Split(pointer, "/")
	last := segments[len(segments)-1]
	if strings.Trim(last, "0123456789") != "" || len(segments) < 3 {
		return last
	}
	list := segments[len(segments)-2]
	if key, ok := singular[list]; ok {
		if id := p.textAt(pointer + "/" + key); id != "" {
			return key + " " + id
		}
		return key + " without a name"
	}
	return list
}
