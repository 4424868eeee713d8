package planfile_test

import (
	"fmt"
	"strings"
	"testing"

	"fhirwire/testplans/planfile"
	"fhirwire/validators/fhirpath/fhirpathtest"
)

func TestVetRequirements(t *testing.T) {
	cited := "requirements: [MADE-03x, MADE-999, MADE-02, OURS-12, OURS-X]"
	src := strings.Replace(good, "    requirements: [P2P-SC-52]", "    "+cited, 1)
	if src == good {
		t.Fatal("the plan cites nothing")
	}
	plan, err := planfile.Parse("p.yaml", []byte(src), fhirpathtest.Small())
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Count(src[:strings.Index(src, cited)], "\n") + 1
	column := func(word string) int { return len("    ") + strings.Index(cited, word) + 1 }
	err = planfile.VetRequirements("p.yaml", []byte(src), plan, []string{"MADE-01", "MADE-02", "MADE-03", "MADE-10a"})
	want := fmt.Sprintf("p.yaml:%d:%d: there is no requirement MADE-03x; did you mean MADE-03?\n", line, column("MADE-03x")) +
		fmt.Sprintf("p.yaml:%d:%d: there is no requirement MADE-999; there are 4 from MADE-01 to MADE-10a", line, column("MADE-999"))
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if err := planfile.VetRequirements("p.yaml", []byte(src), plan, []string{"X-1"}); err != nil {
		t.Errorf("a plan's own ids: %v", err)
	}
}

// A plan that an editor saved with a byte order mark is the same plan.
func TestByteOrderMark(t *testing.T) {
	plain, err := planfile.Parse("p.yaml", []byte(good), fhirpathtest.Small())
	if err != nil {
		t.Fatal(err)
	}
	marked := []byte("\ufeff" + good)
	plan, err := planfile.Parse("p.yaml", marked, fhirpathtest.Small())
	if err != nil {
		t.Fatal(err)
	}
	if plan.ID != plain.ID || plan.Digest != plain.Digest {
		t.Errorf("got %s %s, want %s %s", plan.ID, plan.Digest, plain.ID, plain.Digest)
	}
	if err := planfile.VetRequirements("p.yaml", marked, plan, nil); err != nil {
		t.Error(err)
	}
	examples, err := planfile.Examples("p.txtar", []byte("\ufeff-- a/expect --\n* pass\n"))
	if err != nil || len(examples) != 1 {
		t.Errorf("examples with a mark: %d, %v", len(examples), err)
	}
}

func TestExampleMessages(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"-- a/1.response --\nHTP/1.1 200 OK\n", `p.txtar:2:1: "HTP/1.1 200 OK" begins a response; expected a status line such as HTTP/1.1 200 OK`},
		{"-- a/1.request --\nget /x\n", `p.txtar:2:1: "get /x" begins a request; expected a method and a path, such as GET /fhir/Patient`},
		{"-- a/1.request --\nGET /x HTTP/1.1\nAccept: a/b\nno colon\n", `p.txtar:4:1: "no colon" is no header: it has no colon; expected NAME: VALUE, or an empty line before the body`},
		{"-- a/1.request --\nGET /x\n-- a/1.answer --\n200\n", `p.txtar:3:1: file "1.answer"; expected N.request, N.response, N.failure, N.clientleg, N.serverleg, expect or edit`},
		{"-- a/1.request --\nPOST https://a.example/x?y=z\nA: b\n\nno colon\n-- a/1.response --\nHTTP/1.1 404\n-- a/1.clientleg --\n{}\n", ""},
	} {
		_, err := planfile.Examples("p.txtar", []byte(tt.text+"-- a/expect --\n* pass\n"))
		if got := fmt.Sprint(err); tt.want == "" && err != nil || tt.want != "" && got != tt.want {
			t.Errorf("%q: got\n%s\nwant\n%s", tt.text, got, tt.want)
		}
	}
}

// TestVetPackages: a package that is nearly one of the build is a mistake, since its range would rule nothing out; another is not.
func TestVetPackages(t *testing.T) {
	src := strings.Replace(good, `guides: {hl7.fhir.us.core: ">=3.1.1 <4"}`, `guides: {hl7.fhir.us.cor: ">=3.1.1 <4", hl7.fhir.us.mcode: "1"}`, 1)
	plan, err := planfile.Parse("p.yaml", []byte(src), nil)
	if err != nil {
		t.Fatal(err)
	}
	known := []string{"hl7.fhir.us.core", "hl7.fhir.us.davinci-pdex"}
	const want = "p.yaml:4:10: this build has no package hl7.fhir.us.cor; did you mean hl7.fhir.us.core?"
	if err := planfile.VetPackages("p.yaml", []byte(src), plan, known); err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if plan, err = planfile.Parse("p.yaml", []byte(good), nil); err != nil {
		t.Fatal(err)
	}
	if err := planfile.VetPackages("p.yaml", []byte(good), plan, known); err != nil {
		t.Error(err)
	}
}
