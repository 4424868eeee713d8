package resources

import (
	"slices"

	"fhirwire/validators/fhirjson"
)

const subsettedTag = `{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}`

// Required gives the root elements that a resource of a type which claims these profiles cannot be without.
type Required func(typ string, profiles []string) []string

// Subset keeps the named root elements of a stored body, with resourceType, id, meta and what is required, and tags it
// SUBSETTED as R4 search asks of incomplete resources. A choice element is named by its stem: "value" keeps valueQuantity.
func Subset(body []byte, keep []string, required Required) ([]byte, error) {
	doc, err := parse(body)
	if err != nil {
		return nil, err
	}
	defer doc.Release()
	var profiles []string
	for p := doc.Root().Member("meta").Member("profile").FirstOrNil(); p != nil; p = p.Next() {
		profiles = append(profiles, p.Text())
	}
	must := required(doc.Root().ResourceType(), profiles)
	named := func(list []string, name string) bool {
		return slices.ContainsFunc(list, func(k string) bool {
			return k == name || len(name) > len(k) && name[:len(k)] == k && name[len(k)] >= 'A' && name[len(k)] <= 'Z'
		})
	}
	return subset(doc, func(name string) bool { return named(keep, name) || named(must, name) }), nil
}

// Without drops one root element of a stored body and tags what is left SUBSETTED.
func Without(body []byte, drop string) ([]byte, error) {
	doc, err := parse(body)
	if err != nil {
		return nil, err
	}
	defer doc.Release()
	return subset(doc, func(name string) bool { return name != drop }), nil
}

func subset(doc *fhirjson.Document, keep func(name string) bool) []byte {
	b := make([]byte, 1, len(doc.Source())+len(subsettedTag)+16)
	b[0] = '{'
	for m := doc.Root().First(); m != nil; m = m.Next() {
		name := m.Key()
		if name[0] == '_' {
			name = name[1:]
		}
		switch {
		case name == "meta":
			b = appendMeta(b, m)
		case name == "resourceType" || name == "id" || keep(name):
			b = appendMember(b, m)
		}
	}
	b = append(b, '}')
	if len(b) > 2 { // appendMember starts with a comma
		b = append(b[:1], b[2:]...)
	}
	return b
}

func appendMeta(b []byte, meta *fhirjson.Node) []byte {
	b = append(b, `,"meta":{`...)
	start := len(b)
	tags := []byte(subsettedTag)
	for m := meta.First(); m != nil; m = m.Next() {
		if m.Key() != "tag" {
			b = appendMember(b, m)
			continue
		}
		for t := m.First(); t != nil; t = t.Next() {
			tags = append(append(tags, ','), t.Raw()...)
		}
	}
	b = append(b, `,"tag":[`...)
	b = append(append(b, tags...), "]}"...)
	return append(b[:start], b[start+1:]...)
}
