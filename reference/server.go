package reference

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"fhirwire/internal/sqldb"
	"fhirwire/reference/attribution"
	"fhirwire/reference/bulk"
	"fhirwire/reference/edgecases"
	"fhirwire/reference/fhirapi"
	"fhirwire/reference/membermatch"
	"fhirwire/reference/resources"
	"fhirwire/reference/search"
	"fhirwire/reference/smartauth"
	"fhirwire/reference/synth"
	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/instance"
	"fhirwire/validators/profile"
)

// Options tune New. Clock is required.
type Options struct {
	// BaseURL is the FHIR base in links; empty: that of each request.
	BaseURL string
	// DataDir is where export files go; empty: a folder in the system's place for temporary files.
	DataDir string
	Logger  *slog.Logger
	Clock   func() time.Time
	// NewID makes ids of resources, Bundles and exports; nil: random UUIDs.
	NewID   func() string
	Version string
	// Match tunes $member-match.
	Match membermatch.Options
	// Auth is whether the FHIR API asks for tokens; empty means Optional, which also lets tokens pass that were issued elsewhere.
	Auth smartauth.Mode
	// Guides are the packages ("name#version") of the set that the capability statement claims; empty: all.
	Guides []string
	// OAuth tunes the authorization server; Clock and Logger are those above.
	OAuth smartauth.Options
	// Directory holds the Bundles of the endpoint directory; nil: the directory is not served.
	Directory fs.FS
	// PollEvery is fhirapi.Options.PollEvery.
	PollEvery time.Duration
	// ExportWorkers and KeepExports are bulk.Options.Workers and Keep.
	ExportWorkers int
	KeepExports   time.Duration
}

// Server is the reference payer.
type Server struct {
	store  *resources.Store
	reg    *search.Registry
	export *bulk.Manager
	api    *fhirapi.API
	edges  *edgecases.Switches
	auth   *smartauth.Server
	http   http.Handler
}

// New opens the server over a database, whose schema it brings up to date, and the guides that it serves.
func New(ctx context.Context, db *sqldb.DB, set *profile.Set, o Options) (*Server, error) {
	if o.NewID == nil {
		o.NewID = uuid.NewString
	}
	if o.DataDir == "" {
		o.DataDir = filepath.Join(os.TempDir(), "fhirwire-reference")
	}
	reg, err := search.NewRegistry(definitions{set}, set)
	if err != nil {
		return nil, fmt.Errorf("reference server: %w", err)
	}
	store, err := resources.New(ctx, db, reg, resources.Options{Clock: o.Clock, Logger: o.Logger})
	if err != nil {
		return nil, fmt.Errorf("reference server: %w", err)
	}
	elements := rootElements{set}
	owners, err := attribution.NewOwners(ctx, db, o.Clock)
	if err != nil {
		return nil, fmt.Errorf("reference server: %w", err)
	}
	optOuts := attribution.NewOptOuts(store)
	o.Match = o.matchOptions()
	many := newBulkMatcher(store, reg, owners, o)
	export, err := bulk.New(ctx, db, store, reg, bulk.Options{
		Dir: filepath.Join(o.DataDir, "exports"), Clock: o.Clock, NewID: o.NewID, Logger: o.Logger,
		Workers: o.ExportWorkers, Keep: o.KeepExports, Required: elements.required,
		OptedOut: optOuts.Current, Terms: owners.Terms, Transmitter: many.payer, Tasks: many.tasks(),
	})
	if err != nil {
		return nil, fmt.Errorf("reference server: %w", err)
	}
	s := &Server{store: store, reg: reg, export: export}
	if s.auth, err = openAuth(ctx, db, o); err != nil {
		return nil, fmt.Errorf("reference server: %w", err)
	}
	s.edges = edgecases.New(edgecases.Options{Clock: o.Clock, Client: func(r *http.Request) string { return clientOf(r.Context()) }})
	s.api = fhirapi.New(store, reg, export, fhirapi.Options{
		BaseURL: o.BaseURL, Logger: o.Logger, Clock: o.Clock, NewID: o.NewID, Version: o.Version,
		BulkMatcher: many.served(set),
		Validate:    judge{instance.New(set, set.Terms(), instance.Options{Now: o.Clock})}.issues,
		Matcher:     matcher{membermatch.New(lookup{store, reg}, o.Clock, o.Match), s.auth},
		Lists:       attribution.New(store, lookup{store, reg}, attribution.Options{Clock: o.Clock, OptedOut: optOuts.OptedOut}),
		OptedOut:    func(ctx context.Context) (map[string]bool, error) { return optOuts.Recent(ctx, o.Clock()) },
		Owners:      owners,
		Client:      clientOf,
		PollEvery:   o.PollEvery,
		Member:      memberOf, General: generalOf, Only: smartauth.OpenTypes, Security: s.security(o.Auth),
		Profiles: profilesOf(set),
		Required: elements.required, Summary: elements.summary,
		Guides: guidesOf(set, o.Guides), Instantiates: instantiates(set),
	})
	s.http = s.routes(o)
	return s, nil
}

