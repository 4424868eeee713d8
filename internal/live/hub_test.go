package live_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"fhirwire/internal/live"
)

func collect(ch <-chan live.Notice) []live.Notice {
	var out []live.Notice
	for n := range ch {
		out = append(out, n)
	}
	return out
}

func TestSubscribersGetNoticesInOrder(t *testing.T) {
	h := live.NewHub()
	a, b := h.Subscribe(t.Context(), 4), h.Subscribe(t.Context(), 4)
	want := []live.Notice{{Kind: live.KindExchange, ID: "x", Number: 1}, {Kind: live.KindReport, ID: "x", Number: 1}}
	for _, n := range want {
		h.Publish(n)
	}
	h.Close()
	for _, ch := range []<-chan live.Notice{a, b, h.Subscribe(t.Context(), 1)} {
		got := collect(ch)
		if ch != a && ch != b {
			if len(got) != 0 {
				t.Errorf("a subscription after Close got %v", got)
			}
			continue
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

func TestASlowSubscriberIsDroppedAndNobodyWaits(t *testing.T) {
	h := live.NewHub()
	slow, fast := h.Subscribe(t.Context(), 2), h.Subscribe(t.Context(), 10)
	for i := range 5 {
		h.Publish(live.Notice{Number: int64(i)})
	}
	if n := h.Subscribers(); n != 1 {
		t.Errorf("%d subscribers left, want 1", n)
	}
	if got := collect(slow); len(got) != 2 {
		t.Errorf("slow got %d notices before its channel closed, want 2", len(got))
	}
	h.Close()
	if got := collect(fast); len(got) != 5 {
		t.Errorf("fast got %d notices, want 5", len(got))
	}
}

func TestASubscriptionEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := live.NewHub()
		ctx, cancel := context.WithCancel(t.Context())
		ch := h.Subscribe(ctx, 1)
		cancel()
		synctest.Wait()
		if _, ok := <-ch; ok || h.Subscribers() != 0 {
			t.Errorf("open %v, %d subscribers", ok, h.Subscribers())
		}
		h.Publish(live.Notice{})
		if _, ok := <-h.Subscribe(ctx, 1); ok {
			t.Error("a subscription under an ended context got a notice")
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	h := live.NewHub()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				ctx, cancel := context.WithCancel(t.Context())
				ch := h.Subscribe(ctx, 1)
				h.Publish(live.Notice{Kind: live.KindExchange})
				cancel()
				collect(ch)
			}
		})
	}
	wg.Wait()
	h.Close()
	if n := h.Subscribers(); n != 0 {
		t.Errorf("%d subscribers left", n)
	}
}
