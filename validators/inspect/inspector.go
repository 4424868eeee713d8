package inspect

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"fhirwire/proxy"
	"fhirwire/validators"
	"fhirwire/validators/guides"
	"fhirwire/validators/httprules"
	"fhirwire/validators/instance"
	"fhirwire/validators/terminology"
)

// Channels finds a channel's settings.
type Channels interface {
	ChannelByName(ctx context.Context, name string) (*proxy.Channel, error)
}

// Options tune an Inspector. Zero fields take the defaults.
type Options struct {
	// Channels, when set, gives the guides and profiles a channel is narrowed to.
	Channels Channels
	// MaxDecoded caps the decoded bytes of a body that is read into memory (NDJSON is not); default 64 MiB.
	MaxDecoded int64
	// MaxRatio caps decoded to stored bytes once MaxDecoded/64 is passed; default 200.
	MaxRatio int64
	// MaxLine caps a line of NDJSON; default 10 MB.
	MaxLine int
	// MaxIssues caps the issues kept in a report; default 1000. All are counted.
	MaxIssues int
	// Terms, when set, gives the terminology to use over a channel's guides, and TermsName is where it is from, for the reports: a
	// server's URL. Otherwise it is offline.
	Terms     func(local *terminology.Service) instance.Terminology
	TermsName string
	// Now is the clock for Report.At; nil leaves it zero.
	Now func() time.Time
}

// Inspector inspects exchanges. It is safe for concurrent use.
type Inspector struct {
	lib    *guides.Library
	bodies proxy.Bodies
	opt    Options
	rules  *httprules.Checker

	mu         sync.Mutex
	validators map[string]*judge // by guides and profiles of a channel
}

// judge is a validator with what was decided for it.
type judge struct {
	*instance.Validator
	context validators.Context
}

// New makes an Inspector over the guides of lib.
func New(lib *guides.Library, bodies proxy.Bodies, o Options) *Inspector {
	o.MaxDecoded = cmp.Or(o.MaxDecoded, 64<<20)
	o.MaxRatio = cmp.Or(o.MaxRatio, 200)
	o.MaxLine = cmp.Or(o.MaxLine, 10_000_000)
	o.MaxIssues = cmp.Or(o.MaxIssues, 1000)
	return &Inspector{lib: lib, bodies: bodies, opt: o, rules: httprules.NewChecker(), validators: map[string]*judge{}}
}

// Inspect judges one exchange on its own.
func (in *Inspector) Inspect(ctx context.Context, ex *proxy.Exchange) (validators.Report, error) {
	ch := in.channel(ctx, ex)
	j, err := in.judgeFor(ch)
	if err != nil {
		return validators.Report{}, fmt.Errorf("guides of channel %s: %w", ex.Channel, err)
	}
	r := newReport(ex.ID, j.context, in.opt)
	c := &httprules.Case{Exchange: ex, ServerBase: ch.ServerURL}

	c.Request, err = in.message(ctx, r, j, half{ex: ex, msg: &ex.Request.Message, part: validators.PartRequestBody, side: validators.SideClient})
	if err == nil && ex.Response != nil {
		c.Response, err = in.message(ctx, r, j, half{ex: ex, msg: &ex.Response.Message, part: validators.PartResponseBody, side: validators.SideServer})
	}
	if err != nil {
		return validators.Report{}, fmt.Errorf("exchange %s: %w", ex.ID, err)
	}
	if ex.Mode == proxy.ModeTunnel && ex.Failure == nil {
		// Neither side is wrong in it, and neither is shown to be right.
		r.unjudged(half{ex: ex, part: validators.PartExchange}, "tunnel-encrypted", "Encrypted end to end: metadata only. The channel passes connections on unread, so nothing in it was judged.")
	}
	r.add(in.rules.Check(c)...)
	return r.finish(ex), nil
}

// channel gives the settings an exchange is judged by. An exchange whose channel is gone is judged by the defaults: its
// evidence outlives the registration.
func (in *Inspector) channel(ctx context.Context, ex *proxy.Exchange) proxy.Channel {
	if in.opt.Channels != nil && ex.Channel != "" {
		if ch, err := in.opt.Channels.ChannelByName(ctx, ex.Channel); err == nil {
			return *ch
		}
	}
	return proxy.Channel{Name: ex.Channel}
}

func (in *Inspector) judgeFor(ch proxy.Channel) (*judge, error) {
	key := fmt.Sprint(ch.Options.Guides, ch.Options.Profiles) // maps print sorted
	in.mu.Lock()
	defer in.mu.Unlock()
	if j := in.validators[key]; j != nil {
		return j, nil
	}
	set, err := in.lib.Set(ch.Options.Guides...)
	if err != nil {
		return nil, err
	}
	sel := newSelector(set, ch.Options)
	var terms instance.Terminology = set.Terms()
	name := "offline"
	if in.opt.Terms != nil {
		terms, name = in.opt.Terms(set.Terms()), in.opt.TermsName
	}
	j := &judge{
		Validator: instance.New(set, terms, instance.Options{
			TerminologyName: name,
			ExtraProfiles:   sel.choose, Prefer: prefer(ch.Options), MaxIssues: in.opt.MaxIssues, Now: in.opt.Now,
		}),
		context: validators.Context{Guides: set.Packages(), Rules: validators.RulesVersion, Terminology: name},
	}
	in.validators[key] = j
	return j, nil
}
