package main

import (
	"io"

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
	v := api.CoverageOf(&j.plan, []testplans.Judgement{{Plan: j.plan.ID, Channel: j.run.Channel, Results: j.results}})
	text, err := v.CSV()
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}
