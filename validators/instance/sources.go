package instance

import (
	"slices"
	"strings"

	"fhirwire/validators"
)

// Rules lists every check of this package, with the section of the specification it comes from.
func Rules() []validators.Rule {
	out := slices.Clone(rules[:])
	for i := range out {
		if out[i].Source == (validators.Source{}) {
			out[i].Source = sourceOf(out[i].ID)
		}
	}
	return out
}

// sections tell by the start of a rule's id which page of FHIR R4 states it; the first that fits counts.
var sections = []struct{ id, section, page string }{
	{"json-", "JSON representation", "json.html#json"},
	{"depth", "Resource elements and nesting", "json.html#json"},
	{"resource-type", "JSON representation: resources", "json.html#resources"},
	{"element-unknown", "Conformance rules: content", "conformance-rules.html#conformance"},
	{"element-id", "Element id", "element.html#id"},
	{"id-duplicate", "Contained resources", "references.html#contained"},
	{"cardinality", "Conformance rules: cardinality", "conformance-rules.html#cardinality"},
	{"choice", "Choice of data types", "formats.html#choice"},
	{"resource-kind", "Profiling", "profiling.html"},
	{"canonical", "Canonical references", "references.html#canonical"},
	{"markdown", "Data type markdown", "datatypes.html#markdown"},
	{"primitive", "Primitive types", "datatypes.html#primitive"},
	{"string", "Data type string", "datatypes.html#string"},
	{"date", "Data type dateTime", "datatypes.html#dateTime"},
	{"base64", "Data type base64Binary", "datatypes.html#base64Binary"},
	{"attachment", "Data type Attachment", "datatypes.html#Attachment"},
	{"url-example", "Data type uri", "datatypes.html#uri"},
	{"text-tags", "Security: narrative and text", "security.html#narrative"},
	{"max-length", "ElementDefinition.maxLength", "elementdefinition-definitions.html#ElementDefinition.maxLength"},
	{"value-set-code", "ValueSet.compose.include.concept", "valueset-definitions.html#ValueSet.compose.include.concept"},
	{"code-system-content", "CodeSystem.content", "codesystem-definitions.html#CodeSystem.content"},
	{"value-set-system", "ValueSet.compose.include.system", "valueset-definitions.html#ValueSet.compose.include.system"},
	{"value-set-filter", "ValueSet.compose.include.filter", "valueset-definitions.html#ValueSet.compose.include.filter"},
	{"code-system-property", "CodeSystem.property", "codesystem-definitions.html#CodeSystem.property"},
	{"operation-profile", "OperationDefinition.inputProfile", "operationdefinition-definitions.html#OperationDefinition.inputProfile"},
	{"search-parameter-expression", "SearchParameter.expression", "searchparameter-definitions.html#SearchParameter.expression"},
	{"search-parameter-component", "SearchParameter.component", "searchparameter-definitions.html#SearchParameter.component"},
	{"code-system-count", "CodeSystem.count", "codesystem-definitions.html#CodeSystem.count"},
	{"identifier", "Data type Identifier", "datatypes.html#Identifier"},
	{"value-form", "Extension regex", "extension-regex.html"},
	{"min-value", "ElementDefinition.minValue[x]", "elementdefinition-definitions.html#ElementDefinition.minValue_x_"},
	{"max-value", "ElementDefinition.maxValue[x]", "elementdefinition-definitions.html#ElementDefinition.maxValue_x_"},
	{"bound", "ElementDefinition.minValue[x]", "elementdefinition-definitions.html#ElementDefinition.minValue_x_"},
	{"fixed", "ElementDefinition.fixed[x]", "elementdefinition-definitions.html#ElementDefinition.fixed_x_"},
	{"pattern", "ElementDefinition.pattern[x]", "elementdefinition-definitions.html#ElementDefinition.pattern_x_"},
	{"binding", "Binding strengths", "terminologies.html#strength"},
	{"code", "Using codes in resources", "terminologies.html"},
	{"slice", "Slicing", "profiling.html#slicing"},
	{"extension", "Extensibility", "extensibility.html"},
	{"reference", "References between resources", "references.html"},
	{"contained", "Contained resources", "references.html#contained"},
	{"bundle-fullurl", "Bundle.entry.fullUrl", "bundle.html#bundle-unique"},
	{"bundle-search", "Searchset Bundles", "bundle.html#searchset"},
	{"bundle-page-link", "Bundle.link", "bundle-definitions.html#Bundle.link"},
	{"bundle-link", "Searchset Bundles", "bundle.html#searchset"},
	{"bundle-", "FHIR documents", "documents.html#bundle"},
	{"search-parameter", "SearchParameter.derivedFrom", "searchparameter-definitions.html#SearchParameter.derivedFrom"},
	{"questionnaire", "QuestionnaireResponse", "questionnaireresponse.html#notes"},
	{"narrative-source", "Extension narrative-source-control", "https://hl7.org/fhir/extensions/StructureDefinition-narrative-source-control.html"},
	{"narrative-language", "Extension narrative-language-control", "https://hl7.org/fhir/extensions/StructureDefinition-narrative-language-control.html"},
	{"narrative", "Narrative", "narrative.html"},
	{"invariant", "Conformance rules: constraints", "conformance-rules.html#constraints"},
	{"profile", "Profiling", "profiling.html"},
	{"type-profile", "ElementDefinition.type", "elementdefinition-definitions.html#ElementDefinition.type"},
	{"definition", "Limitations of profiles", "profiling.html#limitations"},
}

// sourceOf is the page of FHIR R4 that states a rule. A finding names the definition itself, which for profiles is a guide's.
func sourceOf(id string) validators.Source {
	for _, s := range sections {
		if strings.HasPrefix(id, s.id) {
			url := s.page
			if !strings.Contains(url, "://") {
				url = "https://hl7.org/fhir/R4/" + url
			}
			return validators.Source{Guide: "FHIR", Version: "4.0.1", Section: s.section, URL: url}
		}
	}
	return validators.Source{}
}
