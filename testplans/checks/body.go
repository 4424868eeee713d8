package checks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
)

// content is a half's JSON body; ok is false when out is the answer already.
func content(ctx context.Context, c *Case, half testplans.Half) (body *Body, out Outcome, ok bool, err error) {
	if message(c.Attempt.Exchange, half) == nil {
		return nil, noResponse(c.Attempt.Exchange), false, nil
	}
	body, err = c.Desk.Body(ctx, c.Attempt, half)
	switch {
	case err != nil:
		return nil, Outcome{}, false, err
	case body.Why != "":
		return nil, notChecked(body.Why), false, nil
	case body.Empty():
		return nil, failed("the " + string(half) + " has no body"), false, nil
	}
	return body, Outcome{}, true, nil
}

// expression: a FHIRPath expression holds on the body, or on each of its lines.
func expression(ctx context.Context, c *Case) (Outcome, error) {
	x := c.Check.FHIRPath
	body, out, ok, err := content(ctx, c, x.On)
	switch {
	case !ok && x.Lines && out.Verdict == testplans.Fail && message(c.Attempt.Exchange, x.On) != nil:
		return notShown("the file has no lines"), nil
	case !ok:
		return out, err
	}
	if name := c.Desk.unset(x.Expr); name != "" {
		return missing(name), nil
	}
	asked, why, err := c.asked(ctx, x.Expr)
	if err != nil || why != "" {
		return notChecked(why), err
	}
	if !x.Lines {
		root, fault := body.JSON()
		if fault != "" {
			return failed("the body of the " + string(x.On) + " is not JSON: " + fault), nil
		}
		return c.holds(ctx, x.Expr, root, "", asked), nil
	}
	lines := 0
	scan := fhirjson.NewLineScanner(bytes.NewReader(body.Text), maxLine)
	for scan.Scan() {
		line := scan.Line()
		if len(bytes.TrimSpace(line.Bytes)) == 0 {
			continue
		}
		lines++
		where := fmt.Sprintf("line %d: ", line.Position.Line+1)
		doc := fhirjson.Parse(line.Bytes)
		if p := doc.Fatal(); p != nil {
			why := where + "not JSON: " + p.Text
			doc.Release()
			return notChecked(why), nil // which check this fails is the one of the lines' type
		}
		out := c.holds(ctx, x.Expr, doc.Root(), where, asked)
		doc.Release()
		if out.Verdict != testplans.Pass {
			return out, nil
		}
	}
	if err := scan.Err(); err != nil {
		return notChecked(err.Error()), nil //nolint:nilerr // a line over our cap, said in the outcome
	}
	if lines == 0 {
		return notShown("the file has no lines"), nil
	}
	return passed, nil
}

// questions are the variables that stand for the request's own parameters: %param-NAME as they are, %code-NAME and %id-NAME the
// alternatives in them as codes of tokens and ids of references.
// %`request-PATH` are the texts at a path of the request's JSON body: %`request-jwks.keys.kid`.
// %`exchange-start` is when the request began, %`exchange-end` when the answer ended, %`exchange-path` the path that was asked for.
var questions = regexp.MustCompile("%`(param|code|id|exchange|request)-([A-Za-z_][A-Za-z0-9_.:-]*)`")

// asked are the values of the variables for the request's parameters that an expression uses.
func (c *Case) asked(ctx context.Context, expr string) (vars map[string][]string, why string, err error) {
	names := questions.FindAllStringSubmatch(expr, -1)
	if len(names) == 0 {
		return nil, "", nil
	}
	values, why, err := c.Desk.Parameters(ctx, c.Attempt)
	if err != nil || why != "" {
		return nil, why, err
	}
	vars = map[string][]string{}
	for _, m := range names {
		form, name := m[1], m[2]
		key := form + "-" + name
		vars[key] = []string{}
		if form == "exchange" {
			vars[key] = circumstance(c.Attempt.Exchange, name)
			continue
		}
		if form == "request" {
			if vars[key], why, err = c.sent(ctx, name); err != nil || why != "" {
				return nil, why, err
			}
			continue
		}
		for _, v := range values[name] {
			if form == "param" {
				vars[key] = append(vars[key], v)
				continue
			}
			for part := range strings.SplitSeq(v, ",") {
				vars[key] = append(vars[key], bare(part))
			}
		}
	}
	return vars, "", nil
}

