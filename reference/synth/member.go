package synth

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// amount is how much of a record a member has.
type amount uint8

const (
	usual amount = iota
	nothing
	everything // one of each kind at least
	huge
)

// member is one member's life as the plan knows it; the builder turns it into resources.
type member struct {
	person
	rnd        *rand.Rand
	id, prefix string // Patient id, and what other ids start with
	demo       bool   // ids are named as the public client collections name them
	memberID   []identifier
	card       identifier
	subscriber string
	doctor     int
	amount     amount
	illnesses  []*condition
	enrolled   time.Time

	optedOut    bool
	missing     bool // some data are said to be absent
	unsegmented bool // holds sensitive data that carry no tag
	tags        []code

	numbers []numbered
	// links between resources
	coverage string
	problems []string
}

type numbered struct {
	kind string
	n    int
}

// newID names the member's next resource of a kind.
func (m *member) newID(kind string) string {
	n := 1
	found := false
	for i := range m.numbers {
		if m.numbers[i].kind == kind {
			m.numbers[i].n++
			n, found = m.numbers[i].n, true
			break
		}
	}
	if !found {
		m.numbers = append(m.numbers, numbered{kind, 1})
	}
	if m.demo && n == 1 {
		return "pdex-" + kind
	}
	return fmt.Sprintf("%s-%s-%d", m.prefix, kind, n)
}

func (m *member) self() string { return "Patient/" + m.id }

func (m *member) name() string { return m.given + " " + m.family }

func (m *member) complete() bool { return m.amount == everything }

// chance is true once in n times, and always for a complete record.
func (m *member) chance(n int) bool { return m.complete() || m.rnd.IntN(n) == 0 }

// generated makes member i of the requested ones.
func (g *Generator) generated(i int) *member {
	r := g.random(uint64(i) + 100)
	id := fmt.Sprintf("m%06d", i)
	return g.newMember(r, id, makePerson(r, g.opt.Today), fmt.Sprintf("CM-%06d", 100000+i))
}

// newMember enrols a person under a subscriber number, with the plan's own identifiers.
func (g *Generator) newMember(r *rand.Rand, id string, p person, subscriber string) *member {
	m := &member{
		person: p, rnd: r, id: id, prefix: id, subscriber: subscriber,
		doctor: r.IntN(len(g.net.people)),
		// Two identifiers, since ATR allows one coding in the type of a member number.
		memberID: []identifier{
			{types: []code{memberNumber}, system: MemberSystem, value: subscriber + "-01", assigner: PayerName},
			{types: []code{uniqueMember}, system: UMBSystem, value: "cmu-" + id, assigner: PayerName},
		},
		card: identifier{types: []code{memberNumber}, system: CardSystem, value: subscriber + "-01", assigner: PayerName},
	}
	m.enrolled = g.opt.Today.AddDate(-7, -r.IntN(12), 0)
	if m.enrolled.Before(p.birth) {
		m.enrolled = p.birth
	}
	age := p.age(g.opt.Today)
	for i := range chronic {
		c := &chronic[i]
		if age >= c.minAge && r.IntN(100) < 3+age/6 {
			m.illnesses = append(m.illnesses, c)
		}
	}
	return m
}

// member writes one member's whole record.
func (b *builder) member(m *member) {
	b.made = b.made[:0]
	b.patient(m)
	b.cover(m)
	if m.optedOut {
		b.optOut(m)
	}
	if m.amount == nothing {
		return
	}
	b.provenance(m, b.today, "customtx", "Organization/"+PayerID)
	start := m.visits(b.today)
	b.background(m, start[0])
	for i, v := range start {
		b.visit(m, v, i)
		if b.stopped {
			return
		}
	}
	b.care(m)
	b.authorization(m)
	if m.missing {
		b.missing(m, start[len(start)-1])
	}
	if m.amount == huge {
		b.many(m)
	}
}

// visits are the days of the member's encounters, oldest first.
func (m *member) visits(today time.Time) []time.Time {
	n := 3 + m.rnd.IntN(4) + len(m.illnesses)
	if m.complete() {
		n = 6
	}
	first := m.enrolled
	span := max(int(today.Sub(first).Hours()/24)-20, n)
	days := make([]time.Time, 0, n)
	for i := range n {
		day := first.AddDate(0, 0, span*i/n+m.rnd.IntN(max(span/n, 1))+1)
		days = append(days, day.Add(time.Duration(8*60+m.rnd.IntN(8*60))*time.Minute))
	}
	return days
}

