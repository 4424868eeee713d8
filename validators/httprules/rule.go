package httprules

import (
	"cmp"
	"slices"

	"fhirwire/validators"
)

// Rule is one check on an exchange.
type Rule struct {
	validators.Rule
	// Side is who has to act when the rule is broken.
	Side validators.Side
	// check reports what breaks the rule; it is silent when the rule does not concern the case.
	check func(*Case, func(finding))
}

// Table lists every rule, in the order of the files it is made of.
func Table() []Rule {
	return slices.Concat(contentRules(), statusRules(), outcomeRules(), searchRules(), asyncRules(), authRules(), operationRules())
}

// Checker runs the table. It is immutable and safe for concurrent use.
type Checker struct{ rules []Rule }

// NewChecker makes a Checker over Table.
func NewChecker() *Checker { return &Checker{rules: Table()} }

// Check returns the issues of one case. An exchange without a response is judged by what there is of it.
func (ch *Checker) Check(c *Case) []validators.Issue {
	var out []validators.Issue
	for i := range ch.rules {
		r := &ch.rules[i]
		r.check(c, func(f finding) { out = append(out, r.issue(f)) })
	}
	return out
}

func (r *Rule) issue(f finding) validators.Issue {
	is := validators.Issue{
		Severity:  cmp.Or(f.severity, r.Severity),
		Code:      r.Code,
		MessageID: r.ID,
		Message:   f.message,
		Expected:  f.expected,
		Found:     f.found,
		DoNext:    f.doNext,
		Side:      cmp.Or(f.side, r.Side),
		Part:      f.part,
		Resource:  -1,

		NotChecked: f.notChecked,
	}
	if is.Requirement = f.requirement; is.Requirement == "" && len(r.Requirements) > 0 {
		is.Requirement = r.Requirements[0]
	}
	if f.at != nil {
		is.Expression, is.Pointer, is.Position = f.at.Expression(), f.at.Pointer(), f.at.Position()
	}
	return is
}

var (
	fhirHTTP = validators.Source{Guide: "hl7.fhir.r4.core", Version: "4.0.1", Section: "RESTful API", URL: "http://hl7.org/fhir/R4/http.html"}
	fhirSrch = validators.Source{Guide: "hl7.fhir.r4.core", Version: "4.0.1", Section: "Search", URL: "http://hl7.org/fhir/R4/search.html"}
	bulkData = validators.Source{Guide: "hl7.fhir.uv.bulkdata", Version: "2.0.0", Section: "Export", URL: "http://hl7.org/fhir/uv/bulkdata/STU2/export.html"}
	rfc6749  = validators.Source{Guide: "RFC 6749", Section: "5", URL: "https://www.rfc-editor.org/rfc/rfc6749#section-5"}
	rfc6750  = validators.Source{Guide: "RFC 6750", Section: "5.3", URL: "https://www.rfc-editor.org/rfc/rfc6750#section-5.3"}
	rfc7523  = validators.Source{Guide: "RFC 7523", Section: "3", URL: "https://www.rfc-editor.org/rfc/rfc7523#section-3"}
	rfc8414  = validators.Source{Guide: "RFC 8414", Section: "2", URL: "https://www.rfc-editor.org/rfc/rfc8414#section-2"}
	rfc8705  = validators.Source{Guide: "RFC 8705", Section: "3", URL: "https://www.rfc-editor.org/rfc/rfc8705#section-3"}
	rfc7591  = validators.Source{Guide: "RFC 7591", Section: "3.2", URL: "https://www.rfc-editor.org/rfc/rfc7591#section-3.2"}
	smartApp = validators.Source{Guide: "hl7.fhir.uv.smart-app-launch", Version: "2.0.0", Section: "Conformance", URL: "http://hl7.org/fhir/smart-app-launch/STU2/conformance.html"}
	hrexMM   = validators.Source{Guide: "hl7.fhir.us.davinci-hrex", Version: "1.0.0", Section: "$member-match", URL: "http://hl7.org/fhir/us/davinci-hrex/STU1/OperationDefinition-member-match.html"}
	uscore   = validators.Source{Guide: "hl7.fhir.us.core", Version: "3.1.1", Section: "General guidance", URL: "http://hl7.org/fhir/us/core/STU3.1.1/general-guidance.html"}
)

func rule(id string, sev validators.Severity, code validators.Code, side validators.Side, src validators.Source, title string, requirements ...string) Rule {
	return Rule{
		Rule: validators.Rule{ID: id, Severity: sev, Code: code, Title: title, Source: src, Requirements: requirements},
		Side: side,
	}
}

func (r Rule) when(check func(*Case, func(finding))) Rule {
	r.check = check
	return r
}
