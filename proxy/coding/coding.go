package coding

import (
	"bufio"
	"compress/flate"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"fhirwire/proxy"
)

// The errors of NewReader and of what it gives.
var (
	// ErrUnknown is wrapped for a coding that is not gzip, deflate or zstd, or more than two of them.
	ErrUnknown = errors.New("not known here")
	// ErrExpands is returned by Read beyond Limits.
	ErrExpands = errors.New("the body expands beyond all measure")
)

// Limits bound what decoding gives. Zero fields take the defaults.
type Limits struct {
	// Stored are the bytes at hand, which Ratio is about.
	Stored int64
	// Ratio is the most decoded bytes for one stored byte, beyond the first Free ones; default 200.
	Ratio int64
	// Free is how many bytes may come out of any body; default 1 MiB.
	Free int64
	// BareDeflate also takes deflate data without the zlib wrapper, which RFC 9110 asks for and some servers leave out.
	BareDeflate bool
}

const maxWindow = 64 << 20 // bytes that a zstd frame may ask for

// Of lists the codings that a header names, in the order they were applied; identity is none.
func Of(h proxy.Header) []string {
	var out []string
	for v := range h.Values("Content-Encoding") {
		for c := range strings.SplitSeq(v, ",") {
			if c = strings.ToLower(strings.TrimSpace(c)); c != "" && c != "identity" {
				out = append(out, c)
			}
		}
	}
	return out
}

// NewReader undoes the codings, the last applied first. Closing it does not close r.
func NewReader(r io.Reader, codings []string, l Limits) (io.ReadCloser, error) {
	if len(codings) > 2 {
		return nil, fmt.Errorf("%d content codings on top of each other: %w", len(codings), ErrUnknown)
	}
	if l.Ratio == 0 {
		l.Ratio = 200
	}
	if l.Free == 0 {
		l.Free = 1 << 20
	}
	s := &stack{}
	out := r
	for _, c := range slices.Backward(codings) {
		d, err := decoder(out, c, l.BareDeflate)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", c, err), s.Close())
		}
		s.open = append(s.open, d)
		out = &bounded{r: d, limits: l}
	}
	s.Reader = out
	return s, nil
}

func decoder(r io.Reader, coding string, bare bool) (io.ReadCloser, error) {
	switch coding {
	case "gzip", "x-gzip":
		return gzip.NewReader(r)
	case "deflate":
		if !bare {
			return zlib.NewReader(r)
		}
		b := bufio.NewReader(r)
		if head, _ := b.Peek(2); len(head) == 2 && head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
			return zlib.NewReader(b)
		}
		return flate.NewReader(b), nil
	case "zstd":
		d, err := zstd.NewReader(r, zstd.WithDecoderMaxMemory(maxWindow), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	default:
		return nil, fmt.Errorf("the content coding %.40q is %w", coding, ErrUnknown)
	}
}

// stack is a reader through several decoders.
type stack struct {
	io.Reader
	open []io.ReadCloser
}

func (s *stack) Close() error {
	var errs []error
	for _, d := range slices.Backward(s.open) {
		errs = append(errs, d.Close())
	}
	return errors.Join(errs...)
}

// bounded ends a stream that expands out of proportion to what is stored.
type bounded struct {
	r      io.Reader
	limits Limits
	n      int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.n += int64(n); b.n > b.limits.Free && b.n/b.limits.Ratio > b.limits.Stored {
		return n, ErrExpands
	}
	return n, err
}
