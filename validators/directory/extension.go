package directory

import (
	"fmt"
	"slices"
	"strings"

	"fhirwire/validators/fhirjson"
)

// extensionDef is what an extension's StructureDefinition asks for: how often it may stand, and its parts or its value.
type extensionDef struct {
	name        string
	requirement string
	max         int // 0: any number
	value       string
	codes       []string
	parts       []partDef
}

type partDef struct {
	name     string
	value    string // the value's type: valueCode → "Code"
	required bool
	codes    []string
}

var extensionDefs = []extensionDef{
	{name: "base-ext-endpoint-usecase", requirement: "P2P-DIR-132", parts: []partDef{
		{"endpointUsecasetype", "CodeableConcept", true, []string{"payerToPayer"}}, {"standard", "Uri", false, nil},
	}},
	{name: "base-ext-fhir-ig", requirement: "P2P-DIR-133", parts: []partDef{
		{"ig-publication", "Uri", false, nil}, {"ig-name", "String", false, nil}, {"ig-version", "String", false, nil},
	}},
	{name: "base-ext-secureExchangeArtifacts", requirement: "P2P-DIR-134", parts: []partDef{
		{"secureExchangeArtifactsType", "CodeableConcept", true, []string{
			mtlsArtifact, "x509-ssl-tls-certificates", "x509-identity-certificate", "x509-signing-certificate", "x509-encryption-certificate",
		}},
		{"certificate", "Base64Binary", false, nil},
		{"expirationDate", "DateTime", false, nil},
	}},
	{name: "base-ext-trustFramework", requirement: "P2P-DIR-135", parts: []partDef{
		{"trustFrameworkType", "CodeableConcept", true, []string{"PayerToPayer", "TEFCA", "CareQuality", "DirectTrust", "Commonwell", "Exchange", "PCDH"}},
		{"qualifier", "String", false, nil},
		{"signedArtifact", "Base64Binary", false, nil},
		{"publicCertificate", "Base64Binary", false, nil},
	}},
	{name: "base-ext-dynamicRegistration", requirement: "P2P-DIR-136", parts: []partDef{
		{"trustProfile", "CodeableConcept", false, []string{"smart", "udap"}}, {"version", "String", false, nil},
	}},
	{name: "base-ext-associatedServers", requirement: "P2P-DIR-137", parts: []partDef{
		{"associatedServersType", "CodeableConcept", true, nil}, {"serverURL", "String", false, nil},
	}},
	{name: "base-ext-endpointAccessControlMechanism", requirement: "P2P-DIR-138", max: 1, value: "CodeableConcept", codes: []string{"mutual-tls"}},
	{name: "base-ext-endpoint-connection-type-version", requirement: "P2P-DIR-139", value: "CodeableConcept"},
	{name: "base-ext-endpoint-rank", requirement: "P2P-DIR-140", max: 1, value: "PositiveInt"},
	{name: "base-ext-verification-status", requirement: "P2P-DIR-141", max: 1, value: "CodeableConcept", codes: []string{"complete", "incomplete", "not-required"}},
}

// extensions gives a resource's extensions of one definition; PDex 2.1 and later take some from the NDH guide.
func extensions(n *fhirjson.Node, name string) []*fhirjson.Node {
	var out []*fhirjson.Node
	for _, x := range list(n, "extension") {
		if u := x.MemberText("url"); u == profiles+name || u == ndh+name {
			out = append(out, x)
		}
	}
	return out
}

// part is the part of a complex extension with this name, nil without one.
func part(x *fhirjson.Node, name string) *fhirjson.Node {
	for _, p := range list(x, "extension") {
		if p.MemberText("url") == name {
			return p
		}
	}
	return nil
}

// value is the value of a part or a simple extension, whatever its type.
func value(x *fhirjson.Node) *fhirjson.Node {
	for c := x.FirstOrNil(); c != nil; c = c.Next() {
		if strings.HasPrefix(c.Key(), "value") {
			return c
		}
	}
	return nil
}

func partText(x *fhirjson.Node, name string) string {
	return textOf(value(part(x, name)))
}

type coded struct {
	code, system string
	node         *fhirjson.Node
}

// concept is the first coding of a CodeableConcept.
func concept(n *fhirjson.Node) coded {
	for _, c := range list(n, "coding") {
		return coded{c.MemberText("code"), c.MemberText("system"), c}
	}
	return coded{}
}

func (c *checker) checkExtensions(n *fhirjson.Node) {
	for _, d := range extensionDefs {
		all := extensions(n, d.name)
		if d.max > 0 && len(all) > d.max {
			c.report("dir-extension", all[d.max], finding{message: "The extension " + d.name + " stands too often.", expected: fmt.Sprintf("%d at most", d.max), found: fmt.Sprint(len(all)), doNext: "Keep one.", requirement: d.requirement})
		}
		for _, x := range all {
			c.checkExtension(d, x)
		}
	}
}

func (c *checker) checkExtension(d extensionDef, x *fhirjson.Node) {
	if d.parts == nil {
		c.checkValue(d.name, d.value, d.codes, d.requirement, x)
		return
	}
	for _, p := range d.parts {
		at := part(x, p.name)
		switch {
		case at != nil:
			c.checkValue(d.name+"."+p.name, p.value, p.codes, d.requirement, at)
		case p.required:
			c.report("dir-extension", x, finding{message: fmt.Sprintf("The extension %s has no %s.", d.name, p.name), expected: p.name + " with value" + p.value, found: "none", doNext: "Add the part or leave the extension out.", requirement: d.requirement})
		}
	}
	for _, p := range list(x, "extension") {
		if u := p.MemberText("url"); !slices.ContainsFunc(d.parts, func(known partDef) bool { return known.name == u }) {
			c.report("dir-extension", p, finding{message: fmt.Sprintf("The extension %s has no part %q.", d.name, u), expected: partNames(d), found: u, doNext: "Correct the part's name.", requirement: d.requirement})
		}
	}
}

func partNames(d extensionDef) string {
	names := make([]string, len(d.parts))
	for i, p := range d.parts {
		names[i] = p.name
	}
	return strings.Join(names, ", ")
}

func (c *checker) checkValue(name, typ string, codes []string, requirement string, x *fhirjson.Node) {
	v := value(x)
	if v == nil || v.Key() != "value"+typ {
		found := "no value"
		if v != nil {
			found = v.Key()
		}
		c.report("dir-extension", or(v, x), finding{message: name + " has not the value that its definition wants.", expected: "value" + typ, found: found, doNext: "Write the value as value" + typ + ".", requirement: requirement})
		return
	}
	if typ != "CodeableConcept" || codes == nil {
		return
	}
	if k := concept(v); k.code != "" && !slices.Contains(codes, k.code) {
		c.report("dir-extension-code", or(k.node, v), finding{message: fmt.Sprintf("The code of %s is not one that partners know.", name), expected: strings.Join(codes, ", "), found: k.code, doNext: "Use one of the codes, or say in text what is meant.", requirement: requirement})
	} else if k.code != "" && !strings.HasPrefix(k.system, "http://hl7.org/fhir/us/davinci-pdex/CodeSystem/") && !strings.HasPrefix(k.system, "http://hl7.org/fhir/us/ndh/CodeSystem/") {
		c.report("dir-extension-code", k.node, finding{message: fmt.Sprintf("The code of %s is from another code system.", name), expected: "a code system of PDex 2.0.0 or of NDH", found: inWords(k.system), doNext: "Correct the system.", requirement: requirement})
	}
}
