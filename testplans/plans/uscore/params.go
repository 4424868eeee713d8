package main

import "strings"

// param is how a search parameter is asked and answered: a value that finds the sample resource, and what then holds of a match.
type param struct{ value, expr string }

// params are by TYPE.PARAMETER. Values are of the sample resources in the examples of the client's plan.
var params = map[string]param{
	"AllergyIntolerance.patient":         {"999", reference("patient", "patient")},
	"AllergyIntolerance.clinical-status": {"active", concept("clinicalStatus", "clinical-status")},
	"CarePlan.patient":                   {"999", reference("subject", "patient")},
	"CarePlan.category":                  {"assess-plan", concept("category", "category")},
	"CarePlan.status":                    {"active", code("status", "status")},
	"CarePlan.date":                      {"ge2019-01-01", date("period.start", "period.end", "date")},
	"CareTeam.patient":                   {"999", reference("subject", "patient")},
	"CareTeam.status":                    {"active", code("status", "status")},
	"Condition.patient":                  {"999", reference("subject", "patient")},
	"Condition.category":                 {"problem-list-item", concept("category", "category")},
	"Condition.clinical-status":          {"active", concept("clinicalStatus", "clinical-status")},
	"Condition.onset-date":               {"ge1990-01-01", date("onset.ofType(dateTime)", "onset.ofType(dateTime)", "onset-date")},
	"Condition.code":                     {"44054006", concept("code", "code")},
	"Device.patient":                     {"999", reference("patient", "patient")},
	"Device.type":                        {"304120007", concept("type", "type")},
	"DiagnosticReport.patient":           {"999", reference("subject", "patient")},
	"DiagnosticReport.category":          {"LAB", concept("category", "category")},
	"DiagnosticReport.code":              {"4548-4", concept("code", "code")},
	"DiagnosticReport.status":            {"final", code("status", "status")},
	"DiagnosticReport.date":              {"ge2019-01-01", date("effective.ofType(dateTime) | effective.ofType(Period).start", "effective.ofType(dateTime) | effective.ofType(Period).end", "date")},
	"DocumentReference._id":              {"pdex-DocumentReference", code("id", "_id")},
	"DocumentReference.patient":          {"999", reference("subject", "patient")},
	"DocumentReference.category":         {"clinical-note", concept("category", "category")},
	"DocumentReference.type":             {"11506-3", concept("type", "type")},
	"DocumentReference.status":           {"current", code("status", "status")},
	"DocumentReference.date":             {"ge2019-01-01", date("date", "date", "date")},
	"DocumentReference.period":           {"ge2019-01-01", date("context.period.start", "context.period.end", "period")},
	"Encounter._id":                      {"pdex-Encounter", code("id", "_id")},
	"Encounter.patient":                  {"999", reference("subject", "patient")},
	"Encounter.class":                    {"AMB", code("class.code", "class")},
	"Encounter.type":                     {"185349003", concept("type", "type")},
	"Encounter.status":                   {"finished", code("status", "status")},
	"Encounter.identifier":               {"pdex-Encounter", code("identifier.value", "identifier")},
	"Encounter.date":                     {"ge2019-01-01", date("period.start", "period.end", "date")},
	"Goal.patient":                       {"999", reference("subject", "patient")},
	"Goal.lifecycle-status":              {"active", code("lifecycleStatus", "lifecycle-status")},
	"Goal.target-date":                   {"ge2019-01-01", date("target.due.ofType(date)", "target.due.ofType(date)", "target-date")},
	"Immunization.patient":               {"999", reference("patient", "patient")},
	"Immunization.status":                {"completed", code("status", "status")},
	"Immunization.date":                  {"ge2019-01-01", date("occurrence.ofType(dateTime)", "occurrence.ofType(dateTime)", "date")},
	"MedicationRequest.patient":          {"999", reference("subject", "patient")},
	"MedicationRequest.intent":           {"plan", code("intent", "intent")},
	"MedicationRequest.status":           {"completed", code("status", "status")},
	"MedicationRequest.encounter":        {"pdex-Encounter", reference("encounter", "encounter")},
	"MedicationRequest.authoredon":       {"ge2019-01-01", date("authoredOn", "authoredOn", "authoredon")},
	"Observation.patient":                {"999", reference("subject", "patient")},
	"Observation.category":               {"social-history", concept("category", "category")},
	"Observation.code":                   {"72166-2", concept("code", "code")},
	"Observation.status":                 {"final", code("status", "status")},
	"Observation.date":                   {"ge2019-01-01", date("effective.ofType(dateTime) | effective.ofType(Period).start", "effective.ofType(dateTime) | effective.ofType(Period).end", "date")},
	"Organization.name":                  {"Cedar", text("name", "name")},
	"Organization.address":               {"Flagstaff", words("address.city | address.line | address.state | address.postalCode | address.text | address.country | address.district", "address")},
	"Patient._id":                        {"999", code("id", "_id")},
	"Patient.identifier":                 {"99999", code("identifier.value", "identifier")},
	"Patient.name":                       {"Dexter", words("name.family | name.given | name.text | name.prefix | name.suffix", "name")},
	"Patient.family":                     {"Dexter", text("name.family", "family")},
	"Patient.gender":                     {"female", code("gender", "gender")},
	"Patient.birthdate":                  {"ge1900-01-01", date("birthDate", "birthDate", "birthdate")},
	"Practitioner.name":                  {"Fairbourne", words("name.family | name.given | name.text | name.prefix | name.suffix", "name")},
	"Practitioner.identifier":            {"1005000009", code("identifier.value", "identifier")},
	"Procedure.patient":                  {"999", reference("subject", "patient")},
	"Procedure.status":                   {"completed", code("status", "status")},
	"Procedure.code":                     {"274474001", concept("code", "code")},
	"Procedure.date":                     {"ge2019-01-01", date("performed.ofType(Period).start | performed.ofType(dateTime)", "performed.ofType(Period).end | performed.ofType(dateTime)", "date")},
}

