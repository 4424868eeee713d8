package membermatch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
)

const (
	policyRegular   = "http://hl7.org/fhir/us/davinci-hrex/StructureDefinition-hrex-consent.html#regular"
	policySensitive = "http://hl7.org/fhir/us/davinci-hrex/StructureDefinition-hrex-consent.html#sensitive"

	suppressed = validators.Code("suppressed")
)

// forbidden are the members of Consent.provision that the profile does not allow (P2P-MM-153): a consent that carries one says
// less than the whole, and is not ours to interpret.
var forbidden = [...]string{"securityLabel", "purpose", "class", "code", "dataPeriod", "data", "provision"}

// consented decides whether the consent can be honoured for the member found (P2P-MM-30): a Grant, or the reason why not.
func (m *Matcher) consented(ctx context.Context, r *request, c candidate) (*Grant, *issue, error) {
	id, err := memberIdentifier(c.patient)
	if err != nil {
		return nil, nil, err
	}
	g := &Grant{PatientID: c.id, Identifier: id, Consent: slices.Clone(r.consent.Raw())}
	for _, step := range [...]func(context.Context, *request, candidate, *Grant) *issue{m.form, m.policy, m.parties, m.period} {
		if no := step(ctx, r, c, g); no != nil {
			if rest, ok := strings.CutPrefix(no.expression, "Consent."); ok { // its place in the request
				no.expression = r.consent.Expression() + "." + rest
			}
			return nil, no, nil
		}
	}
	out, err := m.optedOut(ctx, c.id)
	if err != nil {
		return nil, nil, err
	}
	if out {
		// P2P-MM-167
		return nil, &issue{suppressed, "The consent request cannot be complied with: the member does not want data shared.", ""}, nil
	}
	return g, nil, nil
}

// form: P2P-MM-161.
func (m *Matcher) form(_ context.Context, r *request, _ candidate, _ *Grant) *issue {
	provision := r.consent.Member("provision")
	switch {
	case r.consent.MemberText("status") != "active":
		return &issue{validators.CodeInvalid, "The consent is not active.", "Consent.status"}
	case provision == nil || provision.MemberText("type") != "permit":
		return &issue{validators.CodeInvalid, "The consent does not permit anything: provision.type is not permit.", "Consent.provision.type"}
	}
	for _, name := range forbidden {
		if provision.Member(name) != nil {
			return &issue{validators.CodeInvalid, "The consent limits what may be disclosed in a way that this operation does not know: provision." + name + ".", "Consent.provision." + name}
		}
	}
	for _, a := range provision.AppendElements(nil, "action") {
		if hasCode(a, "http://terminology.hl7.org/CodeSystem/consentaction", "disclose") {
			return nil
		}
	}
	return &issue{validators.CodeInvalid, "The consent does not permit disclosure: provision.action is not disclose.", "Consent.provision.action"}
}

// policy: P2P-MM-164 to 166 and 31. With both policies named the narrower one is kept.
func (m *Matcher) policy(_ context.Context, r *request, c candidate, g *Grant) *issue {
	var regular, sensitive bool
	for _, p := range r.consent.AppendElements(nil, "policy") {
		switch p.MemberText("uri") {
		case policyRegular:
			regular = true
		case policySensitive:
			sensitive = true
		default:
			return &issue{validators.CodeInvalid, "The consent names a policy that is none of HRex.", "Consent.policy"}
		}
	}
	switch {
	case !regular && !sensitive:
		return &issue{validators.CodeInvalid, "The consent names no policy.", "Consent.policy"}
	case !regular:
		g.Sensitive = true
		return nil
	case m.opt.Segmentation == SegmentationNone || m.unsegmented(c.patient):
		return &issue{validators.CodeBusinessRule, "The consent request cannot be complied with: non-sensitive data cannot be separated.", ""}
	}
	return nil
}

func (m *Matcher) unsegmented(patient *fhirjson.Node) bool {
	if m.opt.UnsegmentedTag == "" {
		return false
	}
	for _, t := range patient.Member("meta").AppendElements(nil, "tag") {
		if t.MemberText("system")+"|"+t.MemberText("code") == m.opt.UnsegmentedTag {
			return true
		}
	}
	return false
}

