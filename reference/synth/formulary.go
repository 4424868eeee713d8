package synth

import "strconv"

// What the plan covers: one plan that anybody can buy, with two formularies.
const (
	// PlanID is the id of the InsurancePlan that is sold, FormularyIDs those of its drug lists.
	PlanID     = "plan-cedar-silver"
	planAreaID = "area-verde-valley"

	usdf   = "http://hl7.org/fhir/us/davinci-drug-formulary/StructureDefinition/usdf-"
	usdfCS = "http://hl7.org/fhir/us/davinci-drug-formulary/CodeSystem/usdf-"
	trial  = "-TEMPORARY-TRIAL-USE"
)

// FormularyIDs are the ids of the plan's drug lists.
func FormularyIDs() []string { return []string{formularies[0].id, formularies[1].id} }

type formulary struct {
	id, number, name string
	tiers            []tier
	every            int // 1: every drug; 3: two of three
}

// tier is what a drug costs at a pharmacy: a copay in cents or a percentage, or neither.
type tier struct {
	code           string
	copay, percent int
}

var formularies = []formulary{
	{"form-cedar-standard", "CMM-F-STD", "Cedar Mesa standard drug list", standardTiers, 1},
	{"form-cedar-value", "CMM-F-VAL", "Cedar Mesa value drug list", valueTiers, 3},
}

var (
	standardTiers = []tier{{"generic", 500, 0}, {"preferred-brand", 4000, 0}, {"non-preferred-brand", 0, 40}, {"zero-cost-share-preventative", 0, 0}}
	valueTiers    = []tier{{"preferred-generic", 0, 0}, {"brand", 6000, 0}, {"specialty", 0, 30}}
)

var pharmacies = []code{
	{usdfCS + "PharmacyBenefitTypeCS" + trial, "1-month-in-retail", ""},
	{usdfCS + "PharmacyBenefitTypeCS" + trial, "3-month-in-mail", ""},
}

var (
	drugPolicy = code{tho + "v3-ActCode", "DRUGPOL", "drug policy"}
	// drugPlan has its display because the profiles' pattern asks for it (FORM-PIP-16).
	drugPlan = code{tho + "insurance-plan-type", "drug", "Drug"}
	listItem = code{usdfCS + "InsuranceItemTypeCS", "formulary-item", "Formulary Item"}
)

var (
	tabletForm   = code{snomed, "385055001", "Tablet"}
	solutionForm = code{snomed, "385023001", "Oral solution"}
	ointmentForm = code{snomed, "385101003", "Ointment"}
	creamForm    = code{snomed, "385099005", "Cream"}
)

// covered is a drug: RxNorm's clinical or branded drug, its dose form group (FORM-DRG-07), and whether it is branded.
type covered struct {
	drug, group code
	form        code
	brand       bool
}

func rx(number, name string) code { return code{rxnorm, number, name} }

var (
	lisinopril = rx("1164690", "lisinopril Pill")
	withHCTZ   = rx("1162125", "hydrochlorothiazide / lisinopril Pill")
	zestril    = rx("1187284", "Zestril Pill")
	zestoretic = rx("1187278", "Zestoretic Pill")
	prinivil   = rx("1178276", "Prinivil Pill")
)

