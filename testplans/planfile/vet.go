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

	steps   []string         // seen so far
	vars    []string         // captured so far
	current string           // the one that is vetted
	own     []string         // what it captures itself, which its select and checks do not have
	on      []*fhirpath.Type // what the expression that is vetted is asked of, none where that may be anything
	answers []*fhirpath.Type // what the answers of the step may be
}

func (v *vetter) add(f *Fault) { v.faults = append(v.faults, f) }

func (v *vetter) vet() {
	v.guides("/guides", v.plan.Guides)
	for i := range v.plan.Steps {
		s, at := &v.plan.Steps[i], fmt.Sprintf("/steps/%d", i)
		v.current, v.own = s.ID, namesOf(s.Capture)
		if slices.Contains(v.steps, s.ID) {
			v.add(v.at(at+"/step", "the step %s is there already; expected another name", s.ID))
		}
		v.guides(at+"/guides", s.Guides)
		v.answers = v.answered(&s.Select)
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
		if err := testplans.VetRange(span); err != nil {
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
		v.add(v.at(at+"/variable", "%s", v.uncaptured(f.Variable)))
	}
}

// earlier vets that a step stands before the one that names it.
func (v *vetter) earlier(at, step string) {
	later := func(s testplans.Step) bool { return s.ID == step }
	switch {
	case slices.Contains(v.steps, step):
	case step == v.current:
		v.add(v.at(at, "%s is this step itself; expected an earlier one%s", step, among(v.steps)))
	case slices.ContainsFunc(v.plan.Steps, later):
		v.add(v.at(at, "the step %s comes later; expected an earlier one%s", step, among(v.steps)))
	case len(v.steps) == 0:
		v.add(v.at(at, "there is no step %s; expected an earlier one, and this is the first", step))
	default:
		v.add(v.at(at, "there is no earlier step %s; expected %s", step, suggest(step, v.steps)))
	}
}

// among says which words there are, "" for none.
func among(words []string) string {
	if len(words) == 0 {
		return ", and this is the first"
	}
	return " of " + listed(words)
}

// uncaptured says that a variable has no value where it is used.
func (v *vetter) uncaptured(name string) string {
	switch {
	case slices.Contains(v.own, name):
		return fmt.Sprintf("%s is captured by this step, for later ones; expected a variable of an earlier step%s", name, v.some())
	case len(v.vars) == 0:
		return fmt.Sprintf("no earlier step captures %s, nor any other variable", name)
	default:
		return fmt.Sprintf("no earlier step captures %s; expected %s", name, suggest(name, compact(v.vars)))
	}
}

func (v *vetter) some() string {
	if len(v.vars) == 0 {
		return ", and there is none"
	}
	return ", of " + listed(compact(v.vars))
}

func namesOf(list []testplans.Capture) []string {
	out := make([]string, len(list))
	for i := range list {
		out[i] = list[i].Name
	}
	return out
}

// compact is a list of words without those that stand in it already.
func compact(words []string) []string {
	var out []string
	for _, w := range words {
		if !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
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
			v.add(v.at(here+"/from", "parameters are of the request; expected from: request"))
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
	var without []int // checks without a requirement
	for i := range s.Checks {
		c, here := &s.Checks[i], fmt.Sprintf("%s/checks/%d", at, i)
		if slices.Contains(seen, c.ID) {
			v.add(v.at(here+"/check", "the step has a check %s already; expected another name", c.ID))
		}
		seen = append(seen, c.ID)
		kind, n := table.Find(c)
		if n != 1 {
			v.add(v.at(here, "the check %s has %s; expected exactly one of %s", c.ID, kindsFound(table, c), kindNames(table)))
		}
		if c.Every && kind.Step {
			v.add(v.at(here+"/every", "%s is about all attempts anyway; leave every out", kind.Name))
		}
		if len(s.RequirementsOf(c)) == 0 {
			without = append(without, i)
		}
		v.check(here, c)
	}
	switch {
	case len(without) > 1 && len(without) == len(s.Checks):
		v.add(v.at(at, "neither the step %s nor its checks name a requirement; expected requirements: [ID] in the step", s.ID))
	default:
		for _, i := range without {
			v.add(v.at(fmt.Sprintf("%s/checks/%d", at, i), "neither the check %s nor its step names a requirement; expected requirements: [ID] in either", s.Checks[i].ID))
		}
	}
}

// kindsFound says which kinds a check has.
func kindsFound(t checks.Table, c *testplans.Check) string {
	var names []string
	for _, k := range t.Kinds {
		if k.Of(c) {
			names = append(names, k.Name)
		}
	}
	if len(names) == 0 {
		return "no kind"
	}
	return strings.Join(names, " and ")
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
		if c.FHIRPath.On == testplans.OnResponse && !c.FHIRPath.Lines {
			v.on = v.answers
		}
		v.expr(at+"/fhirpath/expr", c.FHIRPath.Expr)
		v.on = nil
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
			v.add(v.at(at+"/count", "min is above max; expected %d or more for max, or no min", c.Count.Min))
		case c.Count.Max == 0 && c.Count.Within > 0:
			v.add(v.at(at+"/count/within", "within goes with max; expected max as well, or no within"))
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
		v.add(v.at(at+"/matches", "no regular expression (RE2, without looking ahead or behind): %s", strings.TrimPrefix(err.Error(), "error parsing regexp: ")))
	}
}

var (
	variable = regexp.MustCompile(`\$\{([^}]*)\}`)
	external = regexp.MustCompile("%`?([A-Za-z][A-Za-z0-9-]*)`?")
	// standard are the constants that FHIRPath has by itself.
	standard = []string{"resource", "rootResource", "context", "ucum", "sct", "loinc", "vs", "ext"}
	// asked begin the constants for the request's own parameters: %`param-_type`.
	asked = []string{"param-", "code-", "id-", "exchange-", "request-"}
)

// text vets the ${variables} of a text.
func (v *vetter) text(at, s string) {
	for _, m := range variable.FindAllStringSubmatchIndex(s, -1) {
		if name := s[m[2]:m[3]]; !slices.Contains(v.vars, name) {
			v.add(v.inside(at, m[0], "%s", v.uncaptured(name)))
		}
	}
}

// expr vets a FHIRPath expression, with the place of the fault in it.
func (v *vetter) expr(at, src string) {
	if src == "" {
		return
	}
	tree, err := parse.Parse(src)
	if err == nil {
		before := len(v.faults)
		if v.typesIn(at, tree); len(v.faults) > before {
			return
		}
		err = v.compile(src)
	}
	if err != nil {
		if e, ok := errors.AsType[*parse.Error](err); ok {
			v.add(v.inside(at, e.Offset, "FHIRPath: %s", v.meant(e.Msg)))
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
		v.add(v.inside(at, m[0], "%s", v.uncaptured(name)))
	}
}
