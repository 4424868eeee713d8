package instance_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/instance"
)

// FuzzValidate: any input gives a report, in time, with every place inside the input.
func FuzzValidate(f *testing.F) {
	for _, s := range []string{patient, observation, searchset, document, response, goodPatient} {
		f.Add([]byte(s))
	}
	for _, x := range examples {
		if len(x.new) < 4096 {
			f.Add([]byte(strings.Replace(x.in, x.old, x.new, 1)))
		}
	}
	v := rulesValidator(f, instance.Options{BestPractice: true, SecurityChecks: true})
	f.Fuzz(func(t *testing.T, src []byte) {
		doc := fhirjson.Parse(src)
		r, err := v.ValidateDocument(t.Context(), doc)
		if err != nil {
			t.Fatal(err)
		}
		if doc.Root() == nil && len(r.Issues) == 0 {
			t.Fatal("nothing to validate and no issue")
		}
		for i := range r.Issues {
			is := &r.Issues[i]
			if is.Offset < 0 || is.Offset > len(src) || is.Line < 1 || is.Column < 1 || is.MessageID == "" || is.Message == "" {
				t.Fatalf("bad issue %+v", is)
			}
			if is.Resource >= len(r.Resources) {
				t.Fatalf("issue of resource %d of %d", is.Resource, len(r.Resources))
			}
		}
		doc.Release()
	})
}

// TestBombs: hostile sizes end in time and in findings.
func TestBombs(t *testing.T) {
	v := rulesValidator(t, instance.Options{})
	many := func(n int, s string) string { return strings.TrimSuffix(strings.Repeat(s+",", n), ",") }
	for name, src := range map[string]string{
		"depth":      `{"resourceType":"Patient","contact":` + strings.Repeat("[", 5000),
		"extensions": `{"resourceType":"Patient","extension":[` + strings.Repeat(`{"url":"http://e/x","extension":[`, 60) + strings.Repeat("]}", 60) + "]}",
		"contained":  strings.Repeat(`{"resourceType":"Patient","contained":[`, 60) + strings.Repeat("]}", 60),
		"items":      `{"resourceType":"Patient","name":[` + many(200_000, `{"x":1}`) + `]}`,
		"members":    `{` + wide(100_000) + `,"resourceType":"Patient"}`,
		"urls":       `{"resourceType":"Patient","extension":[` + numbered(50_000, `{"url":"http://e/%","valueBoolean":true}`) + `]}`,
		"many":       `{"resourceType":"Patient","contained":[` + numbered(20_000, `{"resourceType":"Organization","id":"o%","name":"x","partOf":{"reference":"#p%"}}`) + `]}`,
		"anchors": `{"resourceType":"Bundle","type":"collection","entry":[` + numbered(2_000, `{"fullUrl":"http://e/Patient/%","resource":{"resourceType":"Patient","id":"%",
			"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"#x%\">y</a></div>"}}}`) + `]}`,
		"codes":       `{"resourceType":"Patient","maritalStatus":{"coding":[` + many(100_000, `{"system":"http://e/s","code":"x"}`) + `]}}`,
		"ids":         `{"resourceType":"Patient","name":[` + many(100_000, `{"id":"a","text":"x"}`) + `]}`,
		"long string": `{"resourceType":"Patient","name":[{"text":"` + strings.Repeat("x", 10<<20) + `"}]}`,
		"links":       `{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">` + strings.Repeat(`<a href=\"#x\">y</a>`, 50_000) + `</div>"}}`,
		"entries":     `{"resourceType":"Bundle","type":"collection","entry":[` + many(50_000, `{"fullUrl":"http://e/Patient/1","resource":{"resourceType":"Patient","id":"1"}}`) + `]}`,
		"references": `{"resourceType":"Bundle","type":"document","entry":[` + many(3_000, `{"fullUrl":"http://e/Patient/1","resource":{"resourceType":"Patient","id":"1",
			"generalPractitioner":[{"reference":"http://e/Patient/1"}]}}`) + `]}`,
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			r := validate(t, v, []byte(src))
			if took := time.Since(start); took > 2*time.Minute {
				t.Errorf("took %v", took)
			}
			if len(r.Issues) == 0 || len(r.Issues) > 1000 {
				t.Errorf("%d issues", len(r.Issues))
			}
		})
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v := rulesValidator(t, instance.Options{})
	if _, err := v.ValidateDocument(ctx, fhirjson.Parse([]byte(patient))); err == nil {
		t.Error("a cancelled validation gave a report")
	}
}

func wide(n int) string { return numbered(n, `"m%":1`) }

// numbered repeats a text with % replaced by a number.
func numbered(n int, s string) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = strings.ReplaceAll(s, "%", strconv.Itoa(i))
	}
	return strings.Join(parts, ",")
}
