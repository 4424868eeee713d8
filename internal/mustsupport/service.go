package mustsupport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"fhirwire/proxy"
	"fhirwire/proxy/coding"
	"fhirwire/testplans"
	"fhirwire/validators"
	"fhirwire/validators/coverage"
	"fhirwire/validators/fhirjson"
)

// Exchanges reads what was recorded: pages in short form, and exchanges whole, in no order and without those that are gone.
type Exchanges interface {
	Exchanges(ctx context.Context, q proxy.Query) (proxy.Page, error)
	ExchangesByID(ctx context.Context, ids []string) ([]*proxy.Exchange, error)
}

// Reports reads what was found; exchanges that were not inspected are missing from the map.
type Reports interface {
	ReportsByID(ctx context.Context, ids []string) (map[string]*validators.Report, error)
}

// Source is where evidence comes from.
type Source struct {
	Exchanges Exchanges
	Reports   Reports
	Bodies    proxy.Bodies
}

// Options tune New. The zero value works.
type Options struct {
	// Limit bounds the exchanges of a channel that are looked at, newest first; 0 means 20,000.
	Limit int
	// MaxBody bounds the decoded bytes of a response that is looked at; 0 means 4 MiB.
	MaxBody int64
	// Channels bounds the channels that are remembered; 0 means 16.
	Channels int
}

// Service counts. It is safe for concurrent use.
type Service struct {
	source Source
	defs   coverage.Definitions
	terms  coverage.Terminology
	opt    Options

	mu     sync.Mutex // guards tallies
	recent []*tally   // the one asked for last at the end
}

// tally is what was counted of a channel.
type tally struct {
	channel string

	mu        sync.Mutex // guards all below
	collector *coverage.Collector
	newest    int64
	waiting   []string // not inspected when they were read
	numbers   map[string]int64
}

const page = 200

// New returns a service that has counted nothing.
func New(source Source, defs coverage.Definitions, terms coverage.Terminology, o Options) *Service {
	if o.Limit <= 0 {
		o.Limit = 20_000
	}
	if o.MaxBody <= 0 {
		o.MaxBody = 4 << 20
	}
	if o.Channels <= 0 {
		o.Channels = 16
	}
	return &Service{source: source, defs: defs, terms: terms, opt: o}
}

// Support is what was seen in a channel's responses, in those of all for "", by profile.
func (s *Service) Support(ctx context.Context, channel string) ([]testplans.Supported, error) {
	t := s.tally(channel)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := s.read(ctx, t); err != nil {
		t.collector = nil // a part may be counted twice: begin again
		return nil, err
	}
	profiles := t.collector.Report()
	out := make([]testplans.Supported, 0, len(profiles))
	for i := range profiles {
		out = append(out, t.word(&profiles[i]))
	}
	return out, nil
}

func (s *Service) tally(channel string) *tally {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.recent, func(t *tally) bool { return t.channel == channel })
	t := &tally{channel: channel}
	if i >= 0 {
		t = s.recent[i]
		s.recent = slices.Delete(s.recent, i, i+1)
	}
	s.recent = append(s.recent, t)
	if len(s.recent) > s.opt.Channels {
		s.recent = slices.Delete(s.recent, 0, 1)
	}
	return t
}

// read counts what was recorded or inspected since.
func (s *Service) read(ctx context.Context, t *tally) error {
	var filter proxy.Filter
	if t.channel != "" {
		filter.Terms = []proxy.Term{{Key: proxy.KeyChannel, Op: proxy.OpEq, Values: []string{t.channel}}}
	}
	if t.collector == nil {
		t.collector, t.newest, t.waiting, t.numbers = coverage.New(s.defs, s.terms), 0, nil, map[string]int64{}
		for before, n := int64(0), 0; n < s.opt.Limit; {
			got, err := s.source.Exchanges.Exchanges(ctx, proxy.Query{Filter: filter, Before: before, Limit: min(page, s.opt.Limit-n), SkipTotal: true})
			if err != nil {
				return fmt.Errorf("exchanges: %w", err)
			}
			if err := s.count(ctx, t, got.Exchanges); err != nil {
				return err
			}
			n += len(got.Exchanges)
			if !got.Older || len(got.Exchanges) == 0 {
				break
			}
			before = got.Exchanges[len(got.Exchanges)-1].Number
		}
		return nil
	}
	waiting := t.waiting
	t.waiting = nil
	for chunk := range slices.Chunk(waiting, page) {
		if err := s.countWhole(ctx, t, chunk); err != nil {
			return err
		}
	}
	for {
		got, err := s.source.Exchanges.Exchanges(ctx, proxy.Query{Filter: filter, After: t.newest, Limit: page, SkipTotal: true})
		if err != nil {
			return fmt.Errorf("exchanges: %w", err)
		}
		if err := s.count(ctx, t, got.Exchanges); err != nil || !got.Newer || len(got.Exchanges) == 0 {
			return err
		}
	}
}

// count looks at those of a page that may have resources in their response.
func (s *Service) count(ctx context.Context, t *tally, list []*proxy.Exchange) error {
	var ids []string
	for _, e := range list {
		t.newest = max(t.newest, e.Number)
		if e.Status() >= 200 && e.Status() < 300 && e.Response.Body.Size > 0 {
			ids = append(ids, e.ID)
			t.numbers[e.ID] = e.Number
		}
	}
	return s.countWhole(ctx, t, ids)
}

