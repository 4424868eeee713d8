// Command gen writes the tables of package guides from published FHIR packages. Run it from the package's folder, or with
// -dir naming it: go run ./gen. The packages are looked for in fhir-packages under the folder that FHIRWIRE_SHARED names
// (../shared beside the module by default). With -check it writes nothing and fails when a table differs from what the
// packages give.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"fhirwire/validators/ig"
	"fhirwire/validators/profile"
)

// entry is a line of guides.json.
type entry struct {
	ID      string `json:"id"`
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
	Support bool   `json:"support,omitempty"`
	// Dependencies are those of the package, for the reader of the file.
	Dependencies []string `json:"dependencies,omitempty"`
	// Rebuild names structures whose published snapshot says other than their differential and the specification; it is made
	// anew from the differential.
	Rebuild []string `json:"rebuild,omitempty"`
}

const terminologyPackage = "hl7.terminology.r4"

func main() {
	check := flag.Bool("check", false, "compare the tables with the packages, write nothing")
	dir := flag.String("dir", "", "folder of package guides; found from the working directory by default")
	flag.Parse()
	if err := run(*dir, *check); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(dir string, check bool) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	if dir == "" {
		dir = filepath.Join(root, "validators", "guides")
	}
	shared := os.Getenv("FHIRWIRE_SHARED")
	if shared == "" {
		shared = filepath.Join(root, "..", "shared")
	}
	source := filepath.Join(shared, "fhir-packages")
	if _, err := os.Stat(source); err != nil {
		if check {
			fmt.Fprintln(os.Stderr, "gen: the published packages are not at hand; the tables are not checked")
			return nil
		}
		return fmt.Errorf("the published packages are not at hand: %w", err)
	}
	list, packages, err := read(dir, source, check)
	if err != nil {
		return err
	}
	if err := prepare(list, packages); err != nil {
		return err
	}
	want := map[string][]byte{}
	for _, p := range packages {
		table, err := ig.AppendTable(nil, p)
		if err != nil {
			return err
		}
		want[p.Name+"-"+p.Version+".fwt"] = table
	}
	if check {
		return compare(filepath.Join(dir, "tables"), want)
	}
	return write(dir, list, want)
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = up
	}
}

// read reads guides.json and the packages it lists. The digest of a package is checked, or filled in where it is empty.
func read(dir, source string, check bool) ([]entry, []*ig.Package, error) {
	data, err := os.ReadFile(filepath.Join(dir, "guides.json"))
	if err != nil {
		return nil, nil, err
	}
	var list []entry
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, nil, fmt.Errorf("guides.json: %w", err)
	}
	packages := make([]*ig.Package, 0, len(list))
	for i := range list {
		e := &list[i]
		data, err := os.ReadFile(filepath.Join(source, e.ID+"-"+e.Version+".tgz"))
		if err != nil {
			return nil, nil, err
		}
		sum := sha256.Sum256(data)
		digest := hex.EncodeToString(sum[:])
		switch {
		case e.SHA256 == "" && !check:
			e.SHA256 = digest
		case e.SHA256 != digest:
			return nil, nil, fmt.Errorf("%s#%s: the package has digest %s, guides.json says %s", e.ID, e.Version, digest, e.SHA256)
		}
		p, err := ig.ReadTGZ(bytes.NewReader(data))
		if err != nil {
			return nil, nil, err
		}
		packages = append(packages, p)
		e.Dependencies = nil
		for _, d := range p.Dependencies {
			e.Dependencies = append(e.Dependencies, d.Name+"#"+d.Version)
		}
	}
	return list, packages, nil
}

// prepare generates missing snapshots and drops the terminology that no guide needs.
func prepare(list []entry, packages []*ig.Package) error {
	catalog, err := profile.NewCatalog(packages, nil)
	if err != nil {
		return err
	}
	for i, p := range packages {
		if err := catalog.FillSnapshots(p, list[i].Rebuild...); err != nil {
			return err
		}
	}
	needed, err := neededTerms(packages)
	if err != nil {
		return err
	}
	for _, p := range packages {
		if p.Name == terminologyPackage {
			p.Resources = needed.only(p.Resources)
		}
	}
	return nil
}

func compare(dir string, want map[string][]byte) error {
	var errs []error
	for name, table := range want {
		have, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			errs = append(errs, err)
		} else if !bytes.Equal(have, table) {
			errs = append(errs, fmt.Errorf("%s differs from what the package gives; run go generate", name))
		}
	}
	return errors.Join(errs...)
}

func write(dir string, list []entry, want map[string][]byte) error {
	total := 0
	for name, table := range want {
		total += len(table)
		path := filepath.Join(dir, "tables", name)
		if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, table) {
			continue
		}
		if err := os.WriteFile(path, table, 0o644); err != nil {
			return err
		}
		fmt.Fprintln(os.Stderr, name, len(table))
	}
	data, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, len(want), "tables,", total, "bytes")
	return os.WriteFile(filepath.Join(dir, "guides.json"), append(data, '\n'), 0o644)
}
