package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"fhirwire/testplans"
)

// rightClient is a client that does otherwise what a specification leaves to it.
type rightClient struct {
	variant, why string
	plan         string
	// acts are those of the plan that the client plays, separated by spaces.
	acts string
	// plays are the acts that it plays instead, "" for the same.
	plays string
	// habits are what it does otherwise, all at once.
	habits []lapse
	// moves are verdicts that are rightly others than those on the usual client, as "STEP/CHECK VERDICT: reason".
	moves []string
}

// habits does several things otherwise: the first has requests first.
func habits(list []lapse) lapse {
	return func(c *clientSide) http.RoundTripper {
		side := *c
		for _, l := range slices.Backward(list) {
			next := side
			side.next = l(&next)
		}
		return &side
	}
}

// formText writes the text of a form anew.
func formText(edit func(pairs []string) []string) lapse {
	return sentAs(tokenRequest, func(_ *clientSide, r *http.Request, body string) string {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
		return strings.Join(edit(strings.Split(body, "&")), "&")
	})
}

func everyRequest(*http.Request) bool { return true }

// compressed takes answers in gzip and gives them plain to the client.
func compressed() lapse {
	return inPlaceOf(everyRequest, func(c *clientSide, r *http.Request, body string) (*http.Response, error) {
		out := copyOf(r, body)
		out.Header.Set("Accept-Encoding", "gzip, deflate, br")
		res, err := c.RoundTrip(out)
		if err != nil || res.Header.Get("Content-Encoding") != "gzip" {
			return res, err
		}
		z, err := gzip.NewReader(res.Body)
		if err != nil {
			return nil, err
		}
		plain, err := io.ReadAll(z)
		if err != nil {
			return nil, err
		}
		if err := res.Body.Close(); err != nil {
			return nil, err
		}
		res.Header.Del("Content-Encoding")
		res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(plain)), int64(len(plain))
		return res, nil
	})
}

// deletedAfter deletes an export once a file of it was had for the nth time: it is over then.
func deletedAfter(n int) lapse {
	return func(c *clientSide) http.RoundTripper {
		status, had := "", 0
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			if statusRequest(r) {
				status = r.URL.String()
			}
			res, err := c.RoundTrip(r)
			if err != nil || !fileRequest(r) || res.StatusCode != http.StatusOK {
				return res, err
			}
			if had++; had != n {
				return res, nil
			}
			text, err := io.ReadAll(res.Body)
			if err != nil {
				return nil, err
			}
			if err := res.Body.Close(); err != nil {
				return nil, err
			}
			res.Body = io.NopCloser(bytes.NewReader(text))
			end, err := http.NewRequestWithContext(context.WithoutCancel(r.Context()), http.MethodDelete, status, http.NoBody)
			if err != nil {
				return nil, err
			}
			end.Header.Set("Authorization", r.Header.Get("Authorization"))
			gone, err := c.RoundTrip(end)
			if err != nil {
				return nil, err
			}
			return res, gone.Body.Close()
		})
	}
}

// lowerBearer writes the scheme of its credentials otherwise.
func lowerBearer() lapse {
	return sentAs(everyRequest, func(_ *clientSide, r *http.Request, body string) string {
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			r.Header.Set("Authorization", "bearer "+token)
		}
		return body
	})
}

// posted asks for exports by POST.
func posted() lapse {
	return sentAs(kickoff, func(_ *clientSide, r *http.Request, body string) string {
		if r.Method != http.MethodGet {
			return body
		}
		var parts []any
		for name, values := range r.URL.Query() {
			for _, v := range values {
				parts = append(parts, map[string]any{"name": name, "valueString": v})
			}
		}
		r.Method, r.URL.RawQuery = http.MethodPost, ""
		r.Header.Set("Content-Type", "application/fhir+json")
		return string(jsonBytes(map[string]any{"resourceType": "Parameters", "parameter": parts}))
	})
}

// turnedJSON writes JSON bodies with their members in another order, indented and with escapes.
func turnedJSON() lapse {
	return sentAs(func(r *http.Request) bool { return strings.Contains(r.Header.Get("Content-Type"), "json") }, func(_ *clientSide, r *http.Request, body string) string {
		if m, ok := jsonObject([]byte(body)); ok {
			r.Header.Set("Content-Type", strings.Replace(r.Header.Get("Content-Type"), "json", "json; charset=UTF-8", 1))
			return turned(m, "\n")
		}
		return body
	})
}

