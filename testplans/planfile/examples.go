package planfile

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"

	"fhirwire/testplans"
)

// Example is a set of exchanges with the verdicts that it is to give.
type Example struct {
	Name string
	// Archive has the exchanges: files "1.request", "1.response", "2.request" …, each an HTTP message with LF line ends.
	Archive *txtar.Archive
	// Guides are the guides of the run, "package#version"; none: those of the build that the plan is for.
	Guides []string
	// All is the verdict of checks that Want does not name; empty in an example made from another, where they keep that one's.
	All testplans.Verdict
	// From names the example this one was made from, empty for none.
	From string
	// Want is by "step/check".
	Want map[string]testplans.Verdict
	// line is where its expectations begin in the archive's file, lines where each stands, "*" among them.
	line   int
	lines  map[string]int
	faulty bool // its expectations could not be read
}

// Examples reads a plan's example traffic. An archive has folders, one for each example: NAME/1.request and so on with NAME/expect, or
// NAME/edit that makes it from an example before, with NAME/expect for what differs. NAME/guides lists guides, one on a line.
//
// expect has lines "STEP/CHECK VERDICT" and, for whole examples, "* VERDICT" for all others. edit begins with "from NAME"; then come
// "N.request" or "N.response", the message to change, each with pairs of lines "- TEXT" and "+ TEXT" (every TEXT is replaced; an empty
// "+" removes it), and "drop N" for exchanges to leave out. Messages of its own an edited example has as well, or instead.
func Examples(file string, src []byte) ([]Example, error) {
	src = unmarked(src)
	if first, _, _ := bytes.Cut(src, []byte("\n")); bytes.HasSuffix(first, []byte("\r")) {
		src = bytes.ReplaceAll(src, []byte("\r\n"), []byte("\n"))
	}
	r := exampleReader{file: file, folders: map[string]*Example{}, edits: map[string]part{}}
	lines := linesOf(src)
	for i, f := range txtar.Parse(src).Files {
		r.part(part{File: f, line: lines[i]})
	}
	for _, p := range r.alone {
		if folder, _, _ := strings.Cut(p.Name, "/"); r.edits[folder].line == 0 {
			r.fault(p.line, "file %s; expected its request before it", p.Name)
		}
	}
	var out []Example
	for _, name := range r.order {
		e := r.folders[name]
		if edit, ok := r.edits[name]; ok {
			if at, err := e.edit(string(edit.Data), out); err != nil {
				r.fault(edit.line+at, "%v", err)
			}
		} else if e.All == "" && !e.faulty {
			r.fault(e.line, "the example %s says nothing of the other checks; expected a line such as * pass", name)
		}
		out = append(out, *e)
	}
	return out, joined(r.faults)
}

// part is a file of the archive, and the line at which it begins.
type part struct {
	txtar.File
	line int
}

type exampleReader struct {
	file    string
	folders map[string]*Example
	order   []string
	edits   map[string]part
	seen    []string
	alone   []part // messages without their request before them, which an edited example has of another
	faults  []*Fault
}

func (r *exampleReader) fault(line int, format string, args ...any) {
	r.faults = append(r.faults, &Fault{File: r.file, Line: max(1, line), Column: 1, Message: fmt.Sprintf(format, args...)})
}

func (r *exampleReader) part(p part) {
	folder, name, ok := strings.Cut(p.Name, "/")
	if !ok || folder == "" {
		r.fault(p.line, "file %q; expected EXAMPLE/N.request, N.response, expect, edit or guides", p.Name)
		return
	}
	if slices.Contains(r.seen, p.Name) {
		r.fault(p.line, "there is a file %s already; expected another number or example", p.Name)
		return
	}
	r.seen = append(r.seen, p.Name)
	e := r.folders[folder]
	if e == nil {
		e = &Example{Name: folder, Archive: &txtar.Archive{}, Want: map[string]testplans.Verdict{}, line: p.line, lines: map[string]int{}}
		r.folders[folder], r.order = e, append(r.order, folder)
	}
	switch name {
	case "expect":
		e.line = p.line
		if at, err := e.expect(string(p.Data), p.line); err != nil {
			e.faulty = true
			r.fault(at, "%v", err)
		}
	case "edit":
		r.edits[folder] = p
	case "guides":
		for i, text := range strings.Split(strings.TrimSpace(string(p.Data)), "\n") {
			if !guideForm.MatchString(text) {
				r.fault(p.line+1+i, "%q is no guide; expected PACKAGE#VERSION, hl7.fhir.us.core#3.1.1", text)
			}
			e.Guides = append(e.Guides, text)
		}
	default:
		if m := messageFault(r.file, p.line, name, p.Data); m != nil {
			r.faults = append(r.faults, m)
		} else if half := path.Ext(name); half != ".request" && !slices.Contains(r.seen, folder+"/"+strings.TrimSuffix(name, half)+".request") {
			r.alone = append(r.alone, p)
		}
		e.Archive.Files = append(e.Archive.Files, txtar.File{Name: name, Data: p.Data})
	}
}

