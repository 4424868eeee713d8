package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"fhirwire/internal/live"
	"fhirwire/proxy"
)

// Heartbeat is the longest silence on a stream.
const Heartbeat = 15 * time.Second

// SSE writes server-sent events.
type SSE struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

// OpenSSE starts an event stream on w, which then has no write timeout.
func OpenSSE(w http.ResponseWriter) *SSE {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	rc := http.NewResponseController(w)
	_ = rc.SetWriteDeadline(time.Time{}) // not every writer has one
	w.WriteHeader(http.StatusOK)
	return &SSE{w: w, rc: rc}
}

// Send writes one event; id may be empty. Data may have several lines.
func (s *SSE) Send(event, id, data string) error {
	var b strings.Builder
	if id != "" {
		b.WriteString("id: " + id + "\n")
	}
	b.WriteString("event: " + event + "\n")
	for line := range strings.Lines(data) {
		b.WriteString("data: " + strings.TrimRight(line, "\r\n") + "\n")
	}
	b.WriteByte('\n')
	_, err := s.w.Write([]byte(b.String()))
	return err
}

// Beat writes a comment, so that both ends notice a dead connection, and asks for a quick return.
func (s *SSE) Beat() error {
	if _, err := fmt.Fprint(s.w, "retry: 1000\n: beat\n\n"); err != nil {
		return err
	}
	return s.rc.Flush()
}

// Flush sends what was written.
func (s *SSE) Flush() error { return s.rc.Flush() }

// LastEventID is the number that a reconnecting client saw last: the header, else the parameter named after; -1 for none.
func LastEventID(r *http.Request) int64 {
	for _, s := range []string{r.Header.Get("Last-Event-ID"), r.URL.Query().Get("after")} {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= 0 {
			return n
		}
	}
	return -1
}

// notice is the data of an event on /stream.
type notice struct {
	ID     string `json:"id"`
	Number int64  `json:"number,omitempty"`
	Href   string `json:"href"`
}

// stream tells of exchanges, reports, verdicts and runs as they are stored, and of plans that changed. After a dropped connection it first tells of the exchanges that
// were missed, oldest first. A notice of an exchange only says that there are new ones: they are read from the store in the
// order of their numbers, so the last id is always a complete account.
func (a *API) stream(c *gin.Context) error {
	ctx, cancel := context.WithCancel(c.Request.Context())
	defer cancel()
	notices := a.deps.Live.Subscribe(ctx, 256)
	last := LastEventID(c.Request)
	if last < 0 {
		newest, err := a.deps.Exchanges.Exchanges(ctx, proxy.Query{Limit: 1, SkipTotal: true})
		if err != nil {
			return err
		}
		last = 0
		if len(newest.Exchanges) > 0 {
			last = newest.Exchanges[0].Number
		}
	}
	sse := OpenSSE(c.Writer)
	var err error
	if last, err = a.tell(ctx, sse, last); err != nil {
		return err
	}
	if sse.Beat() != nil {
		return nil // the client is gone, here and below
	}
	beat := time.NewTicker(Heartbeat)
	defer beat.Stop()
	for {
		select {
		case n, ok := <-notices:
			if !ok {
				return nil // too slow: the client comes back with the last number it saw
			}
			switch n.Kind {
			case live.KindExchange:
				if last, err = a.tell(ctx, sse, last); err != nil {
					return err
				}
			case live.KindReport:
				if sendNotice(sse, n, "/report") != nil {
					return nil
				}
			case live.KindVerdict, live.KindRun, live.KindPlans:
				if sendNotice(sse, n, "") != nil {
					return nil
				}
			default:
				continue
			}
			if sse.Flush() != nil {
				return nil
			}
		case <-beat.C:
			if sse.Beat() != nil {
				return nil
			}
		case <-a.opts.Done:
			return nil
		}
	}
}

// tell sends the exchanges above last and returns the new last number. From 0 it starts with the newest page.
func (a *API) tell(ctx context.Context, sse *SSE, last int64) (int64, error) {
	for {
		page, err := a.deps.Exchanges.Exchanges(ctx, proxy.Query{After: last, Limit: 500, SkipTotal: true})
		if err != nil {
			return last, err
		}
		for _, e := range slices.Backward(page.Exchanges) {
			if err := sendNotice(sse, live.Notice{Kind: live.KindExchange, ID: e.ID, Number: e.Number}, ""); err != nil {
				return last, err
			}
			last = e.Number
		}
		if !page.Newer || len(page.Exchanges) == 0 {
			return last, nil
		}
	}
}

func sendNotice(sse *SSE, n live.Notice, tail string) error {
	of := "/api/v1/exchanges/"
	switch n.Kind {
	case live.KindVerdict, live.KindRun:
		of = "/api/v1/runs/"
	case live.KindPlans:
		of = "/api/v1/plans"
	}
	data, err := json.Marshal(notice{ID: n.ID, Number: n.Number, Href: of + n.ID + tail})
	if err != nil {
		return err
	}
	id := ""
	if n.Kind == live.KindExchange {
		id = strconv.FormatInt(n.Number, 10)
	}
	return sse.Send(n.Kind, id, string(data))
}
