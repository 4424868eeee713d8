package play

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"fhirwire/proxy"
	"fhirwire/proxy/record"
	"fhirwire/testplans"
)

const (
	fhirJSON   = "application/fhir+json"
	fhirNDJSON = "application/fhir+ndjson"
	plainJSON  = "application/json"
	formType   = "application/x-www-form-urlencoded"
	// maxKept bounds the part of a body that is looked at; the recorder keeps its own copy.
	maxKept = 32 << 20
	// maxRedirects bounds how often one request is sent on.
	maxRedirects = 5
	// step is after how many bytes of a body the progress is said.
	step = 1 << 20
)

// answer is a response that was read to its end.
type answer struct {
	url    string
	status int
	header http.Header
	body   []byte
}

// outgoing is a request with everything filled in.
type outgoing struct {
	method, url string
	header      http.Header
	body        []byte
	// skim reads the body without keeping it.
	skim bool
}

// request sends a plan's request, and the next pages of its answer where they are asked for.
func (r *run) request(ctx context.Context, q *testplans.PlayRequest) (answer, error) {
	out, err := r.fill(q)
	if err != nil {
		return answer{}, err
	}
	switch {
	case q.Certificate == "none" && r.p.o.Bare != nil:
		ctx = r.p.o.Bare(ctx)
	case q.Certificate == "unlisted" && r.p.o.Stranger == nil:
		return answer{}, &skipError{"there is no certificate that the server verifies and its directory does not list"}
	case q.Certificate == "unlisted":
		ctx = r.p.o.Stranger(ctx)
	}
	last, err := r.send(ctx, out)
	if err != nil {
		return last, err
	}
	page := last
	for n := 1; n < q.Pages; n++ {
		next := nextLink(page)
		if next == "" || next == out.url {
			break
		}
		from := out.url
		out = outgoing{method: http.MethodGet, url: next, header: out.header.Clone()}
		out.header.Del("Content-Type")
		if !sameHost(next, from) {
			out.header.Del("Authorization")
		}
		if page, err = r.send(ctx, out); err != nil {
			return last, err
		}
	}
	return last, nil
}

func nextLink(page answer) string {
	var bundle struct {
		Link []struct{ Relation, URL string }
	}
	if page.status != http.StatusOK || json.Unmarshal(page.body, &bundle) != nil {
		return ""
	}
	for _, l := range bundle.Link {
		if l.Relation == "next" {
			return absolute(page.url, l.URL)
		}
	}
	return ""
}

// absolute resolves a URL that a server should have given whole.
func absolute(base, ref string) string {
	b, err := url.Parse(base)
	if err != nil {
		return ref
	}
	u, err := b.Parse(ref)
	if err != nil {
		return ref
	}
	return u.String()
}

// fill makes a request of a plan's.
func (r *run) fill(q *testplans.PlayRequest) (outgoing, error) {
	if q.MayWrite() && !r.play.Writes {
		return outgoing{}, fmt.Errorf("%w: %s %s may change data, and the plan does not say that it writes", ErrNotPlayable, q.MethodOf(), q.URL)
	}
	out, missing := r.vars.outgoing(q)
	if missing != "" {
		return out, lacks(missing)
	}
	r.authorize(out.header, q.Auth)
	return out, nil
}

// outgoing fills a request in as far as the variables go, but for its authorization.
func (v vars) outgoing(q *testplans.PlayRequest) (out outgoing, missing string) {
	note := func(m string) {
		if missing == "" {
			missing = m
		}
	}
	out.method = q.MethodOf()
	var m string
	out.url, m = v.url(q.URL)
	note(m)
	out.header = http.Header{"Accept": {fhirJSON}}
	switch {
	case len(q.Form) > 0:
		form, m := v.form(q.Form)
		note(m)
		out.body = []byte(form.Encode())
		out.header.Set("Content-Type", formType)
	case q.Body != "":
		out.header.Set("Content-Type", fhirJSON)
	}
	for name, text := range q.Headers {
		value, m := v.fill(text, plain)
		note(m)
		out.header.Set(name, value)
	}
	if q.Body != "" {
		escape := jsonText
		if !strings.Contains(out.header.Get("Content-Type"), "json") {
			escape = plain
		}
		text, m := v.fill(q.Body, escape)
		note(m)
		out.body = []byte(text)
	}
	return out, missing
}

// invalidToken is a bearer token that nobody issued.
const invalidToken = "fhirwire-no-such-token"

func (r *run) authorize(h http.Header, how testplans.PlayAuth) {
	if h.Get("Authorization") != "" {
		return
	}
	switch token := r.vars["accessToken"]; {
	case how == testplans.AuthInvalid:
		h.Set("Authorization", "Bearer "+invalidToken)
	case how == testplans.AuthToken && len(token) > 0:
		h.Set("Authorization", "Bearer "+token[0])
	}
}