// linesOf are the 1-based lines at which the files of an archive begin, in their order.
func linesOf(src []byte) []int {
	var at []int
	for i, line := range strings.Split(string(src), "\n") {
		if strings.HasPrefix(line, "-- ") && len(txtar.Parse([]byte(line+"\n")).Files) == 1 {
			at = append(at, i+1)
		}
	}
	return at
}

var guideForm = regexp.MustCompile(`^[a-z0-9.-]+#[0-9][A-Za-z0-9.-]*$`)

var verdicts = []testplans.Verdict{
	testplans.Pass, testplans.PassNotes, testplans.Fail, testplans.NotShown, testplans.NotChecked, testplans.NotApplicable, testplans.ToolError,
}

// expect reads what is expected; at is the line of the fault in the archive, whose line begins the text.
func (e *Example) expect(text string, line int) (at int, err error) {
	for words := range strings.Lines(text) {
		line++
		words := strings.Fields(words)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if len(words) != 2 || words[0] != "*" && strings.Count(words[0], "/") != 1 {
			return line, fmt.Errorf("%q; expected STEP/CHECK, or *, and one of %v", strings.Join(words, " "), verdicts)
		}
		if !slices.Contains(verdicts, testplans.Verdict(words[1])) {
			return line, fmt.Errorf("%q is no verdict; expected %s", words[1], suggest(words[1], verdictNames()))
		}
		if was := e.lines[words[0]]; was > 0 {
			return line, fmt.Errorf("line %d says already what is expected of %s", was, words[0])
		}
		e.lines[words[0]] = line
		if words[0] == "*" {
			e.All = testplans.Verdict(words[1])
			continue
		}
		e.Want[words[0]] = testplans.Verdict(words[1])
	}
	return 0, nil
}

func verdictNames() []string {
	out := make([]string, len(verdicts))
	for i, v := range verdicts {
		out[i] = string(v)
	}
	return out
}

// from takes what the example before says that this one does not say itself.
func (e *Example) from(base *Example) {
	e.From = base.Name
	own := e.Archive.Files
	e.Archive.Files = nil
	for _, f := range base.Archive.Files {
		if i := slices.IndexFunc(own, func(o txtar.File) bool { return o.Name == f.Name }); i >= 0 {
			f = own[i]
			own = slices.Delete(own, i, i+1)
		}
		e.Archive.Files = append(e.Archive.Files, txtar.File{Name: f.Name, Data: slices.Clone(f.Data)})
	}
	e.Archive.Files = append(e.Archive.Files, own...)
	if e.Guides == nil {
		e.Guides = base.Guides
	}
	if e.All == "" {
		e.All = base.All
		all := maps.Clone(base.Want)
		maps.Copy(all, e.Want)
		e.Want = all
	}
}

