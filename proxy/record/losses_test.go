package record

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/proxytest"
)

// TestLossesAreTold: what can be kept nowhere is forwarded all the same, counted, and told until exchanges are kept again.
func TestLossesAreTold(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var full atomic.Bool
	full.Store(true)
	sink := &proxytest.Sink{Before: func(context.Context, *proxy.Exchange) error {
		if full.Load() {
			return errors.Join(errors.New("no space left on device"), errors.New("and more"))
		}
		return nil
	}}
	rec := New(sink, testKey, Options{SpoolDir: file})
	if err := rec.Keeping(); err != nil || rec.Lost() != 0 {
		t.Fatalf("before any exchange: %d, %v", rec.Lost(), err)
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(5 * time.Minute); !ok(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: %d lost, %v", what, rec.Lost(), rec.Keeping())
			}
		}
	}
	exchange(t, rec, get(), plainResponse(1000)) //nolint:bodyclose // exchange closes it
	until("one is lost", func() bool { return rec.Lost() == 1 })
	err := rec.Keeping()
	if err == nil || !strings.HasPrefix(err.Error(), "exchanges are forwarded and not recorded, 1 so far: ") || strings.Contains(err.Error(), "\n") {
		t.Errorf("said: %v", err)
	}
	full.Store(false)
	exchange(t, rec, get(), plainResponse(1000)) //nolint:bodyclose // exchange closes it
	until("one is kept", func() bool { return rec.Keeping() == nil })
	if rec.Lost() != 1 || len(sink.Exchanges()) != 1 {
		t.Errorf("%d lost, %d kept", rec.Lost(), len(sink.Exchanges()))
	}
}
