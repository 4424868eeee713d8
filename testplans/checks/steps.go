package checks

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"fhirwire/testplans"
	"fhirwire/validators/fhirjson"
)

// count: as many attempts as asked for.
func count(_ context.Context, c *Case) (Outcome, error) {
	n, want := len(c.Attempts), c.Check.Count
	switch {
	case n < want.Min:
		return notShown(fmt.Sprintf("%d of %d seen", n, want.Min)), nil
	case want.Max > 0 && n > want.Max:
		return failed(fmt.Sprintf("%d were seen, where at most %d are expected", n, want.Max)), nil
	}
	return passed, nil
}

// control: the step that shows the opposite case passed too; without it the claim rests on one side.
func control(_ context.Context, c *Case) (Outcome, error) {
	step := c.Check.Control.Step
	switch v := c.Verdicts[step]; v {
	case testplans.Pass, testplans.PassNotes:
		return Outcome{Verdict: testplans.Pass, Items: c.Steps[step]}, nil
	case testplans.NotShown, testplans.NotApplicable, "":
		return noted("no negative control: step " + step + " was not seen"), nil
	case testplans.Fail:
		return Outcome{Verdict: testplans.Fail, Message: "the negative control, step " + step + ", failed", Items: c.Steps[step]}, nil
	default:
		return notChecked("the negative control, step " + step + ", could not be judged"), nil
	}
}

// attestation: a named person says so.
func attestation(_ context.Context, c *Case) (Outcome, error) {
	a := c.Attestation
	if a == nil {
		return notShown("nobody has answered yet: " + c.Check.Attestation.Question), nil
	}
	out := Outcome{Verdict: a.Verdict, Message: "attested by " + a.By}
	if a.Note != "" {
		out.Message += ": " + a.Note
	}
	return out, nil
}

// entry is one file that a manifest lists.
type entry struct {
	typ, count, key string
	has             bool // a count
}

// manifest reads the files that a response has in some of its lists.
func (d *Desk) manifest(ctx context.Context, it Item, lists ...string) (files []entry, why string, err error) {
	if it.Exchange.Status() != http.StatusOK {
		return nil, "", nil
	}
	body, err := d.Body(ctx, it, testplans.OnResponse)
	if err != nil || body.Why != "" || body.Empty() {
		return nil, body.why(), err
	}
	root, fault := body.JSON()
	if fault != "" {
		return nil, "the manifest is not JSON: " + fault, nil
	}
	base, _ := url.Parse(target(it.Exchange)) // nil for a faulty one: relative URLs then match nothing
	for _, list := range lists {
		for e := range children(root.Member(list)) {
			n := e.Member("count")
			f := entry{typ: e.MemberText("type"), key: urlKey(e.MemberText("url"), base), has: n != nil}
			if n != nil {
				f.count = string(n.Raw())
			}
			files = append(files, f)
		}
	}
	return files, "", nil
}

// file: a downloaded file is what the manifest of an earlier step says of it.
func file(ctx context.Context, c *Case) (Outcome, error) {
	listed, from, why, err := c.listed(ctx, c.Check.File.Manifest)
	switch {
	case err != nil:
		return Outcome{}, err
	case listed == nil && why != "":
		return notChecked(why), nil
	case listed == nil:
		return notShown("no manifest that lists this file was seen"), nil
	case c.Attempt.Exchange.Status() != http.StatusOK:
		return notShown("the file was not had: there is nothing to compare"), nil
	}
	body, out, ok, err := content(ctx, c, testplans.OnResponse)
	if err != nil || !ok && out.Verdict != testplans.Fail {
		return out, err
	}
	if !ok {
		body = &Body{} // an empty file has no lines
	}
	return c.compareFile(listed, body, from)
}

func (c *Case) compareFile(listed *entry, body *Body, from Item) (Outcome, error) {
	lines := 0
	seen := map[string]int{}
	scan := fhirjson.NewLineScanner(bytes.NewReader(body.Text), maxLine)
	both := []Item{from, c.Attempt}
	for scan.Scan() {
		line := scan.Line()
		if len(bytes.TrimSpace(line.Bytes)) == 0 {
			continue
		}
		lines++
		if c.Check.File.Rule == testplans.FileCount {
			continue
		}
		doc := fhirjson.Parse(line.Bytes)
		if p := doc.Fatal(); p != nil {
			return failed(fmt.Sprintf("line %d is not JSON: %s", line.Position.Line+1, p.Text)), nil
		}
		got, id := doc.Root().ResourceType(), doc.Root().MemberText("id")
		doc.Release()
		if c.Check.File.Rule == testplans.FileUnique {
			if at := seen[id]; at > 0 && id != "" {
				return failed(fmt.Sprintf("lines %d and %d are both %s/%s", at, line.Position.Line+1, got, id)), nil
			}
			seen[strings.Clone(id)] = line.Position.Line + 1
			continue
		}
		if got != listed.typ {
			return Outcome{Verdict: testplans.Fail, Items: both, Message: fmt.Sprintf("line %d is of type %q, and the manifest says %s", line.Position.Line+1, got, listed.typ)}, nil
		}
	}
	switch err := scan.Err(); {
	case err != nil:
		return notChecked(err.Error()), nil
	case c.Check.File.Rule == testplans.FileCount && !listed.has:
		return noted("the manifest gives no count"), nil
	case c.Check.File.Rule == testplans.FileCount && listed.count != strconv.Itoa(lines):
		return Outcome{Verdict: testplans.Fail, Items: both, Message: fmt.Sprintf("the file has %d lines, and the manifest says %s", lines, listed.count)}, nil
	}
	return Outcome{Verdict: testplans.Pass, Items: both}, nil
}

