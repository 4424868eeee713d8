package synth

import "time"

// measure is a vital sign with a quantity.
type measure struct {
	profile  string
	code     code
	unit     unit
	decimals int
}

var (
	height      = measure{"bodyheight", code{loinc, "8302-2", "Body height"}, cm, 1} //nolint:misspell // the name of the profile
	weight      = measure{"bodyweight", code{loinc, "29463-7", "Body weight"}, kg, 1}
	bmi         = measure{"bmi", code{loinc, "39156-5", "Body mass index (BMI) [Ratio]"}, kgm2, 1}
	pulse       = measure{"heartrate", code{loinc, "8867-4", "Heart rate"}, perMin, 0}
	breath      = measure{"resprate", code{loinc, "9279-1", "Respiratory rate"}, perMin, 0}
	temperature = measure{"bodytemp", code{loinc, "8310-5", "Body temperature"}, celsius, 1}
	saturation  = measure{"", code{loinc, "59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry"}, percent, 0}
	bmiForAge   = measure{"", code{loinc, "59576-9", "Body mass index (BMI) [Percentile] Per age and sex"}, percent, 0}
	weightLen   = measure{"", code{loinc, "77606-2", "Weight-for-length Per age and sex"}, percent, 0}
	headPct     = measure{"", code{loinc, "8289-1", "Head Occipital-frontal circumference Percentile"}, percent, 0}
)

func (b *builder) vitals(m *member, enc string, at time.Time, n int) {
	age := float64(m.age(at))
	tall, heavy := m.size(age)
	heavy += float64(n%3) - 1
	b.vital(m, enc, at, &height, tall)
	b.vital(m, enc, at, &weight, heavy)
	b.vital(m, enc, at, &bmi, heavy/(tall*tall/10000))
	b.vital(m, enc, at, &pulse, float64(62+m.rnd.IntN(25)))
	b.vital(m, enc, at, &breath, float64(12+m.rnd.IntN(7)))
	if n%2 == 0 {
		b.vital(m, enc, at, &temperature, 36.4+float64(m.rnd.IntN(9))/10)
		b.oximetry(m, enc, at)
	}
	b.pressure(m, enc, at)
	if age < 20 {
		b.percentile(m, enc, at, &bmiForAge, "pediatric-bmi-for-age")
	}
	if age < 3 {
		b.percentile(m, enc, at, &weightLen, "pediatric-weight-for-height")
		b.percentile(m, enc, at, &headPct, "head-occipital-frontal-circumference-percentile")
	}
}

// size is a plausible height in cm and weight in kg.
func (m *member) size(age float64) (tall, heavy float64) {
	off := float64(m.race%3) - 1
	switch {
	case age < 2:
		return 60 + 13*age + off, 6 + 3*age
	case age < 16:
		return 82 + 5.8*(age-1) + off, 11 + 3.1*(age-1)
	case m.female:
		return 163 + 3*off, 66 + 5*off
	default:
		return 176 + 3*off, 81 + 5*off
	}
}

// observe opens a vital sign up to and including effectiveDateTime.
func (b *builder) observe(m *member, enc string, at time.Time, summary string, category code, codes []code, profiles ...string) {
	w := &b.w
	kind := "Vitals"
	if category != vitalSigns {
		kind = "Observation"
	}
	b.begin("Observation", m.newID(kind), at, summary, profiles...)
	w.str("status", "final")
	w.concepts("category", "", category)
	w.concept("code", "", codes...)
	w.ref("subject", m.self())
	if enc != "" {
		w.ref("encounter", enc)
	}
	w.instant("effectiveDateTime", at)
}

func (b *builder) vital(m *member, enc string, at time.Time, v *measure, value float64) {
	b.observe(m, enc, at, v.code.display, vitalSigns, []code{v.code}, hl7+v.profile)
	b.w.quantity("valueQuantity", value, v.decimals, v.unit)
	b.clinical()
}

func (b *builder) percentile(m *member, enc string, at time.Time, v *measure, profile string) {
	b.observe(m, enc, at, v.code.display, vitalSigns, []code{v.code}, usCore+profile)
	b.w.quantity("valueQuantity", float64(15+m.rnd.IntN(70)), v.decimals, v.unit)
	b.clinical()
}

func (b *builder) oximetry(m *member, enc string, at time.Time) {
	w := &b.w
	b.observe(m, enc, at, "Oxygen saturation", vitalSigns,
		[]code{saturation.code, {loinc, "2708-6", "Oxygen saturation in Arterial blood"}}, usCore+"us-core-pulse-oximetry")
	w.quantity("valueQuantity", float64(95+m.rnd.IntN(5)), 0, percent)
	w.list("component")
	w.obj("")
	w.concept("code", "", code{loinc, "3150-0", "Inhaled oxygen concentration"})
	w.quantity("valueQuantity", 21, 0, percent)
	w.end()
	w.endList()
	b.clinical()
}

