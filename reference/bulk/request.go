package bulk

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"fhirwire/reference/search"
)

// Level is what an export is about.
type Level string

// The levels.
const (
	System  Level = "system"
	Patient Level = "patient"
	Group   Level = "group"
)

// Param is a kick-off parameter as sent, by query or in a Parameters body.
type Param struct{ Name, Value string }

// Kickoff is an export asked for.
type Kickoff struct {
	Level Level
	// GroupID is the Group's id, or the InsurancePlan's at formulary level.
	GroupID string
	// URL is the whole kick-off URL, which the manifest repeats.
	URL string
	// Base is the FHIR base URL of the manifest's links.
	Base    string
	Params  []Param
	Posted  bool
	Lenient bool
	// DataExport is $davinci-data-export in place of $export; Async is that the client asked for an asynchronous answer.
	DataExport, Async bool
	// Client is who asks, "" for nobody in particular: then whoever knows the job's URL may have its result.
	Client string
	// Member is the one patient that the client's token is for, "" for no such limit (P2P-TOK-21).
	Member string
	// General leaves sensitive data out: the token's consent does not cover them.
	General bool
}

// KickoffError refuses a kick-off. Code is from FHIR's IssueType.
type KickoffError struct {
	Status  int
	Code    string
	Message string
	// RetryAfter is set with 429.
	RetryAfter time.Duration
}

func (e *KickoffError) Error() string { return "export refused: " + e.Message }

