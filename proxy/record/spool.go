package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"fhirwire/proxy"
)

// maskCap is the size, decoded, up to which a body that is known to carry secrets is searched and kept; past it nothing is.
const maskCap = 1 << 20

// spool is the folder of body files and journal entries.
type spool struct {
	prefix string // starts the names of this process's files

	mu        sync.Mutex
	dir       string
	ready     bool
	temporary bool
	owned     map[string]bool // ids of exchanges a goroutine is still responsible for
}

// folder makes the folder on first use.
func (s *spool) folder() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ready {
		return s.dir, nil
	}
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "fhirwire-spool-")
		if err != nil {
			return "", err
		}
		s.dir, s.temporary = dir, true
	} else if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return "", err
	}
	s.ready = true
	return s.dir, nil
}

func (s *spool) create(name string) (*os.File, error) {
	dir, err := s.folder()
	if err != nil {
		return nil, err
	}
	return os.OpenFile(filepath.Join(dir, s.prefix+"."+name+".body"), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
}

func (s *spool) own(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.owned == nil {
		s.owned = map[string]bool{}
	}
	s.owned[id] = true
}

func (s *spool) disown(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.owned, id)
}

func (s *spool) owns(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.owned[id]
}

// sweepOrphans removes what a killed process left half written: body files that no journal entry names.
func (s *spool) sweepOrphans() error {
	dir, err := s.folder()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	named := map[string]bool{}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), journalSuffix) || strings.HasSuffix(e.Name(), failedSuffix) {
			if j, err := readJournal(filepath.Join(dir, e.Name())); err == nil {
				for _, b := range j.Bodies {
					named[b.File] = true
				}
			}
		}
	}
	var errs []error
	for _, e := range entries {
		orphan := strings.HasSuffix(e.Name(), ".body") || strings.HasSuffix(e.Name(), ".tmp")
		if orphan && !named[e.Name()] && !strings.HasPrefix(e.Name(), s.prefix) {
			errs = append(errs, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

func (s *spool) removeTemporary() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.temporary || !s.ready {
		return nil
	}
	s.ready, s.temporary = false, false
	dir := s.dir
	s.dir = ""
	return os.RemoveAll(dir)
}

// capture is the copy of one body while it passes.
type capture struct {
	rec  *Recorder
	name string

	mu       sync.Mutex
	secret   bool // never in a file in clear; past maskCap dropped
	dropped  bool
	hash     hash.Hash
	size     int64
	kept     int64
	mem      []byte
	file     *os.File
	err      error // why the sender broke off
	keepErr  error // why the copy is short
	complete bool
	frozen   bool
}

func newCapture(rec *Recorder, name string) *capture {
	return &capture{rec: rec, name: name, hash: sha256.New()}
}

// Write notes b. It cannot fail: a copy that cannot be kept is short, and says so.
func (c *capture) Write(b []byte) {
	if len(b) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.frozen {
		return
	}
	c.hash.Write(b)
	c.size += int64(len(b))
	if c.dropped || c.keepErr != nil {
		return
	}
	b = b[:min(int64(len(b)), c.rec.opt.MaxBody-c.kept)]
	if c.secret && c.file == nil {
		if c.kept+int64(len(b)) > maskCap {
			c.dropped = true
			c.release()
			return
		}
	} else if c.file != nil || len(c.mem)+len(b) > c.rec.opt.MemoryBody || c.rec.memory.Load()+int64(len(b)) > c.rec.opt.Memory {
		c.spill(b)
		return
	}
	c.rec.memory.Add(int64(len(b)))
	c.mem = append(c.mem, b...)
	c.kept += int64(len(b))
}

// spill moves the copy to a file and adds b.
func (c *capture) spill(b []byte) {
	if c.file == nil {
		f, err := c.rec.spool.create(c.name)
		if err != nil {
			c.keepErr = err
			return
		}
		c.file = f
		if _, err := f.Write(c.mem); err != nil {
			c.keepErr = err
			return
		}
		c.rec.memory.Add(-int64(len(c.mem)))
		c.mem = nil
	}
	n, err := c.file.Write(b)
	c.kept += int64(n)
	c.keepErr = err
}

func (c *capture) release() {
	c.rec.memory.Add(-int64(len(c.mem)))
	c.mem, c.kept = nil, 0
}

func (c *capture) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.complete = true
}

func (c *capture) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

func (c *capture) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if errors.Is(c.err, io.EOF) {
		return nil
	}
	return c.err
}

// stored is the copy of a body when nothing more comes.
type stored struct {
	body proxy.Body
	mem  []byte
	path string
}

// freeze ends a capture. Bytes that pass later, a request the server did not wait for, are not noted.
func freeze(c *capture) *stored {
	if c == nil {
		return &stored{body: proxy.Body{Complete: true}}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frozen = true
	s := &stored{mem: c.mem, body: proxy.Body{Size: c.size, Stored: c.kept, Complete: c.complete}}
	if c.size > 0 {
		s.body.Digest = proxy.Digest(hex.EncodeToString(c.hash.Sum(nil)))
	}
	if c.dropped {
		s.body.Redacted = true
		s.body.Withheld = "too long to be searched for secrets"
	}
	if c.file != nil {
		s.path = c.file.Name()
		if err := c.file.Close(); err != nil && c.keepErr == nil {
			c.keepErr = err
		}
	}
	if c.keepErr != nil {
		s.body.Withheld = "the copy could not be written"
		c.rec.opt.Logger.Error("body copy cut short", "body", c.name, "error", c.keepErr)
	}
	return s
}

func (s *stored) open() (io.ReadCloser, error) {
	if s.path == "" {
		return io.NopCloser(bytes.NewReader(s.mem)), nil
	}
	f, err := os.Open(s.path)
	if err != nil {
		return nil, fmt.Errorf("spooled body: %w", err)
	}
	return f, nil
}

// bytes reads the whole copy.
func (s *stored) bytes() ([]byte, error) {
	if s.path == "" {
		return s.mem, nil
	}
	return os.ReadFile(s.path)
}

// drop forgets the copy.
func (s *stored) drop(rec *Recorder) {
	if s == nil {
		return
	}
	rec.memory.Add(-int64(len(s.mem)))
	s.mem = nil
	if s.path != "" {
		if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			rec.opt.Logger.Warn("spool file left behind", "error", err)
		}
		s.path = ""
	}
}
