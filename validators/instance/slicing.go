package instance

import (
	"strconv"
	"strings"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/profile"
	"fhirwire/validators/terminology"
)

// slicing is an element that a profile slices, ready to sort items into slices.
type slicing struct {
	slot   int // of the base plan
	el     *profile.Element
	prof   *profile.Profile
	rules  profile.Rules
	order  bool
	slices []*slice
	byURL  map[string]int // when every slice is told apart by a fixed url
	flat   int            // counters that a run needs, re-slices included
}

// slice is one slice: an item is in it when all its conditions hold.
type slice struct {
	el     *profile.Element
	conds  []condition
	fault  string // why the conditions could not be made
	resub  *slicing
	offset int // of resub's counters
}

// run is one slicing at one parent instance.
type run struct {
	s      *slicing
	prof   *profile.Profile
	counts []int32
	last   int
	maybe  []int32 // items that may be in a slice, as far as terminology can tell
	others int32   // items in no slice
	seen   int32
}

func (v *Validator) newSlicing(prof *profile.Profile, el *profile.Element, at int) *slicing {
	s := &slicing{slot: at, el: el, prof: prof}
	var by []profile.Discriminator
	if el.Slicing != nil {
		s.rules, s.order, by = el.Slicing.Rules, el.Slicing.Ordered, el.Slicing.Discriminators
	}
	c := discriminators{v: v}
	for _, sl := range el.Slices {
		one := &slice{el: sl}
		one.conds, one.fault = c.conditions(prof, el, sl, by)
		s.slices = append(s.slices, one)
		s.flat++
	}
	for _, one := range s.slices {
		if len(one.el.Slices) > 0 {
			one.resub = v.newSlicing(prof, one.el, at)
			one.offset = s.flat
			s.flat += one.resub.flat
		}
	}
	s.byURL = urlTable(s.slices)
	return s
}

// urlTable maps extension urls to slices, nil when slices are told apart by anything else.
func urlTable(slices []*slice) map[string]int {
	t := make(map[string]int, len(slices))
	for i, s := range slices {
		if len(s.conds) != 1 || s.conds[0].test != testFixed || len(s.conds[0].path) != 1 || s.conds[0].path[0].name != "url" {
			return nil
		}
		t[s.conds[0].value.Text()] = i
	}
	if len(t) != len(slices) {
		return nil
	}
	return t
}

// startRuns opens a run for every slicing that the active profiles have below the current object.
func (w *walk) startRuns(acts []*plan) []run {
	at := len(w.runs)
	for _, p := range acts[1:] {
		if d := w.v.below(p); d != nil {
			for _, s := range d.slicings {
				w.runs = append(w.runs, run{s: s, prof: p.prof, counts: w.take(s.flat), maybe: w.take(s.flat), last: -1})
			}
		}
	}
	return w.runs[at:]
}

// slice sorts e into the slices of r and activates the plans of those it is in.
func (w *walk) slice(e *fhirjson.Node, r *run, m *member) {
	r.seen++
	at := w.sort(e, r.s, r.counts, r.maybe, m)
	switch {
	case at == inMaybe:
		return
	case at < 0:
		r.others++
		w.unsliced(e, r.s)
		return
	}
	switch {
	case r.s.order && at < r.last:
		w.add(finding{
			rule: ruleSliceOrder, node: e, prof: r.prof, slice: r.s.slices[at].el.SliceName,
			message: w.name(e) + " (slice " + r.s.slices[at].el.SliceName + ") comes after slice " + r.s.slices[r.last].el.SliceName + ", which it must precede.",
		})
	case r.s.rules == profile.OpenAtEnd && r.others > 0:
		w.add(finding{
			rule: ruleSliceOrder, node: e, prof: r.prof, slice: r.s.slices[at].el.SliceName,
			message: w.name(e) + " (slice " + r.s.slices[at].el.SliceName + ") comes after items outside of all slices, which belong at the end.",
		})
	}
	r.last = max(at, r.last)
}

// unsliced reports an item in none of the slices of s where these are all there may be.
func (w *walk) unsliced(e *fhirjson.Node, s *slicing) {
	if s.rules != profile.Closed {
		return
	}
	names := make([]string, len(s.slices))
	for i, one := range s.slices {
		if one.fault != "" {
			return // it may belong there
		}
		names[i] = one.el.SliceName
	}
	w.add(finding{
		rule: ruleSliceClosed, node: e, prof: s.prof, expected: strings.Join(names, ", "), found: brief(e),
		message: w.name(e) + " is none of " + strings.Join(names, ", ") + ", and the profile allows no other " + s.el.Name + ".",
		next:    "Make it one of " + strings.Join(names, ", ") + ", or leave it out.",
	})
}

