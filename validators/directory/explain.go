package directory

import (
	"fmt"
	"strings"
)

// Explain says in words whose the entry is, what a partner can do with it, what is deficient and what to do next, errors first.
func (e *Entry) Explain() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", e.File, e.subject())
	b.WriteString(e.use() + "\n")
	for _, errors := range []bool{true, false} {
		n := 0
		for _, i := range e.Issues {
			if i.IsError() != errors {
				continue
			}
			if n == 0 {
				b.WriteString(map[bool]string{true: "Deficient:\n", false: "Worth a look:\n"}[errors])
			}
			n++
			where := i.Expression
			if where == "" {
				where = "the file"
			}
			fmt.Fprintf(&b, "%d. %s (%s, %s", n, i.Message, i.Requirement, where)
			if i.Line > 0 {
				fmt.Fprintf(&b, ", line %d", i.Line)
			}
			b.WriteString(")\n")
			if i.DoNext != "" {
				b.WriteString("   Next: " + i.DoNext + "\n")
			}
		}
	}
	return b.String()
}

func (e *Entry) subject() string {
	switch {
	case e.Plan == nil:
		return "nobody's entry"
	case e.Plan.Name != "":
		return "the entry of " + e.Plan.Name
	case e.Plan.ID != "":
		return "the entry of an Organization without a name (id " + e.Plan.ID + ")"
	default:
		return "the entry of an Organization without a name"
	}
}

// use says what the entry is good for.
func (e *Entry) use() string {
	switch {
	case e.Valid():
		return "The entry is complete: partners can connect to " + e.Endpoint.Address + " and know its certificate."
	case e.Endpoint == nil:
		return "Nobody can connect with this entry: it has no Endpoint, so there is neither an address nor a certificate. Nor can its payer be recognised when it connects to a partner."
	case len(e.Endpoint.Certificates) == 0:
		return "The entry has an address and no certificate: partners cannot know whom they have reached, nor recognise this payer when it connects."
	default:
		return "The entry has an address and a certificate; partners still must not rely on it before the errors below are mended."
	}
}
