package search

// row is one served type. Codes are its search parameters besides those of every type; Patient is the parameter that names
// the one patient the resource belongs to, "" where it has none or may have several.
type row struct {
	Type, Codes, Patient string
}

// served is what the server offers: every type and parameter of US Core 3.1.1 and 6.1.0, PDex 2.0.0, HRex 1.0.0 and
// Formulary 2.0.1 that a capability statement there marks SHALL or SHOULD, and what people commonly ask besides.
// Expressions are never here: they come from the SearchParameter definitions.
var served = []row{
	{"AllergyIntolerance", "patient clinical-status verification-status code category criticality date identifier", "patient"},
	{"Basic", "code subject identifier formulary drug-tier pharmacy-benefit-type period status", ""},
	{"Binary", "", ""},
	{"CarePlan", "patient subject category status date intent encounter identifier", "patient"},
	{"CareTeam", "patient subject status role category participant identifier", "patient"},
	{"Condition", "patient subject category clinical-status verification-status code onset-date abatement-date asserted-date recorded-date encounter identifier", "patient"},
	{"Consent", "patient status category scope date identifier", "patient"},
	{"Coverage", "patient beneficiary subscriber identifier payor status type policy-holder subscriber-id", "patient"},
	{"Device", "patient type status identifier udi-di", "patient"},
	{"DiagnosticReport", "patient subject category code date status encounter identifier result issued", "patient"},
	{"DocumentReference", "patient subject category type date period status encounter identifier author", "patient"},
	{"Encounter", "patient subject class date type status identifier location discharge-disposition participant service-provider reason-code", "patient"},
	{"Endpoint", "connection-type identifier name organization status", ""},
	{"ExplanationOfBenefit", "patient identifier type service-date use status created care-team coverage insurer provider claim facility", "patient"},
	{"Goal", "patient subject lifecycle-status target-date description category start-date identifier", "patient"},
	{"Group", "identifier code type actual member managing-entity characteristic characteristic-value characteristic-value-reference value", ""},
	{"HealthcareService", "name organization location service-category service-type specialty endpoint identifier", ""},
	{"Immunization", "patient date status vaccine-code identifier performer location", "patient"},
	{"InsurancePlan", "identifier name status type period coverage-area coverage-type formulary-coverage administered-by owned-by plan-type", ""},
	{"Location", "name address address-city address-state address-postalcode identifier type status organization partof endpoint", ""},
	{"Medication", "code identifier status form", ""},
	{"MedicationDispense", "patient subject status type code medication whenhandedover whenprepared prescription performer identifier", "patient"},
	{"MedicationKnowledge", "code status doseform drug-name", ""},
	{"MedicationRequest", "patient subject intent status authoredon encounter code medication requester category identifier", "patient"},
	{"Observation", "patient subject category code date status encounter value-quantity value-concept combo-code identifier performer has-member", "patient"},
	{"Organization", "name address address-city address-state address-postalcode identifier type active partof endpoint", ""},
	{"OrganizationAffiliation", "primary-organization participating-organization network role specialty period", ""},
	{"Patient", "identifier name family given birthdate gender address address-city address-state address-postalcode telecom phone email active " +
		"death-date deceased general-practitioner organization link language race ethnicity", ""},
	{"Practitioner", "identifier name family given gender address active telecom", ""},
	{"PractitionerRole", "practitioner organization location specialty role identifier active endpoint service network", ""},
	{"Procedure", "patient subject date status code category encounter performer identifier", "patient"},
	{"Provenance", "target patient agent agent-type agent-role recorded entity", ""},
	{"QuestionnaireResponse", "patient subject authored questionnaire status author identifier", "patient"},
	{"RelatedPerson", "patient name identifier relationship birthdate gender active", "patient"},
	{"ServiceRequest", "patient subject category code authored status intent requester encounter identifier", "patient"},
	{"Specimen", "patient subject type identifier status collected", "patient"},
}

func typeNames() []string {
	names := make([]string, len(served))
	for i, r := range served {
		names[i] = r.Type
	}
	return names
}
