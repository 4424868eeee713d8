package scenarios

import (
	"encoding/json"
	"slices"

	"fhirwire/proxy"
	"fhirwire/validators"
)

// Shared is one copy of what many exchanges of a channel have in common, so that a hundred thousand of them stay in memory: header lines,
// methods, handshakes, findings.
type Shared struct {
	texts      map[string]string
	handshakes map[string]*proxy.TLS
}

// maxShared bounds the texts that are looked up; longer ones than maxText are seldom there twice.
const (
	maxShared = 50_000
	maxText   = 2000
)

// NewShared is empty.
func NewShared() Shared {
	return Shared{texts: map[string]string{}, handshakes: map[string]*proxy.TLS{}}
}

// Exchange is an exchange that says the same and shares what it can.
func (s Shared) Exchange(in *proxy.Exchange) *proxy.Exchange {
	ex := *in
	for _, t := range []*string{
		&ex.Channel, &ex.Matched, &ex.ClientAddr, &ex.Interaction.ResourceType, &ex.Interaction.ResourceID, &ex.Interaction.Operation, &ex.Request.Method,
		&ex.Request.URL, &ex.Request.Target,
	} {
		*t = s.text(*t)
	}
	ex.Mode, ex.Interaction.Kind = proxy.Mode(s.text(string(ex.Mode))), proxy.Kind(s.text(string(ex.Interaction.Kind)))
	ex.ClientLeg, ex.ServerLeg = s.leg(ex.ClientLeg), s.leg(ex.ServerLeg)
	s.message(&ex.Request.Message)
	if in.Response != nil {
		r := *in.Response
		s.message(&r.Message)
		ex.Response = &r
	}
	return &ex
}

func (s Shared) message(m *proxy.Message) {
	m.Proto = s.text(m.Proto)
	m.Body.Digest = proxy.Digest(s.text(string(m.Body.Digest)))
	m.Header, m.Trailer = s.header(m.Header), s.header(m.Trailer)
}

// report is a report with the same findings: most of its texts are in every report of its kind, and a long channel is read with all of them.
func (s Shared) report(in *validators.Report) *validators.Report {
	if in == nil {
		return nil
	}
	r := *in
	r.Resources = nil                  // checks ask about findings
	r.Issues = slices.Clone(in.Issues) // as many as there are, not what reading them left room for
	for i := range r.Issues {
		is := &r.Issues[i]
		for _, t := range []*string{
			&is.MessageID, &is.Message, &is.Expected, &is.Found, &is.DoNext, &is.Expression, &is.Pointer, &is.Profile, &is.Slice, &is.Constraint, &is.Requirement,
		} {
			*t = s.text(*t)
		}
		is.Severity, is.Code = validators.Severity(s.text(string(is.Severity))), validators.Code(s.text(string(is.Code)))
		is.Side, is.Part = validators.Side(s.text(string(is.Side))), validators.Part(s.text(string(is.Part)))
	}
	r.Context.Guides = s.list(in.Context.Guides)
	return &r
}

func (s Shared) list(in []string) []string {
	out := slices.Clone(in)
	for i := range out {
		out[i] = s.text(out[i])
	}
	return out
}

func (s Shared) header(h proxy.Header) proxy.Header {
	if len(h) == 0 {
		return h
	}
	out := make(proxy.Header, len(h))
	for i, f := range h {
		out[i] = proxy.Field{Name: s.text(f.Name), Value: s.text(f.Value)}
	}
	return out
}

func (s Shared) leg(in *proxy.Leg) *proxy.Leg {
	if in == nil || in.TLS == nil {
		return in
	}
	key, err := json.Marshal(in.TLS)
	if err != nil {
		return in // it is kept as it is
	}
	out := *in
	if same := s.handshakes[string(key)]; same != nil {
		out.TLS = same
	} else if len(s.handshakes) < maxShared {
		s.handshakes[string(key)] = in.TLS
	}
	return &out
}

func (s Shared) text(t string) string {
	if t == "" || len(t) > maxText {
		return t
	}
	if same, ok := s.texts[t]; ok {
		return same
	}
	if len(s.texts) < maxShared {
		s.texts[t] = t
	}
	return t
}
