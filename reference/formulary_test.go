package reference_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"fhirwire/reference"
	"fhirwire/reference/resources"
	"fhirwire/reference/synth"
	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/guides"
	"fhirwire/validators/instance"
)

const (
	usdfCS  = "http://hl7.org/fhir/us/davinci-drug-formulary/CodeSystem/usdf-"
	usdf    = "http://hl7.org/fhir/us/davinci-drug-formulary/StructureDefinition/usdf-"
	trial   = "-TEMPORARY-TRIAL-USE"
	drugPol = "http://terminology.hl7.org/CodeSystem/v3-ActCode|DRUGPOL"
	items   = "code=" + usdfCS + "InsuranceItemTypeCS|formulary-item"
	rxnorm  = "http://www.nlm.nih.gov/research/umls/rxnorm"
)

// query makes the values of a readable query string ready for a URL.
func query(path string) string {
	typ, q, _ := strings.Cut(path, "?")
	var out []string
	for p := range strings.SplitSeq(q, "&") {
		name, value, _ := strings.Cut(p, "=")
		out = append(out, name+"="+url.QueryEscape(value))
	}
	return typ + "?" + strings.Join(out, "&")
}

// The searches a client of the formulary makes: FORM-SP-01 to FORM-SP-27 and FORM-Q-01 to FORM-Q-14.
func TestFormularySearch(t *testing.T) {
	s := start(t, 0)
	plan, std, val := "InsurancePlan/"+synth.PlanID, "InsurancePlan/"+synth.FormularyIDs()[0], "InsurancePlan/"+synth.FormularyIDs()[1]
	formularies := []string{std, val}
	updated := func(ref string) string {
		return s.get("/" + ref).json["meta"].(map[string]any)["lastUpdated"].(string)
	}
	const nothing, some = "", "*"
	for _, tt := range []struct {
		ids, path string
		want      []string // the matches; some: at least one
	}{
		{"FORM-SP-01", "/InsurancePlan?_id=" + synth.PlanID, []string{plan}},
		{"FORM-SP-02 FORM-SP-36", "/InsurancePlan?_lastUpdated=" + updated(plan) + "&name=Cedar Mesa Silver", []string{plan}},
		{"FORM-SP-03", "/InsurancePlan?identifier=CMM-SILVER", []string{plan}},
		{"FORM-SP-03 FORM-Q-04", "/InsurancePlan?type=" + drugPol + "&identifier=https://www.cedarmesa.example/ids/formulary|CMM-F-STD", []string{std}},
		{"FORM-SP-04", "/InsurancePlan?status=active", append([]string{plan}, formularies...)},
		{"FORM-SP-04 FORM-SP-39", "/InsurancePlan?status=retired", nil},
		{"FORM-SP-05 FORM-SP-35", "/InsurancePlan?period=gt2025-12-31T00:00:00-05:00", append([]string{plan}, formularies...)},
		{"FORM-SP-05", "/InsurancePlan?period=eb2026-01-01", nil},
		{"FORM-SP-06 FORM-Q-01 FORM-SP-32", "/InsurancePlan?type=http://hl7.org/fhir/us/davinci-pdex-plan-net/CodeSystem/InsuranceProductTypeCS|", []string{plan}},
		{"FORM-SP-06 FORM-Q-03 FORM-DM-03", "/InsurancePlan?type=" + drugPol, formularies},
		{"FORM-SP-06 FORM-SP-32", "/InsurancePlan?type=DRUGPOL,commppo", append([]string{plan}, formularies...)},
		{"FORM-SP-07 FORM-SP-34", `/InsurancePlan?name=cedar mesa silver\, ppo`, []string{plan}},
		{"FORM-SP-07 FORM-SP-34", "/InsurancePlan?name:contains=silver", []string{plan}},
		{"FORM-SP-34", "/InsurancePlan?name=silver", nil},
		{"FORM-SP-08 FORM-Q-02", "/InsurancePlan?coverage-type=" + drugPol, []string{plan}},
		{"FORM-SP-09 FORM-Q-05", "/InsurancePlan?formulary-coverage=" + std, []string{plan}},
		{"FORM-SP-09 FORM-SP-33", "/InsurancePlan?formulary-coverage=" + strings.TrimPrefix(std, "InsurancePlan/"), []string{plan}},
		{"FORM-SP-09 FORM-SP-33", "/InsurancePlan?formulary-coverage=" + s.url + "/" + std, []string{plan}},
		{"FORM-SP-10 FORM-Q-06 FORM-SP-33", "/InsurancePlan?coverage-area=Location/area-verde-valley", []string{plan}},
		{"FORM-SP-10 FORM-SP-33", "/InsurancePlan?coverage-area=area-verde-valley", []string{plan}},
		{"FORM-SP-11", "/Basic?_id=item-STD-314076", []string{"Basic/item-STD-314076"}},
		{"FORM-SP-12", "/Basic?_lastUpdated=" + updated("Basic/item-STD-314076") + "&_id=item-STD-314076", []string{"Basic/item-STD-314076"}},
		{"FORM-SP-13 FORM-Q-07 FORM-DM-01", "/Basic?" + items + "&formulary=" + val + "&subject=MedicationKnowledge/drug-311354", []string{"Basic/item-VAL-311354"}},
		{"FORM-SP-14 FORM-SP-33", "/Basic?subject=drug-311354", []string{"Basic/item-STD-311354", "Basic/item-VAL-311354"}},
		{"FORM-SP-15", "/Basic?status=active&_id=item-STD-314076", []string{"Basic/item-STD-314076"}},
		{"FORM-SP-15", "/Basic?status=http://hl7.org/fhir/publication-status|active&_id=item-STD-314076", []string{"Basic/item-STD-314076"}},
		{"FORM-SP-16", "/Basic?period=le2026-06-01&_id=item-STD-314076", []string{"Basic/item-STD-314076"}},
		{"FORM-SP-17", "/Basic?formulary=" + std + "&_id=item-VAL-311354", nil},
		{"FORM-SP-18 FORM-Q-09 FORM-SP-30", "/Basic?" + items + "&formulary=" + std + "&pharmacy-benefit-type=" + usdfCS + "PharmacyBenefitTypeCS" + trial + "|3-month-in-mail&subject=drug-314076", []string{"Basic/item-STD-314076"}},
		{"FORM-SP-18", "/Basic?pharmacy-benefit-type=3-month-in-mail&_id=item-STD-104375", nil},
		{"FORM-SP-19 FORM-Q-08", "/Basic?" + items + "&formulary=" + std + "&drug-tier=" + usdfCS + "DrugTierCS" + trial + "|generic", []string{some}},
		{"FORM-Q-14", "/Basic?" + items + "&formulary=" + std + "&drug-tier=" + usdfCS + "DrugTierCS|generic", []string{some}},
		{"FORM-Q-10 FORM-SP-37", "/Basic?" + items + "&formulary=" + std + "&subject:MedicationKnowledge.drug-name=tylenol", []string{"Basic/item-STD-209459"}},
		{"FORM-Q-11 FORM-SP-37", "/Basic?" + items + "&formulary=" + std + "&subject:MedicationKnowledge.code=" + rxnorm + "|617310", []string{"Basic/item-STD-617310"}},
		{"FORM-Q-12", "/Basic?" + items + "&subject:MedicationKnowledge.code=" + rxnorm + "|617310", []string{"Basic/item-STD-617310", "Basic/item-VAL-617310"}},
		{"FORM-SP-20", "/MedicationKnowledge?_id=drug-617310", []string{"MedicationKnowledge/drug-617310"}},
		{"FORM-SP-21", "/MedicationKnowledge?_lastUpdated=" + updated("MedicationKnowledge/drug-617310") + "&_id=drug-617310", []string{"MedicationKnowledge/drug-617310"}},
		{"FORM-SP-22", "/MedicationKnowledge?status=active&_id=drug-617310", []string{"MedicationKnowledge/drug-617310"}},
		{"FORM-SP-23", "/MedicationKnowledge?code=" + rxnorm + "|1158285", []string{"MedicationKnowledge/drug-617310"}},
		{"FORM-SP-24", "/MedicationKnowledge?drug-name=Atorvastatin PILL", []string{"MedicationKnowledge/drug-617310"}},
		{"FORM-SP-24 FORM-Q-13", "/MedicationKnowledge?drug-name:contains=acetaminophen&drug-name:contains=percocet", []string{"MedicationKnowledge/drug-1049640"}},
		{"FORM-SP-24", "/MedicationKnowledge?drug-name:exact=atorvastatin Pill", []string{"MedicationKnowledge/drug-617310"}},
		{"FORM-SP-25", "/MedicationKnowledge?doseform=385101003", []string{"MedicationKnowledge/drug-284520"}},
		{"FORM-SP-26", "/Location?_id=area-verde-valley", []string{"Location/area-verde-valley"}},
		{"FORM-SP-27", "/Location?address=Cottonwood&_id=area-verde-valley", []string{"Location/area-verde-valley"}},
		{"FORM-SP-27", "/Location?address-city=cotton&address-state=AZ&address-postalcode=86326", []string{"Location/area-verde-valley"}},
	} {
		path := query(tt.path)
		r := s.get(path)
		got := r.ids("match")
		if r.status != 200 {
			t.Errorf("%s: %s: status %d %.200s", tt.ids, path, r.status, r.raw)
			continue
		}
		slices.Sort(got)
		want := slices.Sorted(slices.Values(tt.want))
		if !slices.Equal(got, want) && (!slices.Contains(want, some) || len(got) == 0) {
			t.Errorf("%s: %s: %v, want %v", tt.ids, path, got, want)
		}
		// FORM-SP-31: the same by POST
		typ, form, _ := strings.Cut(path, "?")
		posted := s.do("POST", typ+"/_search", form, "Content-Type", "application/x-www-form-urlencoded").ids("match")
		slices.Sort(posted)
		if !slices.Equal(posted, got) {
			t.Errorf("%s: by POST %v, by GET %v", path, posted, got)
		}
	}
	stale := query("/Basic?drug-tier=" + usdfCS + "DrugTierCS|generic")
	current := query("/Basic?drug-tier=" + usdfCS + "DrugTierCS" + trial + "|generic")
	if a, b := s.get(stale), s.get(current); !slices.Equal(a.ids("match"), b.ids("match")) || len(a.json["entry"].([]any)) != len(b.json["entry"].([]any))+1 || !strings.Contains(a.raw, "is now") { // FORM-Q-14
		t.Errorf("the older name of a code system: %.300s", a.raw)
	}
	for path, want := range map[string]int{ // FORM-ERR-01, FORM-ERR-04, FORM-ERR-05, FORM-ERR-06
		"/InsurancePlan?period=summer":  400,
		"/InsurancePlan/nope":           404,
		"/InsurancePlan?no-such-name=1": 200,
	} {
		if r := s.get(path); r.status != want || want != 200 && r.json["resourceType"] != "OperationOutcome" {
			t.Errorf("%s: %d %.100s", path, r.status, r.raw)
		}
	}
}

