package planfile_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"fhirwire/internal/golden"
	"fhirwire/testplans/planfile"
	"fhirwire/validators/fhirpath/fhirpathtest"
)

// mistake is one that a person makes in testdata/base.yaml: old, which stands there once or at the nth place, replaced by with.
type mistake struct {
	name, old, with string
}

// elsewhere are mistakes whose fault stands beside what was changed: something is missing, or goes on.
var elsewhere = map[string]bool{
	"no title": true, "no select": true, "no requirement": true, "an act of two kinds": true, "an act of no kind": true,
}

// listing is a model that lists its resource types.
type listing struct{ profiled }

func (listing) ResourceTypes() []string { return []string{"Bundle", "Observation", "Patient"} }

// vetAll is all that the command vets of a plan, but for the examples.
func vetAll(src []byte) error {
	plan, err := planfile.Parse("p.yaml", src, listing{profiled{fhirpathtest.Small()}})
	if err != nil {
		return err
	}
	return errors.Join(
		planfile.VetRules("p.yaml", src, plan, []string{"http-response-type", "http-status"}),
		planfile.VetRequirements("p.yaml", src, plan, []string{"P2P-SC-40", "P2P-SC-41", "P2P-MADE-01"}))
}

// TestMistakes: each mistake has its line and column and what was expected. The golden file is what people read; here is asserted that
// the first fault, or one of them, is on a line that the mistake touches.
func TestMistakes(t *testing.T) {
	base, err := os.ReadFile("testdata/base.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := vetAll(base); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, m := range mistakes() {
		at := strings.Index(string(base), m.old)
		if at < 0 {
			t.Errorf("%s: %q is not in the base", m.name, m.old)
			continue
		}
		src := string(base[:at]) + m.with + string(base[at+len(m.old):])
		first := 1 + strings.Count(string(base[:at]), "\n")
		last := first + strings.Count(m.with, "\n")
		fmt.Fprintf(&b, "%s\n", m.name)
		faults := faultsOf(vetAll([]byte(src)))
		if len(faults) == 0 {
			t.Errorf("%s: accepted", m.name)
		}
		here := false
		lines := strings.Split(src, "\n")
		for _, f := range faults {
			fmt.Fprintf(&b, "\t%v\n", f)
			here = here || f.Line >= first && f.Line <= last
			if f.Line < 1 || f.Line > len(lines) || f.Column < 1 || f.Column > len(lines[f.Line-1])+1 {
				t.Errorf("%s: no such place: %v", m.name, f)
				continue
			}
			if word := named.FindStringSubmatch(f.Message); word != nil {
				if rest := string([]rune(lines[f.Line-1])[f.Column-1:]); !strings.HasPrefix(strings.TrimLeft(rest, "%${"), word[1]) {
					t.Errorf("%s: %v: there stands %.20q", m.name, f, rest)
				}
			}
		}
		if !here && !elsewhere[m.name] {
			t.Errorf("%s: no fault on lines %d to %d: %v", m.name, first, last, faults)
		}
	}
	golden.Check(t, "mistakes.txt", b.Bytes())
}

// named are messages about a word that stands where the fault is.
var named = regexp.MustCompile(`^(?:FHIRPath: unknown function "|no earlier step captures |unknown key "|there is no earlier step |FHIRPath: there is no type )([A-Za-z]+)`)

func faultsOf(err error) []*planfile.Fault {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var out []*planfile.Fault
		for _, e := range many.Unwrap() {
			out = append(out, faultsOf(e)...)
		}
		return out
	}
	if f, ok := errors.AsType[*planfile.Fault](err); ok {
		return []*planfile.Fault{f}
	}
	return nil
}
