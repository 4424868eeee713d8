package checks

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"fhirwire/proxy"
	"fhirwire/testplans"
)

// MatchStatus reports whether a status is one of patterns: "200", or a class, "4xx". No response is status 0 and matches none.
func MatchStatus(status int, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		if class, ok := strings.CutSuffix(p, "xx"); ok {
			return status > 0 && strconv.Itoa(status/100) == class
		}
		return strconv.Itoa(status) == p
	})
}

// status: the response has one of the statuses. Without a response the server did not answer, unless the client hung up.
func status(_ context.Context, c *Case) (Outcome, error) {
	ex := c.Attempt.Exchange
	want := strings.Join(c.Check.Status, " or ")
	switch {
	case ex.Response == nil:
		return noResponse(ex), nil
	case !MatchStatus(ex.Response.Status, c.Check.Status):
		return failed(fmt.Sprintf("the status is %d, where %s is expected", ex.Response.Status, want)), nil
	}
	return passed, nil
}

// noResponse is the outcome where a claim about a response meets none: the server's silence counts against it, ours or the client's not.
func noResponse(ex *proxy.Exchange) Outcome {
	f := ex.Failure
	switch {
	case f == nil:
		return notChecked("no response was recorded")
	case f.Side == "server":
		return failed("there was no response: " + f.Detail)
	case f.Side == "proxy":
		return Outcome{Verdict: testplans.ToolError, Message: "the proxy failed: " + f.Detail}
	default:
		return notShown("there was no response: " + f.Detail)
	}
}

// header: a header is there, or is not, with a value where one is asked for.
func header(_ context.Context, c *Case) (Outcome, error) {
	h := c.Check.Header
	m := message(c.Attempt.Exchange, h.On)
	if m == nil {
		out := noResponse(c.Attempt.Exchange)
		if h.Absent && out.Verdict == testplans.Fail {
			return notShown(out.Message), nil // silence is another check's
		}
		return out, nil
	}
	is, matches, miss, err := wanted(c.Desk, h.Is, h.Matches)
	if err != nil || miss != "" {
		return missing(miss), err
	}
	var values []string
	found := false
	for v := range m.Header.Values(h.Name) {
		values = append(values, v)
		switch {
		case matches != nil:
			found = found || matches.MatchString(v)
		case len(is) > 0:
			found = found || headerIs(v, is)
		default:
			found = true
		}
	}
	switch got := strings.Join(values, ", "); {
	case found && h.Absent:
		return failed(fmt.Sprintf("the %s has the header %s: %s", h.On, h.Name, got)), nil
	case found || h.Absent:
		return passed, nil
	case values == nil:
		return failed(fmt.Sprintf("the %s has no header %s", h.On, h.Name)), nil
	default:
		return failed(fmt.Sprintf("the header %s of the %s is %q%s", h.Name, h.On, got, expected(h.Is, h.Matches))), nil
	}
}

// headerIs compares without regard to case the whole value, each part of a list, and each part without its parameters.
func headerIs(v string, is []string) bool {
	for _, want := range is {
		if strings.EqualFold(strings.TrimSpace(v), want) {
			return true
		}
		for part := range strings.SplitSeq(v, ",") {
			plain, _, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(part), want) || strings.EqualFold(strings.TrimSpace(plain), want) {
				return true
			}
		}
	}
	return false
}

// wanted are the alternatives and the pattern with variables put in; miss is a variable that has no value.
func wanted(d *Desk, is []string, pattern string) (out []string, re *regexp.Regexp, miss string, err error) {
	for _, s := range is {
		s, miss := d.Expand(s)
		if miss != "" {
			return nil, nil, miss, nil
		}
		out = append(out, s)
	}
	if pattern != "" {
		if pattern, miss = d.expandQuoted(pattern); miss != "" {
			return nil, nil, miss, nil
		}
		if re, err = regexp.Compile(pattern); err != nil {
			return nil, nil, "", fmt.Errorf("pattern %q: %w", pattern, err)
		}
	}
	return out, re, "", nil
}

