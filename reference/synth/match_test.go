package synth_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fhirwire/reference/membermatch"
	"fhirwire/reference/synth"
)

// payer answers the searches of the matcher from a generated data set.
type payer struct{ resources map[string][]synth.Resource }

func load(opt synth.Options) payer {
	p := payer{map[string][]synth.Resource{}}
	for r := range synth.New(opt).All() {
		switch r.Type {
		case "Patient", "Coverage", "Consent":
			p.resources[r.Type] = append(p.resources[r.Type], r)
		}
	}
	return p
}

func (p payer) Search(_ context.Context, resourceType, parameter, value string) ([][]byte, error) {
	want := map[string]string{
		"birthdate": `"birthDate":"` + value + `"`,
		"patient":   `{"reference":"Patient/` + value + `"}`,
	}[parameter]
	var found [][]byte
	for _, r := range p.resources[resourceType] {
		if strings.Contains(string(r.JSON), want) {
			found = append(found, r.JSON)
		}
	}
	return found, nil
}

func payerMatcher(p payer) *membermatch.Matcher {
	clock := func() time.Time { return time.Date(2026, 2, 2, 12, 0, 0, 0, time.UTC) }
	return membermatch.New(p, clock, membermatch.Options{
		Plan: []string{synth.PayerNPI, synth.CollectionPayerNPI}, PlanName: synth.PayerName,
		UnsegmentedTag:     synth.TagSystem + "|" + synth.TagUnsegmented,
		HonourPastConsents: []string{synth.CollectionMember},
	})
}

// ask makes a member match request from what a member would say of themselves.
func ask(family, given, gender, born, coverage, policy string) []byte {
	return []byte(`{"resourceType":"Parameters","parameter":[
{"name":"MemberPatient","resource":{"resourceType":"Patient","id":"m","identifier":[{"system":"urn:x","value":"1"}],"name":[{"family":"` + family + `","given":["` + given + `"]}],"gender":"` + gender + `","birthDate":"` + born + `"}},
{"name":"CoverageToMatch","resource":{"resourceType":"Coverage","status":"active",` + coverage + `,"beneficiary":{"reference":"Patient/m"},"payor":[{"display":"Cedar Mesa Mutual"}]}},
{"name":"Consent","resource":{"resourceType":"Consent","status":"active","patient":{"reference":"Patient/m"},
 "policy":[{"uri":"http://hl7.org/fhir/us/davinci-hrex/StructureDefinition-hrex-consent.html#` + policy + `"}],
 "provision":{"type":"permit","period":{"start":"2026-01-01","end":"2026-12-31"},
 "actor":[{"role":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/provenance-participant-type","code":"performer"}]},"reference":{"identifier":{"value":"` + synth.PayerNPI + `"}}},
 {"role":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ParticipationType","code":"IRCP"}]},"reference":{"identifier":{"value":"1000007314"}}}],
 "action":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentaction","code":"disclose"}]}]}}}]}`)
}

func TestEdgeMembersMatchAsPlanned(t *testing.T) {
	m := payerMatcher(load(synth.Options{Members: 40, LargeObservations: 1}))
	cases := []struct {
		name   string
		body   []byte
		status int
		has    string
	}{
		{"happy", ask("Brannigan-Reyes", "Odalys", "female", "1979-04-18", `"subscriberId":"CM-778812"`, "regular"), 200, `"cmu-90417"`},
		{"twins by the subscriber", ask("Castellane", "R", "male", "1988-11-02", `"subscriberId":"CM-640020"`, "regular"), 422, "multiple-matches"},
		{"one twin by the card", ask("Castellane", "Rowan", "male", "1988-11-02", `"identifier":[{"value":"CM-640020-01"}]`, "regular"), 200, `"cmu-pt-64021"`},
		{"nobody", ask("Vossberg", "Imre", "male", "1963-07-30", `"identifier":[{"value":"CM-000000-09"}]`, "regular"), 422, "not-found"},
		{"data not tagged", ask("Quillfeather", "Teodora", "female", "1991-01-25", `"subscriberId":"CM-515151"`, "regular"), 422, "business-rule"},
		{"data not tagged, all wanted", ask("Quillfeather", "Teodora", "female", "1991-01-25", `"subscriberId":"CM-515151"`, "sensitive"), 200, `"cmu-pt-51515"`},
		{"opted out", ask("Ashdown", "Lucian", "male", "1969-09-09", `"subscriberId":"CM-700010"`, "regular"), 422, "suppressed"},
		{"no data is still a member", ask("Pell", "Marguerite", "female", "1955-12-30", `"subscriberId":"CM-700020"`, "regular"), 200, `"cmu-pt-70002"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r, err := m.Match(t.Context(), c.body)
			if err != nil || r.Status != c.status || !strings.Contains(string(r.Body), c.has) {
				t.Errorf("%v %d %s", err, r.Status, r.Body)
			}
		})
	}
}

// The public PDex client collection's requests, as they are: the first has to match, the one without CoverageToMatch is refused.
func TestCollectionMatches(t *testing.T) {
	shared := os.Getenv("FHIRWIRE_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "shared")
	}
	raw, err := os.ReadFile(filepath.Join(shared, "postman", "pdex-payer-client.postman_collection.json"))
	if err != nil {
		t.Skip("the shared material is not here")
	}
	type item struct {
		Name    string
		Item    []item
		Request struct{ Body struct{ Raw string } }
	}
	var root item
	if err := json.Unmarshal(raw, &root); err != nil {
		t.Fatal(err)
	}
	m := payerMatcher(load(synth.Options{LargeObservations: 1}))
	var got []int
	var walk func(item)
	walk = func(i item) {
		if strings.Contains(i.Request.Body.Raw, "MemberPatient") {
			r, err := m.Match(t.Context(), []byte(i.Request.Body.Raw))
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, r.Status)
			if r.Status == 200 && !strings.Contains(string(r.Body), `"value":"99999"`) {
				t.Errorf("%s: %s", i.Name, r.Body)
			}
		}
		for _, c := range i.Item {
			walk(c)
		}
	}
	walk(root)
	if !slices.Equal(got, []int{200, 422}) {
		t.Errorf("statuses %v", got)
	}
}
