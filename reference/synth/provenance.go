package synth

import (
	"fmt"
	"time"
)

// provenance names where the resources written since the last one came from; it writes nothing when there are none.
func (b *builder) provenance(m *member, at time.Time, format, author string) {
	targets := b.take()
	if len(targets) == 0 {
		return
	}
	w := &b.w
	b.begin("Provenance", m.newID("Provenance"), at, fmt.Sprintf("Source of %d resources", len(targets)), pdex+"pdex-provenance")
	w.refs("target", targets...)
	w.instant("recorded", b.last)
	w.list("agent")
	w.obj("")
	w.concept("type", "", code{"http://hl7.org/fhir/us/core/CodeSystem/us-core-provenance-participant-type", "transmitter", "Transmitter"})
	w.ref("who", "Organization/"+PayerID)
	w.end()
	w.obj("")
	w.concept("type", "", code{tho + "provenance-participant-type", "author", "Author"})
	if author == "Organization/"+PayerID {
		w.ref("who", author)
	} else {
		w.ref("who", "Practitioner/"+b.net.people[m.doctor].id)
		w.ref("onBehalfOf", author)
	}
	w.end()
	w.endList()
	w.list("entity")
	w.obj("")
	w.list("extension")
	w.obj("")
	w.str("url", pdex+"ProvenanceSourceFrom")
	w.concept("valueCodeableConcept", "", code{pdexCS + "ProvenancePayerDataSource", format, sourceNames[format]})
	w.end()
	w.endList()
	w.str("role", "source")
	w.obj("what")
	w.str("display", sourceNames[format]+" received by "+PayerName)
	w.end()
	w.end()
	w.endList()
	b.done()
}

// sourceNames is read only.
var sourceNames = map[string]string{
	"customtx": "Trading Partner Format", "hl7ccda": "HL7 C-CDA", "hl7fhirr4": "FHIR R4", "x12837": "837 claim", "x12278": "278", "capture": "Direct Capture",
}

// roster collects who is attributed to which provider organization.
type roster struct {
	net     *network
	members [][]entry
}

type entry struct {
	patient, coverage, doctor string
	since                     time.Time
}

// AllMembersGroup is the id of the Group of all members.
const AllMembersGroup = "group-all-members"

func newRoster(net *network) *roster { return &roster{net, make([][]entry, len(net.orgs))} }

func (r *roster) add(m *member) {
	doctor := &r.net.people[m.doctor]
	coverage := m.prefix + "-Coverage-1"
	if m.demo {
		coverage = "pdex-Coverage"
	}
	r.members[doctor.org] = append(r.members[doctor.org], entry{"Patient/" + m.id, "Coverage/" + coverage, "Practitioner/" + doctor.id, m.enrolled})
}

// groups writes one attribution list per provider organization and one of everybody.
func (b *builder) groups(r *roster) {
	for i := range r.members {
		org := &b.net.orgs[i]
		b.group("group-"+org.id, "Members attributed to "+org.name, org, r.members[i:i+1])
	}
	b.group(AllMembersGroup, "All members of "+PayerName, nil, r.members)
}

func (b *builder) group(id, name string, org *provider, members [][]entry) {
	w := &b.w
	b.begin("Group", id, b.today.AddDate(0, -1, 0), name, atr+"atr-group")
	w.list("extension")
	w.obj("")
	w.str("url", atr+"ext-contractValidityPeriod")
	w.days("valuePeriod", b.today.AddDate(-1, 0, 0), b.today.AddDate(1, 0, 0))
	w.end()
	w.obj("")
	w.str("url", atr+"ext-attributionListStatus")
	w.str("valueCode", "open")
	w.end()
	w.endList()
	managing := PayerID
	if org != nil {
		managing = org.id
		w.identifiers(identifier{types: []code{npiType}, system: npiSystem, value: org.npi},
			identifier{types: []code{{tho + "v2-0203", "TAX", "Tax ID number"}}, system: tinSystem, value: org.tin})
	} else {
		w.identifiers(identifier{types: []code{npiType}, system: npiSystem, value: PayerNPI})
	}
	count := 0
	for _, list := range members {
		count += len(list)
	}
	w.boolean("active", true)
	w.str("type", "person")
	w.boolean("actual", true)
	w.str("name", name)
	w.int("quantity", count)
	w.ref("managingEntity", "Organization/"+managing)
	if count > 0 {
		w.list("member")
		for _, list := range members {
			for i := range list {
				e := &list[i]
				w.obj("")
				w.list("extension")
				w.obj("")
				w.str("url", atr+"ext-coverageReference")
				w.ref("valueReference", e.coverage)
				w.end()
				w.obj("")
				w.str("url", atr+"ext-attributedProvider")
				w.ref("valueReference", e.doctor)
				w.end()
				w.endList()
				w.ref("entity", e.patient)
				w.days("period", e.since, time.Time{})
				w.boolean("inactive", false)
				w.end()
			}
		}
		w.endList()
	}
	b.done()
}