// edit makes the example from one of those before; at is the line of a fault in the text, 1-based.
func (e *Example) edit(text string, before []Example) (at int, err error) {
	file, old := -1, ""
	changed := len(e.Archive.Files) > 0 || len(e.Guides) > 0
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		at++
		line = strings.TrimRight(line, "\r")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case e.From == "":
			name, ok := strings.CutPrefix(line, "from ")
			base := slices.IndexFunc(before, func(b Example) bool { return b.Name == name })
			if !ok || base < 0 {
				return at, fmt.Errorf("%q; expected from and the name of an example before", line)
			}
			e.from(&before[base])
		case strings.HasPrefix(line, "drop "):
			n := strings.TrimPrefix(line, "drop ") + "."
			had := len(e.Archive.Files)
			e.Archive.Files = slices.DeleteFunc(e.Archive.Files, func(f txtar.File) bool { return strings.HasPrefix(f.Name, n) })
			if len(e.Archive.Files) == had {
				return at, fmt.Errorf("%q: there is no such exchange", line)
			}
			file, changed = -1, true
		case strings.HasPrefix(line, "- "):
			old = line[2:]
		case line == "+" || strings.HasPrefix(line, "+ "):
			if file < 0 || old == "" {
				return at, fmt.Errorf("%q; expected the name of a message and a line with - before", line)
			}
			if err := e.replace(file, old, strings.TrimPrefix(strings.TrimPrefix(line, "+"), " ")); err != nil {
				return at, err
			}
			old, changed = "", true
		default:
			file = slices.IndexFunc(e.Archive.Files, func(f txtar.File) bool { return f.Name == line })
			if file < 0 {
				return at, fmt.Errorf("%q; expected the name of a message, drop, - or +", line)
			}
		}
	}
	switch {
	case old != "":
		return at, fmt.Errorf("%q has no line with + behind it, which says by what it is replaced", "- "+old)
	case !changed:
		return at, errors.New("the edit changes nothing")
	}
	return 0, nil
}

func (e *Example) replace(file int, old, with string) error {
	f := &e.Archive.Files[file]
	was := string(f.Data)
	if !strings.Contains(was, old) {
		return fmt.Errorf("%s has no %q", f.Name, old)
	}
	if with == "" && strings.Contains(was, old+"\n") {
		old += "\n" // a line of its own goes wholly
	}
	f.Data = []byte(strings.ReplaceAll(was, old, with))
	return nil
}

// WantOf is the verdict that the example is to give a check, by "step/check".
func (e *Example) WantOf(check string) testplans.Verdict {
	if v, ok := e.Want[check]; ok {
		return v
	}
	return e.All
}

// LineOf is the line of the examples' file that says what verdict a check is to have, or where the expectations of the example begin.
func (e *Example) LineOf(check string) int {
	for _, key := range []string{check, "*"} {
		if at := e.lines[key]; at > 0 {
			return at
		}
	}
	return max(1, e.line)
}

// VetExamples says which checks of a plan lack an example in which they pass, or one in which they do not; file is the plan's and src
// its text. Attestations need none, since no traffic decides them.
func VetExamples(file string, src []byte, plan testplans.Plan, examplesFile string, examples []Example) error {
	p, err := opened(file, src)
	if err != nil {
		return err
	}
	var faults []*Fault
	known, all := map[string]bool{}, []string{}
	for i, s := range plan.Steps {
		for k, c := range s.Checks {
			id := s.ID + "/" + c.ID
			known[id], all = true, append(all, id)
			if c.Attestation != nil {
				continue
			}
			good, bad := false, false
			for n := range examples {
				v := examples[n].WantOf(id)
				good = good || v == testplans.Pass || v == testplans.PassNotes && c.Findings != nil
				bad = bad || v == testplans.Fail || c.CannotFail() && v != testplans.Pass
			}
			at := fmt.Sprintf("/steps/%d/checks/%d", i, k)
			if !good {
				faults = append(faults, p.at(at, "no example in %s in which %s passes", examplesFile, id))
			}
			if !bad {
				faults = append(faults, p.at(at, "no example in %s in which %s fails", examplesFile, id))
			}
		}
	}
	for _, e := range examples {
		for _, id := range slices.Sorted(maps.Keys(e.Want)) {
			if !known[id] {
				if at := e.lines[id]; at > 0 || e.From == "" { // else the example that it was made from has the fault
					faults = append(faults, &Fault{File: examplesFile, Line: max(1, at), Column: 1, Message: fmt.Sprintf("example %s: the plan has no check %s; expected %s", e.Name, id, checkNear(id, all))})
				}
			}
		}
	}
	return joined(faults)
}

// checkNear is what a check, by "step/check", may have been meant as: among those of its step where there is one.
func checkNear(id string, all []string) string {
	step, _, _ := strings.Cut(id, "/")
	of := slices.DeleteFunc(slices.Clone(all), func(k string) bool { return !strings.HasPrefix(k, step+"/") })
	if len(of) == 0 {
		of = all
	}
	return suggest(id, of)
}