// rightClients are the variants that are played.
func rightClients() []rightClient {
	export := signIn + "export"
	manners := []lapse{
		compressed(), turnedJSON(),
		with(everyRequest, "X-Request-Id", "7"), with(everyRequest, "Accept-Language", "en-US"), with(everyRequest, "Cache-Control", "no-cache"),
		with(everyRequest, "User-Agent", "Java/17"), lowerBearer(),
	}
	forms := []lapse{formText(func(pairs []string) []string {
		slices.Reverse(pairs)
		for i, p := range pairs {
			name, value, _ := strings.Cut(p, "=")
			pairs[i] = name + "=" + strings.ReplaceAll(strings.ReplaceAll(value, "+", "%20"), ".", "%2E")
		}
		return pairs
	})}
	accepts := []lapse{
		with(kickoff, "Accept", "application/fhir+json;q=0.9, application/json"), with(kickoff, "Prefer", "handling=lenient, respond-async; foo=bar"),
		with(fileRequest, "Accept", "application/ndjson, application/fhir+ndjson, */*;q=0.1"), with(statusRequest, "Accept", "*/*"),
	}
	asked := query(kickoff, func(q url.Values) { q.Set("_outputFormat", "application/fhir+ndjson") })
	everything := slices.Concat(manners, forms, accepts)
	return []rightClient{
		{"all manners", "RFC 9110, 6749, Bulk Data 2.0", "bulk-data-export", export, "", append([]lapse{asked, deletedAfter(2)}, everything...), nil},
		{"twice of all, by POST", "Bulk Data 2.0, kick-off; a token holds for several exports", "bulk-data-export", export, signIn + signIn + "export export", []lapse{posted()}, nil},
		{"all manners", "RFC 9110, 6749", "formulary-bulk-export", "export", "", append([]lapse{asked}, everything...), nil},
		{"all manners", "RFC 9110, 6749", "provider-access-bulk", signIn + "group export", "", append([]lapse{asked}, everything...), nil},
		{"all manners", "RFC 9110, 6749", "payer-to-payer-stu2", signIn + "match member-id member-token export", "", everything, nil},
		{"all manners", "RFC 9110, 6749", "payer-to-payer-member", signIn + "match member-id member-token data", "", everything, nil},
		{"all manners", "RFC 9110, 6749", "payer-to-payer-registration", signIn + "use", "", everything, nil},
		{"all manners", "RFC 9110, 6749", "payer-to-payer-bulk", signIn + "match read export", "", everything, nil},
		{"all manners", "RFC 9110, 6749", "provider-access-match", signIn + "match read export", "", everything, nil},
		{"all manners", "RFC 9110, 6749", "smart-backend-services", signIn + "use", "", everything, nil},
		{"all manners", "RFC 9110, 6749", "us-core-3-1-1-client", signIn + "parameters", "", everything, nil},
		{"all manners", "RFC 9110, 6749", "formulary-search", "plans items", "", everything, nil},
		{"all manners", "RFC 9110, 6749", "member-attribution", signIn + "list submit status", "", everything, nil},
	}
}

// TestRightClients plays clients through the proxy to the reference payer: what a specification lets a client do otherwise than the runner
// changes no verdict, but where it is listed why.
func TestRightClients(t *testing.T) {
	if raceDetector {
		t.Skip("plays with the race detector take minutes; TestClientsUnderTest plays some with it")
	}
	rs := &clientRigs{of: map[string]*clientRig{}}
	rs.lib, rs.set = builtinGuides(t)
	plans := map[string]testplans.Plan{}
	for _, c := range rightClients() {
		if _, read := plans[c.plan]; !read {
			plan, err := findPlan(c.plan, rs.set)
			if err != nil {
				t.Fatal(err)
			}
			plans[c.plan] = plan
			rs.start(t, &plan)
		}
	}
	for _, c := range rightClients() {
		t.Run(fmt.Sprintf("%s: %s", c.plan, c.variant), func(t *testing.T) {
			t.Parallel()
			plan, acts := plans[c.plan], strings.Fields(c.acts)
			usual := rs.play(t, plan, acts, nil)
			c.compare(t, usual, rs.play(t, plan, strings.Fields(cmp.Or(c.plays, c.acts)), habits(c.habits)))
		})
	}
}

// compare holds the verdicts on a client against those on the usual one; it may show more.
func (c *rightClient) compare(t *testing.T, usual, got map[string]testplans.Result) {
	t.Helper()
	moves := map[string]bool{}
	for _, m := range c.moves {
		what, reason, _ := strings.Cut(m, ": ")
		if reason == "" {
			t.Errorf("%q has no reason", m)
		}
		moves[what] = false
	}
	for _, id := range slices.Sorted(maps.Keys(usual)) {
		was, is := usual[id], got[id]
		move := id + " " + string(is.Verdict)
		_, listed := moves[move]
		switch {
		case is.Verdict == was.Verdict, was.Verdict == testplans.NotShown && (is.Verdict == testplans.Pass || is.Verdict == testplans.PassNotes):
		case (strings.HasSuffix(id, "/waits") || strings.HasSuffix(id, "/snapshot")) && is.Verdict == testplans.NotShown:
			// An export that is complete when it is first asked for makes nobody wait.
		case listed && is.Verdict != testplans.Fail && is.Verdict != testplans.ToolError:
			moves[move] = true
		default:
			t.Errorf("%s (%s, %s) is %s, was %s: %s", id, is.Strength, is.Side, is.Verdict, was.Verdict, is.Message)
		}
	}
	for m, seen := range moves {
		if !seen {
			t.Errorf("%s is listed and did not occur", m)
		}
	}
}
