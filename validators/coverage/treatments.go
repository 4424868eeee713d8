package coverage

import (
	"slices"
	"strings"

	"fhirwire/validators/profile"
)

// treatment is what the US Core test kits count differently from what the profile marks: ids are without the resource type.
type treatment struct {
	drop  []string
	anyOf [][]string
	// anyType are slices of a choice for which every type of the choice counts.
	anyType []string
}

const usCore = "http://hl7.org/fhir/us/core/StructureDefinition/"

// treatments are by profile url|version. Source: the deviations that the kits for US Core 3.1.1 and 6.1.0 make. What the kits add for USCDI,
// which no profile marks, is not counted.
var treatments = map[string]treatment{
	usCore + "us-core-implantable-device|3.1.1": {anyOf: [][]string{{"udiCarrier.carrierAIDC", "udiCarrier.carrierHRF"}}},
	usCore + "us-core-documentreference|3.1.1": {
		drop: []string{"custodian"}, anyOf: [][]string{{"content.attachment.data", "content.attachment.url"}},
	},
	usCore + "us-core-condition-problems-health-concerns|6.1.0": {anyOf: [][]string{{"onsetDateTime", "extension:assertedDate"}}},
	usCore + "us-core-condition-encounter-diagnosis|6.1.0": {
		drop: []string{"extension:assertedDate", "onset[x]", "clinicalStatus", "verificationStatus"},
	},
	usCore + "us-core-documentreference|6.1.0":     {anyOf: [][]string{{"content.attachment.data", "content.attachment.url"}}},
	usCore + "us-core-smokingstatus|6.1.0":         {anyType: []string{"effective[x]:effectiveDateTime"}},
	usCore + "us-core-coverage|6.1.0":              {drop: []string{"class:group.name"}},
	usCore + "us-core-diagnosticreport-note|6.1.0": {drop: []string{"media", "media.link"}},
	usCore + "us-core-encounter|6.1.0": {
		anyOf: [][]string{{"reasonCode", "reasonReference"}, {"location.location", "serviceProvider"}},
	},
	usCore + "us-core-goal|6.1.0": {anyOf: [][]string{{"startDate", "target.dueDate"}}},
	usCore + "us-core-medicationrequest|6.1.0": {
		anyOf: [][]string{{"reportedBoolean", "reportedReference"}},
	},
	usCore + "us-core-patient|6.1.0":        {drop: []string{"extension:genderIdentity"}},
	usCore + "us-core-blood-pressure|6.1.0": {drop: []string{"dataAbsentReason", "value[x]"}},

	"http://hl7.org/fhir/StructureDefinition/bp|4.0.1": {drop: []string{"dataAbsentReason", "value[x]", "component.dataAbsentReason", "component:SystolicBP.dataAbsentReason", "component:DiastolicBP.dataAbsentReason"}},
}

const r4 = "http://hl7.org/fhir/StructureDefinition/"

func treatmentOf(p *profile.Profile) treatment {
	t := treatments[p.URL+"|"+p.Version]
	ours := strings.HasPrefix(p.URL, usCore) && (p.Version == "3.1.1" || p.Version == "6.1.0")
	if p.Type != "Observation" || !ours && !strings.HasPrefix(p.URL, r4) {
		return t
	}
	if t.drop == nil { // no Observation has to lack its value
		t.drop = []string{"dataAbsentReason", "component.dataAbsentReason", "component:FlowRate.dataAbsentReason", "component:Concentration.dataAbsentReason"}
	}
	if c := child(p.Root, "component"); c != nil && len(c.Slices) == 0 { // nor have components that the profile says nothing about
		t.drop = append(slices.Clip(t.drop), "component", "component.code", "component.value[x]")
	}
	return t
}
