package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/guides"
	"fhirwire/validators/ig"
	"fhirwire/validators/ig/fetch"
	"fhirwire/validators/instance"
)

// maxLine is the longest NDJSON line that is validated; a longer one is reported as such.
const maxLine = 64 << 20

func runValidate(ctx context.Context, p *process, args []string) (int, error) {
	fs := newFlags(p, "validate", "[flags] FILE|DIR|GLOB|-…", "Validates FHIR JSON, and NDJSON with one resource a line; \"-\" is standard input.\n"+
		"A resource is held against R4, every profile in its meta.profile, and every --profile.\n"+
		"Exit code 1 when there is a finding of severity error.\n")
	var profiles, igs list
	fs.Var(&profiles, "profile", "canonical `URL` of a profile to validate against (repeatable)")
	fs.Var(&igs, "ig", "narrow the guides to `NAME#VERSION`, a package .tgz, a folder or a JSON file (repeatable); default: all built in")
	format := fs.String("format", "text", "text, json (OperationOutcome) or ndjson (one line per resource)")
	best := fs.Bool("best-practice", false, "report best-practice rules as warnings")
	tx := fs.String("tx", "", "terminology server `URL` (not part of this version)")
	data := fs.String("data", dataDir(p), "`DIR` that holds added packages")
	resolve := fs.String("resolve", "", "`DIR` with resources to resolve references outside the input")
	jobs := fs.Int("jobs", runtime.GOMAXPROCS(0), "resources validated at the same time")
	files, err := parseFlags(fs, args)
	switch {
	case err != nil:
		return exitUsage, err
	case len(files) == 0:
		return exitUsage, usagef("name a file, a folder, a glob or - for standard input")
	case *tx != "":
		return exitUsage, usagef("--tx: asking a terminology server is not part of this version; codes are checked offline")
	case *jobs < 1:
		return exitUsage, usagef("--jobs: want 1 or more")
	}
	out, err := newPrinter(*format, p)
	if err != nil {
		return exitUsage, err
	}
	v, err := newValidator(ctx, p, *data, igs, *best, *resolve)
	if err != nil {
		return exitUsage, err
	}
	inputs, err := expand(files)
	if err != nil {
		return exitUsage, err
	}
	results := validateAll(ctx, v, inputs, p, profiles, *jobs)
	failed := false
	for r := range results {
		if r.err != nil {
			return exitUsage, r.err
		}
		failed = failed || r.report.Summary.Errors > 0
		if err := out.print(r); err != nil {
			return exitUsage, err
		}
	}
	if err := ctx.Err(); err != nil {
		return exitUsage, fmt.Errorf("interrupted")
	}
	if err := out.end(); err != nil {
		return exitUsage, err
	}
	if failed {
		return exitFindings, nil
	}
	return exitFine, nil
}

// newValidator loads the guides that igs name: built-in and added ones by NAME#VERSION, others from files and folders, or else from
// the FHIR package cache.
func newValidator(ctx context.Context, p *process, data string, igs []string, best bool, resolveDir string) (*instance.Validator, error) {
	lib, err := loadLibrary(data)
	if err != nil {
		return nil, err
	}
	lib, ids, err := addGuides(ctx, lib, newFinder(p, ""), igs)
	if err != nil {
		return nil, err
	}
	set, err := lib.Set(ids...)
	if err != nil {
		return nil, err
	}
	o := instance.Options{BestPractice: best, Now: p.now}
	if resolveDir != "" {
		if o.Resolver, err = newFolderResolver(resolveDir); err != nil {
			return nil, err
		}
	}
	return instance.New(set, set.Terms(), o), nil
}

func addGuides(ctx context.Context, lib *guides.Library, finder *fetch.Finder, igs []string) (*guides.Library, []string, error) {
	var ids []string
	var added []*ig.Package
	for _, name := range igs {
		id := strings.Replace(name, "@", "#", 1)
		if _, ok := find(lib, id); ok {
			ids = append(ids, id)
			continue
		}
		pk, err := openOrFind(ctx, finder, name)
		if err != nil {
			return nil, nil, fmt.Errorf("--ig %s: %w", name, err)
		}
		ids = append(ids, pk.ID())
		if have, ok := find(lib, pk.ID()); ok {
			if have.Builtin {
				continue // a published package that this build has as well
			}
			return nil, nil, fmt.Errorf("--ig %s: package %s was added already: name it by that, or remove it", name, pk.ID())
		}
		added = append(added, pk)
	}
	if len(added) == 0 {
		return lib, ids, nil
	}
	lib, err := lib.With(added...)
	if err != nil {
		return nil, nil, fmt.Errorf("--ig: %w", err)
	}
	return lib, ids, nil
}

// result is one validated resource.
type result struct {
	source string
	index  int
	line   int // where the resource starts
	root   resourceHead
	report validators.Report
	err    error // the input could not be read
}

// resourceHead is what a result line says about the resource; the tree itself is given back.
type resourceHead struct{ resourceType, id string }

type job struct {
	result
	bytes []byte
	at    validators.Position
	done  chan struct{}
}

// validateAll validates the inputs in parallel and gives the results in input order. Memory is bounded by the jobs in flight.
func validateAll(ctx context.Context, v *instance.Validator, inputs []string, p *process, profiles []string, workers int) <-chan result {
	ctx, cancel := context.WithCancel(ctx)
	todo, ordered, out := make(chan *job), make(chan *job, 4*workers), make(chan result)
	emit := func(j *job) bool {
		j.done = make(chan struct{})
		if j.err != nil {
			close(j.done)
		}
		select {
		case ordered <- j:
		case <-ctx.Done():
			return false
		}
		if j.err != nil {
			return true
		}
		select {
		case todo <- j:
			return true
		case <-ctx.Done():
			close(j.done)
			return false
		}
	}
	go func() {
		defer close(ordered)
		defer close(todo)
		for _, name := range inputs {
			if !readInput(name, p, emit) {
				return
			}
		}
	}()
	for range workers {
		go func() {
			for j := range todo {
				j.report, j.root, j.err = validateOne(ctx, v, j, profiles)
				close(j.done)
			}
		}()
	}
	go func() {
		defer close(out)
		defer cancel()
		progress := newProgress(p, "resources validated")
		for j := range ordered {
			<-j.done
			progress.step()
			select {
			case out <- j.result:
			case <-ctx.Done():
				return
			}
		}
		progress.end()
	}()
	return out
}

func validateOne(ctx context.Context, v *instance.Validator, j *job, profiles []string) (validators.Report, resourceHead, error) {
	doc := fhirjson.ParseAt(j.bytes, j.at, fhirjson.Limits{})
	defer doc.Release()
	rep, err := v.ValidateDocument(ctx, doc, profiles...)
	var head resourceHead
	if root := doc.Root(); root != nil {
		head = resourceHead{strings.Clone(root.ResourceType()), strings.Clone(root.MemberText("id"))}
	}
	slices.SortStableFunc(rep.Issues, func(a, b validators.Issue) int { return a.Offset - b.Offset })
	return rep, head, err
}