func reference(path, name string) string {
	return path + ".reference.select($this.split('/_history/').first().split('/').last()).intersect(%`id-" + name + "`).exists()"
}

func concept(path, name string) string { return code(path+".coding.code", name) }

// code holds where one of the codes asked for is there, in any case, or where any code of a system was asked for ("system|").
func code(path, name string) string {
	asked := "%`code-" + name + "`"
	return "(" + path + ".select(lower()).intersect(" + asked + ".select(lower())).exists() or '' in " + asked + ")"
}

// text holds where a string begins with one that was asked for; words holds where it has one, which is for names and addresses, whose
// parameters are searched as a server sees fit. Case, accents, punctuation and spaces do not count; what is not ASCII is not compared.
func text(path, name string) string { return like(path, name, "^") }

func words(path, name string) string { return like(path, name, "") }

func like(path, name, from string) string {
	const plain = "lower().replaceMatches('[^a-z0-9,]', '')"
	return "(" + path + ").where(matches('[^ -~]') or " + strings.Replace(plain, ",", "", 1) + ".matches('" + from + "(' + %`param-" + name + "`.first()." + plain +
		".replace(',', '|') + ')')).exists()"
}

// date holds where nothing contradicts: a comparison of different precisions has no answer. low and high are the ends of the range; of
// several values one is enough.
func date(low, high, name string) string {
	at := func(path, op, a, b string) string {
		return "((" + path + ").empty() or (" + path + ").where(iif(toDateTime() " + op + " %`param-" + name + "`.where($this.startsWith('" + a + "') or $this.startsWith('" + b +
			"')).first().substring(2).toDateTime(), false, true)).exists())"
	}
	return "(" + at(high, "<", "ge", "gt") + " and " + at(low, ">", "le", "lt") + ")"
}
