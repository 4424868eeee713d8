package synth

import "time"

const (
	absentExtension = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
	absentCodes     = tho + "data-absent-reason"
)

var (
	unknownValue = code{absentCodes, "unknown", "Unknown"}
	notPerformed = code{absentCodes, "not-performed", "Not Performed"}
)

// missing writes what a record says of data that are not there, as US Core has it: the reason in place of a value, or an extension
// where an element has to be and is not known. Each kind once, for one member: clients look for one.
func (b *builder) missing(m *member, at time.Time) {
	w := &b.w
	l := &metabolic.labs[0]
	b.absent(m, at, l.code.display+", not measured", laboratory, []code{l.code}, usCore+"us-core-observation-lab")
	w.concept("dataAbsentReason", "", notPerformed)
	b.clinical()

	b.absent(m, at, "Oxygen saturation, not measured", vitalSigns, []code{saturation.code, {loinc, "2708-6", "Oxygen saturation in Arterial blood"}}, usCore+"us-core-pulse-oximetry")
	w.concept("dataAbsentReason", "", unknownValue)
	w.list("component")
	w.obj("")
	w.concept("code", "", code{loinc, "3151-8", "Inhaled oxygen flow rate"})
	w.concept("dataAbsentReason", "", unknownValue)
	w.end()
	w.endList()
	b.clinical()

	o := &operations[2]
	b.begin("Procedure", m.newID("Undated-Procedure"), at, o.snomed.display+", at a time that is not known", usCore+"us-core-procedure")
	w.str("status", "completed")
	w.concept("code", o.snomed.display, o.snomed)
	w.ref("subject", m.self())
	w.obj("_performedDateTime")
	w.list("extension")
	w.obj("")
	w.str("url", absentExtension)
	w.str("valueCode", "unknown")
	w.end()
	w.endList()
	w.end()
	b.clinical()
	b.provenance(m, at, "capture", "Organization/"+b.net.orgOf(m.doctor).id)
}

// absent opens an observation that was not made.
func (b *builder) absent(m *member, at time.Time, summary string, category code, codes []code, profile string) {
	w := &b.w
	b.begin("Observation", m.newID("Missing-Observation"), at, summary, profile)
	w.str("status", "final")
	w.concepts("category", "", category)
	w.concept("code", "", codes...)
	w.ref("subject", m.self())
	w.instant("effectiveDateTime", at)
}
