package bulk

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fhirwire/reference/attribution"
	"fhirwire/validators/fhirjson"
)

// The values of exportType (DDE-01, DDE-05, P2P-BLK-31), compared as text: they are no URLs (CF-22).
const (
	exportATR      = "hl7.fhir.us.davinci-atr"
	exportDelta    = "hl7.fhir.us.davinci-pdex#provider-delta"
	exportDownload = "hl7.fhir.us.davinci-pdex#provider-download"
	exportSnapshot = "hl7.fhir.us.davinci-pdex#provider-snapshot"
	exportPayer    = "hl7.fhir.us.davinci-pdex#payertopayer"
)

var (
	exportTypes = []string{exportATR, exportDelta, exportDownload, exportSnapshot, exportPayer}
	// atrTypes are what an attribution list consists of (DDE-01, DDE-02); the first three have to be asked for together (CF-04).
	atrTypes = []string{"Group", "Patient", "Coverage", "RelatedPerson", "Practitioner", "PractitionerRole", "Organization", "Location"}
)

func exportType(k Kickoff, o *order, v string, drop func(code, format string, args ...any) error) error {
	switch {
	case !k.DataExport:
		return drop("not-supported", "exportType is a parameter of $davinci-data-export only.")
	case !slices.Contains(exportTypes, v):
		return refusef(http.StatusBadRequest, "not-supported", "exportType %q is none of %s.", v, strings.Join(exportTypes, ", "))
	}
	o.ExportType = v
	return nil
}

// dataExport checks what $davinci-data-export asks beyond $export, when all parameters are read.
func dataExport(k Kickoff, o *order, types *[]string, drop func(code, format string, args ...any) error) error {
	o.Client = k.Client
	if !k.DataExport {
		return nil
	}
	o.DataExport = true
	if !k.Async { // BULK-KO-02
		return refusef(http.StatusBadRequest, "required", "$davinci-data-export is asynchronous: send Prefer: respond-async.")
	}
	if o.ExportType == exportDelta && o.Since.IsZero() { // DDE-07
		return refusef(http.StatusBadRequest, "required", "exportType %s needs _since.", exportDelta)
	}
	if o.ExportType != exportATR {
		return nil
	}
	if !o.Given {
		*types = slices.DeleteFunc(*types, func(t string) bool { return !slices.Contains(atrTypes, t) })
		return nil
	}
	// CF-04: only where _type is there; its alias is what older clients send.
	if slices.ContainsFunc(k.Params, func(p Param) bool { return p.Name == "_type" }) {
		for _, t := range atrTypes[:3] {
			if !slices.Contains(*types, t) {
				return drop("required", "_type of an attribution export lacks %s; Group, Patient and Coverage are wanted.", t)
			}
		}
	}
	return nil
}

// noteList tells about a Group that is not ready for use (ATR-26).
func noteList(o *order, group []byte) {
	if attribution.StatusOf(group) == attribution.Draft {
		o.Notes = append(o.Notes, note{"information", "informational", "The attribution list is a draft: it is not confirmed yet."})
	}
}

// share is who of a Group's members goes out at a moment.
type share struct {
	members []string
	// general are those of them whose sensitive data stay here.
	general map[string]bool
	// out are those who refused sharing.
	out map[string]bool
}

// shared asks anew for each unit who may go out (ATR-07, DDE-12, P2P-BLK-09): members who opted out, or whose consent is over,
// are left out from then on.
func (m *Manager) shared(ctx context.Context, group string) (share, error) {
	var s share
	members, err := m.members(ctx, group)
	if err != nil {
		return s, err
	}
	if m.o.OptedOut != nil {
		if s.out, err = m.o.OptedOut(ctx); err != nil {
			return s, err
		}
	}
	var terms map[string]attribution.Term
	matched := false
	if m.o.Terms != nil {
		if terms, matched, err = m.o.Terms(ctx, group); err != nil {
			return s, err
		}
	}
	now := m.o.Clock()
	s.members = slices.DeleteFunc(members, func(id string) bool {
		t, ok := terms[id]
		return s.out[id] || matched && (!ok || !t.Allows(now))
	})
	for id, t := range terms {
		if !t.Sensitive {
			if s.general == nil {
				s.general = map[string]bool{}
			}
			s.general[id] = true
		}
	}
	return s, nil
}

// unavailable are the patients asked for who do not go out, whatever the reason: to name it would tell who opted out.
func (r *run) unavailable(ctx context.Context) ([]note, error) {
	if !r.order.Subset || r.order.Level != Group {
		return nil, nil
	}
	out, _, err := r.patients(ctx)
	if err != nil {
		return nil, err
	}
	var notes []note
	for _, id := range r.order.Patients {
		if !slices.Contains(out, id) {
			notes = append(notes, notAvailable(id))
		}
	}
	return notes, nil
}

func notAvailable(patient string) note {
	return note{"warning", "not-found", "Patient/" + patient + " is not available here; ignored."}
}

// authorizationsFor is how long a prior authorization goes out after it ended (DDE-17, P2P-BLK-15).
const authorizationsFor = 12

// claim is what goes out of an ExplanationOfBenefit to a provider: no amounts of claims, and prior authorizations that are
// current or were until a year ago. ok is false for one that stays.
func (r *run) claim(body []byte) (out []byte, ok bool) {
	doc := fhirjson.Parse(body)
	defer doc.Release()
	root := doc.Root()
	if root.MemberText("use") == "preauthorization" {
		return body, currentAuthorization(root, r.until)
	}
	return withoutAmounts(root), true
}

// currentAuthorization: one without an end is current; the end of one is a change of its status.
func currentAuthorization(root *fhirjson.Node, at time.Time) bool {
	from := at.AddDate(0, -authorizationsFor, 0).Format(time.DateOnly)
	ended := false
	for p := root.Member("preAuthRefPeriod").FirstOrNil(); p != nil; p = p.Next() {
		end := p.MemberText("end")
		if end == "" || end[:min(len(end), len(from))] >= from[:min(len(end), len(from))] {
			return true
		}
		ended = true
	}
	return !ended || root.MemberText("created") >= from
}

// leftOut names the file of the ids that a unit left out although the database has them for the member.
func (r *run) leftOut(typ string) string { return filepath.Join(r.dir, "left-out-"+typ) }

func (r *run) writeLeftOut(typ string, ids []string) error {
	if !r.order.DataExport {
		return nil
	}
	if err := os.WriteFile(r.leftOut(typ), []byte(strings.Join(ids, "\n")), 0o600); err != nil {
		return fmt.Errorf("export file: %w", err)
	}
	return nil
}

func (r *run) readLeftOut(into map[string]bool, typ string) error {
	f, err := os.Open(r.leftOut(typ))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("export file: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		into[typ+"/"+sc.Text()] = true
	}
	return sc.Err()
}
