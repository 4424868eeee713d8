package planfile

import (
	"fmt"
	"maps"
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
	// All is the verdict of checks that Want does not name; empty in an example made from another, where they keep that one's.
	All testplans.Verdict
	// From names the example this one was made from, empty for none.
	From string
	// Want is by "step/check".
	Want map[string]testplans.Verdict
	// line is where its expectations begin in the archive's file.
	line int
}

// Examples reads a plan's example traffic. An archive has folders, one for each example: NAME/1.request and so on with NAME/expect, or
// NAME/edit that makes it from an example before, with NAME/expect for what differs.
//
// expect has lines "STEP/CHECK VERDICT" and, for whole examples, "* VERDICT" for all others. edit begins with "from NAME"; then come
// "N.request" or "N.response", the message to change, each with pairs of lines "- TEXT" and "+ TEXT" (every TEXT is replaced; an empty
// "+" removes it), and "drop N" for exchanges to leave out.
func Examples(file string, src []byte) ([]Example, error) {
	var out []Example
	var faults []*Fault
	src = unmarked(src)
	archive := txtar.Parse(src)
	folders := map[string]*Example{}
	var order []string
	edits := map[string]string{}
	lines := linesOf(src)
	fault := func(name, format string, args ...any) {
		faults = append(faults, &Fault{File: file, Line: max(1, lines[name]), Column: 1, Message: fmt.Sprintf(format, args...)})
	}
	for _, f := range archive.Files {
		folder, name, ok := strings.Cut(f.Name, "/")
		if !ok {
			fault(f.Name, "file %q; expected EXAMPLE/N.request, N.response, expect or edit", f.Name)
			continue
		}
		e := folders[folder]
		if e == nil {
			e = &Example{Name: folder, Archive: &txtar.Archive{}, Want: map[string]testplans.Verdict{}}
			folders[folder], order = e, append(order, folder)
		}
		switch name {
		case "expect":
			e.line = lines[f.Name]
			if err := e.expect(string(f.Data)); err != nil {
				fault(f.Name, "%v", err)
			}
		case "edit":
			edits[folder] = string(f.Data)
		default:
			if m := messageFault(file, lines[f.Name], name, f.Data); m != nil {
				faults = append(faults, m)
			}
			e.Archive.Files = append(e.Archive.Files, txtar.File{Name: name, Data: f.Data})
		}
	}
	for _, name := range order {
		e := folders[name]
		if text, ok := edits[name]; ok {
			if err := e.edit(text, out); err != nil {
				fault(name+"/edit", "%v", err)
			}
		} else if e.All == "" {
			fault(name+"/expect", "the example %s says nothing of the other checks; expected a line such as * pass", name)
		}
		out = append(out, *e)
	}
	return out, joined(faults)
}

// linesOf are the 1-based lines at which the files of an archive begin.
func linesOf(src []byte) map[string]int {
	at := map[string]int{}
	for i, line := range strings.Split(string(src), "\n") {
		if name, ok := strings.CutPrefix(line, "-- "); ok {
			if name, ok = strings.CutSuffix(strings.TrimRight(name, "\r"), " --"); ok {
				at[strings.TrimSpace(name)] = i + 1
			}
		}
	}
	return at
}

var verdicts = []testplans.Verdict{
	testplans.Pass, testplans.PassNotes, testplans.Fail, testplans.NotShown, testplans.NotChecked, testplans.NotApplicable, testplans.ToolError,
}

func (e *Example) expect(text string) error {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if len(words) != 2 || !slices.Contains(verdicts, testplans.Verdict(words[1])) {
			return fmt.Errorf("%q; expected STEP/CHECK and one of %v", strings.TrimSpace(line), verdicts)
		}
		if words[0] == "*" {
			e.All = testplans.Verdict(words[1])
			continue
		}
		e.Want[words[0]] = testplans.Verdict(words[1])
	}
	return nil
}

// edit makes the example from one of those before.
func (e *Example) edit(text string, before []Example) error {
	at := -1
	old, changed := "", false
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		line = strings.TrimRight(line, "\r")
		switch {
		case e.From == "":
			name, ok := strings.CutPrefix(line, "from ")
			base := slices.IndexFunc(before, func(b Example) bool { return b.Name == name })
			if !ok || base < 0 {
				return fmt.Errorf("%q; expected from and the name of an example before", line)
			}
			e.From = name
			for _, f := range before[base].Archive.Files {
				e.Archive.Files = append(e.Archive.Files, txtar.File{Name: f.Name, Data: slices.Clone(f.Data)})
			}
			e.All = before[base].All
			all := maps.Clone(before[base].Want)
			maps.Copy(all, e.Want)
			e.Want = all
		case strings.HasPrefix(line, "drop "):
			n := strings.TrimPrefix(line, "drop ") + "."
			had := len(e.Archive.Files)
			e.Archive.Files = slices.DeleteFunc(e.Archive.Files, func(f txtar.File) bool { return strings.HasPrefix(f.Name, n) })
			if len(e.Archive.Files) == had {
				return fmt.Errorf("%q: there is no such exchange", line)
			}
			changed = true
		case strings.HasPrefix(line, "- "):
			old = line[2:]
		case line == "+" || strings.HasPrefix(line, "+ "):
			with := strings.TrimPrefix(strings.TrimPrefix(line, "+"), " ")
			if at < 0 || old == "" {
				return fmt.Errorf("%q; expected the name of a message and a line with - before", line)
			}
			was := string(e.Archive.Files[at].Data)
			if !strings.Contains(was, old) {
				return fmt.Errorf("%s has no %q", e.Archive.Files[at].Name, old)
			}
			if with == "" && strings.Contains(was, old+"\n") {
				old += "\n" // a line of its own goes wholly
			}
			e.Archive.Files[at].Data = []byte(strings.ReplaceAll(was, old, with))
			old, changed = "", true
		case line == "" || strings.HasPrefix(line, "#"):
		default:
			at = slices.IndexFunc(e.Archive.Files, func(f txtar.File) bool { return f.Name == line })
			if at < 0 {
				return fmt.Errorf("%q; expected the name of a message, drop, - or +", line)
			}
		}
	}
	if !changed {
		return fmt.Errorf("the edit changes nothing")
	}
	return nil
}

// WantOf is the verdict that the example is to give a check, by "step/check".
func (e *Example) WantOf(check string) testplans.Verdict {
	if v, ok := e.Want[check]; ok {
		return v
	}
	return e.All
}

// VetExamples says which checks of a plan lack an example in which they pass, or one in which they do not; file is the plan's and src
// its text. Attestations need none, since no traffic decides them.
func VetExamples(file string, src []byte, plan testplans.Plan, examplesFile string, examples []Example) error {
	doc, err := rootOf(file, src)
	if err != nil {
		return err
	}
	p := locate(file, doc)
	var faults []*Fault
	known := map[string]bool{}
	for i, s := range plan.Steps {
		for k, c := range s.Checks {
			id := s.ID + "/" + c.ID
			known[id] = true
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
				faults = append(faults, &Fault{File: examplesFile, Line: max(1, e.line), Column: 1, Message: fmt.Sprintf("example %s: the plan has no check %s", e.Name, id)})
			}
		}
	}
	return joined(faults)
}
