package rehearsal

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"fhirwire/proxy"
	"fhirwire/proxy/transcript"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/testplans/judge"
	"fhirwire/testplans/planfile"
	"fhirwire/validators"
	"fhirwire/validators/guides"
	"fhirwire/validators/inspect"
	"fhirwire/validators/interaction"
)

// Base is the FHIR base URL of the server in examples.
const Base = transcript.Server + "/fhir"

// Stage judges examples over the guides of a library. It keeps what was compiled and which exchanges were inspected, since most examples
// of a plan differ in one exchange only. It is safe for concurrent use.
type Stage struct {
	lib   *guides.Library
	table checks.Table

	mu         sync.Mutex // guards what follows
	bodies     transcript.Bodies
	inspectors map[string]*inspect.Inspector // by guides
	reports    map[[sha256.Size]byte]*validators.Report
}

// New makes a Stage; table is what checks are judged by.
func New(lib *guides.Library, table checks.Table) *Stage {
	return &Stage{
		lib: lib, table: table, bodies: transcript.Bodies{}, inspectors: map[string]*inspect.Inspector{}, reports: map[[sha256.Size]byte]*validators.Report{},
	}
}

// Items are the exchanges of an example as evidence, in their order: classified and inspected with those guides of the library that the
// plan is for, or those that the example names.
func (s *Stage) Items(ctx context.Context, plan testplans.Plan, e *planfile.Example) ([]checks.Item, error) {
	exchanges, bodies, err := transcript.Read(e.Archive.Files)
	if err != nil {
		return nil, fmt.Errorf("example %s: %w", e.Name, err)
	}
	ids := e.Guides
	if len(ids) == 0 {
		if ids, err = s.guidesOf(plan); err != nil {
			return nil, fmt.Errorf("plan %s: %w", plan.ID, err)
		}
	}
	known := &channel{urls: map[string]proxy.Kind{}, guides: ids}
	classifier := interaction.NewClassifier(known, known, interaction.Options{})
	key := strings.Join(ids, " ")
	s.mu.Lock()
	inspector := s.inspectors[key]
	if inspector == nil {
		inspector = inspect.New(s.lib, (*shelf)(s), inspect.Options{Channels: known})
		s.inspectors[key] = inspector
	}
	maps.Copy(s.bodies, bodies)
	s.mu.Unlock()
	items := make([]checks.Item, len(exchanges))
	for i, ex := range exchanges {
		ex.Number = int64(i + 1)
		ex.Interaction = classifier.Classify(ctx, ex, bodies)
		report, err := s.inspected(ctx, inspector, key, ex)
		if err != nil {
			return nil, fmt.Errorf("example %s: exchange %d: %w", e.Name, i+1, err)
		}
		items[i] = checks.Item{Exchange: ex, Report: report, Bodies: bodies}
	}
	return items, nil
}

// Results are what the judge says of a plan over an example.
func (s *Stage) Results(ctx context.Context, plan testplans.Plan, e *planfile.Example) ([]testplans.Result, error) {
	items, err := s.Items(ctx, plan, e)
	if err != nil {
		return nil, err
	}
	run := testplans.Run{Kind: testplans.Imported, Attestations: Attested(plan)}
	run.Context.Guides = e.Guides
	return judge.Judge(ctx, plan, run, Sequence(items), s.table)
}

// Vet judges every example and says where the verdicts of checks are not those that it expects; file is the examples'. The error joins
// faults, in the order of the examples.
func (s *Stage) Vet(ctx context.Context, plan testplans.Plan, file string, examples []planfile.Example) error {
	var faults []*planfile.Fault
	for i := range examples {
		e := &examples[i]
		results, err := s.Results(ctx, plan, e)
		if err != nil {
			faults = append(faults, &planfile.Fault{File: file, Line: e.LineOf(""), Column: 1, Message: err.Error()})
			continue
		}
		faults = append(faults, differences(file, e, results)...)
	}
	return planfile.Joined(faults)
}

