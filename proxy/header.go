package proxy

import (
	"iter"
	"net/textproto"
	"strings"
)

// Field is one header line.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Header is an ordered list of header lines; a name may occur more than once.
type Header []Field

// Get returns the first value of name, case-insensitively, or "".
func (h Header) Get(name string) string {
	for v := range h.Values(name) {
		return v
	}
	return ""
}

// Has reports whether name occurs.
func (h Header) Has(name string) bool {
	for range h.Values(name) {
		return true
	}
	return false
}

// Values yields each value of name in order.
func (h Header) Values(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, f := range h {
			if strings.EqualFold(f.Name, name) && !yield(f.Value) {
				return
			}
		}
	}
}

// Map is the header as net/http wants it; the order between names is lost.
func (h Header) Map() map[string][]string {
	m := make(map[string][]string, len(h))
	for _, f := range h {
		k := textproto.CanonicalMIMEHeaderKey(f.Name)
		m[k] = append(m[k], f.Value)
	}
	return m
}
