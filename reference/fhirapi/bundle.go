package fhirapi

import (
	"encoding/json"
	"net/http"
	"strconv"

	"fhirwire/reference/resources"
)

// bundle builds a Bundle round stored bodies, which are copied as they are.
type bundle struct {
	kind, id string
	total    int // -1: none
	links    []byte
	entries  []byte
	n        int
}

func newBundle(kind, id string) *bundle { return &bundle{kind: kind, id: id, total: -1} }

func (b *bundle) link(relation, url string) {
	if len(b.links) > 0 {
		b.links = append(b.links, ',')
	}
	b.links = append(b.links, `{"relation":"`...)
	b.links = append(b.links, relation...)
	b.links = append(b.links, `","url":`...)
	b.links = appendString(b.links, url)
	b.links = append(b.links, '}')
}

func (b *bundle) open() {
	if b.n > 0 {
		b.entries = append(b.entries, ',')
	}
	b.n++
}

// entry adds a search result; mode is match, include or outcome.
func (b *bundle) entry(base string, r *resources.Resource, body []byte, mode string) {
	b.open()
	b.entries = append(b.entries, `{"fullUrl":`...)
	b.entries = appendString(b.entries, base+"/"+r.Type+"/"+r.ID)
	b.entries = append(b.entries, `,"resource":`...)
	b.entries = append(b.entries, body...)
	b.entries = append(b.entries, `,"search":{"mode":"`...)
	b.entries = append(b.entries, mode...)
	b.entries = append(b.entries, `"}}`...)
}

func (b *bundle) historyEntry(base string, r resources.Resource, first bool) {
	method, status, url := http.MethodPut, "200 OK", r.Type+"/"+r.ID
	switch {
	case r.Deleted:
		method, status = http.MethodDelete, "204 No Content"
	case first:
		method, status, url = http.MethodPost, "201 Created", r.Type
	}
	b.open()
	b.entries = append(b.entries, `{"fullUrl":`...)
	b.entries = appendString(b.entries, base+"/"+r.Type+"/"+r.ID)
	if !r.Deleted {
		b.entries = append(b.entries, `,"resource":`...)
		b.entries = append(b.entries, r.Body...)
	}
	b.entries = append(b.entries, `,"request":{"method":"`+method+`","url":`...)
	b.entries = appendString(b.entries, url)
	b.entries = append(b.entries, `},"response":{"status":"`+status+`","etag":`...)
	b.entries = appendString(b.entries, etag(r.Version))
	b.entries = append(b.entries, `,"lastModified":"`...)
	b.entries = r.Updated.UTC().AppendFormat(b.entries, resources.InstantFormat)
	b.entries = append(b.entries, `"}}`...)
}

func (b *bundle) bytes() []byte {
	out := make([]byte, 0, len(b.entries)+len(b.links)+160)
	out = append(out, `{"resourceType":"Bundle","id":`...)
	out = appendString(out, b.id)
	out = append(out, `,"type":"`...)
	out = append(out, b.kind...)
	out = append(out, '"')
	if b.total >= 0 {
		out = append(out, `,"total":`...)
		out = strconv.AppendInt(out, int64(b.total), 10)
	}
	if len(b.links) > 0 {
		out = append(out, `,"link":[`...)
		out = append(out, b.links...)
		out = append(out, ']')
	}
	if b.n > 0 {
		out = append(out, `,"entry":[`...)
		out = append(out, b.entries...)
		out = append(out, ']')
	}
	return append(out, '}')
}

func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			q, err := json.Marshal(s)
			if err != nil { // a string always marshals
				panic(err)
			}
			return append(b, q...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
