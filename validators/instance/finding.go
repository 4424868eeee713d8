package instance

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/profile"
)

// finding is an issue before its place is spelt out, which costs more than finding it.
type finding struct {
	rule     rule
	node     *fhirjson.Node
	at       *fhirjson.Node // the position, where it is not node's
	atKey    bool           // the position is the member's name, not its value
	path     string         // the expression, where it is not node's
	pointer  string         // the same of the pointer
	child    string
	prof     *profile.Profile
	slice    string
	key      string // constraint
	message  string
	expected string
	found    string
	next     string

	severity   validators.Severity // instead of the rule's
	code       validators.Code     // instead of the rule's
	notChecked bool
	offset     int // with node == nil
	resource   int
	count      int // of the same thing elsewhere, folded into this one
}

func (f *finding) level() validators.Severity {
	if f.severity != "" {
		return f.severity
	}
	return rules[f.rule].Severity
}

// add keeps a finding, or only counts it in a trial.
func (w *walk) add(f finding) {
	level := f.level()
	if w.trial > 0 {
		if level.Rank() <= erro.Rank() && (f.prof == nil || f.prof.Constraint) {
			w.trialErrors++
		}
		return
	}
	if len(w.resources) > 0 {
		f.resource = w.scope.result
	} else {
		f.resource = -1
	}
	w.findings = append(w.findings, f)
}

func sameFinding(a, b *finding) bool {
	return a.rule == b.rule && a.node == b.node && a.child == b.child && a.key == b.key && a.offset == b.offset && a.message == b.message
}

type unchecked struct {
	rule  rule
	about string // the key that folds them
	at    int    // index of the first in findings
}

// once adds a finding about something that cannot be checked, folding repetitions of it in this report into one.
func (w *walk) addOnce(about string, f finding) {
	if w.trial > 0 {
		return
	}
	for i := range w.uncheckeds {
		if u := &w.uncheckeds[i]; u.rule == f.rule && u.about == about {
			w.findings[u.at].count++
			return
		}
	}
	w.uncheckeds = append(w.uncheckeds, unchecked{f.rule, about, len(w.findings)})
	w.add(f)
}

// issues spells the findings out: sorted, without repetitions, capped. The summary counts all.
func (w *walk) issues(resources []validators.ResourceResult) ([]validators.Issue, validators.Summary, int) {
	fs := w.findings
	slices.SortStableFunc(fs, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.level().Rank(), b.level().Rank()), cmp.Compare(a.place(), b.place()))
	})
	out := make([]validators.Issue, 0, min(len(fs), w.v.opt.MaxIssues))
	var sum validators.Summary
	cut := 0
	for i := range fs {
		f := &fs[i]
		if repeated(fs, i) {
			continue
		}
		count(&sum, f)
		if f.resource >= 0 && f.resource < len(resources) && !f.notChecked {
			switch r := &resources[f.resource]; f.level() {
			case fatal, erro:
				r.Errors++
			case warn:
				r.Warnings++
			}
		}
		if len(out) == w.v.opt.MaxIssues {
			cut++
			continue
		}
		out = append(out, w.spell(f))
	}
	return out, sum, cut
}

func repeated(fs []finding, i int) bool {
	f := &fs[i]
	for j := i - 1; j >= 0 && fs[j].place() == f.place(); j-- {
		if sameFinding(&fs[j], f) {
			return true
		}
	}
	return false
}

func count(sum *validators.Summary, f *finding) {
	switch level := f.level(); {
	case f.notChecked:
		sum.NotChecked += 1 + f.count
		return
	case level.Rank() <= erro.Rank():
		sum.Errors++
	case level == warn:
		sum.Warnings++
	default:
		sum.Information++
	}
	if sum.Headline == "" && f.level().Rank() <= warn.Rank() {
		sum.Headline = f.message
	}
}

func (f *finding) place() int {
	n := f.node
	if f.at != nil {
		n = f.at
	}
	switch {
	case n == nil:
		return f.offset
	case f.atKey:
		return n.KeyOffset()
	}
	return n.Offset()
}

func (w *walk) spell(f *finding) validators.Issue {
	r := &rules[f.rule]
	is := validators.Issue{
		Severity: f.level(), Code: cmp.Or(f.code, r.Code), MessageID: r.ID, Message: f.message, Expected: f.expected, Found: f.found,
		DoNext: f.next, Slice: f.slice, Constraint: f.key, NotChecked: f.notChecked, Resource: f.resource,
		Position: w.doc.Position(f.place()),
	}
	if f.count > 0 {
		is.Message += " The same holds in " + strconv.Itoa(f.count) + " more places."
	}
	if f.node != nil {
		is.Expression, is.Pointer = f.node.Expression(), f.node.Pointer()
	}
	if f.path != "" {
		is.Expression = f.path
	}
	if f.pointer != "" {
		is.Pointer = f.pointer
	}
	if f.prof != nil {
		is.Profile = f.prof.URL
		if f.prof.Version != "" {
			is.Profile += "|" + f.prof.Version
		}
	}
	return is
}

// name is what a message calls an element: its path from the nearest resource. It is made only for findings that are kept.
func (w *walk) name(n *fhirjson.Node) string {
	if w.trial > 0 {
		return ""
	}
	full := n.Expression()
	if r := n.Resource(); r != nil && r.Parent() != nil {
		if rest, ok := strings.CutPrefix(full, r.Expression()); ok {
			return r.ResourceType() + rest
		}
	}
	return full
}
