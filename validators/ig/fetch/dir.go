package fetch

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"fhirwire/validators/ig"
)

// Dir is a folder of packages, each a table (ig.AppendTable) in a file of its own. A package in it never changes. The folder need
// not exist.
type Dir string

// tableSuffix ends the file names of tables.
const tableSuffix = ".fwt"

// ErrOther is wrapped by Put's error for a package whose id stands for other content already.
var ErrOther = errors.New("other content is here under that name and version")

// Packages opens all packages, sorted by id; their definitions are unpacked as they are asked for.
func (d Dir) Packages() ([]*ig.Package, error) {
	list, err := os.ReadDir(string(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []*ig.Package
	for _, e := range list {
		if e.IsDir() || !strings.HasSuffix(e.Name(), tableSuffix) {
			continue
		}
		p, err := d.open(e.Name())
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

func (d Dir) open(name string) (*ig.Package, error) {
	data, err := os.ReadFile(filepath.Join(string(d), name))
	if err != nil {
		return nil, err
	}
	p, err := ig.OpenTable(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if p.ID()+tableSuffix != name {
		return nil, fmt.Errorf("%s: it holds package %s", name, p.ID())
	}
	return p, nil
}

// Put keeps a package. It reports false when the same package is there already, and ErrOther when another one has its id.
func (d Dir) Put(p *ig.Package) (added bool, err error) {
	name, err := d.file(p.ID())
	if err != nil {
		return false, err
	}
	table, err := ig.AppendTable(nil, p)
	if err != nil {
		return false, err
	}
	switch old, err := os.ReadFile(name); {
	case err == nil && bytes.Equal(old, table):
		return false, nil
	case err == nil:
		return false, fmt.Errorf("package %s: %w; packages do not change: give it another version, or remove the old one", p.ID(), ErrOther)
	case !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return false, err
	}
	return true, writeWhole(name, table)
}

// writeWhole writes a file so that a reader sees all of it or nothing.
func writeWhole(name string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// Remove takes a package out; the error wraps fs.ErrNotExist when it is not there.
func (d Dir) Remove(id string) error {
	name, err := d.file(id)
	if err != nil {
		return err
	}
	return os.Remove(name)
}

func (d Dir) file(id string) (string, error) {
	if err := checkID(ig.SplitID(id)); err != nil {
		return "", err
	}
	return filepath.Join(string(d), id+tableSuffix), nil
}

// checkID keeps names from a package or a command line from leading out of a folder or of a URL's path.
func checkID(name, version string) error {
	ok := func(s string) bool {
		for i := range len(s) {
			c := s[i] | 0x20
			if (c < 'a' || c > 'z') && (s[i] < '0' || s[i] > '9') && (i == 0 || !strings.ContainsRune("._+-", rune(s[i]))) {
				return false
			}
		}
		return s != "" && len(s) <= 100
	}
	if !ok(name) || !ok(version) {
		return fmt.Errorf("%q is no name and version of a package: want NAME#VERSION of letters, digits, dots and hyphens", name+"#"+version)
	}
	return nil
}
