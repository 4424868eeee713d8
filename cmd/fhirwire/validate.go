package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"

	"fhirwire/validators"
	"fhirwire/validators/coverage"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/guides"
	"fhirwire/validators/ig"
	"fhirwire/validators/ig/fetch"
	"fhirwire/validators/instance"
	"fhirwire/validators/terminology/remote"
)

// maxLine is the longest NDJSON line that is validated; a longer one is reported as such.
const maxLine = 64 << 20

// validation is what one run of validate works with.
type validation struct {
	validator *instance.Validator
	profiles  []string
	workers   int
	process   *process
	// tx is asked what is not known offline, when there is one; its URL is in every report.
	tx    *remote.Service
	txURL string
	// tally counts must-support elements, when that is asked for.
	tally *coverage.Collector
	// untold counts resources that a report does not list, which the tally lacks.
	untold atomic.Int64
}

// validateGC keeps the heap, which is mostly compiled guides and for a large Bundle its index, from doubling before it is looked at.
const validateGC = 60

type validateFlags struct {
	profiles, igs             list
	format, tx, data, resolve string
	best, coverage            bool
	jobs                      int
	files                     []string
}

func parseValidate(p *process, args []string) (*validateFlags, error) {
	f := new(validateFlags)
	fs := newFlags(p, "validate", "[flags] FILE|DIR|GLOB|-…", "Validates FHIR JSON, and NDJSON with one resource a line, gzipped or not; \"-\" is standard input.\n"+
		"A resource is held against R4, every profile in its meta.profile, and every --profile.\n"+
		"Exit code 1 when there is a finding of severity error.\n")
	fs.Var(&f.profiles, "profile", "canonical `URL` of a profile to validate against (repeatable)")
	fs.Var(&f.igs, "ig", "narrow the guides to `NAME#VERSION`, a package .tgz, a folder or a JSON file (repeatable); default: all built in and added")
	fs.StringVar(&f.format, "format", "text", "text, json (OperationOutcome), ndjson (one line per resource) or html (one page)")
	fs.BoolVar(&f.best, "best-practice", false, "report best-practice rules as warnings")
	fs.BoolVar(&f.coverage, "coverage", false, "print which must-support elements occur: after the findings in text and html, instead of them in json")
	fs.StringVar(&f.tx, "tx", "", "terminology server `URL` to ask for codes that cannot be checked offline")
	fs.StringVar(&f.data, "data", dataDir(p), "`DIR` that holds added packages and the answers of terminology servers")
	fs.StringVar(&f.resolve, "resolve", "", "`DIR` with resources to resolve references outside the input")
	fs.IntVar(&f.jobs, "jobs", runtime.GOMAXPROCS(0), "resources validated at the same time")
	var err error
	f.files, err = parseFlags(fs, args)
	switch {
	case err != nil:
		return nil, err
	case len(f.files) == 0:
		return nil, usagef("name a file, a folder, a glob or - for standard input")
	case f.jobs < 1:
		return nil, usagef("--jobs: want 1 or more")
	case f.coverage && f.format == "ndjson":
		return nil, usagef("--coverage goes with --format text, json or html")
	}
	return f, nil
}

func runValidate(ctx context.Context, p *process, args []string) (code int, err error) {
	f, err := parseValidate(p, args)
	if err != nil {
		return exitUsage, err
	}
	out, err := newPrinter(f.format, p)
	if err != nil {
		return exitUsage, err
	}
	if f.coverage && f.format == "json" {
		out = coverageOnly{} // the tally is the output
	}
	v, err := newValidation(ctx, p, f)
	if err != nil {
		return exitUsage, err
	}
	defer func() { err = errors.Join(err, v.close()) }()
	inputs, err := expand(f.files)
	if err != nil {
		return exitUsage, err
	}
	failed := false
	for r := range validateAll(ctx, v, inputs, p) {
		if r.err != nil {
			return exitUsage, r.err
		}
		failed = failed || r.report.Summary.Errors > 0
		if r.note != "" {
			_, _ = fmt.Fprintln(p.stderr, r.note)
		}
		if err := out.print(r); err != nil {
			return exitUsage, err
		}
	}
	if ctx.Err() != nil {
		return exitUsage, errors.New("interrupted")
	}
	if err := v.finish(p, f, out); err != nil {
		return exitUsage, err
	}
	if failed {
		return exitFindings, nil
	}
	return exitFine, nil
}

// finish ends the output: the tally where it is asked for, and on stderr how the terminology server fared.
func (v *validation) finish(p *process, f *validateFlags, out printer) error {
	var tally []coverage.Profile
	if v.tally != nil {
		tally = v.tally.Report()
		if h, ok := out.(*htmlPrinter); ok {
			h.coverage = tally
		}
	}
	if err := out.end(); err != nil {
		return err
	}
	if v.tally != nil && f.format != "html" {
		if err := printCoverage(p.stdout, f.format, tally); err != nil {
			return err
		}
	}
	if n := v.untold.Load(); n > 0 {
		_, _ = fmt.Fprintf(p.stderr, "coverage: %d resources deep in large Bundles were validated and are not counted\n", n)
	}
	if v.tx != nil {
		st := v.tx.Stats()
		_, _ = fmt.Fprintf(p.stderr, "%s: %s, %d answered, %d failed", v.txURL, counted(st.Asked, "request"), st.Answered, st.Failed)
		if st.Stopped != "" {
			_, _ = fmt.Fprintf(p.stderr, "; %s", st.Stopped)
		}
		_, _ = fmt.Fprintln(p.stderr)
	}
	return nil
}

