package remote

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"fhirwire/validators/terminology"
)

// disk keeps a server's answers in a file of JSON lines, one file per server. Only Yes and No are kept: what failed may work
// next time. A line that cannot be read is as good as none. A nil disk keeps nothing.
type disk struct {
	now func() time.Time

	mu    sync.Mutex
	known map[question]answer
	file  *os.File
	size  int64
}

const (
	maxCacheFile = 64 << 20
	maxCacheLine = 8 << 10
)

type keptAnswer struct {
	ValueSet string    `json:"valueSet,omitempty"`
	System   string    `json:"system,omitempty"`
	Code     string    `json:"code"`
	Valid    bool      `json:"valid"`
	Why      string    `json:"why,omitempty"`
	Display  string    `json:"display,omitempty"`
	At       time.Time `json:"at"`
}

func openDisk(o Options, base string) (*disk, error) {
	if err := os.MkdirAll(o.CacheDir, 0o700); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(base))
	name := filepath.Join(o.CacheDir, hex.EncodeToString(sum[:8])+".ndjson")
	d := &disk{now: o.Now, known: map[question]answer{}}
	fresh, err := d.load(name, o)
	if err != nil {
		return nil, err
	}
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if !fresh {
		flags = os.O_CREATE | os.O_WRONLY | os.O_TRUNC // all of it is out of date, or it has grown too large
	}
	if d.file, err = os.OpenFile(name, flags, 0o600); err != nil {
		return nil, err
	}
	return d, nil
}

// load reads what is kept; fresh is false when the file is not worth going on with.
func (d *disk) load(name string, o Options) (fresh bool, err error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	if d.size = info.Size(); d.size > maxCacheFile {
		d.size = 0
		return false, nil
	}
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, maxCacheLine)
	for sc.Scan() {
		var k keptAnswer
		if json.Unmarshal(sc.Bytes(), &k) != nil || k.Code == "" {
			continue
		}
		if o.Now != nil && o.Now().Sub(k.At) > o.MaxAge {
			continue
		}
		a := answer{Answer: terminology.Answer{Value: terminology.No, Why: k.Why}, display: k.Display}
		if k.Valid {
			a.Value = terminology.Yes
		}
		d.known[question{k.ValueSet, k.System, k.Code}] = a
	}
	if err := sc.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
		return false, err
	}
	if len(d.known) == 0 || sc.Err() != nil {
		d.size = 0
		return false, nil
	}
	return true, nil
}

func (d *disk) get(q question) (answer, bool) {
	if d == nil {
		return answer{}, false
	}
	a, ok := d.known[q] // read only once open: what is asked later is in the Service's cells
	return a, ok
}

func (d *disk) put(q question, a answer) {
	if d == nil || a.Value == terminology.Unknown {
		return
	}
	k := keptAnswer{ValueSet: q.valueSet, System: q.system, Code: q.code, Valid: a.Value == terminology.Yes, Why: a.Why, Display: a.display}
	if d.now != nil {
		k.At = d.now()
	}
	line, err := json.Marshal(k)
	if err != nil || len(line) >= maxCacheLine {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.size+int64(len(line)) >= maxCacheFile {
		return
	}
	n, err := d.file.Write(append(line, '\n')) // one write: other processes may append too
	d.size += int64(n)
	if err != nil {
		d.size = maxCacheFile // a full disk costs requests, no verdicts
	}
}

func (d *disk) close() error { return d.file.Close() }