var drugList = []covered{
	{rx("311353", "lisinopril 2.5 MG Oral Tablet"), lisinopril, tabletForm, false},
	{rx("311354", "lisinopril 5 MG Oral Tablet"), lisinopril, tabletForm, false},
	{rx("314076", "lisinopril 10 MG Oral Tablet"), lisinopril, tabletForm, false},
	{rx("314077", "lisinopril 20 MG Oral Tablet"), lisinopril, tabletForm, false},
	{rx("205326", "lisinopril 30 MG Oral Tablet"), lisinopril, tabletForm, false},
	{rx("197884", "lisinopril 40 MG Oral Tablet"), lisinopril, tabletForm, false},
	{rx("1806884", "lisinopril 1 MG/ML Oral Solution"), rx("1806882", "lisinopril Oral Liquid Product"), solutionForm, false},
	{rx("197885", "hydrochlorothiazide 12.5 MG / lisinopril 10 MG Oral Tablet"), withHCTZ, tabletForm, false},
	{rx("197886", "hydrochlorothiazide 12.5 MG / lisinopril 20 MG Oral Tablet"), withHCTZ, tabletForm, false},
	{rx("197887", "hydrochlorothiazide 25 MG / lisinopril 20 MG Oral Tablet"), withHCTZ, tabletForm, false},
	{rx("104375", "lisinopril 2.5 MG Oral Tablet [Zestril]"), zestril, tabletForm, true},
	{rx("104376", "lisinopril 5 MG Oral Tablet [Zestril]"), zestril, tabletForm, true},
	{rx("104377", "lisinopril 10 MG Oral Tablet [Zestril]"), zestril, tabletForm, true},
	{rx("104378", "lisinopril 20 MG Oral Tablet [Zestril]"), zestril, tabletForm, true},
	{rx("213482", "lisinopril 30 MG Oral Tablet [Zestril]"), zestril, tabletForm, true},
	{rx("206771", "lisinopril 40 MG Oral Tablet [Zestril]"), zestril, tabletForm, true},
	{rx("206765", "lisinopril 10 MG Oral Tablet [Prinivil]"), prinivil, tabletForm, true},
	{rx("206766", "lisinopril 20 MG Oral Tablet [Prinivil]"), prinivil, tabletForm, true},
	{rx("823986", "hydrochlorothiazide 12.5 MG / lisinopril 10 MG Oral Tablet [Zestoretic]"), zestoretic, tabletForm, true},
	{rx("823982", "hydrochlorothiazide 12.5 MG / lisinopril 20 MG Oral Tablet [Zestoretic]"), zestoretic, tabletForm, true},
	{rx("823971", "hydrochlorothiazide 25 MG / lisinopril 20 MG Oral Tablet [Zestoretic]"), zestoretic, tabletForm, true},
	{rx("1806890", "lisinopril 1 MG/ML Oral Solution [Qbrelis]"), rx("1806888", "Qbrelis Oral Liquid Product"), solutionForm, true},
	{rx("617310", "atorvastatin 20 MG Oral Tablet"), rx("1158285", "atorvastatin Pill"), tabletForm, false},
	{rx("209459", "acetaminophen 500 MG Oral Tablet [Tylenol]"), rx("1187315", "Tylenol Pill"), tabletForm, true},
	{rx("1049640", "acetaminophen 325 MG / oxycodone hydrochloride 5 MG Oral Tablet [Percocet]"), rx("1185784", "Percocet Pill"), tabletForm, true},
	{rx("284520", "tacrolimus 0.001 MG/MG Topical Ointment [Protopic]"), rx("1182458", "Protopic Topical Product"), ointmentForm, true},
	{rx("1000091", "doxepin hydrochloride 50 MG/ML Topical Cream"), rx("1160770", "doxepin Topical Product"), creamForm, false},
}

// drugCoverage writes the plan, its area, its formularies, the drugs and what each formulary says of them.
func (b *builder) drugCoverage() {
	b.planArea()
	for i := range drugList {
		b.formularyDrug(&drugList[i])
	}
	for i := range formularies {
		b.formulary(&formularies[i])
	}
	b.plan()
	for i := range formularies {
		f := &formularies[i]
		for n := range drugList {
			if f.every == 1 || n%f.every != 0 {
				b.formularyItem(f, n)
			}
		}
	}
}

func (b *builder) planArea() {
	w := &b.w
	b.begin("Location", planAreaID, b.net.since, "Service area Verde Valley", usdf+"InsurancePlanLocation")
	w.str("name", "Verde Valley service area")
	w.obj("address")
	w.str("city", "Cottonwood")
	w.str("state", "AZ")
	w.str("postalCode", "86326")
	w.str("country", "US")
	w.end()
	b.done()
}

