package terminology_test

import (
	"testing"

	"fhirwire/validators/ig"
	"fhirwire/validators/terminology"
)

const retired = `{"resourceType":"CodeSystem","url":"urn:retired","content":"complete","caseSensitive":true,"concept":[
 {"code":"now"},
 {"code":"off","property":[{"code":"inactive","valueBoolean":true}]},
 {"code":"gone","property":[{"code":"status","valueCode":"retired"}]}]}`

// TestInactive: compose.inactive = false leaves out what the system calls inactive; without it all codes are in.
func TestInactive(t *testing.T) {
	s := service(t, retired,
		vs("urn:all", `{"include":[{"system":"urn:retired"}]}`),
		vs("urn:active", `{"inactive":false,"include":[{"system":"urn:retired"}]}`),
		vs("urn:listed", `{"inactive":false,"include":[{"system":"urn:retired","concept":[{"code":"now"},{"code":"off"}]}]}`))
	for _, tt := range []struct {
		set, code string
		want      terminology.Value
	}{
		{"urn:all", "now", terminology.Yes},
		{"urn:all", "off", terminology.Yes},
		{"urn:active", "now", terminology.Yes},
		{"urn:active", "off", terminology.No},
		{"urn:active", "gone", terminology.No},
		{"urn:listed", "now", terminology.Yes},
		{"urn:listed", "off", terminology.No},
	} {
		if got := s.Member(tt.set, "urn:retired", tt.code).Value; got != tt.want {
			t.Errorf("%s in %s: %v, want %v", tt.code, tt.set, got, tt.want)
		}
	}
}

// TestInactiveIsKept: the facts of a value set that are stored with a package say that only active codes are in it.
func TestInactiveIsKept(t *testing.T) {
	r, err := ig.ReadFile("a.json", []byte(vs("urn:active", `{"inactive":false,"include":[{"system":"urn:retired"}]}`)))
	if err != nil {
		t.Fatal(err)
	}
	v, err := r.ValueSet()
	if err != nil {
		t.Fatal(err)
	}
	facts, err := r.Facts()
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.WithJSON(facts).ValueSet()
	if err != nil {
		t.Fatal(err)
	}
	if !v.ActiveOnly || !again.ActiveOnly {
		t.Errorf("active only: %v as written, %v as stored; want both", v.ActiveOnly, again.ActiveOnly)
	}
}

// supplementary gives a supplement also by its own URL.
type supplementary struct{ definitions }

func (s supplementary) CodeSystem(canonical, _ string) (*ig.CodeSystem, error) {
	return &ig.CodeSystem{URL: canonical, Content: "supplement", Supplements: "urn:retired", Concepts: []ig.Concept{{Code: "now", Parent: -1}}}, nil
}

// TestSupplementHasNoCodes: a supplement adds to the codes of another system and has none of its own.
func TestSupplementHasNoCodes(t *testing.T) {
	_, a := terminology.New(supplementary{}, terminology.Options{}).Code("urn:more", "now")
	if a.Value != terminology.No || a.Why != terminology.Supplement {
		t.Errorf("%v, want no, for it is a supplement", a)
	}
}
