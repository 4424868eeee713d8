package testscript

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"fhirwire/testplans"
	"fhirwire/validators"
)

// kinds are the interactions of operation codes (http://hl7.org/fhir/testscript-operation-codes).
var kinds = map[string][]string{
	"read": {"read"}, "vread": {"vread"}, "search": {"search-type", "search-system"}, "search-type": {"search-type"}, "search-system": {"search-system"},
	"create": {"create"}, "update": {"update"}, "updateCreate": {"update"}, "patch": {"patch"}, "delete": {"delete"}, "deleteCondSingle": {"delete"},
	"deleteCondMultiple": {"delete"}, "history": {"history-instance", "history-type", "history-system"}, "capabilities": {"capabilities"},
	"conformance": {"capabilities"}, "batch": {"batch"}, "transaction": {"transaction", "batch"},
}

// own is an assertion that plans have no kind for.
type own struct {
	why     string // not supported, and why
	profile string
	method  string
	url     string
}

// Judged is a script as a plan.
type Judged struct {
	Plan testplans.Plan
	own  map[string]own // by check, whose ids are the plan's, not the step's
}

// Plan makes the script a plan.
func (s *Script) Plan(src []byte) *Judged {
	sum := sha256.Sum256(src)
	title := cmp.Or(s.Title, s.Name, s.ID, "TestScript")
	j := &Judged{own: map[string]own{}, Plan: testplans.Plan{
		ID: slug(cmp.Or(s.ID, s.Name, "testscript")), Title: title, Track: "TestScript", Scenario: cmp.Or(s.URL, title),
		Roles: testplans.Roles{Client: "Client", Server: "Server"}, Digest: hex.EncodeToString(sum[:]),
	}}
	c := &converter{script: s, out: j, byResponse: map[string]int{}, byRequest: map[string]int{}}
	for _, p := range s.parts() {
		c.part(p)
	}
	c.variables()
	return j
}

type converter struct {
	script     *Script
	out        *Judged
	byResponse map[string]int // step by responseId
	byRequest  map[string]int
	step       int // the latest, -1 for none
	claims     int
}

var notName = regexp.MustCompile(`[^a-z0-9]+`)

func slug(s string) string {
	if out := strings.Trim(notName.ReplaceAllString(strings.ToLower(s), "-"), "-"); out != "" {
		return out
	}
	return "testscript"
}

func (c *converter) part(p named) {
	c.step = -1
	n := 0
	for i := range p.Action {
		switch a := &p.Action[i]; {
		case a.Operation != nil:
			n++
			c.operation(p, fmt.Sprintf("%s-%d", p.id, n), a.Operation)
		case a.Assert != nil && c.step < 0:
			c.addStep(testplans.Step{ID: p.id + "-0", Title: "Before the first operation", Claim: cmp.Or(p.Description, p.Name, p.id), Optional: p.optional, Select: testplans.Select{Kind: []string{"other"}, Method: []string{"NONE"}}})
			c.assert(a.Assert)
		case a.Assert != nil:
			c.assert(a.Assert)
		}
	}
}

func (c *converter) addStep(s testplans.Step) {
	s.Requirements = []string{cmp.Or(c.script.ID, "TestScript")}
	c.out.Plan.Steps = append(c.out.Plan.Steps, s)
	c.step = len(c.out.Plan.Steps) - 1
}

