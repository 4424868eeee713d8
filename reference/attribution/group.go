package attribution

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"fhirwire/validators/fhirjson"
)

const (
	extBase     = "http://hl7.org/fhir/us/davinci-atr/StructureDefinition/"
	extStatus   = extBase + "ext-attributionListStatus"
	extContract = extBase + "ext-contractValidityPeriod"
	extChange   = extBase + "ext-changeType"
	extCoverage = extBase + "ext-coverageReference"
	extProvider = extBase + "ext-attributedProvider"
)

// Status is where a list is in its life (ATR-20 to ATR-25).
type Status string

// The statuses. A Group that names none is a draft: that is how POST Group leaves it.
const (
	Draft Status = "draft"
	Open  Status = "open"
	Final Status = "final"
)

// list is a Group taken apart. It points into the parsed document.
type list struct {
	root    *fhirjson.Node
	status  Status
	entries []entry
}

// entry is a Group.member. An entry that is not changed is written as it was read.
type entry struct {
	node                        *fhirjson.Node // nil for a new one
	patient, provider, coverage string         // references; patient is an id
	providerNPI                 string         // of a provider named by identifier only
	period                      json.RawMessage
	inactive                    bool
	change                      string
	changed                     bool
}

func extension(n *fhirjson.Node, url string) *fhirjson.Node {
	for e := n.Member("extension").FirstOrNil(); e != nil; e = e.Next() {
		if e.MemberText("url") == url {
			return e
		}
	}
	return nil
}

// patientID is the id in a reference to a Patient, relative or absolute; "" for another.
func patientID(reference string) string {
	before, id, ok := strings.Cut(reference, "Patient/")
	if !ok || before != "" && !strings.HasSuffix(before, "/") {
		return ""
	}
	id, _, _ = strings.Cut(id, "/_history/")
	if strings.Contains(id, "/") {
		return ""
	}
	return id
}

func readList(root *fhirjson.Node) *list {
	l := &list{root: root, status: Draft}
	if s := extension(root, extStatus).MemberText("valueCode"); s != "" {
		l.status = Status(s)
	}
	for m := root.Member("member").FirstOrNil(); m != nil; m = m.Next() {
		e := entry{node: m, patient: patientID(m.Member("entity").MemberText("reference")), inactive: m.MemberText("inactive") == "true"}
		e.coverage = extension(m, extCoverage).Member("valueReference").MemberText("reference")
		provider := extension(m, extProvider).Member("valueReference")
		e.provider = provider.MemberText("reference")
		if id := provider.Member("identifier"); id != nil {
			e.providerNPI = id.MemberText("value")
		}
		if p := m.Member("period"); p != nil {
			e.period = p.Raw()
		}
		l.entries = append(l.entries, e)
	}
	return l
}

// active counts the members that are attributed; one with several providers counts once (ATR-11).
func (l *list) active() int {
	seen := make(map[string]bool, len(l.entries))
	for i := range l.entries {
		if !l.entries[i].inactive {
			seen[l.entries[i].patient] = true
		}
	}
	return len(seen)
}

// bytes is the Group with its members, quantity and status as they are now; all else is as it was.
func (l *list) bytes() []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for m := l.root.First(); m != nil; m = m.Next() {
		switch m.Key() {
		case "member", "quantity", "extension":
			continue
		}
		field(&b, m.Key(), m.Raw())
	}
	b.WriteString(`"extension":[`)
	for e := l.root.Member("extension").FirstOrNil(); e != nil; e = e.Next() {
		if e.MemberText("url") != extStatus {
			b.Write(e.Raw())
			b.WriteByte(',')
		}
	}
	b.WriteString(`{"url":"` + extStatus + `","valueCode":"` + string(l.status) + `"}]`)
	b.WriteString(`,"quantity":` + strconv.Itoa(l.active()))
	for i := range l.entries {
		if i == 0 {
			b.WriteString(`,"member":[`)
		} else {
			b.WriteByte(',')
		}
		l.entries[i].write(&b)
	}
	if len(l.entries) > 0 {
		b.WriteByte(']')
	}
	b.WriteByte('}')
	return b.Bytes()
}

