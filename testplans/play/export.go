package play

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"fhirwire/testplans"
)

const (
	firstPause = time.Second
	mostPause  = 30 * time.Second
	// maxTries is how often a status or a file that cannot be had for now is asked for.
	maxTries = 5
)

// export plays an asynchronous request: the start, the status, the files.
func (r *run) export(ctx context.Context, x *testplans.PlayExport) (answer, error) {
	out, err := r.fill(&x.Kickoff)
	if err != nil {
		return answer{}, err
	}
	if out.header.Get("Prefer") == "" {
		out.header.Set("Prefer", "respond-async")
	}
	started, err := r.send(ctx, out)
	if err != nil {
		return answer{}, err
	}
	at := started.header.Get("Content-Location")
	if at == "" || started.status/100 != 2 { // a wrong success is for the judge; what comes after it can be shown all the same
		return started, fmt.Errorf("%s %s was answered %d without the URL of a status", out.method, short(out.url), started.status)
	}
	at = absolute(out.url, at)
	if x.Cancel {
		if _, err := r.send(ctx, r.plain(http.MethodDelete, at)); err != nil {
			return answer{}, err
		}
		gone, err := r.send(ctx, r.plain(http.MethodGet, at))
		if err == nil && x.Again {
			_, err = r.send(ctx, r.plain(http.MethodDelete, at))
		}
		return gone, err
	}
	done, err := r.poll(ctx, at)
	if x.Fails && done.status >= http.StatusBadRequest {
		return done, nil
	}
	if x.Fails && err == nil {
		return done, errors.New("the export was to fail, and is complete")
	}
	if err == nil && x.Twice {
		_, err = r.send(ctx, r.plain(http.MethodGet, at))
	}
	if err != nil || x.Leave || done.status != http.StatusOK {
		return done, err
	}
	return done, r.files(ctx, done)
}

// plain is a request about the status, with the token where there is one.
func (r *run) plain(method, url string) outgoing {
	out := outgoing{method: method, url: url, header: http.Header{"Accept": {plainJSON}}}
	r.authorize(out.header, testplans.AuthToken)
	return out
}

// poll asks for the status until it is complete or refused, and waits as it is told.
func (r *run) poll(ctx context.Context, at string) (answer, error) {
	until := r.p.o.Clock().Add(r.p.o.Patience)
	pause, tries := firstPause, 0
	for {
		got, err := r.send(ctx, r.plain(http.MethodGet, at))
		if err != nil {
			return got, err
		}
		switch {
		case got.status == http.StatusAccepted:
		case transient(got) && tries < maxTries:
			tries++
		default:
			if got.status != http.StatusOK {
				return got, fmt.Errorf("the status was answered %d", got.status)
			}
			return got, nil
		}
		wait, told := retryAfter(got.header, r.p.o.Clock())
		if !told {
			wait, pause = pause, min(2*pause, mostPause)
		}
		wait = min(wait, r.p.o.MaxWait)
		if r.p.o.Clock().Add(wait).After(until) {
			return got, fmt.Errorf("the export was not complete within %s", r.p.o.Patience)
		}
		r.say(Event{Progress: cmp.Or(got.header.Get("X-Progress"), "running"), Wait: wait})
		if err := r.p.o.Wait(ctx, wait); err != nil {
			return got, err
		}
	}
}

// transient reports an answer that says to come back.
func transient(got answer) bool {
	return got.status == http.StatusTooManyRequests || got.status >= 500 && got.header.Get("Retry-After") != ""
}

// retryAfter reads Retry-After: seconds or a date. A second of it may be lost to rounding, so none is waited less than asked.
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	v := h.Get("Retry-After")
	if n, err := strconv.Atoi(v); err == nil && n >= 0 && n < 1<<31 {
		return time.Duration(n) * time.Second, true
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, t.Sub(now)), true
	}
	return 0, false
}

// files downloads what a manifest lists: output, deleted, error. A token goes along unless the manifest says that none is required.
func (r *run) files(ctx context.Context, manifest answer) error {
	type file struct{ URL string }
	var m struct {
		RequiresAccessToken    *bool
		Output, Deleted, Error []file
		Link                   []struct{ Relation, URL string }
	}
	if err := json.Unmarshal(manifest.body, &m); err != nil {
		return fmt.Errorf("the manifest is not to be read: %w", err)
	}
	for _, list := range [][]file{m.Output, m.Deleted, m.Error} {
		for _, f := range list {
			if f.URL == "" {
				continue
			}
			out := outgoing{method: http.MethodGet, url: absolute(manifest.url, f.URL), header: http.Header{"Accept": {fhirNDJSON}}, skim: true}
			if m.RequiresAccessToken == nil || *m.RequiresAccessToken {
				r.authorize(out.header, testplans.AuthToken)
			}
			if err := r.file(ctx, out); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) file(ctx context.Context, out outgoing) error {
	for range maxTries {
		got, err := r.send(ctx, out)
		if err != nil {
			return err
		}
		if !transient(got) {
			return nil
		}
		wait, _ := retryAfter(got.header, r.p.o.Clock())
		wait = min(cmp.Or(wait, firstPause), r.p.o.MaxWait)
		r.say(Event{Progress: "throttled", Wait: wait})
		if err := r.p.o.Wait(ctx, wait); err != nil {
			return err
		}
	}
	return nil
}
