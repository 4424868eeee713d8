package coverage_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"fhirwire/validators/coverage"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/guides"
	"fhirwire/validators/profile"
)

const (
	base   = "http://hl7.org/fhir/us/core/StructureDefinition/"
	absent = `{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]}`
)

var library = sync.OnceValues(func() (*profile.Set, error) {
	lib, err := guides.Load()
	if err != nil {
		return nil, err
	}
	return lib.Set("hl7.fhir.us.core#3.1.1", "hl7.fhir.us.core#6.1.0")
})

func set(t testing.TB) *profile.Set {
	t.Helper()
	s, err := library()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func add(t testing.TB, c *coverage.Collector, order int64, canonical, src string) {
	t.Helper()
	doc := fhirjson.Parse([]byte(src))
	if len(doc.Problems()) > 0 {
		t.Fatalf("%v in %s", doc.Problems(), src)
	}
	if !c.Add(coverage.Subject{ID: fmt.Sprint("r", order), Order: order}, doc.Root(), canonical) {
		t.Fatalf("%s does not count for %s", src, canonical)
	}
}

func only(t testing.TB, c *coverage.Collector) coverage.Profile {
	t.Helper()
	r := c.Report()
	if len(r) != 1 {
		t.Fatalf("%d profiles in the report", len(r))
	}
	return r[0]
}

// show writes the items that were seen, or with seen false those that are missing, without the resource type.
func show(items []coverage.Item, seen bool) string {
	var ids []string
	for i := range items {
		if (items[i].Seen != nil) == seen {
			_, id, _ := strings.Cut(items[i].ID, ".")
			ids = append(ids, id)
		}
	}
	return strings.Join(ids, " ")
}

// TestItems compares what is counted with the lists that the test kit for US Core 3.1.1 publishes.
func TestItems(t *testing.T) {
	for canonical, want := range map[string]string{
		base + "us-core-patient|3.1.1": "extension:race extension:ethnicity extension:birthsex identifier identifier.system identifier.value name name.family name.given " +
			"telecom telecom.system telecom.value telecom.use gender birthDate address address.line address.city address.state address.postalCode address.period " +
			"communication communication.language",
		base + "us-core-careplan|3.1.1":                          "text text.status status intent category category:AssessPlan subject",
		base + "us-core-goal|3.1.1":                              "lifecycleStatus description subject target target.due[x]:dueDate",
		base + "us-core-medicationrequest|3.1.1":                 "status intent reported[x] medication[x] subject encounter authoredOn requester dosageInstruction dosageInstruction.text",
		base + "us-core-condition-encounter-diagnosis|6.1.0":     "category category:us-core code subject encounter abatementDateTime recordedDate",
		base + "us-core-goal|6.1.0":                              "lifecycleStatus description subject startDate target target.dueDate",
		base + "us-core-observation-screening-assessment|6.1.0":  "status category category:survey category:screening-assessment code subject effectiveDateTime performer valueQuantity valueCodeableConcept valueString hasMember derivedFrom",
		"http://hl7.org/fhir/StructureDefinition/bodytemp|4.0.1": "status category category:VSCat category:VSCat.coding category:VSCat.coding.system category:VSCat.coding.code code subject effective[x] value[x] value[x]:valueQuantity value[x]:valueQuantity.value value[x]:valueQuantity.unit value[x]:valueQuantity.system value[x]:valueQuantity.code",
		"http://hl7.org/fhir/StructureDefinition/bp|4.0.1": "status category category:VSCat category:VSCat.coding category:VSCat.coding.system category:VSCat.coding.code code subject effective[x] component component.code component.value[x] " +
			"component:SystolicBP component:SystolicBP.code component:SystolicBP.value[x] component:SystolicBP.value[x].value component:SystolicBP.value[x].unit component:SystolicBP.value[x].system component:SystolicBP.value[x].code " +
			"component:DiastolicBP component:DiastolicBP.code component:DiastolicBP.value[x] component:DiastolicBP.value[x].value component:DiastolicBP.value[x].unit component:DiastolicBP.value[x].system component:DiastolicBP.value[x].code",
	} {
		c := coverage.New(set(t), set(t).Terms())
		p, ok := set(t).Profile(canonical)
		if !ok {
			t.Fatal(set(t).Missing(canonical))
		}
		add(t, c, 1, canonical, `{"resourceType":"`+p.Type+`"}`)
		got := only(t, c)
		if list := show(got.Items, false); list != want {
			t.Errorf("%s\ngot  %s\nwant %s", canonical, list, want)
		}
		for _, i := range got.Items {
			if i.Unclear != "" {
				t.Errorf("%s: %s: %s", canonical, i.ID, i.Unclear)
			}
		}
	}
}

// TestEverySliceIsToldApart holds over all profiles of both versions.
func TestEverySliceIsToldApart(t *testing.T) {
	c := coverage.New(set(t), set(t).Terms())
	n := 0
	for _, s := range set(t).Structures() {
		if s.Constraint && s.Kind == profile.Resource && strings.Contains(s.Package, "us.core") {
			add(t, c, 1, s.URL+"|"+s.Version, `{"resourceType":"`+s.Type+`"}`)
		}
	}
	for _, p := range c.Report() {
		n++
		for _, i := range p.Items {
			if i.Unclear != "" {
				t.Errorf("%s %s: %s", p.URL, i.ID, i.Unclear)
			}
		}
	}
	if n < 60 {
		t.Errorf("only %d profiles", n)
	}
}

func TestCounting(t *testing.T) {
	const (
		patient  = base + "us-core-patient|3.1.1"
		bp       = "http://hl7.org/fhir/StructureDefinition/bp|4.0.1"
		lab      = base + "us-core-observation-lab|3.1.1"
		device   = base + "us-core-implantable-device|3.1.1"
		org      = base + "us-core-organization|3.1.1"
		goal     = base + "us-core-goal|3.1.1"
		problems = base + "us-core-condition-problems-health-concerns|6.1.0"
		simple   = base + "us-core-simple-observation|6.1.0"
		smoking  = base + "us-core-smokingstatus|6.1.0"
	)
	systolic := `"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]}`
	for _, tt := range []struct{ name, profile, resource, want string }{
		{"values", patient, `"gender":"male","name":[{"family":"A"}]`, "name name.family gender"},
		{"in a later item", patient, `"name":[{"text":"x"},{"given":["B"]}]`, "name name.given"},
		{"absent reason", patient, `"_birthDate":` + absent, ""},
		{"absent reason beside null", patient, `"name":[{"given":[null],"_given":[` + absent + `]}]`, ""},
		{"complex with extensions only", patient, `"address":[` + absent + `],"telecom":[{"_system":` + absent + `}]`, ""},
		{"value and extension", patient, `"birthDate":"2000","_birthDate":` + absent, "birthDate"},
		{"false counts", org, `"active":false`, "active"},
		{"extension by url", patient, `"extension":[{"url":"` + base + `us-core-race"},{"url":"http://x.org/race"}]`, "extension:race"},
		{"slice by identifier system", org, `"identifier":[{"system":"http://hl7.org/fhir/sid/us-npi"}]`, "identifier identifier.system identifier:NPI"},
		{"outside of slices", org, `"identifier":[{"system":"http://x.org","value":"1"}]`, "identifier identifier.system identifier.value"},
		{"slice by pattern", lab, `"category":[{"coding":[{"system":"http://x.org","code":"a"},{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}]}]`, "category category:Laboratory"},
		{"other system", lab, `"category":[{"coding":[{"system":"http://x.org","code":"laboratory"}]}]`, "category"},
		{
			"slice by code, within it", bp, `"component":[{` + systolic + `,"valueQuantity":{"value":1.0,"unit":"mm","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}]`,
			"component component.code component.value[x] component:SystolicBP component:SystolicBP.code component:SystolicBP.value[x] component:SystolicBP.value[x].value component:SystolicBP.value[x].unit component:SystolicBP.value[x].system component:SystolicBP.value[x].code",
		},
		{
			"a fixed value that is another", bp, `"component":[{` + systolic + `,"valueQuantity":{"system":"http://x.org"}}]`,
			"component component.code component.value[x] component:SystolicBP component:SystolicBP.code component:SystolicBP.value[x]",
		},
		{"a value of another component", bp, `"component":[{"code":{"text":"x"},"valueQuantity":{"value":1}}]`, "component component.code component.value[x]"},
		{"choice", lab, `"valueString":"x"`, "value[x]"},
		{"slice of a choice", goal, `"target":[{"dueDate":"2020"}]`, "target target.due[x]:dueDate"},
		{"another type", goal, `"target":[{"dueDuration":{"value":1}}]`, "target"},
		{"alternative", device, `"udiCarrier":[{"carrierHRF":"x"}]`, "udiCarrier udiCarrier.carrierHRF"},
		{"slice by binding", problems, `"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-category","code":"problem-list-item"}]}]`, "category category:us-core"},
		{"one type of those marked", simple, `"valueString":"x","effectivePeriod":{"start":"2020"}`, "valueString"},
		{"another type that counts", smoking, `"effectivePeriod":{"start":"2020"}`, "effective[x]:effectiveDateTime"},
	} {
		p, ok := set(t).Profile(tt.profile)
		if !ok {
			t.Fatal(set(t).Missing(tt.profile))
		}
		c := coverage.New(set(t), set(t).Terms())
		add(t, c, 1, tt.profile, `{"resourceType":"`+p.Type+`",`+tt.resource+`}`)
		got := only(t, c)
		if list := show(got.Items, true); list != tt.want {
			t.Errorf("%s: seen %q, want %q", tt.name, list, tt.want)
		}
		if missing := show(got.Missing(), false); tt.name == "alternative" && strings.Contains(missing, "carrierAIDC") {
			t.Errorf("%s: missing %s", tt.name, missing)
		}
	}
}

func TestEvidence(t *testing.T) {
	c := coverage.New(set(t), set(t).Terms())
	const canonical = base + "us-core-medicationrequest|3.1.1"
	add(t, c, 7, canonical, "{\"resourceType\":\"MedicationRequest\",\n\"status\":\"active\",\n\"medicationCodeableConcept\":{\"text\":\"x\"}}")
	add(t, c, 3, canonical, "{\"resourceType\":\"MedicationRequest\",\n\n\"status\":\"active\",\"requester\":{\"reference\":\"http://x.org/fhir/Practitioner/1/_history/2\"}}")
	add(t, c, 9, canonical, `{"resourceType":"MedicationRequest","status":"draft","contained":[{"resourceType":"Medication","id":"m"}],"medicationReference":{"reference":"#m"},"requester":{"reference":"urn:uuid:1","type":"Organization"}}`)
	if c.Add(coverage.Subject{}, fhirjson.Parse([]byte(`{"resourceType":"Patient"}`)).Root(), canonical) {
		t.Error("a Patient counts for a profile on MedicationRequest")
	}
	if c.Add(coverage.Subject{}, fhirjson.Parse([]byte(`{"resourceType":"Patient"}`)).Root(), "http://hl7.org/fhir/StructureDefinition/Patient") {
		t.Error("a base type has something to count")
	}
	p := only(t, c)
	if p.Resources != 3 || p.Type != "MedicationRequest" || p.Package != "hl7.fhir.us.core#3.1.1" {
		t.Errorf("%+v", p)
	}
	at := func(id string) coverage.Item {
		i := slices.IndexFunc(p.Items, func(i coverage.Item) bool { return i.ID == "MedicationRequest."+id })
		if i < 0 {
			t.Fatal(id)
		}
		return p.Items[i]
	}
	if got := at("status").Seen; got.Subject != "r3" || got.Line != 3 || got.Pointer != "/status" {
		t.Errorf("status: %+v", got)
	}
	m := at("medication[x]")
	if m.Seen.Subject != "r7" || m.Kind != coverage.KindChoice || len(m.Types) != 3 || m.Types["CodeableConcept"].Subject != "r7" || m.Types["Reference"].Subject != "r9" || m.Types["Medication"].Pointer != "/medicationReference" {
		t.Errorf("medication: %+v", m)
	}
	if r := at("requester"); r.Types["Practitioner"].Subject != "r3" || r.Types["Organization"].Subject != "r9" {
		t.Errorf("requester: %+v", r)
	}
}

// TestMerge: parts counted apart, in any order, give the same report.
func TestMerge(t *testing.T) {
	resources := []string{
		`{"resourceType":"Patient","gender":"male","name":[{"family":"A"}]}`, `{"resourceType":"Patient","name":[{"given":["B"]}]}`,
		`{"resourceType":"Patient","birthDate":"2000"}`, `{"resourceType":"Patient","gender":"female"}`,
	}
	const canonical = base + "us-core-patient|3.1.1"
	whole := coverage.New(set(t), set(t).Terms())
	parts := []*coverage.Collector{coverage.New(set(t), set(t).Terms()), coverage.New(set(t), set(t).Terms())}
	for i, r := range resources {
		add(t, whole, int64(i), canonical, r)
		j := len(resources) - 1 - i
		add(t, parts[j%2], int64(j), canonical, resources[j])
	}
	parts[1].Merge(parts[0])
	a, errA := json.Marshal(whole.Report())
	b, errB := json.Marshal(parts[1].Report())
	if errA != nil || errB != nil || string(a) != string(b) {
		t.Errorf("one by one\n%s\nmerged\n%s", a, b)
	}
	// So does counting from several goroutines.
	c := coverage.New(set(t), set(t).Terms())
	var wg sync.WaitGroup
	for i, r := range resources {
		wg.Go(func() { add(t, c, int64(i), canonical, r) })
	}
	wg.Wait()
	if b, err := json.Marshal(c.Report()); err != nil || string(a) != string(b) {
		t.Errorf("one by one\n%s\nat once\n%s", a, b)
	}
}

func examples(t testing.TB) [][]byte {
	t.Helper()
	dir := os.Getenv("FHIRWIRE_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	src, err := os.ReadFile(filepath.Join(dir, "conformance", "ig-examples", "us-core-3.1.1.ndjson"))
	if err != nil {
		t.Skipf("the conformance material is absent: %v", err)
	}
	return slices.Collect(func(yield func([]byte) bool) {
		for line := range strings.Lines(string(src)) {
			if !yield([]byte(line)) {
				return
			}
		}
	})
}

// claims are the resource's profiles, in the line's own resource or one in it.
func claims(root *fhirjson.Node) []string {
	var out []string
	for _, p := range root.Member("meta").AppendElements(nil, "profile") {
		out = append(out, p.Text())
	}
	return out
}

// TestExamples: the guide's own examples show most of what it marks.
func TestExamples(t *testing.T) {
	c := coverage.New(set(t), set(t).Terms())
	for i, line := range examples(t) {
		root := exampleOf(fhirjson.Parse(line).Root())
		for _, p := range claims(root) {
			c.Add(coverage.Subject{ID: "example", Order: int64(i)}, root, p+"|3.1.1")
		}
	}
	items, seen := 0, 0
	for _, p := range c.Report() {
		items += len(p.Items)
		seen += len(p.Items) - len(p.Missing())
	}
	t.Logf("%d of %d items seen in %d profiles", seen, items, len(c.Report()))
	if items < 200 || seen*100 < items*80 {
		t.Errorf("%d of %d items seen", seen, items)
	}
}

// exampleOf is the resource of a line, which may wrap it.
func exampleOf(root *fhirjson.Node) *fhirjson.Node {
	if r := root.Member("resource"); r != nil && root.ResourceType() == "" {
		return r
	}
	return root
}

func BenchmarkAdd(b *testing.B) {
	c := coverage.New(set(b), set(b).Terms())
	const src = `{"resourceType":"Observation","status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}]}],` +
		`"code":{"coding":[{"system":"http://loinc.org","code":"85354-9"}]},"subject":{"reference":"Patient/1"},"effectiveDateTime":"2020-01-01","component":[` +
		`{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},"valueQuantity":{"value":1,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}},` +
		`{"code":{"coding":[{"system":"http://loinc.org","code":"8462-4"}]},"valueQuantity":{"value":1,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}]}`
	doc := fhirjson.Parse([]byte(src))
	b.ReportAllocs()
	b.SetBytes(int64(len(src)))
	i := int64(0)
	for b.Loop() {
		i++
		c.Add(coverage.Subject{ID: "r", Order: i}, doc.Root(), "http://hl7.org/fhir/StructureDefinition/bp|4.0.1")
	}
}

// BenchmarkAddFresh is a resource in which everything is new.
func BenchmarkAddFresh(b *testing.B) {
	c := coverage.New(set(b), set(b).Terms())
	doc := fhirjson.Parse([]byte(`{"resourceType":"Patient","gender":"male","birthDate":"2000","name":[{"family":"A","given":["B"]}],"address":[{"line":["1"],"city":"x"}]}`))
	b.ReportAllocs()
	i := int64(0)
	for b.Loop() {
		i--
		c.Add(coverage.Subject{ID: "r", Order: i}, doc.Root(), base+"us-core-patient|3.1.1")
	}
}

// FuzzAdd: no resource, however misshapen, upsets the counting, and evidence is a place in it.
func FuzzAdd(f *testing.F) {
	for _, seed := range []string{
		`{"resourceType":"Patient","name":{"family":["x"]},"identifier":7,"extension":[null,{"url":7}],"telecom":[[{}]]}`,
		`{"resourceType":"Observation","category":[{"coding":{"system":1}}],"component":[{"code":{"coding":[null]},"valueQuantity":[]}],"value":{},"valueX":1}`,
		`{"resourceType":"Observation","category":"x","code":[],"subject":{"reference":"#"},"contained":[{"id":""}]}`,
		`{"resourceType":"MedicationRequest","requester":{"reference":"///"},"medicationReference":{"reference":"#a"}}`,
	} {
		f.Add([]byte(seed))
	}
	profiles := map[string][]string{
		"Patient":           {base + "us-core-patient|3.1.1", base + "us-core-patient|6.1.0"},
		"Observation":       {"http://hl7.org/fhir/StructureDefinition/bp", base + "us-core-pulse-oximetry|6.1.0", base + "us-core-simple-observation|6.1.0"},
		"MedicationRequest": {base + "us-core-medicationrequest|6.1.0"},
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		root := fhirjson.Parse(src).Root()
		if root == nil {
			return
		}
		c := coverage.New(set(t), set(t).Terms())
		for _, p := range profiles[root.ResourceType()] {
			c.Add(coverage.Subject{ID: "x", Order: 1}, root, p)
		}
		for _, p := range c.Report() {
			for i := range p.Items {
				if e := p.Items[i].Seen; e != nil && root.At(e.Pointer) == nil {
					t.Errorf("%s: %s leads nowhere", p.Items[i].ID, e.Pointer)
				}
			}
		}
	})
}
