package record

import (
	"bytes"
	"strings"
)

// echoes are the secrets that a request carried, as they stood there.
type echoes struct{ all []string }

// Shorter ones could stand in an answer for other reasons.
const (
	minEcho   = 12
	maxEchoes = 32
)

func (e *echoes) add(secret string) {
	if e == nil || len(secret) < minEcho || len(e.all) >= maxEchoes {
		return
	}
	e.all = append(e.all, secret)
}

// in reports whether one of them is in b.
func (e *echoes) in(b []byte) bool {
	if e == nil {
		return false
	}
	for _, s := range e.all {
		if bytes.Contains(b, []byte(s)) {
			return true
		}
	}
	return false
}

// unsaid replaces what b repeats of the request's secrets: a page for debugging, an error that quotes its cause, TRACE.
func (m masker) unsaid(b []byte) []byte {
	if !m.seen.in(b) {
		return b
	}
	for _, s := range m.seen.all {
		b = bytes.ReplaceAll(b, []byte(s), []byte(m.key.Of(s)))
	}
	return b
}

// unsaidText is unsaid for a field or a text.
func (m masker) unsaidText(s string) string {
	if m.seen == nil {
		return s
	}
	for _, secret := range m.seen.all {
		if strings.Contains(s, secret) {
			s = strings.ReplaceAll(s, secret, string(m.key.Of(secret)))
		}
	}
	return s
}
