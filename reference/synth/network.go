package synth

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// The plan whose data these are, and other ids that callers configure with.
const (
	// PayerID is the id of the plan's Organization.
	PayerID = "pdex-Payor-Organization"
	// PayerName is the plan's name.
	PayerName = "Cedar Mesa Mutual"
	// PayerNPI is the plan's identifier in consents.
	PayerNPI = "1000008429"
	// CollectionPayerNPI is the identifier that the public PDex client collection uses for the old plan.
	CollectionPayerNPI = "9876543210"
	// CollectionMember is the member identifier that the same collection asks for.
	CollectionMember = "99999"
	// StoryMember is the Patient id of the member that demonstrations and test plans are about.
	StoryMember = "pt-90417"
	// UMBSystem is the naming system of the plan's one identifier per person.
	UMBSystem = "https://www.cedarmesa.example/ids/umb"
	// MemberSystem is the naming system of member numbers.
	MemberSystem = "https://www.cedarmesa.example/ids/member"
	// CardSystem is the naming system of the numbers on member cards.
	CardSystem = "https://www.cedarmesa.example/ids/member-card"
)

type practitioner struct {
	id, roleID    string
	given, family string
	npi           string
	specialty     code
	org           int
}

type provider struct {
	id, locationID, pharmacyID string
	name, npi, pharmacyNPI     string
	tin                        string
	address                    address
	phone                      string
	staff                      []int
}

// network is who gives care.
type network struct {
	orgs   []provider
	people []practitioner
	since  time.Time
}

const staffPerOrg = 5

func makeNetwork(opt Options) network {
	r := rand.New(rand.NewPCG(opt.Seed, 7))
	n := network{since: opt.Today.AddDate(-9, 0, 0)}
	kinds := []string{"Family Health", "Medical Center", "Community Clinic", "Care Partners"}
	for i := range 2 + opt.Members/250 {
		a := makeAddress(r)
		p := provider{
			id: fmt.Sprintf("org-%d", i), locationID: fmt.Sprintf("loc-%d", i), pharmacyID: fmt.Sprintf("pharmacy-%d", i),
			name: fmt.Sprintf("%s %s", pick(r, families), pick(r, kinds)), address: a,
			npi: npi(3000 + i*10), pharmacyNPI: npi(900000 + i), tin: fmt.Sprintf("90-%07d", 1000000+i*37),
			phone: fmt.Sprintf("928-555-01%02d", i%100),
		}
		if i == 0 {
			p.id, p.locationID = "pdex-Organization", "pdex-Location"
		}
		for j := range staffPerOrg {
			k := i*staffPerOrg + j
			pr := practitioner{id: fmt.Sprintf("prac-%d", k), roleID: fmt.Sprintf("role-%d", k), npi: npi(500000 + k), specialty: specialties[j%len(specialties)], org: i}
			if k == 0 {
				pr.id, pr.roleID = "pdex-Practitioner", "pdex-PractitionerRole"
			}
			pr.family = pick(r, families)
			pr.given = pick(r, femaleNames)
			if r.IntN(2) == 0 {
				pr.given = pick(r, maleNames)
			}
			n.people = append(n.people, pr)
			p.staff = append(p.staff, k)
		}
		n.orgs = append(n.orgs, p)
	}
	return n
}

func (n *network) orgOf(doctor int) *provider { return &n.orgs[n.people[doctor].org] }