// judge tells what is wrong with a resource that is to be stored.
type judge struct{ v *instance.Validator }

func (j judge) issues(ctx context.Context, body []byte) ([]validators.Issue, error) {
	doc := fhirjson.Parse(body)
	defer doc.Release()
	if doc.Fatal() != nil {
		return nil, nil // the store says so, with the place
	}
	report, err := j.v.ValidateDocument(ctx, doc)
	return report.Issues, err
}

// Handler serves the FHIR API below /fhir, the authorization server below /oauth, the endpoint directory below /directory, and to
// this machine the switches for edge cases.
func (s *Server) Handler() http.Handler { return s.http }

// Edges are the switches for what is to go wrong, all off.
func (s *Server) Edges() *edgecases.Switches { return s.edges }

// Run works on bulk exports until ctx ends.
func (s *Server) Run(ctx context.Context) error { return s.export.Run(ctx) }

// Load stores resources; see resources.Store.Load.
func (s *Server) Load(ctx context.Context, seq iter.Seq2[resources.Incoming, error], o resources.LoadOptions) (resources.LoadReport, error) {
	return s.store.Load(ctx, seq, o)
}

// Seed loads synthetic members. Seeding again with the same options changes nothing. A generated resource that the store
// rejects is an error.
func (s *Server) Seed(ctx context.Context, all iter.Seq[synth.Resource], o resources.LoadOptions) (resources.LoadReport, error) {
	report, err := s.store.Load(ctx, func(yield func(resources.Incoming, error) bool) {
		for r := range all {
			if !yield(resources.Incoming{Type: r.Type, ID: r.ID, Body: r.JSON, Source: r.Type + "/" + r.ID}, nil) {
				return
			}
		}
	}, o)
	for _, rej := range report.Rejects {
		err = errors.Join(err, fmt.Errorf("synthetic %s: %s", rej.Source, rej.Reason))
	}
	return report, err
}

// Counts is the number of resources per type.
func (s *Server) Counts(ctx context.Context) (map[string]int64, error) { return s.store.Counts(ctx) }

var groupProvider = search.Definition{
	URL:  "http://hl7.org/fhir/us/davinci-pdex/SearchParameter/pdex-group-characteristic-value-reference",
	Code: "characteristic-value-reference", Kind: search.Reference, Expression: "Group.characteristic.value.ofType(Reference)",
}

// definitions gives the registry the set's SearchParameters.
type definitions struct{ set *profile.Set }

func (d definitions) SearchDefinitions(base string) []search.Definition {
	params := d.set.SearchParams(base)
	out := make([]search.Definition, len(params), len(params)+1)
	for i, p := range params {
		out[i] = search.Definition{URL: p.URL, Code: p.Code, Kind: search.Kind(p.Type), Expression: p.Expression, Targets: p.Target}
		for _, c := range p.Components {
			out[i].Parts = append(out[i].Parts, c.Expression)
		}
	}
	// ATR-43: PDex defines this one from 2.1 on; who looks for a list by its provider needs it with any version.
	if base == "Group" && !slices.ContainsFunc(out, func(p search.Definition) bool { return p.Code == groupProvider.Code }) {
		out = append(out, groupProvider)
	}
	return out
}

// lookup is the member matcher's view of the store.
type lookup struct {
	store *resources.Store
	reg   *search.Registry
}

// lookupPage is how many resources a lookup reads at a time.
const lookupPage = 500

