package attribution

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"fhirwire/reference/resources"
	"fhirwire/validators/fhirjson"
)

// Store keeps the Groups and what they refer to.
type Store interface {
	Get(ctx context.Context, typ, id string) (resources.Resource, error)
	Put(ctx context.Context, typ, id string, body []byte, o resources.PutOptions) (resources.Resource, bool, error)
}

// Lookup finds the payer's own resources, as FHIR JSON, by one search parameter.
type Lookup interface {
	Search(ctx context.Context, resourceType, parameter, value string) ([][]byte, error)
}

// Options tune New. Clock is required.
type Options struct {
	Clock func() time.Time
	// OptedOut tells whether a member refused sharing; nil: nobody did.
	OptedOut func(ctx context.Context, patientID string) (bool, error)
}

// Lists answers the operations on attribution lists. It is safe for concurrent use.
type Lists struct {
	store  Store
	lookup Lookup
	o      Options

	edit sync.Mutex // one edit of a list at a time (ATR-32)
}

// New makes the Lists.
func New(store Store, lookup Lookup, o Options) *Lists {
	if o.OptedOut == nil {
		o.OptedOut = func(context.Context, string) (bool, error) { return false, nil }
	}
	return &Lists{store: store, lookup: lookup, o: o}
}

// RefusedError is an answer that is no success. Code is from FHIR's IssueType.
type RefusedError struct {
	Status     int
	Code       string
	Text       string
	Expression string
}

func (r *RefusedError) Error() string { return r.Text }

func refuse(status int, code, format string, args ...any) error {
	return &RefusedError{Status: status, Code: code, Text: fmt.Sprintf(format, args...)}
}

// Done tells about an edit.
type Done struct {
	Group resources.Resource
	// Text is for the OperationOutcome; Warnings name what was not used of the request.
	Text     string
	Warnings []string
}

// maxEdits bounds the attempts against writers that do not come through Lists.
const maxEdits = 5

// change edits a Group. do reports whether there is anything to store. Concurrent edits follow each other, with a version
// check against whoever writes the Group in another way.
func (s *Lists) change(ctx context.Context, group string, do func(l *list) (bool, error)) (resources.Resource, error) {
	s.edit.Lock()
	defer s.edit.Unlock()
	for try := 1; ; try++ {
		g, err := s.group(ctx, group)
		if err != nil {
			return g, err
		}
		doc := fhirjson.Parse(g.Body)
		l := readList(doc.Root())
		changed, err := do(l)
		if err != nil || !changed {
			return g, err
		}
		next, _, err := s.store.Put(ctx, "Group", group, l.bytes(), resources.PutOptions{IfMatch: g.Version})
		if errors.Is(err, resources.ErrConflict) && try < maxEdits {
			continue
		}
		if err != nil {
			return g, fmt.Errorf("store Group/%s: %w", group, err)
		}
		return next, nil
	}
}

func (s *Lists) group(ctx context.Context, id string) (resources.Resource, error) {
	g, err := s.store.Get(ctx, "Group", id)
	switch {
	case errors.Is(err, resources.ErrNotFound):
		return g, refuse(http.StatusNotFound, "not-found", "Group/%s is not known.", id)
	case errors.Is(err, resources.ErrDeleted):
		return g, refuse(http.StatusGone, "deleted", "Group/%s was deleted.", id)
	}
	return g, err
}

func (l *list) editable() error {
	if l.status == Final { // ATR-20
		return refuse(http.StatusUnprocessableEntity, "business-rule", "The attribution list is final; it takes no changes.")
	}
	return nil
}

