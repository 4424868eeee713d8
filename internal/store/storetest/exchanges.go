package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/validators"
)

// fill sets every field of a struct to something that is not zero, so that a field that is added and not stored fails.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d", *n))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(v.Index(i), n)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(Epoch.Add(time.Duration(*n) * time.Microsecond)))
			return
		}
		for _, f := range v.Fields() {
			fill(f, n)
		}
	default:
		panic("storetest cannot fill " + v.Type().String())
	}
}

func testRoundTrip(t *testing.T, s Store) {
	want := new(proxy.Exchange)
	n := 0
	fill(reflect.ValueOf(want).Elem(), &n)
	want.Number = 0
	fatal(t, s.Put(t.Context(), want, Bodies{})) // the recorder kept none of the bodies
	if want.Number != 1 {
		t.Errorf("number %d, want 1", want.Number)
	}
	got, err := s.Exchange(t.Context(), want.ID)
	fatal(t, err)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v\nresponse %+v\nwant     %+v", got, want, got.Response, want.Response)
	}

	bare := &proxy.Exchange{ID: ID(2), Request: proxy.Request{Method: "GET", URL: "http://h/x"}}
	fatal(t, s.Put(t.Context(), bare, Bodies{}))
	got, err = s.Exchange(t.Context(), ID(2))
	fatal(t, err)
	if !reflect.DeepEqual(got, bare) {
		t.Errorf("got  %+v\nwant %+v", got, bare)
	}
	if _, err := s.Exchange(t.Context(), ID(3)); !errors.Is(err, proxy.ErrNotFound) {
		t.Errorf("an unknown exchange: %v", err)
	}
}

func readBody(t *testing.T, s Store, d proxy.Digest) []byte {
	t.Helper()
	rc, err := s.OpenBody(t.Context(), d)
	fatal(t, err)
	b, err := io.ReadAll(rc)
	fatal(t, errors.Join(err, rc.Close()))
	return b
}

func testBodies(t *testing.T, s Store) {
	bodies := Bodies{}
	for i, size := range []int{1, 16 << 10, 16<<10 + 1, 1 << 20} {
		e := Exchange(i, bodies)
		b := bytes.Repeat([]byte{byte('a' + i)}, size)
		e.Request.Body = bodies.Add(append(b, "request"...))
		e.Response.Body = bodies.Add(b)
		forwarded := bodies.Add(append(b, "forwarded"...))
		e.Response.Forwarded = &forwarded
		putAll(t, s, bodies, e)
		for _, d := range []proxy.Digest{e.Request.Body.Digest, e.Response.Body.Digest, forwarded.Digest} {
			if got := readBody(t, s, d); !bytes.Equal(got, bodies[d]) {
				t.Errorf("%d bytes came back as %d", len(bodies[d]), len(got))
			}
		}
	}
	if _, err := s.OpenBody(t.Context(), "00"); !errors.Is(err, proxy.ErrNoBody) {
		t.Errorf("an unknown body: %v", err)
	}
	for _, size := range []int{10, 40_000} { // a copy that a cap cut, then the whole
		whole := bytes.Repeat([]byte("w"), size)
		described := bodies.Add(whole)
		cut := described
		cut.Stored = int64(size / 2)
		a, b := Exchange(100+size, bodies), Exchange(101+size, bodies)
		a.Response.Body, b.Response.Body = cut, described
		fatal(t, s.Put(t.Context(), a, Bodies{described.Digest: whole[:size/2]}))
		if got := readBody(t, s, described.Digest); len(got) != size/2 {
			t.Errorf("the cut copy has %d bytes", len(got))
		}
		fatal(t, s.Put(t.Context(), b, bodies))
		if got := readBody(t, s, described.Digest); !bytes.Equal(got, whole) {
			t.Errorf("the whole copy has %d bytes", len(got))
		}
	}
}

func testRedacted(t *testing.T, s Store) {
	for i, size := range []int{20, 40_000} {
		clear := append([]byte("secret"), bytes.Repeat([]byte{byte('0' + i)}, size)...)
		hidden := []byte(strings.Replace(string(clear), "secret", "hmac:1", 1))
		described := Bodies{}.Add(clear)
		redacted := described
		redacted.Redacted = true
		for j, order := range [][]bool{{false, true, false}, {true, false}} {
			d := described
			d.Digest = proxy.Digest(fmt.Sprintf("%064x", 100*i+j+1)) // a body of its own per order
			for k, r := range order {
				e := Exchange(1000*i+100*j+k, Bodies{})
				e.Response.Body = d
				e.Response.Body.Redacted = r
				copyOf := clear
				if r {
					copyOf = hidden
				}
				fatal(t, s.Put(t.Context(), e, Bodies{d.Digest: copyOf}))
			}
			if got := readBody(t, s, d.Digest); !bytes.Equal(got, hidden) {
				t.Errorf("order %v: %.10q is stored", order, got)
			}
		}
	}
}

