package instance_test

import (
	"strings"
	"testing"

	"fhirwire/validators/instance"
)

// TestPublishedDefinitions: the profiles of published guides contradict neither their base nor themselves. Some of their
// invariants cannot mean anything, which is a warning.
func TestPublishedDefinitions(t *testing.T) {
	v := validator(t, instance.Options{})
	count, warned := 0, 0
	for _, guide := range []string{"us.core-6.1.0", "us.davinci-pdex-2.0.0", "us.davinci-drug-formulary-2.0.1", "us.davinci-hrex-1.0.0", "us.carin-bb-2.0.0"} {
		for name, src := range packageFiles(t, shared(t, "fhir-packages", "hl7.fhir."+guide+".tgz"), "package/StructureDefinition-") {
			count++
			r := validate(t, v, src)
			for i := range r.Issues {
				is := &r.Issues[i]
				switch {
				case !strings.HasPrefix(is.MessageID, "definition-") && is.MessageID != "element-id-duplicate":
				case is.IsError():
					t.Errorf("%s: %s %s %s", name, is.MessageID, is.Expression, is.Message)
				default:
					warned++
				}
			}
		}
	}
	t.Logf("%d definitions, %d expressions that cannot mean anything", count, warned)
	if count < 100 || warned > 60 {
		t.Errorf("%d definitions, %d expressions that cannot mean anything", count, warned)
	}
}
