package planfiles_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"fhirwire/internal/planfiles"
	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/testplans/planfile"
)

const form = `# why this plan is here
plan: %s
title: %s
track: Examples
roles: {client: App, server: Payer}
steps:
  - step: read
    title: Read
    claim: A patient is read
    requirements: [EX-1]
    select: {kind: [read]}
    checks:
      - {check: ok, claim: It is 200, side: server, status: ["200"]}
`

func planText(id, title string) string { return fmt.Sprintf(form, id, title) }

func parse(file string, src []byte) (testplans.Plan, error) { return planfile.Parse(file, src, nil) }

// folder is plan files that a test writes, and the log.
type folder struct {
	t     *testing.T
	dir   string
	files *planfiles.Files
	log   *bytes.Buffer
}

func newFolder(t *testing.T, o planfiles.Options, files ...string) *folder {
	t.Helper()
	f := &folder{t: t, dir: t.TempDir(), log: &bytes.Buffer{}}
	for i := 0; i+1 < len(files); i += 2 {
		f.write(files[i], files[i+1])
	}
	builtin, err := parse("builtin.yaml", []byte(planText("one", "Built in")))
	if err != nil {
		t.Fatal(err)
	}
	o.Logger = slog.New(slog.NewTextHandler(f.log, nil))
	f.files = planfiles.New([]planfiles.Source{{Path: f.dir}}, []planfiles.Builtin{{Plan: builtin, Text: []byte(planText("one", "Built in"))}}, parse, o)
	return f
}