func (b *builder) formularyDrug(d *covered) {
	w := &b.w
	b.begin("MedicationKnowledge", "drug-"+d.drug.code, b.net.since, d.drug.display, usdf+"FormularyDrug")
	w.concept("code", "", d.drug, d.group)
	w.str("status", "active")
	w.concept("doseForm", "", d.form)
	b.done()
}

func (b *builder) year(k string) {
	w := &b.w
	w.obj(k)
	w.str("start", strconv.Itoa(b.today.Year())+"-01-01")
	w.str("end", strconv.Itoa(b.today.Year())+"-12-31")
	w.end()
}

func (b *builder) formulary(f *formulary) {
	w := &b.w
	b.begin("InsurancePlan", f.id, b.net.since, f.name, usdf+"Formulary")
	w.identifiers(identifier{system: "https://www.cedarmesa.example/ids/formulary", value: f.number})
	w.str("status", "active")
	w.concepts("type", "", drugPolicy)
	w.str("name", f.name)
	b.year("period")
	b.done()
}

func (b *builder) plan() {
	w := &b.w
	b.begin("InsurancePlan", PlanID, b.net.since, "Cedar Mesa Silver", usdf+"PayerInsurancePlan")
	w.identifiers(identifier{system: "https://www.cedarmesa.example/ids/plan", value: "CMM-SILVER"})
	w.str("status", "active")
	w.concepts("type", "", code{"http://hl7.org/fhir/us/davinci-pdex-plan-net/CodeSystem/InsuranceProductTypeCS", "commppo", "Commercial PPO"})
	w.str("name", "Cedar Mesa Silver, PPO")
	b.year("period")
	w.refs("coverageArea", "Location/"+planAreaID)
	w.list("contact")
	w.obj("")
	w.concept("purpose", "", code{tho + "contactentity-type", "PATINF", "Patient"})
	w.obj("name")
	w.str("text", PayerName+" drug list desk")
	w.end()
	w.list("telecom")
	w.telecom("url", "https://www.cedarmesa.example/drugs", "")
	w.endList()
	w.end()
	w.endList()
	w.list("coverage")
	w.obj("")
	w.list("extension")
	for i := range formularies {
		w.extensionRef("FormularyReference", "InsurancePlan/"+formularies[i].id)
	}
	w.endList()
	w.concept("type", "", drugPolicy)
	w.list("benefit")
	w.obj("")
	w.concept("type", "", drugPlan)
	w.end()
	w.endList()
	w.end()
	w.endList()
	w.list("plan")
	w.obj("")
	w.concept("type", "", drugPlan)
	w.list("specificCost")
	for i, p := range pharmacies {
		w.obj("")
		w.concept("category", "", p)
		w.list("benefit")
		for _, f := range formularies {
			for _, t := range f.tiers {
				w.benefit(t, i == 1)
			}
		}
		w.endList()
		w.end()
	}
	w.endList()
	w.end()
	w.endList()
	b.done()
}

// benefit writes a tier's copay and coinsurance; "not applicable" is said, not left out. Three months by mail cost two copays.
func (w *writer) benefit(t tier, mail bool) {
	option := func(c string) { w.concepts("qualifiers", "", code{usdfCS + "CostShareOptionCS" + trial, c, ""}) }
	costType := func(c string) { w.concept("type", "", code{usdfCS + "BenefitCostTypeCS" + trial, c, ""}) }
	w.obj("")
	w.concept("type", "", code{usdfCS + "DrugTierCS" + trial, t.code, ""})
	w.list("cost")
	w.obj("")
	costType("copay")
	switch {
	case t.copay > 0:
		option("after-deductible")
		cents := t.copay
		if mail {
			cents *= 2
		}
		w.obj("value")
		w.decimal("value", float64(cents)/100, 2)
		w.str("unit", "$")
		w.str("system", "urn:iso:std:iso:4217")
		w.str("code", "USD")
		w.end()
	case t.percent > 0:
		option("copay-not-applicable")
	default:
		option("no-charge")
	}
	w.end()
	w.obj("")
	costType("coinsurance")
	if t.percent > 0 {
		option("charge")
		w.quantity("value", float64(t.percent), 0, percent)
	} else {
		option("coinsurance-not-applicable")
	}
	w.end()
	w.endList()
	w.end()
}

