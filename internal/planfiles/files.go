package planfiles

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"fhirwire/testplans"
	"fhirwire/testplans/planfile"
)

// Source is a file of a plan, or a folder of them: *.yaml and *.yml, not those of folders in it.
type Source struct {
	Path string
	// Optional is a folder that need not be there, and whose faults do not keep Read from succeeding.
	Optional bool
}

// Builtin is a plan of the build with its text.
type Builtin struct {
	Plan testplans.Plan
	Text []byte
}

// Format reads a text as a plan; the error joins every *planfile.Fault. file is the name in the faults.
type Format func(file string, src []byte) (testplans.Plan, error)

// Options tune New. The zero value works.
type Options struct {
	// Vet says what a plan that can be used lacks nevertheless, as Format does.
	Vet func(file string, src []byte, plan testplans.Plan) error
	// Beside names a file beside a plan's that Vet reads too; nil: none.
	Beside func(file string) string
	// Keep is a folder in which every text that was in use is kept; empty keeps none.
	Keep   string
	Clock  func() time.Time // nil leaves texts undated
	Logger *slog.Logger
}

// Files are the plans in use. It is safe for concurrent use.
type Files struct {
	sources  []Source
	builtins []Builtin
	format   Format
	opt      Options

	// The following belong to Read and then to Look.
	entries map[string]*entry // by name
	taken   string            // the signature of what is in use
	seen    string            // that of what was seen last

	mu  sync.Mutex // guards now
	now Set
}

// Set is the plans in use at one time. It is not changed.
type Set struct {
	Plans []testplans.Plan
	testplans.PlanFiles

	texts map[string][]byte // by plan
}

// entry is what is known of a file.
type entry struct {
	text   text
	plan   testplans.Plan // the one in use, if good
	src    []byte         // its text
	since  time.Time
	good   bool
	faults []testplans.PlanFault
}

// New takes the ids of the built-in plans as given: they are in use until a file has one of them.
func New(sources []Source, builtins []Builtin, format Format, o Options) *Files {
	if o.Vet == nil {
		o.Vet = func(string, []byte, testplans.Plan) error { return nil }
	}
	if o.Clock == nil {
		o.Clock = func() time.Time { return time.Time{} }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	f := &Files{sources: sources, builtins: builtins, format: format, opt: o, entries: map[string]*entry{}}
	f.now = f.merge(nil, nil)
	return f
}

// Now is the plans in use.
func (f *Files) Now() Set {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// Read reads all files for the first time. The error joins the faults that keep a file from being used, but those of optional sources.
func (f *Files) Read(ctx context.Context) error {
	found := f.scan()
	f.take(ctx, found)
	var errs []error
	for _, s := range found.sources {
		if s.Optional {
			continue
		}
		if s.err != nil {
			errs = append(errs, s.err)
		}
		for _, fault := range f.now.Faults {
			if fault.Effect == testplans.FaultSkipped && slices.ContainsFunc(s.texts, func(t text) bool { return t.name == fault.File }) {
				errs = append(errs, errors.New(Say(fault)))
			}
		}
	}
	return errors.Join(errs...)
}

// Follow looks at the files at each tick, until ctx ends, and calls changed with the plans in use when those are others, or what is wrong with
// their files is.
func (f *Files) Follow(ctx context.Context, ticks <-chan time.Time, changed func(Set)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
			if f.Look(ctx) {
				changed(f.Now())
			}
		}
	}
}

// Look looks at the files once and reports whether it took a change into use. A change counts once it was seen twice: a file may be half
// written at first, or away while it is replaced. Read, Look and Follow are not called at the same time.
func (f *Files) Look(ctx context.Context) (changed bool) {
	found := f.scan()
	sign := found.signature()
	settled := sign == f.seen
	f.seen = sign
	if sign == f.taken || !settled {
		return false
	}
	f.take(ctx, found)
	return true
}

// take puts what was found into use.
func (f *Files) take(ctx context.Context, found scan) {
	f.taken, f.seen = found.signature(), found.signature()
	entries := map[string]*entry{}
	var order []string
	var faults []testplans.PlanFault
	for _, s := range found.sources {
		texts := s.texts
		if gone := errors.Is(s.err, fs.ErrNotExist); s.err != nil {
			if !gone {
				for _, name := range slices.Sorted(f.below(s.Path)) {
					texts = append(texts, f.entries[name].text)
				}
			}
			if !gone || !s.Optional {
				faults = append(faults, testplans.PlanFault{File: s.Path, Message: s.err.Error(), Effect: effect(len(texts) > 0)})
			}
		}
		if s.more > 0 {
			faults = append(faults, testplans.PlanFault{
				File: s.Path, Message: fmt.Sprintf("the folder has %d plan files; expected %d at most, and the first of them are read", maxFiles+s.more, maxFiles), Effect: testplans.FaultSkipped,
			})
		}
		for _, t := range texts {
			if entries[t.name] == nil {
				entries[t.name], order = f.read(t), append(order, t.name)
			}
		}
	}
	f.entries = entries
	before := f.Now()
	after := f.merge(order, faults)
	f.mu.Lock()
	f.now = after
	f.mu.Unlock()
	f.keep(ctx, after)
	f.tell(ctx, before, after)
}

