package resources

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fhirwire/internal/sqldb"
	"fhirwire/reference/search"
	"fhirwire/validators/guides"
	"fhirwire/validators/profile"
)

type setDefinitions struct{ set *profile.Set }

func (d setDefinitions) SearchDefinitions(base string) []search.Definition {
	var out []search.Definition
	for _, p := range d.set.SearchParams(base) {
		out = append(out, search.Definition{URL: p.URL, Code: p.Code, Kind: search.Kind(p.Type), Expression: p.Expression, Targets: p.Target})
	}
	return out
}

// TestPlansUseIndexes holds SQLite to the access path that newPlan means: a search of one patient that walks a whole type is
// a thousand times slower on a million resources, and no other test would tell.
func TestPlansUseIndexes(t *testing.T) {
	lib, err := guides.Load()
	if err != nil {
		t.Fatal(err)
	}
	set, err := lib.Set()
	if err != nil {
		t.Fatal(err)
	}
	reg, err := search.NewRegistry(setDefinitions{set}, set)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open(t.Context(), sqldb.SQLiteDSN(filepath.Join(t.TempDir(), "x.db")), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := New(t.Context(), db, reg, Options{Clock: time.Now}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		query, first, then string
	}{
		{"ExplanationOfBenefit?patient=999", "r USING INDEX ref_resource_patient (patient=? AND type=?)", ""},
		{"Observation?patient=999&category=laboratory", "r USING INDEX ref_resource_patient (patient=? AND type=?)", "PRIMARY KEY (param=? AND key=? AND rid=?)"},
		{"Observation?patient=999&date=ge2020", "r USING INDEX ref_resource_patient (patient=? AND type=?)", "PRIMARY KEY (param=? AND rid=?)"},
		{"Observation?subject=Patient/999&code=a", "r USING INDEX ref_resource_patient (patient=? AND type=?)", "PRIMARY KEY (param=? AND key=? AND rid=?)"},
		{"Observation?subject=999&code=a", "r USING INDEX ref_resource_type (type=? AND rowid=?)", "x USING COVERING INDEX ref_resource_patient (patient=? AND type=?)"},
		{"Patient?identifier=99999", "i USING PRIMARY KEY (param=? AND key=? AND rid>? AND rid<?)", "r USING INTEGER PRIMARY KEY"},
		{"Observation?code=a&status=final", "i USING PRIMARY KEY (param=? AND key=? AND rid>? AND rid<?)", "r USING INTEGER PRIMARY KEY"},
		{"Patient?birthdate=1980-01-01", "i USING COVERING INDEX ref_date_lo (param=? AND lo>? AND lo<?)", "r USING INTEGER PRIMARY KEY"},
		{"Practitioner?name=von", "i USING PRIMARY KEY (param=? AND key>? AND key<?)", "r USING INTEGER PRIMARY KEY"},
		{"Observation?_id=a", "r USING INDEX ref_resource_key (type=? AND id=?)", ""},
		{"Observation?", "r USING INDEX ref_resource_type (type=? AND rowid>? AND rowid<?)", ""},
	} {
		typ, raw, _ := strings.Cut(tt.query, "?")
		pairs, err := search.ParsePairs(raw)
		if err != nil {
			t.Fatal(err)
		}
		q, err := reg.Parse(typ, pairs, search.ParseOptions{Strict: true})
		if err != nil {
			t.Fatal(err)
		}
		p, err := newPlan(q, nil)
		if err != nil {
			t.Fatal(err)
		}
		where, args := p.where()
		var steps []struct{ Detail string }
		if err := db.Read.Raw("EXPLAIN QUERY PLAN "+p.page(where), append(args, 0, 100, 10)...).Scan(&steps).Error; err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range steps {
			if strings.HasPrefix(s.Detail, "SEARCH") || strings.HasPrefix(s.Detail, "SCAN") {
				got = append(got, s.Detail)
			}
		}
		all := strings.Join(got, "\n")
		if len(got) == 0 || !strings.Contains(got[0], tt.first) || !strings.Contains(all, tt.then) {
			t.Errorf("%s:\n%s\nwant %s, then %s", tt.query, all, tt.first, tt.then)
		}
	}
}
