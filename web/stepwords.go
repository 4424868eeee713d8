package web

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/validators"
	"fhirwire/web/views"
)

var (
	// namedStep is how checks name a step: by its id, which nobody sees on a page.
	namedStep = regexp.MustCompile(`\bstep ([A-Za-z0-9][A-Za-z0-9_.-]*)`)
	// ruleAhead is the id of the rule in front of what a finding says.
	ruleAhead = regexp.MustCompile(`^((?:\d+ findings, first )?)[a-z][a-z0-9]*(?:-[a-z0-9]+)+: `)
)

// unmetExpression is how checks begin who hold an expression against a body; the claim says the same in words.
const unmetExpression = "this does not hold: "

// inWords is what a check says, in the words of the page: steps by number, a finding without its rule's id.
func inWords(p *testplans.Plan, text string) string {
	text = namedStep.ReplaceAllStringFunc(text, func(m string) string {
		id := strings.TrimPrefix(m, "step ")
		if i := slices.IndexFunc(p.Steps, func(st testplans.Step) bool { return st.ID == id }); i >= 0 {
			return "step " + strconv.Itoa(i+1)
		}
		return m
	})
	return ruleAhead.ReplaceAllString(text, "$1")
}

// deciding is the check whose id stands in front of a step's message, nil for none, and the message without it.
func deciding(st *testplans.Step, text string) (*testplans.Check, string) {
	for i := range st.Checks {
		if rest, ok := strings.CutPrefix(text, st.Checks[i].ID+": "); ok {
			return &st.Checks[i], rest
		}
	}
	return nil, text
}

// message is why a step stands as it does, in the words of the page.
func message(p *testplans.Plan, st *testplans.Step, r *testplans.Result, most int) string {
	check, text := deciding(st, r.Message)
	if check != nil && strings.Contains(text, unmetExpression) {
		text = "not met: " + check.Claim
	}
	return visible([]byte(clip(inWords(p, text), most)))
}

// judgedWith is by which rules and guides a step was judged: those guides that the plan is about, where many more may be active.
func judgedWith(p *testplans.Plan, r *testplans.Result) (out []string) {
	if r.Context.Rules > 0 {
		out = append(out, "rules "+strconv.Itoa(r.Context.Rules))
	}
	for _, g := range r.Context.Guides {
		name, version, _ := strings.Cut(g, "#")
		if p.Guides[name] == "" {
			continue
		}
		if in, err := testplans.InRange(version, p.Guides[name]); err == nil && in {
			out = append(out, strings.TrimPrefix(name, "hl7.fhir.us.")+" "+version)
		}
	}
	return out
}

// mostPlaces bounds the places that a check leads to.
const mostPlaces = 3

// half is the part of an exchange's page that a check is about.
func halfOf(c *testplans.Check) testplans.Half {
	switch {
	case c.FHIRPath != nil:
		return c.FHIRPath.On
	case c.Pointer != nil:
		return c.Pointer.On
	case c.Header != nil:
		return c.Header.On
	case c.Findings != nil && c.Findings.On != "":
		return c.Findings.On
	case c.Parameter != nil:
		return testplans.OnRequest
	}
	return testplans.OnResponse
}

// places lead from checks that failed to the lines that made them fail: to the findings that say it or that break the same requirement,
// else to an error in the part of the exchange that the check is about, else to that part.
func (s *Server) places(ctx context.Context, st *testplans.Step, results []testplans.Result) (map[string][]views.Link, error) {
	var ids []*proxy.Exchange
	for i := range results {
		if results[i].Verdict == testplans.Fail && results[i].Kind != testplans.Attested {
			for _, e := range results[i].Evidence {
				ids = append(ids, &proxy.Exchange{ID: e.Exchange})
			}
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	reports, err := s.reports(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := map[string][]views.Link{}
	for i := range results {
		r := &results[i]
		at := slices.IndexFunc(st.Checks, func(c testplans.Check) bool { return c.ID == r.Check })
		if r.Verdict == testplans.Fail && r.Kind != testplans.Attested && at >= 0 && len(r.Evidence) > 0 {
			out[r.Check] = checkPlaces(&st.Checks[at], r, reports)
		}
	}
	return out, nil
}

func checkPlaces(c *testplans.Check, r *testplans.Result, reports map[string]*validators.Report) []views.Link {
	wrong := func(is *validators.Issue) bool {
		return is.Severity.Rank() <= validators.SeverityError.Rank() && !is.NotChecked
	}
	says := func(is *validators.Issue) bool { return strings.HasSuffix(r.Message, is.MessageID+": "+is.Message) }
	breaks := func(is *validators.Issue) bool { return wrong(is) && slices.Contains(r.Requirements, is.Requirement) }
	beside := func(is *validators.Issue) bool { // often the same mistake of the same content, told by another rule
		return wrong(is) && (c.FHIRPath != nil || c.Pointer != nil) && strings.HasPrefix(string(is.Part), string(halfOf(c)))
	}
	for _, try := range []struct {
		what string
		fits func(*validators.Issue) bool
	}{{"Line", says}, {"Line", breaks}, {"Finding", beside}} {
		if found := findingPlaces(try.what, r.Evidence, reports, try.fits); len(found) > 0 {
			return found
		}
	}
	last := r.Evidence[len(r.Evidence)-1]
	number := strconv.FormatInt(last.Number, 10)
	if halfOf(c) == testplans.OnRequest {
		return []views.Link{{Text: "Request of exchange " + number, Href: exchangeHref(last.Exchange) + "/request"}}
	}
	return []views.Link{{Text: "Answer of exchange " + number, Href: exchangeHref(last.Exchange) + "/response"}}
}

// findingPlaces are the first findings of exchanges that fit, one of each: its page has the others.
func findingPlaces(what string, evidence []testplans.Evidence, reports map[string]*validators.Report, fits func(*validators.Issue) bool) (out []views.Link) {
	for _, e := range evidence {
		report := reports[e.Exchange]
		if report == nil {
			continue
		}
		i := slices.IndexFunc(report.Issues, func(is validators.Issue) bool { return fits(&is) })
		if i < 0 {
			continue
		}
		is := &report.Issues[i]
		text := what + " in exchange " + strconv.FormatInt(e.Number, 10)
		if is.Requirement != "" {
			text += ", " + visible([]byte(is.Requirement))
		}
		if out = append(out, views.Link{Text: text, Href: placeHref(&proxy.Exchange{ID: e.Exchange}, is, i)}); len(out) == mostPlaces {
			break
		}
	}
	return out
}
