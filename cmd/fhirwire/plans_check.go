package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"fhirwire/internal/planfiles"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/testplans/planfile"
	"fhirwire/testplans/plans"
	"fhirwire/testplans/rehearsal"
	"fhirwire/validators/guides"
)

// check reads plans and the examples beside them, judges the examples, and says everything that is wrong, each with its place.
// Of a folder those in it are checked.
func (c plansCommand) check(ctx context.Context, paths []string) (int, error) {
	code := exitFine
	files, err := planfiles.In(paths...)
	if err != nil {
		return exitUsage, err
	}
	stage := rehearsal.New(c.lib, checks.NewTable(c.model))
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			return exitUsage, fmt.Errorf("plan: %w", err)
		}
		plan, err := readPlan(file, src, c.model)
		var tried int
		if err == nil {
			var inExamples error
			tried, inExamples = tryExamples(ctx, stage, file, src, plan)
			err = errors.Join(vetRequirements(file, src, plan), planfile.VetPackages(file, src, plan, packageNames(c.lib)), inExamples)
		}
		if err != nil {
			code = exitFindings
			_, _ = fmt.Fprintln(c.p.stdout, err)
			continue
		}
		_, _ = fmt.Fprintf(c.p.stdout, "%s: %s is well-formed: %s; its %s judged as expected\n", file, plan.ID, counted(len(plan.Steps), "step"), counted(tried, "example"))
	}
	return code, nil
}

func packageNames(lib *guides.Library) []string {
	var names []string
	for _, p := range lib.Packages() {
		names = append(names, p.Name)
	}
	return names
}

// tryExamples judges the traffic beside a plan; n is how many examples there are. run and judge take a plan without, check does not.
func tryExamples(ctx context.Context, stage *rehearsal.Stage, file string, src []byte, plan testplans.Plan) (n int, err error) {
	name := plans.ExamplesPath(filepath.ToSlash(file))
	text, err := os.ReadFile(filepath.FromSlash(name))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, &planfile.Fault{File: file, Line: 1, Column: 1, Message: "no example traffic; expected it in " + name}
	}
	if err != nil {
		return 0, fmt.Errorf("examples: %w", err)
	}
	examples, err := planfile.Examples(name, text)
	if err != nil {
		return 0, err
	}
	return len(examples), errors.Join(planfile.VetExamples(file, src, plan, name, examples), stage.Vet(ctx, plan, name, examples))
}
