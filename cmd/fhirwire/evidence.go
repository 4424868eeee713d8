package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"fhirwire/internal/blobs"
	"fhirwire/internal/sqldb"
	"fhirwire/internal/store"
	"fhirwire/proxy"
	"fhirwire/proxy/har"
	"fhirwire/testplans/checks"
	"fhirwire/validators/guides"
	"fhirwire/validators/inspect"
	"fhirwire/validators/interaction"
)

// openStore opens the evidence of a data folder, which may be that of a running serve.
func openStore(ctx context.Context, p *process, dir, database string) (st *store.Store, closeAll func() error, err error) {
	if database == "" {
		file := filepath.Join(dir, "fhirwire.db")
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return nil, nil, fmt.Errorf("data: there is no %s; name the folder of serve with --data", file)
		}
		database = sqldb.SQLiteDSN(file)
	}
	db, err := sqldb.Open(ctx, database, sqldb.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, nil, err
	}
	bodies, err := blobs.OpenDir(filepath.Join(dir, "blobs"), blobs.Options{Clock: p.now})
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("blobs: %w", err), db.Close())
	}
	if st, err = store.Open(ctx, db, bodies, store.Options{Clock: p.now}); err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return st, db.Close, nil
}

// selected yields full exchanges that a filter selects, oldest first.
func selected(ctx context.Context, st *store.Store, filter proxy.Filter) iter.Seq2[*proxy.Exchange, error] {
	return func(yield func(*proxy.Exchange, error) bool) {
		var ids []string
		for before := int64(0); ; {
			page, err := st.Exchanges(ctx, proxy.Query{Filter: filter, Before: before, Limit: 1000, SkipTotal: true})
			if err != nil {
				yield(nil, err)
				return
			}
			for _, ex := range page.Exchanges {
				ids = append(ids, ex.ID)
				before = ex.Number
			}
			if !page.Older || len(page.Exchanges) == 0 {
				break
			}
		}
		for _, id := range slices.Backward(ids) {
			ex, err := st.Exchange(ctx, id)
			if errors.Is(err, proxy.ErrNotFound) {
				continue // deleted in the meantime
			}
			if !yield(ex, err) || err != nil {
				return
			}
		}
	}
}

// harSource reads other tools' traffic as evidence: secrets that are in clear replaced, classified and inspected as recording does.
type harSource struct {
	known    *knownURLs
	classify *interaction.Classifier
	inspect  *inspect.Inspector // nil where reports are not asked for
	bodies   heldBodies
	key      proxy.FingerprintKey
	now      func() time.Time
	// wants is what is evidence: all else comes without report and bodies, whose bodies go to spool. nil wants all, and keeps it in memory.
	wants wants
	spool *bodySpool
}

// newHARSource makes a source; lib is nil where reports are not asked for.
func newHARSource(p *process, lib *guides.Library, key proxy.FingerprintKey) *harSource {
	s := &harSource{known: newKnownURLs(), key: key, now: p.now}
	s.classify = interaction.NewClassifier(s.known, s.known, interaction.Options{})
	if lib != nil {
		s.inspect = inspect.New(lib, &s.bodies, inspect.Options{Channels: s.known, Now: p.now})
	}
	return s
}

// passingKey is a key for secrets that are compared during one command and then forgotten.
func passingKey() proxy.FingerprintKey {
	key := make([]byte, keyBytes)
	_, _ = rand.Read(key) // never fails, by its contract
	return proxy.NewFingerprintKey(key)
}

// read yields the exchanges of other tools' traffic. channel, when set, is put in place of those in a HAR.
func (s *harSource) read(ctx context.Context, t traffic, channel string) iter.Seq2[checks.Item, error] {
	return func(yield func(checks.Item, error) bool) {
		masker := newMasker(s.key)
		defer masker.close(ctx)
		n := int64(0)
		for e, err := range t.entries {
			if err != nil {
				yield(checks.Item{}, err)
				return
			}
			if n++; n == 1 {
				for _, c := range t.channels() {
					s.known.channels[c.Name] = c
				}
			}
			it, err := s.item(ctx, masker, e, channel)
			if err != nil {
				yield(checks.Item{}, fmt.Errorf("entry %d: %w", n, err))
				return
			}
			if it.Exchange.Number == 0 {
				it.Exchange.Number = n
			}
			if !yield(it, nil) {
				return
			}
		}
	}
}

func (s *harSource) item(ctx context.Context, m *masker, e har.Entry, channel string) (checks.Item, error) {
	ex := e.Exchange
	bodies := memoryBodies{ex.Request.Body.Digest: e.Request}
	if ex.Response != nil {
		bodies[ex.Response.Body.Digest] = e.Response
	}
	if e.Clear {
		var err error
		if ex, bodies, err = m.mask(ctx, e); err != nil {
			return checks.Item{}, err
		}
	}
	if channel != "" {
		ex.Channel = channel
	}
	ex.Interaction = s.classify.Classify(ctx, ex, bodies)
	it := checks.Item{Exchange: ex, Bodies: bodies}
	findings := s.inspect != nil
	if s.wants != nil {
		var wanted bool
		wanted, findings = s.wants(ex)
		it.Bodies = s.spool
		if wanted {
			if err := s.spool.keep(bodies); err != nil {
				return checks.Item{}, err
			}
		}
	}
	if findings {
		s.bodies.hold(bodies)
		report, err := s.inspect.Inspect(ctx, ex)
		if err != nil {
			return checks.Item{}, err
		}
		it.Report = &report
	}
	return it, nil
}

// memoryBodies are the bodies of one exchange.
type memoryBodies map[proxy.Digest][]byte

// OpenBody implements proxy.Bodies.
func (b memoryBodies) OpenBody(_ context.Context, d proxy.Digest) (io.ReadCloser, error) {
	text, ok := b[d]
	if !ok {
		return nil, fmt.Errorf("body %s: %w", d, proxy.ErrNoBody)
	}
	return io.NopCloser(bytes.NewReader(text)), nil
}

// heldBodies are those of the exchange that is being inspected.
type heldBodies struct {
	mu  sync.Mutex
	now memoryBodies
}

func (h *heldBodies) hold(b memoryBodies) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = b
}

// OpenBody implements proxy.Bodies.
func (h *heldBodies) OpenBody(ctx context.Context, d proxy.Digest) (io.ReadCloser, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now.OpenBody(ctx, d)
}

// knownURLs are the channels of a HAR and the URLs that its servers named.
type knownURLs struct {
	channels map[string]*proxy.Channel
	urls     map[string]proxy.Kind
}

func newKnownURLs() *knownURLs {
	return &knownURLs{channels: map[string]*proxy.Channel{}, urls: map[string]proxy.Kind{}}
}

func (k *knownURLs) ChannelByName(_ context.Context, name string) (*proxy.Channel, error) {
	if c := k.channels[name]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("channel %s: %w", name, proxy.ErrNotFound)
}

func (k *knownURLs) BulkURL(_ context.Context, url string) (proxy.Kind, error) {
	if kind, ok := k.urls[url]; ok {
		return kind, nil
	}
	return "", proxy.ErrNotFound
}

func (k *knownURLs) LearnBulkURLs(_ context.Context, urls map[string]proxy.Kind) error {
	maps.Copy(k.urls, urls)
	return nil
}
