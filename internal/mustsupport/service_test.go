package mustsupport_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"testing"

	"fhirwire/internal/mustsupport"
	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/validators"
	"fhirwire/validators/guides"
	"fhirwire/web/api/apitest"
)

const patientProfile = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"

// counting counts the exchanges that are read whole.
type counting struct {
	*apitest.Store
	read int
}

func (c *counting) ExchangesByID(ctx context.Context, ids []string) ([]*proxy.Exchange, error) {
	c.read += len(ids)
	return c.Store.ExchangesByID(ctx, ids)
}

func service(t *testing.T) (*counting, *mustsupport.Service) {
	t.Helper()
	lib, err := guides.Load()
	if err != nil {
		t.Fatal(err)
	}
	set, err := lib.Set("hl7.fhir.us.core#3.1.1")
	if err != nil {
		t.Fatal(err)
	}
	store := &counting{Store: apitest.NewStore()}
	return store, mustsupport.New(mustsupport.Source{Exchanges: store, Reports: store, Bodies: store}, set, set.Terms(), mustsupport.Options{})
}

// answer records a response, and what its resources were held against.
func answer(store *counting, id, channel, contentType, coded string, body []byte, subjects ...string) {
	e := &proxy.Exchange{ID: id, Channel: channel, Response: &proxy.Response{Status: 200}}
	e.Request.Method = "GET"
	e.Response.Header = proxy.Header{{Name: "Content-Type", Value: contentType}, {Name: "Content-Encoding", Value: coded}}
	e.Response.Body = store.AddBody(body)
	store.AddExchange(e)
	if subjects != nil {
		judged(store, id, subjects...)
	}
}

func judged(store *counting, id string, subjects ...string) {
	r := &validators.Report{Subject: id}
	for _, s := range subjects {
		r.Resources = append(r.Resources, validators.ResourceResult{
			ResourceType: "Patient", ID: s, Part: validators.PartResponseBody,
			Profiles: []validators.ProfileChoice{{URL: "http://hl7.org/fhir/StructureDefinition/Patient", Why: "base type"}, {URL: patientProfile, Why: "claimed in meta.profile"}},
		})
	}
	store.AddReport(r)
}

func find(t *testing.T, list []testplans.Supported, id string) testplans.SupportedItem {
	t.Helper()
	if len(list) != 1 || list[0].Type != "Patient" {
		t.Fatalf("profiles %+v", list)
	}
	for _, it := range list[0].Items {
		if it.ID == id {
			return it
		}
	}
	t.Fatalf("no item %s in %+v", id, list[0].Items)
	return testplans.SupportedItem{}
}

func TestSupport(t *testing.T) {
	store, s := service(t)
	support := func(channel string) []testplans.Supported {
		t.Helper()
		list, err := s.Support(t.Context(), channel)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if list := support("a~b"); len(list) != 0 {
		t.Errorf("of nothing: %+v", list)
	}
	answer(store, "x1", "a~b", "application/fhir+json", "", []byte(`{"resourceType":"Patient","id":"p1","gender":"female"}`), "p1")
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write([]byte(`{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","id":"other","telecom":[{"system":"phone"}]}},{"resource":{"resourceType":"Patient","id":"p2","birthDate":"1970-01-01"}}]}`))
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	answer(store, "x2", "a~b", "application/fhir+json", "gzip", packed.Bytes(), "p2")
	answer(store, "x3", "a~b", "application/fhir+ndjson", "", []byte(`{"resourceType":"Patient","id":"p3","gender":"male"}`+"\n"+`{"resourceType":"Patient","id":"p4","name":[{"family":"F"}]}`+"\n"), "p3", "p4")
	answer(store, "x4", "c~d", "application/fhir+json", "", []byte(`{"resourceType":"Patient","id":"p5","identifier":[{"system":"s","value":"v"}]}`), "p5")
	answer(store, "x5", "a~b", "application/fhir+json", "", []byte(`not JSON`), "p6")
	answer(store, "x6", "a~b", "application/fhir+json", "", []byte(`{"resourceType":"Patient","id":"p7","communication":[{"language":{"text":"en"}}]}`)) // not inspected

	list := support("a~b")
	if list[0].Resources != 4 || list[0].Profile != patientProfile+"|3.1.1" {
		t.Errorf("%d resources of %s", list[0].Resources, list[0].Profile)
	}
	for _, tt := range []struct{ item, want string }{
		{"Patient.gender", "pass x1 1 /gender 1"},
		{"Patient.birthDate", "pass x2 2 /entry/1/resource/birthDate 1"},
		{"Patient.name", "pass x3 3 /name/0 2"},
		{"Patient.identifier", "not-shown"},
		{"Patient.telecom", "not-shown"}, // the resource that has it was not held against the profile
		{"Patient.communication", "not-shown"},
	} {
		it := find(t, list, tt.item)
		got := string(it.Verdict)
		if it.First != nil {
			got += fmt.Sprintf(" %s %d %s %d", it.First.Exchange, it.First.Number, it.Pointer, it.Line)
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.item, got, tt.want)
		}
	}
	if it := find(t, support(""), "Patient.identifier"); it.Verdict != testplans.Pass || it.First.Exchange != "x4" {
		t.Errorf("over all channels: %+v", it)
	}

	before := store.read
	judged(store, "x6", "p7")
	answer(store, "x7", "a~b", "application/fhir+json", "", []byte(`{"resourceType":"Patient","id":"p8","identifier":[{"system":"s","value":"v"}]}`), "p8")
	list = support("a~b")
	if a, b := find(t, list, "Patient.communication"), find(t, list, "Patient.identifier"); a.Verdict != testplans.Pass || b.Verdict != testplans.Pass || list[0].Resources != 6 {
		t.Errorf("what came since: %+v, %+v, %d resources", a, b, list[0].Resources)
	}
	if n := store.read - before; n != 2 {
		t.Errorf("%d exchanges were read for 2 that came since", n)
	}

	store.FailWith(errors.New("disk"))
	if _, err := s.Support(t.Context(), "a~b"); err == nil {
		t.Error("a broken store is not told")
	}
	store.FailWith(nil)
	if list := support("a~b"); list[0].Resources != 6 {
		t.Errorf("after a failure: %d resources", list[0].Resources)
	}
}
