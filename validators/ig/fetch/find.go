package fetch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fhirwire/validators/ig"
)

// ErrNotFound is wrapped by errors for packages that are nowhere.
var ErrNotFound = errors.New("package not found")

// Options say where a Finder looks.
type Options struct {
	// Cache is a folder laid out as the FHIR package cache (~/.fhir/packages); empty for none.
	Cache string
	// Registry is the base URL of a package registry, which is asked after the cache; empty for none.
	Registry string
	// Client does the requests; nil is one that ends each after two minutes.
	Client *http.Client
	// MaxDownload caps an answer of the registry in bytes; 0 is 256 MiB.
	MaxDownload int64
}

// Finder finds packages by name and version. It is safe for concurrent use.
type Finder struct{ o Options }

// New makes a Finder.
func New(o Options) *Finder {
	if o.Client == nil {
		o.Client = &http.Client{Timeout: 2 * time.Minute}
	}
	if o.MaxDownload == 0 {
		o.MaxDownload = 256 << 20
	}
	o.Registry = strings.TrimRight(o.Registry, "/")
	return &Finder{o: o}
}

// Package gets a package. version may be "latest" or end in ".x".
func (f *Finder) Package(ctx context.Context, name, version string) (*ig.Package, error) {
	if version == "" {
		version = "latest"
	}
	if err := checkID(name, version); err != nil {
		return nil, err
	}
	if exact := f.cached(name, version); exact != "" {
		return f.readCache(name, exact)
	}
	if f.o.Registry == "" {
		return nil, fmt.Errorf("package %s#%s: %w in the FHIR package cache, and there is no registry to ask", name, version, ErrNotFound)
	}
	return f.download(ctx, name, version)
}

// Cached lists the ids of the packages in the cache, sorted.
func (f *Finder) Cached() []string {
	if f.o.Cache == "" {
		return nil
	}
	list, err := os.ReadDir(f.o.Cache)
	if err != nil {
		return nil // no cache, no packages
	}
	var out []string
	for _, e := range list {
		name, version := ig.SplitID(e.Name())
		if checkID(name, version) != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(f.o.Cache, e.Name(), "package", "package.json")); err == nil {
			out = append(out, e.Name())
		}
	}
	return out
}

// cached is the version in the cache that answers to the one asked for, "" when there is none.
func (f *Finder) cached(name, version string) string {
	var have []string
	for _, id := range f.Cached() {
		if n, v := ig.SplitID(id); n == name {
			have = append(have, v)
		}
	}
	return Pick(have, version)
}

// Pick chooses the version itself among those there are, or the newest that a pattern ("1.0.x", "latest") allows; "" for none.
func Pick(have []string, version string) string {
	if slices.Contains(have, version) {
		return version
	}
	if !isPattern(version) {
		return ""
	}
	stem := strings.TrimSuffix(version, "x")
	if version == "latest" {
		stem = ""
	}
	best := ""
	for _, v := range have {
		if strings.HasPrefix(v, stem) && (best == "" || ig.CompareVersions(v, best) > 0) && v != "dev" && v != "current" {
			best = v
		}
	}
	return best
}

func (f *Finder) readCache(name, version string) (*ig.Package, error) {
	p, err := ig.ReadFolder(os.DirFS(filepath.Join(f.o.Cache, name+"#"+version)))
	if err != nil {
		return nil, fmt.Errorf("FHIR package cache: %w", err)
	}
	return p, sameName(p, name, version)
}

func sameName(p *ig.Package, name, version string) error {
	if p.Name != name || p.Version != version && version != "dev" && version != "current" {
		return fmt.Errorf("package %s#%s: what was found calls itself %s", name, version, p.ID())
	}
	return nil
}

// Dependencies gets what the packages depend on, directly or not, and is not at hand. have reports what is. What cannot be had
// is a note and not an error: definitions that build on it are refused when they are asked for, the others work.
func (f *Finder) Dependencies(ctx context.Context, of []*ig.Package, have func(name, version string) bool) (got []*ig.Package, notes []string, err error) {
	seen := map[string]bool{}
	for _, p := range of {
		seen[p.ID()] = true
	}
	open := slices.Clone(of)
	for len(open) > 0 {
		p := open[0]
		open = open[1:]
		for _, d := range p.Dependencies {
			if seen[d.Name+"#"+d.Version] || have(d.Name, d.Version) {
				continue
			}
			seen[d.Name+"#"+d.Version] = true
			dep, err := f.Package(ctx, d.Name, d.Version)
			switch {
			case ctx.Err() != nil:
				return nil, nil, ctx.Err()
			case errors.Is(err, ErrNotFound) || errors.Is(err, fs.ErrNotExist):
				notes = append(notes, fmt.Sprintf("%s depends on %s#%s, which is not at hand", p.ID(), d.Name, d.Version))
			case err != nil:
				return nil, nil, fmt.Errorf("what %s depends on: %w", p.ID(), err)
			case !seen[dep.ID()] || dep.ID() == d.Name+"#"+d.Version:
				seen[dep.ID()] = true
				got, open = append(got, dep), append(open, dep)
			}
		}
	}
	return got, notes, nil
}
