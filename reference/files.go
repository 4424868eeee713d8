package reference

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"fhirwire/reference/resources"
	"fhirwire/validators/fhirjson"
)

// maxLoadLine bounds a line of NDJSON in bytes.
const maxLoadLine = 128 << 20

// CheckFiles reports the paths that Files could not read, all at once.
func CheckFiles(paths []string) error {
	var errs []error
	for _, p := range paths {
		if _, err := filesOf(p); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Files reads resources for Load from .ndjson (one a line), and from .json files that hold a resource or a Bundle, whose
// entries come one by one. A folder gives its files by name, its subfolders' too. Each resource says its file and the line it
// starts on; text that is no resource is passed on for Load to reject. A file that cannot be read ends the sequence with an
// error.
func Files(paths []string) iter.Seq2[resources.Incoming, error] {
	return func(yield func(resources.Incoming, error) bool) {
		for _, p := range paths {
			names, err := filesOf(p)
			if err != nil {
				yield(resources.Incoming{}, err)
				return
			}
			for _, name := range names {
				more, err := readFile(name, func(in resources.Incoming) bool { return yield(in, nil) })
				if err != nil {
					yield(resources.Incoming{}, fmt.Errorf("%s: %w", name, err))
					return
				}
				if !more {
					return
				}
			}
		}
	}
}

func filesOf(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var out []string
	err = filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && (isLines(name) || strings.EqualFold(filepath.Ext(name), ".json")) {
			out = append(out, name)
		}
		return err
	})
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("%s: no .json or .ndjson file in this folder", path)
	}
	return out, err
}

func isLines(name string) bool {
	ext := strings.ToLower(filepath.Ext(name))
	return ext == ".ndjson" || ext == ".jsonl"
}

func readFile(name string, emit func(resources.Incoming) bool) (more bool, err error) {
	f, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close() //nolint:errcheck // only read
	if !isLines(name) {
		src, err := io.ReadAll(bufio.NewReader(f))
		if err != nil {
			return false, err
		}
		return emitDocument(name, src, emit), nil
	}
	lines := fhirjson.NewLineScanner(f, maxLoadLine)
	for lines.Scan() {
		l := lines.Line()
		if len(bytes.TrimSpace(l.Bytes)) == 0 {
			continue
		}
		if !emit(resources.Incoming{Body: bytes.Clone(l.Bytes), Source: name, Line: l.Position.Line + 1}) {
			return false, nil
		}
	}
	return true, lines.Err()
}

// emitDocument gives the resource of a file, or the entries of the Bundle that it is. An entry that another one calls by a
// urn:uuid gets that as its id.
func emitDocument(name string, src []byte, emit func(resources.Incoming) bool) bool {
	doc := fhirjson.Parse(src)
	defer doc.Release()
	root := doc.Root()
	if len(doc.Problems()) > 0 || root == nil || root.ResourceType() != "Bundle" {
		lead := src[:len(src)-len(bytes.TrimLeft(src, " \t\r\n"))]
		return emit(resources.Incoming{Body: src, Source: name, Line: 1 + bytes.Count(lead, []byte("\n"))})
	}
	calls := urns(root)
	for e := root.Member("entry").FirstOrNil(); e != nil; e = e.Next() {
		r := e.Member("resource")
		if r == nil {
			continue // a request or a response without one
		}
		in := resources.Incoming{Body: bytes.Clone(r.Raw()), Source: name, Line: r.Position().Line}
		for urn, ref := range calls {
			in.Body = bytes.ReplaceAll(in.Body, []byte(`"`+urn+`"`), []byte(`"`+ref+`"`))
		}
		if r.MemberText("id") == "" {
			_, id, _ := strings.Cut(calls[e.MemberText("fullUrl")], "/")
			in.ID = strings.Clone(id)
		}
		if !emit(in) {
			return false
		}
	}
	return true
}

// urns are the references that a Bundle's temporary names stand for.
func urns(bundle *fhirjson.Node) map[string]string {
	out := map[string]string{}
	for e := bundle.Member("entry").FirstOrNil(); e != nil; e = e.Next() {
		urn := e.MemberText("fullUrl")
		uuid, ok := strings.CutPrefix(urn, "urn:uuid:")
		r := e.Member("resource")
		if !ok || r == nil {
			continue
		}
		id := r.MemberText("id")
		if id == "" {
			id = uuid
		}
		out[strings.Clone(urn)] = r.ResourceType() + "/" + id
	}
	return out
}
