package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
)

// expand turns the arguments into input names in order: "-" stays, folders give their .json and .ndjson files, .gz or not, globs what they
// match. An argument that leads to nothing is an error.
func expand(args []string) ([]string, error) {
	var out []string
	for _, a := range args {
		if a == "-" {
			out = append(out, a)
			continue
		}
		info, err := os.Stat(a)
		switch {
		case err == nil && info.IsDir():
			found, err := filesBelow(a, true)
			if err != nil {
				return nil, err
			}
			if len(found) == 0 {
				return nil, fmt.Errorf("%s: no .json or .ndjson file in this folder", a)
			}
			out = append(out, found...)
		case err == nil:
			out = append(out, a)
		default:
			matches, globErr := filepath.Glob(a)
			if globErr != nil || len(matches) == 0 {
				return nil, err
			}
			slices.Sort(matches)
			out = append(out, matches...)
		}
	}
	return out, nil
}

// filesBelow lists the .json and .ndjson files of a folder; zipped: also those with .gz behind it.
func filesBelow(dir string, zipped bool) ([]string, error) {
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.IsDir() && (unzippedExt(path) == ".json" || isNDJSON(path)) && (zipped || !strings.HasSuffix(strings.ToLower(path), ".gz")) {
			out = append(out, path)
		}
		return nil
	})
	return out, err
}

// unzippedExt is the extension of a file, of one that ends with .gz the one before.
func unzippedExt(name string) string {
	return filepath.Ext(strings.TrimSuffix(strings.ToLower(name), ".gz"))
}

func isNDJSON(name string) bool {
	ext := unzippedExt(name)
	return ext == ".ndjson" || ext == ".jsonl"
}

// readInput emits the resources of one input. It returns false when emit wants no more.
func readInput(name string, p *process, emit func(*job) bool) bool {
	fail := func(err error) bool { return emit(&job{result: result{source: name, err: err}}) }
	src := p.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return fail(err)
		}
		defer func() { _ = f.Close() }()
		src = f
	}
	r := bufio.NewReaderSize(src, 64<<10)
	file := name
	if magic, _ := r.Peek(2); string(magic) == "\x1f\x8b" {
		unzipped, err := gzip.NewReader(r)
		if err != nil {
			return fail(fmt.Errorf("%s: %w", name, err))
		}
		r, file = bufio.NewReaderSize(unzipped, 64<<10), "-"
	}
	if isNDJSON(name) || manyLines(r) {
		return readLines(name, r, emit)
	}
	l, data, err := newLarge(file, r)
	if err != nil {
		return fail(fmt.Errorf("%s: %w", name, err))
	}
	if l != nil {
		if !emit(&job{result: result{source: name, line: 1}, large: l}) {
			_ = l.close()
			return false
		}
		return true
	}
	return emit(&job{result: result{source: name, line: firstLine(data)}, bytes: data})
}

// firstLine is the line on which the value of data starts.
func firstLine(data []byte) int {
	lead := data[:len(data)-len(bytes.TrimLeft(data, " \t\r\n"))]
	return 1 + bytes.Count(lead, []byte("\n"))
}

// manyLines reports whether the input has a whole JSON object on its first line and another one behind it. A first line
// longer than the reader's buffer counts as one document.
func manyLines(r *bufio.Reader) bool {
	head, _ := r.Peek(r.Size())
	line, rest, found := bytes.Cut(head, []byte("\n"))
	line = bytes.TrimSpace(line)
	if !found || len(line) == 0 || line[0] != '{' {
		return false
	}
	doc := fhirjson.Parse(line)
	defer doc.Release()
	rest = bytes.TrimLeft(rest, " \t\r\n")
	return doc.Fatal() == nil && len(rest) > 0 && rest[0] == '{'
}

func readLines(name string, r io.Reader, emit func(*job) bool) bool {
	sc := fhirjson.NewLineScanner(r, maxLine)
	index := 0
	for sc.Scan() {
		l := sc.Line()
		if len(bytes.TrimSpace(l.Bytes)) == 0 {
			continue
		}
		j := &job{
			result: result{source: name, index: index, line: l.Position.Line + 1},
			bytes:  bytes.Clone(l.Bytes), at: validators.Position{Offset: l.Position.Offset, Line: l.Position.Line},
		}
		if !emit(j) {
			return false
		}
		index++
	}
	if err := sc.Err(); err != nil {
		return emit(&job{result: result{source: name, err: fmt.Errorf("%s: %w", name, err)}})
	}
	return true
}

// progress shows a count on a terminal, and nothing elsewhere.
type progress struct {
	p     *process
	what  string
	n     int
	shown time.Time
}

func newProgress(p *process, what string) *progress {
	return &progress{p: p, what: what, shown: p.now()}
}

func (g *progress) step() {
	g.n++
	if g.n%64 == 0 {
		g.show()
	}
}

func (g *progress) show() {
	if !g.p.terminal {
		return
	}
	if now := g.p.now(); now.Sub(g.shown) > 200*time.Millisecond {
		g.shown = now
		_, _ = fmt.Fprintf(g.p.stderr, "\r%d %s", g.n, g.what)
	}
}

func (g *progress) end() {
	if g.p.terminal && g.n >= 64 {
		_, _ = fmt.Fprint(g.p.stderr, "\r\x1b[K")
	}
}

// folderResolver finds Type/id among the JSON files of a folder, read once.
type folderResolver struct{ byReference map[string]*fhirjson.Node }

func newFolderResolver(dir string) (*folderResolver, error) {
	files, err := filesBelow(dir, false)
	if err != nil {
		return nil, fmt.Errorf("--resolve: %w", err)
	}
	f := &folderResolver{byReference: map[string]*fhirjson.Node{}}
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("--resolve: %w", err)
		}
		if isNDJSON(name) {
			for line := range bytes.Lines(src) {
				f.add(line)
			}
			continue
		}
		f.add(src)
	}
	if len(f.byReference) == 0 {
		return nil, errors.New("--resolve: no resource with an id in " + dir)
	}
	return f, nil
}

func (f *folderResolver) add(src []byte) { f.addTree(fhirjson.Parse(src).Root()) }

func (f *folderResolver) addTree(root *fhirjson.Node) {
	if root == nil {
		return
	}
	if t, id := root.ResourceType(), root.MemberText("id"); t != "" && id != "" {
		f.byReference[t+"/"+id] = root
	}
	for e := root.Member("entry").FirstOrNil(); e != nil; e = e.Next() {
		res := e.Member("resource")
		if t, id := res.MemberText("resourceType"), res.MemberText("id"); t != "" && id != "" {
			f.byReference[t+"/"+id] = res
		}
		if u := e.MemberText("fullUrl"); u != "" && res != nil {
			f.byReference[u] = res
		}
	}
}

// Resolve finds a reference as written, or by its last two steps.
func (f *folderResolver) Resolve(_ context.Context, _ *fhirjson.Node, reference string) (*fhirjson.Node, error) {
	reference, _, _ = strings.Cut(reference, "/_history/")
	if n := f.byReference[reference]; n != nil {
		return n, nil
	}
	steps := strings.Split(reference, "/")
	if len(steps) < 2 {
		return nil, nil
	}
	return f.byReference[strings.Join(steps[len(steps)-2:], "/")], nil
}
