package collection

import (
	"fmt"
	"slices"
	"strings"

	"fhirwire/reference/synth"
)

// Track names a scenario.
type Track string

// The tracks.
const (
	PayerToPayer   Track = "payer-to-payer"
	ProviderAccess Track = "provider-access"
	Formulary      Track = "formulary"
)

// Tracks lists them.
func Tracks() []Track { return []Track{PayerToPayer, ProviderAccess, Formulary} }

// Variable is a value that the user may change.
type Variable struct{ Name, Value string }

// Header is a request header.
type Header struct{ Name, Value string }

// Capture keeps something of an answer in a variable: a header, or a member of the JSON body ("output[0].url").
type Capture struct{ Variable, Header, Member string }

// Request is one request and the status a right server answers with. Path begins with "/" below {{base}}, or is a variable that
// holds a whole URL.
type Request struct {
	Folder, Name string
	Method, Path string
	Headers      []Header
	Body         string
	Status       int
	// Polls: 202 means try again.
	Polls bool
	Keep  []Capture
}

// Collection is a track's requests in the order they are to be sent.
type Collection struct {
	Track     Track
	Title     string
	Variables []Variable
	Requests  []Request
}

// DefaultBase is where the reference server is found when nothing else is said.
const DefaultBase = "http://127.0.0.1:8083/fhir"

// For gives a track's collection; base is the FHIR base URL, "" for DefaultBase.
func For(t Track, base string) (Collection, error) {
	if base == "" {
		base = DefaultBase
	}
	c := Collection{Track: t, Variables: []Variable{{"base", strings.TrimSuffix(base, "/")}, {"token", ""}}}
	switch t {
	case PayerToPayer:
		c.Title = "Payer to payer"
		c.Variables = append(c.Variables, Variable{"patient", "999"})
		c.Requests = payerToPayer()
	case ProviderAccess:
		c.Title = "Provider access"
		c.Variables = append(c.Variables, Variable{"group", "group-pdex-Organization"}, Variable{"patient", "999"})
		c.Requests = providerAccess()
	case Formulary:
		c.Title = "Drug formulary with bulk export"
		c.Variables = append(c.Variables, Variable{"plan", synth.PlanID}, Variable{"formulary", synth.FormularyIDs()[0]})
		c.Requests = formulary()
	default:
		return c, fmt.Errorf("there is no track %q; there are %v", t, Tracks())
	}
	for i := range c.Requests {
		if !slices.ContainsFunc(c.Requests[i].Headers, func(h Header) bool { return h.Name == "Accept" }) {
			c.Requests[i].Headers = append([]Header{fhirJSON}, c.Requests[i].Headers...)
		}
	}
	return c, nil
}

var (
	fhirJSON = Header{"Accept", "application/fhir+json"}
	async    = Header{"Prefer", "respond-async"}
	sends    = Header{"Content-Type", "application/fhir+json"}
)

func get(folder, name, path string) Request {
	return Request{Folder: folder, Name: name, Method: "GET", Path: path, Status: 200}
}

func refused(r Request, status int) Request {
	r.Status = status
	return r
}

func post(folder, name, path, body string, status int) Request {
	return Request{Folder: folder, Name: name, Method: "POST", Path: path, Body: body, Status: status, Headers: []Header{sends}}
}

// export is a kick-off with what follows it: polls, the first file, and the end.
func export(folder string, kickOff Request) []Request {
	v := "status_" + strings.ReplaceAll(strings.ToLower(folder), " ", "_")
	file := "file_" + strings.ReplaceAll(strings.ToLower(folder), " ", "_")
	kickOff.Folder, kickOff.Status = folder, 202
	kickOff.Headers = append(slices.Clone(kickOff.Headers), async)
	kickOff.Keep = []Capture{{Variable: v, Header: "Content-Location"}}
	return []Request{
		kickOff,
		{Folder: folder, Name: "Status until complete", Method: "GET", Path: "{{" + v + "}}", Headers: []Header{{"Accept", "application/json"}}, Status: 200, Polls: true, Keep: []Capture{{Variable: file, Member: "output[0].url"}}},
		{Folder: folder, Name: "First file", Method: "GET", Path: "{{" + file + "}}", Headers: []Header{{"Accept", "application/fhir+ndjson"}}, Status: 200},
		{Folder: folder, Name: "Delete the export", Method: "DELETE", Path: "{{" + v + "}}", Status: 202},
		{Folder: folder, Name: "Status after deletion", Method: "GET", Path: "{{" + v + "}}", Status: 404},
	}
}

