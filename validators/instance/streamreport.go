package instance

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
)

// keptIssue is a finding of an entry that is forgotten by now. Of every rank, a walk keeps as many as a report may have.
type keptIssue struct {
	issue      validators.Issue
	entry, row int // row of the entry's resources, from 1; 0 is the Bundle's, -1 none
	folded     int // places that are folded into this one
}

// onceFinding is the first of something that cannot be checked, in the entries of one walk.
type onceFinding struct {
	key   uncheckedKey
	kept  keptIssue
	level validators.Severity
	count int // of others
}

type keptRow struct {
	entry, row int
	result     validators.ResourceResult
}

// fold counts what is known from an earlier entry.
func (s *stream) fold(r rule, about string) bool {
	if s == nil {
		return false
	}
	at, ok := s.folds[uncheckedKey{r, about}]
	if ok {
		s.once[at].count++
	}
	return ok
}

// deliver puts the findings and rows of an entry into words, those from the given ones on, and takes them from the walk.
func (s *stream) deliver(entry, findings, rows int) {
	w := s.walk
	keys := map[int]uncheckedKey{}
	for key, at := range w.uncheckeds {
		if at >= findings {
			keys[at] = key
			delete(w.uncheckeds, key)
		}
	}
	for i := findings; i < len(w.findings); i++ { // in the walk's order, before they are sorted
		if key, ok := keys[i]; ok && !w.findings[i].dropped {
			f := &w.findings[i]
			key.about = strings.Clone(key.about)
			s.folds[key] = len(s.once)
			count := f.count
			f.count = 0
			s.once = append(s.once, onceFinding{key: key, kept: s.keep(f, entry, rows), level: f.level(), count: count})
			f.dropped = true
		}
	}
	fs := w.findings[findings:]
	slices.SortStableFunc(fs, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.level().Rank(), b.level().Rank()), cmp.Compare(a.place(), b.place()))
	})
	for i := range fs {
		f := &fs[i]
		if f.dropped || repeated(fs, i) {
			continue
		}
		s.total++
		count(&s.sum, f)
		s.countRow(f, rows)
		rank := f.level().Rank()
		if entry < 0 || len(s.kept[rank]) < w.v.opt.MaxIssues {
			s.kept[rank] = append(s.kept[rank], s.keep(f, entry, rows))
		}
	}
	clear(fs)
	w.findings, w.folded = w.findings[:findings], w.folded[:0]
	for i := rows; i < len(w.resources); i++ {
		if s.visit != nil {
			s.tell(entry, &w.resources[i])
		}
		if len(s.rows) < maxResources {
			s.rows = append(s.rows, keptRow{entry, i - rows + 1, w.resources[i]})
		}
	}
	clear(w.resources[rows:])
	w.resources = w.resources[:rows]
}

func (s *stream) keep(f *finding, entry, rows int) keptIssue {
	row := f.resource
	if row >= rows {
		row += 1 - rows
	} else if row > 0 {
		row = 0
	}
	return keptIssue{issue: s.walk.spell(f), entry: entry, row: row, folded: f.count}
}

func (s *stream) countRow(f *finding, rows int) {
	if f.resource < 0 || f.notChecked {
		return
	}
	errs, warns := &s.errors, &s.warns
	if f.resource >= rows && f.resource < len(s.walk.resources) {
		r := &s.walk.resources[f.resource]
		errs, warns = &r.Errors, &r.Warnings
	}
	switch f.level() {
	case fatal, erro:
		*errs++
	case warn:
		*warns++
	default:
	}
}

func (s *stream) tell(entry int, r *validators.ResourceResult) {
	rest, ok := strings.CutPrefix(r.Expression, "Bundle.entry["+strconv.Itoa(entry)+"]")
	if n := s.entry.At(strings.NewReplacer(".", "/", "[", "/", "]", "").Replace(rest)); ok && n != nil {
		s.visit(n, r.Profiles)
	}
}

// runStreams walks the Bundle with all walks and makes one report of theirs. The first walk speaks for what is outside of the
// entries, when the others are through.
func runStreams(ctx context.Context, walks []*walk, asked []string) (validators.Report, error) {
	first := walks[0]
	var wg sync.WaitGroup
	for _, w := range walks[1:] {
		wg.Go(func() { w.start(w.stream.bundle, asked) })
	}
	first.stream.join = sync.OnceFunc(func() {
		wg.Wait()
		for _, w := range walks[1:] {
			first.stream.learn(w.stream)
		}
	})
	first.problems(first.doc.Problems(), first.stream.bundle)
	first.start(first.stream.bundle, asked)
	first.stream.join()
	first.stream.hide()
	if err := ctx.Err(); err != nil {
		return validators.Report{}, err
	}
	for _, w := range walks {
		if err := w.stream.err; err != nil {
			return validators.Report{}, err
		}
	}
	return mergeStreams(walks), nil
}

