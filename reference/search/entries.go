package search

import "slices"

// Entries is what a resource contributes to the index. Slices are without duplicates.
type Entries struct {
	Terms      []Term
	Dates      []Span
	Quantities []Measure
	// Patient is the id of the patient whose compartment the resource is in, "" for none.
	Patient string
}

// Term is an exact or textual key: token (code, system), reference (id, type), text (folded, as written) or uri (url, "").
// A token without a system of its own, because its element is a code, boolean or string, has the qualifier ImplicitSystem.
type Term struct {
	Param          int64
	Key, Qualifier string
}

// ImplicitSystem matches every system asked for, and none: R4 lets clients give or omit the system of a code element.
const ImplicitSystem = "*"

// Span is a date in Unix milliseconds, ends inclusive, Past and Future where open.
type Span struct {
	Param  int64
	Lo, Hi int64
}

// Measure is a number or quantity with the span of its comparator or range.
type Measure struct {
	Param        int64
	Lo, Hi       float64
	System, Code string
}

// Reset empties e and keeps its memory.
func (e *Entries) Reset() {
	e.Terms, e.Dates, e.Quantities, e.Patient = e.Terms[:0], e.Dates[:0], e.Quantities[:0], ""
}

func (e *Entries) term(param int64, key, qualifier string) {
	if key == "" {
		return
	}
	t := Term{param, cut(key), cut(qualifier)}
	for i := len(e.Terms) - 1; i >= 0 && e.Terms[i].Param == param; i-- {
		if e.Terms[i] == t {
			return
		}
	}
	e.Terms = append(e.Terms, t)
}

func (e *Entries) span(param, lo, hi int64) {
	s := Span{param, lo, hi}
	for i := len(e.Dates) - 1; i >= 0 && e.Dates[i].Param == param; i-- {
		if e.Dates[i] == s {
			return
		}
	}
	e.Dates = append(e.Dates, s)
}

func (e *Entries) measure(m Measure) {
	if !slices.Contains(e.Quantities, m) {
		e.Quantities = append(e.Quantities, m)
	}
}
