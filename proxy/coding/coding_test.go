package coding_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"fhirwire/proxy"
	"fhirwire/proxy/coding"
)

func pack(t testing.TB, name string, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	var err error
	switch name {
	case "gzip", "x-gzip":
		w = gzip.NewWriter(&out)
	case "deflate":
		w = zlib.NewWriter(&out)
	case "bare":
		w, err = flate.NewWriter(&out, flate.BestCompression)
	case "zstd":
		w, err = zstd.NewWriter(&out)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func read(b []byte, codings []string, l coding.Limits) ([]byte, error) {
	l.Stored = int64(len(b))
	r, err := coding.NewReader(bytes.NewReader(b), codings, l)
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(r)
	return out, errors.Join(err, r.Close())
}

func TestNewReader(t *testing.T) {
	text := []byte(strings.Repeat(`{"resourceType":"Patient"}`, 40))
	for _, name := range []string{"gzip", "x-gzip", "deflate", "zstd"} {
		got, err := read(pack(t, name, text), []string{name}, coding.Limits{})
		if err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	twice := pack(t, "zstd", pack(t, "gzip", text))
	if got, err := read(twice, []string{"gzip", "zstd"}, coding.Limits{}); err != nil || !bytes.Equal(got, text) {
		t.Errorf("two codings: %d bytes, %v", len(got), err)
	}
	if got, err := read(text, nil, coding.Limits{}); err != nil || !bytes.Equal(got, text) {
		t.Errorf("no coding: %d bytes, %v", len(got), err)
	}
	bare := pack(t, "bare", text)
	if _, err := read(bare, []string{"deflate"}, coding.Limits{}); err == nil {
		t.Error("deflate without its wrapper was taken")
	}
	for _, b := range [][]byte{bare, pack(t, "deflate", text)} {
		if got, err := read(b, []string{"deflate"}, coding.Limits{BareDeflate: true}); err != nil || !bytes.Equal(got, text) {
			t.Errorf("with or without wrapper: %d bytes, %v", len(got), err)
		}
	}
	if _, err := read(text, []string{"br"}, coding.Limits{}); !errors.Is(err, coding.ErrUnknown) {
		t.Errorf("br: %v", err)
	}
	if _, err := read(text, []string{"gzip", "gzip", "gzip"}, coding.Limits{}); !errors.Is(err, coding.ErrUnknown) {
		t.Errorf("three codings: %v", err)
	}
	if _, err := read(text, []string{"gzip"}, coding.Limits{}); err == nil || errors.Is(err, coding.ErrUnknown) {
		t.Errorf("no gzip: %v", err)
	}
}

// TestBounds: what expands beyond measure ends, in the inner coding too.
func TestBounds(t *testing.T) {
	zeros := make([]byte, 6<<20)
	for _, name := range []string{"gzip", "deflate", "zstd"} {
		got, err := read(pack(t, name, zeros), []string{name}, coding.Limits{})
		if !errors.Is(err, coding.ErrExpands) || len(got) > 4<<20 {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	if _, err := read(pack(t, "gzip", pack(t, "gzip", zeros)), []string{"gzip", "gzip"}, coding.Limits{}); !errors.Is(err, coding.ErrExpands) {
		t.Errorf("two codings: %v", err)
	}
	if got, err := read(pack(t, "gzip", zeros), []string{"gzip"}, coding.Limits{Free: 64 << 20}); err != nil || len(got) != len(zeros) {
		t.Errorf("within what is free: %d bytes, %v", len(got), err)
	}
}

func TestOf(t *testing.T) {
	h := proxy.Header{{Name: "Content-Encoding", Value: "GZip, identity"}, {Name: "content-encoding", Value: " zstd ,"}}
	if got := coding.Of(h); !slices.Equal(got, []string{"gzip", "zstd"}) {
		t.Errorf("got %q", got)
	}
}

// FuzzNewReader: any bytes end in data or an error, within the limits.
func FuzzNewReader(f *testing.F) {
	for i, name := range []string{"gzip", "deflate", "zstd"} {
		f.Add(pack(f, name, []byte("text")), byte(i))
	}
	f.Fuzz(func(t *testing.T, b []byte, which byte) {
		names := []string{"gzip", "deflate", "zstd", "br"}
		l := coding.Limits{Ratio: 10, Free: 1 << 16, BareDeflate: which&8 != 0}
		got, err := read(b, []string{names[which&3]}, l)
		if most := max(1<<16, 10*int64(len(b))) + 1<<20; err == nil && int64(len(got)) > most {
			t.Errorf("%d bytes out of %d", len(got), len(b))
		}
	})
}
