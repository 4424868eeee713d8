package instance_test

import (
	"slices"
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

// publishedFaults are errors of published definitions that the reference reports, too.
var publishedFaults = map[string]string{
	"CodeSystem-us-core-documentreference-category.json":           "code-system-count",
	"SearchParameter-us-core-condition-asserted-date.json":         "search-parameter-expression", // valueDateTime, which is no path
	"SearchParameter-explanationofbenefit-service-start-date.json": "search-parameter-expression", // servicedDate, which is no path
}

// TestPublishedConformanceResources: what published guides define besides profiles can be used as it is.
func TestPublishedConformanceResources(t *testing.T) {
	v := validator(t, instance.Options{})
	own := []string{"code-system-", "value-set-filter", "value-set-system", "search-parameter-expression", "search-parameter-component", "operation-profile", "bundle-page-link"}
	count := 0
	for _, guide := range []string{
		"us.core-3.1.1", "us.core-6.1.0", "us.core-7.0.0", "us.davinci-pdex-2.0.0", "us.davinci-pdex-2.2.0", "us.davinci-drug-formulary-2.0.1", "us.davinci-hrex-1.0.0",
		"us.carin-bb-2.0.0", "us.davinci-pdex-plan-net-1.1.0", "us.davinci-atr-2.1.0",
	} {
		for _, kind := range []string{"CodeSystem", "ValueSet", "SearchParameter", "OperationDefinition", "CapabilityStatement"} {
			for name, src := range packageFiles(t, shared(t, "fhir-packages", "hl7.fhir."+guide+".tgz"), "package/"+kind+"-") {
				count++
				for _, is := range errorsOf(validate(t, v, src)) {
					if publishedFaults[name] != is.MessageID && slices.ContainsFunc(own, func(p string) bool { return strings.HasPrefix(is.MessageID, p) }) {
						t.Errorf("%s %s: %s %s %s", guide, name, is.MessageID, is.Expression, is.Message)
					}
				}
			}
		}
	}
	if count < 150 {
		t.Errorf("only %d", count)
	}
}
