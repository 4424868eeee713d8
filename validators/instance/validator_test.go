package instance_test

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/instance"
)

func TestReport(t *testing.T) {
	v := rulesValidator(t, instance.Options{ExtraProfiles: func(r *fhirjson.Node) []validators.ProfileChoice {
		if r.ResourceType() != "Coverage" {
			return nil
		}
		return []validators.ProfileChoice{{URL: "http://example.com/p/nowhere", Why: "channel setting"}}
	}})
	src := "\n" + strings.Replace(searchset, `"id":"1"}`, `"id":"1","aktive":true,
		"meta":{"profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"]}}`, 1)
	r := validate(t, v, []byte(src), "http://hl7.org/fhir/StructureDefinition/Bundle")
	if r.Checked != 4 || len(r.Resources) != 4 {
		t.Fatalf("%d checked, %d listed", r.Checked, len(r.Resources))
	}
	p := r.Resources[1]
	if p.ResourceType != "Patient" || p.ID != "1" || p.Expression != "Bundle.entry[0].resource" || p.Line != 3 || p.Errors != 4 {
		t.Errorf("row of the Patient: %+v", p)
	}
	var whys []string
	for _, c := range p.Profiles {
		whys = append(whys, c.URL+" "+c.Why)
	}
	if want := []string{
		"http://hl7.org/fhir/StructureDefinition/Patient|4.0.1 base type", "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient|6.1.0 claimed in meta.profile",
	}; !slices.Equal(whys, want) {
		t.Errorf("profiles %q, want %q", whys, want)
	}
	type brief struct{ id, expression, message, next string }
	var got []brief
	for i := range r.Issues {
		if is := &r.Issues[i]; is.IsError() {
			got = append(got, brief{is.MessageID, is.Expression, is.Message, is.DoNext})
			if is.Resource != 1 {
				t.Errorf("%s is of resource %d", is.MessageID, is.Resource)
			}
		}
	}
	if want := []brief{
		{"cardinality-min", "Bundle.entry[0].resource", "Patient.identifier is missing.", "Add identifier (Identifier)."},
		{"cardinality-min", "Bundle.entry[0].resource", "Patient.name is missing.", "Add name (HumanName)."},
		{"cardinality-min", "Bundle.entry[0].resource", "Patient.gender is missing.", "Add gender (code)."},
		{"element-unknown", "Bundle.entry[0].resource.aktive", "Patient.aktive is not an element of Patient.", "Did you mean active?"},
	}; !slices.Equal(got, want) {
		t.Errorf("errors\n%q, want\n%q", got, want)
	}
	if r.Summary.Errors != 4 || r.Summary.NotChecked != 1 || r.Summary.Headline != "Patient.identifier is missing." {
		t.Errorf("summary %+v", r.Summary)
	}
	if r.Context.Terminology != "offline" || r.Context.Rules != validators.RulesVersion || !slices.Contains(r.Context.Guides, "hl7.fhir.us.core#6.1.0") || !r.At.Equal(now()) {
		t.Errorf("context %+v at %v", r.Context, r.At)
	}
}

func TestCapCountsWhatItDrops(t *testing.T) {
	v := rulesValidator(t, instance.Options{MaxIssues: 3})
	r := validate(t, v, []byte(`{"resourceType":"Patient","a":1,"b":1,"c":1,"d":1,"e":1}`))
	if len(r.Issues) != 3 || r.IssuesCut != 2 || r.Summary.Errors != 5 || r.Resources[0].Errors != 5 {
		t.Errorf("%d issues, %d cut, %+v", len(r.Issues), r.IssuesCut, r.Summary)
	}
}

func TestPartOfADocument(t *testing.T) {
	v := rulesValidator(t, instance.Options{})
	doc := fhirjson.ParseAt([]byte(`{"resourceType":"Patient","aktive":true}`), validators.Position{Line: 6, Offset: 100}, fhirjson.Limits{})
	r, err := v.Validate(t.Context(), doc.Root())
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Issues) != 1 || r.Issues[0].Line != 7 || r.Issues[0].Offset != 126 || r.Issues[0].Column != 27 {
		t.Errorf("%+v", r.Issues)
	}
	if _, err := v.Validate(t.Context(), nil); err == nil {
		t.Error("no resource gave a report")
	}
}

