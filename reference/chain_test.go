package reference_test

import (
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"fhirwire/internal/sqldb"
	"fhirwire/reference"
	"fhirwire/reference/resources"
	"fhirwire/reference/synth"
	"fhirwire/validators/guides"
)

// TestChainWhereAnyTypeMayBeReferred: Basic.subject may be anything in R4, and the formulary guide does not narrow it in its definition.
func TestChainWhereAnyTypeMayBeReferred(t *testing.T) {
	lib, err := guides.Load()
	if err != nil {
		t.Fatal(err)
	}
	set, err := lib.Set("hl7.fhir.us.davinci-drug-formulary#2.0.1")
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open(t.Context(), sqldb.SQLiteDSN(filepath.Join(t.TempDir(), "a.db")), sqldb.Options{Synchronous: "off"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	ref, err := reference.New(t.Context(), db, set, reference.Options{DataDir: t.TempDir(), Clock: time.Now, PollEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ref.Seed(t.Context(), synth.New(synth.Options{Seed: 1}).All(), resources.LoadOptions{}); err != nil {
		t.Fatal(err)
	}
	hs := httptest.NewServer(ref.Handler())
	t.Cleanup(hs.Close)
	s := &server{t: t, url: hs.URL + "/fhir", ref: ref}
	r := s.get("/Basic?subject.code=209459&formulary=InsurancePlan/form-cedar-standard", "Prefer", "handling=strict")
	if got := r.ids("match"); r.status != 200 || !slices.Equal(got, []string{"Basic/item-STD-209459"}) {
		t.Errorf("%d %v %.300s", r.status, got, r.raw)
	}
}
