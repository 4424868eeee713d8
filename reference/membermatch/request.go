package membermatch

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
)

// request is a member match request that has all it takes to be answered.
type request struct {
	patient, coverage, link, consent *fhirjson.Node
	birthDate                        string
	card                             []Identifier
	subscriberID                     string
}

// faults are the reasons why there is no request; status 0 means none.
type faults struct {
	status int
	issues []issue
}

func (f *faults) add(code validators.Code, at *fhirjson.Node, format string, args ...any) {
	f.status = http.StatusUnprocessableEntity
	i := issue{code: code, text: fmt.Sprintf(format, args...)}
	if at != nil {
		i.expression = at.Expression()
	}
	f.issues = append(f.issues, i)
}

// slot is a parameter of HRex 1.0.0's input profile. Consent is required there and by PDex (P2P-MM-104).
type slot struct {
	name, resource string
	required       bool
}

var slots = [...]slot{
	{"MemberPatient", "Patient", true},
	{"CoverageToMatch", "Coverage", true},
	{"CoverageToLink", "Coverage", false},
	{"Consent", "Consent", true},
}

// filed is what was found for a slot; seen without a resource is a parameter that is wrong.
type filed struct {
	resource *fhirjson.Node
	seen     bool
}

// parse reads the request. Input that is no Parameters resource is a bad request (400), Parameters that are not this operation's
// are unprocessable (422, P2P-MM-25).
func parse(doc *fhirjson.Document) (*request, faults) {
	var f faults
	root := doc.Root()
	if ps := doc.Problems(); len(ps) > 0 {
		p := doc.Position(ps[0].Offset)
		f.add(validators.CodeStructure, nil, "The body is not well-formed JSON: line %d column %d: %s.", p.Line, p.Column, ps[0].Text)
	} else if root == nil || root.ResourceType() != "Parameters" {
		f.add(validators.CodeStructure, nil, "The body is not a Parameters resource.")
	}
	if f.status != 0 {
		f.status = http.StatusBadRequest
		return nil, f
	}
	if list := root.Member("parameter"); list != nil && list.Kind() != fhirjson.Array {
		f.add(validators.CodeStructure, list, "Parameters.parameter is no list.")
		return &request{}, f
	}
	var got [len(slots)]filed
	for _, p := range root.AppendElements(nil, "parameter") {
		f.collect(&got, p)
	}
	for i, s := range slots {
		if s.required && !got[i].seen {
			f.add(validators.CodeRequired, root, "The parameter %s is missing.", s.name)
		}
	}
	r := &request{patient: got[0].resource, coverage: got[1].resource, link: got[2].resource, consent: got[3].resource}
	f.demographics(r)
	f.cards(r)
	f.sameMember(r)
	return r, f
}

// collect files one parameter. The profile is closed: another name or a repetition is wrong. A lower-case first letter is let
// pass, since early implementations write the slice names.
func (f *faults) collect(got *[len(slots)]filed, p *fhirjson.Node) {
	name := p.MemberText("name")
	for i, s := range slots {
		if len(name) != len(s.name) || name[1:] != s.name[1:] || !strings.EqualFold(name[:1], s.name[:1]) {
			continue
		}
		res := p.Member("resource")
		switch {
		case got[i].seen:
			f.add(validators.CodeStructure, p, "The parameter %s is given twice.", s.name)
		case res == nil || res.ResourceType() != s.resource:
			f.add(validators.CodeStructure, p, "The parameter %s does not hold a %s resource.", s.name, s.resource)
		default:
			got[i].resource = res
		}
		got[i].seen = true
		return
	}
	f.add(validators.CodeStructure, p, "A parameter has a name that this operation does not know.")
}

// demographics: P2P-MM-11, 112 to 114. Matching needs the birth date to the day.
func (f *faults) demographics(r *request) {
	if r.patient == nil {
		return
	}
	if len(r.patient.AppendElements(nil, "name")) == 0 {
		f.add(validators.CodeRequired, r.patient, "MemberPatient has no name.")
	}
	if r.patient.MemberText("gender") == "" {
		f.add(validators.CodeRequired, r.patient, "MemberPatient has no gender.")
	}
	r.birthDate = r.patient.MemberText("birthDate")
	if _, err := time.Parse(time.DateOnly, r.birthDate); err != nil {
		f.add(validators.CodeRequired, r.patient, "MemberPatient has no birth date to the day.")
	}
}

// cards: P2P-MM-122 (hrex-cov-1) and P2P-MM-26: demographics alone never match.
func (f *faults) cards(r *request) {
	if r.coverage == nil {
		return
	}
	for _, id := range r.coverage.AppendElements(nil, "identifier") {
		if v := id.MemberText("value"); v != "" {
			r.card = append(r.card, Identifier{id.MemberText("system"), v})
		}
	}
	r.subscriberID = r.coverage.MemberText("subscriberId")
	if len(r.card) == 0 && r.subscriberID == "" {
		f.add(validators.CodeRequired, r.coverage, "CoverageToMatch has neither an identifier with a value nor a subscriberId.")
	}
}

// sameMember: P2P-MM-10: the references of Coverage and Consent name the MemberPatient.
func (f *faults) sameMember(r *request) {
	if r.patient == nil || r.patient.MemberText("id") == "" {
		return
	}
	want := "Patient/" + r.patient.MemberText("id")
	for _, c := range [...]struct {
		node              *fhirjson.Node
		parameter, member string
	}{{r.coverage, "CoverageToMatch", "beneficiary"}, {r.link, "CoverageToLink", "beneficiary"}, {r.consent, "Consent", "patient"}} {
		if c.node == nil {
			continue
		}
		if c.node.Member(c.member).MemberText("reference") != want {
			f.add(validators.CodeInvalid, c.node, "%s.%s does not refer to the MemberPatient.", c.parameter, c.member)
		}
	}
}
