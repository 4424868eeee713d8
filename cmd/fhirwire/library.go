package main

import (
	"fmt"
	"path/filepath"

	"fhirwire/validators/guides"
	"fhirwire/validators/ig/fetch"
)

// dataDir is the default of --data for the commands beside serve.
func dataDir(p *process) string {
	if dir := p.getenv(envName("data")); dir != "" {
		return dir
	}
	return defaultConfig().Data
}

// addedPackages is where packages add puts them.
func addedPackages(dataDir string) fetch.Dir { return fetch.Dir(filepath.Join(dataDir, "packages")) }

// loadLibrary is the built-in guides and those that were added under dataDir.
func loadLibrary(dataDir string) (*guides.Library, error) {
	lib, err := guides.Load()
	if err != nil {
		return nil, err
	}
	added, err := addedPackages(dataDir).Packages()
	if err != nil {
		return nil, fmt.Errorf("added packages: %w", err)
	}
	if len(added) == 0 {
		return lib, nil
	}
	if lib, err = lib.WithChecked(added...); err != nil {
		return nil, fmt.Errorf("added packages: %w", err)
	}
	return lib, nil
}
