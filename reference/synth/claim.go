package synth

import (
	"fmt"
	"time"
)

var (
	claimPaid   = code{carinCS + "C4BBPayerAdjudicationStatus", "paid", "Paid"}
	principal   = code{tho + "ex-diagnosistype", "principal", "Principal Diagnosis"}
	rendering   = code{carinCS + "C4BBClaimCareTeamRole", "rendering", "Rendering provider"}
	attending   = code{carinCS + "C4BBClaimCareTeamRole", "attending", "Attending"}
	prescribing = code{carinCS + "C4BBClaimCareTeamRole", "prescribing", "Prescribing provider"}
)

// claim is the part that all ExplanationOfBenefits have.
type claim struct {
	summary         string
	profiles        []string
	typ             code
	subType         *code
	served, created time.Time
	provider        string
}

func (b *builder) claim(m *member, c *claim) {
	w := &b.w
	b.begin("ExplanationOfBenefit", m.newID("ExplanationOfBenefit"), c.created, c.summary, c.profiles...)
	w.identifiers(identifier{
		types: []code{{carinCS + "C4BBIdentifierType", "uc", "Unique Claim ID"}}, system: "https://www.cedarmesa.example/ids/claim", value: b.id,
	})
	w.str("status", "active")
	w.concept("type", "", c.typ)
	if c.subType != nil {
		w.concept("subType", "", *c.subType)
	}
	w.str("use", "claim")
	w.ref("patient", m.self())
	w.days("billablePeriod", c.served, c.served)
	w.instant("created", c.created)
	w.ref("insurer", "Organization/"+PayerID)
	w.ref("provider", c.provider)
	w.obj("payee")
	w.concept("type", "", code{tho + "payeetype", "provider", "Provider"})
	w.ref("party", c.provider)
	w.end()
	w.str("outcome", "complete")
}

func (b *builder) careTeam(provider string, role code, qualification *code) {
	w := &b.w
	w.list("careTeam")
	w.obj("")
	w.int("sequence", 1)
	w.ref("provider", provider)
	w.concept("role", "", role)
	if qualification != nil {
		w.concept("qualification", "", *qualification)
	}
	w.end()
	w.endList()
}

// info opens one supportingInfo and numbers it.
func (b *builder) info(sequence int, kind, display string) {
	b.w.obj("")
	b.w.int("sequence", sequence)
	b.w.concept("category", "", code{carinCS + "C4BBSupportingInfoType", kind, display})
}

func (b *builder) received(sequence int, on time.Time) {
	b.info(sequence, "clmrecvddate", "Claim Received Date")
	b.w.date("timingDate", on)
	b.w.end()
}

func (b *builder) claimDiagnosis(icd code) {
	w := &b.w
	w.list("diagnosis")
	w.obj("")
	w.int("sequence", 1)
	w.concept("diagnosisCodeableConcept", "", icd)
	w.concepts("type", "", principal)
	w.end()
	w.endList()
}

func (b *builder) insurance(m *member) {
	w := &b.w
	w.list("insurance")
	w.obj("")
	w.boolean("focal", true)
	w.ref("coverage", m.coverage)
	w.end()
	w.endList()
}

// amounts writes adjudications: what was asked, allowed, owed and paid.
func (b *builder) amounts(cents int) {
	for _, a := range shares(cents) {
		b.w.obj("")
		b.w.concept("category", "", a.code)
		b.w.money("amount", a.cents)
		b.w.end()
	}
}

type share struct {
	code  code
	cents int
}

func shares(cents int) [4]share {
	allowed := cents * 7 / 10
	copay := min(allowed/5, 4000)
	return [4]share{
		{code{tho + "adjudication", "submitted", "Submitted Amount"}, cents},
		{code{tho + "adjudication", "eligible", "Eligible Amount"}, allowed},
		{code{tho + "adjudication", "copay", "CoPay"}, copay},
		{code{tho + "adjudication", "benefit", "Benefit Amount"}, allowed - copay},
	}
}

func (b *builder) status() {
	b.w.obj("")
	b.w.concept("category", "", code{carinCS + "C4BBAdjudicationDiscriminator", "benefitpaymentstatus", "Benefit Payment Status"})
	b.w.concept("reason", "", inNetwork)
	b.w.end()
}

func (b *builder) networkStatus() {
	b.w.obj("")
	b.w.concept("category", "", code{carinCS + "C4BBAdjudicationDiscriminator", "billingnetworkstatus", "Billing Network Status"})
	b.w.concept("reason", "", inNetwork)
	b.w.end()
}