func (c *converter) operation(p named, id string, o *operation) {
	s := testplans.Step{
		ID: id, Title: cmp.Or(o.Label, strings.TrimSpace(o.Type.Code+" "+o.Resource), "Operation"), Optional: p.optional,
		Claim: cmp.Or(o.Description, p.Description, p.Name, "The operation happened"),
	}
	code := strings.TrimPrefix(o.Type.Code, "$")
	switch kind := kinds[code]; {
	case kind != nil:
		s.Select.Kind = kind
	case code != "":
		s.Select.Kind, s.Select.Operation = []string{"operation", "bulk-kickoff"}, []string{"$" + code}
	}
	if o.Resource != "" && code != "capabilities" && code != "conformance" {
		s.Select.Type = []string{o.Resource}
	}
	if o.Method != "" {
		s.Select.Method = []string{strings.ToUpper(o.Method)}
	}
	s.Select.Parameters = parameters(cmp.Or(o.Params, o.URL))
	if len(s.Select.Kind) == 0 && len(s.Select.Method) == 0 && len(s.Select.Parameters) == 0 {
		s.Select.Kind, s.Select.Method = []string{"other"}, []string{"NONE"} // nothing tells which exchange it is
	}
	if n := len(c.out.Plan.Steps); n > 0 && !p.optional {
		for i := n - 1; i >= 0; i-- {
			if before := &c.out.Plan.Steps[i]; !before.Optional && !slices.Contains(before.Select.Method, "NONE") {
				s.Select.Follows = []testplans.Follows{{Step: before.ID, By: testplans.ByOrder}}
				break
			}
		}
	}
	c.ofInstance(&s, o)
	c.addStep(s)
	if o.ResponseID != "" {
		c.byResponse[o.ResponseID] = c.step
	}
	if o.RequestID != "" {
		c.byRequest[o.RequestID] = c.step
	}
	c.check("happened", check{claim: "The operation happened", kind: testplans.Check{Count: &testplans.CountCheck{Min: 1}, Side: validators.SideClient}})
}

// parameters are those of a query, with variables as they are.
func parameters(text string) map[string]string {
	_, query, ok := strings.Cut(text, "?")
	if !ok {
		return nil
	}
	out := map[string]string{}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if name == "" || strings.Contains(name, "${") {
			continue
		}
		if v, err := url.QueryUnescape(value); err == nil {
			value = v
		}
		out[name] = cmp.Or(value, "*")
	}
	return out
}

// check is a check to be added, or what there is instead.
type check struct {
	claim string
	kind  testplans.Check
	own   own
}

func (c *converter) check(id string, k check) {
	s := &c.out.Plan.Steps[c.step]
	k.kind.ID, k.kind.Claim = id, k.claim
	if k.kind.Side == "" {
		k.kind.Side = validators.SideServer
	}
	if k.own != (own{}) {
		c.out.own[id] = k.own
	}
	s.Checks = append(s.Checks, k.kind)
}

func (c *converter) assert(a *assert) {
	c.claims++
	k := c.checkOf(a)
	k.claim = cmp.Or(a.Description, a.Label, k.claim, "The assertion holds")
	if a.WarningOnly {
		k.kind.Strength = validators.Should
	}
	if a.Direction == "request" {
		k.kind.Side = validators.SideClient
	}
	c.check(fmt.Sprintf("assert-%d", c.claims), k)
}

// variables are captured from the responses they name; those with a default only are put in where they are used.
func (c *converter) variables() {
	for _, v := range c.script.Variable {
		at, known := c.byResponse[v.SourceID]
		from := testplans.OnResponse
		if !known {
			at, known = c.byRequest[v.SourceID]
			from = testplans.OnRequest
		}
		capture := testplans.Capture{Name: v.Name, From: from, FHIRPath: v.Expression, Header: v.HeaderField}
		switch {
		case known && (v.Expression != "" || v.HeaderField != ""):
			if v.Expression != "" {
				capture.Header = ""
			}
			c.out.Plan.Steps[at].Capture = append(c.out.Plan.Steps[at].Capture, capture)
		case v.DefaultValue != "":
			c.putIn("${"+v.Name+"}", v.DefaultValue)
		}
	}
}

// putIn replaces a text everywhere in the plan's selections and checks.
func (c *converter) putIn(name, value string) {
	text, err := json.Marshal(c.out.Plan.Steps)
	if err != nil {
		return // it was made of texts
	}
	quoted, _ := json.Marshal(value) // a string always has a form
	var steps []testplans.Step
	if json.Unmarshal([]byte(strings.ReplaceAll(string(text), name, string(quoted[1:len(quoted)-1]))), &steps) == nil {
		c.out.Plan.Steps = steps
	}
}