func TestBestPractice(t *testing.T) {
	src := []byte(`{"resourceType":"Patient"}`)
	if r := validate(t, rulesValidator(t, instance.Options{}), src); len(r.Issues) != 0 {
		t.Errorf("%+v", r.Issues)
	}
	r := validate(t, rulesValidator(t, instance.Options{BestPractice: true}), src)
	if len(r.Issues) != 1 || r.Issues[0].Constraint != "dom-6" || r.Issues[0].Severity != validators.SeverityWarning {
		t.Errorf("%+v", r.Issues)
	}
}

func TestForbiddenExtensions(t *testing.T) {
	src := []byte(`{"resourceType":"Patient","extension":[{"url":"http://example.com/x","valueBoolean":true}]}`)
	r := validate(t, rulesValidator(t, instance.Options{ForbidUnknownExtensions: true}), src)
	if len(r.Issues) != 1 || r.Issues[0].MessageID != "extension-unknown" || !r.Issues[0].IsError() {
		t.Errorf("%+v", r.Issues)
	}
}

// TestConcurrent shares one Validator, cold, between goroutines: all reports are the same.
func TestConcurrent(t *testing.T) {
	v := rulesValidator(t, instance.Options{})
	srcs := []string{patient, observation, searchset, document, examples[10].in, goodPatient}
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		seen = map[int]validators.Summary{}
	)
	for g := range 8 {
		wg.Go(func() {
			for i := range 4 * len(srcs) {
				at := (g + i) % len(srcs)
				doc := fhirjson.Parse([]byte(srcs[at]))
				r, err := v.Validate(t.Context(), doc.Root())
				if err != nil {
					t.Error(err)
				}
				doc.Release()
				mu.Lock()
				if was, ok := seen[at]; ok && was != r.Summary {
					t.Errorf("resource %d: %+v, then %+v", at, was, r.Summary)
				}
				seen[at] = r.Summary
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// TestReportOutlivesItsInput: readers of NDJSON reuse their buffer, so nothing that is kept may point into it.
func TestReportOutlivesItsInput(t *testing.T) {
	v := rulesValidator(t, instance.Options{})
	for _, x := range examples {
		if x.rule == "string-long" {
			continue
		}
		src := []byte(strings.Replace(x.in, x.old, x.new, 1))
		doc := fhirjson.Parse(src)
		r, err := v.ValidateDocument(t.Context(), doc)
		if err != nil {
			t.Fatal(err)
		}
		before, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		doc.Release()
		for i := range src {
			src[i] = '?'
		}
		after, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if string(before) != string(after) {
			t.Errorf("%s: the report changed with its input:\n%s\n%s", x.rule, before, after)
		}
	}
	if r := validate(t, v, []byte(patient)); len(r.Issues) > 0 {
		t.Errorf("the validator changed with its inputs: %+v", r.Issues)
	}
}

// TestMeantType: where a resource has no type that there is, its profile says which it was to be.
func TestMeantType(t *testing.T) {
	v := validator(t, instance.Options{}, "hl7.fhir.us.core#6.1.0")
	const head = "http://hl7.org/fhir/us/core/StructureDefinition/"
	for name, c := range map[string]struct{ profiles, path string }{
		"claimed":  {`"` + head + `us-core-goal"`, "Goal"},
		"two":      {`"` + head + `us-core-goal","` + head + `us-core-patient"`, "Pationt"},
		"unknown":  {`"http://example.org/x"`, "Pationt"},
		"for none": {``, "Pationt"},
	} {
		r := validate(t, v, []byte(`{"resourceType":"Pationt","meta":{"profile":[`+c.profiles+`]}}`))
		if len(r.Issues) != 1 || r.Issues[0].MessageID != "resource-type-unknown" || r.Issues[0].Expression != c.path || r.Issues[0].Pointer != "" {
			t.Errorf("%s: %+v", name, r.Issues)
		}
	}
}
