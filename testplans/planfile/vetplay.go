package planfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"fhirwire/testplans"
)

// play vets how a plan is played: acts have one kind each, show steps that exist, use variables that are known by then, and write
// only where the plan says so.
func (v *vetter) play() {
	p := v.plan.Play
	if p == nil {
		return
	}
	v.vars, v.own = testplans.PlayVariables(), nil
	for i := range p.Inputs {
		in, at := &p.Inputs[i], fmt.Sprintf("/play/inputs/%d", i)
		if slices.Contains(v.vars, in.Name) {
			v.add(v.at(at+"/name", "the variable %s is there already; expected another name", in.Name))
		}
		v.text(at+"/default", in.Default)
		v.vars = append(v.vars, in.Name)
	}
	var acts []string
	for i := range p.Acts {
		a, at := &p.Acts[i], fmt.Sprintf("/play/acts/%d", i)
		if slices.Contains(acts, a.Name) {
			v.add(v.at(at+"/act", "the act %s is there already; expected another name", a.Name))
		}
		acts = append(acts, a.Name)
		for k, step := range a.Shows {
			v.step(fmt.Sprintf("%s/shows/%d", at, k), step)
		}
		v.act(at, a)
	}
	for i, u := range p.Unplayed {
		at := fmt.Sprintf("/play/unplayed/%d/step", i)
		v.step(at, u.Step)
		if act := p.ShownBy(u.Step); act != "" {
			v.add(v.at(at, "the act %s shows %s; expected a step that no act shows", act, u.Step))
		}
	}
}

func (v *vetter) step(at, step string) {
	if !slices.Contains(v.steps, step) {
		v.add(v.at(at, "there is no step %s; expected %s", step, suggest(step, compact(v.steps))))
	}
}

func (v *vetter) act(at string, a *testplans.Act) {
	var kinds []string
	for _, k := range []struct {
		name string
		set  bool
	}{{"request", a.Request != nil}, {"register", a.Register != nil}, {"token", a.Token != nil}, {"export", a.Export != nil}, {"directory", a.Directory != nil}} {
		if k.set {
			kinds = append(kinds, k.name)
		}
	}
	if len(kinds) != 1 {
		v.add(v.at(at, "the act %s has %s; expected exactly one of request, register, token, export and directory", a.Name, cmp.Or(strings.Join(kinds, " and "), "none of its kinds")))
	}
	known := v.vars
	if a.Each != nil {
		for i, value := range a.Each.Of {
			v.text(fmt.Sprintf("%s/each/of/%d", at, i), value)
		}
		v.vars = append(slices.Clip(v.vars), a.Each.As)
	}
	switch {
	case a.Request != nil:
		v.request(at+"/request", a.Request)
	case a.Export != nil:
		v.request(at+"/export/kickoff", &a.Export.Kickoff)
	case a.Directory != nil:
		v.text(at+"/directory/url", a.Directory.URL)
	case a.Register != nil:
		v.text(at+"/register/scope", a.Register.Scope)
		v.texts(at+"/register/with", a.Register.With)
	case a.Token != nil:
		v.text(at+"/token/scope", a.Token.Scope)
		v.text(at+"/token/member", a.Token.Member)
		v.texts(at+"/token/form", a.Token.Form)
	}
	v.vars = known
	for i := range a.Capture {
		c, here := &a.Capture[i], fmt.Sprintf("%s/capture/%d", at, i)
		n := 0
		for _, set := range []bool{c.FHIRPath != "", c.Pointer != "", c.Header != ""} {
			if set {
				n++
			}
		}
		if n != 1 {
			v.add(v.at(here, "a capture of an act takes one of fhirpath, pointer and header; found %d", n))
		}
		v.expr(here+"/fhirpath", c.FHIRPath)
		if !slices.Contains(v.vars, c.Name) { // a later act may take a fresher value
			v.vars = append(v.vars, c.Name)
		}
	}
}

func (v *vetter) request(at string, r *testplans.PlayRequest) {
	if !strings.HasPrefix(r.URL, "/") && !strings.HasPrefix(r.URL, "${") && !strings.HasPrefix(r.URL, "https://") && !strings.HasPrefix(r.URL, "http://") {
		v.add(v.at(at+"/url", "expected a path below the FHIR base that begins with /, a ${variable}, or an absolute URL"))
	}
	if r.Body != "" && len(r.Form) > 0 {
		v.add(v.at(at, "a request has a body or a form, not both"))
	}
	if (r.Body != "" || len(r.Form) > 0) && (r.Method == "GET" || r.Method == "HEAD") {
		v.add(v.at(at+"/method", "%s goes without a body", r.Method))
	}
	if r.MayWrite() && !v.plan.Play.Writes {
		v.add(v.at(at, "%s %s may change data on the server; expected writes: true in play", r.MethodOf(), r.URL))
	}
	v.text(at+"/url", r.URL)
	v.text(at+"/body", r.Body)
	v.texts(at+"/headers", r.Headers)
	v.texts(at+"/form", r.Form)
}

func (v *vetter) texts(at string, all map[string]string) {
	for name, text := range all {
		v.text(at+"/"+escape(name), text)
	}
}