// differences are the verdicts that an example did not expect.
func differences(file string, e *planfile.Example, results []testplans.Result) []*planfile.Fault {
	var out []*planfile.Fault
	for i := range results {
		r := &results[i]
		id := r.Step + "/" + r.Check
		want := e.WantOf(id)
		if r.Check == "" || r.Verdict == want {
			continue
		}
		f := &planfile.Fault{File: file, Line: e.LineOf(id), Column: 1, Message: fmt.Sprintf("example %s: %s is %s; expected %s", e.Name, id, r.Verdict, want)}
		if r.Message != "" {
			f.Message = fmt.Sprintf("example %s: %s is %s (%s); expected %s", e.Name, id, r.Verdict, r.Message, want)
		}
		out = append(out, f)
	}
	return out
}

// Attested answers every question of a plan with yes.
func Attested(plan testplans.Plan) []testplans.Attestation {
	var out []testplans.Attestation
	for _, s := range plan.Steps {
		for _, c := range s.Checks {
			if c.Attestation != nil {
				out = append(out, testplans.Attestation{Step: s.ID, Check: c.ID, Verdict: testplans.Pass, By: "Track lead"})
			}
		}
	}
	return out
}

// Sequence yields items as evidence.
func Sequence(items []checks.Item) iter.Seq2[checks.Item, error] {
	return func(yield func(checks.Item, error) bool) {
		for _, it := range items {
			if !yield(it, nil) {
				return
			}
		}
	}
}

// inspected is the report on an exchange.
func (s *Stage) inspected(ctx context.Context, inspector *inspect.Inspector, guideKey string, ex *proxy.Exchange) (*validators.Report, error) {
	whole, err := json.Marshal(ex)
	if err != nil {
		return nil, err
	}
	key := sha256.Sum256(append(whole, guideKey...))
	s.mu.Lock()
	report := s.reports[key]
	s.mu.Unlock()
	if report != nil {
		return report, nil
	}
	fresh, err := inspector.Inspect(ctx, ex)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.reports[key] = &fresh
	s.mu.Unlock()
	return &fresh, nil
}

// guidesOf are the guides of the library that a plan is for, by the packages that it names.
func (s *Stage) guidesOf(plan testplans.Plan) ([]string, error) {
	var out []string
	for _, p := range s.lib.Packages() {
		span, named := plan.Guides[p.Name]
		if !named {
			continue
		}
		in, err := testplans.InRange(p.Version, span)
		if err != nil {
			return nil, err
		}
		if in {
			out = append(out, p.Name+"#"+p.Version)
		}
	}
	slices.Sort(out)
	return out, nil
}

// shelf opens the bodies that a Stage keeps for its inspectors.
type shelf Stage

// OpenBody implements proxy.Bodies.
func (s *shelf) OpenBody(ctx context.Context, d proxy.Digest) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bodies.OpenBody(ctx, d)
}

// channel is the one of the examples, with the URLs that its server named.
type channel struct {
	urls   map[string]proxy.Kind
	guides []string
}

// ChannelByName implements inspect.Channels: every name is that of the one channel.
func (c *channel) ChannelByName(_ context.Context, name string) (*proxy.Channel, error) {
	return &proxy.Channel{Name: name, ServerURL: Base, Options: proxy.ChannelOptions{Guides: c.guides}}, nil
}

// BulkURL says of what kind a URL is that the server named.
func (c *channel) BulkURL(_ context.Context, url string) (proxy.Kind, error) {
	if k, ok := c.urls[url]; ok {
		return k, nil
	}
	return "", proxy.ErrNotFound
}

// LearnBulkURLs remembers what the server named.
func (c *channel) LearnBulkURLs(_ context.Context, urls map[string]proxy.Kind) error {
	maps.Copy(c.urls, urls)
	return nil
}
