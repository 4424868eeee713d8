package testplans

import "fhirwire/validators"

// Verdict is what the tool says about something that was recorded. It is never mixed with State, EvidenceKind or Review.
type Verdict string

// The seven verdicts.
const (
	Pass          Verdict = "pass"
	PassNotes     Verdict = "pass-notes"     // warnings or waived findings
	Fail          Verdict = "fail"           // names the side at fault
	NotShown      Verdict = "not-shown"      // required behaviour did not occur; nobody is wrong yet
	NotChecked    Verdict = "not-checked"    // it occurred and could not be judged
	NotApplicable Verdict = "not-applicable" // ruled out
	ToolError     Verdict = "error"          // our fault, counts for nobody
)

// weight orders verdicts for the roll-up: a heavier required part decides.
func (v Verdict) weight() int {
	switch v {
	case ToolError:
		return 6
	case Fail:
		return 5
	case NotChecked:
		return 4
	case NotShown:
		return 3
	case PassNotes:
		return 2
	case Pass:
		return 1
	default:
		return 0
	}
}

// Part is one input of RollUp.
type Part struct {
	Verdict  Verdict
	Optional bool
}

// RollUp is the verdict of a whole: error > fail > not-checked > not-shown > pass-notes > pass over the required parts. Only
// not-applicable parts give not-applicable. Optional parts that are anything but pass or not-applicable add notes to a
// pass and never lower a verdict. Nothing at all is not-shown.
func RollUp(parts []Part) Verdict {
	verdict, required, notes := NotApplicable, false, false
	for _, p := range parts {
		if p.Optional {
			notes = notes || p.Verdict.weight() > Pass.weight()
			continue
		}
		required = true
		if p.Verdict.weight() > verdict.weight() {
			verdict = p.Verdict
		}
	}
	switch {
	case !required && len(parts) == 0:
		return NotShown
	case verdict == Pass && notes:
		return PassNotes
	default:
		return verdict
	}
}

// OfReport is the verdict on one inspected subject. Codes or rules in it that could not be checked make notes: they are shown
// and counted, and neither fail the subject nor pass silently.
func OfReport(s validators.Summary) Verdict {
	switch {
	case s.ToolError != "":
		return ToolError
	case s.Errors > 0:
		return Fail
	case s.Unjudged != "":
		return NotChecked
	case s.Warnings > 0 || s.NotChecked > 0:
		return PassNotes
	default:
		return Pass
	}
}

// State is where a run or an inspection is.
type State string

// The states.
const (
	NotTried   State = "not-tried"
	Recording  State = "recording"
	Evaluating State = "evaluating"
	Done       State = "done"
	Cancelled  State = "cancelled"
)

// EvidenceKind is how we know.
type EvidenceKind string

// The evidence kinds.
const (
	Observed  EvidenceKind = "observed"  // between two registered systems
	Simulated EvidenceKind = "simulated" // one side is ours
	Imported  EvidenceKind = "imported"
	Replayed  EvidenceKind = "replayed"
	Attested  EvidenceKind = "attested" // by a named person
)

// Review is what people decided.
type Review string

// The review states.
const (
	Unreviewed     Review = "unreviewed"
	Claimed        Review = "claimed"
	Verified       Review = "verified"
	PartlyVerified Review = "partly-verified"
	Rejected       Review = "rejected"
	Disputed       Review = "disputed"
)
