package plans

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

//go:embed */*/*.yaml */*/*.txtar
var files embed.FS

// File is a built-in plan's source with its example traffic.
type File struct {
	// Path is GUIDE/VERSION/TOPIC.yaml.
	Path     string
	Source   []byte
	Examples []byte
}

// ExamplesPath is the name of the example traffic's file beside a plan's.
func ExamplesPath(plan string) string { return strings.TrimSuffix(plan, path.Ext(plan)) + ".txtar" }

// All is every built-in plan, sorted by path.
func All() ([]File, error) {
	names, err := fs.Glob(files, "*/*/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("built-in plans: %w", err)
	}
	out := make([]File, 0, len(names))
	for _, name := range names {
		source, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("built-in plan: %w", err)
		}
		examples, err := files.ReadFile(ExamplesPath(name))
		if err != nil {
			return nil, fmt.Errorf("examples of built-in plan: %w", err)
		}
		out = append(out, File{Path: name, Source: source, Examples: examples})
	}
	return out, nil
}
