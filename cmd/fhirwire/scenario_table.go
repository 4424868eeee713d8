package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"fhirwire/testplans"
	"fhirwire/testplans/planfile"
	"fhirwire/testplans/plans"
	"fhirwire/testplans/play"
	"fhirwire/validators"
	"fhirwire/validators/fhirpath"
	"fhirwire/validators/guides"
)

// scenarioFile is where the table stands, from the folder of the module.
const scenarioFile = "testplans/SCENARIOS.md"

// scenarioTable plays every built-in plan against the reference payer and writes for each step whether it passes, and in which recorded
// case it does not. With check it compares the table with the file instead.
func scenarioTable(ctx context.Context, p *process, model fhirpath.Model, lib *guides.Library, check bool) (int, error) {
	files, err := plans.All()
	if err != nil {
		return exitUsage, err
	}
	var b bytes.Buffer
	b.WriteString("# The scenarios, step by step\n\nMade by `go run ./cmd/fhirwire plans scenarios`; CI compares it. For each step of every built-in plan: whether it passes when\n" +
		"`fhirwire run` plays it against the reference payer, by which act, and a recorded case in which it does not: an example beside the plan\n" +
		"(the tests run them all), or a mistake of the reference payer that is switched on.\n")
	open := 0
	for _, f := range files {
		n, err := scenarioRows(ctx, &b, p, model, lib, f)
		if err != nil {
			return exitUsage, fmt.Errorf("plan %s: %w", f.Path, err)
		}
		open += n
	}
	b.WriteString("\n## Wrong servers\n\nEach mistake is found by exactly the checks of a plan that are listed, which name the requirement: one, or two where a mistake breaks\ntwo requirements. Mistakes of one plan with the same letter are played together in the tests, and no other check fails.\n\n" +
		"| Mistake | Plan | Check | Requirement | Together |\n|---|---|---|---|---|\n")
	for _, w := range wrongServers {
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s | %s |\n", w.edge, w.plan, w.check, w.requirement, w.together)
	}
	if open > 0 {
		return exitFindings, fmt.Errorf("%d steps that are played do not pass", open)
	}
	if !check {
		return exitFine, os.WriteFile(scenarioFile, b.Bytes(), 0o644)
	}
	have, err := os.ReadFile(scenarioFile)
	if err != nil {
		return exitUsage, err
	}
	if line, same := firstDifference(have, b.Bytes()); !same {
		return exitFindings, fmt.Errorf("%s:%d is stale: go run ./cmd/fhirwire plans scenarios", scenarioFile, line)
	}
	return exitFine, nil
}

// firstDifference is the 1-based line at which two texts part.
func firstDifference(a, b []byte) (line int, same bool) {
	if bytes.Equal(a, b) {
		return 0, true
	}
	x, y := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
	for i := range min(len(x), len(y)) {
		if !bytes.Equal(x[i], y[i]) {
			return i + 1, false
		}
	}
	return min(len(x), len(y)), false
}

// scenarioRows writes a plan's steps; open counts those that are played and do not pass.
func scenarioRows(ctx context.Context, w io.Writer, p *process, model fhirpath.Model, lib *guides.Library, f plans.File) (open int, err error) {
	plan, err := planfile.Parse(f.Path, f.Source, model)
	if err != nil {
		return 0, err
	}
	examples, err := planfile.Examples(plans.ExamplesPath(f.Path), f.Examples)
	if err != nil {
		return 0, err
	}
	results := map[string]testplans.Result{}
	if plan.Play != nil {
		quiet := *p
		quiet.terminal, quiet.stderr = false, io.Discard
		r := runner{p: &quiet, f: runFlags{patience: 5 * time.Minute}, lib: lib, model: model, plan: plan, inputs: map[string]string{}}
		j, err := r.run(ctx)
		if err != nil {
			return 0, err
		}
		for _, o := range r.outcomes {
			if o.State != play.Played {
				return 0, fmt.Errorf("act %s %s: %s", o.Act, o.State, o.Why)
			}
		}
		for _, res := range j.results {
			if res.Check == "" {
				results[res.Step] = res
			}
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s\n\n%s: %s.\n\n| Step | Passes | Played by | Does not pass in |\n|---|---|---|---|\n", plan.ID, plan.Track, plan.Title)
	for i := range plan.Steps {
		s := &plan.Steps[i]
		passes, by := "not played", ""
		if plan.Play != nil {
			by = plan.Play.ShownBy(s.ID)
		}
		switch v := results[s.ID].Verdict; {
		case attestedOnly(s):
			passes = "people say so"
		case by == "":
			if at := plan.Play; at != nil {
				if k := slices.IndexFunc(at.Unplayed, func(u testplans.Unplayed) bool { return u.Step == s.ID }); k >= 0 {
					passes = "not played: " + at.Unplayed[k].Why
				}
			}
		case v == testplans.Pass || v == testplans.PassNotes:
			passes = "yes"
		default:
			passes = string(v)
			open++
		}
		if by != "" {
			by = "`" + by + "`"
		}
		fmt.Fprintf(&b, "| `%s` %s | %s | %s | %s |\n", s.ID, s.Title, passes, by, negativeCase(&plan, s, examples))
	}
	_, err = io.WriteString(w, b.String())
	return open, err
}

func attestedOnly(s *testplans.Step) bool {
	return !slices.ContainsFunc(s.Checks, func(c testplans.Check) bool { return c.Attestation == nil })
}

// negativeCase is a recorded case in which a step fails or is not shown.
func negativeCase(plan *testplans.Plan, s *testplans.Step, examples []planfile.Example) string {
	if attestedOnly(s) {
		return "nobody has answered"
	}
	var out []string
	for _, w := range wrongServers {
		if step, check, _ := strings.Cut(w.check, "/"); w.plan == plan.ID && step == s.ID {
			out = append(out, fmt.Sprintf("`%s` (%s fails)", w.edge, check))
		}
	}
	shown, noted := "", ""
	for i := range examples {
		e := &examples[i]
		missing := true
		for k := range s.Checks {
			c := &s.Checks[k]
			switch v := e.WantOf(s.ID + "/" + c.ID); {
			case v == testplans.Fail && s.StrengthOf(c) == validators.Shall:
				return strings.Join(append(out, fmt.Sprintf("`%s` (%s fails)", e.Name, c.ID)), ", ")
			case v == testplans.Fail && noted == "": // what ought to be is noted, and lowers nothing
				noted, missing = fmt.Sprintf("`%s` (%s fails, a %s)", e.Name, c.ID, s.StrengthOf(c)), false
			case v != testplans.NotShown && v != testplans.NotChecked:
				missing = false
			}
		}
		if missing && shown == "" {
			shown = fmt.Sprintf("`%s` (not shown)", e.Name)
		}
	}
	if shown = cmp.Or(shown, noted); shown != "" {
		out = append(out, shown)
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}

// scenarioCommand is plans scenarios.
func (c plansCommand) scenarios(ctx context.Context, data string, check bool) (int, error) {
	lib, err := loadLibrary(data)
	if err != nil {
		return exitUsage, err
	}
	if _, err := os.Stat("testplans"); errors.Is(err, os.ErrNotExist) {
		return exitUsage, errors.New("the table stands in the source: run this in the folder of the module")
	}
	return scenarioTable(ctx, c.p, c.model, lib, check)
}