// totals closes a claim: sums and payment.
func (b *builder) totals(cents int, paid time.Time) {
	w := &b.w
	w.list("total")
	b.amounts(cents)
	w.endList()
	w.obj("payment")
	w.concept("type", "", claimPaid)
	w.date("date", paid)
	w.money("amount", shares(cents)[3].cents)
	w.end()
	b.clinical()
}

// settle is when the plan has dealt with a claim.
func (b *builder) settle(served time.Time) time.Time {
	day := served.AddDate(0, 0, 6)
	if day.After(b.today) {
		return b.today
	}
	return day
}

// professional is the claim for a visit.
func (b *builder) professional(m *member, s *setting, at time.Time, reason complaint) {
	w := &b.w
	doctor := &b.net.people[m.doctor]
	created := b.settle(at)
	b.claim(m, &claim{
		summary:  "Claim for a visit on " + at.Format(time.DateOnly),
		profiles: []string{carin + "C4BB-ExplanationOfBenefit-Professional-NonClinician" + carinEdit},
		typ:      code{tho + "claim-type", "professional", "Professional"},
		served:   at, created: created, provider: "Practitioner/" + doctor.id,
	})
	b.careTeam("Practitioner/"+doctor.id, rendering, &doctor.specialty)
	w.list("supportingInfo")
	b.received(1, created)
	b.info(2, "servicefacility", "Service Facility")
	w.ref("valueReference", "Organization/"+b.net.orgs[doctor.org].id)
	w.end()
	w.endList()
	b.claimDiagnosis(reason.icd)
	b.insurance(m)
	w.list("item")
	w.obj("")
	w.int("sequence", 1)
	w.list("careTeamSequence")
	w.int("", 1)
	w.endList()
	w.list("diagnosisSequence")
	w.int("", 1)
	w.endList()
	w.concept("productOrService", "Visit", code{cpt, s.cpt, ""})
	w.date("servicedDate", at)
	w.concept("locationCodeableConcept", "", code{"https://www.cms.gov/Medicare/Coding/place-of-service-codes/Place_of_Service_Code_Set", s.pos, ""})
	w.count("quantity", 1)
	w.money("net", s.cents)
	w.list("adjudication")
	b.amounts(s.cents)
	b.status()
	w.endList()
	w.end()
	w.endList()
	w.list("adjudication")
	b.networkStatus()
	w.endList()
	b.totals(s.cents, created)
}

// outpatient is the facility's claim for a procedure.
func (b *builder) outpatient(m *member, o *operation, at time.Time) {
	w := &b.w
	org := b.net.orgOf(m.doctor)
	created := b.settle(at)
	b.claim(m, &claim{
		summary:  "Claim for " + o.snomed.display,
		profiles: []string{carin + "C4BB-ExplanationOfBenefit-Outpatient-Institutional" + carinEdit},
		typ:      code{tho + "claim-type", "institutional", "Institutional"},
		subType:  &code{carinCS + "C4BBInstitutionalClaimSubType", "outpatient", "Outpatient"},
		served:   at, created: created, provider: "Organization/" + org.id,
	})
	b.careTeam("Practitioner/"+b.net.people[m.doctor].id, attending, nil)
	w.list("supportingInfo")
	b.received(1, created)
	b.info(2, "typeofbill", "Type of Bill")
	w.concept("code", "", code{"https://www.nubc.org/CodeSystem/TypeOfBill", "0131", ""})
	w.end()
	w.endList()
	b.claimDiagnosis(o.icd)
	b.insurance(m)
	w.list("item")
	w.obj("")
	w.int("sequence", 1)
	w.concept("revenue", "", code{"https://www.nubc.org/CodeSystem/RevenueCodes", o.revenue, ""})
	w.concept("productOrService", o.snomed.display, code{cpt, o.cpt, ""})
	w.date("servicedDate", at)
	w.count("quantity", 1)
	w.list("adjudication")
	b.amounts(o.cents)
	w.endList()
	w.end()
	w.endList()
	w.list("adjudication")
	b.status()
	b.networkStatus()
	w.endList()
	b.totals(o.cents, created)
}

