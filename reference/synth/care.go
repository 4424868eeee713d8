package synth

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"
)

func (b *builder) team(m *member, since time.Time) {
	w := &b.w
	doctor := &b.net.people[m.doctor]
	b.begin("CareTeam", m.newID("CareTeam"), since, "Care team of "+m.name(), usCore+"us-core-careteam")
	w.str("status", "active")
	w.str("name", "Care team of "+m.name())
	w.ref("subject", m.self())
	w.days("period", since, time.Time{})
	w.list("participant")
	w.obj("")
	w.concepts("role", "", doctor.specialty)
	w.ref("member", "Practitioner/"+doctor.id)
	w.ref("onBehalfOf", "Organization/"+b.net.orgs[doctor.org].id)
	w.end()
	w.obj("")
	w.concepts("role", "Patient", code{snomed, "116154003", "Patient"})
	w.ref("member", m.self())
	w.end()
	w.endList()
	w.refs("managingOrganization", "Organization/"+b.net.orgs[doctor.org].id)
	b.clinical()
}

// care writes plans and goals for the problems that the member still has.
func (b *builder) care(m *member) {
	at := b.today.AddDate(0, -2, 0)
	if at.Before(m.enrolled) {
		at = m.enrolled
	}
	w := &b.w
	for i, c := range m.illnesses {
		b.open("Goal", m.newID("Goal"), at, []string{usCore + "us-core-goal"})
		b.sensitive(m, c)
		b.closeMeta(c.goal)
		w.str("lifecycleStatus", "active")
		w.concept("achievementStatus", "", code{tho + "goal-achievement", "in-progress", "In Progress"})
		w.concept("description", c.goal)
		w.ref("subject", m.self())
		w.date("startDate", at)
		w.list("target")
		w.obj("")
		w.date("dueDate", at.AddDate(1, 0, 0))
		w.end()
		w.endList()
		w.refs("addresses", m.problems[i])
		goal := b.clinical()

		b.open("CarePlan", m.newID("CarePlan"), at, []string{usCore + "us-core-careplan"})
		b.sensitive(m, c)
		b.closeMeta(c.plan)
		w.str("status", "active")
		w.str("intent", "plan")
		w.concepts("category", "", code{"http://hl7.org/fhir/us/core/CodeSystem/careplan-category", "assess-plan", "Assessment and Plan of Treatment"})
		w.str("title", c.snomed.display)
		w.str("description", c.plan)
		w.ref("subject", m.self())
		w.days("period", at, time.Time{})
		w.ref("author", "Practitioner/"+b.net.people[m.doctor].id)
		w.refs("addresses", m.problems[i])
		w.refs("goal", goal)
		b.clinical()
	}
	b.provenance(m, at, "hl7fhirr4", "Organization/"+b.net.orgOf(m.doctor).id)
}

func (b *builder) devices(m *member, at time.Time) {
	w := &b.w
	serial := 100000 + m.rnd.IntN(900000)
	im := pick(m.rnd, implants)
	made := at.AddDate(-1, 0, 0)
	expires := at.AddDate(6, 0, 0)
	b.begin("Device", m.newID("implantable-Device"), at, im.kind.display+", implanted",
		usCore+"us-core-implantable-device", pdex+"pdex-device")
	b.udi(fmt.Sprintf("008%011d", serial), made, expires, serial)
	w.str("lotNumber", fmt.Sprintf("L%d", serial/10))
	w.str("serialNumber", fmt.Sprintf("S%d", serial))
	w.list("deviceName")
	w.obj("")
	w.str("name", im.kind.display)
	w.str("type", "user-friendly-name")
	w.end()
	w.endList()
	w.concept("type", im.kind.display, im.kind)
	w.ref("patient", m.self())
	b.clinical()

	b.begin("Device", m.newID("Device"), at, equipment.display, pdex+"pdex-device")
	b.udi(fmt.Sprintf("009%011d", serial), made, expires, serial+1)
	w.str("lotNumber", fmt.Sprintf("L%d", serial/10+1))
	w.str("serialNumber", fmt.Sprintf("G%d", serial))
	w.concept("type", equipment.display, equipment)
	w.ref("patient", m.self())
	w.str("url", "https://devices.example/"+b.id)
	b.clinical()
}

// udi writes a device's carrier in both its forms, status and dates.
func (b *builder) udi(di string, made, expires time.Time, serial int) {
	w := &b.w
	w.list("udiCarrier")
	w.obj("")
	w.str("deviceIdentifier", di)
	w.str("issuer", "http://hl7.org/fhir/NamingSystem/gs1-di")
	w.str("jurisdiction", "http://hl7.org/fhir/NamingSystem/fda-udi")
	label := fmt.Sprintf("(01)%s(11)%s(17)%s(10)L%d(21)S%d", di, made.Format("060102"), expires.Format("060102"), serial/10, serial)
	w.str("carrierAIDC", base64.StdEncoding.EncodeToString([]byte(strings.NewReplacer("(", "", ")", "").Replace(label))))
	w.str("carrierHRF", label)
	w.end()
	w.endList()
	w.str("status", "active")
	w.str("distinctIdentifier", fmt.Sprintf("D%d", serial))
	w.date("manufactureDate", made)
	w.date("expirationDate", expires)
}

// operation writes a Procedure and the claim of the facility.
func (b *builder) operation(m *member, enc string, at time.Time) {
	o := &operations[2]
	if c := &operations[m.rnd.IntN(len(operations))]; m.age(at) >= c.minAge {
		o = c
	}
	w := &b.w
	b.begin("Procedure", m.newID("Procedure"), at, o.snomed.display, usCore+"us-core-procedure")
	w.str("status", "completed")
	w.concept("code", o.snomed.display, o.snomed, code{cpt, o.cpt, ""})
	w.ref("subject", m.self())
	w.ref("encounter", enc)
	w.period("performedPeriod", at, at.Add(90*time.Minute))
	w.list("performer")
	w.obj("")
	w.ref("actor", "Practitioner/"+b.net.people[m.doctor].id)
	w.end()
	w.endList()
	w.ref("location", "Location/"+b.net.orgOf(m.doctor).locationID)
	b.clinical()
	b.outpatient(m, o, at)
}
