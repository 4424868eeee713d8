package synth

import "time"

// Tags that mark what a member is for; they mean nothing to FHIR.
const (
	TagSystem = "urn:fhirwire:synthetic-member"
	// TagUnsegmented marks a member whose sensitive data are held but not tagged, so that a consent without them cannot be kept.
	TagUnsegmented = "unsegmented"
)

// FixedMember names the members that are always there.
type FixedMember struct{ PatientID, Purpose string }

// Fixed lists the fixed members in the order of All.
func Fixed() []FixedMember {
	list := make([]FixedMember, 0, len(fixed))
	for _, f := range fixed {
		list = append(list, FixedMember{f.id, f.purpose})
	}
	return list
}

type fixedMember struct {
	id, purpose      string
	given, family    string
	female           bool
	birth            string
	subscriber, card string
	amount           amount
}

// The first two are asked for by the public client collections, whose identifiers they carry; the others are edge cases.
var fixed = []fixedMember{
	{id: "999", purpose: "the member of the public PDex client collection", given: "Patty408", family: "Dexter882", female: true, birth: "1980-01-15", subscriber: "97531", amount: everything},
	{id: "e86e9cae-89a3-44bf-9033-32a2d56f5113", purpose: "the member of the public US Core client collection", given: "Gerhard", family: "Vonderheide", birth: "1936-06-07", subscriber: "CM-193606", amount: everything},
	{id: "pt-90417", purpose: "matches; has data tagged as sensitive", given: "Odalys", family: "Brannigan-Reyes", female: true, birth: "1979-04-18", subscriber: "CM-778812", amount: everything},
	{id: "pt-64021", purpose: "twin: must not match by the shared subscriber number", given: "Rowan", family: "Castellane", birth: "1988-11-02", subscriber: "CM-640020", card: "CM-640020-01"},
	{id: "pt-64022", purpose: "twin: must not match by the shared subscriber number", given: "Ronan", family: "Castellane", birth: "1988-11-02", subscriber: "CM-640020", card: "CM-640020-02"},
	{id: "pt-51515", purpose: "consent without sensitive data cannot be kept: they are not tagged", given: "Teodora", family: "Quillfeather", female: true, birth: "1991-01-25", subscriber: "CM-515151"},
	{id: "pt-70001", purpose: "opted out of sharing", given: "Lucian", family: "Ashdown", birth: "1969-09-09", subscriber: "CM-700010"},
	{id: "pt-70002", purpose: "no data beside coverage", given: "Marguerite", family: "Pell", female: true, birth: "1955-12-30", subscriber: "CM-700020", amount: nothing},
	{id: "pt-70003", purpose: "very large record", given: "Bronwyn", family: "Tollemache", female: true, birth: "1948-03-21", subscriber: "CM-700030", amount: huge},
	{id: "pt-70004", purpose: "small child: growth percentiles", given: "Ottilie", family: "Fennimore", female: true, birth: "2024-05-06", subscriber: "CM-700040", amount: everything},
}

func fixedMembers(g *Generator) []*member {
	members := make([]*member, 0, len(fixed))
	for i := range fixed {
		members = append(members, g.fixedMember(i))
	}
	return members
}

func (g *Generator) fixedMember(i int) *member {
	f := &fixed[i]
	r := g.random(uint64(i))
	p := makePerson(r, g.opt.Today)
	p.given, p.family, p.female = f.given, f.family, f.female
	p.birth, _ = time.Parse(time.DateOnly, f.birth) // a constant of this file; a test reads them all
	p.email = f.given + "@mail.example"
	m := g.newMember(r, f.id, p, f.subscriber)
	m.amount = f.amount
	if f.amount == everything {
		m.former = families[i]
		m.illnesses = m.illnesses[:0]
		if age := m.age(g.opt.Today); age >= 40 {
			m.illnesses = append(m.illnesses, &chronic[0], &chronic[1])
		} else {
			m.illnesses = append(m.illnesses, &chronic[3])
		}
	}
	if f.card != "" {
		m.card.value, m.memberID[0].value = f.card, f.card
	}
	switch f.id {
	case "999":
		m.demo = true
		m.doctor = 0
		m.memberID[0].system, m.memberID[0].value = "http://github.com/inferno-framework/target-payer/identifiers/member", CollectionMember
		m.memberID[1].value = CollectionMember // the collection goes on with this value after the match
		m.card = identifier{types: []code{memberNumber}, system: "http://github.com/inferno-framework/someOrg/identifiers/whatever", value: "1039399818"}
	case "e86e9cae-89a3-44bf-9033-32a2d56f5113":
		m.prefix = "usc"
		m.missing = true
		m.memberID[1].value = "cmu-193606"
	case "pt-90417":
		m.memberID[1].value = "cmu-90417"
		m.illnesses = append(m.illnesses, &alcohol)
	case "pt-51515":
		m.unsegmented = true
		m.tags = []code{{TagSystem, TagUnsegmented, ""}}
		m.illnesses = append(m.illnesses[:0], &chronic[7])
	case "pt-70001":
		m.optedOut = true
	}
	return m
}