func testPutAgain(t *testing.T, s Store) {
	bodies := Bodies{}
	first, again, other := Exchange(1, bodies), Exchange(1, bodies), Exchange(2, bodies)
	again.Request.Method = "POST"
	putAll(t, s, bodies, first, other, again)
	if again.Number != first.Number || other.Number != first.Number+1 {
		t.Errorf("numbers %d, %d, %d", first.Number, other.Number, again.Number)
	}
	if got, err := s.Exchange(t.Context(), ID(1)); err != nil || got.Request.Method != "GET" {
		t.Errorf("an exchange changed: %+v, %v", got, err)
	}
	// Both in one batch.
	var wg sync.WaitGroup
	var mu sync.Mutex
	var numbers []int64
	for range 16 {
		own := Bodies{}
		e := Exchange(3, own)
		wg.Go(func() {
			if err := s.Put(t.Context(), e, own); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			numbers = append(numbers, e.Number)
		})
	}
	wg.Wait()
	slices.Sort(numbers)
	if numbers = slices.Compact(numbers); len(numbers) != 1 {
		t.Errorf("one exchange got the numbers %v", numbers)
	}
}

func testPutFails(t *testing.T, s Store) {
	bodies := Bodies{}
	for i, size := range []int{100, 40_000} {
		e := Exchange(i, bodies)
		e.Response.Body = bodies.Add(bytes.Repeat([]byte("x"), size))
		e.Response.Body.Stored++ // more than there is
		e.Response.Body.Size++
		if err := s.Put(t.Context(), e, bodies); err == nil {
			t.Errorf("a body of %d bytes that is shorter than it says was stored", size)
		}
		if _, err := s.Exchange(t.Context(), e.ID); !errors.Is(err, proxy.ErrNotFound) {
			t.Errorf("its exchange: %v", err)
		}
	}
}

