package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// generator collects the plan and its examples.
type generator struct {
	plan      bytes.Buffer
	good      bytes.Buffer
	edits     bytes.Buffer
	exchanges int
	// bad are the checks that an edit of an exchange fails beside the one it is for.
	notes []string
}

const head = `# Made by go run ./testplans/plans/uscore; do not edit. What US Core 3.1.1 expects of a server, by type, parameter and combination.
plan: us-core-3-1-1-server
title: A server answers reads and searches of US Core resources
track: US Core
scenario: US Core 3.1.1 server, reads and searches of the CapabilityStatement
guides:
  hl7.fhir.us.core: ">=3.1.0 <4.0.0"
roles:
  client: Client that uses patient data
  server: Server that has it
preconditions:
  - The client asks for what is there, so that something is found
steps:
`

func generate(types []expected, samples map[string]string) *generator {
	g := &generator{}
	g.plan.WriteString(head)
	g.statement()
	g.general(types, samples)
	for i := range types {
		if t := &types[i]; samples[t.name] != "" {
			g.ofType(t, samples[t.name])
		}
	}
	return g
}

// check is one check of a step.
type check struct {
	id, claim, side, kind string
	requirements          []string
	strength              string
	every                 bool
	// edit makes the example in which it fails; also are the other checks that fail with it, each with its verdict.
	edit []string
	also []string
}

func (g *generator) step(id, title, claim, requirements, strength, selection string, optional bool, checks ...check) {
	if id != "metadata" {
		g.plan.WriteString("\n")
	}
	fmt.Fprintf(&g.plan, "  - step: %s\n    title: %s\n    claim: %s\n    requirements: [%s]\n", id, title, claim, requirements)
	if optional {
		g.plan.WriteString("    optional: true\n")
	}
	if strength != "" && strength != "SHALL" {
		fmt.Fprintf(&g.plan, "    strength: %s\n", strength)
	}
	g.plan.WriteString("    select:\n")
	for line := range strings.SplitSeq(selection, "\n") {
		fmt.Fprintf(&g.plan, "      %s\n", line)
	}
	g.plan.WriteString("    checks:\n")
	for _, c := range checks {
		fmt.Fprintf(&g.plan, "      - check: %s\n        claim: %s\n        side: %s\n", c.id, c.claim, cmp.Or(c.side, "server"))
		if c.every {
			g.plan.WriteString("        every: true\n")
		}
		if c.strength != "" {
			fmt.Fprintf(&g.plan, "        strength: %s\n", c.strength)
		}
		if len(c.requirements) > 0 {
			fmt.Fprintf(&g.plan, "        requirements: [%s]\n", strings.Join(c.requirements, ", "))
		}
		for line := range strings.SplitSeq(c.kind, "\n") {
			fmt.Fprintf(&g.plan, "        %s\n", line)
		}
		fmt.Fprintf(&g.edits, "-- %s-%s/edit --\nfrom good\n%s\n-- %s-%s/expect --\n%s/%s fail\n", id, c.id, strings.Join(c.edit, "\n"), id, c.id, id, c.id)
		for _, a := range c.also {
			fmt.Fprintf(&g.edits, "%s\n", a)
		}
	}
}

func fhirpath(expr string) string {
	text, _ := json.Marshal(expr) // a string always has a form
	text = bytes.ReplaceAll(bytes.ReplaceAll(text, []byte(`\u003c`), []byte("<")), []byte(`\u003e`), []byte(">"))
	return "fhirpath: {on: response, expr: " + strings.ReplaceAll(string(text), `\u0026`, "&") + "}"
}

// exchange adds one to the good example and gives its number.
func (g *generator) exchange(request, form string, status int, body string) int {
	g.exchanges++
	fmt.Fprintf(&g.good, "-- good/%d.request --\n%s\nAccept: application/fhir+json\nAuthorization: Bearer hmac:00aa11bb22cc33dd\n", g.exchanges, request)
	if form != "" {
		fmt.Fprintf(&g.good, "Content-Type: application/x-www-form-urlencoded\n\n%s\n", form)
	}
	text := map[int]string{200: "OK", 400: "Bad Request", 404: "Not Found"}[status]
	fmt.Fprintf(&g.good, "-- good/%d.response --\nHTTP/1.1 %d %s\nContent-Type: application/fhir+json\n\n%s\n", g.exchanges, status, text, body)
	return g.exchanges
}

