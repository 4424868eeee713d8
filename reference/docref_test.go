package reference_test

import (
	"net/http"
	"testing"
)

func TestDocref(t *testing.T) { // USC-INT-04
	s := start(t, 0)
	if r := s.do(http.MethodPut, "/Patient/dp", `{"resourceType":"Patient","id":"dp","name":[{"family":"Paper"}]}`); r.status != 201 {
		t.Fatal(r.raw)
	}
	doc := func(id, code, date, context string) {
		t.Helper()
		r := s.do(http.MethodPut, "/DocumentReference/"+id, `{"resourceType":"DocumentReference","id":"`+id+`","status":"current","type":{"coding":[{"system":"http://loinc.org","code":"`+code+`"}]},
			"subject":{"reference":"Patient/dp"},"date":"`+date+`",`+context+`"content":[{"attachment":{"contentType":"text/plain","data":"eA=="}}]}`)
		if r.status != 201 {
			t.Fatalf("%s: %d %s", id, r.status, r.raw)
		}
	}
	doc("old", "34133-9", "2019-01-05T00:00:00Z", `"context":{"period":{"start":"2018-12-01","end":"2018-12-31"}},`)
	doc("new", "34133-9", "2021-01-05T00:00:00Z", `"context":{"period":{"start":"2020-12-01","end":"2020-12-31"}},`)
	doc("note", "11506-3", "2020-06-01T00:00:00Z", "")
	const op = "/DocumentReference/$docref"
	for query, want := range map[string]string{
		"?patient=dp": "DocumentReference/new DocumentReference/note",
		"?patient=Patient/dp&type=http://loinc.org%7C34133-9": "DocumentReference/new",
		"?patient=dp&start=2018":                              "DocumentReference/new DocumentReference/note DocumentReference/old",
		"?patient=dp&start=2020&end=2020-12-31":               "DocumentReference/new DocumentReference/note",
		"?patient=dp&end=2019":                                "DocumentReference/old",
		"?patient=dp&start=2022":                              "",
		"?patient=dp&on-demand=true":                          "",
		"?patient=dp&on-demand=false&end=2019":                "DocumentReference/old",
		"?patient=nobody":                                     "",
	} {
		r := s.get(op + query)
		if r.status != 200 || r.json["type"] != "searchset" || sortedIDs(r, "match") != want {
			t.Errorf("%s: %d %q, want %q: %.200s", query, r.status, sortedIDs(r, "match"), want, r.raw)
		}
	}
	posted := s.do(http.MethodPost, op, `{"resourceType":"Parameters","parameter":[{"name":"patient","valueId":"dp"},{"name":"end","valueDate":"2019-12-31"}]}`)
	if posted.status != 200 || sortedIDs(posted, "match") != "DocumentReference/old" {
		t.Errorf("POST: %d %s", posted.status, posted.raw)
	}
	newJudgeFor(t, "$docref", s.get(op+"?patient=dp").raw)
	for query, code := range map[string]string{
		"":                              "required",
		"?patient=a%20b":                "value",
		"?patient=dp&on-demand=maybe":   "value",
		"?patient=dp&start=yesterday":   "invalid",
		"?patient=dp&patient=dp":        "structure",
		"?patient=dp&nonsense=1":        "not-supported",
		"?patient=dp&type=a%7Cb,,c%7Cd": "invalid",
	} {
		if r := s.get(op+query, "Prefer", "handling=strict"); r.status != 400 || issueCode(r) != code {
			t.Errorf("%s: %d %s, want %s", query, r.status, issueCode(r), code)
		}
	}
}