func testConcurrentPuts(t *testing.T, s Store) {
	const writers, each = 16, 25
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			bodies := Bodies{}
			for i := range each {
				e := Exchange(w*each+i, bodies)
				if err := s.Put(t.Context(), e, bodies); err != nil {
					t.Error(err)
				}
				if got, err := s.Exchange(t.Context(), e.ID); err != nil || got.Number != e.Number {
					t.Errorf("not readable after Put: %v, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
	page, err := s.Exchanges(t.Context(), proxy.Query{Limit: 1000})
	fatal(t, err)
	if page.Total != writers*each || len(page.Exchanges) != writers*each {
		t.Fatalf("%d exchanges, total %d, want %d", len(page.Exchanges), page.Total, writers*each)
	}
	for i, e := range page.Exchanges {
		if e.Number != int64(writers*each-i) {
			t.Fatalf("exchange %d has number %d", i, e.Number)
		}
	}
}

func testEndedContext(t *testing.T, s Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	bodies := Bodies{}
	e := Exchange(1, bodies)
	if err := s.Put(ctx, e, bodies); err == nil { // it may win the race against the ended context
		if _, err := s.Exchange(t.Context(), e.ID); err != nil {
			t.Errorf("Put said it is stored: %v", err)
		}
	}
	if _, err := s.Exchanges(ctx, proxy.Query{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a list under an ended context: %v", err)
	}
	putAll(t, s, bodies, Exchange(2, bodies)) // the queue still moves
}

// testInsecure: lists know which servers were not verified.
func testInsecure(t *testing.T, s Store) {
	bodies := Bodies{}
	for n, trust := range []proxy.Trust{proxy.TrustPublic, proxy.TrustInsecure} {
		e := Exchange(n+1, bodies)
		e.ServerLeg = &proxy.Leg{Address: "192.0.2.1:443", TLS: &proxy.TLS{Version: "TLS 1.3", Trust: trust, Detail: "because"}}
		putAll(t, s, bodies, e)
	}
	page, err := s.Exchanges(t.Context(), proxy.Query{})
	fatal(t, err)
	if len(page.Exchanges) != 2 || !page.Exchanges[0].Insecure() || page.Exchanges[1].Insecure() {
		t.Errorf("list: %+v", page.Exchanges)
	}
	putAll(t, s, bodies, Exchange(3, bodies)) // in clear
	for text, want := range map[string]string{"trust:insecure": ID(2), "trust:public": ID(1), "trust:none": ID(3), "trust:refused": ""} {
		filter, errs := proxy.ParseFilter(text)
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		page, err := s.Exchanges(t.Context(), proxy.Query{Filter: filter})
		fatal(t, err)
		if want == "" && len(page.Exchanges) > 0 || want != "" && (len(page.Exchanges) != 1 || page.Exchanges[0].ID != want) {
			t.Errorf("%s: %+v", text, page.Exchanges)
		}
	}
	e, err := s.Exchange(t.Context(), ID(2))
	fatal(t, err)
	if e.ServerLeg == nil || e.ServerLeg.Address != "192.0.2.1:443" || e.ServerLeg.TLS.Detail != "because" {
		t.Errorf("in full: %+v", e.ServerLeg)
	}
}

// testChains: exchanges share certificate chains, and each has its own.
func testChains(t *testing.T, s Store) {
	bodies := Bodies{}
	chain := func(names ...string) []proxy.Certificate {
		var out []proxy.Certificate
		for _, n := range names {
			out = append(out, proxy.Certificate{Subject: "CN=" + n, Names: []string{n}, NotAfter: Epoch.UTC(), Fingerprint: n})
		}
		return out
	}
	var want []*proxy.Exchange
	for n := range 6 {
		e := Exchange(n+1, bodies)
		e.ClientLeg = &proxy.Leg{Address: "192.0.2.7:5000", TLS: &proxy.TLS{Version: "TLS 1.3", Client: chain("client", "ca"), Server: chain("proxy"), Trust: proxy.TrustEventCA}}
		e.ServerLeg = &proxy.Leg{Address: "192.0.2.9:443", TLS: &proxy.TLS{Version: "TLS 1.2", Server: chain("server", []string{"ca", "other"}[n%2])}}
		want = append(want, e)
		putAll(t, s, bodies, e)
	}
	for range 2 { // from the database, and from memory
		for _, w := range want {
			got, err := s.Exchange(t.Context(), w.ID)
			fatal(t, err)
			if !reflect.DeepEqual(got.ClientLeg, w.ClientLeg) || !reflect.DeepEqual(got.ServerLeg, w.ServerLeg) {
				t.Fatalf("%+v, %+v", got.ClientLeg.TLS, got.ServerLeg.TLS)
			}
		}
	}
}

func testPages(t *testing.T, s Store) {
	bodies := Bodies{}
	for n := 1; n <= 10; n++ {
		e := Exchange(n, bodies)
		if n%2 == 0 {
			e.Response.Status = 404
		}
		putAll(t, s, bodies, e)
	}
	even, errs := proxy.ParseFilter("status:404")
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	tests := []struct {
		name         string
		q            proxy.Query
		want         []int
		total        int
		older, newer bool
	}{
		{"all", proxy.Query{}, []int{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}, 10, false, false},
		{"first page", proxy.Query{Limit: 3}, []int{10, 9, 8}, 10, true, false},
		{"older page", proxy.Query{Limit: 3, Before: 8}, []int{7, 6, 5}, 10, true, true},
		{"last page", proxy.Query{Limit: 3, Before: 3}, []int{2, 1}, 10, false, true},
		{"newer page is the next one", proxy.Query{Limit: 3, After: 4}, []int{7, 6, 5}, 10, true, true},
		{"newest page", proxy.Query{Limit: 3, After: 8}, []int{10, 9}, 10, true, false},
		{"nothing newer", proxy.Query{Limit: 3, After: 10}, nil, 10, true, false},
		{"nothing older", proxy.Query{Limit: 3, Before: 1}, nil, 10, false, true},
		{"one by number", proxy.Query{After: 4, Before: 6}, []int{5}, 10, true, true},
		{"the whole range", proxy.Query{After: 0, Before: 11, Limit: 10}, []int{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}, 10, false, false},
		{"an empty range", proxy.Query{After: 4, Before: 5}, nil, 10, true, true},
		{"without a total", proxy.Query{SkipTotal: true, Limit: 1}, []int{10}, 0, true, false},
		{"filtered", proxy.Query{Filter: even, Limit: 2}, []int{10, 8}, 5, true, false},
		{"filtered, older", proxy.Query{Filter: even, Limit: 2, Before: 5}, []int{4, 2}, 5, false, true},
		{"filtered, newer", proxy.Query{Filter: even, Limit: 2, After: 3}, []int{6, 4}, 5, true, true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			p, err := s.Exchanges(t.Context(), tc.q)
			fatal(t, err)
			var got []int
			for _, e := range p.Exchanges {
				got = append(got, int(e.Number))
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("numbers %v, want %v", got, tc.want)
			}
			if p.Total != tc.total || p.Older != tc.older || p.Newer != tc.newer {
				t.Errorf("total %d older %v newer %v, want %d %v %v", p.Total, p.Older, p.Newer, tc.total, tc.older, tc.newer)
			}
		})
	}
	p, err := s.Exchanges(t.Context(), proxy.Query{Limit: 1})
	fatal(t, err)
	e := p.Exchanges[0]
	if e.Status() != 404 || e.Request.Method != "GET" || e.Interaction.Label() != "read Patient" || e.Timing.Duration() != 20*time.Millisecond ||
		e.Response.Body.Size == 0 || e.Channel != "acme-ehr~diamond-payer" {
		t.Errorf("a list row lacks something: %+v", e)
	}
}

func testNeighbours(t *testing.T, s Store) {
	bodies := Bodies{}
	putAll(t, s, bodies, Exchange(1, bodies), Exchange(2, bodies), Exchange(3, bodies))
	for n, want := range map[int][2]string{1: {"", ID(2)}, 2: {ID(1), ID(3)}, 3: {ID(2), ""}} {
		if prev, next, err := s.Neighbours(t.Context(), ID(n)); err != nil || prev != want[0] || next != want[1] {
			t.Errorf("neighbours of %d: %q, %q, %v", n, prev, next, err)
		}
	}
	if _, _, err := s.Neighbours(t.Context(), ID(4)); !errors.Is(err, proxy.ErrNotFound) {
		t.Errorf("neighbours of an unknown exchange: %v", err)
	}
}

func testHostileText(t *testing.T, s Store) {
	bad := "caf\xe9 \x00 '\"; DROP TABLE exchanges; -- <script>"
	e := Exchange(1, Bodies{})
	e.Request.URL, e.Channel = "http://h/"+bad, bad
	e.Request.Header = proxy.Header{{Name: "X-Latin", Value: bad}}
	e.Failure = &proxy.Failure{Reason: proxy.ReasonProxy, Side: "proxy", Detail: bad}
	e.Interaction.Operation = "$" + bad
	e.Response.Body = proxy.Body{}
	fatal(t, s.Put(t.Context(), e, Bodies{}))
	got, err := s.Exchange(t.Context(), e.ID)
	fatal(t, err)
	if !reflect.DeepEqual(got, e) {
		t.Errorf("got  %+v\nwant %+v", got, e)
	}
	filter := proxy.Filter{Terms: []proxy.Term{{Key: proxy.KeyText, Op: proxy.OpEq, Values: []string{"'\"; DROP TABLE"}}}}
	if p, err := s.Exchanges(t.Context(), proxy.Query{Filter: filter}); err != nil || len(p.Exchanges) != 1 {
		t.Errorf("%d found, %v", len(p.Exchanges), err)
	}
	fatal(t, s.SaveReport(t.Context(), Report(1, 1, validators.Issue{MessageID: "x", Profile: bad, Constraint: bad, Message: bad})))
}

func testEmpty(t *testing.T, s Store) {
	p, err := s.Exchanges(t.Context(), proxy.Query{After: 5, Before: 9})
	if err != nil || p.Total != 0 || len(p.Exchanges) != 0 || p.Older || p.Newer {
		t.Errorf("page %+v, %v", p, err)
	}
	if got, err := s.Summaries(t.Context(), nil); err != nil || len(got) != 0 {
		t.Errorf("summaries %v, %v", got, err)
	}
	if n, err := s.CountUnjudged(t.Context()); err != nil || n != 0 {
		t.Errorf("unjudged %d, %v", n, err)
	}
}

func testRestart(t *testing.T, p Place) {
	s := p.Open(t)
	systems(t, s)
	fatal(t, s.SaveChannel(t.Context(), &proxy.Channel{ClientID: "c1", ServerID: "s1"}))
	bodies := Bodies{}
	small, large := Exchange(1, bodies), Exchange(2, bodies)
	large.Response.Body = bodies.Add(bytes.Repeat([]byte("large"), 10_000))
	putAll(t, s, bodies, small, large)
	fatal(t, s.SaveReport(t.Context(), Report(1, validators.RulesVersion)))
	fatal(t, s.LearnBulkURLs(t.Context(), map[string]proxy.Kind{"http://h/job/1": proxy.KindBulkStatus}))
	p.Close(t)

	s = p.Open(t)
	for _, want := range []*proxy.Exchange{small, large} {
		got, err := s.Exchange(t.Context(), want.ID)
		fatal(t, err)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		d := want.Response.Body.Digest
		if b := readBody(t, s, d); !bytes.Equal(b, bodies[d]) {
			t.Errorf("a body of %d bytes came back as %d", len(bodies[d]), len(b))
		}
	}
	if left, err := s.Unjudged(t.Context(), validators.RulesVersion, 10); err != nil || !slices.Equal(left, []string{ID(2)}) {
		t.Errorf("unjudged %v, %v", left, err)
	}
	if _, err := s.ChannelByName(t.Context(), "acme-ehr~diamond-payer"); err != nil {
		t.Error(err)
	}
	if kind, err := s.BulkURL(t.Context(), "http://h/job/1"); err != nil || kind != proxy.KindBulkStatus {
		t.Errorf("bulk URL %q, %v", kind, err)
	}
	next := Exchange(3, bodies)
	putAll(t, s, bodies, next)
	if next.Number != 3 {
		t.Errorf("the first exchange after a restart has number %d, want 3", next.Number)
	}
}
