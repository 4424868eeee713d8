package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"fhirwire/reference/attribution"
	"fhirwire/reference/resources"
	"fhirwire/reference/search"
	"fhirwire/validators/fhirjson"
)

// The lists of a manifest.
const (
	listOutput  = "output"
	listDeleted = "deleted"
	listError   = "error"
)

// units counts an order's units: its types, then the deletions, the notes and the Provenance of the transmission. A task is
// one unit.
func (m *Manager) units(o *order) int {
	switch {
	case o.Task != "":
		return 1
	case o.transmits():
		return len(o.Types) + 3
	}
	return len(o.Types) + 2
}

// run is one unit being worked on.
type run struct {
	m     *Manager
	job   jobRow
	order *order
	until time.Time // transactionTime
	dir   string
	share share    // of a Group, set by patients
	held  []string // ids of sensitive resources that stayed
}

// step does a job's next unit and reports whether there is another.
func (m *Manager) step(ctx context.Context, id string) (again bool, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	m.mu.Lock()
	m.running[id] = stop
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.running, id)
		m.mu.Unlock()
	}()
	row, err := m.job(ctx, id)
	if err != nil {
		return false, err
	}
	switch row.State {
	case Queued:
		// OPS-05: the instant is that of the first read, and everything up to it is committed.
		row.Taken = m.store.Settled().UnixMilli()
		res := m.db.Write.WithContext(ctx).Exec("UPDATE ref_export SET state = 'running', taken = ? WHERE id = ? AND state = 'queued'", row.Taken, id)
		if res.Error != nil || res.RowsAffected == 0 {
			return false, res.Error
		}
		row.State = Running
	case Running:
	default:
		return false, nil
	}
	r := &run{m: m, job: row, order: &order{}, until: time.UnixMilli(row.Taken).UTC(), dir: filepath.Join(m.o.Dir, id)}
	if err := json.Unmarshal([]byte(row.Request), r.order); err != nil {
		return false, fmt.Errorf("export %s: %w", id, err)
	}
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return false, fmt.Errorf("folder of export: %w", err)
	}
	files, err := r.unit(ctx, row.UnitsDone)
	if err != nil {
		return false, errors.Join(err, m.cancelled(context.WithoutCancel(ctx), id))
	}
	done, err := m.checkpoint(ctx, row, files)
	if err != nil {
		return false, errors.Join(err, m.cancelled(context.WithoutCancel(ctx), id))
	}
	return !done, nil
}

// cancelled removes what a unit wrote while its job was being cancelled.
func (m *Manager) cancelled(ctx context.Context, id string) error {
	row, err := m.job(ctx, id)
	if err == nil && row.State == Cancelled {
		return m.remove(ctx, id)
	}
	return err
}

// checkpoint commits a unit: its files and that it is done, together.
func (m *Manager) checkpoint(ctx context.Context, row jobRow, files []fileRow) (done bool, err error) {
	row.UnitsDone++
	done = row.UnitsDone >= row.UnitsTotal
	state, expires := Running, int64(0)
	if done {
		state, expires = Complete, m.o.Clock().Add(m.o.Keep).UnixMilli()
	}
	err = m.db.Write.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		lines := int64(0)
		for _, f := range files {
			lines += f.Lines
		}
		res := tx.Exec(`UPDATE ref_export SET state = ?, units_done = ?, resources = resources + ?, expires = ? WHERE id = ? AND state = 'running' AND units_done = ?`,
			state, row.UnitsDone, lines, expires, row.ID, row.UnitsDone-1)
		if res.Error != nil {
			return res.Error
		}
		if res.RowsAffected == 0 {
			return context.Canceled // cancelled meanwhile
		}
		for _, f := range files {
			err := tx.Exec("INSERT INTO ref_export_file (job, unit, name, list, type, lines, bytes) VALUES (?, ?, ?, ?, ?, ?, ?)",
				row.ID, row.UnitsDone-1, f.Name, f.List, f.Type, f.Lines, f.Bytes).Error
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("export %s: %w", row.ID, err)
	}
	return done, nil
}

func (r *run) unit(ctx context.Context, n int) ([]fileRow, error) {
	switch types := r.order.Types; {
	case r.order.Task != "":
		return r.task(ctx)
	case n < len(types):
		return r.exportType(ctx, types[n])
	case n == len(types):
		return r.exportDeleted(ctx)
	case n == len(types)+1:
		return r.exportNotes(ctx)
	default:
		return r.exportTransmission(ctx)
	}
}

