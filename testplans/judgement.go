package testplans

import "time"

// Judgement is what judging a plan over a channel's recorded exchanges gave, with what it was computed from.
type Judgement struct {
	Plan    string // Plan.ID
	Channel string // its name
	Kind    EvidenceKind
	State   State
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