func (b *builder) patient(m *member) {
	w := &b.w
	born := m.birth
	if born.Before(m.enrolled) {
		born = m.enrolled
	}
	b.open("Patient", m.id, born, []string{usCore + "us-core-patient", carin + "C4BB-Patient" + carinEdit})
	if len(m.tags) > 0 {
		w.list("tag")
		for _, t := range m.tags {
			w.coding("", t)
		}
		w.endList()
	}
	b.closeMeta(m.name() + ", born " + m.birth.Format(time.DateOnly))
	w.list("extension")
	categories(w, "us-core-race", races[m.race])
	categories(w, "us-core-ethnicity", ethnicities[m.ethnicity])
	w.obj("")
	w.str("url", usCore+"us-core-birthsex")
	if m.female {
		w.str("valueCode", "F")
	} else {
		w.str("valueCode", "M")
	}
	w.end()
	w.endList()
	w.identifiers(m.memberID...)
	w.boolean("active", true)
	w.list("name")
	m.humanName(w, "official", m.family, time.Time{})
	if m.former != "" && m.former != m.family {
		m.humanName(w, "old", m.former, m.enrolled)
	}
	w.endList()
	w.list("telecom")
	w.telecom("phone", m.phone, "home")
	w.telecom("email", m.email, "home")
	w.endList()
	w.str("gender", m.gender())
	w.date("birthDate", m.birth)
	w.list("address")
	w.obj("")
	w.str("use", "home")
	m.home.fields(w)
	w.days("period", m.enrolled, time.Time{})
	w.end()
	if m.previous.line != "" {
		w.obj("")
		w.str("use", "old")
		m.previous.fields(w)
		w.days("period", m.birth, m.enrolled)
		w.end()
	}
	w.endList()
	w.list("communication")
	w.obj("")
	w.concept("language", "English", code{"urn:ietf:bcp:47", "en", ""})
	w.boolean("preferred", true)
	w.end()
	w.endList()
	w.refs("generalPractitioner", "Practitioner/"+b.net.people[m.doctor].id)
	w.ref("managingOrganization", "Organization/"+PayerID)
	b.clinical()
}

func categories(w *writer, extension string, c code) {
	w.obj("")
	w.list("extension")
	w.obj("")
	w.str("url", "ombCategory")
	w.coding("valueCoding", c)
	w.end()
	w.obj("")
	w.str("url", "text")
	w.str("valueString", c.display)
	w.end()
	w.endList()
	w.str("url", usCore+extension)
	w.end()
}

func (m *member) humanName(w *writer, use, family string, until time.Time) {
	w.obj("")
	w.str("use", use)
	w.str("family", family)
	w.list("given")
	w.str("", m.given)
	w.endList()
	if !until.IsZero() {
		w.days("period", m.birth, until)
	}
	w.end()
}

func (b *builder) cover(m *member) {
	w := &b.w
	b.begin("Coverage", m.newID("Coverage"), m.enrolled, "Coverage of "+m.name()+" by "+PayerName,
		hrex+"hrex-coverage", carin+"C4BB-Coverage"+carinEdit)
	m.coverage = "Coverage/" + b.id
	w.identifiers(m.card)
	w.str("status", "active")
	w.concept("type", "", code{tho + "v3-ActCode", "PPO", "preferred provider organization policy"})
	w.ref("policyHolder", m.self())
	w.ref("subscriber", m.self())
	w.str("subscriberId", m.subscriber)
	w.ref("beneficiary", m.self())
	w.str("dependent", "01")
	w.concept("relationship", "", code{tho + "subscriber-relationship", "self", "Self"})
	w.days("period", m.enrolled, time.Time{})
	w.refs("payor", "Organization/"+PayerID)
	w.list("class")
	for _, c := range [...]struct{ kind, display, value, name string }{
		{"group", "Group", "G-4410", "Mesa Employers"}, {"plan", "Plan", "MESA-PPO", "Mesa PPO"},
	} {
		w.obj("")
		w.concept("type", "", code{tho + "coverage-class", c.kind, c.display})
		w.str("value", c.value)
		w.str("name", c.name)
		w.end()
	}
	w.endList()
	b.clinical()
}

// optOut is the member's standing refusal to have data shared with other plans.
func (b *builder) optOut(m *member) {
	w := &b.w
	b.begin("Consent", m.newID("Consent"), m.enrolled.AddDate(0, 1, 0), m.name()+" does not want data shared with other plans")
	w.str("status", "active")
	w.concept("scope", "", code{tho + "consentscope", "patient-privacy", "Privacy Consent"})
	w.concepts("category", "", code{tho + "v3-ActCode", "IDSCL", "information disclosure"})
	w.ref("patient", m.self())
	w.instant("dateTime", m.enrolled.AddDate(0, 1, 0))
	w.refs("performer", m.self())
	w.refs("organization", "Organization/"+PayerID)
	w.concept("policyRule", "", code{tho + "consentpolicycodes", "hipaa-restrictions", "HIPAA Restrictions"})
	w.obj("provision")
	w.str("type", "deny")
	w.end()
	b.clinical()
}
