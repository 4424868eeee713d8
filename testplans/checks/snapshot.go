package checks

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"fhirwire/proxy"
	"fhirwire/testplans"
)

// dateGrain is what a Date header leaves out.
const dateGrain = time.Second

// snapshot: the manifest's transactionTime is of a moment when the server still said that the export was running. Both times are the
// server's, so that clocks need not agree.
func snapshot(ctx context.Context, c *Case) (Outcome, error) {
	body, out, ok, err := content(ctx, c, testplans.OnResponse)
	if !ok {
		return out, err
	}
	root, fault := body.JSON()
	if fault != "" {
		return failed("the manifest is not JSON: " + fault), nil
	}
	at, err := time.Parse(time.RFC3339, root.MemberText("transactionTime"))
	if err != nil {
		return notShown("there is no transactionTime to compare"), nil //nolint:nilerr // its form is another check's
	}
	last, said, err := c.lastRunning(ctx)
	if err != nil {
		return Outcome{}, err
	}
	if said.IsZero() {
		return notShown("no answer said before, with a Date, that the export was running"), nil
	}
	both := []Item{last, c.Attempt}
	if limit := said.Add(dateGrain); at.After(limit) {
		return Outcome{Verdict: testplans.Fail, Items: both, Message: fmt.Sprintf(
			"transactionTime is %s, after %s, when the server last said that the export was running", at.UTC().Format(time.RFC3339Nano), said.UTC().Format(time.RFC3339))}, nil
	}
	return Outcome{Verdict: testplans.Pass, Items: both}, nil
}

// lastRunning is the last answer 202 at the attempt's URL before it, with its Date.
func (c *Case) lastRunning(ctx context.Context) (last Item, said time.Time, err error) {
	url := c.Desk.requested(c.Attempt)[0]
	near, _, err := c.Desk.near(ctx, c.Attempt, []testplans.Relation{testplans.BySame}, c.Check.Snapshot.Polls, c.Steps[c.Check.Snapshot.Polls])
	if err != nil {
		return last, said, err
	}
	for _, p := range near {
		ex := p.Exchange
		if ex.Status() != http.StatusAccepted || c.Desk.requested(p)[0] != url || ex.Timing.Start.After(c.Attempt.Exchange.Timing.Start) {
			continue
		}
		if t := dateOf(ex); t.After(said) {
			last, said = p, t
		}
	}
	return last, said, nil
}

func dateOf(ex *proxy.Exchange) time.Time {
	t, err := http.ParseTime(ex.Response.Header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return t
}