// look looks at the files twice, and reports whether a change was taken.
func (f *folder) look() bool {
	first := f.files.Look(f.t.Context())
	return f.files.Look(f.t.Context()) || first
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

func (f *folder) write(name, src string) {
	f.t.Helper()
	if err := os.WriteFile(f.path(name), []byte(src), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *folder) remove(name string) {
	f.t.Helper()
	if err := os.Remove(f.path(name)); err != nil {
		f.t.Fatal(err)
	}
}

// titles are the plans in use, "id: title", and what is wrong.
func (f *folder) titles() string {
	set := f.files.Now()
	var out []string
	for _, p := range set.Plans {
		out = append(out, p.ID+": "+p.Title)
	}
	slices.Sort(out)
	for _, fault := range set.Faults {
		out = append(out, fmt.Sprintf("%s:%d:%d %s", strings.TrimPrefix(fault.File, f.dir+"/"), fault.Line, fault.Column, fault.Effect))
	}
	return strings.Join(out, ", ")
}

func (f *folder) expect(want string) {
	f.t.Helper()
	if got := f.titles(); got != want {
		f.t.Errorf("in use: %s\nwant    %s", got, want)
	}
}

func TestFilesStandBesideAndInPlaceOfBuiltinPlans(t *testing.T) {
	f := newFolder(t, planfiles.Options{}, "a.yaml", planText("one", "Ours"), "b.yml", planText("two", "Another"), ".c.yaml.swp", "x", ".d.yaml", "x", "notes.txt", "x")
	f.expect("one: Built in")
	if err := f.files.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.expect("one: Ours, two: Another")
	set := f.files.Now()
	for _, want := range []testplans.PlanFile{{Plan: "one", File: f.path("a.yaml"), Replaces: true}, {Plan: "two", File: f.path("b.yml")}} {
		got, ok := set.Of(want.Plan)
		if want.Digest = got.Digest; !ok || got != want || len(got.Digest) != 64 {
			t.Errorf("%s comes from %+v", want.Plan, got)
		}
	}
	if !strings.Contains(f.log.String(), "replaces_builtin=true") {
		t.Errorf("the log says nothing of the plan that was replaced: %s", f.log)
	}
}

func TestFilesAreReadAgain(t *testing.T) {
	f := newFolder(t, planfiles.Options{}, "a.yaml", planText("one", "Ours"))
	if err := f.files.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f.look() {
		t.Error("a change was taken, and there was none")
	}
	f.write("a.yaml", planText("one", "Ours, changed"))
	f.look()
	f.expect("one: Ours, changed")
	f.write("b.yaml", planText("two", "New"))
	f.look()
	f.expect("one: Ours, changed, two: New")
	f.remove("a.yaml")
	f.look()
	f.expect("one: Built in, two: New")
	if !strings.Contains(f.log.String(), "builtin_again=true") {
		t.Errorf("the log says nothing of the file that is gone: %s", f.log)
	}
	f.write("b.yaml", planText("three", "Renamed"))
	f.look()
	f.expect("one: Built in, three: Renamed")
}

func TestAHalfWrittenFileIsNotTaken(t *testing.T) {
	f := newFolder(t, planfiles.Options{}, "a.yaml", planText("one", "Ours"))
	if err := f.files.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 5 { // it is written, or away, at every look
		f.write("a.yaml", planText("one", "Ours "+strings.Repeat("x", i+1)))
		if f.files.Look(t.Context()) {
			t.Error("what was half written was taken")
		}
		f.remove("a.yaml")
		if f.files.Look(t.Context()) {
			t.Error("a file that is replaced is taken for gone")
		}
	}
	f.write("a.yaml", planText("one", "Ours"))
	if f.look() {
		t.Error("a file that is as it was counts as changed")
	}
	f.expect("one: Ours")
}

func TestFollowTellsOfChanges(t *testing.T) {
	f := newFolder(t, planfiles.Options{}, "a.yaml", planText("one", "Ours"))
	if err := f.files.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ticks, told, ended := make(chan time.Time), make(chan string, 10), make(chan struct{})
	go func() {
		f.files.Follow(ctx, ticks, func(s planfiles.Set) { told <- s.Plans[0].Title })
		close(ended)
	}()
	for i := range 5 {
		if i == 2 {
			ticks <- time.Time{} // the look before has ended
			f.write("a.yaml", planText("one", "Changed"))
		}
		ticks <- time.Time{}
	}
	stop()
	<-ended
	if len(told) != 1 || <-told != "Changed" {
		t.Errorf("told %d times more than once of the change", len(told))
	}
}

func TestABrokenFileLeavesItsTextBefore(t *testing.T) {
	f := newFolder(t, planfiles.Options{}, "a.yaml", planText("one", "Ours"), "b.yaml", "plan: two\nstepps: []\n")
	err := f.files.Read(t.Context())
	if err == nil || !strings.Contains(err.Error(), f.path("b.yaml")+`:2:1: unknown key "stepps"; expected steps`) || strings.Contains(err.Error(), "a.yaml") {
		t.Errorf("reading says %v", err)
	}
	f.write("a.yaml", strings.Replace(planText("one", "Changed"), "[read]", "[raed]", 1))
	f.look()
	set := f.files.Now()
	at := slices.IndexFunc(set.Faults, func(x testplans.PlanFault) bool { return x.File == f.path("a.yaml") })
	if at < 0 || set.Faults[at].Line != 11 || set.Faults[at].Effect != testplans.FaultKept || set.Faults[at].Plan != "one" || !strings.Contains(set.Faults[at].Message, "raed") {
		t.Errorf("faults %+v", set.Faults)
	}
	if set.Plans[0].Title != "Ours" {
		t.Errorf("in use: %+v", set.Plans[0])
	}
	if !strings.Contains(f.log.String(), "a.yaml:11:") {
		t.Errorf("the log says nothing of it: %s", f.log)
	}
	f.write("a.yaml", planText("one", "Mended"))
	f.remove("b.yaml")
	f.look()
	f.expect("one: Mended")
}

func TestWhatAFileLacksIsNoted(t *testing.T) {
	vet := func(file string, _ []byte, _ testplans.Plan) error {
		if _, err := os.Stat(file + ".examples"); err != nil {
			return errors.Join(&planfile.Fault{File: file, Line: 3, Column: 1, Message: "no examples"}, errors.New("and more"))
		}
		return nil
	}
	f := newFolder(t, planfiles.Options{Vet: vet, Beside: func(file string) string { return file + ".examples" }}, "a.yaml", planText("one", "Ours"))
	if err := f.files.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.expect("one: Ours, a.yaml:3:1 noted, a.yaml:0:0 noted")
	f.write("a.yaml.examples", "x")
	f.look()
	f.expect("one: Ours")
}

func TestTwoFilesWithOnePlan(t *testing.T) {
	f := newFolder(t, planfiles.Options{}, "a.yaml", planText("one", "First"), "b.yaml", planText("one", "Second"))
	if err := f.files.Read(t.Context()); err == nil || !strings.Contains(err.Error(), f.path("b.yaml")+":2:7: the plan one is read from "+f.path("a.yaml")) {
		t.Errorf("reading says %v", err)
	}
	f.expect("one: First, b.yaml:2:7 skipped")
}

func TestHostileFiles(t *testing.T) {
	f := newFolder(t, planfiles.Options{}, "real", planText("two", "By a link"), "big.yaml", planText("three", strings.Repeat("x", planfile.MaxSize)))
	if err := errors.Join(syscall.Mkfifo(f.path("pipe.yaml"), 0o600), os.Symlink("real", f.path("link.yaml")), os.Symlink("nothing", f.path("dead.yaml")), os.Symlink(".", f.path("loop.yaml")), os.Mkdir(f.path("dir.yaml"), 0o700)); err != nil {
		t.Skip("links and pipes cannot be made here:", err)
	}
	err := f.files.Read(t.Context())
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("big.yaml:1:1: the file has more than %d bytes", planfile.MaxSize)) || !strings.Contains(err.Error(), "pipe.yaml:1:1: expected a regular file") {
		t.Errorf("reading says %v", err)
	}
	f.expect("one: Built in, two: By a link, big.yaml:1:1 skipped, loop.yaml:1:1 skipped, pipe.yaml:1:1 skipped")
}

func TestAFolderHasItsLimit(t *testing.T) {
	f := newFolder(t, planfiles.Options{})
	for i := range 203 {
		f.write(fmt.Sprintf("p%03d.yaml", i), planText(fmt.Sprintf("p%03d", i), "x"))
	}
	if err := f.files.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	set := f.files.Now()
	if len(set.Files) != 200 || len(set.Faults) != 1 || !strings.Contains(set.Faults[0].Message, "203 plan files") {
		t.Errorf("%d files, faults %+v", len(set.Files), set.Faults)
	}
}

func TestSources(t *testing.T) {
	dir := t.TempDir()
	one := filepath.Join(dir, "one.yaml")
	if err := os.WriteFile(one, []byte(planText("own", "Own")), 0o600); err != nil {
		t.Fatal(err)
	}
	optional := planfiles.Source{Path: filepath.Join(dir, "plans"), Optional: true}
	for _, tt := range []struct {
		name    string
		sources []planfiles.Source
		plans   int
		fault   string
	}{
		{"none", nil, 0, ""},
		{"a file, and a folder that need not be there", []planfiles.Source{{Path: one}, optional}, 1, ""},
		{"a file named twice", []planfiles.Source{{Path: one}, {Path: dir}}, 1, ""},
		{"a file that is not there", []planfiles.Source{{Path: filepath.Join(dir, "two.yaml")}}, 0, "no such file"},
	} {
		f := planfiles.New(tt.sources, nil, parse, planfiles.Options{})
		err := f.Read(t.Context())
		if len(f.Now().Plans) != tt.plans || (err != nil) != (tt.fault != "") || err != nil && !strings.Contains(err.Error(), tt.fault) {
			t.Errorf("%s: %d plans, %v", tt.name, len(f.Now().Plans), err)
		}
	}
	if err := os.Mkdir(optional.Path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(optional.Path, "bad.yaml"), []byte("plan: {"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := planfiles.New([]planfiles.Source{optional}, nil, parse, planfiles.Options{})
	if err := f.Read(t.Context()); err != nil || len(f.Now().Faults) != 1 || f.Now().Faults[0].Effect != testplans.FaultSkipped {
		t.Errorf("a fault in an optional folder: %v, %+v", err, f.Now().Faults)
	}
}

func TestTextsAreKept(t *testing.T) {
	keep := filepath.Join(t.TempDir(), "kept")
	first, second := planText("one", "First"), planText("one", "Second")
	f := newFolder(t, planfiles.Options{Keep: keep}, "a.yaml", first)
	if err := f.files.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	digest := f.files.Now().Plans[0].Digest
	f.write("a.yaml", second)
	f.look()
	for _, tt := range []struct{ digest, want string }{{"", second}, {digest, first}, {f.files.Now().Plans[0].Digest, second}} {
		if got, err := f.files.Text("one", tt.digest); err != nil || string(got) != tt.want {
			t.Errorf("text %q: %q, %v", tt.digest, got, err)
		}
	}
	if p, ok := f.files.Plan("one", digest); !ok || p.Title != "First" || p.Digest != digest {
		t.Errorf("the plan before: %+v", p)
	}
	f.remove("a.yaml")
	f.look()
	if got, err := f.files.Text("one", ""); err != nil || string(got) != planText("one", "Built in") {
		t.Errorf("the built-in text: %q, %v", got, err)
	}
	for _, bad := range [][2]string{{"../one", digest}, {"one", "../../x"}, {"nope", digest}, {"one", strings.Repeat("0", 64)}, {"nope", ""}} {
		if _, err := f.files.Text(bad[0], bad[1]); !errors.Is(err, proxy.ErrNotFound) {
			t.Errorf("text of %q: %v", bad, err)
		}
	}
	if list, err := os.ReadDir(keep); err != nil || len(list) != 2 {
		t.Errorf("kept: %v, %v", list, err)
	}
}

func BenchmarkLook(b *testing.B) {
	dir := b.TempDir()
	for i := range 20 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("p%02d.yaml", i)), []byte(planText(fmt.Sprintf("p%02d", i), strings.Repeat("x", 30_000))), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	f := planfiles.New([]planfiles.Source{{Path: dir}}, nil, parse, planfiles.Options{})
	if err := f.Read(b.Context()); err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	ticks, ended := make(chan time.Time), make(chan struct{})
	go func() { f.Follow(ctx, ticks, func(planfiles.Set) { b.Error("nothing changed") }); close(ended) }()
	b.ReportAllocs()
	for b.Loop() {
		ticks <- time.Time{}
	}
	stop()
	<-ended
}