func (g *generator) traffic() []byte {
	var b bytes.Buffer
	b.WriteString("Made by go run ./testplans/plans/uscore; do not edit. Traffic that the plan us-core-3-1-1-server is tried on.\n")
	b.Write(g.good.Bytes())
	b.WriteString("-- good/expect --\n* pass\n")
	for _, n := range g.notes {
		fmt.Fprintf(&b, "%s pass-notes\n", n)
	}
	b.Write(g.edits.Bytes())
	return b.Bytes()
}

func searchset(path, typ, match string, included ...string) string {
	entry := func(resource, mode string) string {
		var r struct{ ResourceType, ID string }
		_ = json.Unmarshal([]byte(resource), &r) // samples were read as JSON
		return fmt.Sprintf(`{"fullUrl":"http://payer.example/fhir/%s/%s","resource":%s,"search":{"mode":"%s"}}`, r.ResourceType, r.ID, resource, mode)
	}
	entries := []string{}
	if match != "" {
		entries = append(entries, entry(match, "match"))
	}
	for _, r := range included {
		entries = append(entries, entry(r, "include"))
	}
	list := ""
	if len(entries) > 0 {
		list = `,"entry":[` + strings.Join(entries, ",") + "]"
	}
	total := min(1, len(match))
	return fmt.Sprintf(`{"resourceType":"Bundle","id":"b-%s","type":"searchset","total":%d,"link":[{"relation":"self","url":"http://payer.example/fhir/%s"}]%s}`, strings.ToLower(typ), total, path, list)
}

// matches are the entries of a Bundle that were found; one that says nothing of its mode was.
const matches = "entry.where(search.mode.empty() or search.mode = 'match')"

// isAsked holds where a resource has the id that its URL ends with.
const isAsked = "id = %`exchange-path`.split('/').where($this != '').last()"

const outcome = `{"resourceType":"OperationOutcome","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>%[1]s</p></div>"},"issue":[{"severity":"error","code":"%[2]s","details":{"text":"%[1]s"}}]}`

// statement is the step on the server's own CapabilityStatement.
func (g *generator) statement() {
	n := g.exchange("GET /fhir/metadata", "", 200, `{"resourceType":"CapabilityStatement","status":"active","date":"2025-01-01","kind":"instance","fhirVersion":"4.0.1","format":["json"],"instantiates":["http://hl7.org/fhir/us/core/CapabilityStatement/us-core-server"],"implementation":{"description":"Cedar Mesa Mutual"},"rest":[{"mode":"server","resource":[{"type":"Patient","supportedProfile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"],"interaction":[{"code":"read"},{"code":"search-type"}]},{"type":"Immunization","supportedProfile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-immunization"],"interaction":[{"code":"read"},{"code":"search-type"}]}]}]}`)
	edit := func(old, with string) []string {
		return []string{fmt.Sprintf("%d.response", n), "- " + old, "+ " + with}
	}
	g.step("metadata", "Read the capability statement", "The server says what it supports", "USC-CAP-02", "", "kind: [capabilities]", false,
		check{id: "r4", claim: "It is for FHIR R4", kind: fhirpath("fhirVersion = '4.0.1'"), requirements: []string{"USC-CAP-02", "P2P-CAP-06", "P2P-DAT-11"}, edit: edit("4.0.1", "3.0.2")},
		check{id: "json", claim: "It speaks JSON", kind: fhirpath("format.where($this in ('json' | 'application/json' | 'application/fhir+json')).exists()"), requirements: []string{"USC-CAP-03", "P2P-CAP-06"}, edit: edit(`["json"]`, `["xml"]`)},
		check{id: "profiles", claim: "Patient and another type name their US Core profiles", kind: fhirpath("rest.resource.where(type = 'Patient').supportedProfile.where($this.contains('/us/core/')).exists() and rest.resource.where(type != 'Patient').supportedProfile.where($this.contains('/us/core/')).exists()"), requirements: []string{"USC-CAP-01", "USC-CAP-04", "P2P-CAP-01"}, edit: edit("us/core/StructureDefinition/us-core-immunization", "other/StructureDefinition/immunization")},
		check{id: "interactions", claim: "Types with a profile can be read and searched", kind: fhirpath("rest.resource.where(supportedProfile.where($this.contains('/us/core/')).exists() and type in ('Patient' | 'Condition' | 'Immunization' | 'Observation' | 'Procedure')).all(interaction.where(code = 'read').exists() and interaction.where(code = 'search-type').exists())"), requirements: []string{"USC-INT-01", "USC-CAP-04"}, edit: edit(`{"code":"read"},`, "")},
	)
}

