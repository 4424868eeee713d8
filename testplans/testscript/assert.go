package testscript

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"fhirwire/testplans"
)

// responses are the statuses of response codes (http://hl7.org/fhir/assert-response-code-types).
var responses = map[string]string{
	"okay": "200", "created": "201", "noContent": "204", "notModified": "304", "bad": "400", "forbidden": "403", "notFound": "404",
	"methodNotAllowed": "405", "conflict": "409", "gone": "410", "preconditionFailed": "412", "unprocessable": "422",
}

func unsupported(what string) check {
	return check{claim: what, own: own{why: what + " is not supported without executing the script"}}
}

// checkOf makes an assertion a check. Exactly one of its subjects is used, as the standard has it.
func (c *converter) checkOf(a *assert) check {
	half := testplans.OnResponse
	if a.Direction == "request" {
		half = testplans.OnRequest
	}
	if a.SourceID != "" {
		switch at, ok := c.byResponse[a.SourceID]; {
		case ok && at == c.step:
		default:
			if at, ok := c.byRequest[a.SourceID]; ok && at == c.step {
				half = testplans.OnRequest
				break
			}
			return unsupported("an assertion on the source " + a.SourceID + ", which is not the operation's own message,")
		}
	}
	switch {
	case a.CompareToSourceID != "" || a.CompareToSourceExpression != "" || a.CompareToSourcePath != "":
		return unsupported("a comparison with the source " + cmp.Or(a.CompareToSourceID, "of another message"))
	case a.MinimumID != "":
		return unsupported("minimumId " + a.MinimumID)
	case a.Path != "":
		return unsupported("the path " + a.Path + " (XPath or JSONPath)")
	case a.NavigationLinks:
		return check{claim: "The Bundle has its navigation links", kind: fhirpath(half, "link.where(relation in ('first' | 'last' | 'next')).exists()")}
	case a.Response != "":
		status, ok := responses[a.Response]
		if !ok {
			return unsupported("the response " + a.Response)
		}
		return statuses(a, []string{status})
	case a.ResponseCode != "":
		var list []string
		for code := range strings.SplitSeq(a.ResponseCode, ",") {
			list = append(list, strings.TrimSpace(code))
		}
		return statuses(a, list)
	case a.ContentType != "":
		return contentType(half, a.ContentType)
	case a.HeaderField != "":
		return header(half, a)
	case a.Expression != "":
		return expression(half, a)
	case a.Resource != "":
		return check{claim: "It is a " + a.Resource, kind: fhirpath(half, "$this is "+a.Resource)}
	case a.ValidateProfileID != "":
		for _, p := range c.script.Profile {
			if p.ID == a.ValidateProfileID {
				return check{claim: "It conforms to " + p.Reference, own: own{profile: p.Reference}}
			}
		}
		return unsupported("validateProfileId " + a.ValidateProfileID + ", which the script does not define,")
	case a.RequestMethod != "":
		return check{claim: "The method is " + a.RequestMethod, own: own{method: strings.ToUpper(a.RequestMethod)}}
	case a.RequestURL != "":
		return check{claim: "The URL is " + a.RequestURL, own: own{url: a.RequestURL}}
	}
	return unsupported("an assertion without a subject")
}

func fhirpath(half testplans.Half, expr string) testplans.Check {
	return testplans.Check{FHIRPath: &testplans.FHIRPathCheck{On: half, Expr: expr}}
}

var status = regexp.MustCompile(`^[1-5][0-9][0-9]$`)

func statuses(a *assert, list []string) check {
	for _, s := range list {
		if !status.MatchString(s) {
			return unsupported("the response code " + s)
		}
	}
	switch a.Operator {
	case "", "equals", "in":
		return check{claim: "The status is " + strings.Join(list, " or "), kind: testplans.Check{Status: list}}
	case "notEquals", "notIn":
		var others []string
		for code := 100; code < 600; code++ {
			if s := fmt.Sprint(code); !strings.Contains(strings.Join(list, ","), s) {
				others = append(others, s)
			}
		}
		return check{claim: "The status is not " + strings.Join(list, " or "), kind: testplans.Check{Status: others}}
	}
	return unsupported("the operator " + a.Operator + " on a status")
}

