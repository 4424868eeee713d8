package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"fhirwire/internal/live"
	"fhirwire/proxy"
	"fhirwire/web/api"
	"fhirwire/web/views"
)

const (
	// eventPause gathers notices: under load a browser gets a few batches a second, not a message an exchange.
	eventPause = 150 * time.Millisecond
	// eventCounts is how often the totals are counted again while exchanges arrive: counting looks at all of them.
	eventCounts = time.Second
	// eventRows bounds what a browser is sent at once; one that missed more is told to read the list again.
	eventRows = 200
)

// eventStream feeds the rows of one list to one browser.
type eventStream struct {
	s    *Server
	sse  *api.SSE
	sc   scope
	last int64 // the number of the newest exchange told of
	// judged are numbers that got a verdict since the last send; a filter may match them only now.
	judged map[int64]bool
	// stale says that the totals on the page are behind.
	stale bool
}

// events sends new and newly judged rows. The id of an event is the exchange's number: a browser that comes back names the
// last one it saw, and the rows above it are read again from the store. A page that was rendered with rows that had no
// verdict yet asks with open=1, since the verdict may have come before the stream was there.
func (s *Server) events(c *gin.Context) error {
	ctx, cancel := context.WithCancel(c.Request.Context())
	defer cancel()
	notices := s.deps.Live.Subscribe(ctx, 512)
	es := &eventStream{s: s, sc: scopeOf(c.Request.URL.Query()), last: max(0, api.LastEventID(c.Request)), judged: map[int64]bool{}}
	es.sse = api.OpenSSE(c.Writer)
	if c.Request.Header.Get("Last-Event-ID") != "" || c.Query("open") != "" {
		if err := es.again(ctx); err != nil {
			return err
		}
	}
	if err := errors.Join(es.send(ctx), es.totals(ctx)); err != nil {
		return err
	}
	if es.sse.Beat() != nil {
		return nil // the browser is gone, here and below
	}
	return es.run(ctx, notices)
}

func (es *eventStream) run(ctx context.Context, notices <-chan live.Notice) error {
	beat := time.NewTicker(api.Heartbeat)
	defer beat.Stop()
	count := time.NewTicker(eventCounts)
	defer count.Stop()
	pause := time.NewTimer(time.Hour)
	pause.Stop()
	waiting := false
	for {
		select {
		case n, ok := <-notices:
			if !ok {
				return nil // too slow: it comes back with the last number it saw
			}
			if n.Kind == live.KindReport {
				es.judged[n.Number] = true
			}
			if !waiting {
				waiting = true
				pause.Reset(eventPause)
			}
		case <-pause.C:
			waiting = false
			if err := es.send(ctx); err != nil {
				return err
			}
			if es.sse.Flush() != nil {
				return nil
			}
		case <-count.C:
			if !es.stale {
				continue
			}
			if err := es.totals(ctx); err != nil {
				return err
			}
			if es.sse.Flush() != nil {
				return nil
			}
		case <-beat.C:
			if es.sse.Beat() != nil {
				return nil
			}
		case <-es.s.done:
			return nil
		}
	}
}

// send tells of what is new above last and of what was judged.
func (es *eventStream) send(ctx context.Context) error {
	es.stale = true
	judged := es.judged
	es.judged = map[int64]bool{}
	seen := es.last
	page, err := es.s.deps.Exchanges.Exchanges(ctx, proxy.Query{Filter: es.sc.filter, After: es.last, Limit: eventRows, SkipTotal: true})
	if err != nil {
		return err
	}
	rows := page.Exchanges
	switch {
	case page.Newer || es.last == 0 && page.Older:
		// More than fits: skip to the end, the browser reads the list again.
		newest, err := es.s.deps.Exchanges.Exchanges(ctx, proxy.Query{Filter: es.sc.filter, Limit: 1, SkipTotal: true})
		if err != nil {
			return err
		}
		for _, e := range newest.Exchanges {
			es.last = max(es.last, e.Number)
		}
		rows = nil
		if err := es.sse.Send("reset", strconv.FormatInt(es.last, 10), "more"); err != nil {
			return err
		}
	case len(rows) > 0:
		es.last = rows[0].Number
	}
	if err := es.tell(ctx, rows, true); err != nil {
		return err
	}
	return es.tellJudged(ctx, judged, seen)
}

// tellJudged sends rows that were told of before and have a verdict now.
func (es *eventStream) tellJudged(ctx context.Context, judged map[int64]bool, seen int64) error {
	var numbers []int64
	for n := range judged {
		if n > 0 && n <= seen {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	for len(numbers) > 0 {
		first, k := numbers[0], 1
		for k < len(numbers) && numbers[k] < first+eventRows {
			k++
		}
		page, err := es.s.deps.Exchanges.Exchanges(ctx, proxy.Query{Filter: es.sc.filter, After: first - 1, Before: numbers[k-1] + 1, Limit: eventRows, SkipTotal: true})
		if err != nil {
			return err
		}
		rows := slices.DeleteFunc(page.Exchanges, func(e *proxy.Exchange) bool { return !judged[e.Number] })
		if err := es.tell(ctx, rows, false); err != nil {
			return err
		}
		numbers = numbers[k:]
	}
	return nil
}

// again re-sends what may have been judged while the browser was away.
func (es *eventStream) again(ctx context.Context) error {
	page, err := es.s.deps.Exchanges.Exchanges(ctx, proxy.Query{Filter: es.sc.filter, Before: es.last + 1, Limit: pageRows, SkipTotal: true})
	if err != nil {
		return err
	}
	return es.tell(ctx, page.Exchanges, false)
}

// tell sends rows oldest first, so that the last id is always a complete account. Rows that are no news carry no id.
func (es *eventStream) tell(ctx context.Context, list []*proxy.Exchange, news bool) error {
	if len(list) == 0 {
		return nil
	}
	n, err := es.s.names(ctx)
	if err != nil {
		return err
	}
	rows, err := es.s.rows(ctx, n, list, es.sc.channel == "")
	if err != nil {
		return err
	}
	for _, row := range slices.Backward(rows) {
		var b bytes.Buffer
		if err := views.ListRow(row).Render(ctx, &b); err != nil {
			return err
		}
		id := ""
		if news {
			id = row.Number
		}
		if err := es.sse.Send("row", id, b.String()); err != nil {
			return err
		}
	}
	return nil
}

// totals is the event that keeps the counts on the page current.
func (es *eventStream) totals(ctx context.Context) error {
	es.stale = false
	page, err := es.s.deps.Exchanges.Exchanges(ctx, proxy.Query{Filter: es.sc.filter, Limit: 1})
	if err != nil {
		return err
	}
	state := struct {
		Summary string `json:"summary"`
		Total   string `json:"total"`
		Live    string `json:"live"`
		ToCheck string `json:"to_check"`
	}{Summary: views.Plural(page.Total, "exchange", "exchanges"), Total: views.Count(page.Total)}
	state.Live, state.ToCheck = es.s.totals(ctx)
	data, err := json.Marshal(state)
	if err != nil {
		return err
	}
	return es.sse.Send("state", "", string(data))
}