func (l lookup) Search(ctx context.Context, typ, parameter, value string) ([][]byte, error) {
	q, err := l.reg.Parse(typ, []search.Pair{{Name: parameter, Value: value}}, search.ParseOptions{Strict: true})
	if err != nil {
		var bad *search.Error
		if errors.As(err, &bad) && bad.Code == "invalid" {
			return nil, nil // no resource has a value that cannot be one
		}
		return nil, err
	}
	var out [][]byte
	page := resources.Page{Limit: lookupPage}
	for {
		res, err := l.store.Search(ctx, q, page)
		if err != nil {
			return nil, err
		}
		for _, r := range res.Resources {
			out = append(out, r.Body)
		}
		if res.Next == nil {
			return out, nil
		}
		page.After = *res.Next
	}
}

// rootElements answers what _elements and _summary need to know of a type.
type rootElements struct{ set *profile.Set }

func names(p *profile.Profile, keep func(*profile.Element) bool) []string {
	var out []string
	for _, e := range p.Root.Children {
		if keep(e) {
			out = append(out, e.Name)
		}
	}
	return out
}

func (r rootElements) required(typ string, profiles []string) []string {
	must := func(e *profile.Element) bool { return e.Min > 0 }
	var out []string
	if base, ok := r.set.Base(typ); ok {
		out = names(base, must)
	}
	for _, canonical := range profiles {
		if p, ok := r.set.Profile(canonical); ok && p.Type == typ {
			out = append(out, names(p, must)...)
		}
	}
	return out
}

func (r rootElements) summary(typ string) []string {
	base, ok := r.set.Base(typ)
	if !ok {
		return nil
	}
	return names(base, func(e *profile.Element) bool { return e.IsSummary })
}

const corePackage = "hl7.fhir.r4.core"

// profilesOf lists the guides' profiles of each type, once: the set does not change.
func profilesOf(set *profile.Set) func(typ string) []string {
	byType := map[string][]string{}
	for _, d := range set.Structures() {
		if d.Constraint && d.Kind == profile.Resource && !strings.HasPrefix(d.Package, corePackage) && !slices.Contains(byType[d.Type], d.URL) {
			byType[d.Type] = append(byType[d.Type], d.URL)
		}
	}
	for _, urls := range byType {
		slices.Sort(urls)
	}
	return func(typ string) []string { return byType[typ] }
}

// claims are what the server says it follows when a guide is in its set.
var claims = []struct{ pkg, guide, statement string }{
	{"hl7.fhir.us.core", "http://hl7.org/fhir/us/core/ImplementationGuide/hl7.fhir.us.core", "http://hl7.org/fhir/us/core/CapabilityStatement/us-core-server"},
	{"hl7.fhir.us.davinci-hrex", "http://hl7.org/fhir/us/davinci-hrex/ImplementationGuide/hl7.fhir.us.davinci-hrex", ""},
	{"hl7.fhir.us.davinci-pdex", "http://hl7.org/fhir/us/davinci-pdex/ImplementationGuide/hl7.fhir.us.davinci-pdex", "http://hl7.org/fhir/us/davinci-pdex/CapabilityStatement/pdex-server"},
	{"hl7.fhir.us.davinci-drug-formulary", "http://hl7.org/fhir/us/davinci-drug-formulary/ImplementationGuide/hl7.fhir.us.davinci-drug-formulary", "http://hl7.org/fhir/us/davinci-drug-formulary/CapabilityStatement/usdf-server"},
}

// guidesOf are the guides that the statement claims: those chosen, without what they depend on in other versions.
func guidesOf(set *profile.Set, chosen []string) []string {
	if len(chosen) == 0 {
		chosen = set.Packages()
	}
	var out []string
	for _, id := range chosen {
		name, version, _ := strings.Cut(id, "#")
		for _, c := range claims {
			if c.pkg == name {
				out = append(out, c.guide+"|"+version)
			}
		}
	}
	return out
}

func instantiates(set *profile.Set) []string {
	out := []string{"http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"}
	for _, c := range claims {
		if c.statement != "" && slices.ContainsFunc(set.Packages(), func(id string) bool { return strings.HasPrefix(id, c.pkg+"#") }) {
			out = append(out, c.statement)
		}
	}
	return out
}