// expandQuoted is Expand for a regular expression, in which a value stands for itself.
func (d *Desk) expandQuoted(s string) (out, missing string) {
	quoted := &Desk{vars: make(map[string][]string, len(d.vars))}
	for name, values := range d.vars {
		if len(values) > 0 {
			quoted.vars[name] = []string{regexp.QuoteMeta(values[0])}
		}
	}
	return quoted.Expand(s)
}

func missing(name string) Outcome {
	return notShown("the value of " + name + " has not been seen yet")
}

func expected(is []string, pattern string) string {
	switch {
	case len(is) > 0:
		return ", where " + strings.Join(is, " or ") + " is expected"
	case pattern != "":
		return ", which does not match " + pattern
	default:
		return ""
	}
}

// parameter: a parameter is there, or is not, with a value where one is asked for.
func parameter(ctx context.Context, c *Case) (Outcome, error) {
	p := c.Check.Parameter
	values, why, err := c.Desk.Parameters(ctx, c.Attempt)
	if err != nil {
		return Outcome{}, err
	}
	got := values[p.Name]
	if len(got) == 0 && why != "" {
		return notChecked(why), nil
	}
	is, matches, miss, err := wanted(c.Desk, p.Is, p.Matches)
	if err != nil || miss != "" {
		return missing(miss), err
	}
	for _, v := range got {
		fault := fault(v, is, matches, p.Type)
		switch {
		case p.Absent && fault == "":
			return failed(fmt.Sprintf("the request has the parameter %s=%s", p.Name, v)), nil
		case !p.Absent && fault != "":
			return failed(fmt.Sprintf("the parameter %s is %q%s", p.Name, v, fault)), nil
		}
	}
	if len(got) == 0 && !p.Absent {
		return failed("the request has no parameter " + p.Name), nil
	}
	return passed, nil
}

// fault says what is wrong with a text, "" when nothing is.
func fault(v string, is []string, matches *regexp.Regexp, typ string) string {
	if len(is) > 0 && !slices.ContainsFunc(is, func(want string) bool { return SameID(v, want) }) {
		return expected(is, "")
	}
	if matches != nil && !matches.MatchString(v) {
		return expected(nil, matches.String())
	}
	switch typ {
	case "url":
		if u, err := url.Parse(v); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return ", which is no absolute URL"
		}
	case "instant":
		if _, err := time.Parse(time.RFC3339, v); err != nil {
			return ", which is no instant with seconds and zone"
		}
	}
	return ""
}

// follows: the attempt is related to an attempt of an earlier step.
func follows(ctx context.Context, c *Case) (Outcome, error) {
	f := c.Check.Follows
	if f.By == testplans.ByID && len(c.Desk.vars[f.Variable]) == 0 {
		return missing(f.Variable), nil
	}
	earlier := c.Steps[f.Step]
	if len(earlier) == 0 {
		return notShown("step " + f.Step + " was not seen, so what it gave is not known"), nil
	}
	to, ok, doubt, err := c.Desk.RelatedTo(ctx, c.Attempt, []testplans.Follows{*f}, earlier)
	switch {
	case err != nil:
		return Outcome{}, err
	case ok:
		return Outcome{Verdict: testplans.Pass, Items: []Item{to, c.Attempt}}, nil
	case doubt != "":
		return notChecked(doubt), nil
	}
	return failed(fmt.Sprintf("%s (step %s)", notRelated[f.By], f.Step)), nil
}

var notRelated = map[testplans.Relation]string{
	testplans.ByURL:    "the URL asked for is none that the server named",
	testplans.BySame:   "the URL asked for is another",
	testplans.ByToken:  "the bearer token is none that the server issued",
	testplans.ByClient: "the client is another one",
	testplans.ByID:     "the request does not have the value that was given",
	testplans.ByOrder:  "it began before the answer",
}
