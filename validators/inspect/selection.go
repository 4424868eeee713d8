package inspect

import (
	"slices"
	"strings"

	"fhirwire/proxy"
	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/profile"
)

const (
	contentRule = "content rule of "
	coreURL     = "http://hl7.org/fhir/StructureDefinition/"
	usCoreURL   = "http://hl7.org/fhir/us/core/StructureDefinition/"
	usdfURL     = "http://hl7.org/fhir/us/davinci-drug-formulary/StructureDefinition/"
	hrexURL     = "http://hl7.org/fhir/us/davinci-hrex/StructureDefinition/"

	usCore    = "hl7.fhir.us.core"
	formulary = "hl7.fhir.us.davinci-drug-formulary"
)

// selector chooses profiles by what a resource contains (VAL-SEL-05 and its table) and by a channel's settings.
type selector struct {
	set *profile.Set
	// usCore is the version in force: that of the channel's guides, 3.1.1 where several are active.
	usCore   string
	settings map[string]string
}

func newSelector(set *profile.Set, o proxy.ChannelOptions) *selector {
	s := &selector{set: set, settings: o.Profiles}
	for _, p := range set.Packages() {
		name, version, _ := strings.Cut(p, "#")
		if name == usCore && (s.usCore == "" || version == "3.1.1") {
			s.usCore = version
		}
	}
	for _, g := range o.Guides {
		if name, version, ok := strings.Cut(g, "#"); ok && name == usCore {
			s.usCore = version
		}
	}
	return s
}

// era are the guides of this product's time: what an exchange means by a canonical without a version.
var era = [...]string{usCore + "#3.1.1", "hl7.fhir.us.davinci-pdex#2.0.0", "hl7.fhir.us.davinci-hrex#1.0.0"}

// prefer are the versions that canonicals without one mean on a channel (VAL-SEL-07): those of its guides, for others those of
// the era. A guide that the channel names in several versions is left open.
func prefer(o proxy.ChannelOptions) []string {
	named := map[string][]string{}
	for _, g := range o.Guides {
		g = strings.Replace(g, "@", "#", 1)
		name, _, _ := strings.Cut(g, "#")
		named[name] = append(named[name], g)
	}
	var out []string
	for _, list := range named {
		if len(list) == 1 {
			out = append(out, list[0])
		}
	}
	for _, g := range era {
		if name, _, _ := strings.Cut(g, "#"); named[name] == nil {
			out = append(out, g)
		}
	}
	slices.Sort(out)
	return out
}

// choose lists the profiles a resource is held against beyond its base type and claims.
func (s *selector) choose(res *fhirjson.Node) []validators.ProfileChoice {
	rt := res.ResourceType()
	var out []validators.ProfileChoice
	if url := s.settings[rt]; url != "" {
		out = append(out, validators.ProfileChoice{URL: url, Why: "channel setting"})
	}
	for i := range contentRules {
		c := &contentRules[i]
		if c.resource != rt || c.when != nil && !c.when(res) {
			continue
		}
		if url, guide := s.profileOf(c); url != "" && !claims(res, url) {
			out = append(out, validators.ProfileChoice{URL: url, Why: contentRule + guide})
		}
	}
	return out
}

func (s *selector) profileOf(c *selection) (url, guide string) {
	version, name := s.usCore, c.stu3
	if c.guide == formulary {
		version = "2.0.1"
	} else if version >= "6" {
		name = c.stu6
	}
	if name == "" || version == "" {
		return "", ""
	}
	url = name
	if !strings.HasPrefix(url, coreURL) {
		url += "|" + version
	}
	if _, ok := s.set.Profile(url); !ok {
		return "", ""
	}
	return url, c.guide + "#" + version
}

// claims reports whether the resource names the profile itself, in whatever version: a claim decides the version (VAL-SEL-07).
func claims(res *fhirjson.Node, url string) bool {
	url, _, _ = strings.Cut(url, "|")
	for p := res.Member("meta").Member("profile").FirstOrNil(); p != nil; p = p.Next() {
		if claimed, _, _ := strings.Cut(p.Text(), "|"); claimed == url {
			return true
		}
	}
	return false
}

// selection is one row of the table: a resource that looks like this belongs to that profile.
type selection struct {
	guide    string
	resource string
	when     func(*fhirjson.Node) bool // nil: every resource of the type
	stu3     string                    // profile in US Core 3.1.1, or in the only version of another guide
	stu6     string                    // profile in US Core 6.1.0
}

const (
	loinc       = "http://loinc.org"
	obsCategory = "http://terminology.hl7.org/CodeSystem/observation-category"
	condCat     = "http://terminology.hl7.org/CodeSystem/condition-category"
)

func byType(resource string) selection {
	name := usCoreURL + "us-core-" + strings.ToLower(resource)
	return selection{guide: usCore, resource: resource, stu3: name, stu6: name}
}

func byTypeFrom6(resource string) selection {
	s := byType(resource)
	s.stu3 = ""
	return s
}

func observation(stu3, stu6 string, codes ...string) selection {
	return selection{guide: usCore, resource: "Observation", when: coded("code", loinc, codes...), stu3: stu3, stu6: stu6}
}

func category(resource, system, code, stu3, stu6 string) selection {
	return selection{guide: usCore, resource: resource, when: coded("category", system, code), stu3: stu3, stu6: stu6}
}

func us(name string) string {
	if name == "" {
		return ""
	}
	return usCoreURL + name
}

