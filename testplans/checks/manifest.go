package checks

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"fhirwire/testplans"
	"fhirwire/validators/fhirjson"
)

// isAsked: a member is the URL that an earlier step asked for, in the exchange whose answer named the URL of this one. As the client and as
// the server saw it are both right.
func (c *Case) isAsked(ctx context.Context, root *fhirjson.Node) (Outcome, error) {
	p := c.Check.Pointer
	n := root.At(p.At)
	if n == nil {
		return notShown("there is no " + p.At + " to compare"), nil
	}
	near, _, err := c.Desk.near(ctx, c.Attempt, []testplans.Relation{testplans.ByURL}, p.Asked, c.Steps[p.Asked])
	if err != nil {
		return Outcome{}, err
	}
	key := urlKey(n.Text(), nil)
	for _, it := range near {
		keys := c.Desk.requested(it)
		if slices.Contains(keys[:], key) {
			return Outcome{Verdict: testplans.Pass, Items: []Item{it, c.Attempt}}, nil
		}
	}
	if len(near) == 0 {
		return notShown("no request of the step " + p.Asked + " led here"), nil
	}
	return Outcome{Verdict: testplans.Fail, Items: []Item{near[0], c.Attempt}, Message: fmt.Sprintf(
		"%s is %s, and what was asked for is %s", p.At, clip(string(n.Raw())), target(near[0].Exchange))}, nil
}

// formOf: the text of a file is NDJSON as every reader takes it.
func formOf(text []byte) Outcome {
	switch {
	case bytes.HasPrefix(text, byteOrderMark):
		return failed("the file begins with a byte order mark")
	case bytes.Contains(text, []byte("\r")):
		return failed(fmt.Sprintf("line %d has a carriage return", 1+bytes.Count(text[:bytes.IndexByte(text, '\r')], []byte("\n"))))
	case bytes.HasPrefix(text, []byte("\n")):
		return failed("line 1 is blank")
	}
	if above, _, blank := bytes.Cut(text, []byte("\n\n")); blank {
		return failed(fmt.Sprintf("line %d is blank", 2+bytes.Count(above, []byte("\n"))))
	}
	return passed
}

// inTime: each resource of a file was changed when its manifest lets it be: not after the moment that it is of, or not before the one from
// which on it says that changes were asked for.
func (c *Case) inTime(ctx context.Context, body *Body, from Item) (Outcome, error) {
	manifest, err := c.Desk.Body(ctx, from, testplans.OnResponse)
	if err != nil {
		return Outcome{}, err
	}
	if manifest.Why != "" {
		return notChecked(manifest.Why), nil
	}
	root, fault := manifest.JSON()
	if fault != "" {
		return notShown("the manifest is not JSON"), nil
	}
	since := c.Check.File.Rule == testplans.FileSince
	said, outside := root.MemberText("transactionTime"), "after transactionTime"
	if since {
		if said = sinceOf(root.MemberText("request")); said == "" {
			return notShown("the manifest's request has no _since to compare with"), nil
		}
		outside = "before _since"
	}
	limit, err := time.Parse(time.RFC3339, said)
	switch {
	case err != nil && since:
		return notShown("_since in the manifest's request is no instant to compare with"), nil //nolint:nilerr // its form is another check's
	case err != nil:
		return notShown("the manifest has no transactionTime to compare with"), nil //nolint:nilerr // its form is another check's
	}
	both := []Item{from, c.Attempt}
	var seen dates
	scan := fhirjson.NewLineScanner(bytes.NewReader(body.Text), maxLine)
	for scan.Scan() {
		line := scan.Line()
		if len(bytes.TrimSpace(line.Bytes)) == 0 {
			continue
		}
		number := line.Position.Line + 1
		at, text, ok := seen.add(line.Bytes)
		if !ok {
			return notChecked(fmt.Sprintf("line %d is not JSON", number)), nil
		}
		if outOf(at, limit, since) {
			return Outcome{Verdict: testplans.Fail, Items: both, Message: fmt.Sprintf(
				"line %d was changed at %s, %s %s", number, text, outside, limit.Format(time.RFC3339Nano))}, nil
		}
	}
	switch err := scan.Err(); {
	case err != nil:
		return notChecked(err.Error()), nil
	case seen.dated > 0:
		return Outcome{Verdict: testplans.Pass, Items: both}, nil
	case seen.lines == 0:
		return notShown("the file has no lines"), nil
	case seen.data == 0: // outcomes and deletions are of the export itself
		return Outcome{Verdict: testplans.NotApplicable, Message: "the file has nothing but outcomes and deletions"}, nil
	}
	return notShown("no line says when it was changed"), nil
}

// outOf reports a time, where there is one, on the wrong side of a limit. A server may leave out fractions in one of the two.
func outOf(at, limit time.Time, since bool) bool {
	if since {
		return !at.IsZero() && !at.Add(dateGrain).After(limit)
	}
	return at.After(limit.Add(dateGrain))
}

// sinceOf is _since in the URL of a kick-off, empty for none. A plus of a time zone is one whether or not it is escaped.
func sinceOf(request string) string {
	u, err := url.Parse(request)
	if err != nil {
		return ""
	}
	return strings.ReplaceAll(u.Query().Get("_since"), " ", "+")
}

// dates counts the lines of a file, those that are data, and those that say when they were changed.
type dates struct{ lines, data, dated int }

// add counts a line and gives the time that it says it was changed, zero for none; not ok is one that is not JSON.
func (d *dates) add(line []byte) (at time.Time, text string, ok bool) {
	doc := fhirjson.Parse(line)
	defer doc.Release()
	if doc.Fatal() != nil {
		return at, "", false
	}
	d.lines++
	if t := doc.Root().ResourceType(); t != "OperationOutcome" && t != "Bundle" {
		d.data++
	}
	at, err := time.Parse(time.RFC3339, doc.Root().Member("meta").MemberText("lastUpdated"))
	if err != nil {
		return time.Time{}, "", true
	}
	d.dated++
	return at, at.Format(time.RFC3339Nano), true
}

// countBursts: as many attempts as asked for on one URL, or within some time. Attempts are in the order of time.
func (c *Case) countBursts() Outcome {
	want := c.Check.Count
	groups := map[string][]Item{}
	most, worst := 0, []Item(nil)
	for _, it := range c.Attempts {
		key := ""
		if want.PerURL {
			key = it.Exchange.Request.Method + " " + c.Desk.requested(it)[0]
		}
		list := append(groups[key], it)
		for want.Within > 0 && it.Exchange.Timing.Start.Sub(list[0].Exchange.Timing.Start) > time.Duration(want.Within)*time.Second {
			list = list[1:]
		}
		groups[key] = list
		if len(list) > most {
			most, worst = len(list), slices.Clone(list)
		}
	}
	switch {
	case most < want.Min:
		return notShown(fmt.Sprintf("%d of %d seen", most, want.Min))
	case want.Max > 0 && most > want.Max:
		where := ""
		if want.PerURL {
			where = " of one URL"
		}
		if want.Within > 0 {
			where += fmt.Sprintf(" within %d s", want.Within)
		}
		return Outcome{Verdict: testplans.Fail, Items: worst, Message: fmt.Sprintf("%d requests%s were seen, where at most %d are expected", most, where, want.Max)}
	}
	return passed
}
