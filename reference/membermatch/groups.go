package membermatch

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"fhirwire/validators/fhirjson"
)

const (
	pdexBase     = "http://hl7.org/fhir/us/davinci-pdex/StructureDefinition/"
	resultSystem = "http://hl7.org/fhir/us/davinci-pdex/CodeSystem/PdexMultiMemberMatchResultCS"
	scopeSystem  = "http://hl7.org/fhir/us/davinci-pdex/CodeSystem/opt-out-scope"
)

// Groups are the answer to a match of many: one Group per bucket, each one line of JSON. Matched is always there, with nobody in
// it too (P2P-BLK-115, CF-09); the others are nil where nobody is in them.
type Groups struct {
	Matched, NotMatched, Constrained []byte
}

// GroupOptions say what the members do not.
type GroupOptions struct {
	Kind Kind
	// ID is the matched Group's; the others have it with a suffix.
	ID string
	// Payer is the reference to the managing Organization.
	Payer string
	At    time.Time
	// Expires is when the matched Group ends.
	Expires time.Time
}

type coding struct {
	System  string `json:"system"`
	Code    string `json:"code"`
	Display string `json:"display,omitempty"`
}

type concept struct {
	Coding []coding `json:"coding"`
}

type reference struct {
	Extension  []extension `json:"extension,omitempty"`
	Reference  string      `json:"reference,omitempty"`
	Identifier *token      `json:"identifier,omitempty"`
}

type token struct {
	System string `json:"system,omitempty"`
	Value  string `json:"value"`
}

type extension struct {
	URL   string    `json:"url"`
	Value reference `json:"valueReference"`
}

type period struct {
	Start string `json:"start"`
	End   string `json:"end,omitempty"`
}

type characteristic struct {
	Code      concept    `json:"code"`
	Reference *reference `json:"valueReference,omitempty"`
	Concept   *concept   `json:"valueCodeableConcept,omitempty"`
	Exclude   bool       `json:"exclude"`
	Period    period     `json:"period"`
}

type groupMember struct {
	Entity   reference `json:"entity"`
	Inactive bool      `json:"inactive"`
}

type group struct {
	ResourceType string `json:"resourceType"`
	ID           string `json:"id"`
	Meta         struct {
		LastUpdated string   `json:"lastUpdated"`
		Profile     []string `json:"profile"`
	} `json:"meta"`
	Text struct {
		Status string `json:"status"`
		Div    string `json:"div"`
	} `json:"text"`
	Contained      []json.RawMessage `json:"contained,omitempty"`
	Identifier     []token           `json:"identifier,omitempty"`
	Active         bool              `json:"active"`
	Type           string            `json:"type"`
	Actual         bool              `json:"actual"`
	Code           concept           `json:"code"`
	Quantity       int               `json:"quantity"`
	Managing       reference         `json:"managingEntity"`
	Characteristic []characteristic  `json:"characteristic,omitempty"`
	Member         []groupMember     `json:"member,omitempty"`
}

// profiles of the Groups by kind and bucket.
var groupProfiles = [2][3]string{
	Payer:    {NotMatched: "pdex-member-no-match-group", Matched: "pdex-member-match-group", Constrained: "pdex-member-no-match-group"},
	Provider: {NotMatched: "pdex-provider-member-no-match", Matched: "pdex-provider-member-match", Constrained: "pdex-member-opt-out"},
}

var results = [3]struct{ code, display, suffix, text string }{
	NotMatched:  {"nomatch", "Not Matched", "-nomatch", "Submitted members without a match"},
	Matched:     {"match", "Matched", "", "Matched members"},
	Constrained: {"consentconstraint", "Consent Constraint", "-constrained", "Members whose data may not be shared"},
}

// BuildGroups puts members into their Groups, with the submitted Patients contained (P2P-BLK-10, P2P-BLK-125 to 127). Nothing is
// said about why a consent was not honoured (P2P-BLK-08).
func BuildGroups(members []Member, o GroupOptions) (Groups, error) {
	var out Groups
	for bucket, to := range [...]*[]byte{NotMatched: &out.NotMatched, Matched: &out.Matched, Constrained: &out.Constrained} {
		var of []Member
		for _, m := range members {
			if m.Bucket == Bucket(bucket) {
				of = append(of, m)
			}
		}
		if len(of) == 0 && Bucket(bucket) != Matched {
			continue
		}
		b, err := json.Marshal(build(members, of, Bucket(bucket), o))
		if err != nil {
			return out, fmt.Errorf("group of a match: %w", err)
		}
		*to = b
	}
	return out, nil
}

