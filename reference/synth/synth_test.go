package synth_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"fhirwire/reference/synth"
	"fhirwire/validators/fhirjson"
)

func digest(g *synth.Generator) string {
	h := sha256.New()
	for r := range g.All() {
		h.Write([]byte(r.Type + "/" + r.ID + "\n"))
		h.Write(r.JSON)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func TestSameSeedSameBytes(t *testing.T) {
	g := synth.New(synth.Options{Seed: 3, Members: 12})
	first := digest(g)
	if again := digest(g); again != first {
		t.Error("a second pass over one generator differs")
	}
	if other := digest(synth.New(synth.Options{Seed: 3, Members: 12})); other != first {
		t.Error("the same seed gave different bytes")
	}
	if other := digest(synth.New(synth.Options{Seed: 4, Members: 12})); other == first {
		t.Error("another seed gave the same bytes")
	}
}

func TestMemberDoesNotDependOnHowMany(t *testing.T) {
	record := func(members int) string {
		var b strings.Builder
		for r := range synth.New(synth.Options{Members: members, LargeObservations: 1}).All() {
			if strings.HasPrefix(r.ID, "m000003") {
				b.Write(r.JSON)
			}
		}
		return b.String()
	}
	if small := record(5); small == "" || small != record(200) {
		t.Error("member 3 is another one when more members are made")
	}
}

// Every resource parses, has its type and id where Resource says, has a lastUpdated that is not in the future, and refers only
// to resources that came before it.
func TestReferencesResolveBackwards(t *testing.T) {
	today := time.Date(2026, 2, 2, 0, 0, 0, 0, time.UTC)
	seen := map[string]bool{}
	for r := range synth.New(synth.Options{Seed: 1, Members: 60, Today: today}).All() {
		if !json.Valid(r.JSON) {
			t.Fatalf("%s/%s is not JSON: %s", r.Type, r.ID, r.JSON)
		}
		doc := fhirjson.Parse(r.JSON)
		root := doc.Root()
		if len(doc.Problems()) > 0 {
			t.Fatalf("%s/%s: %v", r.Type, r.ID, doc.Problems())
		}
		if root.ResourceType() != r.Type || root.MemberText("id") != r.ID || len(r.ID) > 64 {
			t.Fatalf("labelled %s/%s, is %s/%s", r.Type, r.ID, root.ResourceType(), root.MemberText("id"))
		}
		updated, err := time.Parse(time.RFC3339, root.Member("meta").MemberText("lastUpdated"))
		if err != nil || updated.After(today) {
			t.Errorf("%s/%s: lastUpdated %v %v", r.Type, r.ID, updated, err)
		}
		references(root, func(ref string) {
			if !seen[ref] && ref != r.Type+"/"+r.ID {
				t.Errorf("%s/%s refers to %s, which did not come before it", r.Type, r.ID, ref)
			}
		})
		if seen[r.Type+"/"+r.ID] {
			t.Errorf("%s/%s came twice", r.Type, r.ID)
		}
		seen[r.Type+"/"+r.ID] = true
	}
}

func references(n *fhirjson.Node, found func(string)) {
	for c := n.First(); c != nil; c = c.Next() {
		if c.Key() == "reference" {
			found(c.Text())
		}
		references(c, found)
	}
}

func TestCountsPerType(t *testing.T) {
	counts := map[string]int{}
	total := 0
	for r := range synth.New(synth.Options{Seed: 1, Members: 100, LargeObservations: 100}).All() {
		counts[r.Type]++
		total++
	}
	for _, typ := range []string{
		"AllergyIntolerance", "Binary", "CarePlan", "CareTeam", "Condition", "Consent", "Coverage", "Device", "DiagnosticReport",
		"DocumentReference", "Encounter", "Endpoint", "ExplanationOfBenefit", "Goal", "Group", "Immunization", "Location", "Medication",
		"MedicationDispense", "MedicationRequest", "Observation", "Organization", "Patient", "Practitioner", "PractitionerRole",
		"Procedure", "Provenance",
	} {
		if counts[typ] == 0 {
			t.Errorf("no %s", typ)
		}
	}
	if want := 100 + len(synth.Fixed()); counts["Patient"] != want || counts["Coverage"] != want {
		t.Errorf("%d Patients and %d Coverages, want %d", counts["Patient"], counts["Coverage"], want)
	}
	if mean := total / counts["Patient"]; mean < 60 || mean > 220 {
		t.Errorf("%d resources per member", mean)
	}
	t.Log(total, slices.Sorted(maps.Keys(counts)), counts)
}

// The public client collections ask for these by id or find them by these values.
func TestWhatTheCollectionsAskFor(t *testing.T) {
	got := map[string][]byte{}
	for r := range synth.New(synth.Options{}).All() {
		got[r.Type+"/"+r.ID] = r.JSON
	}
	for _, id := range []string{
		"Patient/999", "Location/pdex-Location", "Organization/pdex-Organization", "Organization/pdex-Payor-Organization",
		"Practitioner/pdex-Practitioner", "PractitionerRole/pdex-PractitionerRole", "AllergyIntolerance/pdex-AllergyIntolerance",
		"CarePlan/pdex-CarePlan", "CareTeam/pdex-CareTeam", "Condition/pdex-Condition", "Device/pdex-Device",
		"Device/pdex-implantable-Device", "DiagnosticReport/pdex-DiagnosticReport", "DocumentReference/pdex-DocumentReference",
		"Encounter/pdex-Encounter", "ExplanationOfBenefit/pdex-ExplanationOfBenefit", "Goal/pdex-Goal", "Immunization/pdex-Immunization",
		"MedicationDispense/pdex-MedicationDispense", "MedicationRequest/pdex-MedicationRequest", "Observation/pdex-Observation",
		"Observation/pdex-Vitals", "Procedure/pdex-Procedure", "Coverage/pdex-Coverage", "Patient/e86e9cae-89a3-44bf-9033-32a2d56f5113",
	} {
		if got[id] == nil {
			t.Errorf("no %s", id)
		}
	}
	for id, facts := range map[string][]string{
		"Patient/999": {
			`"http://github.com/inferno-framework/target-payer/identifiers/member","value":"99999"`, `"family":"Dexter882"`,
			`"given":["Patty408"]`, `"gender":"female"`, `"birthDate":"1980-01-15"`,
		},
		"Coverage/pdex-Coverage":                       {`"value":"1039399818"`, `"subscriberId":"97531"`, `Organization/pdex-Payor-Organization`},
		"MedicationRequest/pdex-MedicationRequest":     {`"intent":"plan"`},
		"CareTeam/pdex-CareTeam":                       {`"status":"active"`},
		"CarePlan/pdex-CarePlan":                       {`"code":"assess-plan"`},
		"Patient/e86e9cae-89a3-44bf-9033-32a2d56f5113": {`"family":"Von`, `"gender":"male"`, `"birthDate":"1936-06-07"`},
		"Observation/usc-Vitals-2":                     {`"code":"29463-7"`},
	} {
		for _, fact := range facts {
			if !bytes.Contains(got[id], []byte(fact)) {
				t.Errorf("%s lacks %s: %s", id, fact, got[id])
			}
		}
	}
}

func TestEdgeMembers(t *testing.T) {
	of := map[string]map[string]int{}
	restricted := map[string]bool{}
	for r := range synth.New(synth.Options{LargeObservations: 300}).All() {
		for _, f := range synth.Fixed() {
			id := f.PatientID
			if r.ID == id || strings.HasPrefix(r.ID, id+"-") {
				if of[id] == nil {
					of[id] = map[string]int{}
				}
				of[id][r.Type]++
				restricted[id] = restricted[id] || bytes.Contains(r.JSON, []byte(`"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"`))
			}
		}
	}
	if n := len(of["pt-70002"]); n != 2 {
		t.Errorf("the member without data has %v", of["pt-70002"])
	}
	if of["pt-70003"]["Observation"] < 300 {
		t.Errorf("the very large member has %d observations", of["pt-70003"]["Observation"])
	}
	if of["pt-70001"]["Consent"] != 1 || of["pt-90417"]["Consent"] != 0 {
		t.Error("exactly the member who opted out has a Consent")
	}
	if !restricted["pt-90417"] || restricted["pt-51515"] {
		t.Error("pt-90417 has tagged sensitive data, pt-51515 untagged ones")
	}
}

func TestStopsWhenTold(t *testing.T) {
	for _, stop := range []int{1, 10, 70, 400} {
		n := 0
		for range synth.New(synth.Options{Members: 3}).All() {
			if n++; n == stop {
				break
			}
		}
		if n != stop {
			t.Errorf("stopped at %d, want %d", n, stop)
		}
	}
}

func BenchmarkAll(b *testing.B) {
	g := synth.New(synth.Options{Members: 50, LargeObservations: 100})
	b.ReportAllocs()
	var resources, size int
	for b.Loop() {
		resources, size = 0, 0
		for r := range g.All() {
			resources++
			size += len(r.JSON)
		}
	}
	b.SetBytes(int64(size))
	b.ReportMetric(float64(resources)*float64(b.N)/b.Elapsed().Seconds(), "resources/s")
}