func (s *Service) countWhole(ctx context.Context, t *tally, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	reports, err := s.source.Reports.ReportsByID(ctx, ids)
	if err != nil {
		return err
	}
	var judged []string
	for _, id := range ids {
		switch r := reports[id]; {
		case r == nil:
			t.waiting = append(t.waiting, id)
		case len(profilesOf(r)) > 0:
			judged = append(judged, id)
		}
	}
	if len(judged) == 0 {
		return nil
	}
	list, err := s.source.Exchanges.ExchangesByID(ctx, judged)
	if err != nil {
		return err
	}
	for _, e := range list {
		if err := s.look(ctx, t, e, profilesOf(reports[e.ID])); err != nil {
			return fmt.Errorf("exchange %s: %w", e.ID, err)
		}
	}
	return nil
}

// profilesOf are the profiles that a report names for the resources of a response, by type and id.
func profilesOf(r *validators.Report) map[[2]string][]string {
	out := map[[2]string][]string{}
	for i := range r.Resources {
		res := &r.Resources[i]
		if res.Part != validators.PartResponseBody {
			continue
		}
		key := [2]string{res.ResourceType, res.ID}
		for _, p := range res.Profiles {
			if strings.Contains(p.URL, "/StructureDefinition/") && p.Why != "base type" && !slices.Contains(out[key], p.URL) {
				out[key] = append(out[key], p.URL)
			}
		}
	}
	for key, list := range out {
		if len(list) == 0 {
			delete(out, key)
		}
	}
	return out
}

// look counts the resources of a response.
func (s *Service) look(ctx context.Context, t *tally, e *proxy.Exchange, profiles map[[2]string][]string) error {
	m := &e.Response.Message
	if b := m.Body; b.Digest == "" || b.Stored == 0 || b.Truncated() || !b.Complete || b.Stored > s.opt.MaxBody {
		return nil
	}
	raw, err := s.source.Bodies.OpenBody(ctx, m.Body.Digest)
	if errors.Is(err, proxy.ErrNoBody) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = raw.Close() }() // it was only read
	decoded, err := coding.NewReader(raw, coding.Of(m.Header), coding.Limits{Stored: m.Body.Stored, BareDeflate: true})
	if err != nil {
		return nil //nolint:nilerr // the report says so
	}
	defer func() { _ = decoded.Close() }()
	text, err := io.ReadAll(io.LimitReader(decoded, s.opt.MaxBody+1))
	if err != nil || int64(len(text)) > s.opt.MaxBody {
		return nil //nolint:nilerr // as above
	}
	subject := coverage.Subject{ID: e.ID, Order: e.Number}
	if !strings.Contains(m.Header.Get("Content-Type"), "ndjson") {
		t.document(subject, fhirjson.Parse(text), profiles)
		return nil
	}
	for scan := fhirjson.NewLineScanner(bytes.NewReader(text), int(s.opt.MaxBody)); scan.Scan(); {
		line := scan.Line()
		t.document(subject, fhirjson.ParseAt(line.Bytes, line.Position, fhirjson.Limits{}), profiles)
	}
	return nil
}

func (t *tally) document(subject coverage.Subject, doc *fhirjson.Document, profiles map[[2]string][]string) {
	defer doc.Release()
	if doc.Fatal() == nil {
		t.resource(subject, doc.Root(), profiles, 0)
	}
}

const deepest = 3 // Bundles in a batch response and what they hold

func (t *tally) resource(subject coverage.Subject, n *fhirjson.Node, profiles map[[2]string][]string, depth int) {
	if n == nil || n.Kind() != fhirjson.Object || depth > deepest {
		return
	}
	for _, url := range profiles[[2]string{n.ResourceType(), n.MemberText("id")}] {
		t.collector.Add(subject, n, url)
	}
	if n.ResourceType() != "Bundle" {
		return
	}
	if entries := n.Member("entry"); entries != nil {
		for entry := entries.First(); entry != nil; entry = entry.Next() {
			t.resource(subject, entry.Member("resource"), profiles, depth+1)
		}
	}
}

func (t *tally) word(p *coverage.Profile) testplans.Supported {
	out := testplans.Supported{Profile: p.URL, Type: p.Type, Package: p.Package, Resources: p.Resources, Items: make([]testplans.SupportedItem, 0, len(p.Items))}
	for i := range p.Items {
		from := &p.Items[i]
		it := testplans.SupportedItem{ID: from.ID, URL: from.URL, Kind: string(from.Kind), Required: from.Required, Verdict: testplans.NotShown}
		switch {
		case from.Seen != nil:
			it.Verdict, it.Pointer, it.Line = testplans.Pass, from.Seen.Pointer, from.Seen.Line
			it.First = &testplans.Evidence{Exchange: from.Seen.Subject, Number: t.numbers[from.Seen.Subject]}
		case from.Alternative != "":
			it.Verdict, it.Note = testplans.Pass, "seen by its alternative "+from.Alternative
		case from.Unclear != "":
			it.Verdict, it.Note = testplans.NotChecked, from.Unclear
		}
		out.Items = append(out.Items, it)
	}
	return out
}
