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
	if want.PerURL || want.Within > 0 {
		return c.countBursts(), nil
	}
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
	url             string // as it stands there
	has             bool   // a count
}

// files are what a manifest lists; output is how many of them are in its list of that name, which come first.
type files struct {
	list   []entry
	output int
	why    string
}

// manifest reads the files that a response lists.
func (d *Desk) manifest(ctx context.Context, it Item) (list []entry, why string, err error) {
	f, err := d.filesOf(ctx, it)
	return f.list, f.why, err
}

func (d *Desk) filesOf(ctx context.Context, it Item) (files, error) {
	f, ok := d.manifests[it.Exchange.ID]
	if ok {
		return f, nil
	}
	f, err := d.readManifest(ctx, it)
	if err == nil {
		d.manifests[it.Exchange.ID] = f
	}
	return f, err
}

func (d *Desk) readManifest(ctx context.Context, it Item) (f files, err error) {
	if it.Exchange.Status() != http.StatusOK {
		return f, nil
	}
	body, err := d.Body(ctx, it, testplans.OnResponse)
	if err != nil || body.Why != "" || body.Empty() {
		return files{why: body.why()}, err
	}
	root, fault := body.JSON()
	if fault != "" {
		return files{why: "the manifest is not JSON: " + fault}, nil
	}
	base, _ := url.Parse(target(it.Exchange)) // nil for a faulty one: relative URLs then match nothing
	for _, list := range []string{"output", "deleted", "error"} {
		for e := range children(root.Member(list)) {
			n := e.Member("count")
			file := entry{typ: strings.Clone(e.MemberText("type")), key: urlKey(e.MemberText("url"), base), url: strings.Clone(e.MemberText("url")), has: n != nil}
			if n != nil {
				file.count = string(n.Raw())
			}
			f.list = append(f.list, file)
		}
		if list == "output" {
			f.output = len(f.list)
		}
	}
	return f, nil
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
	switch c.Check.File.Rule {
	case testplans.FileForm:
		return formOf(body.Text), nil
	case testplans.FileTime, testplans.FileSince:
		return c.inTime(ctx, body, from)
	default:
		return c.compareFile(listed, body, from)
	}
}

// byteOrderMark may stand before the first line of a file; that it does is not its count's fault.
var byteOrderMark = []byte("\xef\xbb\xbf")

// looksWhole reports a line that begins and ends as a JSON object.
func looksWhole(line []byte) bool {
	line = bytes.TrimSpace(bytes.TrimPrefix(line, byteOrderMark))
	return bytes.HasPrefix(line, []byte("{")) && bytes.HasSuffix(line, []byte("}"))
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
			if !looksWhole(line.Bytes) {
				return notChecked(fmt.Sprintf("line %d is no whole JSON object: what is a line cannot be told", line.Position.Line+1)), nil
			}
			continue
		}
		got, id, fault := lineOf(line.Bytes)
		if fault != "" {
			why := fmt.Sprintf("line %d is not JSON: %s", line.Position.Line+1, fault)
			if c.Check.File.Rule == testplans.FileUnique {
				return notChecked(why), nil
			}
			return failed(why), nil
		}
		if c.Check.File.Rule == testplans.FileUnique {
			if at := seen[id]; at > 0 && id != "" {
				return failed(fmt.Sprintf("lines %d and %d are both %s/%s", at, line.Position.Line+1, got, id)), nil
			}
			seen[id] = line.Position.Line + 1
			continue
		}
		if listed.typ == "" {
			return notShown("the manifest gives no type to compare with"), nil
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
		return Outcome{Verdict: testplans.Fail, Items: both, Message: fmt.Sprintf("the file has %s, and the manifest says %s", counted(lines, "line", "lines"), listed.count)}, nil
	}
	return Outcome{Verdict: testplans.Pass, Items: both}, nil
}

// lineOf is the type and the id of a line's resource, or why it is no JSON. A line in strict JSON is not parsed for them.
func lineOf(line []byte) (typ, id, fault string) {
	if r, ok := skimLine(line); ok && r.typ != nil {
		return string(r.typ), string(r.id), ""
	}
	doc := fhirjson.Parse(line)
	defer doc.Release()
	if p := doc.Fatal(); p != nil {
		return "", "", p.Text
	}
	return strings.Clone(doc.Root().ResourceType()), strings.Clone(doc.Root().MemberText("id")), ""
}

// listed finds the attempt's file in the manifests of a step.
func (c *Case) listed(ctx context.Context, step string) (found *entry, from Item, why string, err error) {
	keys := c.Desk.requested(c.Attempt)
	near, doubtful, err := c.Desk.near(ctx, c.Attempt, []testplans.Relation{byFile}, step, c.Steps[step])
	if err != nil {
		return nil, Item{}, "", err
	}
	for _, m := range near {
		files, _, err := c.Desk.manifest(ctx, m)
		if err != nil {
			return nil, Item{}, "", err
		}
		for _, f := range files {
			switch {
			case f.key == "" || !slices.Contains(keys[:], f.key):
			case found == nil:
				found, from = &f, m
			case f.url != found.url && (f.typ != found.typ || f.count != found.count):
				return nil, Item{}, "files of the manifest have URLs that differ in what is not recorded: which of them this is cannot be told", nil
			}
		}
		if found != nil {
			return found, from, "", nil
		}
	}
	if len(doubtful) > 0 {
		_, why, err = c.Desk.manifest(ctx, doubtful[0])
	}
	return nil, Item{}, why, err
}

// fetched: each file that a manifest lists was downloaded. One job that was fetched whole is enough; others make notes.
func fetched(ctx context.Context, c *Case) (Outcome, error) {
	have := map[string]bool{}
	for _, a := range c.Attempts {
		if a.Exchange.Status() == http.StatusOK {
			for _, key := range c.Desk.requested(a) {
				have[key] = true
			}
		}
	}
	var short []Item
	var message, doubt string
	jobs, whole := 0, 0
	for _, m := range c.Steps[c.Check.Fetched.Manifest] {
		files, err := c.Desk.filesOf(ctx, m)
		if err != nil {
			return Outcome{}, err
		}
		if files.why != "" {
			doubt = files.why
		}
		if files.output == 0 {
			continue
		}
		jobs++
		missed, first := 0, ""
		for _, f := range files.list[:files.output] {
			if !have[f.key] {
				missed, first = missed+1, cmp.Or(first, f.typ)
			}
		}
		if missed == 0 {
			whole++
			continue
		}
		short = append(short, m)
		message = fmt.Sprintf("%s of a manifest not fetched, first the one of type %s", counted(missed, "file", "files"), first)
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
		key := c.Desk.requested(it)[0]
		before, seen := last[key]
		last[key] = it
		if !seen || before.Exchange.Response == nil {
			continue
		}
		if before.Exchange.Status() == http.StatusOK { // there is nothing left to wait for
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

// counted is a number of things in words.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
