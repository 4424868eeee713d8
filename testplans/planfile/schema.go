package planfile

import (
	_ "embed"
	"slices"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

//go:embed plan.schema.json
var schemaText []byte

// Schema is the JSON Schema of the plan format, for editors and other tools.
func Schema() []byte { return slices.Clone(schemaText) }

// compiledSchema is part of the program: one that does not compile is a programming error, which the package's tests meet.
var compiledSchema = sync.OnceValue(func() *jsonschema.Schema {
	return jsonschema.MustCompileString("plan.schema.json", string(schemaText))
})
