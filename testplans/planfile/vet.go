package planfile

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/validators/fhirpath"
	"fhirwire/validators/fhirpath/parse"
)

// vetter finds what a schema cannot say.
type vetter struct {
	*places
	plan   *testplans.Plan
	model  fhirpath.Model
	faults []*Fault

	steps []string // seen so far
	vars  []string // captured so far
}

func (v *vetter) add(f *Fault) { v.faults = append(v.faults, f) }

func (v *vetter) vet() {
	v.guides("/guides", v.plan.Guides)
	for i := range v.plan.Steps {
		s, at := &v.plan.Steps[i], fmt.Sprintf("/steps/%d", i)
		if slices.Contains(v.steps, s.ID) {
			v.add(v.at(at+"/step", "the step %s is there already; expected another name", s.ID))
		}
		v.guides(at+"/guides", s.Guides)
		v.selection(at+"/select", &s.Select, len(s.Checks) > 0 && !slices.ContainsFunc(s.Checks, func(c testplans.Check) bool { return c.Attestation == nil }))
		v.checks(at, s)
		v.otherwise(at, s)
		v.captures(at, s)
		v.steps = append(v.steps, s.ID)
	}
	v.play()
}

func (v *vetter) guides(at string, ranges map[string]string) {
	for pkg, span := range ranges {
		if _, err := testplans.InRange("1.0.0", span); err != nil {
			v.add(v.at(at+"/"+escape(pkg), "%v", err))
		}
	}
}

func (v *vetter) selection(at string, s *testplans.Select, attested bool) {
	if !attested && len(s.Kind)+len(s.Type)+len(s.Operation)+len(s.Method)+len(s.Status)+len(s.Parameters)+len(s.Headers)+len(s.Follows) == 0 && s.Request == "" && s.Response == "" {
		v.add(v.at(at, "select says nothing; expected at least a kind of interaction, such as kind: [search-type]"))
	}
	for name, value := range s.Parameters {
		v.text(at+"/parameters/"+escape(name), value)
	}
	v.types(at+"/type", s.Type)
	v.expr(at+"/request", s.Request)
	v.expr(at+"/response", s.Response)
	v.relations(at+"/follows", s.Follows)
	v.relations(at+"/unless", s.Unless)
}

func (v *vetter) relations(at string, list []testplans.Follows) {
	for i := range list {
		f, here := &list[i], fmt.Sprintf("%s/%d", at, i)
		v.follows(here, f)
		if f.By == testplans.ByOrder && !slices.ContainsFunc(list, func(o testplans.Follows) bool { return o.Step == f.Step && o.By != testplans.ByOrder }) {
			v.add(v.at(here+"/by", "time alone selects nothing; expected another relation to %s as well", f.Step))
		}
	}
}

func (v *vetter) follows(at string, f *testplans.Follows) {
	v.earlier(at+"/step", f.Step)
	switch {
	case f.By == testplans.ByID && f.Variable == "":
		v.add(v.at(at, "by: id needs the variable whose value is to be found"))
	case f.By != testplans.ByID && f.Variable != "":
		v.add(v.at(at+"/variable", "variable goes with by: id only"))
	case f.Variable != "" && !slices.Contains(v.vars, f.Variable):
		v.add(v.at(at+"/variable", "no earlier step captures %s; expected %s", f.Variable, oneOf(f.Variable, v.vars)))
	}
}

func (v *vetter) earlier(at, step string) {
	if !slices.Contains(v.steps, step) {
		v.add(v.at(at, "there is no earlier step %s; expected %s", step, oneOf(step, v.steps)))
	}
}

func (v *vetter) captures(at string, s *testplans.Step) {
	for i := range s.Capture {
		c, here := &s.Capture[i], fmt.Sprintf("%s/capture/%d", at, i)
		n := 0
		for _, set := range []bool{c.FHIRPath != "", c.Pointer != "", c.Header != "", c.Parameter != ""} {
			if set {
				n++
			}
		}
		switch {
		case n != 1:
			v.add(v.at(here, "a capture takes one of fhirpath, pointer, header and parameter; found %d", n))
		case c.Parameter != "" && c.From != testplans.OnRequest:
			v.add(v.at(here+"/from", "parameters are of the request"))
		}
		v.expr(here+"/fhirpath", c.FHIRPath)
		if slices.Contains(v.vars, c.Name) {
			v.add(v.at(here+"/name", "the variable %s is captured already; expected another name", c.Name))
		}
		v.vars = append(v.vars, c.Name)
	}
}

func (v *vetter) checks(at string, s *testplans.Step) {
	table := checks.NewTable(v.model)
	var seen []string
	for i := range s.Checks {
		c, here := &s.Checks[i], fmt.Sprintf("%s/checks/%d", at, i)
		if slices.Contains(seen, c.ID) {
			v.add(v.at(here+"/check", "the step has a check %s already; expected another name", c.ID))
		}
		seen = append(seen, c.ID)
		kind, n := table.Find(c)
		if n != 1 {
			v.add(v.at(here, "a check has exactly one kind of %s; found %d", kindNames(table), n))
		}
		if c.Every && kind.Step {
			v.add(v.at(here+"/every", "%s is about all attempts anyway; leave every out", kind.Name))
		}
		if len(s.RequirementsOf(c)) == 0 {
			v.add(v.at(here, "the check names no requirement, nor does its step"))
		}
		v.check(here, c)
	}
}

