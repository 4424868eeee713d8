package bulk

import (
	"bytes"
	"slices"
	"strings"

	"fhirwire/validators/fhirjson"
)

// carin begins the profiles of claims; those of version 2.1 and later come with and without amounts.
const carin = "http://hl7.org/fhir/us/carin-bb/StructureDefinition/C4BB-ExplanationOfBenefit-"

// withoutAmounts is a claim without its money (DATA-06), claiming the Basis profile in place of the one that asks for amounts
// (DATA-03). An adjudication that was nothing but an amount goes too.
func withoutAmounts(root *fhirjson.Node) []byte {
	b := make([]byte, 1, root.End()-root.Offset())
	b[0] = '{'
	for m := root.First(); m != nil; m = m.Next() {
		switch m.Key() {
		case "total", "_total":
		case "meta":
			b = appendBasis(b, m)
		case "payment":
			b = appendObject(b, m, "amount")
		case "benefitBalance":
			b = appendItems(b, m, func(b []byte, e *fhirjson.Node) []byte { return appendPlain(b, e, "financial") })
		case "adjudication":
			b = appendAdjudications(b, m)
		case "item", "addItem":
			b = appendItems(b, m, appendItem)
		default:
			b = appendRaw(b, m)
		}
	}
	return closeObject(b)
}

func appendRaw(b []byte, m *fhirjson.Node) []byte {
	b = append(b, '"')
	b = append(b, m.Key()...)
	b = append(b, `":`...)
	b = append(b, m.Raw()...)
	return append(b, ',')
}

// closeObject ends an object or array whose items each end with a comma.
func closeObject(b []byte) []byte {
	if b[len(b)-1] == ',' {
		b[len(b)-1] = '}'
		return b
	}
	return append(b, '}')
}

func closeArray(b []byte) []byte {
	if b[len(b)-1] == ',' {
		b[len(b)-1] = ']'
		return b
	}
	return append(b, ']')
}

// appendPlain writes an object without some members.
func appendPlain(b []byte, o *fhirjson.Node, drop ...string) []byte {
	b = append(b, '{')
	for m := o.First(); m != nil; m = m.Next() {
		if !named(m.Key(), drop) {
			b = appendRaw(b, m)
		}
	}
	return closeObject(b)
}

func named(key string, drop []string) bool {
	return slices.Contains(drop, strings.TrimPrefix(key, "_"))
}

// appendObject writes a member that is an object; one that is empty then is left out, as FHIR has no empty objects.
func appendObject(b []byte, m *fhirjson.Node, drop ...string) []byte {
	start := len(b)
	b = append(b, `"`+m.Key()+`":`...)
	at := len(b)
	b = appendPlain(b, m, drop...)
	if len(b)-at == 2 {
		return b[:start]
	}
	return append(b, ',')
}

// appendItems writes a member that is an array of objects, each by one; an array of nothing is left out.
func appendItems(b []byte, m *fhirjson.Node, one func(b []byte, e *fhirjson.Node) []byte) []byte {
	start := len(b)
	b = append(b, `"`+m.Key()+`":[`...)
	at := len(b)
	for e := m.FirstOrNil(); e != nil; e = e.Next() {
		n := len(b)
		if b = one(b, e); len(b) == n {
			continue
		}
		if bytes.Equal(b[n:], []byte("{}")) {
			b = b[:n]
			continue
		}
		b = append(b, ',')
	}
	if len(b) == at {
		return b[:start]
	}
	return append(closeArray(b), ',')
}

// appendItem writes an item, a detail or a sub-detail.
func appendItem(b []byte, item *fhirjson.Node) []byte {
	b = append(b, '{')
	for m := item.First(); m != nil; m = m.Next() {
		switch m.Key() {
		case "unitPrice", "net", "_unitPrice", "_net":
		case "adjudication":
			b = appendAdjudications(b, m)
		case "detail", "subDetail":
			b = appendItems(b, m, appendItem)
		default:
			b = appendRaw(b, m)
		}
	}
	return closeObject(b)
}

func appendAdjudications(b []byte, m *fhirjson.Node) []byte {
	return appendItems(b, m, func(b []byte, e *fhirjson.Node) []byte {
		if e.Member("amount") != nil && e.Member("reason") == nil && e.Member("value") == nil && e.Member("extension") == nil {
			return b
		}
		return appendPlain(b, e, "amount")
	})
}

// appendBasis writes meta with the Basis profiles.
func appendBasis(b []byte, meta *fhirjson.Node) []byte {
	b = append(b, `"meta":{`...)
	for m := meta.First(); m != nil; m = m.Next() {
		if m.Key() != "profile" {
			b = appendRaw(b, m)
			continue
		}
		b = append(b, `"profile":[`...)
		for p := m.FirstOrNil(); p != nil; p = p.Next() {
			url, _, _ := strings.Cut(p.Text(), "|")
			if strings.HasPrefix(url, carin) && !strings.HasSuffix(url, "-Basis") {
				url += "-Basis"
				b = append(append(append(b, '"'), url...), `",`...)
				continue
			}
			b = append(append(b, p.Raw()...), ',')
		}
		b = append(closeArray(b), ',')
	}
	return append(closeObject(b), ',')
}
