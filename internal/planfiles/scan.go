package planfiles

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fhirwire/testplans/planfile"
)

// maxFiles bounds the plan files of one folder.
const maxFiles = 200

// text is a file as it was found.
type text struct {
	name   string
	src    []byte
	err    error
	beside string // tells apart how the file beside it was
}

func (t *text) signature() string {
	return fmt.Sprintf("%s\x00%x\x00%v\x00%s", t.name, sha256.Sum256(t.src), t.err, t.beside)
}

// scan is everything that was found, by source.
type scan struct{ sources []scanned }

type scanned struct {
	Source

	texts []text
	more  int   // files over maxFiles
	err   error // the source itself could not be read
}

func (s *scan) signature() string {
	var b strings.Builder
	for i := range s.sources {
		src := &s.sources[i]
		fmt.Fprintf(&b, "%s\x00%v\x00%d\n", src.Path, src.err, src.more)
		for k := range src.texts {
			b.WriteString(src.texts[k].signature() + "\n")
		}
	}
	return b.String()
}

func (f *Files) scan() scan {
	var out scan
	for _, s := range f.sources {
		found := scanned{Source: s}
		var names []string
		if names, found.more, found.err = plansIn(s.Path); found.err == nil {
			for _, name := range names {
				t := text{name: name}
				if t.src, t.err = readBounded(name); errors.Is(t.err, fs.ErrNotExist) && name != s.Path {
					continue // it went since the folder was read, or is a link to nothing
				}
				t.beside = f.beside(name)
				found.texts = append(found.texts, t)
			}
		}
		out.sources = append(out.sources, found)
	}
	return out
}

// beside tells whether the file beside a plan's is as it was.
func (f *Files) beside(name string) string {
	if f.opt.Beside == nil {
		return ""
	}
	info, err := os.Stat(f.opt.Beside(name))
	if err != nil {
		return "none"
	}
	return fmt.Sprint(info.Size(), info.ModTime().UnixNano())
}

// In are the files at paths: of a folder its plan files.
func In(paths ...string) ([]string, error) {
	var out []string
	for _, path := range paths {
		names, more, err := plansIn(path)
		if err != nil {
			return nil, err
		}
		if more > 0 {
			return nil, fmt.Errorf("plans: %s has %d plan files; expected %d at most", path, len(names)+more, maxFiles)
		}
		out = append(out, names...)
	}
	return out, nil
}

// plansIn are the plan files at a path, sorted; more counts those over the bound. What an editor keeps beside a file begins with a dot.
func plansIn(path string) (names []string, more int, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, fmt.Errorf("plans: %w", err)
	}
	if !info.IsDir() {
		return []string{path}, 0, nil
	}
	list, err := os.ReadDir(path)
	if err != nil {
		return nil, 0, fmt.Errorf("plans: %w", err)
	}
	for _, e := range list {
		ext := strings.ToLower(filepath.Ext(e.Name()))
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") || ext != ".yaml" && ext != ".yml" {
			continue
		}
		names = append(names, filepath.Join(path, e.Name()))
	}
	slices.Sort(names)
	if len(names) > maxFiles {
		return names[:maxFiles], len(names) - maxFiles, nil
	}
	return names, 0, nil
}

// readBounded reads a regular file, or what a link to one names, up to a byte more than a plan may have. Others are not opened: a pipe would
// keep its reader waiting.
func readBounded(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &planfile.Fault{File: name, Line: 1, Column: 1, Message: "expected a regular file"}
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	src, err := io.ReadAll(io.LimitReader(file, planfile.MaxSize+1))
	return src, errors.Join(err, file.Close())
}

// below are the names of the known files at a path.
func (f *Files) below(path string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for name := range f.entries {
			if (name == path || filepath.Dir(name) == filepath.Clean(path)) && !yield(name) {
				return
			}
		}
	}
}
