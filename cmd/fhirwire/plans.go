package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"fhirwire/testplans"
	"fhirwire/testplans/planfile"
	"fhirwire/testplans/plans"
	"fhirwire/validators/fhirpath"
	"fhirwire/validators/guides"
)

const plansUsage = "say list, show PLAN, check FILE…, coverage, scenarios or schema"

func runPlans(ctx context.Context, p *process, args []string) (int, error) {
	fs := newFlags(p, "plans", "list | show PLAN | check FILE… | coverage | scenarios | schema",
		"Shows the test plans that are built in, checks plans in files (with the example traffic beside them, NAME.txtar), says which of the\n"+
			"specifications' requirements this build decides about and by what, and prints the JSON Schema of the plan format. PLAN is a name from\n"+
			"the list or a file. show PLAN --format yaml prints a plan as it was written, to change it: serve, and these commands, take the file by\n"+
			"--plans in place of the built-in plan with the same id.\n")
	format := fs.String("format", "text", "text or json, for list and show; also csv, for coverage; yaml (its very text) and txtar (its example traffic), for show")
	own := list(filepath.SplitList(p.getenv(envName("plans"))))
	fs.Func("plans", "`PATH`: file or folder (*.yaml) of plans beside the built-in ones, or in place of one with the same id; may be repeated", givenList(&own))
	compare := fs.Bool("check", false, "scenarios: compare the table in the source instead of writing it")
	data := fs.String("data", dataDir(p), "`DIR` that holds added packages")
	rest, err := parseFlags(fs, args)
	switch {
	case err != nil:
		return exitUsage, err
	case len(rest) == 0:
		return exitUsage, usagef(plansUsage)
	case *format == "csv" && rest[0] == "coverage", (*format == "yaml" || *format == "txtar") && rest[0] == "show":
	case *format != "text" && *format != "json":
		return exitUsage, usagef("--format: %q is neither text nor json; csv is for coverage, yaml and txtar are for show", *format)
	}
	lib, err := loadLibrary(*data)
	if err != nil {
		return exitUsage, err
	}
	model, err := lib.Set()
	if err != nil {
		return exitUsage, err
	}
	c := plansCommand{p: p, lib: lib, model: model, own: own, json: *format == "json"}
	switch verb, names := rest[0], rest[1:]; {
	case verb == "list" && len(names) == 0:
		return exitFine, c.list(ctx)
	case verb == "show" && len(names) == 1 && (*format == "yaml" || *format == "txtar"):
		return exitFine, c.text(ctx, names[0], *format)
	case verb == "show" && len(names) == 1:
		return exitFine, c.show(ctx, names[0])
	case verb == "check" && len(names)+len(own) > 0:
		return c.check(ctx, append(names, own...))
	case verb == "coverage" && len(names) == 0:
		return exitFine, c.coverage(ctx, *format)
	case verb == "scenarios" && len(names) == 0:
		return c.scenarios(ctx, *data, *compare)
	case verb == "schema" && len(names) == 0:
		_, err := p.stdout.Write(planfile.Schema())
		return exitFine, err
	}
	return exitUsage, usagef(plansUsage)
}

type plansCommand struct {
	p     *process
	lib   *guides.Library
	model fhirpath.Model
	own   []string // files and folders of plans
	json  bool
}

// builtinPlans reads the plans of this build.
func builtinPlans(model fhirpath.Model) ([]testplans.Plan, error) {
	files, err := plans.All()
	if err != nil {
		return nil, err
	}
	out := make([]testplans.Plan, 0, len(files))
	for _, f := range files {
		plan, err := planfile.Parse(f.Path, f.Source, model)
		if err != nil {
			return nil, err
		}
		out = append(out, plan)
	}
	return out, nil
}

// isPlanFile reports a name that is a file's and no plan's id.
func isPlanFile(name string) bool {
	return strings.ContainsAny(name, `/\`) || slices.Contains([]string{".yaml", ".yml"}, filepath.Ext(name))
}

// findPlan is a built-in plan by its name, or one in a file.
func findPlan(name string, model fhirpath.Model) (testplans.Plan, error) {
	if isPlanFile(name) {
		src, err := os.ReadFile(name)
		if err != nil {
			return testplans.Plan{}, fmt.Errorf("plan: %w", err)
		}
		return readPlan(name, src, model)
	}
	files, err := plans.All()
	if err != nil {
		return testplans.Plan{}, err
	}
	line := []byte("\nplan: " + name + "\n")
	for _, f := range files {
		if !bytes.Contains(f.Source, line) {
			continue // reading every plan takes longer than judging a run by one
		}
		if plan, err := planfile.Parse(f.Path, f.Source, model); err != nil || plan.ID == name {
			return plan, err
		}
	}
	all, err := builtinPlans(model)
	if err != nil {
		return testplans.Plan{}, err
	}
	return planNamed(name, all)
}

func planNamed(name string, all []testplans.Plan) (testplans.Plan, error) {
	names := make([]string, len(all))
	for i, plan := range all {
		if names[i] = plan.ID; plan.ID == name {
			return plan, nil
		}
	}
	return testplans.Plan{}, fmt.Errorf("plan %q is not known; there are %s, or name a .yaml file", name, strings.Join(names, ", "))
}

func (c plansCommand) writeJSON(v any) error {
	enc := json.NewEncoder(c.p.stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func (c plansCommand) list(ctx context.Context) error {
	files, err := plansOf(ctx, c.own, c.model)
	if err != nil {
		return err
	}
	set := files.Now()
	if c.json {
		return c.writeJSON(set.Plans)
	}
	w := tabwriter.NewWriter(c.p.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "PLAN\tTRACK\tSTEPS\tCHECKS\tTITLE") // the writer keeps its error for Flush
	for _, plan := range set.Plans {
		n := 0
		for _, s := range plan.Steps {
			n += len(s.Checks)
		}
		from := ""
		if f, own := set.Of(plan.ID); own {
			from = " (from " + f.File + ")"
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s%s\n", plan.ID, plan.Track, len(plan.Steps), n, plan.Title, from)
	}
	return w.Flush()
}