func (r *run) exportType(ctx context.Context, typ string) ([]fileRow, error) {
	known, err := r.referred(ctx)
	if err != nil {
		return nil, err
	}
	seq, err := r.source(ctx, typ, known)
	if err != nil {
		return nil, err
	}
	keep := r.elements(typ)
	claims := typ == "ExplanationOfBenefit" && r.order.Level == Group
	var left []string
	w := newWriter(r.dir, typ, typ, listOutput, r.m.o.LinesPerFile)
	defer w.abandon()
	if !slices.Contains(contextTypes, typ) { // a context type grows by what is written of it
		seq = ahead(seq)
	}
	for res, err := range seq {
		if err != nil {
			return nil, err
		}
		body := res.Body
		if claims {
			var ok bool
			if body, ok = r.claim(body); !ok {
				left = append(left, res.ID)
				continue
			}
		}
		if keep != nil {
			if body, err = resources.Subset(body, keep, r.m.o.Required); err != nil {
				return nil, fmt.Errorf("%s/%s: %w", res.Type, res.ID, err)
			}
		}
		if known != nil {
			known.add(body)
		}
		if err := w.line(body); err != nil {
			return nil, err
		}
	}
	r.keep(known)
	if len(left) > 0 || len(r.held) > 0 {
		if err := r.writeLeftOut(typ, append(left, r.held...)); err != nil {
			return nil, err
		}
	}
	return w.finish()
}

// source is what the export holds of a type, section 2.5 of the requirements: restrict to members, then to patient, type, time and filter.
func (r *run) source(ctx context.Context, typ string, known *referred) (iter.Seq2[resources.Resource, error], error) {
	m, o := r.m, r.order
	f := resources.Filter{Type: typ, Since: o.Since, Until: r.until}
	if !o.Until.IsZero() && o.Until.Before(r.until) {
		f.Until = o.Until
	}
	if o.Level == Formulary {
		return r.formulary(ctx, f)
	}
	patients, all, err := r.patients(ctx)
	if err != nil {
		return nil, err
	}
	associated := typ == "Provenance" && o.Associated != ""
	if associated {
		f.Since = time.Time{} // it may be older than the change that it is of
	}
	switch {
	case o.Level == System && associated:
		return r.associated(ctx, m.store.Stream(ctx, f)), nil
	case o.Level == System:
	case typ == "Group" && o.Subset && len(patients) == 0: // DDE-04
		return func(func(resources.Resource, error) bool) {}, nil
	case typ == "Group":
		return r.group(ctx, f), nil
	case typ == "Provenance":
		param, ok := m.reg.Param("Provenance", "target")
		if !ok {
			return nil, errors.New("search parameter Provenance.target is not indexed")
		}
		if all {
			if patients, err = m.store.IDs(ctx, "Patient"); err != nil {
				return nil, err
			}
		}
		f.Patients = patients
		out := m.store.ReferringTo(ctx, param, f)
		if associated {
			out = r.associated(ctx, out)
		}
		if len(r.share.general) > 0 {
			return r.ofGeneral(ctx, f.Patients, param, out)
		}
		return out, nil
	case slices.Contains(contextTypes, typ):
		return r.context(ctx, f, known), nil
	case all:
		f.InCompartment = true
	default:
		f.Patients = patients
	}
	stream := m.store.Stream
	if len(o.Filters[typ]) > 0 {
		stream = r.filtered
	}
	if len(r.share.general) > 0 && f.Patients != nil {
		return r.general(ctx, f, stream), nil
	}
	return stream(ctx, f), nil
}

// general streams what is not sensitive of members whose consent covers no more, and all of the others.
func (r *run) general(ctx context.Context, f resources.Filter, stream func(context.Context, resources.Filter) iter.Seq2[resources.Resource, error]) iter.Seq2[resources.Resource, error] {
	return func(yield func(resources.Resource, error) bool) {
		all, some := []string{}, []string{}
		for _, p := range f.Patients {
			if r.share.general[p] {
				some = append(some, p)
			} else {
				all = append(all, p)
			}
		}
		f.Patients = all
		for res, err := range stream(ctx, f) {
			if !yield(res, err) {
				return
			}
		}
		f.Patients = some
		for res, err := range stream(ctx, f) {
			if err == nil && resources.Sensitive(res.Body) {
				r.held = append(r.held, res.ID)
				continue
			}
			if !yield(res, err) {
				return
			}
		}
	}
}

