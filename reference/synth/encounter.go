package synth

import "time"

// setting is where care happens.
type setting struct {
	class, kind code
	cpt, pos    string
	minutes     int
	cents       int
}

var (
	office = setting{
		code{tho + "v3-ActCode", "AMB", "ambulatory"},
		code{snomed, "185349003", "Encounter for check up"},
		"99213", "11", 25, 14500,
	}
	emergency = setting{
		code{tho + "v3-ActCode", "EMER", "emergency"},
		code{snomed, "50849002", "Emergency room admission"},
		"99283", "23", 150, 61000,
	}
)

// visit writes one encounter and what was found, said, given and billed at it.
func (b *builder) visit(m *member, at time.Time, n int) {
	s := &office
	if n%7 == 5 || m.complete() && n == 1 {
		s = &emergency
	}
	var ill *condition
	if len(m.illnesses) > 0 {
		ill = m.illnesses[n%len(m.illnesses)]
	}
	sick := pick(m.rnd, complaints)
	acute := s == &emergency || ill == nil && m.rnd.IntN(2) == 0 || m.complete() && n == 2
	reason := sick
	if !acute && ill != nil {
		reason = complaint{ill.snomed, ill.icd}
	}
	checkup := !acute && ill == nil
	if checkup {
		reason = wellness
		if m.age(at) < 18 {
			reason.icd = childHealth
		}
	}
	doctor := &b.net.people[m.doctor]
	enc := b.encounter(m, s, at, reason)
	if acute {
		b.diagnosis(m, sick, enc, at)
	}
	b.vitals(m, enc, at, n)
	b.laboratory(m, ill, enc, at, n)
	if n%4 == 3 || m.complete() && n < 2 {
		b.notes(m, enc, at, reason, n)
	}
	if n%2 == 0 {
		b.immunization(m, enc, at, n)
	}
	if n%5 == 4 || m.complete() && n == 3 {
		b.operation(m, enc, at)
	}
	if ill != nil {
		b.prescription(m, ill, enc, at, n)
	}
	b.provenance(m, at, "hl7ccda", "Organization/"+b.net.orgs[doctor.org].id)
	b.professional(m, s, at, reason)
	b.provenance(m, at, "x12837", "Organization/"+PayerID)
}

// childHealth replaces the diagnosis of wellness for the young.
var childHealth = code{icd10, "Z00.129", "Encounter for routine child health examination without abnormal findings"}

// wellness is the diagnosis of a visit without complaint.
var wellness = complaint{code{snomed, "185349003", "Encounter for check up"}, code{icd10, "Z00.00", "Encounter for general adult medical examination without abnormal findings"}}

func (b *builder) encounter(m *member, s *setting, at time.Time, reason complaint) string {
	w := &b.w
	end := at.Add(time.Duration(s.minutes) * time.Minute)
	b.begin("Encounter", m.newID("Encounter"), at, s.kind.display+" on "+at.Format(time.DateOnly), usCore+"us-core-encounter")
	w.identifiers(identifier{system: "https://www.cedarmesa.example/ids/encounter", value: b.id})
	w.str("status", "finished")
	w.coding("class", s.class)
	w.concepts("type", s.kind.display, s.kind, code{cpt, s.cpt, ""})
	w.ref("subject", m.self())
	doctor := &b.net.people[m.doctor]
	w.list("participant")
	w.obj("")
	w.concepts("type", "", code{tho + "v3-ParticipationType", "PPRF", "primary performer"})
	w.period("period", at, end)
	w.ref("individual", "Practitioner/"+doctor.id)
	w.end()
	w.endList()
	w.period("period", at, end)
	w.concepts("reasonCode", "", reason.snomed)
	w.obj("hospitalization")
	w.concept("dischargeDisposition", "", code{tho + "discharge-disposition", "home", "Home"})
	w.end()
	org := b.net.orgOf(m.doctor)
	w.list("location")
	w.obj("")
	w.ref("location", "Location/"+org.locationID)
	w.end()
	w.endList()
	w.ref("serviceProvider", "Organization/"+org.id)
	return b.clinical()
}

