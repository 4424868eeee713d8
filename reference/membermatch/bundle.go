package membermatch

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
)

// Kind is which match of many members is asked for.
type Kind uint8

// The kinds: PDex $bulk-member-match of payers, and $provider-member-match of PDex 2.2.
const (
	Payer Kind = iota
	Provider
)

func (k Kind) operation() string {
	if k == Provider {
		return "$provider-member-match"
	}
	return "$bulk-member-match"
}

// Bucket is where a submitted member ends up.
type Bucket uint8

// The buckets.
const (
	NotMatched Bucket = iota
	Matched
	Constrained // by consent
)

// Bundle is one MemberBundle of a request. Index counts from 0 in the order sent.
type Bundle struct {
	Index             int
	Patient, Coverage *fhirjson.Node // as submitted
	request           *request
}

// Member is what became of a Bundle (PMM-13: each is in one bucket).
type Member struct {
	Bundle
	Bucket Bucket
	// PatientID is ours, when Matched.
	PatientID string
	// Sensitive, From and Until bound what the consent allows; zero times are no bounds.
	Sensitive   bool
	From, Until time.Time
	// Asker identifies who asks, as the consent has it; empty when it does not say.
	Asker Identifier
}

// ReadBundles reads the request of a match of many (P2P-BLK-101 to 104; section 1.6 for providers). What is wrong with its form
// is refused as a whole (P2P-BLK-05, PMM-14): then the Result has a status. The nodes point into body.
func ReadBundles(body []byte, kind Kind) ([]Bundle, Result, error) {
	doc := fhirjson.Parse(body)
	root := doc.Root()
	var f faults
	if ps := doc.Problems(); len(ps) > 0 {
		p := doc.Position(ps[0].Offset)
		f.add(validators.CodeStructure, nil, "The body is not well-formed JSON: line %d column %d: %s.", p.Line, p.Column, ps[0].Text)
	} else if root == nil || root.ResourceType() != "Parameters" {
		f.add(validators.CodeStructure, nil, "The body is not a Parameters resource.")
	}
	if f.status != 0 {
		r, err := refuseAs(kind.operation(), http.StatusBadRequest, f.issues)
		return nil, r, err
	}
	var out []Bundle
	for _, p := range root.AppendElements(nil, "parameter") {
		if p.MemberText("name") != "MemberBundle" {
			f.add(validators.CodeStructure, p, "A parameter is no MemberBundle.")
			continue
		}
		out = append(out, f.bundle(len(out), p, kind))
	}
	if len(out) == 0 {
		f.add(validators.CodeRequired, nil, "There is no MemberBundle.")
	}
	f.sameID(out)
	if f.status == 0 {
		return out, Result{}, nil
	}
	r, err := refuseAs(kind.operation(), f.status, f.issues)
	return nil, r, err
}

func (f *faults) bundle(index int, p *fhirjson.Node, kind Kind) Bundle {
	var got [len(slots)]filed
	for _, part := range p.AppendElements(nil, "part") {
		f.collect(&got, part)
	}
	for i, s := range slots {
		if s.required && !got[i].seen {
			f.add(validators.CodeRequired, p, "MemberBundle %d has no %s.", index+1, s.name)
		}
	}
	if kind == Provider && got[2].seen {
		f.add(validators.CodeStructure, p, "MemberBundle %d has a CoverageToLink, which %s does not know.", index+1, kind.operation())
	}
	r := &request{patient: got[0].resource, coverage: got[1].resource, link: got[2].resource, consent: got[3].resource}
	f.demographics(r)
	f.cards(r)
	return Bundle{Index: index, Patient: r.patient, Coverage: r.coverage, request: r}
}

// sameID: P2P-BLK-12: two different patients with one id could not both keep it in one answer.
func (f *faults) sameID(all []Bundle) {
	seen := map[string]*fhirjson.Node{}
	for _, b := range all {
		if b.Patient == nil {
			continue
		}
		id := b.Patient.MemberText("id")
		if first := seen[id]; id != "" && first != nil && !bytes.Equal(first.Raw(), b.Patient.Raw()) {
			f.add("duplicate", b.Patient, "Two different patients have the id %q.", id)
		}
		seen[id] = b.Patient
	}
}