func contentType(half testplans.Half, want string) check {
	h := &testplans.HeaderCheck{On: half, Name: "Content-Type", Is: []string{want}}
	switch want {
	case "json", "xml":
		h.Is, h.Matches = nil, `(?i)[/+]`+want
	case "none":
		h.Is, h.Absent = nil, true
	}
	return check{claim: "The content type is " + want, kind: testplans.Check{Header: h}}
}

func header(half testplans.Half, a *assert) check {
	h := &testplans.HeaderCheck{On: half, Name: a.HeaderField}
	switch a.Operator {
	case "", "equals":
		if a.Value != "" {
			h.Is = []string{a.Value}
		}
	case "in":
		for v := range strings.SplitSeq(a.Value, ",") {
			h.Is = append(h.Is, strings.TrimSpace(v))
		}
	case "notEquals":
		h.Is, h.Absent = []string{a.Value}, true
	case "contains":
		h.Matches = quoted(a.Value)
	case "notContains":
		h.Matches, h.Absent = quoted(a.Value), true
	case "empty":
		h.Absent = true
	case "notEmpty":
	default:
		return unsupported("the operator " + a.Operator + " on a header")
	}
	return check{claim: "The header " + a.HeaderField + " is as expected", kind: testplans.Check{Header: h}}
}

// quoted is a text as a regular expression, in which variables stay.
func quoted(s string) string {
	out := regexp.QuoteMeta(s)
	return strings.NewReplacer(`\$\{`, "${", `\}`, "}").Replace(out)
}

var whole = regexp.MustCompile(`^\$\{([A-Za-z][A-Za-z0-9]*)\}$`)

func expression(half testplans.Half, a *assert) check {
	if strings.Contains(a.Expression, "${") {
		return unsupported("a variable in the expression " + a.Expression)
	}
	value := ""
	switch m := whole.FindStringSubmatch(a.Value); {
	case m != nil:
		value = "%" + m[1]
	case strings.Contains(a.Value, "${"):
		return unsupported("a variable within the value " + a.Value)
	default:
		value = "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(a.Value) + "'"
	}
	e := "(" + a.Expression + ")"
	claim := strings.TrimSpace(a.Expression + " " + a.Operator + " " + a.Value)
	is := func(expr string) check { return check{claim: claim, kind: fhirpath(half, expr)} }
	switch a.Operator {
	case "", "equals", "eval":
		if a.Value == "" || a.Operator == "eval" {
			return is(a.Expression)
		}
		return is(e + ".where(toString() = " + value + ").exists()")
	case "notEquals":
		return is(e + ".where(toString() = " + value + ").empty()")
	case "contains":
		return is(e + ".where(toString().contains(" + value + ")).exists()")
	case "notContains":
		return is(e + ".where(toString().contains(" + value + ")).empty()")
	case "empty":
		return is(e + ".empty()")
	case "notEmpty":
		return is(e + ".exists()")
	case "in", "notIn":
		var list []string
		for v := range strings.SplitSeq(a.Value, ",") {
			list = append(list, "'"+strings.ReplaceAll(strings.TrimSpace(v), "'", `\'`)+"'")
		}
		end := ".exists()"
		if a.Operator == "notIn" {
			end = ".empty()"
		}
		return is(e + ".where(toString() in (" + strings.Join(list, " | ") + "))" + end)
	case "greaterThan":
		return is(e + ".toString().toDecimal() > " + value + ".toDecimal()")
	case "lessThan":
		return is(e + ".toString().toDecimal() < " + value + ".toDecimal()")
	}
	return unsupported("the operator " + a.Operator)
}
