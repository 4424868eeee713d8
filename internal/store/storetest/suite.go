package storetest

import (
	"context"
	"io"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/validators"
)

// Store is what the suite tests.
type Store interface {
	SaveSystem(ctx context.Context, s *proxy.System) error
	System(ctx context.Context, id string) (*proxy.System, error)
	SystemBySlug(ctx context.Context, slug string) (*proxy.System, error)
	Systems(ctx context.Context) ([]*proxy.System, error)
	DeleteSystem(ctx context.Context, id string) error
	SaveChannel(ctx context.Context, c *proxy.Channel) error
	Channel(ctx context.Context, id string) (*proxy.Channel, error)
	ChannelByName(ctx context.Context, name string) (*proxy.Channel, error)
	Channels(ctx context.Context) ([]*proxy.Channel, error)
	DeleteChannel(ctx context.Context, id string) error

	Put(ctx context.Context, e *proxy.Exchange, bodies proxy.Bodies) error
	Exchange(ctx context.Context, id string) (*proxy.Exchange, error)
	Exchanges(ctx context.Context, q proxy.Query) (proxy.Page, error)
	ExchangesByID(ctx context.Context, ids []string) ([]*proxy.Exchange, error)
	Neighbours(ctx context.Context, id string) (prev, next string, err error)
	OpenBody(ctx context.Context, d proxy.Digest) (io.ReadCloser, error)

	SaveReport(ctx context.Context, r validators.Report) error
	Report(ctx context.Context, exchangeID string) (*validators.Report, error)
	Reports(ctx context.Context, exchangeID string) ([]*validators.Report, error)
	ReportsByID(ctx context.Context, ids []string) (map[string]*validators.Report, error)
	FindingsByID(ctx context.Context, ids []string) (map[string]*validators.Report, error)
	Summaries(ctx context.Context, ids []string) (map[string]validators.Summary, error)
	Unjudged(ctx context.Context, rules, limit int) ([]string, error)
	Judged(ctx context.Context, id string, rules int) (bool, error)
	CountUnjudged(ctx context.Context) (int, error)

	BulkURL(ctx context.Context, url string) (proxy.Kind, error)
	LearnBulkURLs(ctx context.Context, urls map[string]proxy.Kind) error

	SaveRun(ctx context.Context, run *testplans.Run) error
	Run(ctx context.Context, id string) (testplans.Run, error)
	StandingRun(ctx context.Context, plan, channel string) (testplans.Run, error)
	Runs(ctx context.Context, q testplans.RunQuery) (runs []testplans.Run, more bool, err error)
	SetWindow(ctx context.Context, run *testplans.Run) error
	AppendResults(ctx context.Context, run string, at time.Time, results []testplans.Result) (appended int, err error)
	Results(ctx context.Context, run string) ([]testplans.Recorded, error)
	History(ctx context.Context, run, step, check string) ([]testplans.Recorded, error)
	Attest(ctx context.Context, run string, a testplans.Attestation) error
	Attestations(ctx context.Context, run string) ([]testplans.Attestation, error)
	SaveReview(ctx context.Context, r *testplans.Reviewed) error
	Reviews(ctx context.Context, runs ...string) (map[string][]testplans.Reviewed, error)
}

// Place is somewhere a store keeps its evidence: Open opens it, again after a call of Close.
type Place struct {
	Open  func(t *testing.T) Store
	Close func(t *testing.T)
}

// Run tests the stores at the places that fresh makes; each is empty at first. The store's clock stands at
// Epoch plus one hour.
func Run(t *testing.T, fresh func(t *testing.T) Place) {
	for name, test := range map[string]func(*testing.T, Store){
		"systems":                    testSystems,
		"channels":                   testChannels,
		"channels in memory":         testChannelCache,
		"an exchange comes back":     testRoundTrip,
		"bodies of all sizes":        testBodies,
		"a redacted body stays so":   testRedacted,
		"put again":                  testPutAgain,
		"put fails":                  testPutFails,
		"concurrent puts":            testConcurrentPuts,
		"certificate chains":         testChains,
		"insecure servers":           testInsecure,
		"pages":                      testPages,
		"filters":                    testFilters,
		"neighbours":                 testNeighbours,
		"several at once":            testSeveral,
		"reports":                    testReports,
		"unjudged":                   testUnjudged,
		"bulk URLs":                  testBulkURLs,
		"hostile text":               testHostileText,
		"a report of many findings":  testManyFindings,
		"nothing stored":             testEmpty,
		"an ended context is obeyed": testEndedContext,
		"runs":                       testRuns,
		"pages of runs":              testRunPages,
		"results are appended":       testResults,
		"attestations":               testAttestations,
		"reviews":                    testReviews,
	} {
		t.Run(name, func(t *testing.T) { test(t, fresh(t).Open(t)) })
	}
	t.Run("all is there after a restart", func(t *testing.T) { testRestart(t, fresh(t)) })
}

// fatal stops the test on an error.
func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func putAll(t *testing.T, s Store, bodies Bodies, exchanges ...*proxy.Exchange) {
	t.Helper()
	for _, e := range exchanges {
		fatal(t, s.Put(t.Context(), e, bodies))
	}
}
