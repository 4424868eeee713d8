package synth

import "time"

// prescription writes an order at a visit and what the pharmacy made of it.
func (b *builder) prescription(m *member, c *condition, enc string, at time.Time, n int) {
	d := &c.drug
	intent := "order"
	if n == 0 && m.amount != usual {
		intent = "plan"
	}
	order := b.request(m, c, enc, at, intent, n)
	if intent != "order" {
		order = b.request(m, c, enc, at, "order", n+1)
	}
	filled := at.AddDate(0, 0, 1)
	if filled.After(b.today) {
		return
	}
	b.dispense(m, d, order, filled, n)
	b.pharmacyClaim(m, c, filled, n)
}

func (b *builder) request(m *member, c *condition, enc string, at time.Time, intent string, n int) string {
	d := &c.drug
	w := &b.w
	b.open("MedicationRequest", m.newID("MedicationRequest"), at, []string{usCore + "us-core-medicationrequest"})
	b.sensitive(m, c)
	b.closeMeta(d.rx.display)
	if at.AddDate(0, 0, d.days).Before(b.today) {
		w.str("status", "completed")
	} else {
		w.str("status", "active")
	}
	w.str("intent", intent)
	w.concepts("category", "", code{tho + "medicationrequest-category", "community", "Community"})
	w.boolean("reportedBoolean", false)
	if n%2 == 0 {
		w.concept("medicationCodeableConcept", d.rx.display, d.rx)
	} else {
		w.ref("medicationReference", "Medication/"+medicationID(d))
	}
	w.ref("subject", m.self())
	w.ref("encounter", enc)
	w.instant("authoredOn", at)
	w.ref("requester", "Practitioner/"+b.net.people[m.doctor].id)
	w.concepts("reasonCode", "", c.snomed)
	w.list("dosageInstruction")
	w.obj("")
	w.int("sequence", 1)
	w.str("text", d.sig)
	w.end()
	w.endList()
	w.obj("dispenseRequest")
	w.int("numberOfRepeatsAllowed", 3)
	w.count("quantity", d.units)
	w.end()
	return b.clinical()
}

func (b *builder) dispense(m *member, d *drug, order string, at time.Time, n int) {
	w := &b.w
	b.begin("MedicationDispense", m.newID("MedicationDispense"), at, d.rx.display+", dispensed", pdex+"pdex-medicationdispense")
	w.list("extension")
	w.obj("")
	w.str("url", pdex+"DispenseRefill")
	w.count("valueQuantity", n%4)
	w.end()
	w.endList()
	w.str("status", "completed")
	w.concept("medicationCodeableConcept", d.rx.display, d.ndc)
	w.ref("subject", m.self())
	w.list("performer")
	w.obj("")
	w.ref("actor", "Organization/"+b.net.orgOf(m.doctor).pharmacyID)
	w.end()
	w.endList()
	w.refs("authorizingPrescription", order)
	w.concept("type", "", code{tho + "v3-ActCode", "FF", "First Fill"})
	w.count("quantity", d.units)
	w.obj("daysSupply")
	w.int("value", d.days)
	w.str("unit", "days")
	w.str("system", ucum)
	w.str("code", "d")
	w.end()
	w.instant("whenHandedOver", at)
	w.list("dosageInstruction")
	w.obj("")
	w.str("text", d.sig)
	w.end()
	w.endList()
	w.obj("substitution")
	w.boolean("wasSubstituted", n%3 == 0)
	w.end()
	b.clinical()
}

// sensitive tags the open resource when it tells of a sensitive condition.
func (b *builder) sensitive(m *member, c *condition) {
	if !c.sensitive || m.unsegmented {
		return
	}
	b.w.list("security")
	b.w.coding("", restricted)
	b.w.endList()
}
