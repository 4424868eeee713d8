package play

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"fhirwire/testplans"
)

// Line is a request as it would be sent, or a sentence on requests that follow from answers.
type Line struct {
	Act    string      `json:"act"`
	Method string      `json:"method,omitempty"`
	URL    string      `json:"url,omitempty"`
	Header http.Header `json:"header,omitempty"`
	Body   string      `json:"body,omitempty"`
	// Writes marks a request that may change data.
	Writes bool   `json:"writes,omitempty"`
	Then   string `json:"then,omitempty"`
}

// Describe lists what Run would send, without sending it. What only answers tell stays ${name}; secrets are not shown.
func (p *Player) Describe(plan *testplans.Plan, to Target) ([]Line, error) {
	v, err := p.variables(plan, to)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"clientSecret", "accessToken"} {
		delete(v, name)
	}
	for _, in := range plan.Play.Inputs {
		if in.Secret {
			delete(v, in.Name)
		}
	}
	key := p.o.Key
	if key == nil {
		if key, err = newKey(); err != nil {
			return nil, err
		}
	}
	var out []Line
	for i := range plan.Play.Acts {
		a := &plan.Play.Acts[i]
		if len(a.Edges) > 0 && !to.Edges {
			out = append(out, Line{Act: a.Name, Then: "skipped: only the built-in reference payer is asked for " + strings.Join(a.Edges, ", ")})
			continue
		}
		of := []string{""}
		if a.Each != nil {
			if of, err = v.list(a.Each.Of); err != nil {
				of = []string{"${" + a.Each.As + "}"}
			}
		}
		for _, value := range of {
			mine := maps.Clone(v)
			if a.Each != nil {
				mine[a.Each.As] = []string{value}
			}
			lines, err := describe(a, mine, key, to.Inputs)
			if err != nil {
				return nil, err
			}
			for i := range lines {
				if len(a.Edges) > 0 {
					lines[i].Header.Set(testplans.EdgeHeader, strings.Join(a.Edges, ", "))
				}
			}
			out = append(out, lines...)
		}
	}
	return out, nil
}

func describe(a *testplans.Act, v vars, key *Key, given map[string]string) ([]Line, error) {
	switch {
	case a.Request != nil:
		l := v.line(a.Name, a.Request)
		if a.Request.Pages > 1 {
			l.then("and the next pages of the answer")
		}
		return []Line{l}, nil
	case a.Export != nil:
		l := v.line(a.Name, &a.Export.Kickoff)
		if l.Header.Get("Prefer") == "" {
			l.Header.Set("Prefer", "respond-async")
		}
		for _, text := range after(a.Export) {
			l.then(text)
		}
		return []Line{l}, nil
	case a.Register != nil:
		if given["clientId"] != "" || given["accessToken"] != "" {
			return nil, nil
		}
		body, _, err := registration(a.Register, withMarks(v, a.Register.With, a.Register.Scope), key)
		if err != nil {
			return nil, err
		}
		at, _ := v.url("${registrationEndpoint}")
		l := Line{Act: a.Name, Method: http.MethodPost, URL: at, Header: http.Header{"Content-Type": {plainJSON}}, Body: string(body)}
		if a.Register.Method == methodUDAP {
			l.Then = "in a software statement that the client's certificate signs"
		}
		return []Line{l}, nil
	case a.Directory != nil:
		at, _ := v.url(a.Directory.URL)
		return []Line{{Act: a.Name, Method: http.MethodGet, URL: at, Header: http.Header{"Accept": {fhirJSON + ", " + plainJSON}}, Then: "and each Bundle that an index there lists"}}, nil
	default:
		if given["accessToken"] != "" {
			return nil, nil
		}
		at, _ := v.url("${tokenEndpoint}")
		form, _ := withMarks(v, a.Token.Form, a.Token.Scope).form(a.Token.Form)
		form.Set("grant_type", grantCredentials)
		if a.Token.Member != "" {
			form.Set("grant_type", grantBearer)
		}
		if a.Token.Scope != "" {
			scope, _ := v.fill(a.Token.Scope, plain)
			form.Set("scope", scope)
		}
		l := Line{Act: a.Name, Method: http.MethodPost, URL: at, Header: http.Header{"Content-Type": {formType}}, Body: legible(form.Encode()), Then: "with the client's credentials"}
		if a.Token.Wrong != "" {
			l.Then = "with credentials that are wrong (" + a.Token.Wrong + ")"
		}
		return []Line{l}, nil
	}
}

// withMarks gives variables without a value their own mark, so that it shows.
func withMarks(v vars, texts map[string]string, more ...string) vars {
	out := maps.Clone(v)
	for _, text := range slices.AppendSeq(more, maps.Values(texts)) {
		for _, name := range testplans.Marks(text) {
			if len(out[name]) == 0 {
				out[name] = []string{"${" + name + "}"}
			}
		}
	}
	return out
}

func (v vars) line(act string, q *testplans.PlayRequest) Line {
	mine := v
	for _, text := range q.Form { // a form with a gap is shown with the gap
		mine = withMarks(mine, nil, text)
	}
	out, _ := mine.outgoing(q)
	l := Line{Act: act, Method: out.method, URL: out.url, Header: out.header, Body: string(out.body), Writes: q.MayWrite()}
	switch q.Auth {
	case testplans.AuthToken:
	case testplans.AuthNone:
		l.then("without a token")
	case testplans.AuthInvalid:
		l.then("with a token that nobody issued")
	}
	switch q.Certificate {
	case "none":
		l.then("without a client certificate")
	case "unlisted":
		l.then("with a certificate that no directory lists")
	}
	if len(q.Form) > 0 {
		l.Body = legible(l.Body)
	}
	return l
}

// then adds to what is said of a request.
func (l *Line) then(text string) { l.Then = strings.TrimPrefix(l.Then+"; "+text, "; ") }

// after are the requests that follow the start of an export.
func after(x *testplans.PlayExport) []string {
	switch {
	case x.Cancel && x.Again:
		return []string{"DELETE, GET and DELETE again at the Content-Location of the answer"}
	case x.Cancel:
		return []string{"DELETE and GET at the Content-Location of the answer"}
	}
	until := "it is complete"
	if x.Fails {
		until = "it has failed"
	}
	out := []string{"GET at the Content-Location of the answer until " + until}
	if x.Fails {
		return out
	}
	if x.Twice {
		out = append(out, "once more the same")
	}
	if !x.Leave {
		out = append(out, "GET each file of the manifest")
	}
	return out
}

var marked = regexp.MustCompile(`%24%7B([A-Za-z][A-Za-z0-9]*)%7D`)

// legible shows the gaps of a form as they are in other places.
func legible(form string) string { return marked.ReplaceAllString(form, "$${$1}") }
