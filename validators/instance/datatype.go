package instance

import (
	"crypto/sha1" //nolint:gosec // Attachment.hash is SHA-1 by its definition
	"encoding/base64"
	"strconv"

	"fhirwire/validators/fhirjson"
)

// dataKind sorts the datatypes that have rules of their own.
type dataKind uint8

const (
	dataNone dataKind = iota
	dataExtension
	dataReference
	dataCoding
	dataCodeableConcept
	dataQuantity
	dataAttachment
	dataNarrative
	dataIdentifier
)

var dataKinds = map[string]dataKind{
	"Extension": dataExtension, "Reference": dataReference, "Coding": dataCoding, "CodeableConcept": dataCodeableConcept,
	"Quantity": dataQuantity, "Age": dataQuantity, "Count": dataQuantity, "Distance": dataQuantity, "Duration": dataQuantity,
	"Attachment": dataAttachment, "Narrative": dataNarrative, "Identifier": dataIdentifier,
}

// datatype runs the rules that a datatype has beyond its definition.
func (w *walk) datatype(e *fhirjson.Node, d dataKind, acts []*plan) {
	switch d {
	case dataReference:
		w.reference(e, acts)
	case dataCoding:
		w.coding(e, acts[0])
	case dataQuantity:
		if c, s := e.Member("code"), e.MemberText("system"); c != nil && c.Kind() == fhirjson.String && c.Text() != "" && s != "" && isAbsolute(s) {
			w.codeExists(e, c, acts[0], s)
		}
	case dataAttachment:
		w.attachment(e, acts[0])
	case dataNarrative:
		w.narrative(e, acts[0])
	case dataIdentifier:
		w.identifier(e, acts[0])
	case dataNone, dataExtension, dataCodeableConcept:
	}
}

// identifier checks that the namespace is absolute, and that a value which is to be a URI is one.
func (w *walk) identifier(e *fhirjson.Node, b *plan) {
	s := e.Member("system")
	if s == nil || s.Kind() != fhirjson.String || s.Text() == "" {
		return
	}
	if !isAbsolute(s.Text()) {
		w.add(finding{
			rule: ruleIdentifierSystem, node: s, prof: b.prof, expected: "an absolute URI", found: brief(s),
			message: w.name(s) + " is not an absolute URI.", next: "Name the namespace of the identifier by a URL of its own.",
		})
		return
	}
	if v := e.Member("value"); s.Text() == "urn:ietf:rfc:3986" && v != nil && v.Kind() == fhirjson.String && v.Text() != "" && !isAbsolute(v.Text()) {
		w.add(finding{
			rule: ruleIdentifierValue, node: v, prof: b.prof, expected: "an absolute URI", found: brief(v),
			message: w.name(v) + " is not a URI, which its system urn:ietf:rfc:3986 says it is.", next: "Write it with its scheme, such as urn:uuid: or urn:oid:.",
		})
	}
}

// attachment compares size and hash with the data, where that is in the resource.
func (w *walk) attachment(e *fhirjson.Node, b *plan) {
	data := e.Member("data")
	if data == nil || data.Kind() != fhirjson.String {
		return
	}
	size, blanks, fault := base64Fault(data.Text())
	if fault != "" {
		return
	}
	if s := e.Member("size"); s != nil && s.Kind() == fhirjson.Number && s.Text() != strconv.Itoa(size) {
		w.add(finding{
			rule: ruleAttachmentSize, node: e, prof: b.prof, expected: strconv.Itoa(size), found: s.Text(),
			message: w.name(e) + ".size is " + s.Text() + "; its data has " + strconv.Itoa(size) + " bytes.",
		})
	}
	if h := e.Member("hash"); h != nil && h.Kind() == fhirjson.String && !blanks {
		raw, err := base64.StdEncoding.DecodeString(data.Text())
		if err != nil {
			return
		}
		sum := sha1.Sum(raw) //nolint:gosec // as above
		if want := base64.StdEncoding.EncodeToString(sum[:]); want != h.Text() {
			w.add(finding{
				rule: ruleAttachmentHash, node: e, prof: b.prof, expected: want, found: brief(h),
				message: w.name(e) + ".hash is not the SHA-1 of its data.",
			})
		}
	}
}

// vitalSigns are the LOINC codes that put an Observation under one of R4's vital-sign profiles (Vital Signs Profile page).
var vitalSigns = map[string]string{
	"85353-1": "vitalspanel", "9279-1": "resprate", "8867-4": "heartrate", "2708-6": "oxygensat", "8310-5": "bodytemp",
	"8302-2": "bodyheight", //nolint:misspell // the id of the profile
	"9843-4": "headcircum", "29463-7": "bodyweight", "39156-5": "bmi", "85354-9": "bp",
}

// vitalSign finds the vital-sign profile for an Observation's code.
func vitalSign(n *fhirjson.Node) (canonical, code string) {
	c := n.Member("code")
	if c == nil {
		return "", ""
	}
	list := c.Member("coding")
	if list == nil {
		return "", ""
	}
	for x := list.First(); x != nil; x = x.Next() {
		if x.MemberText("system") == "http://loinc.org" {
			if name := vitalSigns[x.MemberText("code")]; name != "" {
				return corePrefix + name, x.MemberText("code")
			}
		}
	}
	return "", ""
}