// ofGeneral leaves out provenance of what general leaves out: its reference would tell that there is something.
func (r *run) ofGeneral(ctx context.Context, patients []string, target *search.Param, all iter.Seq2[resources.Resource, error]) (iter.Seq2[resources.Resource, error], error) {
	var some []string
	for _, id := range patients {
		if r.share.general[id] {
			some = append(some, id)
		}
	}
	held := map[string]bool{}
	for _, typ := range r.m.reg.Types() {
		if !r.m.reg.InPatientCompartment(typ) {
			continue
		}
		q, err := r.m.reg.Parse(typ, []search.Pair{{Name: "_security", Value: strings.Join(resources.SensitiveTokens, ",")}}, search.ParseOptions{Strict: true})
		if err != nil {
			return nil, err
		}
		for part := range slices.Chunk(some, 200) {
			page := resources.Page{Limit: 500, Patients: part}
			for {
				found, err := r.m.store.Search(ctx, q, page)
				if err != nil {
					return nil, err
				}
				for i := range found.Resources {
					held[typ+"/"+found.Resources[i].ID] = true
				}
				if found.Next == nil {
					break
				}
				page.After = *found.Next
			}
		}
	}
	if len(held) == 0 {
		return all, nil
	}
	return func(yield func(resources.Resource, error) bool) {
		for res, err := range all {
			if err == nil {
				var tells bool
				if tells, err = r.refersTo(ctx, res.Body, target, held); tells {
					continue
				}
			}
			if !yield(res, err) {
				return
			}
		}
	}, nil
}

// refersTo reports a resource that refers by param to one of those held.
func (r *run) refersTo(ctx context.Context, body []byte, param *search.Param, held map[string]bool) (bool, error) {
	doc := fhirjson.Parse(body)
	defer doc.Release()
	refs, err := r.m.reg.References(ctx, doc.Root(), []*search.Param{param})
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(refs, func(t search.Term) bool { return held[t.Qualifier+"/"+t.Key] }), nil
}

// patients are those whose data go out, found anew for each unit: who left the Group meanwhile is left out (ATR-07).
func (r *run) patients(ctx context.Context) (ids []string, all bool, err error) {
	o := r.order
	switch {
	case o.Level == System, o.Level == Formulary, o.Level == Patient && !o.Subset:
		return nil, true, nil
	case o.Level == Patient:
		if o.General {
			r.share.general = map[string]bool{}
			for _, id := range o.Patients {
				r.share.general[id] = true
			}
		}
		return append([]string{}, o.Patients...), false, nil
	}
	if r.share, err = r.m.shared(ctx, o.GroupID); err != nil {
		return nil, false, err
	}
	members := r.share.members
	if o.Subset {
		wanted := make(map[string]bool, len(o.Patients))
		for _, id := range o.Patients {
			wanted[id] = true
		}
		members = slices.DeleteFunc(members, func(id string) bool { return !wanted[id] })
	}
	return members, false, nil
}

// members are the patients of a Group that are not inactive; never nil.
func (m *Manager) members(ctx context.Context, group string) ([]string, error) {
	g, err := m.store.Get(ctx, "Group", group)
	if errors.Is(err, resources.ErrDeleted) || errors.Is(err, resources.ErrNotFound) {
		return []string{}, nil
	}
	if err != nil {
		return nil, err
	}
	doc := fhirjson.Parse(g.Body)
	defer doc.Release()
	out := []string{}
	seen := map[string]bool{}
	for e := doc.Root().Member("member").FirstOrNil(); e != nil; e = e.Next() {
		id, ok := strings.CutPrefix(e.Member("entity").MemberText("reference"), "Patient/")
		if ok && e.MemberText("inactive") != "true" && !seen[id] {
			id = strings.Clone(id)
			seen[id] = true
			out = append(out, id)
		}
	}
	return out, nil
}

