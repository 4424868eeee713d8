package synth

import (
	"fmt"
	"math/rand/v2"
	"time"
)

var (
	femaleNames = []string{"Amara", "Beatriz", "Corinne", "Delphine", "Esther", "Farida", "Greta", "Hana", "Imogen", "Juana", "Keiko", "Leonie", "Mirela", "Noor", "Oksana", "Pilar", "Renata", "Saoirse", "Thandi", "Ursula"}
	maleNames   = []string{"Anselm", "Bartek", "Cormac", "Dmitri", "Emeka", "Florian", "Gael", "Hideo", "Ivo", "Jabari", "Kasper", "Luca", "Marek", "Nestor", "Orlando", "Pavel", "Quentin", "Rafael", "Stellan", "Tomas"}
	families    = []string{"Abernathy", "Bellamy", "Castellanos", "Dunmore", "Eastlake", "Fairbourne", "Goldfinch", "Hollowell", "Ironside", "Juarez", "Kingsolver", "Lindqvist", "Marchetti", "Nakagawa", "Okonkwo", "Pemberton", "Quarles", "Rosenthal", "Silvestri", "Thornbury", "Underhill", "Valderrama", "Wexford", "Yamashiro", "Zielinski"}
	streets     = []string{"Alder Street", "Birch Lane", "Canyon Road", "Dogwood Avenue", "Elm Court", "Foundry Street", "Granite Way", "Harbor Drive", "Juniper Road", "Lantern Hill"}
	towns       = []address{
		{city: "Flagstaff", state: "AZ", zip: "86001"},
		{city: "Durango", state: "CO", zip: "81301"},
		{city: "Santa Fe", state: "NM", zip: "87501"},
		{city: "Moab", state: "UT", zip: "84532"},
		{city: "Boise", state: "ID", zip: "83702"},
		{city: "Missoula", state: "MT", zip: "59801"},
		{city: "Bend", state: "OR", zip: "97701"},
		{city: "Reno", state: "NV", zip: "89501"},
	}
)

// person is who a member is, before anything happened to them.
type person struct {
	given, family, former string // former is an earlier family name
	female                bool
	birth                 time.Time
	race, ethnicity       int
	home, previous        address
	phone, email          string
}

func (p *person) gender() string {
	if p.female {
		return "female"
	}
	return "male"
}

// age in whole years on a day.
func (p *person) age(on time.Time) int {
	years := on.Year() - p.birth.Year()
	if on.YearDay() < p.birth.YearDay() {
		years--
	}
	return years
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

func makePerson(r *rand.Rand, today time.Time) person {
	p := person{female: r.IntN(2) == 0, family: pick(r, families)}
	if p.female {
		p.given = pick(r, femaleNames)
	} else {
		p.given = pick(r, maleNames)
	}
	// One in six is a child, else any age up to 90.
	days := 18*365 + r.IntN(72*365)
	if r.IntN(6) == 0 {
		days = 60 + r.IntN(17*365)
	}
	p.birth = today.AddDate(0, 0, -days)
	p.race, p.ethnicity = min(r.IntN(8), len(races)-1), r.IntN(5)/4
	p.home, p.previous = makeAddress(r), makeAddress(r)
	if p.female && r.IntN(3) == 0 {
		p.former = pick(r, families)
	}
	number := r.IntN(10000)
	p.phone = fmt.Sprintf("928-555-01%02d", number%100)
	p.email = fmt.Sprintf("%s.%s%d@mail.example", p.given, p.family, number)
	return p
}

func makeAddress(r *rand.Rand) address {
	a := pick(r, towns)
	a.line = fmt.Sprintf("%d %s", 1+r.IntN(999), pick(r, streets))
	return a
}

// npi makes a national provider identifier from a serial number: nine digits and the Luhn digit over 80840 and them.
func npi(serial int) string {
	s := fmt.Sprintf("1%08d", serial%100000000)
	sum := 24
	for i := range len(s) {
		d := int(s[len(s)-1-i] - '0')
		if i%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return fmt.Sprintf("%s%d", s, (10-sum%10)%10)
}
