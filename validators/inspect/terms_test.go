package inspect_test

import (
	"testing"

	"fhirwire/proxy"
	"fhirwire/validators"
	"fhirwire/validators/inspect"
	"fhirwire/validators/instance"
	"fhirwire/validators/terminology"
)

// asked is a terminology that knows one code more, and that one not to be.
type asked struct{ *terminology.Service }

func (a asked) Code(system, code string) (string, terminology.Answer) {
	if system == "http://snomed.info/sct" && code == "363787002" {
		return "", terminology.Answer{Value: terminology.No, Why: "the server does not have it"}
	}
	return a.Service.Code(system, code)
}

// TestTerms: with a terminology of its own an inspector finds what offline cannot be told, and its reports name it.
func TestTerms(t *testing.T) {
	const src = `{"resourceType":"Observation","id":"o","status":"final","code":{"coding":[{"system":"http://snomed.info/sct","code":"363787002"}]}}`
	inspectWith := func(o inspect.Options) validators.Report {
		bodies := memory{}
		ex := &proxy.Exchange{ID: "x"}
		ex.Request.Method, ex.Request.Target = "GET", "http://payer.example/fhir/Observation/o"
		ex.Response = &proxy.Response{Status: 200, Message: message(bodies, body{mediaType: "application/fhir+json", data: []byte(src)})}
		rep, err := inspect.New(library, bodies, o).Inspect(t.Context(), ex)
		if err != nil {
			t.Fatal(err)
		}
		return rep
	}
	off := inspectWith(inspect.Options{})
	if off.Context.Terminology != "offline" || off.Summary.NotChecked == 0 {
		t.Errorf("offline: %+v, %+v", off.Context, off.Summary)
	}
	const server = "http://tx.example/r4"
	on := inspectWith(inspect.Options{Terms: func(local *terminology.Service) instance.Terminology { return asked{local} }, TermsName: server})
	if on.Context.Terminology != server || on.Summary.NotChecked >= off.Summary.NotChecked {
		t.Errorf("with a server: %+v, %+v", on.Context, on.Summary)
	}
}