// FORM-INC-01 to FORM-INC-05, FORM-PG-01.
func TestFormularyIncludes(t *testing.T) {
	s := start(t, 0)
	std := "InsurancePlan/" + synth.FormularyIDs()[0]
	r := s.get(query("/InsurancePlan?coverage-type=" + drugPol + "&_include=InsurancePlan:formulary-coverage"))
	if got := r.ids("include"); len(got) != 2 || !slices.Contains(got, std) {
		t.Errorf("formulary-coverage includes %v", got)
	}
	r = s.get(query("/InsurancePlan?status=active&_include=InsurancePlan:formulary-coverage"))
	if got := r.ids("include"); len(got) != 0 {
		t.Errorf("what matches is not included again: %v", got) // FORM-INC-04
	}
	pages, seen := 0, map[string]bool{}
	for path := query("/Basic?" + items + "&formulary=" + std + "&_include=Basic:subject&_include=Basic:formulary&_count=10"); path != ""; pages++ {
		r := s.get(path)
		included := r.ids("include")
		if !slices.Contains(included, std) {
			t.Errorf("page %d without its formulary: %v", pages, included)
		}
		for _, e := range r.json["entry"].([]any) {
			res := e.(map[string]any)["resource"].(map[string]any)
			if res["resourceType"] != "Basic" {
				continue
			}
			seen[res["id"].(string)] = true
			if drug := res["subject"].(map[string]any)["reference"].(string); !slices.Contains(included, drug) {
				t.Errorf("page %d: %s is not with its item", pages, drug) // FORM-INC-05
			}
		}
		path = r.link("next")
	}
	if pages < 2 || len(seen) != 27 {
		t.Errorf("%d items on %d pages", len(seen), pages)
	}
}

