package resources

import (
	"bytes"

	"fhirwire/validators/fhirjson"
)

// The labels of sensitive data: more than normally confidential, or any policy of the act code system.
const (
	confidentiality = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
	actCode         = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
)

// SensitiveTokens are the values of _security that sensitive resources have.
var SensitiveTokens = []string{confidentiality + "|R", confidentiality + "|V", actCode + "|"}

// Sensitive reports a stored body labelled as sensitive.
func Sensitive(body []byte) bool {
	if !bytes.Contains(body[:min(len(body), 2048)], []byte(`"security"`)) { // meta comes first in stored bodies
		return false
	}
	doc := fhirjson.Parse(body)
	defer doc.Release()
	for s := doc.Root().Member("meta").Member("security").FirstOrNil(); s != nil; s = s.Next() {
		system, code := s.MemberText("system"), s.MemberText("code")
		if system == actCode || system == confidentiality && (code == "R" || code == "V") {
			return true
		}
	}
	return false
}
