package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"fhirwire/internal/planfiles"
	"fhirwire/internal/scenarios"
	"fhirwire/testplans"
	"fhirwire/testplans/planfile"
	"fhirwire/testplans/plans"
	"fhirwire/validators/fhirpath"
)

const (
	// plansDir is where the data folder has plans of its own; usedPlansDir the texts of those that judged.
	plansDir, usedPlansDir = "plans", "plans-used"
	// planLook is how often plan files are looked at; a change counts at the second look.
	planLook = time.Second
)

// planSources are the paths that were given.
func planSources(paths []string) []planfiles.Source {
	var out []planfiles.Source
	for _, path := range paths {
		if path != "" {
			out = append(out, planfiles.Source{Path: path})
		}
	}
	return out
}

// newPlanFiles are the plans of this build with those in files.
func newPlanFiles(sources []planfiles.Source, model fhirpath.Model, o planfiles.Options) (*planfiles.Files, error) {
	files, err := plans.All()
	if err != nil {
		return nil, err
	}
	var builtins []planfiles.Builtin
	for _, f := range files {
		plan, err := planfile.Parse(f.Path, f.Source, model)
		if err != nil {
			return nil, err
		}
		builtins = append(builtins, planfiles.Builtin{Plan: plan, Text: f.Source})
	}
	read := func(name string, src []byte) (testplans.Plan, error) { return readPlan(name, src, model) }
	return planfiles.New(sources, builtins, read, o), nil
}

// maxExamples bounds the example traffic beside a plan, in bytes.
const maxExamples = 8 << 20

// vetBeside says what plans check would say of a plan that can be used: requirements that nobody knows, checks without example traffic.
func vetBeside(file string, src []byte, plan testplans.Plan) error {
	name := plans.ExamplesPath(filepath.ToSlash(file))
	return errors.Join(vetRequirements(file, src, plan), func() error {
		info, err := os.Stat(filepath.FromSlash(name))
		switch {
		case errors.Is(err, os.ErrNotExist):
			return &planfile.Fault{File: file, Line: 1, Column: 1, Message: "no example traffic; expected it in " + name}
		case err != nil:
			return fmt.Errorf("examples: %w", err)
		case !info.Mode().IsRegular() || info.Size() > maxExamples:
			return &planfile.Fault{File: name, Line: 1, Column: 1, Message: fmt.Sprintf("expected a regular file of %d bytes at most", maxExamples)}
		}
		text, err := os.ReadFile(filepath.FromSlash(name))
		if err != nil {
			return fmt.Errorf("examples: %w", err)
		}
		examples, err := planfile.Examples(name, text)
		if err != nil {
			return err
		}
		return planfile.VetExamples(file, src, plan, name, examples)
	}())
}

// openPlans reads the plans that are judged by: those of the build, those of --plans and those in the data folder.
func (a *app) openPlans(ctx context.Context, model fhirpath.Model) error {
	sources := append(planSources(a.cfg.Plans), planfiles.Source{Path: filepath.Join(a.cfg.Data, plansDir), Optional: true})
	var err error
	a.plans, err = newPlanFiles(sources, model, planfiles.Options{
		Vet: vetBeside, Beside: plans.ExamplesPath, Keep: filepath.Join(a.cfg.Data, usedPlansDir), Clock: a.p.now, Logger: a.logger,
	})
	if err != nil {
		return err
	}
	return a.plans.Read(ctx)
}

// followPlans judges by plan files as they are changed.
func (a *app) followPlans(ctx context.Context) {
	look := time.NewTicker(planLook)
	defer look.Stop()
	a.plans.Follow(ctx, look.C, func(set planfiles.Set) {
		if err := a.scenarios.SetPlans(set.Plans); err != nil {
			a.logger.ErrorContext(ctx, "the plans were not changed", "error", err)
		}
	})
}

// planDesk is what the dashboard asks about where plans come from.
type planDesk struct {
	files     *planfiles.Files
	scenarios *scenarios.Service
}

func (d planDesk) PlanFiles() testplans.PlanFiles { return d.files.Now().PlanFiles }

func (d planDesk) PlanText(plan, digest string) ([]byte, error) { return d.files.Text(plan, digest) }

func (d planDesk) FormerPlan(ctx context.Context, id string) (testplans.Plan, error) {
	return d.scenarios.FormerPlan(ctx, id)
}

// plansOf are the built-in plans with those in files, each in place of a built-in one with its id.
func plansOf(ctx context.Context, paths []string, model fhirpath.Model) (*planfiles.Files, error) {
	files, err := newPlanFiles(planSources(paths), model, planfiles.Options{})
	if err != nil {
		return nil, err
	}
	return files, files.Read(ctx)
}

// givenList is a flag that may be repeated and then counts alone, whatever the environment says.
func givenList(to *list) func(string) error {
	given := false
	return func(v string) error {
		if !given {
			*to, given = nil, true
		}
		return to.Set(v)
	}
}

// find is a plan by its name, of those that are built in and those in files, or one in the file that is named.
func (c plansCommand) find(ctx context.Context, name string) (testplans.Plan, error) {
	if isPlanFile(name) {
		return findPlan(name, c.model)
	}
	files, err := plansOf(ctx, c.own, c.model)
	if err != nil {
		return testplans.Plan{}, err
	}
	return planNamed(name, files.Now().Plans)
}

// text prints a plan as it was written, or its example traffic.
func (c plansCommand) text(ctx context.Context, name, format string) error {
	if isPlanFile(name) {
		return usagef("show --format %s: name a plan from the list; %s is a text already", format, name)
	}
	files, err := plansOf(ctx, c.own, c.model)
	if err != nil {
		return err
	}
	if _, err := planNamed(name, files.Now().Plans); err != nil {
		return err
	}
	src, err := files.Text(name, "")
	if format == "txtar" {
		src, err = examplesOf(name, files)
	}
	if err == nil {
		_, err = c.p.stdout.Write(src)
	}
	return err
}

// examplesOf is a plan's example traffic: beside its file, or built in.
func examplesOf(id string, files *planfiles.Files) ([]byte, error) {
	set := files.Now()
	if f, own := set.Of(id); own {
		return os.ReadFile(filepath.FromSlash(plans.ExamplesPath(filepath.ToSlash(f.File))))
	}
	all, err := plans.All()
	if err != nil {
		return nil, err
	}
	text, err := files.Text(id, "")
	for _, f := range all {
		if bytes.Equal(f.Source, text) {
			return f.Examples, err
		}
	}
	return nil, errors.Join(err, fmt.Errorf("plan %s has no example traffic", id))
}
