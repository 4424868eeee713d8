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
	near     *kids // a misspelt member's: next is to name the nearest

	severity   validators.Severity // instead of the rule's
	code       validators.Code     // instead of the rule's
	notChecked bool
	offset     int // with node == nil
	resource   int
	count      int  // of the same thing elsewhere, folded into this one
	dropped    bool // taken back
}

func (f *finding) level() validators.Severity {
	if f.severity != "" {
		return f.severity
	}
	return rules[f.rule].Severity
}

// maxFindings bounds what a walk keeps; beyond, findings are counted by severity.
const maxFindings = 50_000

// add keeps a finding, or only counts it in a trial.
func (w *walk) add(f finding) {
	level := f.level()
	if w.trial > 0 {
		if level.Rank() <= erro.Rank() && (f.prof == nil || f.prof.Constraint) {
			w.trialErrors++
		}
		return
	}
	if w.stream.mute() {
		return
	}
	f.resource = -1
	if len(w.resources) > 0 {
		f.resource = w.scope.result
	}
	if len(w.findings) >= maxFindings {
		count(&w.unkept, &f)
		w.cut++
		return
	}
	w.findings = append(w.findings, f)
}

type uncheckedKey struct {
	rule  rule
	about string
}

// addOnce adds a finding about something that cannot be checked, folding repetitions of it in this report into one.
func (w *walk) addOnce(about string, f finding) {
	if w.fold(f.rule, about) {
		return
	}
	if len(w.findings) < maxFindings {
		if w.uncheckeds == nil {
			w.uncheckeds = map[uncheckedKey]int{}
		}
		w.uncheckeds[uncheckedKey{f.rule, about}] = len(w.findings)
	}
	w.add(f)
}

// fold reports that what cannot be checked is known already, or that nobody wants to know, and counts it: then there is no
// need to put it into words.
func (w *walk) fold(r rule, about string) bool {
	if w.trial > 0 || w.stream.mute() {
		return true
	}
	if w.stream.fold(r, about) {
		w.folded = append(w.folded, ^w.stream.folds[uncheckedKey{r, about}])
		return true
	}
	at, ok := w.uncheckeds[uncheckedKey{r, about}]
	if ok {
		w.findings[at].count++
		w.folded = append(w.folded, at)
	}
	return ok
}

// issues spells the findings out: sorted, without repetitions, capped. The summary counts all.
func (w *walk) issues(resources []validators.ResourceResult) ([]validators.Issue, validators.Summary, int) {
	fs := w.findings
	slices.SortStableFunc(fs, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.level().Rank(), b.level().Rank()), cmp.Compare(a.place(), b.place()))
	})
	out := make([]validators.Issue, 0, min(len(fs), w.v.opt.MaxIssues))
	var sum validators.Summary
	cut := w.cut
	for i := range fs {
		f := &fs[i]
		if f.dropped || repeated(fs, i) {
			continue
		}
		count(&sum, f)
		if f.resource >= 0 && f.resource < len(resources) && !f.notChecked {
			switch r := &resources[f.resource]; f.level() {
			case fatal, erro:
				r.Errors++
			case warn:
				r.Warnings++
			default:
			}
		}
		if len(out) == w.v.opt.MaxIssues {
			cut++
			continue
		}
		if f.resource >= len(resources) {
			f.resource = -1
		}
		out = append(out, w.spell(f))
	}
	sum.Errors += w.unkept.Errors
	sum.Warnings += w.unkept.Warnings
	sum.Information += w.unkept.Information
	sum.NotChecked += w.unkept.NotChecked
	return out, sum, cut
}

// repeated reports that base and profile, or two profiles, found the same at the same place.
func repeated(fs []finding, i int) bool {
	const back = 64
	f := &fs[i]
	for j := i - 1; j >= 0 && j > i-back && fs[j].place() == f.place(); j-- {
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

func theSameElsewhere(n int) string {
	return " The same holds in " + strconv.Itoa(n) + " more " + places(n) + "."
}

// doc is the document that place counts in.
func (f *finding) doc(whole *fhirjson.Document) *fhirjson.Document {
	switch {
	case f.at != nil:
		return f.at.Doc()
	case f.node != nil:
		return f.node.Doc()
	}
	return whole
}

func (w *walk) spell(f *finding) validators.Issue {
	r := &rules[f.rule]
	is := validators.Issue{
		Severity: f.level(), Code: cmp.Or(f.code, r.Code), MessageID: r.ID, Message: f.message,
		Expected: strings.Clone(f.expected), Found: strings.Clone(f.found), // they may share memory with the input
		DoNext: f.next, Slice: f.slice, Constraint: f.key, NotChecked: f.notChecked, Resource: f.resource,
		Position: f.doc(w.doc).Position(f.place()),
	}
	if f.near != nil {
		if near := nearest(strings.TrimPrefix(f.node.Key(), "_"), f.near); near != "" {
			is.DoNext = "Did you mean " + near + "?"
		}
	}
	if f.count > 0 {
		is.Message += theSameElsewhere(f.count)
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

// name is what a message calls an element: its path from the resource the walk is in. It is made only for findings that are
// kept.
func (w *walk) name(n *fhirjson.Node) string {
	if w.trial > 0 || len(w.findings) >= maxFindings {
		return ""
	}
	full := n.Expression()
	if r := w.scope.resource; r != nil && r.Parent() != nil {
		if rest, ok := strings.CutPrefix(full, r.Expression()); ok {
			return w.scope.typ + rest
		}
	}
	return full
}

func sameFinding(a, b *finding) bool {
	return a.rule == b.rule && a.node == b.node && a.child == b.child && a.key == b.key && a.offset == b.offset && a.message == b.message
}
