package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// The process stays small beside what people run on the same laptop: its heap is mostly compiled guides, which stay. The limit
// is soft; a body that needs more than that to be judged gets it, at the price of more collections.
const (
	serveGC     = 50
	serveMemory = 64 << 20
	// aboveLive is what the limit leaves above one and a half times the heap in use: stacks, buffers, the runtime's own.
	aboveLive = 16 << 20
	// heapPeriod is how often the limit is set anew.
	heapPeriod = 5 * time.Second
)

// memoryLimit is the soft limit for a heap of which live bytes survive a collection. Evidence of a long event stays in memory while it
// is judged; under a limit below what is live the process would do little but collect.
func memoryLimit(live uint64) int64 {
	return max(serveMemory, int64(live)+int64(live/2)+aboveLive)
}

// followHeap moves the soft limit with the heap until ctx ends.
func followHeap(ctx context.Context) {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	ticker := time.NewTicker(heapPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		metrics.Read(live)
		if live[0].Value.Kind() == metrics.KindUint64 {
			debug.SetMemoryLimit(memoryLimit(live[0].Value.Uint64()))
		}
	}
}