// sent are the texts at a path of the request's body; nothing of one that is no JSON.
func (c *Case) sent(ctx context.Context, path string) (texts []string, why string, err error) {
	body, err := c.Desk.Body(ctx, c.Attempt, testplans.OnRequest)
	if err != nil || body.Why != "" || body.Empty() {
		return []string{}, body.why(), err
	}
	root, fault := body.JSON()
	if fault != "" {
		return []string{}, "", nil
	}
	if texts, err = c.Desk.Strings(ctx, path, root); err != nil {
		return nil, "the path " + path + " could not be evaluated on the request: " + err.Error(), nil //nolint:nilerr // said in the outcome
	}
	if texts == nil {
		texts = []string{}
	}
	return texts, "", nil
}

// circumstance is what an expression may know of its exchange besides the bodies; nothing for what is not known.
func circumstance(ex *proxy.Exchange, name string) []string {
	var at time.Time
	switch name {
	case "start":
		at = ex.Timing.Start
	case "end":
		at = ex.Timing.End
	case "path":
		if u, err := url.Parse(target(ex)); err == nil {
			return []string{u.Path}
		}
	}
	if at.IsZero() {
		return []string{}
	}
	return []string{at.UTC().Format(time.RFC3339)}
}

func (c *Case) holds(ctx context.Context, expr string, root *fhirjson.Node, where string, asked map[string][]string) Outcome {
	ok, err := c.Desk.truth(ctx, expr, root, asked)
	switch {
	case err != nil:
		return notChecked(where + "the expression could not be evaluated: " + err.Error())
	case !ok:
		return failed(where + "this does not hold: " + expr)
	}
	return passed
}

var external = regexp.MustCompile("%`?([A-Za-z][A-Za-z0-9]*)`?")

// unset is a captured variable that an expression uses and that has no value yet. Only names that plans capture are in vars.
func (d *Desk) unset(expr string) string {
	for _, m := range external.FindAllStringSubmatch(expr, -1) {
		if values, known := d.vars[m[1]]; known && len(values) == 0 {
			return m[1]
		}
	}
	return ""
}

// pointer: what is at a JSON Pointer is there, or is not, with a form and value where they are asked for.
func pointer(ctx context.Context, c *Case) (Outcome, error) {
	p := c.Check.Pointer
	body, out, ok, err := content(ctx, c, p.On)
	if !ok {
		if p.Absent && out.Verdict == testplans.Fail && body == nil && c.Attempt.Exchange.Response != nil {
			return passed, nil // no body has no member
		}
		return out, err
	}
	root, why := body.JSON()
	if why != "" {
		return failed("the body of the " + string(p.On) + " is not JSON: " + why), nil
	}
	if p.Asked != "" {
		return c.isAsked(ctx, root)
	}
	is, matches, miss, err := wanted(c.Desk, p.Is, p.Matches)
	if err != nil || miss != "" {
		return missing(miss), err
	}
	nodes, gap := expandPointer(root, p.At)
	if before, _, each := strings.Cut(p.At, "/*"); each && !p.Absent {
		if list := root.At(before); list == nil || list.Kind() != fhirjson.Array {
			return notShown("there is no array " + before + " to look at"), nil
		}
	}
	faulty := ""
	for _, n := range nodes {
		f := nodeFault(n, is, matches, p.Type)
		switch {
		case p.Absent && f == "":
			return failed(fmt.Sprintf("%s is there: %s", n.Pointer(), clip(string(n.Raw())))), nil
		case f != "" && faulty == "":
			faulty = fmt.Sprintf("%s is %s%s", n.Pointer(), clip(string(n.Raw())), f)
		}
	}
	switch {
	case p.Absent:
		return passed, nil
	case gap != "":
		return failed(gap + " is missing"), nil
	case faulty != "":
		return failed(faulty), nil
	}
	return passed, nil
}

// expandPointer finds the nodes at a pointer with wildcards; gap is the first place where one is missing.
func expandPointer(root *fhirjson.Node, at string) (nodes []*fhirjson.Node, gap string) {
	before, after, star := strings.Cut(at, "/*")
	n := root.At(before)
	if n == nil {
		return nil, before
	}
	if !star {
		return []*fhirjson.Node{n}, ""
	}
	if n.Kind() != fhirjson.Array {
		return nil, before + " as an array"
	}
	for item := range children(n) {
		if after == "" {
			nodes = append(nodes, item)
			continue
		}
		more, missing := expandPointer(root, item.Pointer()+after)
		nodes = append(nodes, more...)
		if gap == "" {
			gap = missing
		}
	}
	return nodes, gap
}

