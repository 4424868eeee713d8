package blobstest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"fhirwire/proxy"
)

// Store is what the suite tests.
type Store interface {
	Put(ctx context.Context, key string, size int64, r io.Reader) error
	Open(ctx context.Context, key string) (io.ReadCloser, error)
}

// Key is the key of b.
func Key(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func read(t *testing.T, s Store, key string) []byte {
	t.Helper()
	rc, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(rc)
	if err := errors.Join(err, rc.Close()); err != nil {
		t.Fatal(err)
	}
	return b
}

// Run tests the store that open returns; each call of open gives an empty one.
func Run(t *testing.T, open func(t *testing.T) Store) {
	t.Run("put then open", func(t *testing.T) {
		s := open(t)
		for _, b := range [][]byte{{}, []byte("x"), bytes.Repeat([]byte("0123456789"), 100_000)} {
			if err := s.Put(t.Context(), Key(b), int64(len(b)), bytes.NewReader(b)); err != nil {
				t.Fatal(err)
			}
			if got := read(t, s, Key(b)); !bytes.Equal(got, b) {
				t.Errorf("%d bytes came back as %d", len(b), len(got))
			}
		}
	})
	t.Run("a variant is a key of its own", func(t *testing.T) {
		s := open(t)
		key := Key([]byte("whole"))
		for k, v := range map[string]string{key: "whole", key + "-cut2": "wh"} {
			if err := s.Put(t.Context(), k, int64(len(v)), strings.NewReader(v)); err != nil {
				t.Fatal(err)
			}
		}
		if got := read(t, s, key+"-cut2"); string(got) != "wh" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("put again reads nothing", func(t *testing.T) {
		s := open(t)
		b := []byte("same")
		if err := s.Put(t.Context(), Key(b), 4, bytes.NewReader(b)); err != nil {
			t.Fatal(err)
		}
		if err := s.Put(t.Context(), Key(b), 4, broken{}); err != nil {
			t.Error(err)
		}
		if got := read(t, s, Key(b)); !bytes.Equal(got, b) {
			t.Errorf("got %q", got)
		}
	})
	t.Run("failed puts leave nothing", func(t *testing.T) {
		s := open(t)
		key := Key([]byte("abcd"))
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for name, err := range map[string]error{
			"short":   s.Put(t.Context(), key, 4, strings.NewReader("abc")),
			"long":    s.Put(t.Context(), key, 4, strings.NewReader("abcde")),
			"broken":  s.Put(t.Context(), key, 4, io.MultiReader(strings.NewReader("ab"), broken{})),
			"ended":   s.Put(ended, key, 4, strings.NewReader("abcd")),
			"bad key": s.Put(t.Context(), "../../etc/passwd", 1, strings.NewReader("x")),
		} {
			if err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		if _, err := s.Open(t.Context(), key); !errors.Is(err, proxy.ErrNoBody) {
			t.Errorf("open after failed puts: %v", err)
		}
	})
	t.Run("absent and bad keys", func(t *testing.T) {
		s := open(t)
		for _, key := range []string{Key([]byte("never stored")), "", "../x", strings.Repeat("A", 64), strings.Repeat("a", 64) + "/x"} {
			if _, err := s.Open(t.Context(), key); !errors.Is(err, proxy.ErrNoBody) {
				t.Errorf("open %q: %v", key, err)
			}
		}
	})
	t.Run("concurrent puts of one key", func(t *testing.T) {
		s := open(t)
		b := bytes.Repeat([]byte("z"), 1<<16)
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				if err := s.Put(t.Context(), Key(b), int64(len(b)), bytes.NewReader(b)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := read(t, s, Key(b)); !bytes.Equal(got, b) {
			t.Errorf("came back as %d bytes", len(got))
		}
	})
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("broken reader") }
