package instance_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"fhirwire/validators"
	"fhirwire/validators/ig"
	"fhirwire/validators/instance"
)

// versions are two versions of a guide: 1 asks for a name, 2 for a birth date; the extension of 1 holds a code, of 2 a string.
func versions(t *testing.T, opt instance.Options) *instance.Validator {
	t.Helper()
	lib, err := library()
	if err != nil {
		t.Fatal(err)
	}
	def := func(version, url, typ, elements string) *ig.Resource {
		src := `{"resourceType":"StructureDefinition","url":"http://example.com/v/` + url + `","version":"` + version + `","name":"V","status":"draft",
			"fhirVersion":"4.0.1","kind":"` + map[bool]string{true: "resource", false: "complex-type"}[typ != "Extension"] + `","abstract":false,"type":"` + typ + `",
			"baseDefinition":"http://hl7.org/fhir/StructureDefinition/` + typ + `","derivation":"constraint","context":[{"type":"element","expression":"Element"}],
			"differential":{"element":[` + elements + `]}}`
		r, err := ig.ReadFile(url+".json", []byte(src))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	value := func(typ string) string {
		return `{"id":"Extension.url","path":"Extension.url","fixedUri":"http://example.com/v/x"},
			{"id":"Extension.value[x]","path":"Extension.value[x]","min":1,"type":[{"code":"` + typ + `"}]}`
	}
	one := &ig.Package{Name: "test.versions", Version: "1.0.0", Resources: []*ig.Resource{
		def("1.0.0", "patient", "Patient", `{"id":"Patient.name","path":"Patient.name","min":1}`),
		def("1.0.0", "organization", "Organization", `{"id":"Organization.name","path":"Organization.name","min":1}`),
		def("1.0.0", "bundle", "Bundle", `{"id":"Bundle.timestamp","path":"Bundle.timestamp","min":1}`),
		def("1.0.0", "x", "Extension", value("code")),
	}}
	two := &ig.Package{Name: "test.versions", Version: "2.0.0", Resources: []*ig.Resource{
		def("2.0.0", "patient", "Patient", `{"id":"Patient.birthDate","path":"Patient.birthDate","min":1}`),
		def("2.0.0", "organization", "Organization", `{"id":"Organization.active","path":"Organization.active","min":1}`),
		def("2.0.0", "bundle", "Bundle", `{"id":"Bundle.total","path":"Bundle.total","min":1},{"id":"Bundle.timestamp","path":"Bundle.timestamp","min":1}`),
		def("2.0.0", "x", "Extension", value("string")),
	}}
	if lib, err = lib.With(one, two); err != nil {
		t.Fatal(err)
	}
	set, err := lib.Set()
	if err != nil {
		t.Fatal(err)
	}
	return instance.New(set, set.Terms(), opt)
}

func TestVersions(t *testing.T) {
	const (
		newest = "claimed in meta.profile; 2.0.0 of the active versions 1.0.0, 2.0.0 is the newest"
		fits   = " of the active versions 1.0.0, 2.0.0 fits best"
		code   = `"extension":[{"url":"http://example.com/v/x","valueCode":"a"}]`
	)
	patient := func(more string) string {
		return `{"resourceType":"Patient","meta":{"profile":["http://example.com/v/patient"]}` + more + `}`
	}
	for _, c := range []struct {
		name, in, why string
		prefer        []string
		want          []string
	}{
		{name: "newest", in: patient(`,"birthDate":"2000-01-01"`), why: newest},
		{name: "older", in: patient(`,"name":[{"text":"A"}]`), why: "claimed in meta.profile; 1.0.0" + fits},
		{name: "neither", in: patient(`,"active":true`), why: "claimed in meta.profile; 2.0.0" + fits, want: []string{"cardinality-min Patient.birthDate 2.0.0"}},
		{
			name: "preferred", in: patient(`,"birthDate":"2000-01-01"`), prefer: []string{"test.versions#1.0.0"},
			why:  "claimed in meta.profile; 1.0.0 of the active versions 1.0.0, 2.0.0 is preferred",
			want: []string{"cardinality-min Patient.name 1.0.0"},
		},
		{
			name: "named", in: strings.Replace(patient(`,"birthDate":"2000-01-01"`), "v/patient", "v/patient|1.0.0", 1), why: "claimed in meta.profile",
			want: []string{"cardinality-min Patient.name 1.0.0"},
		},
		{name: "extension goes with its profile", in: patient(`,"name":[{"text":"A"}],` + code), why: "claimed in meta.profile; 1.0.0" + fits},
		{
			name: "extension decides", in: patient(`,"name":[{"text":"A"}],"birthDate":"2000-01-01",` + code),
			why: "claimed in meta.profile; 1.0.0" + fits,
		},
		{
			name: "extension in a named version", in: strings.Replace(patient(`,"birthDate":"2000-01-01",`+code), "v/patient", "v/patient|2.0.0", 1),
			why: "claimed in meta.profile", want: []string{"choice-type Patient.extension[0].valueCode 2.0.0"},
		},
		{name: "extension alone", in: `{"resourceType":"Patient",` + code + `}`},
		{
			name: "contained resource goes with its container",
			in: patient(`,"name":[{"text":"A"}],"managingOrganization":{"reference":"#o"},"contained":[{"resourceType":"Organization","id":"o",
				"meta":{"profile":["http://example.com/v/organization"]},"name":"P","active":true}]`),
			why: "claimed in meta.profile; 1.0.0" + fits,
		},
		{
			name: "entries on their own",
			in: `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"http://example.com/Patient/1","resource":` + patient(`,"id":"1","name":[{"text":"A"}]`) + `},
				{"fullUrl":"http://example.com/Patient/2","resource":` + patient(`,"id":"2","birthDate":"2000-01-01"`) + `}]}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := validate(t, versions(t, instance.Options{Prefer: c.prefer}), []byte(c.in))
			var got []string
			for _, is := range r.Issues {
				_, version, _ := strings.Cut(is.Profile, "|")
				place := is.Expression
				if is.MessageID == "cardinality-min" {
					place = strings.Fields(is.Message)[0]
				}
				got = append(got, is.MessageID+" "+place+" "+version)
			}
			if !slices.Equal(c.want, got) {
				t.Errorf("issues %q, want %q", got, c.want)
			}
			if why := claimed(r.Resources[0]); c.why != "" && why != c.why {
				t.Errorf("why %q, want %q", why, c.why)
			}
			if b, err := json.Marshal(r); err != nil || r.Checked != len(r.Resources) {
				t.Errorf("%d resources checked, %d rows: %s", r.Checked, len(r.Resources), b)
			}
		})
	}
}

func claimed(r validators.ResourceResult) string {
	for _, p := range r.Profiles {
		if strings.HasPrefix(p.Why, "claimed") {
			return p.Why
		}
	}
	return ""
}

// TestVersionsNested: Bundles in Bundles, each with an open claim that fits no version, take time in proportion to their depth.
func TestVersionsNested(t *testing.T) {
	v := versions(t, instance.Options{})
	var b strings.Builder
	const depth = 20
	for range depth {
		b.WriteString(`{"resourceType":"Bundle","meta":{"profile":["http://example.com/v/bundle"]},"type":"collection","entry":[{"resource":`)
	}
	b.WriteString(`{"resourceType":"Patient","meta":{"profile":["http://example.com/v/patient"]}}`)
	for range depth {
		b.WriteString(`},{"resource":{"resourceType":"Patient","meta":{"profile":["http://example.com/v/patient"]},"name":[{"text":"A"}]}}]}`)
	}
	r := validate(t, v, []byte(b.String()))
	if r.Summary.Errors != depth+1 || r.Checked != 2*depth+1 {
		t.Errorf("%+v, %d checked", r.Summary, r.Checked)
	}
}
