package smartauth

import (
	"context"
	"net/http"
	"slices"
	"strings"
)

// Owner tells whose a resource is: the ids of the Patients in whose compartment it is; with past, those of every version of it.
// Empty means nobody's, or no such resource.
type Owner func(ctx context.Context, typ, id string, past bool) ([]string, error)

// memberSearch lists the types that hold a member's data, with the search parameter that names the member.
var memberSearch = map[string]string{
	"Patient": "_id", "AllergyIntolerance": "patient", "CarePlan": "patient", "CareTeam": "patient", "Claim": "patient",
	"ClaimResponse": "patient", "ClinicalImpression": "patient", "Composition": "patient", "Condition": "patient", "Consent": "patient",
	"Coverage": "patient", "Device": "patient", "DeviceRequest": "patient", "DeviceUseStatement": "patient",
	"DiagnosticReport": "patient", "DocumentReference": "patient", "Encounter": "patient", "ExplanationOfBenefit": "patient",
	"FamilyMemberHistory": "patient", "Flag": "patient", "Goal": "patient", "ImagingStudy": "patient", "Immunization": "patient",
	"List": "patient", "Media": "patient", "MedicationAdministration": "patient", "MedicationDispense": "patient",
	"MedicationRequest": "patient", "MedicationStatement": "patient", "NutritionOrder": "patient", "Observation": "patient",
	"Procedure": "patient", "Provenance": "patient", "QuestionnaireResponse": "patient", "RelatedPerson": "patient",
	"RiskAssessment": "patient", "ServiceRequest": "patient", "Specimen": "patient", "VisionPrescription": "patient",
}

// sharedTypes hold nobody's data: what members' data refer to.
var sharedTypes = []string{
	"Endpoint", "HealthcareService", "InsurancePlan", "Location", "Medication", "MedicationKnowledge", "Organization",
	"OrganizationAffiliation", "Practitioner", "PractitionerRole", "Substance",
}

// otherPeople are reference parameters that lead from a member's data to another member.
var otherPeople = []string{"link", "subscriber", "policy-holder", "*"}

func otherMember() *Error {
	e := refuse(http.StatusForbidden, "insufficient_scope", "The access token is for another member.")
	e.Scheme = "Bearer"
	return e
}

func notForMembers(what string) *Error {
	e := refuse(http.StatusForbidden, "insufficient_scope", "A token for one member does not allow %s.", what)
	e.Scheme = "Bearer"
	return e
}

// limit keeps a request within one member's data (P2P-TOK-21): who names another member is refused, and a search is narrowed by
// changing q.params.
func (q *request) limit(ctx context.Context, patient string, o ProtectOptions) error {
	param, members := memberSearch[q.typ]
	shared := slices.Contains(sharedTypes, q.typ) || slices.Contains(o.Open, q.typ) // a token takes nothing away (FORM-ACC-08)
	switch {
	case len(q.segments) > 0 && q.segments[0] == "bulk":
		return nil
	case !members && !shared:
		return notForMembers("this")
	case q.operation != "":
		return q.limitOperation(patient, o.Exports)
	case q.search && members && o.Searches != nil && !o.Searches(q.typ, param):
		return notForMembers("searching " + q.typ + " here")
	case q.search:
		return q.limitSearch(param, patient, o)
	case shared:
		return nil
	case q.typ == "Patient":
		if q.id != patient {
			return otherMember()
		}
		return nil
	case q.id == "": // the history of a type
		return notForMembers("this")
	case o.Owner == nil:
		return notForMembers("reading by id here; search instead")
	}
	whose, err := o.Owner(ctx, q.typ, q.id, slices.Contains(q.segments, "_history"))
	if err != nil {
		return err
	}
	// A resource that moved from one member to another: its history belongs to neither of them.
	if slices.ContainsFunc(whose, func(p string) bool { return p != patient }) {
		return otherMember()
	}
	return nil
}

func (q *request) limitOperation(patient string, exports bool) error {
	switch {
	case q.typ == "Patient" && q.id != "" && q.id != patient:
		return otherMember()
	case q.operation == "$everything" && q.typ == "Patient" && q.id != "":
		return nil
	case q.operation == "$export" && q.typ == "Patient" && exports:
		return nil
	case q.operation == "$docref" && q.method != http.MethodPost && len(q.params["patient"]) > 0:
		if !onlyPatient(q.params["patient"], patient) {
			return otherMember()
		}
		return nil
	default:
		return notForMembers(q.operation)
	}
}

func (q *request) limitSearch(param, patient string, o ProtectOptions) error {
	if q.within != "" && q.within != patient {
		return otherMember()
	}
	for name, values := range q.params {
		base, modifier, _ := strings.Cut(name, ":")
		switch base {
		case "_has": // what refers to a shared resource is anybody's, unless everybody may see it
			if !o.NarrowsOpen || !slices.Contains(o.Open, q.typ) || q.reversesBeyond(o.Open) {
				return notForMembers("_has")
			}
		case "patient", "subject", "beneficiary":
			if modifier == "" || modifier == "Patient" {
				if !onlyPatient(values, patient) {
					return otherMember()
				}
			}
		case "_id":
			if q.typ == "Patient" && !onlyPatient(values, patient) {
				return otherMember()
			}
		case "_include":
			for _, v := range values {
				if parts := strings.Split(v, ":"); len(parts) < 2 || slices.Contains(otherPeople, parts[1]) {
					return notForMembers("this _include")
				}
			}
		case "_revinclude":
			// From shared resources, and step by step, the way back leads to other members' data.
			for _, v := range values {
				typ, _, _ := strings.Cut(v, ":")
				if memberSearch[typ] == "" || param == "" || modifier != "" {
					return notForMembers("this _revinclude")
				}
			}
		}
	}
	if param == "" { // shared
		return nil
	}
	value := patient
	if param != "_id" {
		value = "Patient/" + patient
	}
	same := func(v string) bool { return v == value || v == patient }
	if !slices.ContainsFunc(q.params[param], same) { // the client's own, or of a link to the next page
		q.params.Add(param, value)
	}
	return nil
}

// onlyPatient reports whether each value names this patient: by id, relative or absolute reference.
func onlyPatient(values []string, patient string) bool {
	for _, v := range values {
		for one := range strings.SplitSeq(v, ",") {
			if one != patient && one != "Patient/"+patient && !strings.HasSuffix(one, "/Patient/"+patient) {
				return false
			}
		}
	}
	return true
}

// identifierOnly gives the one value of a search Patient?identifier=…, "" for any other request.
func (q request) identifierOnly() string {
	if !q.search || q.typ != "Patient" {
		return ""
	}
	value := ""
	for name, values := range q.params {
		switch {
		case name == "_format" || name == "_count" || name == "_total":
		case name == "identifier" && len(values) == 1 && values[0] != "" && !strings.Contains(values[0], ","):
			value = values[0]
		default:
			return ""
		}
	}
	return value[strings.LastIndexByte(value, '|')+1:]
}