// What sort finds besides the index of a slice.
const (
	inNone  = -1
	inMaybe = -2 // some slice may hold the item; terminology cannot tell
)

// sort finds the slice of e and activates its plan.
func (w *walk) sort(e *fhirjson.Node, s *slicing, counts, maybe []int32, m *member) int {
	at := inNone
	if s.byURL != nil {
		if u := e.Member("url"); u != nil {
			if i, ok := s.byURL[u.Text()]; ok {
				at = i
			}
		}
	} else {
		for i, one := range s.slices {
			if one.fault != "" {
				continue
			}
			switch w.holds(e, one.conds, m) {
			case terminology.No:
				continue
			case terminology.Unknown:
				maybe[i]++
				if at == inNone {
					at = inMaybe
				}
				continue
			default:
			}
			if at >= 0 {
				w.add(finding{
					rule: ruleSliceAmbiguous, node: e, prof: s.prof, slice: one.el.SliceName,
					message: w.name(e) + " fits two slices of " + s.el.Path + ": " + s.slices[at].el.SliceName + " and " + one.el.SliceName + ".",
				})
				break
			}
			at = i
		}
	}
	if at < 0 {
		return at
	}
	counts[at]++
	one := s.slices[at]
	if p := w.v.profilePlan(s.prof, one.el, m.plan(w.v)); p != nil {
		w.acts = append(w.acts, p)
	}
	if one.resub != nil {
		end := one.offset + one.resub.flat
		if w.sort(e, one.resub, counts[one.offset:end], maybe[one.offset:end], m) == inNone {
			w.unsliced(e, one.resub)
		}
	}
	return at
}

// endRuns compares how many items each slice got with what it asks for.
func (w *walk) endRuns(n *fhirjson.Node, counts []int32, runs []run) {
	for i := range runs {
		r := &runs[i]
		if counts[r.s.slot] == 0 && r.s.el.Min > 0 {
			continue // the element itself is missing, and that is said
		}
		if counts[r.s.slot] != r.seen {
			continue // the element is misshapen, and that is said
		}
		w.sliceCounts(n, r.s, r.counts, r.maybe, r.seen)
	}
}

func (w *walk) sliceCounts(n *fhirjson.Node, s *slicing, counts, maybe []int32, seen int32) {
	for i, one := range s.slices {
		got, el := int(counts[i]), one.el
		name := s.el.Path[strings.LastIndexByte(s.el.Path, '.')+1:] + ":" + el.SliceName
		switch {
		case one.fault != "" && seen > 0:
			w.addOnce(el.ID+"\x00"+s.prof.URL, finding{
				rule: ruleSliceUnchecked, node: n, prof: s.prof, slice: el.SliceName, notChecked: true,
				message: "Slice " + el.ID + " could not be told apart: " + one.fault + ".",
			})
		case got < el.Min && got+int(maybe[i]) >= el.Min:
			w.addOnce(el.ID+s.prof.URL, finding{
				rule: ruleSliceUnchecked, node: n, prof: s.prof, slice: el.SliceName, notChecked: true,
				message: w.name(n) + ": whether " + s.sayPart(one) + " is there could not be told: no offline copy of its codes.",
			})
		case got < el.Min:
			f := finding{
				rule: ruleSliceMin, node: n, child: name, prof: s.prof, slice: el.SliceName,
				expected: "at least " + strconv.Itoa(el.Min), found: strconv.Itoa(got),
			}
			if got == 0 {
				f.message = w.name(n) + ": " + s.sayPart(one) + " is missing."
			} else {
				f.message = w.name(n) + ": " + s.sayPart(one) + " occurs " + times(got) + "; at least " + strconv.Itoa(el.Min) + " are required."
			}
			if say := one.describe(); say != "" {
				f.next = "Add an item with " + say + "."
			}
			w.add(f)
		case el.Max != profile.Unbounded && got > el.Max:
			w.add(finding{
				rule: ruleSliceMax, node: n, child: name, prof: s.prof, slice: el.SliceName,
				expected: "at most " + strconv.Itoa(el.Max), found: strconv.Itoa(got),
				message: w.name(n) + ": " + s.sayPart(one) + " occurs " + times(got) + "; at most " + strconv.Itoa(el.Max) + " allowed.",
			})
		}
		if one.resub != nil && got > 0 {
			end := one.offset + one.resub.flat
			w.sliceCounts(n, one.resub, counts[one.offset:end], maybe[one.offset:end], counts[i])
		}
	}
}

// describe says what an item needs to be in the slice.
func (s *slice) describe() string {
	var parts []string
	for i := range s.conds {
		if say := s.conds[i].describe(); say != "" {
			parts = append(parts, say)
		}
	}
	return strings.Join(parts, " and ")
}
