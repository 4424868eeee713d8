package checks_test

import (
	"strings"
	"testing"

	"fhirwire/testplans"
	"fhirwire/testplans/checks"
)

// TestStablePer: what has one version is the same each time, and a version that is another may be otherwise.
func TestStablePer(t *testing.T) {
	const reads = `-- 1.request --
GET /fhir/Group/g
-- 1.response --
HTTP/1.1 200 OK
Content-Type: application/fhir+json

{"resourceType":"Group","id":"g","meta":{"versionId":"1"},"member":[{"entity":{"reference":"Patient/a"}}]}
-- 2.request --
GET /fhir/Group/g
-- 2.response --
HTTP/1.1 200 OK
Content-Type: application/fhir+json

{"resourceType":"Group","id":"g","meta":{"versionId":"2"},"member":[{"entity":{"reference":"Patient/b"}}]}
`
	for _, tt := range []struct {
		name, was, is string
		want          testplans.Verdict
		message       string
	}{
		{"another version", "", "", testplans.Pass, ""},
		{"one version", `"versionId":"2"`, `"versionId":"1"`, testplans.Fail, `/meta/versionId is "1" both times`},
		{"another list", "GET /fhir/Group/g\n-- 2", "GET /fhir/Group/h\n-- 2", testplans.NotShown, "no URL was asked for twice"},
		{"no version", `"versionId":"2"`, `"version":"2"`, testplans.NotShown, "no URL was asked for twice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := reads
			if tt.was != "" {
				if text = strings.Replace(reads, tt.was, tt.is, 1); text == reads {
					t.Fatal("nothing was replaced")
				}
			}
			c := checks.Case{
				Desk: checks.NewDesk(nil), Attempts: archive(t, text),
				Check: &testplans.Check{Stable: &testplans.StableCheck{At: "/member", Per: "/meta/versionId"}},
			}
			out, err := checks.NewTable(nil).Ask(t.Context(), &c)
			if err != nil || out.Verdict != tt.want || !strings.Contains(out.Message, tt.message) {
				t.Errorf("got %s %q, %v", out.Verdict, out.Message, err)
			}
		})
	}
}