// field writes one member of an object and the comma behind it.
func field(b *bytes.Buffer, name string, raw []byte) {
	b.WriteString(quote(name))
	b.WriteByte(':')
	b.Write(raw)
	b.WriteByte(',')
}

func quote(s string) string {
	q, err := json.Marshal(s)
	if err != nil { // a string always marshals
		panic(err)
	}
	return string(q)
}

func (e *entry) write(b *bytes.Buffer) {
	if !e.changed {
		b.Write(e.node.Raw())
		return
	}
	b.WriteByte('{')
	var extensions [][]byte
	add := func(url, kind, value string) {
		extensions = append(extensions, []byte(`{"url":"`+url+`","`+kind+`":`+value+`}`))
	}
	add(extChange, "valueCode", quote(e.change))
	if e.coverage != "" {
		add(extCoverage, "valueReference", `{"reference":`+quote(e.coverage)+`}`)
	}
	if e.node == nil {
		if e.provider != "" {
			add(extProvider, "valueReference", `{"reference":`+quote(e.provider)+`}`)
		}
		field(b, "entity", []byte(`{"reference":`+quote("Patient/"+e.patient)+`}`))
	} else {
		for x := e.node.Member("extension").FirstOrNil(); x != nil; x = x.Next() {
			if url := x.MemberText("url"); url != extChange && (url != extCoverage || e.coverage == "") {
				extensions = append(extensions, x.Raw())
			}
		}
		for m := e.node.First(); m != nil; m = m.Next() {
			if !slices.Contains([]string{"extension", "period", "inactive"}, m.Key()) {
				field(b, m.Key(), m.Raw())
			}
		}
	}
	field(b, "extension", slices.Concat([]byte("["), bytes.Join(extensions, []byte(",")), []byte("]")))
	if e.period != nil {
		field(b, "period", e.period)
	}
	b.WriteString(`"inactive":` + strconv.FormatBool(e.inactive) + "}")
}

// only is the Group with the entries of one patient, for $attribution-status.
func (l *list) only(patient string) []byte {
	part := &list{root: l.root, status: l.status}
	for i := range l.entries {
		if l.entries[i].patient == patient && !l.entries[i].inactive {
			part.entries = append(part.entries, l.entries[i])
		}
	}
	return part.bytes()
}

// WithoutOptedOut is a Group without the members who opted out, in whatever state the list is, and how many they were. With
// nobody to leave out it is the body as given. Opted-out members are on no provider's list (ATR-03).
func WithoutOptedOut(body []byte, out func(patient string) bool) ([]byte, int) {
	doc := fhirjson.Parse(body)
	defer doc.Release()
	root := doc.Root()
	left := 0
	var members [][]byte
	active := map[string]bool{}
	for m := root.Member("member").FirstOrNil(); m != nil; m = m.Next() {
		id := patientID(m.Member("entity").MemberText("reference"))
		if id != "" && out(id) {
			left++
			continue
		}
		members = append(members, m.Raw())
		if m.MemberText("inactive") != "true" {
			active[id] = true
		}
	}
	if left == 0 {
		return body, 0
	}
	var b bytes.Buffer
	b.Grow(len(body))
	b.WriteByte('{')
	for m := root.First(); m != nil; m = m.Next() {
		switch m.Key() {
		case "member":
			if len(members) > 0 {
				field(&b, "member", slices.Concat([]byte("["), bytes.Join(members, []byte(",")), []byte("]")))
			}
		case "quantity":
			field(&b, "quantity", strconv.AppendInt(nil, int64(len(active)), 10))
		default:
			field(&b, m.Key(), m.Raw())
		}
	}
	b.Truncate(b.Len() - 1)
	b.WriteByte('}')
	return slices.Clone(b.Bytes()), left
}

// StatusOf is the status of a list.
func StatusOf(group []byte) Status {
	doc := fhirjson.Parse(group)
	defer doc.Release()
	if s := extension(doc.Root(), extStatus).MemberText("valueCode"); s != "" {
		return Status(strings.Clone(s))
	}
	return Draft
}
