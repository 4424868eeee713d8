// Package validators holds the words of findings: Issue, Severity, Code, Position, Report, Requirement.
//
// It is vocabulary only and knows no exchange: a Report names its subject by an opaque id. The engines are the subpackages:
// fhirjson (positions), fhirpath, ig, terminology, profile, guides (what this build knows), instance (one walk over one
// resource), interaction, httprules, inspect. It imports only the standard library.
package validators