func effect(kept bool) testplans.FaultEffect {
	if kept {
		return testplans.FaultKept
	}
	return testplans.FaultSkipped
}

// read makes a file's text a plan, unless it is the text that it had before.
func (f *Files) read(t text) *entry {
	before := f.entries[t.name]
	if before != nil && before.text.signature() == t.signature() {
		return before
	}
	e := &entry{text: t}
	err := t.err
	var plan testplans.Plan
	if err == nil {
		plan, err = f.format(t.name, t.src)
	}
	if err == nil {
		e.plan, e.src, e.good, e.since = plan, t.src, true, f.opt.Clock()
		if before != nil && before.good && before.plan.Digest == plan.Digest {
			e.since = before.since
		}
		e.faults = faultsOf(t.name, f.opt.Vet(t.name, t.src, plan), testplans.FaultNoted, plan.ID)
		return e
	}
	if before != nil && before.good {
		e.plan, e.src, e.good, e.since = before.plan, before.src, true, before.since
	}
	e.faults = faultsOf(t.name, err, effect(e.good), e.plan.ID)
	return e
}

// faultsOf takes an error apart.
func faultsOf(file string, err error, effect testplans.FaultEffect, plan string) []testplans.PlanFault {
	if err == nil {
		return nil
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		var out []testplans.PlanFault
		for _, e := range several.Unwrap() {
			out = append(out, faultsOf(file, e, effect, plan)...)
		}
		return out
	}
	if fault, ok := errors.AsType[*planfile.Fault](err); ok {
		return []testplans.PlanFault{{File: fault.File, Line: fault.Line, Column: fault.Column, Message: fault.Message, Effect: effect, Plan: plan}}
	}
	return []testplans.PlanFault{{File: file, Message: err.Error(), Effect: effect, Plan: plan}}
}

// merge puts the files' plans beside the built-in ones, or in their place. Of two files with one id the first counts.
func (f *Files) merge(order []string, faults []testplans.PlanFault) Set {
	out := Set{texts: map[string][]byte{}}
	out.Faults = faults
	own := map[string]string{}
	builtin := map[string]bool{}
	for _, b := range f.builtins {
		builtin[b.Plan.ID] = true
	}
	for _, name := range order {
		e := f.entries[name]
		out.Faults = append(out.Faults, e.faults...)
		if !e.good {
			continue
		}
		id := e.plan.ID
		if other := own[id]; other != "" {
			line, column := placeOfID(e.src)
			message := fmt.Sprintf("the plan %s is read from %s; expected another id, or one file of it", id, other)
			out.Faults = append(out.Faults, testplans.PlanFault{File: name, Line: line, Column: column, Message: message, Effect: testplans.FaultSkipped})
			continue
		}
		own[id] = name
		out.Plans = append(out.Plans, e.plan)
		out.Files = append(out.Files, testplans.PlanFile{Plan: id, File: name, Replaces: builtin[id], Digest: e.plan.Digest, Since: e.since})
		out.texts[id] = e.src
	}
	for _, b := range f.builtins {
		if own[b.Plan.ID] == "" {
			out.Plans = append(out.Plans, b.Plan)
			out.texts[b.Plan.ID] = b.Text
		}
	}
	return out
}

// placeOfID is where a plan's id stands in its text.
func placeOfID(src []byte) (line, column int) {
	n := 0
	for text := range strings.Lines(string(src)) {
		n++
		if rest, ok := strings.CutPrefix(text, "plan:"); ok {
			return n, len("plan:") + len(rest) - len(strings.TrimLeft(rest, " ")) + 1
		}
	}
	return 1, 1
}

// tell logs what is in use now and was not, and what is wrong now and was not.
func (f *Files) tell(ctx context.Context, before, after Set) {
	log := f.opt.Logger
	for _, file := range after.Files {
		if was, ok := before.Of(file.Plan); !ok || was.Digest != file.Digest || was.File != file.File {
			log.InfoContext(ctx, "plan read from a file", "plan", file.Plan, "file", file.File, "digest", file.Digest, "replaces_builtin", file.Replaces)
		}
	}
	for _, file := range before.Files {
		if _, ok := after.Of(file.Plan); !ok {
			log.InfoContext(ctx, "the file of a plan is gone", "plan", file.Plan, "file", file.File, "builtin_again", file.Replaces)
		}
	}
	for _, fault := range after.Faults {
		if !slices.Contains(before.Faults, fault) {
			level := slog.LevelWarn
			if fault.Effect == testplans.FaultNoted {
				level = slog.LevelInfo
			}
			log.Log(ctx, level, "plan file with a fault", "fault", Say(fault), "effect", string(fault.Effect), "plan", fault.Plan)
		}
	}
}

// Say is a fault as it is printed: FILE:LINE:COLUMN: MESSAGE.
func Say(f testplans.PlanFault) string {
	if f.Line == 0 {
		return f.File + ": " + f.Message
	}
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Message)
}
