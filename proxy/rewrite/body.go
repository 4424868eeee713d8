package rewrite

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"slices"
	"strings"

	"fhirwire/proxy"
)

// MaxEdits bounds the edits of one body that are listed in full; the rest is counted.
const MaxEdits = 1000

// MaxURL bounds the length of a URL, as written in JSON, that is rewritten; a longer one ends the stream with ErrLongString.
const MaxURL = 256 << 10

// placeDepth is the depth of the deepest place, entry[].response.location; capabilityDepth that of a CapabilityStatement's.
const (
	placeDepth      = 4
	capabilityDepth = 8
)

// maxEscapes bounds the servers outside the channel that are noted in one body.
const maxEscapes = 20

// Kind is what a JSON body is, as far as rewriting asks.
type Kind uint8

// The kinds.
const (
	Unknown  Kind = iota // nothing seen yet that tells: every place is looked at
	Bundle               // a FHIR Bundle
	Manifest             // a bulk data manifest: transactionTime and output
	Other                // nothing to rewrite

	Capabilities // a CapabilityStatement, from /metadata
	Discovery    // a discovery document
	Issuer       // a discovery document whose issuer is the URL it was asked for by (RFC 8414)
)

// Eligible reports whether a response with this content type can hold places to rewrite: JSON, but not NDJSON.
func Eligible(contentType string) bool {
	t, _, err := mime.ParseMediaType(contentType)
	if err != nil && t == "" {
		return false
	}
	switch t {
	case "application/json", "text/json", "application/json+fhir":
		return true
	}
	return strings.HasPrefix(t, "application/") && strings.HasSuffix(t, "+json")
}

// Detect says what body is from as much of it as is at hand. Unless all is set, what it holds so far may not tell.
func Detect(body []byte, all bool) Kind {
	if first := bytes.TrimLeft(body, " \t\r\n\ufeff"); len(first) > 0 && first[0] != '{' {
		return Other
	}
	d := detector{}
	s := NewStream(nil, &d, 1, 1<<10)
	for chunk := range slices.Chunk(body, 4<<10) {
		s.out = s.out[:0]
		if s.feed(chunk); d.done() || s.err != nil {
			break
		}
	}
	switch {
	case d.resourceType == "Bundle":
		return Bundle
	case d.resourceType != "":
		return Other
	case d.transactionTime:
		return Manifest
	case all:
		return Other
	}
	return Unknown
}

// detector watches the root's strings.
type detector struct {
	resourceType    string
	transactionTime bool
}

func (d *detector) done() bool { return d.resourceType != "" }

func (d *detector) Wants(p Path) bool {
	return p[0].Key == "resourceType" || p[0].Key == "transactionTime"
}

func (d *detector) Edit(p Path, s string) (string, bool) {
	switch p[0].Key {
	case "resourceType":
		if d.resourceType == "" {
			d.resourceType = s
		}
	case "transactionTime":
		d.transactionTime = true
	}
	return s, false
}

// JSON rewrites a whole body of the given kind; Unknown asks Detect. Without changes the body comes back as it is. The error says
// that part of it could not be looked at; the body is then unchanged.
func (m *Map) JSON(body []byte, kind Kind) ([]byte, []proxy.Edit, error) {
	if kind == Unknown {
		kind = Detect(body, true)
	}
	if kind == Other {
		return body, nil, nil
	}
	r := m.Reader(nil, kind)
	out, err := r.stream.all(body)
	if err != nil {
		return body, nil, fmt.Errorf("rewrite body: %w", err)
	}
	if r.places.count == 0 {
		return body, r.Edits(), nil
	}
	return out, r.Edits(), nil
}

// Reader rewrites a body while it streams.
type Reader struct {
	stream *Stream
	places places
}

// Reader rewrites src, a body of the given kind.
func (m *Map) Reader(src io.Reader, kind Kind) *Reader {
	r := &Reader{places: places{m: m, kind: kind}}
	depth := placeDepth
	if kind == Capabilities {
		depth = capabilityDepth
	}
	r.stream = NewStream(src, &r.places, depth, MaxURL)
	return r
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	n, err := r.stream.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("rewrite body: %w", err)
	}
	return n, err
}

// Edits lists what was changed so far: the first MaxEdits, then one that counts the others; and what was left, with the reason.
func (r *Reader) Edits() []proxy.Edit {
	e := r.places.edits
	if more := r.places.count - len(e); more > 0 {
		e = append(slices.Clip(e), proxy.Edit{Where: "response body", At: "", From: "", To: fmt.Sprintf("%d more URLs of the same places", more)})
	}
	return append(slices.Clip(e), r.places.left...)
}

// places is the Editor that knows where URLs of the server stand.
type places struct {
	m        *Map
	kind     Kind
	edits    []proxy.Edit
	count    int // of changes
	left     []proxy.Edit
	escaped  map[string]bool // hosts noted
	endpoint endpoint
}

// Wants implements Editor: Bundle.link.url, Bundle.entry.fullUrl, Bundle.entry.response.location; and in a manifest
// (Bulk Data Access 2.0.0, "Response - Complete Status") request and the url of output, error, deleted and link. For discovery
// documents see discoveryPlace and capabilityPlace.
func (e *places) Wants(p Path) bool {
	switch e.kind {
	case Capabilities:
		return capabilityPlace(p)
	case Discovery, Issuer:
		return discoveryPlace(p)
	case Unknown, Bundle, Manifest, Other:
	}
	bundle := e.kind == Bundle || e.kind == Unknown
	manifest := e.kind == Manifest || e.kind == Unknown
	switch len(p) {
	case 1:
		return manifest && p[0].Key == "request"
	case 3:
		if p[0].Array || !p[1].Array || p[2].Array {
			return false
		}
		switch p[0].Key {
		case "link":
			return (bundle || manifest) && p[2].Key == "url"
		case "entry":
			return bundle && p[2].Key == "fullUrl"
		case "output", "error", "deleted":
			return manifest && p[2].Key == "url"
		}
	case 4:
		return bundle && p[0].Key == "entry" && p[1].Array && p[2].Key == "response" && p[3].Key == "location"
	}
	return false
}

// Edit implements Editor.
func (e *places) Edit(p Path, s string) (string, bool) {
	switch {
	case e.kind == Capabilities && p[len(p)-1].Key == "url" && len(p) == capabilityDepth:
		e.endpoint = endpoint{extensionAt(p), s}
		return s, false
	case e.kind >= Discovery && p[0].Key == "signed_metadata":
		e.leave(p, "signed metadata", proxy.WhySigned)
		return s, false
	}
	to, changed := e.m.URL(s)
	if !changed {
		e.noteEscape(p, s)
		return s, false
	}
	if why := e.keep(p, s); why != "" {
		e.leave(p, s, why)
		return s, false
	}
	if e.count++; len(e.edits) < MaxEdits {
		e.edits = append(e.edits, proxy.Edit{Where: "response body", At: p.Pointer(), From: s, To: to})
	}
	return to, true
}

func (e *places) leave(p Path, s, why string) {
	if len(e.left) < MaxEdits {
		e.left = append(e.left, proxy.Edit{Where: "response body", At: p.Pointer(), From: s, To: s, Why: why})
	}
}

// noteEscape notes the first URL for each server that is not the channel's.
func (e *places) noteEscape(p Path, s string) {
	host, ok := e.m.escapes(s)
	if !ok || e.escaped[host] || len(e.escaped) >= maxEscapes || !e.notesEscape(p) {
		return
	}
	if e.escaped == nil {
		e.escaped = map[string]bool{}
	}
	e.escaped[host] = true
	e.leave(p, s, proxy.WhyEscape)
}
