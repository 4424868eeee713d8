package record

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"fhirwire/proxy"
)

const (
	journalSuffix = ".exchange.json"
	failedSuffix  = ".failed.json"
	// maxAttempts is how often Run offers a journaled exchange to the Sink before it is set aside.
	maxAttempts = 30
)

// sealed is an exchange on its way to the Sink. It is the proxy.Bodies of that exchange.
type sealed struct {
	rec                          *Recorder
	ex                           *proxy.Exchange
	request, response, forwarded *stored
	secret                       bool // an OAuth endpoint
	prepared                     chan struct{}
	done                         chan struct{}

	mu        sync.Mutex
	bodies    map[proxy.Digest]*stored
	journaled string // path of the entry, "" while there is none
	over      bool
}

// prepare replaces the secrets. Nothing leaves the process's memory, but for spooled plain bodies, before it has run.
func (s *sealed) prepare() {
	defer close(s.prepared)
	m := s.rec.mask
	ex := s.ex
	fhir := fhirPath(ex.Request.Target, ex.Request.URL)
	m.seen = &echoes{} // before the answer, which may repeat them
	s.maskBody(m, s.request, ex.Request.Header, fhir)
	ex.Request.Body = s.request.body
	ex.Request.Header, ex.Request.Trailer = m.header(ex.Request.Header, fhir), m.header(ex.Request.Trailer, fhir)
	ex.Request.URL, ex.Request.Target = m.url(ex.Request.URL, fhir), m.url(ex.Request.Target, fhir)
	if res := ex.Response; res != nil {
		s.maskBody(m, s.response, res.Header, fhir)
		res.Body = s.response.body
		if res.Forwarded != nil {
			s.maskBody(m, s.forwarded, res.Header, fhir)
			b := s.forwarded.body
			res.Forwarded = &b
		} else {
			s.forwarded.drop(s.rec)
		}
		res.Header, res.Trailer = m.header(res.Header, false), m.header(res.Trailer, false)
	}
	for i, e := range ex.Edits {
		ex.Edits[i] = m.edit(e)
	}
	if ex.Failure != nil {
		f := *ex.Failure
		f.Detail = m.text(f.Detail, false)
		ex.Failure = &f
	}
}

func (s *sealed) maskBody(m masker, b *stored, h proxy.Header, fhir bool) {
	s.rec.maskStored(m, b, h, s.secret, fhir)
	s.mu.Lock()
	defer s.mu.Unlock()
	d := b.body.Digest
	if d == "" || b.body.Stored == 0 {
		return
	}
	// The same bytes twice in one exchange: the copy without secrets serves both.
	if old := s.bodies[d]; old == nil || b.body.Redacted && !old.body.Redacted {
		s.bodies[d] = b
	}
}

// OpenBody implements proxy.Bodies.
func (s *sealed) OpenBody(_ context.Context, d proxy.Digest) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.bodies[d]
	if b == nil || s.over {
		return nil, fmt.Errorf("body %s: %w", d, proxy.ErrNoBody)
	}
	return b.open()
}

// entry is a journal file. Bodies hold small copies themselves and name the files of large ones.
type entry struct {
	Exchange *proxy.Exchange
	Bodies   map[proxy.Digest]entryBody
}

type entryBody struct {
	File  string `json:",omitempty"`
	Bytes []byte `json:",omitempty"`
}

// journal writes the exchange beside the bodies, so that it survives the process. It does nothing once the exchange is stored.
func (s *sealed) journal() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.journaled != "" {
		return nil
	}
	e := entry{Exchange: s.ex, Bodies: map[proxy.Digest]entryBody{}}
	for d, b := range s.bodies {
		if b.path != "" {
			e.Bodies[d] = entryBody{File: filepath.Base(b.path)}
		} else {
			e.Bodies[d] = entryBody{Bytes: b.mem}
		}
	}
	text, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("journal %s: %w", s.ex.ID, err)
	}
	dir, err := s.rec.spool.folder()
	if err != nil {
		return fmt.Errorf("journal %s: %w", s.ex.ID, err)
	}
	path := filepath.Join(dir, s.ex.ID+journalSuffix)
	// The name comes last, so that an entry under it is whole.
	if err := os.WriteFile(path+".tmp", text, 0o600); err != nil {
		return fmt.Errorf("journal %s: %w", s.ex.ID, err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return fmt.Errorf("journal %s: %w", s.ex.ID, err)
	}
	s.journaled = path
	return nil
}

