package synth_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"fhirwire/reference/synth"
	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/guides"
	"fhirwire/validators/instance"
	"fhirwire/validators/profile"
)

// store resolves references among the generated resources.
type store map[string]*fhirjson.Node

func (s store) Resolve(_ context.Context, _ *fhirjson.Node, reference string) (*fhirjson.Node, error) {
	return s[reference], nil
}

// accepted are the warnings that a profile itself brings about: it asks for a code that an extensible value set lacks.
var accepted = map[string]string{
	"binding-extensible identifier[0].type":                  "MB, NPI and uc are asked for by HRex, ATR and CARIN BB, and are not in R4's identifier types",
	"binding-extensible identifier[1].type":                  "as above; UMB is HRex's",
	"binding-extensible agent[0].type":                       "US Core's transmitter",
	"binding-extensible Observation.code":                    "US Core's percentiles are no R4 vital signs",
	"binding-extensible component[0].code":                   "US Core's inhaled oxygen concentration",
	"binding-extensible DocumentReference.content[0].format": "R4 names a value set where the code system belongs",
}

func acceptable(is *validators.Issue) bool {
	for key := range accepted {
		id, path, _ := strings.Cut(key, " ")
		if is.MessageID == id && strings.HasSuffix(is.Expression, path) {
			return true
		}
	}
	return false
}

