package testplans

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"
	"time"
)

// Judgement is what judging a plan over a channel's recorded exchanges gave, with what it was computed from.
type Judgement struct {
	Plan    string // Plan.ID
	Channel string // its name
	// Run is the id of the run that it is of, empty while none is stored.
	Run   string
	Kind  EvidenceKind
	State State
	// Results are those of the judge: the whole, then each step with its checks. They are shared; do not change them.
	Results []Result
	// Exchanges were looked at; Waiting of them have no report yet. With Older set there are more, recorded before, that were not.
	Exchanges, Waiting int
	Older              bool
	// Last is when the newest of them began.
	Last time.Time
}

// Whole is the result on the whole plan.
func (j *Judgement) Whole() Result {
	for _, r := range j.Results {
		if r.Step == "" && r.Check == "" {
			return r
		}
	}
	return Result{Verdict: NotShown}
}

// Digest is the SHA-256 over the results' digests: what a reviewer looked at.
func (j *Judgement) Digest() string {
	h := sha256.New()
	for i := range j.Results {
		_, _ = io.WriteString(h, j.Results[i].Digest+"\n") // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Step is the result on a step, without its checks.
func (j *Judgement) Step(id string) (Result, bool) {
	for _, r := range j.Results {
		if r.Step == id && r.Check == "" {
			return r, true
		}
	}
	return Result{}, false
}

// Checks are the results on a step's checks, in the plan's order.
func (j *Judgement) Checks(step string) []Result {
	var out []Result
	for _, r := range j.Results {
		if r.Step == step && r.Check != "" {
			out = append(out, r)
		}
	}
	return out
}

// StateOf is the state of a judging that runs along with the recording: not tried while no exchange is evidence of a step,
// evaluating while exchanges wait for their reports, recording while a required step was not shown, else done.
func StateOf(results []Result, waiting int) State {
	tried, missing := false, false
	for _, r := range results {
		tried = tried || len(r.Evidence) > 0
		missing = missing || r.Step != "" && r.Check == "" && !r.Optional && r.Verdict == NotShown
	}
	switch {
	case !tried && waiting == 0:
		return NotTried
	case waiting > 0:
		return Evaluating
	case missing:
		return Recording
	default:
		return Done
	}
}

// StateOfRun is StateOf with the run's window: when that has closed nothing more is waited for, and one that is empty was called off.
func StateOfRun(r *Run, results []Result, waiting int, now time.Time) State {
	if r.CalledOff() {
		return Cancelled
	}
	st := StateOf(results, waiting)
	if st == Recording && !r.Until.IsZero() && !now.Before(r.Until) {
		return Done
	}
	return st
}

// CalledOff reports a run that was stopped before anything was evidence of it: its window is empty.
func (r *Run) CalledOff() bool {
	return !r.Until.IsZero() && !r.Since.IsZero() && !r.Since.Before(r.Until)
}

// PlaysTrack reports whether a channel whose track is named so plays plans of a track: its own is that one, in other letters or
// punctuation too. A channel without a track, or with one that no plan has, may be playing any of them.
func PlaysTrack(channel, of string, plans []Plan) bool {
	track := plainTrack(channel)
	if track == "" || track == plainTrack(of) {
		return true
	}
	for i := range plans {
		if plainTrack(plans[i].Track) == track {
			return false
		}
	}
	return true
}

func plainTrack(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return strings.ContainsRune(" -_/.,:", r) }), " ")
}
