package directory

import (
	"encoding/json"
	"io/fs"
	"slices"
	"strings"
)

type entry struct {
	Entry []struct {
		Resource struct {
			ResourceType string
			ID           string
			Identifier   []struct{ Value string }
		}
	}
}

// Names reports whether the directory gives name to an organization that has one of these identifier values too: as another of its
// identifiers or as its reference, "Organization/id". Files that cannot be read name nobody.
func Names(files fs.FS, name string, values []string) bool {
	found := false
	_ = fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil //nolint:nilerr // what cannot be listed is passed over
		case d.IsDir() && path != "." && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.IsDir() || !servable(path):
			return nil
		}
		if info, err := d.Info(); err != nil || info.Size() > maxFile {
			return nil //nolint:nilerr // as above
		}
		body, err := fs.ReadFile(files, path)
		if err != nil {
			return nil //nolint:nilerr // as above
		}
		var b entry
		if json.Unmarshal(body, &b) != nil {
			return nil
		}
		for _, e := range b.Entry {
			r := e.Resource
			has := func(want func(string) bool) bool {
				return slices.ContainsFunc(r.Identifier, func(i struct{ Value string }) bool { return i.Value != "" && want(i.Value) })
			}
			if r.ResourceType == "Organization" && has(func(v string) bool { return slices.Contains(values, v) }) &&
				(name == "Organization/"+r.ID || has(func(v string) bool { return v == name })) {
				found = true
				return fs.SkipAll
			}
		}
		return nil
	})
	return found
}