// pharmacyClaim is the claim for a fill.
func (b *builder) pharmacyClaim(m *member, c *condition, at time.Time, n int) {
	w := &b.w
	d := &c.drug
	created := b.settle(at)
	b.claim(m, &claim{
		summary:  "Pharmacy claim of " + at.Format(time.DateOnly),
		profiles: []string{carin + "C4BB-ExplanationOfBenefit-Pharmacy" + carinEdit},
		typ:      code{tho + "claim-type", "pharmacy", "Pharmacy"},
		served:   at, created: created, provider: "Organization/" + b.net.orgOf(m.doctor).pharmacyID,
	})
	b.careTeam("Practitioner/"+b.net.people[m.doctor].id, prescribing, nil)
	w.list("supportingInfo")
	b.received(1, created)
	for i, q := range [...]struct {
		kind, display string
		value         int
	}{{"dayssupply", "Days Supply", d.days}, {"refillnum", "Refill Number", n % 4}, {"refillsauthorized", "Refills Authorized", 3}} {
		b.info(i+2, q.kind, q.display)
		w.count("valueQuantity", q.value)
		w.end()
	}
	b.info(5, "dawcode", "DAW (Dispense As Written) Code")
	w.concept("code", "", code{tho + "NCPDPDispensedAsWrittenOrProductSelectionCode", "0", ""})
	w.end()
	w.endList()
	b.insurance(m)
	w.list("item")
	w.obj("")
	w.int("sequence", 1)
	w.list("careTeamSequence")
	w.int("", 1)
	w.endList()
	w.concept("productOrService", d.rx.display, d.ndc)
	w.date("servicedDate", at)
	w.count("quantity", d.units)
	w.list("adjudication")
	b.amounts(d.cents)
	w.endList()
	w.end()
	w.endList()
	w.list("adjudication")
	b.status()
	b.networkStatus()
	w.endList()
	b.totals(d.cents, created)
}

// authorization is a prior authorization: one that runs, and for complete records one that changed long ago.
func (b *builder) authorization(m *member) {
	if !m.chance(4) {
		return
	}
	b.priorAuth(m, b.today.AddDate(0, -3, 0), b.today.AddDate(0, 5, 0), "A1")
	if m.complete() {
		b.priorAuth(m, b.today.AddDate(0, -20, 0), b.today.AddDate(0, -14, 0), "A1")
	}
	b.provenance(m, b.today, "x12278", "Organization/"+PayerID)
}

func (b *builder) priorAuth(m *member, from, until time.Time, action string) {
	if from.Before(m.enrolled) {
		from = m.enrolled
	}
	w := &b.w
	doctor := &b.net.people[m.doctor]
	event := from
	if until.Before(b.today) {
		event = until
	}
	b.begin("ExplanationOfBenefit", m.newID("ExplanationOfBenefit"), event, "Prior authorization of physical therapy",
		pdex+"pdex-priorauthorization|2.0.0", pdex+"pdex-priorauthorization")
	w.identifiers(identifier{system: "https://www.cedarmesa.example/ids/authorization", value: b.id})
	w.str("status", "active")
	w.concept("type", "", code{tho + "claim-type", "professional", "Professional"})
	w.str("use", "preauthorization")
	w.ref("patient", m.self())
	w.instant("created", from)
	w.ref("enterer", "Practitioner/"+doctor.id)
	w.ref("insurer", "Organization/"+PayerID)
	w.ref("provider", "Organization/"+b.net.orgs[doctor.org].id)
	w.ref("facility", "Location/"+b.net.orgs[doctor.org].locationID)
	w.str("outcome", "complete")
	w.list("preAuthRef")
	w.str("", fmt.Sprintf("PA-%s", b.id))
	w.endList()
	w.list("preAuthRefPeriod")
	w.days("", from, until)
	w.endList()
	b.careTeam("Practitioner/"+doctor.id, code{tho + "claimcareteamrole", "primary", "Primary provider"}, nil)
	w.list("diagnosis")
	w.obj("")
	w.int("sequence", 1)
	w.concept("diagnosisCodeableConcept", "", code{icd10, "M25.561", "Pain in right knee"})
	w.end()
	w.endList()
	b.insurance(m)
	w.list("item")
	w.obj("")
	w.int("sequence", 1)
	w.concept("category", "Physical therapy", code{"https://x12.org/codes/service-type-codes", "PT", ""})
	w.concept("productOrService", "Therapeutic exercises", code{cpt, "97110", ""})
	w.days("servicedPeriod", from, until)
	w.count("quantity", 12)
	w.list("adjudication")
	w.obj("")
	w.list("extension")
	w.obj("")
	w.list("extension")
	w.obj("")
	w.str("url", pdex+"extension-reviewActionCode")
	w.concept("valueCodeableConcept", "", code{"https://codesystem.x12.org/005010/306", action, ""})
	w.end()
	w.obj("")
	w.str("url", "number")
	w.str("valueString", "PA-"+b.id)
	w.end()
	w.endList()
	w.str("url", pdex+"extension-reviewAction")
	w.end()
	w.endList()
	w.concept("category", "", code{tho + "adjudication", "submitted", "Submitted Amount"})
	w.money("amount", 96000)
	w.end()
	w.endList()
	w.end()
	w.endList()
	w.list("total")
	w.obj("")
	w.concept("category", "", code{pdexCS + "PriorAuthorizationValueCodes", "eligible", "Eligible"})
	w.money("amount", 72000)
	w.end()
	w.endList()
	b.clinical()
}
