package testplans

import (
	"strings"
	"time"
)

// Reviewed is one decision of a person on a run. Decisions are appended; the last one counts.
type Reviewed struct {
	ID    string `json:"id"`
	Run   string `json:"run"`
	State Review `json:"state"`
	By    string `json:"by"`
	// Role says as what: "track lead", "client", "server"; may be empty.
	Role    string    `json:"role,omitempty"`
	At      time.Time `json:"at"`
	Comment string    `json:"comment,omitempty"`
	// Digest is that of the judgement that was looked at, so that a decision on older results shows as one.
	Digest string `json:"digest"`
}

// Valid says what keeps a decision from being taken, "" for nothing, with the field at fault.
func (r *Reviewed) Valid() (field, fault string) {
	switch r.State {
	case Claimed, Verified:
	case PartlyVerified, Rejected, Disputed:
		if strings.TrimSpace(r.Comment) == "" {
			return "comment", "say why, so that the two sides know what to do"
		}
	default:
		return "state", "say claimed, verified, partly-verified, rejected or disputed"
	}
	if strings.TrimSpace(r.By) == "" {
		return "by", "say who decides"
	}
	return "", ""
}

// Decision is the last decision among those of one run, oldest first, as it stands beside results of a digest: its review state, and
// whether it was made on other results than these.
func Decision(list []Reviewed, digest string) (last Reviewed, stale bool) {
	if len(list) == 0 {
		return Reviewed{State: Unreviewed}, false
	}
	last = list[len(list)-1]
	return last, last.Digest != digest
}
