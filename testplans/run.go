package testplans

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"fhirwire/validators"
)

// Run is one judging of a plan over a channel.
type Run struct {
	ID      string
	Plan    string // Plan.ID
	Channel string // its name; empty for imported traffic of several
	// PlanDigest is that of the plan when the run was made; each result has its own.
	PlanDigest string
	// Name is what people call it; empty for the one that is always on.
	Name string
	// Standing marks the run over everything that a channel ever recorded: it has no window, is never started and never stops.
	Standing bool
	State    State
	// Since and Until bound the evidence by when requests began; zero is no bound.
	Since, Until time.Time
	Kind         EvidenceKind
	// CreatedBy is a person, where one made it.
	CreatedBy string
	Created   time.Time
	// Context is what the reports were computed with. A step for other versions of a guide in it is not applicable.
	Context      validators.Context
	Attestations []Attestation
}

// Attestation is a named person's word on a check that asks for one.
type Attestation struct {
	Step    string    `json:"step"`
	Check   string    `json:"check"`
	Verdict Verdict   `json:"verdict"` // pass, fail or not-applicable
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Note    string    `json:"note,omitempty"`
}

// Valid says what keeps an attestation of a plan's check from being taken, "" for nothing, with the field at fault.
func (a *Attestation) Valid(p *Plan) (field, fault string) {
	at := slices.IndexFunc(p.Steps, func(s Step) bool { return s.ID == a.Step })
	if at < 0 {
		return "step", "the plan has no step of this name"
	}
	check := slices.IndexFunc(p.Steps[at].Checks, func(c Check) bool { return c.ID == a.Check })
	switch {
	case check < 0:
		return "check", "the step has no check of this name"
	case p.Steps[at].Checks[check].Attestation == nil:
		return "check", "traffic decides this check, not a person"
	case a.Verdict != Pass && a.Verdict != Fail && a.Verdict != NotApplicable:
		return "verdict", "say pass, fail or not-applicable"
	case strings.TrimSpace(a.By) == "":
		return "by", "say who attests"
	}
	return "", ""
}

// Recorded is a result as it was stored: when it came to be so.
type Recorded struct {
	At     time.Time
	Result Result
}

// RunQuery selects stored runs, newest first. Empty fields select all.
type RunQuery struct {
	Plan, Channel string
	// Before is the id of a run: only older ones are given.
	Before string
	// Limit bounds the answer; 0 is 100.
	Limit int
}

// Evidence points at an exchange that decided something.
type Evidence struct {
	Exchange string `json:"exchange"`
	Number   int64  `json:"number,omitempty"`
	// Note says what it shows, where that is not plain.
	Note string `json:"note,omitempty"`
	// Insecure: the server's certificate was not verified.
	Insecure bool `json:"insecure,omitempty"`
}

// Result is the verdict on one part of a plan: a check, a step (Check is empty) or the whole (Step too). Results are appended,
// none is erased; each has what is needed to compute it again.
type Result struct {
	Run        string `json:"run,omitempty"`
	Plan       string `json:"plan"`
	PlanDigest string `json:"planDigest"`
	Step       string `json:"step,omitempty"`
	Check      string `json:"check,omitempty"`

	Verdict Verdict `json:"verdict"`
	// Side is at fault, for a fail.
	Side         validators.Side     `json:"side,omitempty"`
	Strength     validators.Strength `json:"strength,omitempty"`
	Optional     bool                `json:"optional,omitempty"`
	Requirements []string            `json:"requirements,omitempty"`
	Claim        string              `json:"claim"`
	// Message says why, in a sentence; empty for a plain pass.
	Message string `json:"message,omitempty"`
	// Evidence has at most MaxEvidence exchanges; EvidenceCut counts the others.
	Evidence    []Evidence `json:"evidence,omitempty"`
	EvidenceCut int        `json:"evidenceCut,omitempty"`
	// Insecure counts those of all of them in which the server's certificate was not verified.
	Insecure int                `json:"insecure,omitempty"`
	Kind     EvidenceKind       `json:"evidenceKind"`
	Context  validators.Context `json:"context"`
	// Digest is the SHA-256 of the other fields, without Run: the same evidence gives the same digest.
	Digest string `json:"digest"`
}

// MaxEvidence bounds Result.Evidence.
const MaxEvidence = 20

// Seal sets the digest.
func (r *Result) Seal() error {
	plain := *r
	plain.Digest, plain.Run = "", ""
	text, err := json.Marshal(plain)
	if err != nil {
		return fmt.Errorf("result of %s/%s: %w", r.Step, r.Check, err)
	}
	sum := sha256.Sum256(text)
	r.Digest = hex.EncodeToString(sum[:])
	return nil
}

// Failed reports a SHALL check outside the bonus that failed: what makes a run fail.
func (r *Result) Failed() bool {
	return r.Check != "" && r.Verdict == Fail && r.Strength == validators.Shall && !r.Optional
}