// Add is $member-add.
func (s *Lists) Add(ctx context.Context, group, base string, body []byte) (Done, error) {
	in, err := readInput(body, base, addParams)
	if err != nil {
		return Done{}, err
	}
	if err := in.combination("$member-add",
		[]string{"memberId", "providerNpi"}, []string{"patientReference", "providerReference"}); err != nil {
		return Done{}, err
	}
	if _, err := s.group(ctx, group); err != nil {
		return Done{}, err
	}
	patient, err := s.patient(ctx, in)
	if err != nil {
		return Done{}, err
	}
	providers, err := s.providers(ctx, in)
	if err != nil {
		return Done{}, err
	}
	out, err := s.o.OptedOut(ctx, patient)
	if err != nil {
		return Done{}, err
	}
	if out { // ATR-03
		return Done{}, refuse(http.StatusUnprocessableEntity, "business-rule", "Declined: the member does not want data shared.")
	}
	coverage, err := s.coverage(ctx, patient)
	if err != nil {
		return Done{}, err
	}
	done := Done{Warnings: in.unused, Text: "The member was on the list already"}
	done.Group, err = s.change(ctx, group, func(l *list) (bool, error) {
		if err := l.editable(); err != nil {
			return false, err
		}
		changed, text := l.add(patient, providers, coverage, in.period, s.o.Clock())
		done.Text = text
		return changed, nil
	})
	return done, err
}

// add puts a member on the list. One who is there with the same provider and period stays as is (ATR-32).
func (l *list) add(patient string, providers []string, coverage string, period []byte, now time.Time) (changed bool, text string) {
	for i := range l.entries {
		e := &l.entries[i]
		if e.patient != patient || !slices.Contains(providers, e.provider) {
			continue
		}
		switch {
		case e.inactive:
			e.inactive, e.change, text = false, "new", "The member is on the list again"
		case period != nil && !samePeriod(e.period, period):
			e.change, text = "changed", "The attribution period was changed"
		default:
			return false, "The member was on the list already"
		}
		if period != nil {
			e.period = period
		}
		e.changed = true
		return true, text
	}
	if period == nil {
		period = defaultPeriod(l.root, now)
	}
	l.entries = append(l.entries, entry{patient: patient, provider: providers[0], coverage: coverage, period: period, change: "new", changed: true}) // ATR-12
	return true, "The member was added"
}

// defaultPeriod is from today to the end of the contract.
func defaultPeriod(group *fhirjson.Node, now time.Time) []byte {
	start := `{"start":"` + now.UTC().Format(time.DateOnly) + `"`
	if end := extension(group, extContract).Member("valuePeriod").MemberText("end"); end > now.UTC().Format(time.DateOnly) {
		start += `,"end":` + quote(end)
	}
	return []byte(start + "}")
}

func samePeriod(a, b []byte) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	x, y := fhirjson.Parse(a).Root(), fhirjson.Parse(b).Root()
	return x.MemberText("start") == y.MemberText("start") && x.MemberText("end") == y.MemberText("end")
}

// Remove is $member-remove.
func (s *Lists) Remove(ctx context.Context, group, base string, body []byte) (Done, error) {
	in, err := readInput(body, base, removeParams)
	if err != nil {
		return Done{}, err
	}
	if err := in.combination("$member-remove", []string{"memberId"}, []string{"memberId", "providerNpi"}, []string{"patientReference"},
		[]string{"patientReference", "providerReference"}, []string{"patientReference", "providerReference", "coverageReference"}); err != nil {
		return Done{}, err
	}
	if _, err := s.group(ctx, group); err != nil {
		return Done{}, err
	}
	patients, err := s.patients(ctx, in)
	if err != nil {
		return Done{}, err
	}
	var providers []string
	if in.givesProvider() {
		if providers, err = s.providers(ctx, in); err != nil {
			return Done{}, err
		}
	}
	done := Done{Warnings: in.unused}
	done.Group, err = s.change(ctx, group, func(l *list) (bool, error) {
		if err := l.editable(); err != nil {
			return false, err
		}
		n, err := l.remove(patients, func(e *entry) bool {
			return (providers == nil || slices.Contains(providers, e.provider) || e.providerNPI != "" && e.providerNPI == in.npi.value) &&
				(in.coverage == "" || e.coverage == in.coverage)
		})
		done.Text = "The member was taken off the list"
		if l.status == Draft {
			done.Text = "The member is marked as dropped until the list is final"
		}
		return n > 0, err
	})
	return done, err
}

