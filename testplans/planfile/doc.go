// Package planfile reads test plans: YAML, strict, with the place of every fault.
//
// Parse reads and vets one plan against the JSON Schema of the format (Schema) and against what a schema cannot say: names that are
// unique, steps and variables that exist, expressions and patterns that compile. Examples reads the archive of example traffic beside a
// plan. It judges nothing and reads no files.
package planfile