func refusef(status int, code, format string, args ...any) error {
	return &KickoffError{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

// order is a Kickoff in normal form: what a job row keeps.
type order struct {
	Level    Level               `json:"level"`
	GroupID  string              `json:"group,omitempty"`
	URL      string              `json:"url"`
	Base     string              `json:"base"`
	Types    []string            `json:"types"`
	Given    bool                `json:"given,omitempty"` // _type was given
	Since    time.Time           `json:"since,omitzero"`
	Until    time.Time           `json:"until,omitzero"`
	Patients []string            `json:"patients,omitempty"`
	Subset   bool                `json:"subset,omitempty"` // patient was given, be Patients empty or not
	Elements []string            `json:"elements,omitempty"`
	Filters  map[string][]string `json:"filters,omitempty"` // type to queries
	// Associated is the value of includeAssociatedData.
	Associated string `json:"associated,omitempty"`
	Notes      []note `json:"notes,omitempty"`
	// General: without sensitive data.
	General bool `json:"general,omitempty"`
	// DataExport, ExportType: $davinci-data-export.
	DataExport bool   `json:"dataExport,omitempty"`
	ExportType string `json:"exportType,omitempty"`
	Client     string `json:"client,omitempty"`
	// Task is set for what is no export.
	Task  string `json:"task,omitempty"`
	Asker string `json:"asker,omitempty"`
	// FormularyGraph starts at formularies instead of plans.
	FormularyGraph bool `json:"formularyGraph,omitempty"`
}

// note is a line of the error file.
type note struct {
	Severity string `json:"severity"`
	Code     string `json:"code"`
	Text     string `json:"text"`
}

// contextTypes hold no patient's data but are what the data refer to (P2P-DAT-03): they come along as far as referred to.
// In this order, since a role refers to the others and all refer to organizations.
var contextTypes = []string{"PractitionerRole", "Medication", "Practitioner", "Location", "Organization"}

// refine checks the parameters: BULK-KO-*, section 2.6 of the requirements for the errors. Lenient handling drops what cannot be done and
// notes it (BULK-KO-03).
func (m *Manager) refine(k Kickoff) (*order, error) {
	o := &order{Level: k.Level, GroupID: k.GroupID, URL: k.URL, Base: k.Base}
	drop := func(code, format string, args ...any) error {
		if !k.Lenient {
			return refusef(http.StatusBadRequest, code, format, args...)
		}
		o.Notes = append(o.Notes, note{"warning", code, fmt.Sprintf(format, args...)})
		return nil
	}
	var types []string
	for _, p := range k.Params {
		var err error
		switch p.Name {
		case "_outputFormat":
			if !slices.Contains([]string{"application/fhir+ndjson", "application/fhir ndjson", "application/ndjson", "ndjson"}, p.Value) {
				err = refusef(http.StatusBadRequest, "not-supported", "_outputFormat %q is not supported; application/fhir+ndjson is.", p.Value)
			}
		case "_since":
			if o.Since, err = m.instant(p); err == nil && o.Since.After(m.o.Clock()) {
				err = drop("value", "_since is in the future.")
			}
		case "_until":
			o.Until, err = m.instant(p)
		case "_type", "resourceTypes":
			o.Given = true
			for t := range strings.SplitSeq(p.Value, ",") {
				t = strings.TrimSpace(t)
				switch {
				case t == "":
				case !m.reg.Serves(t) || !m.exportable(k.Level, t):
					err = drop("not-supported", "_type %q is not exported at %s level.", t, k.Level)
				case !slices.Contains(types, t):
					types = append(types, t)
				}
				if err != nil {
					break
				}
			}
		case "_typeFilter":
			if k.Level == Formulary {
				err = drop("not-supported", "_typeFilter is not supported at formulary level.")
			} else {
				err = m.typeFilter(o, p.Value, drop)
			}
		case "_elements":
			for e := range strings.SplitSeq(p.Value, ",") {
				if e = strings.TrimSpace(e); e != "" {
					o.Elements = append(o.Elements, e)
				}
			}
		case "includeAssociatedData":
			for v := range strings.SplitSeq(p.Value, ",") {
				if v = strings.TrimSpace(v); !o.associate(v) {
					err = drop("not-supported", "includeAssociatedData %q is not supported.", v)
				}
			}
		case "graph":
			if k.Level != Formulary {
				err = drop("not-supported", "graph has no meaning at %s level.", k.Level)
			} else {
				o.FormularyGraph, err = formularyGraph(p.Value)
			}
		case "patient":
			err = m.patientParam(k, o, p.Value, drop)
		case "exportType":
			err = exportType(k, o, p.Value, drop)
		case "_format", "_pretty":
		default:
			err = drop("not-supported", "Parameter %q is not supported.", p.Name)
		}
		if err != nil {
			return nil, err
		}
	}
	if k.Member != "" {
		if slices.ContainsFunc(o.Patients, func(id string) bool { return id != k.Member }) {
			return nil, refusef(http.StatusForbidden, "forbidden", "The access token is for another member.")
		}
		o.Subset, o.Patients, o.General = true, []string{k.Member}, k.General
	}
	if !o.Since.IsZero() && !o.Until.IsZero() && o.Until.Before(o.Since) {
		return nil, refusef(http.StatusBadRequest, "value", "_until is before _since.")
	}
	if o.Given && len(types) == 0 && !k.Lenient {
		return nil, refusef(http.StatusBadRequest, "not-supported", "_type names no type.")
	}
	if o.Given && k.Level != System && k.Level != Formulary && !slices.ContainsFunc(types, func(t string) bool { return !slices.Contains(contextTypes, t) }) && !k.Lenient {
		return nil, refusef(http.StatusBadRequest, "not-supported", "_type names only types that belong to no patient (BULK-KO-11).")
	}
	if o.Associated != "" && o.Given && !slices.Contains(types, "Provenance") {
		types = append(types, "Provenance")
	}
	if !o.Given {
		for _, t := range m.reg.Types() {
			if m.exportable(k.Level, t) {
				types = append(types, t)
			}
		}
	}
	if err := dataExport(k, o, &types, drop); err != nil {
		return nil, err
	}
	o.Types = types
	o.inOrder()
	return o, nil
}

// exportable reports a type that an export of this level can hold.
func (m *Manager) exportable(level Level, typ string) bool {
	if level == Formulary {
		return slices.Contains(formularyTypes, typ)
	}
	return level == System || m.reg.InPatientCompartment(typ) || typ == "Provenance" || typ == "Group" && level == Group || slices.Contains(contextTypes, typ)
}

func (m *Manager) instant(p Param) (time.Time, error) {
	t, err := search.Instant(p.Value)
	if err != nil {
		return t, refusef(http.StatusBadRequest, "value", "%s: %v", p.Name, err)
	}
	return t, nil
}

// typeFilter splits on a comma only where a new query starts (CF-14), and refuses what it cannot apply: ignoring a filter
// would widen the export.
// maxFilters bounds the queries of a job: each is one more search of every row of its type.
const maxFilters = 100

func (o *order) filterCount() int {
	n := 0
	for _, queries := range o.Filters {
		n += len(queries)
	}
	return n
}

func (m *Manager) typeFilter(o *order, v string, drop func(code, format string, args ...any) error) error {
	for _, q := range splitFilters(v) {
		if o.filterCount() >= maxFilters {
			return refusef(http.StatusBadRequest, "too-costly", "There are more than %d queries in _typeFilter.", maxFilters)
		}
		typ, query, ok := strings.Cut(q, "?")
		if !ok || !m.reg.Serves(typ) {
			if err := drop("not-supported", "_typeFilter %q is no query on a served type.", q); err != nil {
				return err
			}
			continue
		}
		// What goes out of these is found through other data; a filter is not ignored in silence (CF-15).
		if o.Level != System && (typ == "Provenance" || typ == "Group" || slices.Contains(contextTypes, typ)) {
			if err := drop("not-supported", "_typeFilter on %s is not applied at %s level.", typ, o.Level); err != nil {
				return err
			}
			continue
		}
		if _, err := m.filterQuery(typ, query); err != nil {
			if err := drop("not-supported", "_typeFilter %q: %v", q, err); err != nil {
				return err
			}
			continue
		}
		if o.Filters == nil {
			o.Filters = map[string][]string{}
		}
		o.Filters[typ] = append(o.Filters[typ], query)
	}
	return nil
}

func (m *Manager) filterQuery(typ, query string) (search.Query, error) {
	pairs, err := search.ParsePairs(query)
	if err != nil {
		return search.Query{}, err
	}
	q, err := m.reg.Parse(typ, pairs, search.ParseOptions{Strict: true})
	if slices.ContainsFunc(pairs, func(p search.Pair) bool { return strings.HasPrefix(p.Name, "_has:") }) {
		// It asks about resources that the export's scopes and Groups may not cover.
		return search.Query{}, errors.New("_has has no place in a filter")
	}
	if err == nil && len(q.Clauses) != len(pairs) {
		err = fmt.Errorf("result parameters have no place in a filter")
	}
	return q, err
}

func splitFilters(v string) []string {
	var out []string
	start := 0
	for i := 0; i < len(v); i++ {
		if v[i] != ',' || i+1 == len(v) || v[i+1] < 'A' || v[i+1] > 'Z' {
			continue
		}
		end := i + 1
		for end < len(v) && (v[end] >= 'a' && v[end] <= 'z' || v[end] >= 'A' && v[end] <= 'Z') {
			end++
		}
		if end < len(v) && v[end] == '?' {
			out = append(out, v[start:i])
			start = i + 1
		}
	}
	return append(out, v[start:])
}

func (m *Manager) patientParam(k Kickoff, o *order, v string, drop func(code, format string, args ...any) error) error {
	switch {
	case !k.Posted:
		return refusef(http.StatusBadRequest, "not-supported", "patient is a parameter of POST only.")
	case k.Level == System, k.Level == Formulary:
		return drop("not-supported", "patient has no meaning at %s level.", k.Level)
	}
	o.Subset = true
	_, id, ok := strings.Cut(strings.TrimPrefix(v, k.Base+"/"), "/")
	if !ok || !strings.HasPrefix(strings.TrimPrefix(v, k.Base+"/"), "Patient/") {
		if k.DataExport { // CF-05
			o.Notes = append(o.Notes, note{"warning", "value", fmt.Sprintf("patient %q is no reference to a Patient; ignored.", v)})
			return nil
		}
		return drop("value", "patient %q is no reference to a Patient.", v)
	}
	if !slices.Contains(o.Patients, id) {
		o.Patients = append(o.Patients, id)
	}
	return nil
}
