package testplans

import "time"

// PlanFile says that a plan comes from a file and not from the build.
type PlanFile struct {
	Plan string `json:"plan"`
	File string `json:"file"`
	// Replaces says that a built-in plan has this id, and that the file's is in its place.
	Replaces bool   `json:"replaces,omitempty"`
	Digest   string `json:"digest"`
	// Since is when this text was taken into use.
	Since time.Time `json:"since"`
}

// FaultEffect is what a fault in a plan's file leads to.
type FaultEffect string

// The effects of faults.
const (
	FaultSkipped FaultEffect = "skipped" // nothing of the file is in use
	FaultKept    FaultEffect = "kept"    // its text before is
	FaultNoted   FaultEffect = "noted"   // the text is, and lacks something
)

// PlanFault is one thing wrong with a plan's file, and where. Line and Column are 1-based, 0 where there is no place.
type PlanFault struct {
	File    string      `json:"file"`
	Line    int         `json:"line,omitempty"`
	Column  int         `json:"column,omitempty"`
	Message string      `json:"message"`
	Effect  FaultEffect `json:"effect"`
	// Plan is the id of the plan in use from this file, empty for none.
	Plan string `json:"plan,omitempty"`
}

// PlanFiles are the files that plans were read from, and what is wrong with them.
type PlanFiles struct {
	Files  []PlanFile
	Faults []PlanFault
}

// Of is the file that a plan in use comes from; false for one that is built in.
func (f *PlanFiles) Of(plan string) (PlanFile, bool) {
	for _, file := range f.Files {
		if file.Plan == plan {
			return file, true
		}
	}
	return PlanFile{}, false
}
