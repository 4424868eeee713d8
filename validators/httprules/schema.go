package httprules

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"fhirwire/validators"
)

//go:embed schemas/*.json
var schemaFiles embed.FS

// compiledSchemas compiles each schema once; they are part of the program, so one that does not compile is a programming
// error that the package's tests meet.
var compiledSchemas = sync.OnceValue(func() map[string]*jsonschema.Schema {
	entries, err := schemaFiles.ReadDir("schemas")
	if err != nil {
		panic(err)
	}
	out := make(map[string]*jsonschema.Schema, len(entries))
	for _, e := range entries {
		src, err := schemaFiles.ReadFile("schemas/" + e.Name())
		if err != nil {
			panic(err)
		}
		out[e.Name()] = jsonschema.MustCompileString(e.Name(), string(src))
	}
	return out
})

// checkSchema reports each place where content breaks the named schema. It does not run over faulty JSON: that is reported as
// what it is.
func checkSchema(name string, content Content, part validators.Part, report func(finding)) {
	root := content.Root()
	if content.Doc.Fatal() != nil {
		return
	}
	dec := json.NewDecoder(bytes.NewReader(root.Raw()))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return
	}
	var failed *jsonschema.ValidationError
	if err := compiledSchemas()[name].Validate(v); !errors.As(err, &failed) {
		return
	}
	for _, leaf := range leaves(failed, nil) {
		at := root.At(leaf.InstanceLocation)
		if at == nil {
			at = root
		}
		place := strings.TrimPrefix(leaf.InstanceLocation, "/")
		if place == "" {
			place = "the object"
		}
		report(finding{
			part: part, at: at, message: fmt.Sprintf("In %s: %s.", place, leaf.Message), expected: expectation(leaf),
			doNext: "Compare the answer with the members that the specification requires.",
		})
	}
}

func leaves(e *jsonschema.ValidationError, out []*jsonschema.ValidationError) []*jsonschema.ValidationError {
	if len(e.Causes) == 0 {
		return append(out, e)
	}
	for _, c := range e.Causes {
		out = leaves(c, out)
	}
	return out
}

func expectation(e *jsonschema.ValidationError) string {
	if i := strings.LastIndexByte(e.KeywordLocation, '/'); i >= 0 {
		return e.KeywordLocation[i+1:] + " of the schema " + e.AbsoluteKeywordLocation[:strings.IndexByte(e.AbsoluteKeywordLocation+"#", '#')]
	}
	return ""
}