// remove marks or takes out the entries of the one listed patient among candidates for which pick holds. One who is dropped
// already stays so.
func (l *list) remove(candidates []string, pick func(*entry) bool) (int, error) {
	who, found, changed := "", false, 0
	for i := range l.entries {
		e := &l.entries[i]
		if !slices.Contains(candidates, e.patient) || !pick(e) {
			continue
		}
		if who != "" && who != e.patient {
			return 0, refuse(http.StatusUnprocessableEntity, "multiple-matches", "The identifier is of several members of the list.")
		}
		who, found = e.patient, true
	}
	if !found {
		return 0, refuse(http.StatusNotFound, "not-found", "The list has no such member.")
	}
	var left []entry
	for _, e := range l.entries {
		if e.patient == who && pick(&e) {
			switch {
			case l.status != Draft: // ATR-23
				changed++
				continue
			case !e.inactive: // ATR-21, ATR-12
				e.inactive, e.change, e.changed = true, "dropped", true
				changed++
			}
		}
		left = append(left, e)
	}
	l.entries = left
	return changed, nil
}

// Confirm is $confirm-attribution-list: a draft becomes final and loses its dropped entries (ATR-22, ATR-24). An open list
// stays open, so that it can be worked with. Confirming again changes nothing.
func (s *Lists) Confirm(ctx context.Context, group string) (resources.Resource, error) {
	return s.change(ctx, group, func(l *list) (bool, error) {
		if l.status != Draft {
			return false, nil
		}
		l.status = Final
		l.entries = slices.DeleteFunc(l.entries, func(e entry) bool { return e.inactive })
		return true, nil
	})
}

// Status is $attribution-status: the member's Patient, Coverage and provider, and the Group with that member's entries only.
func (s *Lists) Status(ctx context.Context, group, base string, body []byte) ([]resources.Resource, error) {
	in, err := readInput(body, base, statusParams)
	if err != nil {
		return nil, err
	}
	if err := in.combination("$attribution-status", []string{"memberId"}, []string{"patientReference"}, []string{"memberId", "patientReference"}); err != nil {
		return nil, err
	}
	g, err := s.group(ctx, group)
	if err != nil {
		return nil, err
	}
	candidates, err := s.patients(ctx, in)
	if err != nil {
		return nil, err
	}
	doc := fhirjson.Parse(g.Body)
	defer doc.Release()
	l := readList(doc.Root())
	patient := ""
	var refs []string
	for i := range l.entries {
		e := &l.entries[i]
		if e.inactive || !slices.Contains(candidates, e.patient) {
			continue
		}
		if patient != "" && patient != e.patient {
			return nil, refuse(http.StatusUnprocessableEntity, "multiple-matches", "The identifier is of several members of the list.")
		}
		patient = e.patient
		refs = append(refs, e.coverage, e.provider)
	}
	if patient != "" {
		out, err := s.o.OptedOut(ctx, patient)
		if err != nil {
			return nil, err
		}
		if out {
			patient = ""
		}
	}
	if patient == "" {
		return nil, refuse(http.StatusNotFound, "not-found", "The list has no such member.")
	}
	refs = append([]string{"Patient/" + patient}, refs...)
	out := []resources.Resource{}
	for i, ref := range refs {
		typ, id, ok := splitReference(ref)
		if !ok || slices.Contains(refs[:i], ref) {
			continue
		}
		r, err := s.store.Get(ctx, typ, id)
		if errors.Is(err, resources.ErrNotFound) || errors.Is(err, resources.ErrDeleted) {
			continue // the list may name what is held elsewhere
		}
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	g.Body = slices.Clone(l.only(patient))
	return append(out, g), nil
}
