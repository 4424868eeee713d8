package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/ig"
)

// openGuide reads what --ig names: a package .tgz, an unpacked package, a folder of conformance resources, or one JSON file
// that holds such a resource or a Bundle of them.
func openGuide(name string) (*ig.Package, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		if isPackageFolder(name) {
			return ig.ReadFolder(os.DirFS(name))
		}
		files, err := filesBelow(name, false)
		if err != nil {
			return nil, err
		}
		return looseGuide(name, files)
	case strings.EqualFold(filepath.Ext(name), ".json"):
		return looseGuide(name, []string{name})
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return ig.ReadTGZ(f)
}

func isPackageFolder(dir string) bool {
	for _, manifest := range []string{"package.json", filepath.Join("package", "package.json")} {
		if _, err := os.Stat(filepath.Join(dir, manifest)); err == nil {
			return true
		}
	}
	return false
}

// looseGuide makes a package of files that have none.
func looseGuide(name string, files []string) (*ig.Package, error) {
	p := &ig.Package{Name: "local." + filepath.Base(name), Version: "0"}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if err := addDefinitions(p, file, src); err != nil {
			return nil, err
		}
	}
	if len(p.Resources) == 0 {
		return nil, errors.New("no StructureDefinition, ValueSet, CodeSystem or SearchParameter in it")
	}
	return p, nil
}

func addDefinitions(p *ig.Package, file string, src []byte) error {
	root := fhirjson.Parse(src).Root()
	if root.MemberText("resourceType") != "Bundle" {
		r, err := ig.ReadFile(file, src)
		if r != nil {
			p.Resources = append(p.Resources, r)
		}
		return err
	}
	i := 0
	for e := root.Member("entry").FirstOrNil(); e != nil; e = e.Next() {
		if res := e.Member("resource"); res != nil {
			r, err := ig.ReadFile(fmt.Sprintf("%s entry %d", file, i), res.Raw())
			if err != nil {
				return err
			}
			if r != nil {
				p.Resources = append(p.Resources, r)
			}
		}
		i++
	}
	return nil
}
