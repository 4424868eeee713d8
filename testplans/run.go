package testplans

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"fhirwire/validators"
)

// Run is one judging of a plan over a channel.
type Run struct {
	ID      string
	Plan    string // Plan.ID
	Channel string // its name; empty for imported traffic of several
	State   State
	// Since and Until bound the evidence by when requests began; zero is no bound.
	Since, Until time.Time
	Kind         EvidenceKind
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

// Evidence points at an exchange that decided something.
type Evidence struct {
	Exchange string `json:"exchange"`
	Number   int64  `json:"number,omitempty"`
	// Note says what it shows, where that is not plain.
	Note string `json:"note,omitempty"`
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
	Evidence    []Evidence         `json:"evidence,omitempty"`
	EvidenceCut int                `json:"evidenceCut,omitempty"`
	Kind        EvidenceKind       `json:"evidenceKind"`
	Context     validators.Context `json:"context"`
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
