package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/instance"
)

// largeInput is from how many bytes on a Bundle is read entry by entry.
const largeInput = 8 << 20

// large is an input that is too large to be read whole, unless it turns out that it has to be.
type large struct {
	file *os.File
	size int64
	temp bool
}

// newLarge gives the input behind r, of which name is the file, as one that can be read in parts: the file, or for a stream a copy
// of it. It is nil for an input that is small; head then holds all of it.
func newLarge(name string, r io.Reader) (l *large, head []byte, err error) {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, nil, err
		}
		info, err := f.Stat()
		if err == nil && info.Mode().IsRegular() && info.Size() > largeInput {
			return &large{file: f, size: info.Size()}, nil, nil
		}
		_ = f.Close()
	}
	if head, err = io.ReadAll(io.LimitReader(r, largeInput+1)); err != nil || len(head) <= largeInput {
		return nil, head, err
	}
	f, err := os.CreateTemp("", "fhirwire-validate-*")
	if err != nil {
		return nil, nil, err
	}
	l = &large{file: f, temp: true}
	n, err := f.Write(head)
	if err == nil {
		l.size, err = io.Copy(f, r)
	}
	if err != nil {
		return nil, nil, errors.Join(err, l.close())
	}
	l.size += int64(n)
	return l, nil, nil
}

func (l *large) close() error {
	err := l.file.Close()
	if l.temp {
		err = errors.Join(err, os.Remove(l.file.Name()))
	}
	return err
}

// validateLarge validates a large input entry by entry where it is a Bundle whose rules allow that, and else reads it whole and
// says so in the result's note.
func (v *validation) validateLarge(ctx context.Context, j *job) (rep validators.Report, head resourceHead, err error) {
	defer func() { err = errors.Join(err, j.large.close()) }()
	src := io.NewSectionReader(j.large.file, 0, j.large.size)
	o := instance.StreamOptions{Workers: v.workers}
	shown := newProgress(v.process, "resources of "+filepath.Base(j.source)+" validated")
	defer shown.end()
	if v.tally != nil || v.process.terminal {
		var mu sync.Mutex
		o.Visit = func(n *fhirjson.Node, profiles []validators.ProfileChoice) {
			mu.Lock()
			shown.step()
			mu.Unlock()
			if v.tally != nil {
				v.tell(j, n, profiles)
			}
		}
	}
	rep, err = v.validator.ValidateBundle(ctx, src, o, v.profiles...)
	switch {
	case err == nil:
		if v.tally != nil {
			v.untold.Add(1) // the Bundle itself, which nobody saw whole
		}
		if len(rep.Resources) > 0 {
			head = resourceHead{rep.Resources[0].ResourceType, rep.Resources[0].ID}
		}
		return v.named(rep), head, nil
	case !errors.Is(err, instance.ErrWhole):
		return rep, head, fmt.Errorf("%s: %w", j.source, err)
	}
	j.note = fmt.Sprintf("%s: read into memory as a whole, %d MB: %v", j.source, j.large.size>>20, err)
	j.bytes = make([]byte, j.large.size)
	if n, err := src.ReadAt(j.bytes, 0); n < len(j.bytes) {
		return rep, head, fmt.Errorf("%s: %w", j.source, err)
	}
	return v.whole(ctx, j)
}
