package fhirpath

import (
	"maps"
	"slices"
)

// FunctionNames are the names of all functions, sorted: what a misspelt one may have been meant as.
func FunctionNames() []string { return slices.Sorted(maps.Keys(functions)) }
