package bulk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"fhirwire/reference/resources"
)

// maxTargets splits the Provenance of a patient with very much data (DATA-11).
const maxTargets = 1000

// transmits reports whether the export ends with Provenance that names the payer as transmitter (DATA-09): $davinci-data-export
// does, unless _type leaves Provenance out. exportType of attribution lists are no clinical data.
func (o *order) transmits() bool {
	return o.DataExport && o.ExportType != exportATR && slices.Contains(o.Types, "Provenance")
}

// exportTransmission writes one Provenance per patient about what was exported of them (DATA-11). Ids come from the job, so a
// unit that is done again gives the same. Types with a _typeFilter are no targets: which of their resources went out would have
// to be searched once more.
func (r *run) exportTransmission(ctx context.Context) ([]fileRow, error) {
	patients, _, err := r.patients(ctx)
	if err != nil {
		return nil, err
	}
	left := map[string]bool{}
	var types []string
	for _, t := range r.order.Types {
		if t == "Provenance" || t == "Group" || slices.Contains(contextTypes, t) || len(r.order.Filters[t]) > 0 {
			continue
		}
		types = append(types, t)
		if err := r.readLeftOut(left, t); err != nil {
			return nil, err
		}
	}
	w := newWriter(r.dir, "transmission", "Provenance", listOutput, r.m.o.LinesPerFile)
	defer w.abandon()
	f := resources.Filter{Patients: patients, Since: r.order.Since, Until: r.until}
	if !r.order.Until.IsZero() && r.order.Until.Before(r.until) {
		f.Until = r.order.Until
	}
	var targets []string
	whose, part := "", 0
	write := func() error {
		if len(targets) == 0 {
			return nil
		}
		part++
		line, err := r.transmission(whose, part, targets)
		targets = targets[:0]
		if err != nil {
			return err
		}
		return w.line(line)
	}
	for ref, err := range r.m.store.References(ctx, f, types) {
		if err != nil {
			return nil, err
		}
		if ref.Patient != whose {
			if err := write(); err != nil {
				return nil, err
			}
			whose, part = ref.Patient, 0
		}
		if name := ref.Type + "/" + ref.ID; !left[name] {
			targets = append(targets, name)
		}
		if len(targets) == maxTargets {
			if err := write(); err != nil {
				return nil, err
			}
		}
	}
	if err := write(); err != nil {
		return nil, err
	}
	return w.finish()
}

func (r *run) transmission(patient string, part int, targets []string) ([]byte, error) {
	type coding struct {
		System  string `json:"system"`
		Code    string `json:"code"`
		Display string `json:"display"`
	}
	type concept struct {
		Coding []coding `json:"coding"`
	}
	type reference struct {
		Reference string `json:"reference"`
	}
	type agent struct {
		Type concept   `json:"type"`
		Who  reference `json:"who"`
	}
	type meta struct {
		LastUpdated string   `json:"lastUpdated"`
		Profile     []string `json:"profile"`
	}
	type text struct {
		Status string `json:"status"`
		Div    string `json:"div"`
	}
	refs := make([]reference, len(targets))
	for i, t := range targets {
		refs[i] = reference{t}
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d", r.job.ID, patient, part))
	at := r.until.Format(resources.InstantFormat)
	return json.Marshal(struct {
		ResourceType string      `json:"resourceType"`
		ID           string      `json:"id"`
		Meta         meta        `json:"meta"`
		Text         text        `json:"text"`
		Target       []reference `json:"target"`
		Recorded     string      `json:"recorded"`
		Agent        []agent     `json:"agent"`
	}{
		"Provenance", "tx-" + hex.EncodeToString(sum[:16]),
		meta{at, []string{"http://hl7.org/fhir/us/davinci-pdex/StructureDefinition/pdex-provenance"}},
		text{"generated", `<div xmlns="http://www.w3.org/1999/xhtml">` + fmt.Sprintf("Transmission of %d resources", len(targets)) + `</div>`},
		refs, at,
		[]agent{{
			concept{[]coding{{"http://hl7.org/fhir/us/core/CodeSystem/us-core-provenance-participant-type", "transmitter", "Transmitter"}}},
			reference{r.m.o.Transmitter},
		}},
	})
}