func stu2(t *testing.T) *profile.Set {
	t.Helper()
	library, err := guides.Load()
	if err != nil {
		t.Fatal(err)
	}
	set, err := library.Set("hl7.fhir.us.core#3.1.1", "hl7.fhir.us.davinci-hrex#1.0.0", "hl7.fhir.us.davinci-pdex#2.0.0",
		"hl7.fhir.us.carin-bb#2.0.0", "hl7.fhir.us.davinci-atr#2.1.0", "hl7.fhir.us.davinci-drug-formulary#2.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func validator(set *profile.Set, r instance.Resolver) *instance.Validator {
	return instance.New(set, set.Terms(), instance.Options{
		Resolver: r, Now: func() time.Time { return time.Date(2026, 2, 2, 0, 0, 0, 0, time.UTC) },
	})
}

// USC-MD-01, USC-MD-08: every resource is valid against the profiles it claims, and so are the targets of its references against what is asked of them.
func TestEverythingIsValid(t *testing.T) {
	resolver := store{}
	v := validator(stu2(t), resolver)
	unchecked := map[string]int{}
	count, failed := 0, 0
	for r := range synth.New(synth.Options{Seed: 5, Members: 30, LargeObservations: 20}).All() {
		root := fhirjson.Parse(r.JSON).Root()
		resolver[r.Type+"/"+r.ID] = root
		report, err := v.Validate(t.Context(), root)
		if err != nil {
			t.Fatal(err)
		}
		if len(report.Resources) == 0 || report.Checked == 0 {
			t.Fatalf("%s/%s was not validated", r.Type, r.ID)
		}
		count++
		for i := range report.Issues {
			is := &report.Issues[i]
			switch {
			case is.NotChecked:
				unchecked[is.MessageID+" "+r.Type+" "+short(is.Profile)]++
			case is.Severity.Rank() > validators.SeverityWarning.Rank(), acceptable(is):
			default:
				if failed++; failed < 40 {
					t.Errorf("%s/%s: %s %s %s %s %s: %s", r.Type, r.ID, is.Severity, is.MessageID, is.Constraint, is.Expression, short(is.Profile), is.Message)
				}
			}
		}
	}
	t.Logf("%d resources, %d findings", count, failed)
	for _, m := range slices.Sorted(maps.Keys(unchecked)) {
		t.Logf("not checked: %5d %s", unchecked[m], m)
	}
}

// absent are must-support elements that no synthetic resource has, with the reason.
var absent = map[string]string{
	"component":                            "these vital signs have one value",
	"component.code":                       "these vital signs have one value",
	"component.value*":                     "these vital signs have one value",
	"bp value*":                            "a blood pressure has components only",
	"pdex-priorauthorization adjudication": "two slices of the published profile cannot be told apart there",
	"pdex-priorauthorization adjudication.category": "as above",
	"dataAbsentReason": "a result and an oximetry have none of their value (TestMissingData), vital signs all have theirs",
}

// Every must-support element of US Core 3.1.1, HRex, PDex and Formulary that is no slice has a value in some resource: P2P-DAT-14,
// FORM-GEN-03, DATA-13.
func TestMustSupportIsCovered(t *testing.T) {
	set := stu2(t)
	claims := map[string][]*fhirjson.Node{}
	for r := range synth.New(synth.Options{LargeObservations: 1}).All() {
		root := fhirjson.Parse(r.JSON).Root()
		for _, p := range root.Member("meta").AppendElements(nil, "profile") {
			claims[p.Text()] = append(claims[p.Text()], root)
		}
	}
	covered := 0
	for _, url := range slices.Sorted(maps.Keys(claims)) {
		if strings.Contains(url, "carin-bb") || strings.Contains(url, "davinci-atr") || strings.Contains(url, "|") {
			continue
		}
		p, ok := set.Profile(url)
		if !ok {
			t.Errorf("no profile %s", url)
			continue
		}
		mustSupport(p.Root, nil, func(path []string) {
			name := strings.Join(path, ".")
			switch has := slices.ContainsFunc(claims[url], func(n *fhirjson.Node) bool { return present(n, path) }); {
			case has:
				covered++
			default:
				for a := range absent {
					if strings.HasSuffix(short(url)+" "+name, a) {
						return
					}
				}
				t.Errorf("%s: nothing at %s", short(url), name)
			}
		})
	}
	if covered < 100 {
		t.Errorf("only %d elements were looked for", covered)
	}
	t.Logf("%d must-support elements", covered)
}

func mustSupport(e *profile.Element, path []string, found func([]string)) {
	for _, c := range e.Children {
		step := c.Name
		if c.Choice {
			step += "*"
		}
		at := append(slices.Clone(path), step)
		if c.MustSupport && c.Max != 0 {
			found(at)
		}
		mustSupport(c, at, found)
	}
}

// present follows a path; a step that ends in * is a choice.
func present(n *fhirjson.Node, path []string) bool {
	if len(path) == 0 {
		return true
	}
	stem, choice := strings.CutSuffix(path[0], "*")
	for c := n.First(); c != nil; c = c.Next() {
		if c.Key() != stem && (!choice || !strings.HasPrefix(c.Key(), stem)) {
			continue
		}
		if c.Kind() != fhirjson.Array {
			if present(c, path[1:]) {
				return true
			}
			continue
		}
		for i := c.First(); i != nil; i = i.Next() {
			if present(i, path[1:]) {
				return true
			}
		}
	}
	return false
}

// What a match answers is valid for HRex 1.0.0, and its refusals are valid outcomes.
func TestMatchAnswersAreValid(t *testing.T) {
	v := validator(stu2(t), nil)
	m := payerMatcher(load(synth.Options{LargeObservations: 1}))
	for name, c := range map[string]struct{ subscriber, profile string }{
		"match":    {"CM-778812", "http://hl7.org/fhir/us/davinci-hrex/StructureDefinition/hrex-parameters-member-match-out"},
		"no match": {"CM-000000", "http://hl7.org/fhir/StructureDefinition/OperationOutcome"},
	} {
		r, err := m.Match(t.Context(), ask("Brannigan-Reyes", "Odalys", "female", "1979-04-18", `"subscriberId":"`+c.subscriber+`"`, "regular"))
		if err != nil {
			t.Fatal(err)
		}
		report, err := v.Validate(t.Context(), fhirjson.Parse(r.Body).Root(), c.profile)
		if err != nil || report.Checked == 0 {
			t.Fatal(err, report.Checked)
		}
		for i := range report.Issues {
			if is := &report.Issues[i]; is.IsError() || is.NotChecked && !strings.Contains(is.MessageID, "code") {
				t.Errorf("%s: %s %s %s\n%s", name, is.MessageID, is.Expression, is.Message, r.Body)
			}
		}
	}
}

func short(canonical string) string { return canonical[strings.LastIndex(canonical, "/")+1:] }

// The profiles of the member health history, each with a resource that claims it and is valid (TestEverythingIsValid): P2P-DAT-101 to
// P2P-DAT-108, P2P-DAT-110, DATA-01, DATA-05.
func TestHealthHistoryProfiles(t *testing.T) {
	claimed := map[string]bool{}
	for r := range synth.New(synth.Options{Members: 30, LargeObservations: 1}).All() {
		for _, p := range fhirjson.Parse(r.JSON).Root().Member("meta").AppendElements(nil, "profile") {
			url, _, _ := strings.Cut(p.Text(), "|")
			claimed[short(url)] = true
		}
	}
	for _, p := range []string{
		"us-core-allergyintolerance", "us-core-careplan", "us-core-careteam", "us-core-condition", "us-core-encounter", "us-core-goal",
		"us-core-immunization", "us-core-location", "us-core-medication", "us-core-medicationrequest", "us-core-organization", "us-core-patient",
		"us-core-practitioner", "us-core-practitionerrole", "us-core-procedure", "us-core-implantable-device", "pdex-device",
		"us-core-diagnosticreport-lab", "us-core-diagnosticreport-note", "us-core-documentreference", "pdex-medicationdispense",
		"us-core-observation-lab", "us-core-smokingstatus", "us-core-pulse-oximetry", "pediatric-bmi-for-age", "pediatric-weight-for-height",
		"head-occipital-frontal-circumference-percentile", "bp", "bodyweight", "heartrate", "hrex-coverage", "pdex-priorauthorization",
		"pdex-provenance", "usdf-PayerInsurancePlan", "usdf-Formulary", "usdf-FormularyItem", "usdf-FormularyDrug", "usdf-InsurancePlanLocation",
	} {
		if !claimed[p] {
			t.Errorf("no resource claims %s", p)
		}
	}
	t.Log(slices.Sorted(maps.Keys(claimed)))
}