// learn takes over what another walk's entries say about rules of the Bundle.
func (s *stream) learn(o *stream) {
	for inv, v := range o.verdicts {
		if mine := s.verdicts[inv]; mine != nil && mine.err == nil && !mine.broken {
			*mine = *v
		}
	}
}

func mergeStreams(walks []*walk) validators.Report {
	first := walks[0]
	s := first.stream
	first.settle()
	whole := first.resources[0]
	s.deliver(-1, 0, len(first.resources)) // what is outside of the entries
	r := validators.Report{
		Context: validators.Context{Guides: first.v.packages, Rules: validators.RulesVersion, Terminology: first.v.opt.TerminologyName},
	}
	if first.v.opt.Now != nil {
		r.At = first.v.opt.Now()
	}
	var rows []keptRow
	var all []keptIssue
	var once []onceFinding
	total := 0
	for _, w := range walks {
		o := w.stream
		rows = append(rows, o.rows...)
		once = append(once, o.once...)
		for _, list := range o.kept {
			all = append(all, list...)
		}
		total += o.total
		addSummary(&r.Summary, &o.sum)
		addSummary(&r.Summary, &w.unkept)
		r.Checked += w.checked
		r.IssuesCut += w.cut
		whole.Errors += o.errors
		whole.Warnings += o.warns
	}
	r.Checked -= len(walks) - 1 // each walk counted the Bundle
	r.Resources = append([]validators.ResourceResult{whole}, mergeRows(rows)...)
	at := rowNumbers(rows)
	for _, o := range mergeOnce(once) {
		all = append(all, o.kept)
		total++
		if o.kept.issue.NotChecked {
			r.Summary.NotChecked += 1 + o.count
		}
	}
	slices.SortStableFunc(all, func(a, b keptIssue) int {
		return cmp.Or(cmp.Compare(a.issue.Severity.Rank(), b.issue.Severity.Rank()), cmp.Compare(a.issue.Offset, b.issue.Offset), cmp.Compare(a.entry, b.entry))
	})
	r.Summary.Headline = headline(all)
	all = all[:min(len(all), first.v.opt.MaxIssues)]
	r.IssuesCut += total - len(all)
	r.Issues = make([]validators.Issue, len(all))
	for i := range all {
		k := &all[i]
		if k.row > 0 {
			k.row = cmp.Or(at[[2]int{k.entry, k.row}], -1)
		}
		k.issue.Resource = k.row
		r.Issues[i] = k.issue
	}
	return r
}

// mergeRows gives the first rows in input order, and sorts rows.
func mergeRows(rows []keptRow) []validators.ResourceResult {
	slices.SortFunc(rows, func(a, b keptRow) int { return cmp.Or(cmp.Compare(a.entry, b.entry), cmp.Compare(a.row, b.row)) })
	out := make([]validators.ResourceResult, 0, min(len(rows), maxResources-1))
	for _, r := range rows[:cap(out)] {
		out = append(out, r.result)
	}
	return out
}

// rowNumbers are where sorted rows of entries are in the report.
func rowNumbers(rows []keptRow) map[[2]int]int {
	at := make(map[[2]int]int, len(rows))
	for i, r := range rows[:min(len(rows), maxResources-1)] {
		at[[2]int{r.entry, r.row}] = i + 1
	}
	return at
}

// mergeOnce folds what several walks found into the first in the input, with the count of all in its words.
func mergeOnce(list []onceFinding) []onceFinding {
	slices.SortStableFunc(list, func(a, b onceFinding) int {
		return cmp.Or(cmp.Compare(a.kept.entry, b.kept.entry), cmp.Compare(a.kept.issue.Offset, b.kept.issue.Offset))
	})
	at := map[uncheckedKey]int{}
	var out []onceFinding
	for _, o := range list {
		if i, ok := at[o.key]; ok {
			out[i].count += 1 + o.count
			continue
		}
		at[o.key] = len(out)
		out = append(out, o)
	}
	for i := range out {
		if n := out[i].count; n > 0 {
			out[i].kept.issue.Message += theSameElsewhere(n)
		}
	}
	return out
}

func headline(sorted []keptIssue) string {
	for i := range sorted {
		is := &sorted[i].issue
		if is.Severity.Rank() > warn.Rank() {
			break
		}
		if !is.NotChecked {
			return is.Message
		}
	}
	return ""
}

func addSummary(to, from *validators.Summary) {
	to.Errors += from.Errors
	to.Warnings += from.Warnings
	to.Information += from.Information
	to.NotChecked += from.NotChecked
}

// fatalReport is the report on an input that is no JSON from some entry on.
func (w *walk) fatalReport(doc *fhirjson.Document) validators.Report {
	if doc == nil {
		return validators.Report{}
	}
	w.doc, w.stream = doc, nil
	w.form(nil)
	return w.report()
}