// parties: P2P-MM-163.
func (m *Matcher) parties(ctx context.Context, r *request, _ candidate, g *Grant) *issue {
	var source, recipient, fromUs, toAsker bool
	asker := ""
	if m.opt.Requester != nil {
		asker = m.opt.Requester(ctx)
	}
	for _, a := range r.consent.Member("provision").AppendElements(nil, "actor") {
		value := a.Member("reference").Member("identifier").MemberText("value")
		reference := a.Member("reference").MemberText("reference")
		switch role := a.Member("role"); {
		case hasCode(role, "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "performer"):
			source = true
			fromUs = fromUs || m.names(a.Member("reference"))
		case hasCode(role, "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP"):
			recipient = true
			toAsker = toAsker || asker == "" || value == asker || reference == asker
			if value != "" {
				g.Recipients = append(g.Recipients, value)
			}
		}
	}
	switch {
	case !source || !recipient:
		return &issue{validators.CodeInvalid, "The consent does not name both the plan that discloses and the one that receives.", "Consent.provision.actor"}
	case !fromUs:
		return &issue{validators.CodeBusinessRule, "The consent request cannot be complied with: it does not name this plan as the source.", "Consent.provision.actor"}
	case !toAsker:
		return &issue{validators.CodeBusinessRule, "The consent request cannot be complied with: the requesting plan is not its recipient.", "Consent.provision.actor"}
	}
	return nil
}

// names reports whether a Reference is to this plan: by an identifier or a reference of it, with or without a server's base, or else by
// its name. The consent of HRex leaves open which (P2P-MM-150).
func (m *Matcher) names(to *fhirjson.Node) bool {
	if len(m.opt.Plan) == 0 {
		return true
	}
	known := func(s string) bool {
		return s != "" && (slices.Contains(m.opt.Plan, s) || m.opt.Alias != nil && m.opt.Alias(s))
	}
	value, reference := to.Member("identifier").MemberText("value"), to.MemberText("reference")
	if value == "" && reference == "" {
		name := fold(m.opt.PlanName)
		return name != "" && fold(to.MemberText("display")) == name
	}
	reference, _, _ = strings.Cut(reference, "/_history/")
	local := reference
	if parts := strings.Split(reference, "/"); len(parts) > 2 {
		local = strings.Join(parts[len(parts)-2:], "/")
	}
	return known(value) || known(reference) || known(local)
}

// period: P2P-MM-149 and 162. An end that is a day lasts until that day is over.
func (m *Matcher) period(_ context.Context, r *request, c candidate, g *Grant) *issue {
	p := r.consent.Member("provision").Member("period")
	var err error
	if g.Start, _, err = instant(p.MemberText("start")); err == nil {
		_, g.End, err = instant(p.MemberText("end"))
	}
	if err != nil {
		return &issue{validators.CodeInvalid, "The consent has no period with a start and an end.", "Consent.provision.period"}
	}
	now := m.clock()
	outside := &issue{validators.CodeBusinessRule, "The consent request cannot be complied with: today is outside the consent period.", "Consent.provision.period"}
	if now.Before(g.Start) {
		return outside
	}
	for _, id := range c.patient.AppendElements(nil, "identifier") {
		if slices.Contains(m.opt.HonourPastConsents, id.MemberText("value")) {
			return nil
		}
	}
	if !now.Before(g.End) {
		return outside
	}
	return nil
}

// instant reads a FHIR dateTime as the first moment it covers and the first one after it, in UTC where it names no zone.
func instant(s string) (from, until time.Time, err error) {
	for _, f := range [...]struct {
		layout              string
		years, months, days int
	}{{"2006", 1, 0, 0}, {"2006-01", 0, 1, 0}, {time.DateOnly, 0, 0, 1}} {
		if len(s) == len(f.layout) {
			from, err = time.Parse(f.layout, s)
			return from, from.AddDate(f.years, f.months, f.days), err
		}
	}
	from, err = time.Parse(time.RFC3339Nano, s)
	return from, from.Add(time.Second), err
}

// optedOut asks our own records whether the member refused sharing.
func (m *Matcher) optedOut(ctx context.Context, patientID string) (bool, error) {
	list, err := m.lookup.Search(ctx, "Consent", "patient", patientID)
	if err != nil {
		return false, fmt.Errorf("find Consents of Patient/%s: %w", patientID, err)
	}
	for _, raw := range list {
		c, err := stored(raw, "Consent")
		if err != nil {
			return false, err
		}
		if c.MemberText("status") == "active" && c.Member("provision").MemberText("type") == "deny" &&
			strings.HasSuffix(c.Member("patient").MemberText("reference"), "Patient/"+patientID) {
			return true, nil
		}
	}
	return false, nil
}

func hasCode(concept *fhirjson.Node, system, code string) bool {
	for _, c := range concept.AppendElements(nil, "coding") {
		if c.MemberText("system") == system && c.MemberText("code") == code {
			return true
		}
	}
	return false
}
