package blobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"fhirwire/proxy"
)

// Dir is a folder of blobs: a key "abcdef…" is the file ab/cdef…. It is safe for concurrent use, also by several processes.
type Dir struct {
	root string
}

// Options tune OpenDir. The zero value works.
type Options struct {
	// Clock, where set, lets OpenDir remove unfinished files older than a day, left by a crash.
	Clock func() time.Time
}

// tempDir holds files while they are written; it is on the same file system, so that a rename is atomic.
const tempDir = "tmp"

// OpenDir opens the folder at root and makes it when it is missing. Only its owner may read it.
func OpenDir(root string, o Options) (*Dir, error) {
	tmp := filepath.Join(root, tempDir)
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return nil, fmt.Errorf("folder for bodies: %w", err)
	}
	if o.Clock != nil {
		if err := removeOld(tmp, o.Clock().Add(-24*time.Hour)); err != nil {
			return nil, fmt.Errorf("folder for bodies: %w", err)
		}
	}
	return &Dir{root: root}, nil
}

func removeOld(dir string, before time.Time) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || !info.ModTime().Before(before) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

var keyForm = regexp.MustCompile(`^[0-9a-f]{64}(-[a-z0-9]{1,40})?$`)

func (d *Dir) path(key string) (string, error) {
	if !keyForm.MatchString(key) {
		return "", fmt.Errorf("blob key %q: want a hexadecimal SHA-256", key)
	}
	return filepath.Join(d.root, key[:2], key[2:]), nil
}

// Put stores size bytes of r under key. When it returns nil the bytes survive a crash of the machine. It is an error when
// r has fewer or more bytes; nothing is stored then. When key is there already, r is not read.
func (d *Dir) Put(ctx context.Context, key string, size int64, r io.Reader) (err error) {
	path, err := d.path(key)
	if err != nil {
		return err
	}
	if info, err := os.Stat(path); err == nil && info.Size() == size {
		return nil
	}
	f, err := os.CreateTemp(filepath.Join(d.root, tempDir), key[:16]+"-*") // mode 0600
	if err != nil {
		return fmt.Errorf("store body: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("store body %s: %w", key, err), ignoreClosed(f.Close()), ignoreAbsent(os.Remove(f.Name())))
		}
	}()
	n, err := io.Copy(f, io.LimitReader(contextReader(ctx, r), size+1))
	if err != nil {
		return err
	}
	if n != size {
		return fmt.Errorf("got %d bytes or more, want %d", n, size)
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

func ignoreClosed(err error) error {
	if errors.Is(err, fs.ErrClosed) {
		return nil
	}
	return err
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// syncDir makes a rename in dir durable.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Open opens the blob under key. The error wraps proxy.ErrNoBody when there is none.
func (d *Dir) Open(_ context.Context, key string) (io.ReadCloser, error) {
	path, err := d.path(key)
	if err != nil {
		return nil, errors.Join(proxy.ErrNoBody, err)
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("blob %s: %w", key, proxy.ErrNoBody)
	}
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", key, err)
	}
	return f, nil
}

// contextReader is r until ctx ends.
func contextReader(ctx context.Context, r io.Reader) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return r.Read(p)
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
