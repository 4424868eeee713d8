package main

import (
	"context"
	"runtime/metrics"
	"testing"
	"time"
)

func TestMemoryLimit(t *testing.T) {
	for live, want := range map[uint64]int64{0: 64 << 20, 20 << 20: 64 << 20, 40 << 20: 76 << 20, 200 << 20: 316 << 20} {
		if got := memoryLimit(live); got != want {
			t.Errorf("%d bytes live: limit %d, want %d", live, got, want)
		}
	}
}

func TestFollowHeap(t *testing.T) {
	known := false
	for _, d := range metrics.All() {
		known = known || d.Name == "/gc/heap/live:bytes" && d.Kind == metrics.KindUint64
	}
	if !known {
		t.Error("this Go has no such metric: the limit stays where it is")
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { followHeap(ctx); close(ended) }()
	stop()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("does not end with its context")
	}
}