// general are the steps that are about every type.
func (g *generator) general(types []expected, samples map[string]string) {
	var names []string
	for i := range types {
		if samples[types[i].name] != "" {
			names = append(names, types[i].name)
		}
	}
	list := strings.Join(names, ", ")
	immunization, provenance := samples["Immunization"], samples["Provenance"]
	const asked = "Immunization?patient=999&_count=10"
	get := g.exchange("GET /fhir/"+asked, "", 200, searchset(asked, "Immunization", immunization))
	post := g.exchange("POST /fhir/Immunization/_search", "patient=Patient%2F999&_count=10", 200, searchset(asked, "Immunization", immunization))
	none := g.exchange("GET /fhir/Immunization?patient=nobody&_count=10", "", 200, searchset("Immunization?patient=nobody", "Immunization", ""))
	wrong := g.exchange("GET /fhir/Immunization?nonsense=1", "", 400, fmt.Sprintf(outcome, "nonsense is no parameter", "invalid"))
	gone := g.exchange("GET /fhir/Immunization/unknown", "", 404, fmt.Sprintf(outcome, "There is no such Immunization", "not-found"))
	state := g.exchange("GET /fhir/CareTeam?patient=999&_count=10", "", 400, fmt.Sprintf(outcome, "status is required", "required"))
	several := g.exchange("GET /fhir/CareTeam?patient=999&status=active,proposed&_count=10", "", 200, searchset("CareTeam?patient=999", "CareTeam", samples["CareTeam"]))
	const backwards = "Immunization?patient=999&_revinclude=Provenance:target&_count=10"
	prov := strings.Replace(provenance, "Patient/999", "Immunization/pdex-Immunization", 1)
	rev := g.exchange("GET /fhir/"+backwards, "", 200, searchset(backwards, "Immunization", immunization, prov))
	request := samples["MedicationRequest"]
	external := replaceMember(request, "medicationCodeableConcept", `"medicationReference":{"reference":"Medication/m1"}`)
	const withMedication = "MedicationRequest?patient=999&intent=plan&_include=MedicationRequest:medication&_count=10"
	medication := `{"resourceType":"Medication","id":"m1","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>metformin</p></div>"},"code":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"861007"}]}}`
	med := g.exchange("GET /fhir/"+withMedication, "", 200, searchset(withMedication, "MedicationRequest", external, medication))
	ed := func(n int, half, old, with string) []string {
		return []string{fmt.Sprintf("%d.%s", n, half), "- " + old, strings.TrimRight("+ "+with, " ")}
	}
	all := "kind: [search-type]\ntype: [" + list + "]"
	g.notes = append(g.notes, "search/valid", "read/valid")
	g.step("search", "Search", "Every search is answered as FHIR asks", "USC-SRCH-06, USC-INT-01", "", all+"\nstatus: [2xx, \"404\", \"500\", \"501\"]", false,
		check{id: "answered", claim: "It is answered 200, also when nothing is found", kind: `status: ["200"]`, requirements: []string{"USC-SRCH-09", "USC-INT-01"}, every: true, edit: ed(none, "response", "200 OK", "404 Not Found"), also: []string{"errors/outcome fail"}},
		check{id: "media-type", claim: "It is application/fhir+json", kind: "header: {on: response, name: Content-Type, is: [application/fhir+json]}", requirements: []string{"USC-CAP-03"}, every: true, edit: ed(none, "response", "application/fhir+json", "application/json"), also: nil},
		check{id: "searchset", claim: "It is a searchset with a self link", kind: fhirpath("$this is Bundle and type = 'searchset' and link.where(relation = 'self').exists()"), requirements: []string{"USC-SRCH-06", "P2P-DAT-16"}, every: true, edit: ed(none, "response", `"relation":"self"`, `"relation":"me"`)},
		check{id: "types", claim: "Matches are of the type asked for, and other entries are includes or outcomes", kind: fhirpath("entry.search.mode.all($this in ('match' | 'include' | 'outcome')) and entry.where(search.mode.empty()).resource.all(type().name in %`exchange-path`.split('/'))"), requirements: []string{"USC-SRCH-03", "P2P-DAT-16"}, every: true, edit: ed(get, "response", `"mode":"match"`, `"mode":"hit"`), also: []string{"search/valid fail", "same-question/count fail"}},
		check{id: "valid", claim: "The resources conform to their profiles, with what is missing said as the guide says", kind: "findings: {on: response}", requirements: []string{"USC-CAP-01", "USC-MD-02", "USC-MD-03", "USC-MD-04", "USC-MD-08", "P2P-DAT-14"}, every: true, edit: ed(get, "response", `"status":"completed"`, `"status":"done"`)},
	)
	g.step("read", "Read", "What is referred to can be read", "USC-REF-01, USC-INT-01", "", "kind: [read]\ntype: ["+list+"]\nstatus: [2xx, \"500\", \"501\"]", false,
		check{id: "answered", claim: "A read is answered 200", kind: `status: ["200"]`, requirements: []string{"USC-REF-01", "USC-INT-01"}, every: true, edit: []string{"%READ%"}, also: []string{"read/valid fail", "patient-read/answered fail"}},
		check{id: "valid", claim: "The resource conforms to its profile", kind: "findings: {on: response}", requirements: []string{"USC-CAP-01", "USC-MD-08", "P2P-DAT-14"}, every: true, edit: []string{"%READ-INVALID%"}},
		check{id: "asked", claim: "The resource is the one that was asked for", kind: fhirpath("$this is OperationOutcome or " + isAsked), requirements: []string{"USC-REF-01", "USC-INT-01"}, every: true, edit: []string{"%READ-ANOTHER%"}, also: []string{"patient-read/asked fail"}},
	)
	g.step("same-question", "Ask in another way", "GET and POST, an id and a typed reference, a code with and without its system give the same", "USC-SRCH-01", "", all, true,
		check{id: "count", claim: "As many match", kind: `agrees: {step: search, expr: "` + matches + `.count()"}`, requirements: []string{"USC-SRCH-01", "USC-TOK-01", "USC-REFP-01", "P2P-DAT-17"}, edit: ed(post, "response", `"mode":"match"`, `"mode":"include"`)},
	)
	g.step("errors", "Ask for what is not there", "Errors have the status of the guide and are explained", "USC-ERR-01, USC-ERR-04", "", "kind: [search-type, read]\ntype: ["+list+"]\nstatus: [4xx]", true,
		check{id: "status", claim: "A parameter that is wrong is 400, something unknown 404, somebody unknown 401 or 403, another format 406", kind: `status: ["400", "401", "403", "404", "406", "410", "415", "429"]`, requirements: []string{"USC-ERR-01", "USC-ERR-04", "P2P-DAT-13"}, every: true, edit: ed(wrong, "response", "400 Bad Request", "422 Unprocessable Entity")},
		check{id: "outcome", claim: "It is an OperationOutcome", kind: fhirpath("$this is OperationOutcome and issue.exists()"), requirements: []string{"USC-ERR-06"}, every: true, strength: "SHOULD", edit: ed(gone, "response", `"OperationOutcome"`, `"Basic"`), also: nil},
	)
	g.step("status-required", "Search without a status", "A server that requires a status says so with 400", "USC-SRCH-08", "", "kind: [search-type]\ntype: ["+list+"]\nparameters: {patient: \"*\", status: \"-\"}\nstatus: [\"400\"]", true,
		check{id: "outcome", claim: "An OperationOutcome says that it is required", kind: fhirpath("$this is OperationOutcome and issue.where(severity = 'error').exists()"), edit: ed(state, "response", `"severity":"error"`, `"severity":"warning"`)},
	)
	g.step("several", "Search several statuses at once", "A comma means or", "USC-SRCH-02", "", "kind: [search-type]\ntype: [CareTeam, MedicationRequest]\nparameters: {status: \"*\", patient: \"*\"}\nstatus: [2xx]", true,
		check{id: "matches", claim: "Every match has one of them", kind: fhirpath(matches + ".resource.all(status in %`code-status`)"), every: true, edit: ed(several, "request", "status=active,proposed", "status=inactive,proposed")},
	)
	g.step("provenance", "Include Provenance", "_revinclude=Provenance:target adds who the data is from", "USC-SRCH-04", "", "kind: [search-type]\nparameters: {_revinclude: \"Provenance:target\"}\nstatus: [\"200\"]", true,
		check{id: "included", claim: "Provenance is there as an include", kind: fhirpath("entry.where(search.mode = 'include').resource.ofType(Provenance).exists()"), edit: ed(rev, "response", `"mode":"include"`, `"mode":"match"`), also: []string{"search/valid fail"}},
		check{id: "targets", claim: "It is about what was found", kind: fhirpath("entry.where(search.mode = 'include').resource.ofType(Provenance).all(target.reference.select($this.split('/_history/').first().split('/').last()).intersect(%context.entry.where(search.mode.empty() or search.mode = 'match').resource.id).exists())"), every: true, edit: ed(rev, "response", "Immunization/pdex-Immunization\"}", "Immunization/another\"}")},
	)
	g.step("medication", "Include Medication", "A Medication that is referred to can be included", "USC-SRCH-05", "", "kind: [search-type]\ntype: [MedicationRequest]\nparameters: {_include: \"MedicationRequest:medication\"}\nstatus: [\"200\"]", true,
		check{id: "included", claim: "Each Medication that a match refers to is there", kind: fhirpath(matches + ".resource.ofType(MedicationRequest).medication.ofType(Reference).reference.where($this.startsWith('#').not()).all($this.split('/_history/').first().split('/').last() in %context.entry.where(search.mode = 'include').resource.ofType(Medication).id)"), edit: ed(med, "response", `"id":"m1"`, `"id":"m2"`), also: []string{"search/valid fail"}},
	)
}