// otherwise vets that a question for what traffic does not decide stands beside checks of traffic, once.
func (v *vetter) otherwise(at string, s *testplans.Step) {
	asked, others := 0, 0
	for i := range s.Checks {
		c := &s.Checks[i]
		if c.Attestation == nil {
			others++
			continue
		}
		if !c.Attestation.Otherwise {
			continue
		}
		if asked++; asked > 1 {
			v.add(v.at(fmt.Sprintf("%s/checks/%d", at, i), "the step has a question for otherwise already"))
		}
	}
	if asked > 0 && others == 0 {
		v.add(v.at(at+"/checks", "otherwise needs checks of traffic beside the question"))
	}
}

func kindNames(t checks.Table) string {
	var names []string
	for _, k := range t.Kinds {
		names = append(names, k.Name)
	}
	return strings.Join(names, ", ")
}

func (v *vetter) check(at string, c *testplans.Check) {
	if c.Covers != nil {
		v.profiled(at+"/covers/profile", c.Covers.Profile)
	}
	switch {
	case c.Header != nil:
		v.values(at+"/header", c.Header.Is, c.Header.Matches)
	case c.FHIRPath != nil:
		v.expr(at+"/fhirpath/expr", c.FHIRPath.Expr)
	case c.Pointer != nil:
		v.pointer(at+"/pointer", c.Pointer)
	case c.Parameter != nil:
		v.values(at+"/parameter", c.Parameter.Is, c.Parameter.Matches)
	case c.Follows != nil:
		v.follows(at+"/follows", c.Follows)
	case c.File != nil:
		v.earlier(at+"/file/manifest", c.File.Manifest)
	case c.Fetched != nil:
		v.earlier(at+"/fetched/manifest", c.Fetched.Manifest)
	case c.Control != nil:
		v.earlier(at+"/control/step", c.Control.Step)
	case c.Connection != nil:
		v.values(at+"/connection", nil, c.Connection.Names)
		if c.Connection.Listed != "" {
			v.earlier(at+"/connection/listed", c.Connection.Listed)
		}
	case c.Covers != nil:
		v.expr(at+"/covers/where", c.Covers.Where)
	case c.Tokens != nil:
		v.earlier(at+"/tokens/issued", c.Tokens.Issued)
	case c.Snapshot != nil:
		v.earlier(at+"/snapshot/polls", c.Snapshot.Polls)
	case c.Agrees != nil:
		v.earlier(at+"/agrees/step", c.Agrees.Step)
		v.expr(at+"/agrees/expr", c.Agrees.Expr)
	case c.Count != nil:
		switch {
		case c.Count.Max > 0 && c.Count.Min > c.Count.Max:
			v.add(v.at(at+"/count", "min is above max"))
		case c.Count.Max == 0 && c.Count.Within > 0:
			v.add(v.at(at+"/count/within", "within goes with max"))
		}
	}
}

func (v *vetter) pointer(at string, p *testplans.PointerCheck) {
	v.values(at, p.Is, p.Matches)
	if p.Asked == "" {
		return
	}
	v.earlier(at+"/asked", p.Asked)
	if p.Absent || p.Type != "" || p.Matches != "" || len(p.Is) > 0 {
		v.add(v.at(at+"/asked", "asked goes with nothing else; expected a check of its own for the rest"))
	}
}

func (v *vetter) values(at string, is []string, pattern string) {
	for i, s := range is {
		v.text(fmt.Sprintf("%s/is/%d", at, i), s)
	}
	if pattern == "" {
		return
	}
	v.text(at+"/matches", pattern)
	if _, err := regexp.Compile(variable.ReplaceAllString(pattern, "x")); err != nil {
		v.add(v.at(at+"/matches", "%v", err))
	}
}

var (
	variable = regexp.MustCompile(`\$\{([^}]*)\}`)
	external = regexp.MustCompile("%`?([A-Za-z][A-Za-z0-9-]*)`?")
	// standard are the constants that FHIRPath has by itself.
	standard = []string{"resource", "rootResource", "context", "ucum", "sct", "loinc", "vs", "ext"}
	// asked begin the constants for the request's own parameters: %`param-_type`.
	asked = []string{"param-", "code-", "id-", "exchange-"}
)

// text vets the ${variables} of a text.
func (v *vetter) text(at, s string) {
	for _, m := range variable.FindAllStringSubmatchIndex(s, -1) {
		if name := s[m[2]:m[3]]; !slices.Contains(v.vars, name) {
			v.add(v.inside(at, 1, m[0]+1, "no earlier step captures %s; expected %s", name, oneOf(name, v.vars)))
		}
	}
}

// expr vets a FHIRPath expression, with the place of the fault in it.
func (v *vetter) expr(at, src string) {
	if src == "" {
		return
	}
	if _, err := fhirpath.Compile(src, v.model); err != nil {
		if e, ok := errors.AsType[*parse.Error](err); ok {
			v.add(v.inside(at, e.Line, e.Column, "FHIRPath: %s", e.Msg))
		} else {
			v.add(v.at(at, "FHIRPath: %v", err))
		}
		return
	}
	for _, m := range external.FindAllStringSubmatchIndex(src, -1) {
		name := src[m[2]:m[3]]
		prefix, _, _ := strings.Cut(name, "-")
		ofRequest := func(p string) bool { return strings.HasPrefix(name, p) }
		if slices.Contains(standard, prefix) || slices.Contains(v.vars, name) || slices.ContainsFunc(asked, ofRequest) {
			continue
		}
		before := src[:m[0]]
		line, column := strings.Count(before, "\n")+1, m[0]-strings.LastIndexByte(before, '\n')
		v.add(v.inside(at, line, column, "no earlier step captures %s; expected %s", name, oneOf(name, v.vars)))
	}
}