func (b *builder) providers() {
	b.organization(PayerID, PayerName, PayerNPI, "", code{tho + "organization-type", "pay", "Payer"},
		address{"400 Cedar Mesa Way", "Flagstaff", "AZ", "86001"}, "928-555-0100")
	b.begin("Endpoint", "pdex-Endpoint", b.net.since, "FHIR endpoint of "+PayerName)
	b.w.str("status", "active")
	b.w.coding("connectionType", code{tho + "endpoint-connection-type", "hl7-fhir-rest", "HL7 FHIR"})
	b.w.str("name", PayerName+" FHIR")
	b.w.ref("managingOrganization", "Organization/"+PayerID)
	b.w.concepts("payloadType", "", code{tho + "endpoint-payload-type", "any", "Any"})
	b.w.str("address", "https://p2p.cedarmesa.example/fhir")
	b.done()
	for i := range b.net.orgs {
		o := &b.net.orgs[i]
		b.organization(o.id, o.name, o.npi, o.tin, code{tho + "organization-type", "prov", "Healthcare Provider"}, o.address, o.phone)
		b.organization(o.pharmacyID, o.name+" Pharmacy", o.pharmacyNPI, "", code{tho + "organization-type", "prov", "Healthcare Provider"}, o.address, o.phone)
		b.location(o)
	}
	for i := range b.net.people {
		b.practitioner(&b.net.people[i])
	}
	for i := range chronic {
		b.medication(&chronic[i].drug)
	}
	b.medication(&alcohol.drug)
}

func (b *builder) organization(id, name, number, tin string, kind code, a address, phone string) {
	w := &b.w
	b.begin("Organization", id, b.net.since, name, usCore+"us-core-organization", carin+"C4BB-Organization"+carinEdit)
	ids := []identifier{{types: []code{npiType}, system: npiSystem, value: number}}
	if tin != "" {
		ids = append(ids, identifier{types: []code{{tho + "v2-0203", "TAX", "Tax ID number"}}, system: tinSystem, value: tin})
	}
	w.identifiers(ids...)
	w.boolean("active", true)
	w.concepts("type", "", kind)
	w.str("name", name)
	w.list("telecom")
	w.telecom("phone", phone, "work")
	w.endList()
	w.list("address")
	w.obj("")
	a.fields(w)
	w.end()
	w.endList()
	b.done()
}

func (b *builder) location(o *provider) {
	w := &b.w
	b.begin("Location", o.locationID, b.net.since, o.name+", main site", usCore+"us-core-location")
	w.str("status", "active")
	w.str("name", o.name+", main site")
	w.list("telecom")
	w.telecom("phone", o.phone, "work")
	w.endList()
	w.obj("address")
	o.address.fields(w)
	w.end()
	w.ref("managingOrganization", "Organization/"+o.id)
	b.done()
}

func (b *builder) practitioner(p *practitioner) {
	w := &b.w
	o := &b.net.orgs[p.org]
	b.begin("Practitioner", p.id, b.net.since, "Dr. "+p.given+" "+p.family, usCore+"us-core-practitioner", carin+"C4BB-Practitioner"+carinEdit)
	w.identifiers(identifier{types: []code{npiType}, system: npiSystem, value: p.npi})
	w.boolean("active", true)
	w.list("name")
	w.obj("")
	w.str("family", p.family)
	w.list("given")
	w.str("", p.given)
	w.endList()
	w.list("prefix")
	w.str("", "Dr.")
	w.endList()
	w.end()
	w.endList()
	w.list("telecom")
	w.telecom("phone", o.phone, "work")
	w.endList()
	w.list("address")
	w.obj("")
	w.str("use", "work")
	o.address.fields(w)
	w.end()
	w.endList()
	b.done()

	b.begin("PractitionerRole", p.roleID, b.net.since, "Dr. "+p.family+" at "+o.name, usCore+"us-core-practitionerrole")
	w.boolean("active", true)
	w.ref("practitioner", "Practitioner/"+p.id)
	w.ref("organization", "Organization/"+o.id)
	w.concepts("code", "", p.specialty)
	w.concepts("specialty", "", p.specialty)
	w.refs("location", "Location/"+o.locationID)
	w.list("telecom")
	w.telecom("phone", o.phone, "work")
	w.endList()
	w.refs("endpoint", "Endpoint/pdex-Endpoint")
	b.done()
}

// medicationID is the shared Medication of a drug.
func medicationID(d *drug) string { return "med-" + d.rx.code }

func (b *builder) medication(d *drug) {
	b.begin("Medication", medicationID(d), b.net.since, d.rx.display, usCore+"us-core-medication")
	b.w.concept("code", d.rx.display, d.rx)
	b.w.str("status", "active")
	b.done()
}