// newValidation loads the guides that the flags name: built-in and added ones by NAME#VERSION, others from files and folders, or
// else from the FHIR package cache.
func newValidation(ctx context.Context, p *process, f *validateFlags) (*validation, error) {
	lib, err := loadLibrary(f.data)
	if err != nil {
		return nil, err
	}
	lib, ids, err := addGuides(ctx, lib, newFinder(p, ""), f.igs)
	if err != nil {
		return nil, err
	}
	set, err := lib.Set(ids...)
	if err != nil {
		return nil, err
	}
	for _, url := range f.profiles {
		if _, ok := set.Profile(url); !ok {
			return nil, usagef("--profile %s: no active guide has this profile; packages list shows the guides, --ig adds one", url)
		}
	}
	if p.getenv("GOGC") == "" {
		debug.SetGCPercent(validateGC)
	}
	v := &validation{process: p, profiles: f.profiles, workers: f.jobs, txURL: f.tx}
	o := instance.Options{BestPractice: f.best, Now: p.now}
	if f.resolve != "" {
		if o.Resolver, err = newFolderResolver(f.resolve); err != nil {
			return nil, err
		}
	}
	var terms instance.Terminology = set.Terms()
	if f.tx != "" {
		v.tx, err = remote.New(ctx, f.tx, set.Terms(), remote.Options{CacheDir: filepath.Join(f.data, "tx-cache"), Now: p.now})
		if err != nil {
			return nil, fmt.Errorf("--tx: %w", err)
		}
		terms = v.tx
	}
	if f.coverage {
		v.tally = coverage.New(set, terms)
	}
	v.validator = instance.New(set, terms, o)
	return v, nil
}

func (v *validation) close() error {
	if v.tx == nil {
		return nil
	}
	return v.tx.Close()
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
	note   string
}

// resourceHead is what a result line says about the resource; the tree itself is given back.
type resourceHead struct{ resourceType, id string }

type job struct {
	result
	number int64 // in input order, from 1
	bytes  []byte
	large  *large // instead of bytes
	at     validators.Position
	done   chan struct{}
}

// validateAll validates the inputs in parallel and gives the results in input order. Memory is bounded by the jobs in flight.
func validateAll(ctx context.Context, v *validation, inputs []string, p *process) <-chan result {
	ctx, cancel := context.WithCancel(ctx)
	todo, ordered, out := make(chan *job), make(chan *job, 4*v.workers), make(chan result)
	number := int64(0)
	emit := func(j *job) bool {
		number++
		j.number = number
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
	for range v.workers {
		go func() {
			for j := range todo {
				j.report, j.root, j.err = v.one(ctx, j)
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

func (v *validation) one(ctx context.Context, j *job) (validators.Report, resourceHead, error) {
	if j.large != nil {
		return v.validateLarge(ctx, j)
	}
	return v.whole(ctx, j)
}

// named completes a report, and puts its findings into input order.
func (v *validation) named(rep validators.Report) validators.Report {
	if v.tx != nil {
		rep.Context.Terminology = v.txURL
	}
	slices.SortStableFunc(rep.Issues, func(a, b validators.Issue) int { return a.Offset - b.Offset })
	return rep
}

func (v *validation) whole(ctx context.Context, j *job) (validators.Report, resourceHead, error) {
	doc := fhirjson.ParseAt(j.bytes, j.at, fhirjson.Limits{})
	defer doc.Release()
	rep, err := v.validator.ValidateDocument(ctx, doc, v.profiles...)
	var head resourceHead
	if root := doc.Root(); root != nil {
		head = resourceHead{strings.Clone(root.ResourceType()), strings.Clone(root.MemberText("id"))}
		if v.tally != nil && err == nil {
			v.count(j, root, &rep)
		}
	}
	return v.named(rep), head, err
}

// count adds the resources of a report to the tally, each for the profiles it was held against.
func (v *validation) count(j *job, root *fhirjson.Node, rep *validators.Report) {
	v.untold.Add(int64(max(0, rep.Checked-len(rep.Resources))))
	for i := range rep.Resources {
		r := &rep.Resources[i]
		n := root.At(pointerOf(r.Expression))
		if n == nil {
			continue
		}
		v.tell(j, n, r.Profiles)
	}
}

func (v *validation) tell(j *job, n *fhirjson.Node, profiles []validators.ProfileChoice) {
	for _, p := range profiles {
		v.tally.Add(coverage.Subject{ID: j.source, Order: j.number}, n, p.URL)
	}
}

// pointerOf turns the path of a resource, "Bundle.entry[3].resource", into a JSON Pointer.
func pointerOf(expression string) string {
	_, rest, _ := strings.Cut(expression, ".")
	if rest == "" {
		return ""
	}
	return "/" + strings.NewReplacer(".", "/", "[", "/", "]", "").Replace(rest)
}
