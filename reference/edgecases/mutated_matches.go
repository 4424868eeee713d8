package edgecases

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// found changes the Parameters of a match.
func found(e Edge, does string, change func(m map[string]any) bool) mutation {
	return mutation{Description{e, does}, memberMatch, nil, func(_ *http.Request, a *held, _ time.Time) bool { return a.object(change) }, false}
}

// parameters appends a change of the list of parameters.
func parameters(change func(list []any) []any) func(map[string]any) bool {
	return func(m map[string]any) bool {
		list, _ := m["parameter"].([]any)
		if len(list) == 0 {
			return false
		}
		m["parameter"] = change(list)
		return true
	}
}

// anIdentifier is what a wrong match gives.
const anIdentifier = `{"resourceType":"Parameters","parameter":[{"name":"MemberIdentifier","valueIdentifier":{"type":{"coding":[` +
	`{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MB"}]},"system":"https://cedarmesa.example/member-id","value":"0"}}]}`

func matchMutations() []mutation {
	accepting := func(e Edge, does, missing string) mutation {
		return mutation{
			Description{e, does},
			memberMatch,
			nil,
			func(r *http.Request, a *held, _ time.Time) bool {
				lacks := a.status >= http.StatusBadRequest && bytes.Contains(a.body.Bytes(), []byte(missing))
				if lacks {
					a.status = http.StatusOK
					a.set([]byte(anIdentifier))
				}
				return lacks
			},
			false,
		}
	}
	return []mutation{
		found("mutation-two-members", "$member-match returns two identifiers", parameters(func(list []any) []any { return append(list, list[0]) })),
		found("mutation-match-echoes", "$member-match sends the submitted Patient back", parameters(func(list []any) []any {
			var patient any
			_ = json.Unmarshal([]byte(somebodyElse), &patient) // a constant
			return append(list, map[string]any{"name": "MemberPatient", "resource": patient})
		})),
		found("mutation-identifier-without-value", "the identifier that $member-match returns has no value", parameters(func(list []any) []any {
			for _, p := range list {
				if v, ok := p.(map[string]any)["valueIdentifier"].(map[string]any); ok {
					delete(v, "value")
				}
			}
			return list
		})),
		{
			Description{"mutation-404-for-no-match", "$member-match answers 404 where nobody matches"},
			memberMatch, nil,
			func(_ *http.Request, a *held, _ time.Time) bool {
				was := a.status == http.StatusUnprocessableEntity && bytes.Contains(a.body.Bytes(), []byte(`"not-found"`))
				if was {
					a.status = http.StatusNotFound
				}
				return was
			}, false,
		},
		{
			Description{"mutation-refusal-leaks", "a refused $member-match has a Patient in it"},
			memberMatch, nil,
			func(_ *http.Request, a *held, _ time.Time) bool {
				const at = `{"resourceType":"OperationOutcome",`
				if a.status < http.StatusBadRequest || !bytes.HasPrefix(a.body.Bytes(), []byte(at)) {
					return false
				}
				a.set([]byte(strings.Replace(a.body.String(), at, at+`"contained":[`+somebodyElse+`],`, 1)))
				return true
			}, false,
		},
		{
			Description{"mutation-refusal-unexplained", "a refused $member-match answers Parameters without any"},
			memberMatch, nil,
			func(_ *http.Request, a *held, _ time.Time) bool {
				if a.status < http.StatusBadRequest {
					return false
				}
				a.set([]byte(`{"resourceType":"Parameters"}`))
				return true
			}, false,
		},
		accepting("mutation-no-consent-needed", "$member-match matches without a Consent", "Consent"),
		accepting("mutation-no-patient-needed", "$member-match matches without a MemberPatient", "MemberPatient"),
		{
			Description{"mutation-everything-of-two", "$everything has a second Patient"},
			func(_ *http.Request, path string) bool { return strings.HasSuffix(path, "/$everything") }, nil,
			func(_ *http.Request, a *held, _ time.Time) bool {
				return a.object(func(m map[string]any) bool {
					var patient any
					_ = json.Unmarshal([]byte(somebodyElse), &patient) // a constant
					entry, _ := m["entry"].([]any)
					m["entry"] = append(entry, map[string]any{"fullUrl": "https://cedarmesa.example/fhir/Patient/somebody-else", "resource": patient, "search": map[string]any{"mode": "match"}})
					return len(entry) > 0
				})
			}, false,
		},
		onFile("mutation-group-without-kind", "the Groups of a match of many do not say what they are", "Group", func(lines []string) []string {
			return unmatched(lines, func(g map[string]any) { delete(g, "code") })
		}),
		onFile("mutation-group-without-contained", "the Groups of a match of many do not contain who was submitted", "Group", func(lines []string) []string {
			return unmatched(lines, func(g map[string]any) { delete(g, "contained") })
		}),
		onFile("mutation-group-not-persons", "the Groups of a match of many are not of actual persons", "Group", func(lines []string) []string {
			return unmatched(lines, func(g map[string]any) { g["actual"] = false })
		}),
	}
}

// unmatched changes the Groups of a file whose members were not matched: those that an export does not have.
func unmatched(lines []string, change func(map[string]any)) []string {
	out := slices.Clone(lines)
	for i, line := range lines {
		var g map[string]any
		d := json.NewDecoder(strings.NewReader(line))
		d.UseNumber()
		if !strings.Contains(line, `"nomatch"`) || d.Decode(&g) != nil {
			continue
		}
		change(g)
		if text, err := json.Marshal(g); err == nil {
			out[i] = string(text)
		}
	}
	return out
}
