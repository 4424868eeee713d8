package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"fhirwire/internal/live"
	"fhirwire/proxy"
	"fhirwire/validators"
)

// Store keeps exchanges and reports.
type Store interface {
	Put(ctx context.Context, e *proxy.Exchange, bodies proxy.Bodies) error
	Exchange(ctx context.Context, id string) (*proxy.Exchange, error)
	SaveReport(ctx context.Context, r validators.Report) error
	// Unjudged lists exchanges without a report at this rules version, oldest first.
	Unjudged(ctx context.Context, rules, limit int) ([]string, error)
	// Judged reports whether an exchange has a report at this rules version or a later one.
	Judged(ctx context.Context, id string, rules int) (bool, error)
	CountUnjudged(ctx context.Context) (int, error)
}

// Classifier says what an exchange is. It does not fail: what it cannot tell is KindOther.
type Classifier interface {
	Classify(ctx context.Context, e *proxy.Exchange, bodies proxy.Bodies) proxy.Interaction
}

// Inspector judges an exchange.
type Inspector interface {
	Inspect(ctx context.Context, e *proxy.Exchange) (validators.Report, error)
}

// Publisher tells who listens; it never waits.
type Publisher interface {
	Publish(n live.Notice)
}

// Options tune New. The zero value works.
type Options struct {
	// Workers bounds concurrent inspections; 0 means 1.
	Workers int
	// Queue bounds the hints waiting; 0 means 1024. Beyond it exchanges are found in the store.
	Queue int
	// Timeout bounds one inspection; 0 means a minute.
	Timeout time.Duration
	// Retry is the pause after the store failed; 0 means a second.
	Retry time.Duration
	// Rules is the rules version of reports; 0 means validators.RulesVersion.
	Rules int
	// Clock dates reports of inspections that failed; nil leaves them undated.
	Clock  func() time.Time
	Logger *slog.Logger
}

// Pipeline is the recorder's sink and judges what it stores. It is safe for concurrent use.
type Pipeline struct {
	store     Store
	classify  Classifier
	inspector Inspector
	publisher Publisher
	opt       Options

	hints chan string   // ids just stored
	wake  chan struct{} // holds one token: look into the store

	mu     sync.Mutex // guards active
	active map[string]chan struct{}
}

// New returns a pipeline over its parts.
func New(store Store, classifier Classifier, inspector Inspector, publisher Publisher, o Options) *Pipeline {
	if o.Workers <= 0 {
		o.Workers = 1
	}
	if o.Queue <= 0 {
		o.Queue = 1024
	}
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	if o.Retry <= 0 {
		o.Retry = time.Second
	}
	if o.Rules == 0 {
		o.Rules = validators.RulesVersion
	}
	if o.Clock == nil {
		o.Clock = func() time.Time { return time.Time{} }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Pipeline{
		store: store, classify: classifier, inspector: inspector, publisher: publisher, opt: o,
		hints: make(chan string, o.Queue), wake: make(chan struct{}, 1), active: make(map[string]chan struct{}),
	}
}

// Put classifies and stores an exchange, tells who listens and queues it for inspection. When it returns nil the exchange
// is committed.
func (p *Pipeline) Put(ctx context.Context, e *proxy.Exchange, bodies proxy.Bodies) error {
	e.Interaction = p.classifySafely(ctx, e, bodies)
	if err := p.store.Put(ctx, e, bodies); err != nil {
		return err
	}
	p.publisher.Publish(live.Notice{Kind: live.KindExchange, ID: e.ID, Number: e.Number})
	select {
	case p.hints <- e.ID:
	default:
		p.look()
	}
	return nil
}

// classifySafely keeps a fault of ours from losing evidence.
func (p *Pipeline) classifySafely(ctx context.Context, e *proxy.Exchange, bodies proxy.Bodies) (i proxy.Interaction) {
	defer func() {
		if r := recover(); r != nil {
			p.opt.Logger.ErrorContext(ctx, "classification panicked", "exchange_id", e.ID, "panic", r, "stack", string(debug.Stack()))
			i = proxy.Interaction{Kind: proxy.KindOther}
		}
	}()
	return p.classify.Classify(ctx, e, bodies)
}

// look makes a worker search the store; one reminder is enough.
func (p *Pipeline) look() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Backlog counts stored exchanges without a report at this rules version.
func (p *Pipeline) Backlog(ctx context.Context) (int, error) { return p.store.CountUnjudged(ctx) }

// Run judges what is stored until ctx ends, beginning with what earlier processes left. It returns nil then: the rest is
// judged after the next start.
func (p *Pipeline) Run(ctx context.Context) error {
	p.look()
	var wg sync.WaitGroup
	for range p.opt.Workers {
		wg.Go(func() { p.work(ctx) })
	}
	// Hints get lost by design; a look into the store now and then finds what they did not say.
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-ticker.C:
			p.look()
		}
	}
	wg.Wait()
	return nil
}