func nodeFault(n *fhirjson.Node, is []string, matches *regexp.Regexp, typ string) string {
	switch kind := n.Kind(); typ {
	case "string", "url", "instant":
		if kind != fhirjson.String {
			return ", which is no string"
		}
	case "number":
		if kind != fhirjson.Number {
			return ", which is no number"
		}
	case "boolean":
		if kind != fhirjson.Bool {
			return ", which is neither true nor false"
		}
	case "array":
		if kind != fhirjson.Array {
			return ", which is no array"
		}
	case "object":
		if kind != fhirjson.Object {
			return ", which is no object"
		}
	}
	return fault(n.Text(), is, matches, typ)
}

func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// findings: the exchange's report has nothing at or above a severity.
func findings(_ context.Context, c *Case) (Outcome, error) {
	return Findings(c.Check, c.Attempt.Report), nil
}

// Findings is what a check of findings says of a report, nil where there is none.
func Findings(c *testplans.Check, r *validators.Report) Outcome {
	f := c.Findings
	if r == nil {
		return notChecked("the exchange was not inspected yet")
	}
	if r.Summary.ToolError != "" {
		return Outcome{Verdict: testplans.ToolError, Message: r.Summary.ToolError}
	}
	limit := validators.SeverityError.Rank()
	if f.Below != "" {
		limit = f.Below.Rank()
	}
	var bad, warned, open int
	first := ""
	for i := range r.Issues {
		is := &r.Issues[i]
		if !concerns(is, f) {
			continue
		}
		switch {
		case f.Body && is.MessageID == fhirjson.ProblemNotJSON:
			return notChecked("the body cannot be read: " + is.Message) // what reads it fails
		case is.NotChecked:
			open++
		case is.Severity.Rank() <= limit:
			if bad++; first == "" {
				first = is.MessageID + ": " + is.Message
			}
		case is.Severity.Rank() <= validators.SeverityWarning.Rank():
			warned++
		}
	}
	switch {
	case bad == 1:
		return failed(first)
	case bad > 1:
		return failed(fmt.Sprintf("%d findings, first %s", bad, first))
	case r.Summary.Unjudged != "":
		return notChecked(r.Summary.Unjudged)
	case r.IssuesCut > 0 && r.Summary.Errors > 0:
		return notChecked(fmt.Sprintf("%d findings were cut from the report", r.IssuesCut))
	case warned+open > 0:
		return noted(notes(warned, open))
	}
	return passed
}

func concerns(is *validators.Issue, f *testplans.FindingsCheck) bool {
	for _, end := range f.Apart {
		if is.Expression == end || strings.HasSuffix(is.Expression, "."+end) {
			return false
		}
	}
	if len(f.Rules) > 0 {
		return containsFold(f.Rules, is.MessageID)
	}
	if f.Body && !strings.HasSuffix(string(is.Part), "-body") {
		return false
	}
	return f.On == "" || strings.HasPrefix(string(is.Part), string(f.On))
}

func containsFold(list []string, s string) bool {
	for _, v := range list {
		if strings.EqualFold(v, s) {
			return true
		}
	}
	return false
}

// errNoKind says that a check has no kind, or several: a plan that was not vetted.
var errNoKind = errors.New("the check has not exactly one kind")

// Ask evaluates the case's check by its kind.
func (t Table) Ask(ctx context.Context, c *Case) (Outcome, error) {
	k, n := t.Find(c.Check)
	if n != 1 {
		return Outcome{}, fmt.Errorf("check %s: %w", c.Check.ID, errNoKind)
	}
	return k.Eval(ctx, c)
}

// notes says what a pass has beside it.
func notes(warned, open int) string {
	var parts []string
	switch {
	case warned == 1:
		parts = append(parts, "1 warning")
	case warned > 1:
		parts = append(parts, fmt.Sprintf("%d warnings", warned))
	}
	if open > 0 {
		parts = append(parts, fmt.Sprintf("%d not checked", open))
	}
	return strings.Join(parts, ", ")
}