// contentRules is the table. R4's own vital-sign profiles are not in it: the walker applies them by code.
var contentRules = slices.Concat(
	[]selection{
		observation(us("us-core-smokingstatus"), us("us-core-smokingstatus"), "72166-2"),
		observation(us("pediatric-bmi-for-age"), us("pediatric-bmi-for-age"), "59576-9"),
		observation(us("pediatric-weight-for-height"), us("pediatric-weight-for-height"), "77606-2"),
		observation(us("head-occipital-frontal-circumference-percentile"), us("head-occipital-frontal-circumference-percentile"), "8289-1"),
		observation(us("us-core-pulse-oximetry"), us("us-core-pulse-oximetry"), "59408-5", "2708-6"),
		observation("", us("us-core-body-height"), "8302-2"),
		observation("", us("us-core-body-temperature"), "8310-5"),
		observation("", us("us-core-blood-pressure"), "85354-9"),
		observation("", us("us-core-body-weight"), "29463-7"),
		observation("", us("us-core-heart-rate"), "8867-4"),
		observation("", us("us-core-respiratory-rate"), "9279-1"),
		observation("", us("us-core-bmi"), "39156-5"),
		observation("", us("us-core-head-circumference"), "9843-4"),
		category("Observation", obsCategory, "laboratory", us("us-core-observation-lab"), us("us-core-observation-lab")),
		category("Observation", obsCategory, "vital-signs", "", us("us-core-vital-signs")),
		{
			guide: usCore, resource: "DiagnosticReport", when: coded("category", "http://terminology.hl7.org/CodeSystem/v2-0074", "LAB"),
			stu3: us("us-core-diagnosticreport-lab"), stu6: us("us-core-diagnosticreport-lab"),
		},
		{
			guide: usCore, resource: "DiagnosticReport",
			when: func(n *fhirjson.Node) bool {
				return !coded("category", "http://terminology.hl7.org/CodeSystem/v2-0074", "LAB")(n)
			},
			stu3: us("us-core-diagnosticreport-note"), stu6: us("us-core-diagnosticreport-note"),
		},
		{guide: usCore, resource: "Condition", stu3: us("us-core-condition")},
		category("Condition", condCat, "encounter-diagnosis", "", us("us-core-condition-encounter-diagnosis")),
		category("Condition", condCat, "problem-list-item", "", us("us-core-condition-problems-health-concerns")),
		category("CarePlan", "http://hl7.org/fhir/us/core/CodeSystem/careplan-category", "assess-plan", us("us-core-careplan"), us("us-core-careplan")),
		{
			guide: usCore, resource: "Device", when: func(n *fhirjson.Node) bool { return n.Member("udiCarrier") != nil },
			stu3: us("us-core-implantable-device"), stu6: us("us-core-implantable-device"),
		},
		{
			guide: formulary, resource: "InsurancePlan", when: coded("type", "http://terminology.hl7.org/CodeSystem/v3-ActCode", "DRUGPOL"),
			stu3: usdfURL + "usdf-Formulary",
		},
		{
			guide: formulary, resource: "Basic", when: coded("code", "http://hl7.org/fhir/us/davinci-drug-formulary/CodeSystem/usdf-InsuranceItemTypeCS", "formulary-item"),
			stu3: usdfURL + "usdf-FormularyItem",
		},
	},
	mapEach(byType, "Provenance", "Patient", "AllergyIntolerance", "CareTeam", "DocumentReference", "Encounter", "Goal", "Immunization",
		"Medication", "MedicationRequest", "Organization", "Practitioner", "PractitionerRole", "Procedure", "Location"),
	mapEach(byTypeFrom6, "Coverage", "MedicationDispense", "QuestionnaireResponse", "RelatedPerson", "ServiceRequest", "Specimen"),
)

func mapEach(f func(string) selection, names ...string) []selection {
	out := make([]selection, len(names))
	for i, n := range names {
		out[i] = f(n)
	}
	return out
}

// coded tests whether element (a CodeableConcept or a list of them) has one of the codes in system, to the letter (VAL-SEL-09).
func coded(element, system string, codes ...string) func(*fhirjson.Node) bool {
	has := func(concept *fhirjson.Node) bool {
		for c := concept.Member("coding").FirstOrNil(); c != nil; c = c.Next() {
			if c.MemberText("system") == system && slices.Contains(codes, c.MemberText("code")) {
				return true
			}
		}
		return false
	}
	return func(res *fhirjson.Node) bool {
		m := res.Member(element)
		if m == nil || m.Kind() != fhirjson.Array {
			return m != nil && has(m)
		}
		for c := m.First(); c != nil; c = c.Next() {
			if has(c) {
				return true
			}
		}
		return false
	}
}

// operationProfiles are the profiles an operation's definition gives its Parameters.
func operationProfiles(h half) []validators.ProfileChoice {
	if h.ex.Interaction.Operation != "$member-match" {
		return nil
	}
	switch {
	case h.part == validators.PartRequestBody:
		return []validators.ProfileChoice{{URL: hrexURL + "hrex-parameters-member-match-in", Why: "input of $member-match"}}
	case h.ex.Status() == 200:
		return []validators.ProfileChoice{{URL: hrexURL + "hrex-parameters-member-match-out", Why: "output of $member-match"}}
	default:
		return nil
	}
}

func urls(choices []validators.ProfileChoice) []string {
	out := make([]string, len(choices))
	for i, c := range choices {
		out[i] = c.URL
	}
	return out
}