// listed finds the attempt's file in the manifests of a step.
func (c *Case) listed(ctx context.Context, step string) (found *entry, from Item, why string, err error) {
	keys := c.Desk.requested(c.Attempt.Exchange)
	for _, m := range c.Steps[step] {
		files, doubt, err := c.Desk.manifest(ctx, m, "output", "deleted", "error")
		if err != nil {
			return nil, Item{}, "", err
		}
		if doubt != "" {
			why = doubt
		}
		for _, f := range files {
			if f.key != "" && slices.Contains(keys[:], f.key) {
				return &f, m, "", nil
			}
		}
	}
	return nil, Item{}, why, nil
}

// fetched: each file that a manifest lists was downloaded. One job that was fetched whole is enough; others make notes.
func fetched(ctx context.Context, c *Case) (Outcome, error) {
	have := map[string]bool{}
	for _, a := range c.Attempts {
		if a.Exchange.Status() == http.StatusOK {
			for _, key := range c.Desk.requested(a.Exchange) {
				have[key] = true
			}
		}
	}
	var short []Item
	var message, doubt string
	jobs, whole := 0, 0
	for _, m := range c.Steps[c.Check.Fetched.Manifest] {
		files, why, err := c.Desk.manifest(ctx, m, "output")
		if err != nil {
			return Outcome{}, err
		}
		if why != "" {
			doubt = why
		}
		if files == nil {
			continue
		}
		jobs++
		missed := slices.DeleteFunc(files, func(f entry) bool { return have[f.key] })
		if len(missed) == 0 {
			whole++
			continue
		}
		short = append(short, m)
		message = fmt.Sprintf("%d files of a manifest were not fetched, first the one of type %s", len(missed), missed[0].typ)
	}
	switch {
	case jobs == 0 && doubt != "":
		return notChecked(doubt), nil
	case jobs == 0:
		return notShown("no manifest with files was seen"), nil
	case whole == 0:
		return Outcome{Verdict: testplans.NotShown, Message: message, Items: short}, nil
	case len(short) > 0:
		return Outcome{Verdict: testplans.PassNotes, Message: message, Items: short}, nil
	}
	return Outcome{Verdict: testplans.Pass, Items: c.Steps[c.Check.Fetched.Manifest]}, nil
}

// retryAfter: between two requests to one URL there is the time that the first answer asked for.
func retryAfter(_ context.Context, c *Case) (Outcome, error) {
	tolerance := cmp.Or(c.Check.RetryAfter.TolerancePercent, 10)
	last := map[string]Item{}
	compared := 0
	for _, it := range c.Attempts {
		key := c.Desk.requested(it.Exchange)[0]
		before, seen := last[key]
		last[key] = it
		if !seen || before.Exchange.Response == nil {
			continue
		}
		end, start := before.Exchange.Timing.End, it.Exchange.Timing.Start
		wait, ok := waitOf(before.Exchange.Response.Header.Get("Retry-After"), end)
		if !ok || end.IsZero() || start.IsZero() {
			continue
		}
		compared++
		if gap := start.Sub(end); gap < wait*time.Duration(100-tolerance)/100 {
			return Outcome{Verdict: testplans.Fail, Items: []Item{before, it}, Message: fmt.Sprintf("asked again after %s, where the server asked to wait %s", gap.Round(time.Millisecond), wait)}, nil
		}
	}
	if compared == 0 {
		return notShown("no answer with Retry-After was followed by another request"), nil
	}
	return passed, nil
}

// waitOf reads Retry-After (RFC 9110, 10.2.3): seconds, or a date seen from the end of the answer.
func waitOf(v string, from time.Time) (time.Duration, bool) {
	if n, err := strconv.Atoi(v); err == nil && n >= 0 && n < 1<<31 {
		return time.Duration(n) * time.Second, true
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, t.Sub(from)), true
	}
	return 0, false
}