func (b *builder) pressure(m *member, enc string, at time.Time) {
	w := &b.w
	b.observe(m, enc, at, "Blood pressure", vitalSigns, []code{{loinc, "85354-9", "Blood pressure panel with all children optional"}}, hl7+"bp")
	systolic := 108 + m.rnd.IntN(34)
	w.list("component")
	w.obj("")
	w.concept("code", "", code{loinc, "8480-6", "Systolic blood pressure"})
	w.quantity("valueQuantity", float64(systolic), 0, mmHg)
	w.end()
	w.obj("")
	w.concept("code", "", code{loinc, "8462-4", "Diastolic blood pressure"})
	w.quantity("valueQuantity", float64(systolic*5/8), 0, mmHg)
	w.end()
	w.endList()
	b.clinical()
}

func (b *builder) smoker(m *member, at time.Time) {
	w := &b.w
	status := smoking[m.rnd.IntN(len(smoking))]
	if m.age(at) < 14 {
		status = smoking[0]
	}
	b.begin("Observation", m.newID("Smoking"), at, "Smoking status: "+status.display, usCore+"us-core-smokingstatus")
	w.str("status", "final")
	w.concepts("category", "", code{tho + "observation-category", "social-history", "Social History"})
	w.concept("code", "", code{loinc, "72166-2", "Tobacco smoking status"})
	w.ref("subject", m.self())
	w.instant("effectiveDateTime", at)
	w.instant("issued", at)
	w.concept("valueCodeableConcept", "", status)
	b.clinical()
}

// laboratory writes a panel: its results and the report over them.
func (b *builder) laboratory(m *member, ill *condition, enc string, at time.Time, n int) {
	p := routine[n%len(routine)]
	if ill != nil && n%2 == 0 {
		p = ill.panel
	}
	results := make([]string, 0, 8)
	for i := range p.labs {
		results = append(results, b.result(m, enc, at, &p.labs[i]))
	}
	w := &b.w
	b.begin("DiagnosticReport", m.newID("DiagnosticReport"), at, p.code.display, usCore+"us-core-diagnosticreport-lab")
	w.str("status", "final")
	w.concepts("category", "", code{tho + "v2-0074", "LAB", "Laboratory"})
	w.concept("code", "", p.code)
	w.ref("subject", m.self())
	w.ref("encounter", enc)
	w.instant("effectiveDateTime", at)
	w.instant("issued", at.Add(6*time.Hour))
	org := b.net.orgOf(m.doctor)
	w.refs("performer", "Organization/"+org.id, "Practitioner/"+b.net.people[m.doctor].id)
	w.refs("result", results...)
	b.clinical()
}

func (b *builder) result(m *member, enc string, at time.Time, l *lab) string {
	w := &b.w
	// Mostly inside the range, now and then a tenth of it outside.
	span := l.high - l.low
	value := l.low + span*float64(m.rnd.IntN(1150)-50)/1000
	b.observe(m, enc, at, l.code.display, laboratory, []code{l.code}, usCore+"us-core-observation-lab")
	w.instant("issued", at.Add(6*time.Hour))
	w.quantity("valueQuantity", value, l.decimals, l.unit)
	flag := code{tho + "v3-ObservationInterpretation", "N", "Normal"}
	switch {
	case value > l.high:
		flag = code{tho + "v3-ObservationInterpretation", "H", "High"}
	case value < l.low:
		flag = code{tho + "v3-ObservationInterpretation", "L", "Low"}
	}
	w.concepts("interpretation", "", flag)
	w.list("referenceRange")
	w.obj("")
	w.quantity("low", l.low, l.decimals, l.unit)
	w.quantity("high", l.high, l.decimals, l.unit)
	w.end()
	w.endList()
	return b.clinical()
}

// many gives the very large member a reading of a home glucose meter every few hours.
func (b *builder) many(m *member) {
	glucose := metabolic.labs[0]
	count := b.large
	at := b.today.Add(-time.Duration(count) * 4 * time.Hour)
	for i := range count {
		if b.stopped {
			return
		}
		b.result(m, "", at.Add(time.Duration(i)*4*time.Hour), &glucose)
		if i%200 == 199 {
			b.provenance(m, at, "capture", "Organization/"+b.net.orgOf(m.doctor).id)
		}
	}
	b.provenance(m, b.today, "capture", "Organization/"+b.net.orgOf(m.doctor).id)
}
