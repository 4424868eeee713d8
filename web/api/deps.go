package api

import (
	"context"
	"log/slog"
	"time"

	"fhirwire/internal/live"
	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/validators"
)

// Systems keeps test systems. Absent ids are proxy.ErrNotFound, a slug in use is proxy.ErrConflict.
type Systems interface {
	Systems(ctx context.Context) ([]*proxy.System, error)
	System(ctx context.Context, id string) (*proxy.System, error)
	SaveSystem(ctx context.Context, s *proxy.System) error
	DeleteSystem(ctx context.Context, id string) error
}

// Channels keeps channels, with the same errors.
type Channels interface {
	Channels(ctx context.Context) ([]*proxy.Channel, error)
	Channel(ctx context.Context, id string) (*proxy.Channel, error)
	SaveChannel(ctx context.Context, c *proxy.Channel) error
	DeleteChannel(ctx context.Context, id string) error
}

// Exchanges reads what was recorded.
type Exchanges interface {
	Exchange(ctx context.Context, id string) (*proxy.Exchange, error)
	Exchanges(ctx context.Context, q proxy.Query) (proxy.Page, error)
	Neighbours(ctx context.Context, id string) (prev, next string, err error)
}

// Reports reads what was found. Report is proxy.ErrNotFound for an exchange that was not judged yet; Summaries has no entry
// for one.
type Reports interface {
	Report(ctx context.Context, exchangeID string) (*validators.Report, error)
	Summaries(ctx context.Context, ids []string) (map[string]validators.Summary, error)
	CountUnjudged(ctx context.Context) (int, error)
}

// Judge judges an exchange again and returns when its new report is stored.
type Judge interface {
	Judge(ctx context.Context, id string) error
}

// Validator validates one resource against what it claims and the profiles asked for.
type Validator interface {
	Validate(ctx context.Context, body []byte, profiles []string) (validators.Report, error)
}

// Scenarios knows the test plans and judges them over what was recorded. Unknown plans and channels are proxy.ErrNotFound.
type Scenarios interface {
	Plans(ctx context.Context) ([]testplans.Plan, error)
	Judge(ctx context.Context, plan, channel string) (testplans.Judgement, error)
}

// PlanFiles knows where the test plans come from.
type PlanFiles interface {
	PlanFiles() testplans.PlanFiles
	// PlanText is a plan's text: of the one in use, or that of a digest. It wraps proxy.ErrNotFound when there is none.
	PlanText(plan, digest string) ([]byte, error)
	// FormerPlan is one that is not in use any more and has stored results; it wraps proxy.ErrNotFound for others.
	FormerPlan(ctx context.Context, id string) (testplans.Plan, error)
}

// Tokens knows the access tokens of the channels.
type Tokens interface {
	Ledger(ctx context.Context, channel string) (*validators.Ledger, error)
	Authorization(ctx context.Context, ex *proxy.Exchange) (*validators.Authorization, error)
}

// Guide is an implementation guide that a channel may be narrowed to.
type Guide struct {
	ID string // "hl7.fhir.us.core#6.1.0"
	// Active guides apply where a channel names none.
	Active bool
}

// Settings is what channels can be set to beside free text.
type Settings interface {
	Guides() []Guide
	// ClientCertificates are the names of the certificates that the proxy may present to servers.
	ClientCertificates() []string
}

// Checker looks at both legs of a channel.
type Checker interface {
	Check(ctx context.Context, ch *proxy.Channel) proxy.ConnectionCheck
}

// Live says when something was stored. The channel closes when ctx ends and when the reader is too slow.
type Live interface {
	Subscribe(ctx context.Context, buffer int) <-chan live.Notice
}

// Deps is what the dashboard and its API work on. All fields are required but Validator, Judge, Scenarios, Runs, Support, Exporter, Checker, Certificates and Tokens: without one of these
// its routes answer that it is not available; and Settings, without which settings are not held against what there is.
type Deps struct {
	Systems   Systems
	Channels  Channels
	Exchanges Exchanges
	Reports   Reports
	Bodies    proxy.Bodies
	Live      Live
	Judge     Judge
	Validator Validator
	Scenarios Scenarios
	Runs      Runs
	Support   Support
	Exporter  Exporter
	Checker   Checker
	// Certificates is nil without a local CA.
	Certificates Certificates
	Tokens       Tokens
	Settings     Settings
	// PlanFiles is nil where all plans are built in.
	PlanFiles PlanFiles
	// ScenarioCheck reports the id of a scenario's own check, which no guide asks for; nil: all ids are requirements of guides.
	ScenarioCheck func(id string) bool
}

// Options are the API's settings; the zero value works.
type Options struct {
	// ProxyURL is the proxy listener's public URL without a trailing slash; default http://127.0.0.1:8081.
	ProxyURL string
	Version  string
	Logger   *slog.Logger
	// Clock is the time; default the system's.
	Clock func() time.Time
	// NewID makes ids; default UUIDv7.
	NewID func() string
	// ChannelSuffix makes the unguessable part of channel names when the proxy is reachable from elsewhere; nil: none.
	ChannelSuffix func() string
	// Done ends streams when it closes; nil: only the client does.
	Done <-chan struct{}
}

// WithDefaults fills what is not set.
func (o Options) WithDefaults() Options {
	if o.ProxyURL == "" {
		o.ProxyURL = "http://127.0.0.1:8081"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now //nolint:forbidigo // the default of an input
	}
	if o.NewID == nil {
		o.NewID = newID
	}
	return o
}
