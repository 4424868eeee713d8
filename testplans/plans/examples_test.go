package plans_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"sync"
	"testing"

	"golang.org/x/tools/txtar"

	"fhirwire/proxy"
	"fhirwire/proxy/proxytest"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/testplans/judge"
	"fhirwire/testplans/planfile"
	"fhirwire/testplans/plans"
	"fhirwire/validators"
	"fhirwire/validators/guides"
	"fhirwire/validators/inspect"
	"fhirwire/validators/interaction"
	"fhirwire/validators/profile"
)

// TestExamples runs the example traffic of every plan: each check's verdict is exactly the one expected, in every example.
func TestExamples(t *testing.T) {
	all, err := plans.All()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no plans are built in")
	}
	lib, set := library(t)
	ids := map[string]string{}
	for _, f := range all {
		t.Run(f.Path, func(t *testing.T) {
			plan, err := planfile.Parse(f.Path, f.Source, set)
			if err != nil {
				t.Fatal(err)
			}
			if other := ids[plan.ID]; other != "" {
				t.Errorf("%s has the id of %s", f.Path, other)
			}
			ids[plan.ID] = f.Path
			examples, err := planfile.Examples(plans.ExamplesPath(f.Path), f.Examples)
			if err != nil {
				t.Fatal(err)
			}
			if err := planfile.VetExamples(f.Path, f.Source, plan, plans.ExamplesPath(f.Path), examples); err != nil {
				t.Error(err)
			}
			for i := range examples {
				t.Run(examples[i].Name, func(t *testing.T) { runExample(t, lib, set, plan, &examples[i]) })
			}
		})
	}
}

func runExample(t *testing.T, lib *guides.Library, set *profile.Set, plan testplans.Plan, e *planfile.Example) {
	items := evidence(t, lib, plan, txtar.Format(e.Archive))
	run := testplans.Run{Kind: testplans.Imported, Attestations: attestations(plan)}
	results, err := judge.Judge(t.Context(), plan, run, sequence(items), checks.NewTable(set))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, r := range results {
		if r.Check == "" {
			continue
		}
		seen++
		id := r.Step + "/" + r.Check
		if want := e.WantOf(id); r.Verdict != want {
			t.Errorf("%s %s\n\twant %s; %s", id, r.Verdict, want, r.Message)
		}
		if r.Verdict == testplans.Fail && (r.Side == "" || r.Message == "" || len(r.Evidence) == 0) {
			t.Errorf("%s fails without a side, a reason or evidence: %+v", id, r)
		}
	}
	if seen == 0 {
		t.Error("no checks")
	}
	slices.Reverse(items) // the order in which evidence comes must not matter
	again, err := judge.Judge(t.Context(), plan, run, sequence(items), checks.NewTable(set))
	if err != nil {
		t.Fatal(err)
	}
	for i := range results {
		if results[i].Digest != again[i].Digest {
			t.Errorf("%s/%s depends on the order of the evidence: %s %q, %s %q", results[i].Step, results[i].Check, results[i].Verdict, results[i].Message, again[i].Verdict, again[i].Message)
		}
	}
}

// attestations answer every question of a plan, so that the examples are about traffic.
func attestations(plan testplans.Plan) []testplans.Attestation {
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

var library = func() func(testing.TB) (*guides.Library, *profile.Set) {
	load := sync.OnceValues(guides.Load)
	return func(t testing.TB) (*guides.Library, *profile.Set) {
		t.Helper()
		lib, err := load()
		if err != nil {
			t.Fatal(err)
		}
		set, err := lib.Set()
		if err != nil {
			t.Fatal(err)
		}
		return lib, set
	}
}()

// evidence classifies and inspects the exchanges of an archive, as recording does.
func evidence(t testing.TB, lib *guides.Library, plan testplans.Plan, archive []byte) []checks.Item {
	t.Helper()
	exchanges, bodies, err := proxytest.FromTxtar(archive)
	if err != nil {
		t.Fatal(err)
	}
	guideIDs := narrowed(t, lib, plan)
	known := &memory{urls: map[string]proxy.Kind{}, guides: guideIDs}
	classifier := interaction.NewClassifier(known, known, interaction.Options{})
	key := lastGuides(guideIDs)
	mu.Lock()
	inspector := inspectors[key]
	if inspector == nil {
		inspector = inspect.New(lib, shared, inspect.Options{Channels: known})
		inspectors[key] = inspector
	}
	maps.Copy(shared, bodies)
	mu.Unlock()
	var items []checks.Item
	for i, ex := range exchanges {
		ex.Number = int64(i + 1)
		ex.Interaction = classifier.Classify(t.Context(), ex, bodies)
		items = append(items, checks.Item{Exchange: ex, Report: inspected(t, inspector, key, ex), Bodies: bodies})
	}
	return items
}

// inspected is the report on an exchange. Most examples differ in one exchange only, so reports are kept.
func inspected(t testing.TB, inspector *inspect.Inspector, guideKey string, ex *proxy.Exchange) *validators.Report {
	t.Helper()
	whole, err := json.Marshal(ex)
	if err != nil {
		t.Fatal(err)
	}
	key := sha256.Sum256(append(whole, guideKey...))
	mu.Lock()
	report := reports[key]
	mu.Unlock()
	if report == nil {
		fresh, err := inspector.Inspect(t.Context(), ex)
		if err != nil {
			t.Fatal(err)
		}
		report = &fresh
		mu.Lock()
		reports[key] = report
		mu.Unlock()
	}
	return report
}

// One inspector for each set of guides serves all examples: compiling profiles is the slow part.
var (
	mu         sync.Mutex
	inspectors = map[string]*inspect.Inspector{}
	shared     = proxytest.Bodies{}
	reports    = map[[sha256.Size]byte]*validators.Report{}
)

func lastGuides(ids []string) string {
	key := ""
	for _, id := range ids {
		key += id + " "
	}
	return key
}

// narrowed are the built-in guides without those versions that the plan is not for.
func narrowed(t testing.TB, lib *guides.Library, plan testplans.Plan) []string {
	t.Helper()
	var out []string
	for _, p := range lib.Packages() {
		for pkg, span := range plan.Guides {
			if p.Name != pkg {
				continue
			}
			in, err := testplans.InRange(p.Version, span)
			if err != nil {
				t.Fatal(err)
			}
			if in {
				out = append(out, p.Name+"#"+p.Version)
			}
		}
	}
	slices.Sort(out)
	return out
}

func sequence(items []checks.Item) iter.Seq2[checks.Item, error] {
	return func(yield func(checks.Item, error) bool) {
		for _, it := range items {
			if !yield(it, nil) {
				return
			}
		}
	}
}

// memory knows the one channel of the examples and the URLs that servers named.
type memory struct {
	urls   map[string]proxy.Kind
	guides []string
}

func (m *memory) ChannelByName(_ context.Context, name string) (*proxy.Channel, error) {
	return &proxy.Channel{Name: name, ServerURL: "http://payer.example/fhir", Options: proxy.ChannelOptions{Guides: m.guides}}, nil
}

func (m *memory) BulkURL(_ context.Context, url string) (proxy.Kind, error) {
	if k, ok := m.urls[url]; ok {
		return k, nil
	}
	return "", proxy.ErrNotFound
}

func (m *memory) LearnBulkURLs(_ context.Context, urls map[string]proxy.Kind) error {
	maps.Copy(m.urls, urls)
	return nil
}