func payerToPayer() []Request {
	const match, data = "Member match", "Retrieval"
	matchPath := "/Patient/$member-match"
	out := []Request{
		get("Discovery", "Capability statement", "/metadata"),
		post(match, "One member matches", matchPath, memberMatch("Brannigan-Reyes", "Odalys", "female", "1979-04-18", "CM-778812"), 200),
		post(match, "Nobody matches", matchPath, memberMatch("Vossberg", "Imre", "male", "1963-07-30", "CM-000000"), 422),
		post(match, "Several match", matchPath, memberMatch("Castellane", "R", "male", "1988-11-02", "CM-640020"), 422),
		post(match, "The consent cannot be kept", matchPath, memberMatch("Quillfeather", "Teodora", "female", "1991-01-25", "CM-515151"), 422),
		post(match, "The member has opted out", matchPath, memberMatch("Ashdown", "Lucian", "male", "1969-09-09", "CM-700010"), 422),
		post(match, "Nothing to match", matchPath, `{"resourceType":"Parameters"}`, 422),
		post(match, "No resource at all", matchPath, `{`, 400),
		get("Discovery", "Patient by the identifier of the match", "/Patient?identifier="+synth.UMBSystem+"%7Ccmu-90417"),
	}
	for _, typ := range []string{
		"AllergyIntolerance", "CarePlan", "CareTeam", "Condition", "Coverage", "Device", "DiagnosticReport", "DocumentReference", "Encounter",
		"ExplanationOfBenefit", "Goal", "Immunization", "MedicationDispense", "MedicationRequest", "Observation", "Procedure", "Provenance",
	} {
		out = append(out, get(data, typ, "/"+typ+"?patient={{patient}}"))
	}
	out = append(out,
		get(data, "Vital signs with provenance", "/Observation?patient={{patient}}&category=vital-signs&_revinclude=Provenance:target"),
		get(data, "Everything", "/Patient/{{patient}}/$everything?_count=50"),
		refused(get(data, "Unknown member", "/Patient/nobody"), 404),
		refused(get(data, "A date that is none", "/Observation?patient={{patient}}&date=yesterday"), 400),
	)
	out = append(out, export("Export of patients", get("", "Kick-off", "/Patient/$export?_type=Patient,Coverage"))...)
	return append(out, refused(get("Export of patients", "A format that is not served", "/Patient/$export?_outputFormat=text%2Fcsv"), 400))
}

// memberMatch is a $member-match request. Its consent permits the whole year of every demo.
func memberMatch(family, given, gender, born, subscriber string) string {
	return fmt.Sprintf(`{
  "resourceType": "Parameters",
  "parameter": [
    {"name": "MemberPatient", "resource": {
      "resourceType": "Patient", "id": "member",
      "identifier": [{"system": "https://newplan.example/ids/member", "value": "N-1"}],
      "name": [{"family": %q, "given": [%q]}], "gender": %q, "birthDate": %q
    }},
    {"name": "Consent", "resource": {
      "resourceType": "Consent", "status": "active",
      "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
      "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IDSCL"}]}],
      "patient": {"reference": "Patient/member"},
      "performer": [{"reference": "Patient/member"}],
      "sourceReference": {"reference": "http://newplan.example/DocumentReference/consent"},
      "policy": [{"uri": "http://hl7.org/fhir/us/davinci-hrex/StructureDefinition-hrex-consent.html#regular"}],
      "provision": {
        "type": "permit", "period": {"start": "2022-01-01", "end": "2099-12-31"},
        "actor": [
          {"role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "performer"}]}, "reference": {"identifier": {"system": "http://hl7.org/fhir/sid/us-npi", "value": %q}}},
          {"role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]}, "reference": {"identifier": {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1000007314"}}}
        ],
        "action": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentaction", "code": "disclose"}]}]
      }
    }},
    {"name": "CoverageToMatch", "resource": {
      "resourceType": "Coverage", "id": "old", "status": "active", "subscriberId": %q,
      "beneficiary": {"reference": "Patient/member"}, "relationship": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/subscriber-relationship", "code": "self"}]},
      "payor": [{"display": %q}]
    }},
    {"name": "CoverageToLink", "resource": {
      "resourceType": "Coverage", "id": "new", "status": "active", "subscriberId": "N-1",
      "beneficiary": {"reference": "Patient/member"}, "relationship": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/subscriber-relationship", "code": "self"}]},
      "payor": [{"display": "New plan"}]
    }}
  ]
}`, family, given, gender, born, synth.PayerNPI, subscriber, synth.PayerName)
}

func providerAccess() []Request {
	const lists = "Attribution"
	out := []Request{
		get("Discovery", "Capability statement", "/metadata"),
		get(lists, "Lists", "/Group?_count=20"),
		get(lists, "One list", "/Group/{{group}}"),
		get(lists, "Lists that a member is on", "/Group?member=Patient/{{patient}}"),
		refused(get(lists, "No such list", "/Group/nobody"), 404),
	}
	out = append(out, export("Export of the list", get("", "Kick-off", "/Group/{{group}}/$export?_type=Patient,Coverage,ExplanationOfBenefit"))...)
	out = append(out, export("Incremental export", get("", "Kick-off with _since", "/Group/{{group}}/$export?_since=2020-01-01T00:00:00Z"))...)
	out = append(out, export("Data export", post("", "Kick-off by POST", "/Group/{{group}}/$davinci-data-export",
		`{"resourceType":"Parameters","parameter":[{"name":"_type","valueString":"Patient,Encounter"},{"name":"exportType","valueCanonical":"hl7.fhir.us.davinci-pdex#provider-snapshot"}]}`, 202))...)
	return append(out,
		refused(get("Refusals", "A future _since", "/Group/{{group}}/$export?_since=2199-01-01T00:00:00Z"), 400),
		refused(get("Refusals", "A type that is not exported", "/Group/{{group}}/$export?_type=Nothing"), 400),
		refused(get("Refusals", "No such list", "/Group/nobody/$export"), 404),
	)
}