// MatchAll decides about each Bundle by itself: what becomes of one concerns no other (P2P-BLK-07, PMM-08).
func (m *Matcher) MatchAll(ctx context.Context, bundles []Bundle, kind Kind) ([]Member, error) {
	out := make([]Member, 0, len(bundles))
	for _, b := range bundles {
		decide := m.payerMember
		if kind == Provider {
			decide = m.providerMember
		}
		member, err := decide(ctx, b)
		if err != nil {
			return nil, fmt.Errorf("member match: bundle %d: %w", b.Index+1, err)
		}
		member.Bundle = b
		out = append(out, member)
	}
	return out, nil
}

// one finds the one member meant, nil when there is none or more than one.
func (m *Matcher) one(ctx context.Context, r *request) (*candidate, error) {
	key, card := m.guessOf(ctx, r)
	if m.guard.blocked(key, m.clock()) > 0 {
		return nil, nil
	}
	found, err := m.find(ctx, r)
	if err != nil {
		return nil, err
	}
	if len(found) != 1 {
		m.guard.failure(key, card, m.clock())
		return nil, nil
	}
	return &found[0], nil
}

func (m *Matcher) payerMember(ctx context.Context, b Bundle) (Member, error) {
	out := Member{Asker: actor(b.request.consent, "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP")}
	c, err := m.one(ctx, b.request)
	if err != nil || c == nil {
		return out, err
	}
	grant, no, err := m.consented(ctx, b.request, *c)
	switch {
	case err != nil:
		return out, err
	case no != nil:
		out.Bucket = Constrained
		return out, nil
	}
	out.Bucket, out.PatientID, out.Sensitive = Matched, c.id, grant.Sensitive
	if now := m.clock(); !now.Before(grant.Start) && now.Before(grant.End) {
		out.From, out.Until = grant.Start, grant.End
	}
	return out, nil
}

// providerMember: PMM-03, PMM-06: the opt-out first, then the attestation. One that does not hold is no match.
func (m *Matcher) providerMember(ctx context.Context, b Bundle) (Member, error) {
	out := Member{Asker: attestor(b.request.consent)}
	c, err := m.one(ctx, b.request)
	if err != nil || c == nil {
		return out, err
	}
	refused, err := m.optedOut(ctx, c.id)
	if err != nil {
		return out, err
	}
	if refused {
		if !m.opt.HideOptOuts { // PMM-07
			out.Bucket = Constrained
		}
		return out, nil
	}
	if until, ok := m.attested(b.request.consent); ok {
		out.Bucket, out.PatientID, out.Sensitive, out.Until = Matched, c.id, true, until
	}
	return out, nil
}

// attested checks a treatment attestation: active, a permit, by somebody, and for a relationship that is not over.
func (m *Matcher) attested(consent *fhirjson.Node) (until time.Time, ok bool) {
	provision := consent.Member("provision")
	if consent.MemberText("status") != "active" || provision.MemberText("type") == "deny" || len(consent.AppendElements(nil, "performer")) == 0 {
		return until, false
	}
	now := m.clock()
	period := provision.Member("period")
	if s := period.MemberText("start"); s != "" {
		if from, _, err := instant(s); err != nil || now.Before(from) {
			return until, false
		}
	}
	if s := period.MemberText("end"); s != "" {
		var err error
		if _, until, err = instant(s); err != nil || !now.Before(until) {
			return until, false
		}
	}
	return until, true
}

func actor(consent *fhirjson.Node, system, code string) Identifier {
	for _, a := range consent.Member("provision").AppendElements(nil, "actor") {
		if id := a.Member("reference").Member("identifier"); id != nil && hasCode(a.Member("role"), system, code) {
			return Identifier{strings.Clone(id.MemberText("system")), strings.Clone(id.MemberText("value"))}
		}
	}
	return Identifier{}
}

// attestor is the organization that attests, or else the person.
func attestor(consent *fhirjson.Node) Identifier {
	for _, r := range slices.Concat(consent.AppendElements(nil, "organization"), consent.AppendElements(nil, "performer")) {
		if id := r.Member("identifier"); id.MemberText("value") != "" {
			return Identifier{strings.Clone(id.MemberText("system")), strings.Clone(id.MemberText("value"))}
		}
	}
	return Identifier{}
}
