package synth

import (
	"strings"
	"time"
)

// code is a Coding. A display is given where the code system's own is known and free to use.
type code struct{ system, code, display string }

type identifier struct {
	types         []code
	system, value string
	assigner      string
}

func (w *writer) coding(k string, c code) {
	w.obj(k)
	w.str("system", c.system)
	w.str("code", c.code)
	if c.display != "" {
		w.str("display", c.display)
	}
	w.end()
}

// concept writes a CodeableConcept; text may be empty.
func (w *writer) concept(k, text string, codes ...code) {
	w.obj(k)
	if len(codes) > 0 {
		w.list("coding")
		for _, c := range codes {
			w.coding("", c)
		}
		w.endList()
	}
	if text != "" {
		w.str("text", text)
	}
	w.end()
}

// concepts writes a list that holds one CodeableConcept.
func (w *writer) concepts(k, text string, codes ...code) {
	w.list(k)
	w.concept("", text, codes...)
	w.endList()
}

func (w *writer) ref(k, target string) {
	w.obj(k)
	w.str("reference", target)
	w.end()
}

func (w *writer) refs(k string, targets ...string) {
	w.list(k)
	for _, t := range targets {
		w.ref("", t)
	}
	w.endList()
}

func (w *writer) identifier(k string, id identifier) {
	w.obj(k)
	if len(id.types) > 0 {
		w.concept("type", "", id.types...)
	}
	w.str("system", id.system)
	w.str("value", id.value)
	if id.assigner != "" {
		w.obj("assigner")
		w.str("display", id.assigner)
		w.end()
	}
	w.end()
}

func (w *writer) identifiers(ids ...identifier) {
	w.list("identifier")
	for _, id := range ids {
		w.identifier("", id)
	}
	w.endList()
}

// period writes a Period of two instants; a zero end is left out.
func (w *writer) period(k string, start, end time.Time) {
	w.obj(k)
	w.instant("start", start)
	if !end.IsZero() {
		w.instant("end", end)
	}
	w.end()
}

// days writes a Period of whole days; a zero end is left out.
func (w *writer) days(k string, start, end time.Time) {
	w.obj(k)
	w.date("start", start)
	if !end.IsZero() {
		w.date("end", end)
	}
	w.end()
}

func (w *writer) quantity(k string, v float64, decimals int, u unit) {
	w.obj(k)
	w.decimal("value", v, decimals)
	w.str("unit", u.name)
	w.str("system", ucum)
	w.str("code", u.ucum)
	w.end()
}

// count writes a Quantity without unit.
func (w *writer) count(k string, v int) {
	w.obj(k)
	w.int("value", v)
	w.end()
}

// money takes cents.
func (w *writer) money(k string, cents int) {
	w.obj(k)
	w.decimal("value", float64(cents)/100, 2)
	w.str("currency", "USD")
	w.end()
}

func (w *writer) telecom(system, value, use string) {
	w.obj("")
	w.str("system", system)
	w.str("value", value)
	if use != "" {
		w.str("use", use)
	}
	w.end()
}

// address is a place in the United States.
type address struct{ line, city, state, zip string }

// fields writes the members of an Address into the open object.
func (a address) fields(w *writer) {
	w.list("line")
	w.str("", a.line)
	w.endList()
	w.str("city", a.city)
	w.str("state", a.state)
	w.str("postalCode", a.zip)
	w.str("country", "US")
}

var xmlText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func (w *writer) narrative(summary string) {
	w.obj("text")
	w.str("status", "generated")
	if strings.ContainsAny(summary, "&<>") {
		summary = xmlText.Replace(summary)
	}
	w.key("div")
	w.b = append(w.b, `"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>`...)
	n := len(w.b)
	w.b = appendString(w.b, summary)
	// The quotes that appendString put around the text are taken off again.
	w.b = append(w.b[:n], w.b[n+1:len(w.b)-1]...)
	w.b = append(w.b, `</p></div>"`...)
	w.end()
}
