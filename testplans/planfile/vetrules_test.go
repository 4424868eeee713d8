package planfile_test

import (
	"fmt"
	"strings"
	"testing"

	"fhirwire/testplans/planfile"
	"fhirwire/validators/fhirpath/fhirpathtest"
)

func TestVetRules(t *testing.T) {
	src := strings.Replace(good, "        status: [\"200\"]", "        findings: {rules: [cardinality-min, cardinality-mx, nonsense]}", 1)
	if src == good {
		t.Fatal("the plan has no check of a status")
	}
	plan, err := planfile.Parse("p.yaml", []byte(src), fhirpathtest.Small())
	if err != nil {
		t.Fatal(err)
	}
	line, column := 0, 0
	for i, text := range strings.Split(src, "\n") {
		if at := strings.Index(text, "cardinality-mx"); at >= 0 {
			line, column = i+1, at+1
		}
	}
	place := func(line, column int) string { return fmt.Sprintf("p.yaml:%d:%d: ", line, column) }
	err = planfile.VetRules("p.yaml", []byte(src), plan, []string{"cardinality-min", "cardinality-max"})
	want := place(line, column) + "no rule has the id cardinality-mx; expected cardinality-max\n" +
		place(line, column+len("cardinality-mx, ")) + "no rule has the id nonsense; expected an id of the list of rules, as findings show it"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if err := planfile.VetRules("p.yaml", []byte(src), plan, []string{"cardinality-min", "cardinality-mx", "nonsense"}); err != nil {
		t.Error(err)
	}
}
