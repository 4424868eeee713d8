package membermatch

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
)

// Lookup finds the payer's own resources.
type Lookup interface {
	// Search returns, as FHIR JSON, the current resources of a type that one search parameter finds. The Matcher asks for
	// Patient by birthdate, and for Coverage and Consent by patient (the value is the Patient's id).
	Search(ctx context.Context, resourceType, parameter, value string) ([][]byte, error)
}

// Segmentation says whether the payer can leave sensitive data out.
type Segmentation uint8

// The segmentations of P2P-MM-31. The zero value is the one the synthetic members are made for.
const (
	SegmentationTagged   Segmentation = iota // sensitive data carry a label and are filtered
	SegmentationExcluded                     // no sensitive data are shared at all
	SegmentationNone                         // they are held and cannot be told apart
)

// Options tune a Matcher.
type Options struct {
	// Plan holds the identifier values and references by which a consent may name this plan as the source (P2P-MM-163).
	// Empty: the source is not compared.
	Plan []string
	// Alias tells of what is not in Plan whether it is another identifier value of this plan or reference to it. Nil: nothing is.
	Alias func(string) bool
	// PlanName is the assigner of the returned identifier. A consent that has nothing else may name the plan by it.
	PlanName string
	// Requester gives the identifier of the authenticated payer, which has to be the consent's recipient (P2P-MM-163). Nil, or an
	// empty answer: nobody is authenticated, so any recipient will do.
	Requester func(ctx context.Context) string
	// Segmentation is for all members; UnsegmentedTag (system|code of a Patient.meta.tag) marks those with SegmentationNone.
	Segmentation   Segmentation
	UnsegmentedTag string
	// HonourPastConsents lists member identifier values whose consents are honoured out of their period too: public client
	// collections have dates written into them that have passed.
	HonourPastConsents []string
	// HideOptOuts reports opted-out members to providers as not matched, where to say so would disclose it (PMM-07).
	HideOptOuts bool
	// MemberID adds the reference to the Patient that HRex 1.1 allows and HRex 1.0.0 does not (P2P-MM-172).
	MemberID bool
	// MaxGuesses is how many different cards one client may try with one name and birth date in an hour (P2P-MM-27). 0 means 5,
	// below 0 turns the guard off.
	MaxGuesses int
}

// Matcher answers member matches. It is safe for concurrent use.
type Matcher struct {
	lookup Lookup
	clock  func() time.Time
	opt    Options
	guard  guard
}

// New makes a Matcher.
func New(lookup Lookup, clock func() time.Time, opt Options) *Matcher {
	if opt.MaxGuesses == 0 {
		opt.MaxGuesses = 5
	}
	return &Matcher{lookup: lookup, clock: clock, opt: opt, guard: guard{max: opt.MaxGuesses, failed: map[guessKey]*guesses{}}}
}

// Result is the answer to one request.
type Result struct {
	// Status is 200, 400, 422 or 429.
	Status int
	// Body is Parameters or an OperationOutcome, as application/fhir+json.
	Body []byte
	// RetryAfter is set with 429.
	RetryAfter time.Duration
	// Grant is set with 200.
	Grant *Grant
}

// Grant is what a match and its consent allow, for whoever issues the member's token (P2P-MM-29).
type Grant struct {
	PatientID  string
	Identifier Identifier
	// Sensitive is whether sensitive data may be disclosed too.
	Sensitive  bool
	Start, End time.Time
	// Recipients are the identifier values of the plans the consent names.
	Recipients []string
	// Consent is the Consent as received.
	Consent []byte
}

// Identifier is a FHIR Identifier without its type.
type Identifier struct{ System, Value string }

// Match answers a request body. The error is ours (the lookup failed, a stored resource is broken), never the client's.
func (m *Matcher) Match(ctx context.Context, body []byte) (Result, error) {
	doc := fhirjson.Parse(body)
	req, faults := parse(doc)
	if faults.status != 0 {
		return refuse(faults.status, faults.issues...)
	}
	key, card := m.guessOf(ctx, req)
	if wait := m.guard.blocked(key, m.clock()); wait > 0 {
		r, err := refuse(http.StatusTooManyRequests, issue{validators.Code("throttled"), "Too many different cards were tried for one person; try again later.", ""})
		r.RetryAfter = wait
		return r, err
	}
	found, err := m.find(ctx, req)
	if err != nil {
		return Result{}, fmt.Errorf("member match: %w", err)
	}
	// P2P-MM-20 to 22: one member or none. The texts carry no member data (P2P-MM-24).
	switch len(found) {
	case 0:
		m.guard.failure(key, card, m.clock())
		return refuse(http.StatusUnprocessableEntity, issue{validators.CodeNotFound, "No member matches the submitted coverage and demographics.", ""})
	case 1:
	default:
		m.guard.failure(key, card, m.clock())
		return refuse(http.StatusUnprocessableEntity, issue{validators.Code("multiple-matches"), "More than one member matches; a single match is required.", ""})
	}
	c := found[0]
	grant, no, err := m.consented(ctx, req, c)
	if err != nil {
		return Result{}, fmt.Errorf("member match: %w", err)
	}
	if no != nil {
		// P2P-MM-23: the member is known, yet nothing of the member may be said.
		return refuse(http.StatusUnprocessableEntity, *no)
	}
	return m.accept(grant)
}

func (m *Matcher) accept(g *Grant) (Result, error) {
	type coding struct {
		System string `json:"system"`
		Code   string `json:"code"`
	}
	type concept struct {
		Coding []coding `json:"coding"`
	}
	type display struct {
		Display string `json:"display"`
	}
	type valueIdentifier struct {
		Type     concept  `json:"type"`
		System   string   `json:"system,omitempty"`
		Value    string   `json:"value"`
		Assigner *display `json:"assigner,omitempty"`
	}
	type reference struct {
		Reference string `json:"reference"`
	}
	type parameter struct {
		Name       string           `json:"name"`
		Identifier *valueIdentifier `json:"valueIdentifier,omitempty"`
		Reference  *reference       `json:"valueReference,omitempty"`
	}
	id := &valueIdentifier{
		// P2P-MM-171: MB is HRex 1.0.0's type, UMB that of 1.1 and later; both patterns hold with both codings.
		Type:   concept{[]coding{{typeSystem, "MB"}, {umbSystem, "UMB"}}},
		System: g.Identifier.System, Value: g.Identifier.Value,
	}
	if m.opt.PlanName != "" {
		id.Assigner = &display{m.opt.PlanName} // P2P-MM-45
	}
	params := []parameter{{Name: "MemberIdentifier", Identifier: id}}
	if m.opt.MemberID {
		params = append(params, parameter{Name: "MemberId", Reference: &reference{"Patient/" + g.PatientID}})
	}
	// P2P-MM-40: nothing of the request is echoed.
	body, err := json.Marshal(struct {
		ResourceType string      `json:"resourceType"`
		Parameter    []parameter `json:"parameter"`
	}{"Parameters", params})
	if err != nil {
		return Result{}, fmt.Errorf("member match answer: %w", err)
	}
	return Result{Status: http.StatusOK, Body: body, Grant: g}, nil
}