// diagnosis is the Condition of one encounter.
func (b *builder) diagnosis(m *member, c complaint, enc string, at time.Time) {
	w := &b.w
	b.begin("Condition", m.newID("Condition"), at, c.snomed.display, usCore+"us-core-condition")
	w.concept("clinicalStatus", "", code{tho + "condition-clinical", "resolved", "Resolved"})
	w.concept("verificationStatus", "", code{tho + "condition-ver-status", "confirmed", "Confirmed"})
	w.concepts("category", "", code{tho + "condition-category", "encounter-diagnosis", "Encounter Diagnosis"})
	w.concept("code", c.snomed.display, c.snomed, c.icd)
	w.ref("subject", m.self())
	w.ref("encounter", enc)
	w.instant("onsetDateTime", at.AddDate(0, 0, -2))
	w.instant("abatementDateTime", at.AddDate(0, 0, 9))
	w.date("recordedDate", at)
	b.clinical()
}

// background is what is known of the member apart from any encounter: problems, allergies, smoking, care team.
func (b *builder) background(m *member, first time.Time) {
	for _, c := range m.illnesses {
		b.problem(m, c, first.AddDate(0, -1, 0))
	}
	if m.chance(3) {
		b.allergy(m, first)
	}
	if m.age(b.today) >= 14 || m.complete() {
		b.smoker(m, first)
	}
	b.team(m, first)
	if m.complete() || len(m.illnesses) > 1 && m.rnd.IntN(4) == 0 {
		b.devices(m, first)
	}
	b.provenance(m, first, "hl7fhirr4", "Organization/"+b.net.orgOf(m.doctor).id)
}

func (b *builder) problem(m *member, c *condition, since time.Time) {
	w := &b.w
	b.open("Condition", m.newID("Condition"), since, []string{usCore + "us-core-condition"})
	b.sensitive(m, c)
	b.closeMeta(c.snomed.display)
	w.concept("clinicalStatus", "", code{tho + "condition-clinical", "active", "Active"})
	w.concept("verificationStatus", "", code{tho + "condition-ver-status", "confirmed", "Confirmed"})
	w.concepts("category", "", code{tho + "condition-category", "problem-list-item", "Problem List Item"})
	w.concept("code", c.snomed.display, c.snomed, c.icd)
	w.ref("subject", m.self())
	w.date("onsetDateTime", since)
	w.date("recordedDate", since)
	w.ref("recorder", "Practitioner/"+b.net.people[m.doctor].id)
	m.problems = append(m.problems, b.clinical())
}

func (b *builder) allergy(m *member, at time.Time) {
	w := &b.w
	a := pick(m.rnd, allergens)
	b.begin("AllergyIntolerance", m.newID("AllergyIntolerance"), at, "Allergy to "+a.substance.display, usCore+"us-core-allergyintolerance")
	w.concept("clinicalStatus", "", code{tho + "allergyintolerance-clinical", "active", "Active"})
	w.concept("verificationStatus", "", code{tho + "allergyintolerance-verification", "confirmed", "Confirmed"})
	w.str("type", "allergy")
	w.list("category")
	w.str("", "medication")
	w.endList()
	w.str("criticality", "low")
	w.concept("code", a.substance.display, a.substance)
	w.ref("patient", m.self())
	w.date("recordedDate", at)
	w.list("reaction")
	w.obj("")
	w.concepts("manifestation", "", a.reaction)
	w.str("severity", "mild")
	w.end()
	w.endList()
	b.clinical()
}

func (b *builder) immunization(m *member, enc string, at time.Time, n int) {
	age := m.age(at)
	v := vaccines[0]
	for i := range vaccines {
		if c := vaccines[(n/2+i)%len(vaccines)]; age >= c.minAge && age <= c.maxAge {
			v = c
			break
		}
	}
	w := &b.w
	given := n != 4 // one refusal shows statusReason
	b.begin("Immunization", m.newID("Immunization"), at, v.code.display+" vaccine", usCore+"us-core-immunization")
	if given {
		w.str("status", "completed")
	} else {
		w.str("status", "not-done")
		w.concept("statusReason", "", code{tho + "v3-ActReason", "PATOBJ", "patient objection"})
	}
	w.concept("vaccineCode", v.code.display, v.code)
	w.ref("patient", m.self())
	w.ref("encounter", enc)
	w.instant("occurrenceDateTime", at)
	w.boolean("primarySource", true)
	if given {
		w.ref("location", "Location/"+b.net.orgOf(m.doctor).locationID)
		w.list("performer")
		w.obj("")
		w.ref("actor", "Practitioner/"+b.net.people[m.doctor].id)
		w.end()
		w.endList()
	}
	b.clinical()
}