// discard ends an exchange that the Sink has: its files go.
func (s *sealed) discard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.journaled != "" {
		if err := os.Remove(s.journaled); err != nil {
			s.rec.opt.Logger.Warn("journal entry left behind", "exchange_id", s.ex.ID, "error", err)
		}
	}
	for _, b := range []*stored{s.request, s.response, s.forwarded} {
		b.drop(s.rec)
	}
}

// letGo frees the memory of an exchange whose only copy is now its journal entry.
func (s *sealed) letGo() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	for _, b := range []*stored{s.request, s.response, s.forwarded} {
		if b != nil {
			s.rec.memory.Add(-int64(len(b.mem)))
			b.mem = nil
		}
	}
}

func readJournal(path string) (entry, error) {
	var e entry
	text, err := os.ReadFile(path)
	if err != nil {
		return e, err
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return e, fmt.Errorf("journal entry %s: %w", filepath.Base(path), err)
	}
	if e.Exchange == nil {
		return e, fmt.Errorf("journal entry %s: no exchange in it", filepath.Base(path))
	}
	return e, nil
}

// replay offers journaled exchanges to the Sink, oldest first. It stops at the first the Sink does not take, but one that failed
// maxAttempts times is set aside under another name and passed over.
func (rec *Recorder) replay(ctx context.Context, attempts map[string]int) {
	dir, err := rec.spool.folder()
	if err != nil {
		rec.opt.Logger.Error("spool folder unusable", "error", err)
		return
	}
	entries, err := os.ReadDir(dir) // sorted by name, and ids sort by time
	if err != nil {
		rec.opt.Logger.Error("spool folder unreadable", "error", err)
		return
	}
	for _, f := range entries {
		id, ok := strings.CutSuffix(f.Name(), journalSuffix)
		if !ok || rec.spool.owns(id) || ctx.Err() != nil {
			continue
		}
		path := filepath.Join(dir, f.Name())
		err := rec.replayOne(ctx, dir, path)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			delete(attempts, id)
			continue
		}
		rec.opt.Logger.Warn("journaled exchange not stored yet", "exchange_id", id, "error", err)
		if attempts[id]++; attempts[id] < maxAttempts {
			return
		}
		delete(attempts, id)
		if err := os.Rename(path, filepath.Join(dir, id+failedSuffix)); err != nil {
			rec.opt.Logger.Error("journal entry could not be set aside", "exchange_id", id, "error", err)
			return
		}
		rec.opt.Logger.Error("journaled exchange set aside", "exchange_id", id, "attempts", maxAttempts)
	}
}

func (rec *Recorder) replayOne(ctx context.Context, dir, path string) error {
	e, err := readJournal(path)
	if err != nil {
		return err
	}
	s := &sealed{rec: rec, ex: e.Exchange, journaled: path, bodies: map[proxy.Digest]*stored{}}
	for d, b := range e.Bodies {
		c := &stored{mem: b.Bytes}
		if b.File != "" {
			c.path = filepath.Join(dir, filepath.Base(b.File))
		}
		rec.memory.Add(int64(len(c.mem)))
		s.bodies[d] = c
	}
	err = rec.put(ctx, s)
	if err == nil {
		s.discard()
	}
	for _, b := range s.bodies {
		if err == nil {
			b.drop(rec)
		} else {
			rec.memory.Add(-int64(len(b.mem)))
		}
	}
	return err
}