func formulary() []Request {
	const (
		capability, search, queries, reads = "Capability", "Open search", "Queries", "Reads"

		policy = "http%3A%2F%2Fterminology.hl7.org%2FCodeSystem%2Fv3-ActCode%7CDRUGPOL"
		items  = "/Basic?code=http%3A%2F%2Fhl7.org%2Ffhir%2Fus%2Fdavinci-drug-formulary%2FCodeSystem%2Fusdf-InsuranceItemTypeCS%7Cformulary-item"
		those  = items + "&formulary=InsurancePlan/{{formulary}}&_include=Basic:subject"
		codes  = "http%3A%2F%2Fhl7.org%2Ffhir%2Fus%2Fdavinci-drug-formulary%2FCodeSystem%2Fusdf-"
		rxnorm = "http%3A%2F%2Fwww.nlm.nih.gov%2Fresearch%2Fumls%2Frxnorm"
	)
	out := []Request{get(capability, "Capability statement", "/metadata")}
	for _, typ := range []string{"InsurancePlan", "Basic", "MedicationKnowledge", "Location"} {
		out = append(out, get(search, typ, "/"+typ))
	}
	out = append(out,
		get(queries, "Plans on sale", "/InsurancePlan?type=http%3A%2F%2Fhl7.org%2Ffhir%2Fus%2Fdavinci-pdex-plan-net%2FCodeSystem%2FInsuranceProductTypeCS%7C"),
		get(queries, "Plans with drug coverage", "/InsurancePlan?coverage-type="+policy),
		get(queries, "Formularies", "/InsurancePlan?type="+policy),
		get(queries, "One formulary", "/InsurancePlan?type="+policy+"&identifier=CMM-F-STD"),
		get(queries, "Plans with a formulary", "/InsurancePlan?formulary-coverage=InsurancePlan/{{formulary}}"),
		get(queries, "Plans in an area", "/InsurancePlan?coverage-area=Location/area-verde-valley"),
		get(queries, "Plans with their formularies", "/InsurancePlan?coverage-type="+policy+"&_include=InsurancePlan:formulary-coverage"),
		get(queries, "Drugs of a formulary", those),
		get(queries, "Generic drugs", those+"&drug-tier="+codes+"DrugTierCS-TEMPORARY-TRIAL-USE%7Cgeneric"),
		get(queries, "Drugs by mail", those+"&pharmacy-benefit-type="+codes+"PharmacyBenefitTypeCS-TEMPORARY-TRIAL-USE%7C3-month-in-mail"),
		get(queries, "Drugs by name", those+"&subject:MedicationKnowledge.drug-name=tylenol"),
		get(queries, "Drugs by code", those+"&subject:MedicationKnowledge.code="+rxnorm+"%7C617310"),
		get(queries, "Who covers a drug", items+"&subject:MedicationKnowledge.code="+rxnorm+"%7C617310&_include=Basic:formulary"),
		get(queries, "Drugs with two words", "/MedicationKnowledge?drug-name:contains=acetaminophen&drug-name:contains=oxycodone"),
		Request{
			Folder: queries, Name: "The same by POST", Method: "POST", Path: "/Basic/_search", Status: 200,
			Headers: []Header{{"Content-Type", "application/x-www-form-urlencoded"}}, Body: "code=formulary-item&formulary={{formulary}}&_include=Basic:subject&_count=5",
		},
		refused(get(queries, "A date that is none", "/InsurancePlan?period=summer"), 400),
		get(reads, "Plan", "/InsurancePlan/{{plan}}"),
		get(reads, "Formulary", "/InsurancePlan/{{formulary}}"),
		get(reads, "Drug", "/MedicationKnowledge/drug-617310"),
		get(reads, "Area", "/Location/area-verde-valley"),
		refused(get(reads, "Unknown plan", "/InsurancePlan/nobody"), 404),
	)
	out = append(out, export("Bulk of everything", get("", "Kick-off", "/InsurancePlan/$export"))...)
	out = append(out, export("Bulk of a plan", get("", "Kick-off", "/InsurancePlan/{{plan}}/$export"))...)
	out = append(out, export("Bulk of a formulary", get("", "Kick-off", "/InsurancePlan/{{formulary}}/$export"))...)
	out = append(out, export("Bulk by graph", get("", "Kick-off", "/InsurancePlan/$export?graph=usdf-FormularyBulkDataGraphDefinition"))...)
	return append(out,
		refused(get("Bulk refusals", "Unknown plan", "/InsurancePlan/does-not-exist/$export"), 404),
		refused(get("Bulk refusals", "A format that is not served", "/InsurancePlan/$export?_outputFormat=text%2Fcsv"), 400),
		refused(get("Bulk refusals", "Export of drugs alone", "/MedicationKnowledge/$export"), 404),
	)
}