// work takes what just arrived before what waited longer, so that the screen stays live during a long catching up.
func (p *Pipeline) work(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case id := <-p.hints:
			p.judgeOrPause(ctx, id)
			continue
		default:
		}
		select {
		case <-ctx.Done():
		case id := <-p.hints:
			p.judgeOrPause(ctx, id)
		case <-p.wake:
			p.catchUp(ctx)
		}
	}
}

// catchUpBatch is how many exchanges a look into the store takes.
const catchUpBatch = 32

// catchUp judges some of what the store holds without a report, between new arrivals, and asks for another look while
// there is more.
func (p *Pipeline) catchUp(ctx context.Context) {
	ids, err := p.store.Unjudged(ctx, p.opt.Rules, catchUpBatch)
	if err != nil {
		p.pause(ctx, fmt.Errorf("list what to judge: %w", err))
		return
	}
	for i, id := range ids {
		select {
		case fresh := <-p.hints:
			p.judgeOrPause(ctx, fresh)
		default:
		}
		if i == 0 && len(ids) == catchUpBatch {
			p.look() // other workers share the work; claim keeps them apart
		}
		if !p.judgeOrPause(ctx, id) {
			return
		}
	}
	if len(ids) == catchUpBatch {
		p.look()
	}
}

// pause waits after the store failed and asks for a look afterwards, so that nothing spins and nothing is forgotten.
func (p *Pipeline) pause(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	p.opt.Logger.ErrorContext(ctx, "judging pauses", "error", err)
	timer := time.NewTimer(p.opt.Retry)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
		p.look()
	}
}

// judgeOrPause judges one exchange unless another worker is at it; false after a failure of the store.
func (p *Pipeline) judgeOrPause(ctx context.Context, id string) bool {
	release, busy := p.claim(id)
	if busy != nil {
		return true
	}
	defer release()
	judged, err := p.store.Judged(ctx, id, p.opt.Rules) // a hint and a look into the store may both have named it
	if err == nil && !judged {
		err = p.judge(ctx, id)
	}
	if err != nil && !errors.Is(err, proxy.ErrNotFound) {
		p.pause(ctx, err)
		return false
	}
	return true
}

// claim reserves an exchange, or returns a channel that closes when who has it is done.
func (p *Pipeline) claim(id string) (release func(), busy <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if done, ok := p.active[id]; ok {
		return nil, done
	}
	done := make(chan struct{})
	p.active[id] = done
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.active, id)
		close(done)
	}, nil
}

// Judge inspects an exchange now, also when it has a report, and stores a further report. The error wraps proxy.ErrNotFound
// for an unknown exchange.
func (p *Pipeline) Judge(ctx context.Context, id string) error {
	for {
		release, busy := p.claim(id)
		if busy == nil {
			defer release()
			return p.judge(ctx, id)
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return fmt.Errorf("judge exchange %s: %w", id, ctx.Err())
		}
	}
}

// judge returns an error only when the store failed or ctx ended. An inspection that failed, or an exchange that cannot be
// read, is a report that says so: it is tried again when the rules change and not before, and holds nobody up.
func (p *Pipeline) judge(ctx context.Context, id string) error {
	var number int64
	var report validators.Report
	e, err := p.store.Exchange(ctx, id)
	if errors.Is(err, proxy.ErrNotFound) {
		return fmt.Errorf("judge exchange %s: %w", id, err)
	}
	if err == nil {
		number = e.Number
		report, err = p.inspect(ctx, e)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("judge exchange %s: %w", id, ctx.Err())
	}
	if err != nil {
		p.opt.Logger.ErrorContext(ctx, "inspection failed", "exchange_id", id, "error", err)
		report = validators.Report{At: p.opt.Clock(), Summary: validators.Summary{ToolError: err.Error(), Side: validators.SideTool}}
	}
	report.Subject = id
	report.Context.Rules = p.opt.Rules
	if report.Issues == nil {
		report.Issues = []validators.Issue{}
	}
	if err := p.store.SaveReport(ctx, report); err != nil {
		return fmt.Errorf("judge exchange %s: %w", id, err)
	}
	p.publisher.Publish(live.Notice{Kind: live.KindReport, ID: id, Number: number})
	return nil
}

// inspect bounds an inspection in time and turns a panic into an error.
func (p *Pipeline) inspect(ctx context.Context, e *proxy.Exchange) (_ validators.Report, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.opt.Timeout)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			p.opt.Logger.ErrorContext(ctx, "inspection panicked", "exchange_id", e.ID, "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("the inspection panicked: %v", r)
		}
	}()
	report, err := p.inspector.Inspect(ctx, e)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
		err = fmt.Errorf("the inspection took longer than %s: %w", p.opt.Timeout, err)
	}
	return report, err
}