func build(all, members []Member, bucket Bucket, o GroupOptions) group {
	r := results[bucket]
	code := concept{[]coding{{resultSystem, r.code, r.display}}}
	g := group{
		ResourceType: "Group", ID: o.ID + r.suffix, Active: true, Type: "person", Actual: true, Code: code,
		Quantity: len(members), Managing: reference{Reference: o.Payer},
	}
	g.Meta.LastUpdated = o.At.UTC().Format("2006-01-02T15:04:05.000Z")
	g.Meta.Profile = []string{pdexBase + groupProfiles[o.Kind][bucket]}
	g.Text.Status = "generated"
	g.Text.Div = `<div xmlns="http://www.w3.org/1999/xhtml">` + r.text + `: ` + strconv.Itoa(len(members)) + `</div>`
	var asker *token
	for _, m := range all {
		if m.Asker.Value != "" {
			asker = &token{m.Asker.System, m.Asker.Value}
			g.Identifier = []token{*asker}
			break
		}
	}
	day := period{Start: o.At.UTC().Format(time.DateOnly)}
	switch {
	case bucket == Matched && asker != nil:
		if !o.Expires.IsZero() {
			day.End = o.Expires.UTC().Format(time.DateOnly)
		}
		g.Characteristic = []characteristic{{Code: code, Reference: &reference{Identifier: asker}, Period: day}}
	case bucket == Constrained && o.Kind == Provider:
		scope := &concept{[]coding{{scopeSystem, "global", "Global Opt-Out"}}}
		g.Characteristic = []characteristic{{Code: code, Concept: scope, Period: day}}
	}
	coverages := map[string]int{} // patient id to how many bundles it came in
	for _, m := range members {
		coverages[m.Patient.MemberText("id")]++
	}
	contained := map[string]bool{}
	for _, m := range members {
		id := m.Patient.MemberText("id")
		several := id != "" && coverages[id] > 1
		if id == "" {
			id = "member-" + strconv.Itoa(m.Index+1)
		}
		if !contained[id] {
			contained[id] = true
			g.Contained = append(g.Contained, contain(m.Patient, id))
		}
		entity := reference{Reference: "#" + id, Extension: []extension{{pdexBase + "base-ext-match-parameters", reference{Reference: "#" + id}}}}
		if bucket == Matched {
			entity.Reference = "Patient/" + m.PatientID
		}
		if several { // P2P-BLK-11
			coverage := "coverage-" + strconv.Itoa(m.Index+1)
			g.Contained = append(g.Contained, contain(m.Coverage, coverage))
			entity.Extension = append(entity.Extension, extension{pdexBase + "base-ext-match-coverage", reference{Reference: "#" + coverage}})
		}
		g.Member = append(g.Member, groupMember{Entity: entity})
	}
	return g
}

// contain is a submitted resource as it may be contained: without version, time, security labels and what it contains itself
// (P2P-BLK-10, R4 dom-2, dom-4, dom-5).
func contain(n *fhirjson.Node, id string) json.RawMessage {
	b := []byte(`{"resourceType":"` + n.ResourceType() + `","id":`)
	b = append(b, quoted(id)...)
	for m := n.First(); m != nil; m = m.Next() {
		switch m.Key() {
		case "resourceType", "id", "contained":
		case "meta":
			if meta := metaOf(m); meta != nil {
				b = append(append(b, `,"meta":`...), meta...)
			}
		default:
			b = append(append(append(append(b, ','), quoted(m.Key())...), ':'), m.Raw()...)
		}
	}
	return append(b, '}')
}

func metaOf(meta *fhirjson.Node) []byte {
	var b []byte
	for m := meta.FirstOrNil(); m != nil; m = m.Next() {
		switch m.Key() {
		case "versionId", "lastUpdated", "security":
		default:
			b = append(append(append(append(b, ','), quoted(m.Key())...), ':'), m.Raw()...)
		}
	}
	if b == nil {
		return nil
	}
	b[0] = '{'
	return append(b, '}')
}

func quoted(s string) []byte {
	b, err := json.Marshal(s)
	if err != nil { // a string always marshals
		panic(err)
	}
	return b
}

// Parameters wraps the Groups as the operations' answer: what PDex 2.1 asks for, and the synchronous answer to a provider.
func (g Groups) Parameters(kind Kind, id string) ([]byte, error) {
	type parameter struct {
		Name     string          `json:"name"`
		Resource json.RawMessage `json:"resource"`
	}
	profile := "pdex-parameters-multi-member-match-bundle-out"
	if kind == Provider {
		profile = "provider-parameters-multi-member-match-bundle-out"
	}
	var params []parameter
	for _, p := range [...]parameter{{"MatchedMembers", g.Matched}, {"NonMatchedMembers", g.NotMatched}, {"ConsentConstrainedMembers", g.Constrained}} {
		if p.Resource != nil {
			params = append(params, p)
		}
	}
	return json.Marshal(struct {
		ResourceType string              `json:"resourceType"`
		ID           string              `json:"id"`
		Meta         map[string][]string `json:"meta"`
		Parameter    []parameter         `json:"parameter"`
	}{"Parameters", id, map[string][]string{"profile": {pdexBase + profile}}, params})
}