// redirects are statuses that send a GET elsewhere.
var redirects = []int{http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect}

// send sends a request and, for one that only reads, goes where it is sent on to. Each hop is an exchange of its own; a token goes to the
// same host only.
func (r *run) send(ctx context.Context, out outgoing) (answer, error) {
	for range maxRedirects {
		got, err := r.exchange(ctx, out)
		to := got.header.Get("Location")
		if err != nil || to == "" || out.method != http.MethodGet || !slices.Contains(redirects, got.status) {
			return got, err
		}
		next := absolute(out.url, to)
		if !sameHost(next, out.url) {
			out.header = out.header.Clone()
			out.header.Del("Authorization")
		}
		out.url = next
	}
	return answer{}, fmt.Errorf("%s was sent on more than %d times", short(out.url), maxRedirects)
}

func sameHost(a, b string) bool {
	x, err := url.Parse(a)
	y, err2 := url.Parse(b)
	return err == nil && err2 == nil && x.Scheme == y.Scheme && x.Host == y.Host
}

// short is a URL without its query, for messages.
func short(raw string) string {
	before, _, _ := strings.Cut(raw, "?")
	return before
}

// exchange is one request with its response, through the recorder.
func (r *run) exchange(ctx context.Context, out outgoing) (answer, error) {
	if r.late >= maxLate {
		return answer{}, &skipError{fmt.Sprintf("the server had no answer in time to %d requests in a row", r.late)}
	}
	r.requests++
	// The recorder holds the client's side of an exchange; the client is us, so the request is both the one received and the one sent.
	limit, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := http.NewRequestWithContext(limit, out.method, out.url, bytes.NewReader(out.body))
	if err != nil {
		return answer{}, fmt.Errorf("%s is no URL to ask: %w", short(out.url), err)
	}
	if req.URL.Host == "" || req.URL.Scheme != "http" && req.URL.Scheme != "https" {
		return answer{}, fmt.Errorf("%q is no absolute URL", short(out.url))
	}
	req.Header = out.header.Clone()
	req.Header.Set("User-Agent", r.p.o.UserAgent)
	if len(r.act.Edges) > 0 {
		req.Header.Set(testplans.EdgeHeader, strings.Join(r.act.Edges, ", "))
	}
	req.Host = req.URL.Host
	if len(out.body) == 0 {
		req.Body, req.ContentLength = http.NoBody, 0
	} else {
		req.GetBody = nil // one exchange is one request: nothing is sent again unseen
	}
	req, pending := r.p.rec.Begin(req, record.Arrival{Mode: proxy.ModePlayed, Channel: r.to.Channel, URL: out.url})
	again, done := r.p.after(cancel)
	defer done()
	res, err := r.p.transport.RoundTrip(req)
	if err != nil {
		pending.Fail(pending.Classify(err))
		<-pending.Stored()
		err = cause(limit, err)
		if isLate(err) {
			r.late++
		}
		return answer{}, fmt.Errorf("%s %s: %w", out.method, short(out.url), err)
	}
	r.late = 0
	pending.Deliver(res)
	got := answer{url: out.url, status: res.StatusCode, header: res.Header}
	again()
	got.body, err = r.read(res.Body, out, res.StatusCode, again)
	if err != nil {
		err = cause(limit, err)
	}
	err = errors.Join(err, res.Body.Close())
	<-pending.Stored()
	if err != nil {
		return got, fmt.Errorf("%s %s: %w", out.method, short(out.url), err)
	}
	r.say(Event{Method: out.method, URL: short(out.url), Status: got.status, Bytes: int64(len(got.body))})
	return got, nil
}

var errLate = errors.New("no answer in time")

// maxLate is how many requests in a row may be waited for in vain: a server that hangs would take hours.
const maxLate = 3

// isLate reports a request that was waited for in vain, unlike one that was refused.
func isLate(err error) bool {
	var timeout net.Error
	return errors.Is(err, errLate) || errors.As(err, &timeout) && timeout.Timeout()
}

// cause is why a request ended, in our words where we ended it.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); errors.Is(c, errLate) {
		return c
	}
	return err
}

// read takes a response's body to its end, and says how far it is; more is called whenever some of it came.
func (r *run) read(body io.Reader, out outgoing, status int, more func()) ([]byte, error) {
	var kept bytes.Buffer
	buf := make([]byte, 64<<10)
	total, said := int64(0), int64(0)
	for {
		n, err := body.Read(buf)
		total += int64(n)
		if n > 0 {
			more()
		}
		if room := maxKept - kept.Len(); !out.skim && room > 0 {
			kept.Write(buf[:min(n, room)])
		}
		if total-said >= step {
			said = total
			r.say(Event{Method: out.method, URL: short(out.url), Status: status, Bytes: total})
		}
		switch {
		case errors.Is(err, io.EOF):
			return kept.Bytes(), nil
		case err != nil:
			return kept.Bytes(), err
		}
	}
}
