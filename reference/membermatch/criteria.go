package membermatch

import (
	"context"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"fhirwire/validators/fhirjson"
)

// candidate is one of our members who fits.
type candidate struct {
	id      string
	patient *fhirjson.Node
	strong  bool // the card's own number fits, not only the subscriber's
}

// find lists the members who fit the request, by the algorithm of section 5.4: same birth date, family name and a given name or
// initial, no other gender, and a coverage with the same card number or, failing that, the same subscriber number. Members who
// fit by card number shut out those who fit by subscriber number only.
func (m *Matcher) find(ctx context.Context, r *request) ([]candidate, error) {
	born, err := m.lookup.Search(ctx, "Patient", "birthdate", r.birthDate)
	if err != nil {
		return nil, fmt.Errorf("find Patients by birth date: %w", err)
	}
	var weak, strong []candidate
	for _, raw := range born {
		patient, err := stored(raw, "Patient")
		if err != nil {
			return nil, err
		}
		c := candidate{id: patient.MemberText("id"), patient: patient}
		if patient.MemberText("birthDate") != r.birthDate || !sameName(r.patient, patient) || !sameGender(r.patient, patient) {
			continue
		}
		fits, err := m.covered(ctx, r, &c)
		if err != nil {
			return nil, err
		}
		switch {
		case fits && c.strong:
			strong = append(strong, c)
		case fits:
			weak = append(weak, c)
		}
	}
	if len(strong) > 0 {
		return strong, nil
	}
	return weak, nil
}

// covered looks for a coverage of the candidate that the request names.
func (m *Matcher) covered(ctx context.Context, r *request, c *candidate) (bool, error) {
	list, err := m.lookup.Search(ctx, "Coverage", "patient", c.id)
	if err != nil {
		return false, fmt.Errorf("find Coverages of Patient/%s: %w", c.id, err)
	}
	fits := false
	for _, raw := range list {
		coverage, err := stored(raw, "Coverage")
		if err != nil {
			return false, err
		}
		switch compareCards(r.card, coverage) {
		case cardSame:
			c.strong = true
			return true, nil
		case cardOther:
		case cardUnknown:
			if r.subscriberID != "" && r.subscriberID == coverage.MemberText("subscriberId") {
				fits = true
			}
		}
	}
	return fits, nil
}

type cardResult uint8

const (
	cardUnknown cardResult = iota // nothing to compare
	cardSame
	cardOther // a number of the same system differs, which no subscriber number makes good
)

// compareCards compares identifiers as system and value, or value alone where one side names no system.
func compareCards(asked []Identifier, coverage *fhirjson.Node) cardResult {
	result := cardUnknown
	for _, id := range coverage.AppendElements(nil, "identifier") {
		have := Identifier{id.MemberText("system"), id.MemberText("value")}
		for _, want := range asked {
			sameSystem := want.System == "" || have.System == "" || want.System == have.System
			if sameSystem && want.Value == have.Value {
				return cardSame
			}
			if sameSystem {
				result = cardOther
			}
		}
	}
	return result
}

// sameName asks for one family name in common and one given name or initial in common, in any of the names on either side.
func sameName(a, b *fhirjson.Node) bool {
	for _, x := range a.AppendElements(nil, "name") {
		for _, y := range b.AppendElements(nil, "name") {
			if f := fold(x.MemberText("family")); f != "" && f == fold(y.MemberText("family")) && sameGiven(x, y) {
				return true
			}
		}
	}
	return false
}

func sameGiven(x, y *fhirjson.Node) bool {
	for _, a := range x.AppendElements(nil, "given") {
		for _, b := range y.AppendElements(nil, "given") {
			p, q := []rune(fold(a.Text())), []rune(fold(b.Text()))
			if len(p) == 0 || len(q) == 0 {
				continue
			}
			if string(p) == string(q) || p[0] == q[0] && (len(p) == 1 || len(q) == 1) {
				return true
			}
		}
	}
	return false
}

// fold takes case, accents and everything but letters and digits from a name.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFD.String(s))
}

// sameGender is false only for two definite genders that differ.
func sameGender(a, b *fhirjson.Node) bool {
	x, y := a.MemberText("gender"), b.MemberText("gender")
	return x == y || x != "male" && x != "female" || y != "male" && y != "female"
}

func stored(raw []byte, resourceType string) (*fhirjson.Node, error) {
	root := fhirjson.Parse(raw).Root()
	if root == nil || root.ResourceType() != resourceType {
		return nil, fmt.Errorf("stored %s cannot be read", resourceType)
	}
	return root, nil
}

const (
	typeSystem = "http://terminology.hl7.org/CodeSystem/v2-0203"
	umbSystem  = "http://hl7.org/fhir/us/davinci-hrex/CodeSystem/hrex-temp"
)

// memberIdentifier is the identifier that finds the member later (P2P-MM-43): the unique one, else a member number, else any.
func memberIdentifier(patient *fhirjson.Node) (Identifier, error) {
	var best Identifier
	rank := 0
	for _, id := range patient.AppendElements(nil, "identifier") {
		r := 1
		for _, c := range id.Member("type").AppendElements(nil, "coding") {
			switch {
			case c.MemberText("system") == umbSystem && c.MemberText("code") == "UMB":
				r = 3
			case c.MemberText("system") == typeSystem && c.MemberText("code") == "MB":
				r = max(r, 2)
			}
		}
		if v := id.MemberText("value"); v != "" && r > rank {
			best, rank = Identifier{id.MemberText("system"), v}, r
		}
	}
	if rank == 0 {
		return best, fmt.Errorf("stored Patient/%s has no identifier to answer with", patient.MemberText("id"))
	}
	return best, nil
}