func (w *writer) extension(name string, value func()) {
	w.obj("")
	w.str("url", usdf+name+"-extension")
	value()
	w.end()
}

func (w *writer) extensionRef(name, target string) {
	w.extension(name, func() { w.ref("valueReference", target) })
}

func (b *builder) formularyItem(f *formulary, n int) {
	d := &drugList[n]
	w := &b.w
	b.begin("Basic", "item-"+f.number[6:]+"-"+d.drug.code, b.net.since, d.drug.display+" in "+f.name, usdf+"FormularyItem")
	t := 0
	if d.brand {
		t = 1 + n%(len(f.tiers)-1)
	}
	flag := func(name string, v bool) { w.extension(name, func() { w.boolean("valueBoolean", v) }) }
	w.list("extension")
	w.extensionRef("FormularyReference", "InsurancePlan/"+f.id)
	w.extension("AvailabilityStatus", func() { w.str("valueCode", "active") })
	w.extension("AvailabilityPeriod", func() { b.year("valuePeriod") })
	for i, p := range pharmacies {
		if i == 0 || !d.brand {
			w.extension("PharmacyBenefitType", func() { w.concept("valueCodeableConcept", "", p) })
		}
	}
	w.extension("DrugTierID", func() {
		w.concept("valueCodeableConcept", "", code{usdfCS + "DrugTierCS" + trial, f.tiers[t].code, ""})
	})
	flag("PriorAuthorization", d.brand && n%2 == 0)
	flag("PriorAuthorizationNewStartsOnly", d.brand && n%4 == 0)
	flag("StepTherapyLimit", d.brand && n%3 == 0)
	flag("StepTherapyLimitNewStartsOnly", false)
	limited := n%5 == 0
	flag("QuantityLimit", limited)
	if limited {
		w.quantityLimit(30 * (1 + n%3))
	}
	if d.brand {
		w.extension("AdditionalCoverageInformation", func() { w.str("valueMarkdown", "A generic is covered without prior authorization.") })
	}
	w.endList()
	w.concept("code", "", listItem)
	w.ref("subject", "MedicationKnowledge/drug-"+d.drug.code)
	b.done()
}

// quantityLimit says how many units in 30 days, a day, and in a year.
func (w *writer) quantityLimit(units int) {
	part := func(url string, value func()) {
		w.obj("")
		w.str("url", url)
		value()
		w.end()
	}
	every30 := func(count int) {
		w.int("count", count)
		w.int("period", 30)
		w.str("periodUnit", "d")
	}
	w.extension("QuantityLimitDetail", func() {
		w.list("extension")
		part("Description", func() { w.str("valueString", "At most "+strconv.Itoa(units)+" units in 30 days") })
		part("Rolling", func() {
			w.obj("valueTiming")
			w.obj("repeat")
			every30(units)
			w.end()
			w.end()
		})
		part("MaximumDaily", func() { w.count("valueQuantity", units/30) })
		part("DaysSupply", func() {
			w.obj("valueTiming")
			w.obj("repeat")
			w.obj("boundsDuration")
			w.int("value", 365)
			w.str("unit", "day")
			w.str("system", ucum)
			w.str("code", "d")
			w.end()
			every30(12)
			w.end()
			w.end()
		})
		w.endList()
	})
}