// FORM-CAP-01 to FORM-CAP-11.
func TestFormularyCapability(t *testing.T) {
	s := start(t, 0)
	r := s.get("/metadata")
	if !slices.Contains(r.json["instantiates"].([]any), any("http://hl7.org/fhir/us/davinci-drug-formulary/CapabilityStatement/usdf-server")) || r.json["fhirVersion"] != "4.0.1" {
		t.Errorf("instantiates %v, FHIR %v", r.json["instantiates"], r.json["fhirVersion"])
	}
	want := map[string][]string{
		"InsurancePlan":       {usdf + "PayerInsurancePlan", usdf + "Formulary"},
		"Basic":               {usdf + "FormularyItem"},
		"MedicationKnowledge": {usdf + "FormularyDrug"},
		"Location":            {usdf + "InsurancePlanLocation"},
	}
	includes := []string{"InsurancePlan:formulary-coverage", "Basic:subject", "Basic:formulary"}
	for _, rest := range r.json["rest"].([]any)[0].(map[string]any)["resource"].([]any) {
		res := rest.(map[string]any)
		typ := res["type"].(string)
		for _, p := range want[typ] {
			if !slices.Contains(res["supportedProfile"].([]any), any(p)) {
				t.Errorf("%s does not support %s", typ, p)
			}
		}
		if want[typ] != nil {
			for _, code := range []string{"read", "search-type", "vread", "history-instance"} {
				if !slices.ContainsFunc(res["interaction"].([]any), func(i any) bool { return i.(map[string]any)["code"] == code }) {
					t.Errorf("%s without %s", typ, code)
				}
			}
			if !slices.Contains(res["referencePolicy"].([]any), any("resolves")) {
				t.Errorf("%s: reference policy %v", typ, res["referencePolicy"])
			}
		}
		includes = slices.DeleteFunc(includes, func(inc string) bool {
			list, _ := res["searchInclude"].([]any)
			return slices.Contains(list, any(inc))
		})
		delete(want, typ)
		if typ == "InsurancePlan" && !strings.Contains(string(mustJSON(t, res["operation"])), `"name":"export"`) {
			t.Error("InsurancePlan without $export")
		}
	}
	if len(want)+len(includes) > 0 {
		t.Errorf("missing %v %v", slices.Collect(maps.Keys(want)), includes)
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// exported gives what an export's files hold: type to id to resource.
func (s *server) exported(path string) map[string]map[string]map[string]any {
	s.t.Helper()
	manifest := s.export(path)
	if manifest.status != 200 {
		s.t.Fatalf("%s: %d %s", path, manifest.status, manifest.raw)
	}
	out := map[string]map[string]map[string]any{}
	for _, o := range manifest.json["output"].([]any) {
		entry := o.(map[string]any)
		typ := entry["type"].(string)
		if out[typ] == nil {
			out[typ] = map[string]map[string]any{}
		}
		file := s.get(entry["url"].(string))
		if file.header.Get("Content-Type") != "application/fhir+ndjson" { // FORM-BLK-54
			s.t.Errorf("%s: %s", entry["url"], file.header.Get("Content-Type"))
		}
		for line := range strings.Lines(file.raw) {
			r := number(s.t, []byte(line))
			if r["resourceType"] != typ {
				s.t.Fatalf("%s: %.100s", entry["url"], line)
			}
			out[typ][r["id"].(string)] = r
		}
	}
	return out
}

// FORM-BLK-02 to FORM-BLK-05, FORM-BLK-20 to FORM-BLK-22, FORM-BLK-30 to FORM-BLK-40.
func TestFormularyExport(t *testing.T) {
	s := start(t, 2)
	// a plan of another kind, an item of no formulary here and a drug of no item stay behind (FORM-BLK-06, FORM-BLK-21)
	for _, body := range []string{
		`{"resourceType":"InsurancePlan","id":"dental","type":[{"coding":[{"code":"dent"}]}],"name":"Dental"}`,
		`{"resourceType":"Basic","id":"note","code":{"coding":[{"code":"referral"}]}}`,
		`{"resourceType":"MedicationKnowledge","id":"orphan","status":"active"}`,
	} {
		var r struct{ ResourceType, ID string }
		if err := json.Unmarshal([]byte(body), &r); err != nil {
			t.Fatal(err)
		}
		if got := s.do("PUT", "/"+r.ResourceType+"/"+r.ID, body, "Content-Type", "application/fhir+json"); got.status != 201 {
			t.Fatal(got.status, got.raw)
		}
	}
	std, val := synth.FormularyIDs()[0], synth.FormularyIDs()[1]
	for _, tt := range []struct {
		path string
		want map[string]int
	}{
		{"/InsurancePlan/$export", map[string]int{"InsurancePlan": 3, "Location": 1, "Basic": 45, "MedicationKnowledge": 27}},
		{"/InsurancePlan/$export?graph=usdf-PayerInsurancePlanBulkDataGraphDefinition", map[string]int{"InsurancePlan": 3, "Location": 1, "Basic": 45, "MedicationKnowledge": 27}},
		{"/InsurancePlan/$export?graph=" + usdf + "FormularyBulkDataGraphDefinition", map[string]int{"InsurancePlan": 2, "Basic": 45, "MedicationKnowledge": 27}}, // FORM-BLK-04
		{"/InsurancePlan/" + synth.PlanID + "/$export", map[string]int{"InsurancePlan": 3, "Location": 1, "Basic": 45, "MedicationKnowledge": 27}},                // FORM-BLK-05
		{"/InsurancePlan/" + val + "/$export", map[string]int{"InsurancePlan": 1, "Basic": 18, "MedicationKnowledge": 18}},
		{"/InsurancePlan/" + std + "/$export?_type=MedicationKnowledge&_since=2000-01-01T00:00:00Z", map[string]int{"MedicationKnowledge": 27}}, // FORM-BLK-36, 37
		{"/InsurancePlan/$export?_since=2026-09-01T00:00:00Z", map[string]int{}},
		{"/InsurancePlan/$export?_type=Location", map[string]int{"Location": 1}},
	} {
		got := s.exported(tt.path)
		counts := map[string]int{}
		for typ, rs := range got {
			counts[typ] = len(rs)
		}
		if !maps.Equal(counts, tt.want) {
			t.Errorf("%s: %v, want %v", tt.path, counts, tt.want)
		}
		if strings.Contains(tt.path, "?_type") || strings.Contains(tt.path, "_since") {
			continue
		}
		for _, item := range got["Basic"] { // FORM-BLK-20
			var formulary string
			for _, e := range item["extension"].([]any) {
				if ref, ok := e.(map[string]any)["valueReference"].(map[string]any); ok {
					_, formulary, _ = strings.Cut(ref["reference"].(string), "/")
				}
			}
			_, drug, _ := strings.Cut(item["subject"].(map[string]any)["reference"].(string), "/")
			if got["InsurancePlan"][formulary] == nil || got["MedicationKnowledge"][drug] == nil {
				t.Errorf("%s: item %v refers to what is not there: %s, %s", tt.path, item["id"], formulary, drug)
			}
		}
	}
	for _, tt := range []struct {
		path, code string
		status     int
	}{
		{"/InsurancePlan/nope/$export", "not-found", 404},                           // FORM-BLK-40
		{"/InsurancePlan/$export?_outputFormat=text%2Fcsv", "not-supported", 400},   // FORM-BLK-35
		{"/InsurancePlan/$export?_type=Patient", "not-supported", 400},              // FORM-BLK-37
		{"/InsurancePlan/$export?graph=everything", "not-supported", 400},           // FORM-BLK-04
		{"/InsurancePlan/$export?_typeFilter=Basic%3Fcode=x", "not-supported", 400}, // FORM-BLK-38
		{"/Patient/$export?graph=usdf-FormularyBulkDataGraphDefinition", "not-supported", 400},
		{"/Basic/$export", "not-supported", 404}, // FORM-BLK-12
	} {
		r := s.get(tt.path)
		if r.status != tt.status || !strings.Contains(r.raw, `"`+tt.code+`"`) || r.json["resourceType"] != "OperationOutcome" { // FORM-BLK-34
			t.Errorf("%s: %d %s", tt.path, r.status, r.raw)
		}
	}
}

// The sample payer loads and comes out of an export as it went in, with only the server's part of meta new; its outdated code
// systems are findings, not errors that keep it out (FORM-GEN-01).
func TestSamplePayerSurvivesExport(t *testing.T) {
	dir := sample(t, "formulary-ri")
	s := start(t, 0)
	for _, typ := range []string{"InsurancePlan", "Basic", "MedicationKnowledge", "Location"} {
		for _, r := range s.get("/" + typ + "?_count=1000").ids("match") {
			s.do("DELETE", "/"+r, "")
		}
	}
	report, err := s.ref.Load(t.Context(), reference.Files([]string{dir}), resources.LoadOptions{})
	if err != nil || len(report.Rejects) > 0 {
		t.Fatal(err, report.Rejects)
	}
	in := map[string]map[string]map[string]any{}
	read := 0
	for r, err := range reference.Files([]string{dir}) {
		if err != nil {
			t.Fatal(err)
		}
		m := number(t, r.Body)
		typ := m["resourceType"].(string)
		if in[typ] == nil {
			in[typ] = map[string]map[string]any{}
		}
		in[typ][m["id"].(string)] = m
		read++
	}
	if n := report.Created + report.Updated; n != read || read < 2000 {
		t.Fatalf("%d loaded of %d", n, read)
	}
	compared := 0
	for typ, byID := range s.exported("/InsurancePlan/$export") {
		for id, r := range byID {
			want := in[typ][id]
			if want == nil {
				t.Errorf("%s/%s was not in the sample", typ, id)
				continue
			}
			var at [2]time.Time
			for i, m := range []map[string]any{r, want} {
				meta := m["meta"].(map[string]any)
				if at[i], err = time.Parse(time.RFC3339, meta["lastUpdated"].(string)); err != nil {
					t.Fatal(err)
				}
				delete(meta, "versionId")
				delete(meta, "lastUpdated")
			}
			if !at[0].Equal(at[1]) || !reflect.DeepEqual(r, want) {
				t.Errorf("%s/%s changed: %.300s", typ, id, mustJSON(t, r))
			}
			compared++
		}
	}
	if compared != read {
		t.Errorf("%d of %d came back", compared, read)
	}
	lib, err := guides.Load()
	if err != nil {
		t.Fatal(err)
	}
	set, err := lib.Set()
	if err != nil {
		t.Fatal(err)
	}
	src, err := os.ReadFile(filepath.Join(dir, "InsurancePlan.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	v := instance.New(set, set.Terms(), instance.Options{})
	for line := range bytes.Lines(src) {
		rep, err := v.ValidateDocument(t.Context(), fhirjson.Parse(bytes.TrimSpace(line)))
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range rep.Issues {
			if i.Severity.Rank() < validators.SeverityInformation.Rank() && strings.Contains(i.Message, "usdf-PharmacyBenefitTypeCS") {
				found++
			}
		}
	}
	if found == 0 {
		t.Error("no finding on the sample's outdated code systems")
	}
	t.Logf("%d resources as they were, %d findings on code systems in the plans", compared, found)
}

// number decodes with numbers as written.
func number(t testing.TB, body []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}
