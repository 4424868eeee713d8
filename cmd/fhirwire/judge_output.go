package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"fhirwire/testplans"
	"fhirwire/web/api"
)

const judgeFormatsHelp = "text, json, junit, testreport (FHIR R4), html, or csv: a line for each requirement and what decided it"

// vetOutput vets the flags on what is written and where.
func vetOutput(format, out string) error {
	if judgeFormats[format] == nil {
		return usagef("--format: %q is none of text, json, junit, testreport, html, csv", format)
	}
	return vetOutFile("out", out)
}

// judgedCSV is the coverage of the plan's requirements, as the dashboard has it.
func judgedCSV(w io.Writer, j *judgement) error {
	results := slices.Clone(j.results)
	for i := range results {
		if r := &results[i]; r.Insecure > 0 {
			r.Message = strings.TrimPrefix(fmt.Sprintf("%s; server not verified in %d", r.Message, r.Insecure), "; ")
		}
	}
	v := api.CoverageOf(&j.plan, []testplans.Judgement{{Plan: j.plan.ID, Channel: j.run.Channel, Results: results}})
	text, err := v.CSV()
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}
