package testscript

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
)

// Validator holds a resource against profiles; *instance.Validator does.
type Validator interface {
	Validate(ctx context.Context, node *fhirjson.Node, profiles ...string) (validators.Report, error)
}

// Table is the kinds of check with those of the script's own; v answers validateProfileId.
func (j *Judged) Table(base checks.Table, v Validator) checks.Table {
	base.Kinds = append(slices.Clone(base.Kinds), checks.Kind{
		Name: "testscript",
		Of:   func(c *testplans.Check) bool { _, ok := j.own[c.ID]; return ok },
		Eval: func(ctx context.Context, c *checks.Case) (checks.Outcome, error) {
			o := j.own[c.Check.ID]
			return o.eval(ctx, c, v)
		},
	})
	return base
}

func (o *own) eval(ctx context.Context, c *checks.Case, v Validator) (checks.Outcome, error) {
	fail := func(format string, args ...any) (checks.Outcome, error) {
		return checks.Outcome{Verdict: testplans.Fail, Message: fmt.Sprintf(format, args...)}, nil
	}
	pass := checks.Outcome{Verdict: testplans.Pass}
	ex := c.Attempt.Exchange
	switch {
	case o.why != "":
		return checks.Outcome{Verdict: testplans.NotChecked, Message: o.why}, nil
	case o.method != "":
		if ex.Request.Method != o.method {
			return fail("the method is %s, where %s is expected", ex.Request.Method, o.method)
		}
		return pass, nil
	case o.url != "":
		want, missing := c.Desk.Expand(o.url)
		if missing != "" {
			return checks.Outcome{Verdict: testplans.NotShown, Message: "the value of " + missing + " has not been seen yet"}, nil
		}
		got, err := url.QueryUnescape(ex.Request.URL)
		if err != nil {
			got = ex.Request.URL
		}
		if got != want && !strings.HasSuffix(got, "/"+strings.TrimPrefix(want, "/")) {
			return fail("the URL is %s, where %s is expected", got, want)
		}
		return pass, nil
	}
	body, err := c.Desk.Body(ctx, c.Attempt, testplans.OnResponse)
	switch {
	case err != nil:
		return checks.Outcome{}, err
	case body.Why != "":
		return checks.Outcome{Verdict: testplans.NotChecked, Message: body.Why}, nil
	case body.Empty():
		return fail("the response has no body")
	}
	root, fault := body.JSON()
	if fault != "" {
		return fail("the body of the response is not JSON: %s", fault)
	}
	report, err := v.Validate(ctx, root, o.profile)
	if err != nil {
		return checks.Outcome{Verdict: testplans.NotChecked, Message: "the profile " + o.profile + " could not be used: " + err.Error()}, nil //nolint:nilerr // said in the outcome
	}
	for i := range report.Issues {
		if is := &report.Issues[i]; is.IsError() {
			return fail("%s: %s", is.Expression, is.Message)
		}
	}
	return pass, nil
}