// replaceMember puts another member in place of one of a resource.
func replaceMember(resource, name, member string) string {
	var m map[string]json.RawMessage
	_ = json.Unmarshal([]byte(resource), &m) // samples were read as JSON
	return strings.Replace(resource, `"`+name+`":`+string(m[name]), member, 1)
}

// kebab is a type's name as part of a step's.
func kebab(name string) string {
	var b strings.Builder
	for i, r := range name {
		if r >= 'A' && r <= 'Z' && i > 0 {
			b.WriteByte('-')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(strings.Trim(strings.ReplaceAll(b.String(), "_", ""), "-"))
}

// ofType are the steps of one type.
func (g *generator) ofType(t *expected, sample string) {
	var r struct{ ID string }
	_ = json.Unmarshal([]byte(sample), &r) // samples were read as JSON
	optional := t.name != "Patient"
	if t.read != "" && t.read != "MAY" {
		n := g.exchange("GET /fhir/"+t.name+"/"+r.ID, "", 200, sample)
		if !optional {
			for old, with := range map[string]string{
				"%READ%":         fmt.Sprintf("%d.response\n- 200 OK\n+ 500 Internal Server Error", n),
				"%READ-ANOTHER%": fmt.Sprintf("%d.response\n- \"id\":\"%s\"\n+ \"id\":\"another\"", n, r.ID),
				"%READ-INVALID%": fmt.Sprintf("%d.response\n- \"gender\":\"female\"\n+ \"gender\":\"woman\"", n),
			} {
				text := strings.Replace(g.edits.String(), old, with, 1)
				g.edits.Reset()
				g.edits.WriteString(text)
			}
		}
		fails := []string{fmt.Sprintf("%d.response", n), "- 200 OK", "+ 500 Internal Server Error"}
		g.step(kebab(t.name)+"-read", "Read "+t.name, "A "+t.name+" can be read by its id", "USC-INT-01, USC-T-10", t.read, "kind: [read]\ntype: ["+t.name+"]\nstatus: [2xx, \"500\", \"501\"]", optional, // a 404 may be the client's mistake
			check{id: "answered", claim: "It is answered 200", kind: `status: ["200"]`, edit: fails, also: []string{"read/answered fail", "read/valid fail"}},
			check{id: "resource", claim: "The answer is the " + t.name, kind: fhirpath("$this is " + t.name), edit: []string{fmt.Sprintf("%d.response", n), `- "resourceType":"` + t.name + `"`, `+ "resourceType":"Basic"`}, also: []string{"read/valid fail"}},
			check{id: "asked", claim: "It is the one that was asked for", kind: fhirpath(isAsked), edit: []string{fmt.Sprintf("%d.response", n), `- "id":"` + r.ID + `"`, `+ "id":"another"`}, also: []string{"read/asked fail"}},
		)
	}
	var known []string
	for _, s := range t.searches {
		for _, p := range s.params {
			if !slices.Contains(known, p) {
				known = append(known, p)
			}
		}
	}
	slices.Sort(known)
	for _, s := range t.searches {
		if s.strength == "" || s.strength == "MAY" || slices.ContainsFunc(s.params, func(p string) bool { return params[t.name+"."+p].expr == "" }) {
			continue
		}
		g.searchStep(t, s, known, sample, optional || s.strength != "SHALL")
	}
}

func (g *generator) searchStep(t *expected, s search, known []string, sample string, optional bool) {
	names := slices.Sorted(slices.Values(s.params))
	var query, selected, exprs, bad []string
	requirements := []string{"USC-SRCH-03", "USC-T-01"}
	if len(names) > 1 {
		requirements = []string{"USC-SRCH-03", "USC-T-08"}
	}
	for _, name := range names {
		p := params[t.name+"."+name]
		query = append(query, name+"="+url.QueryEscape(p.value))
		exprs = append(exprs, p.expr)
		if strings.HasPrefix(p.value, "ge") {
			requirements = append(requirements, "USC-DT-01", "USC-DT-02", "USC-DT-04")
		}
		if bad == nil {
			with := name + "=none"
			if strings.HasPrefix(p.value, "ge") {
				with = name + "=ge2199-01-01"
			}
			bad = []string{"- " + query[len(query)-1], "+ " + with}
		}
	}
	for _, name := range known {
		value := `"-"`
		if slices.Contains(names, name) {
			value = `"*"`
		}
		selected = append(selected, name+": "+value)
	}
	path := t.name + "?" + strings.Join(query, "&")
	n := g.exchange("GET /fhir/"+path, "", 200, searchset(path, t.name, sample))
	id := kebab(t.name) + "-by-" + strings.ReplaceAll(strings.ReplaceAll(strings.Join(names, "-"), "_", ""), "--", "-")
	response := func(old, with string) []string {
		return []string{fmt.Sprintf("%d.response", n), "- " + old, "+ " + with}
	}
	// A server may ask for a status (the step status-required), and who asks for what is not there finds nothing: neither is a mistake.
	answered := `2xx, 3xx, "400", "404", "405", "410", "415", "422", 5xx`
	if slices.Contains(known, "status") && !slices.Contains(names, "status") {
		answered = strings.Replace(answered, `"400", `, "", 1)
	}
	g.step(id, "Search "+t.name+" by "+strings.Join(names, ", "), "A search of "+t.name+" by "+strings.Join(names, " and ")+" finds what has it",
		strings.Join(slices.Compact(requirements), ", "), s.strength,
		"kind: [search-type]\ntype: ["+t.name+"]\nparameters: {"+strings.Join(selected, ", ")+", _count: \"-\"}\nstatus: ["+answered+"]\nresponse: \"$this is Bundle implies "+matches+".exists()\"", optional,
		check{id: "found", claim: "It is answered 200 and something is found", kind: fhirpath("$this is Bundle and " + matches + ".resource.ofType(" + t.name + ").exists()"), edit: response(`"resourceType":"Bundle"`, `"resourceType":"Basic"`), also: []string{"search/searchset fail", "search/valid fail"}},
		check{id: "matches", claim: "Every match has what was asked for", every: true, kind: fhirpath(matches + ".resource.ofType(" + t.name + ").all(" + strings.Join(exprs, " and ") + ")"), edit: append([]string{fmt.Sprintf("%d.request", n)}, bad...)},
	)
}