func (r *run) group(ctx context.Context, f resources.Filter) iter.Seq2[resources.Resource, error] {
	return func(yield func(resources.Resource, error) bool) {
		g, err := r.m.store.Get(ctx, "Group", r.order.GroupID)
		if err != nil || !f.Since.IsZero() && !g.Updated.After(f.Since) {
			if err != nil && !errors.Is(err, resources.ErrDeleted) {
				yield(g, err)
			}
			return
		}
		g.Body, _ = attribution.WithoutOptedOut(g.Body, func(p string) bool { return r.share.out[p] }) // ATR-03
		yield(g, nil)
	}
}

// filtered applies _typeFilter: a resource that one of the queries finds.
func (r *run) filtered(ctx context.Context, f resources.Filter) iter.Seq2[resources.Resource, error] {
	return func(yield func(resources.Resource, error) bool) {
		seen := map[string]bool{}
		for _, query := range r.order.Filters[f.Type] {
			q, err := r.m.filterQuery(f.Type, query)
			if err != nil {
				yield(resources.Resource{}, err)
				return
			}
			parts := [][]string{nil}
			if f.Patients != nil {
				parts = slices.Collect(slices.Chunk(f.Patients, 200))
			}
			for _, part := range parts {
				page := resources.Page{Limit: 500, Patients: part}
				for {
					res, err := r.m.store.Search(ctx, q, page)
					if err != nil {
						yield(resources.Resource{}, err)
						return
					}
					for _, found := range res.Resources {
						if seen[found.ID] || !f.Since.IsZero() && !found.Updated.After(f.Since) || found.Updated.After(f.Until) {
							continue
						}
						seen[found.ID] = true
						if !yield(found, nil) {
							return
						}
					}
					if res.Next == nil {
						break
					}
					page.After = *res.Next
				}
			}
		}
	}
}

func (r *run) exportDeleted(ctx context.Context) ([]fileRow, error) {
	if r.order.Since.IsZero() {
		return nil, nil
	}
	w := newWriter(r.dir, "deleted", "Bundle", listDeleted, r.m.o.LinesPerFile)
	defer w.abandon()
	patients, all, err := r.patients(ctx)
	if err != nil {
		return nil, err
	}
	for _, typ := range r.order.Types {
		f := resources.Filter{Type: typ, Since: r.order.Since, Until: r.until}
		if r.order.Level != System {
			if !r.m.reg.InPatientCompartment(typ) {
				continue // whose it was cannot be told
			}
			f.InCompartment, f.Patients = all, patients
		}
		for id, err := range r.m.store.Deleted(ctx, f) {
			if err != nil {
				return nil, err
			}
			// BULK-INC-08
			line := `{"resourceType":"Bundle","id":"` + strings.ToLower(typ) + "-" + clip(id, 48) + `","type":"transaction","entry":[{"request":{"method":"DELETE","url":"` + typ + "/" + id + `"}}]}`
			if err := w.line([]byte(line)); err != nil {
				return nil, err
			}
		}
	}
	return w.finish()
}

func clip(s string, n int) string { return s[:min(n, len(s))] }

func (r *run) exportNotes(ctx context.Context) ([]fileRow, error) {
	more, err := r.unavailable(ctx)
	if err != nil {
		return nil, err
	}
	w := newWriter(r.dir, "notes", "OperationOutcome", listError, r.m.o.LinesPerFile)
	defer w.abandon()
	for i, n := range append(slices.Clone(r.order.Notes), more...) {
		type issue struct {
			Severity    string `json:"severity"`
			Code        string `json:"code"`
			Diagnostics string `json:"diagnostics"`
		}
		line, err := json.Marshal(struct {
			ResourceType string  `json:"resourceType"`
			ID           string  `json:"id"`
			Issue        []issue `json:"issue"`
		}{"OperationOutcome", fmt.Sprintf("note-%d", i+1), []issue{{n.Severity, n.Code, n.Text}}})
		if err != nil {
			return nil, err
		}
		if err := w.line(line); err != nil {
			return nil, err
		}
	}
	return w.finish()
}

// elements are the root elements to keep of a type, nil for all.
func (r *run) elements(typ string) []string {
	if len(r.order.Elements) == 0 {
		return nil
	}
	var keep []string
	for _, e := range r.order.Elements {
		t, name, typed := strings.Cut(e, ".")
		switch {
		case !typed:
			keep = append(keep, e)
		case t == typ:
			keep = append(keep, name)
		}
	}
	return keep
}
