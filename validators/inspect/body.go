package inspect

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/url"
	"strings"

	"fhirwire/proxy"
	"fhirwire/proxy/coding"
	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/httprules"
)

// half is one message of an exchange, with who sent it.
type half struct {
	ex   *proxy.Exchange
	msg  *proxy.Message
	part validators.Part
	side validators.Side
}

// message reads, parses and validates one body into the report. What keeps a body from being judged becomes an issue; the
// error is for what we failed at.
func (in *Inspector) message(ctx context.Context, r *report, j *judge, h half) (httprules.Content, error) {
	mt, _, err := mime.ParseMediaType(h.msg.Header.Get("Content-Type"))
	if err != nil {
		mt, _, _ = strings.Cut(strings.ToLower(h.msg.Header.Get("Content-Type")), ";")
		mt = strings.TrimSpace(mt)
	}
	c := httprules.Content{MediaType: mt, Size: h.msg.Body.Size}
	b := h.msg.Body
	switch {
	case b.Empty():
		c.Read = true
		return c, nil
	case b.Digest == "" || b.Stored == 0:
		r.unjudged(h, "body-not-stored", fmt.Sprintf("The body of %d bytes was not stored: nothing in it was judged.", b.Size))
		return c, nil
	}
	raw, err := in.bodies.OpenBody(ctx, b.Digest)
	if err != nil {
		return c, fmt.Errorf("stored body: %w", err)
	}
	defer func() { _ = raw.Close() }()
	decoded, err := coding.NewReader(raw, coding.Of(h.msg.Header), coding.Limits{Stored: b.Stored, Ratio: in.opt.MaxRatio, Free: in.opt.MaxDecoded / 64})
	if err != nil {
		r.unjudged(h, "body-coding", "The body could not be decoded: "+err.Error()+". Kept as received.")
		return c, nil
	}
	defer func() { _ = decoded.Close() }()
	if mt == "application/fhir+ndjson" || mt == "application/ndjson" || mt == "application/x-ndjson" {
		return c, in.lines(ctx, r, j, h, decoded)
	}
	return in.whole(ctx, r, j, h, c, decoded)
}

func (in *Inspector) whole(ctx context.Context, r *report, j *judge, h half, c httprules.Content, src io.Reader) (httprules.Content, error) {
	head := bufio.NewReader(src)
	if !strings.Contains(c.MediaType, "json") && !looksLikeJSON(head) {
		if strings.Contains(c.MediaType, "xml") {
			r.unjudged(h, "body-xml", "The body is XML, which is not judged here.")
		}
		c.Read = !strings.Contains(c.MediaType, "xml")
		if c.MediaType == "application/x-www-form-urlencoded" {
			c.Form = form(head)
		}
		return c, nil
	}
	switch b := h.msg.Body; {
	case !b.Complete:
		return c, nil // the failure of the exchange says so
	case b.Truncated():
		r.unjudged(h, "body-over-cap", fmt.Sprintf("The stored copy has %d of %d bytes: the body was not judged.", b.Stored, b.Size))
		return c, nil
	}
	src = io.LimitReader(head, in.opt.MaxDecoded+1)
	data, err := io.ReadAll(src)
	switch {
	case errors.Is(err, coding.ErrExpands):
		r.unjudged(h, "body-over-cap", "The body expands beyond all measure when decoded: it was not judged.")
		return c, nil
	case err != nil:
		r.unjudged(h, "body-coding", "The body could not be decoded: "+err.Error()+". Kept as received.")
		return c, nil
	case int64(len(data)) > in.opt.MaxDecoded:
		r.unjudged(h, "body-over-cap", fmt.Sprintf("The body is larger than %d MiB when decoded: it was not judged.", in.opt.MaxDecoded>>20))
		return c, nil
	}
	c.Read = true
	c.Doc = fhirjson.Parse(data)
	return c, in.document(ctx, r, j, h, c.Doc)
}

// maxForm bounds the form that is read; token requests are a few kilobytes.
const maxForm = 256 << 10

// form reads a form; what of it is no form, or too much, is left out.
func form(r io.Reader) url.Values {
	data, err := io.ReadAll(io.LimitReader(r, maxForm))
	if err != nil {
		return nil
	}
	v, _ := url.ParseQuery(string(data)) // keeps what it could read
	return v
}

// looksLikeJSON peeks behind blanks for an opening brace: servers send FHIR as text/plain too.
func looksLikeJSON(r *bufio.Reader) bool {
	head, _ := r.Peek(512)
	head = bytes.TrimLeft(head, " \t\r\n\xef\xbb\xbf")
	return len(head) > 0 && head[0] == '{'
}

// jsonPatch reports a body of changes to a resource (R4 http 3.1.0.6), which is JSON and no resource.
func jsonPatch(h half) bool {
	mt, _, _ := strings.Cut(h.msg.Header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(mt), "application/json-patch+json")
}

// document validates a parsed body. JSON that is neither FHIR nor expected to be is only checked for its form.
func (in *Inspector) document(ctx context.Context, r *report, j *judge, h half, doc *fhirjson.Document) error {
	root := doc.Root()
	fhir := root != nil && root.ResourceType() != "" || httprules.FHIRKind(h.ex.Interaction.Kind) && !jsonPatch(h)
	if !fhir {
		for _, p := range doc.Problems() {
			r.add(validators.Issue{
				Severity: validators.SeverityError, Code: validators.CodeStructure, MessageID: p.ID, Message: "The JSON is faulty: " + p.Text + ".",
				Position: doc.Position(p.Offset), Part: h.part, Side: h.side, Resource: -1,
			})
		}
		return nil
	}
	asked := operationProfiles(h)
	rep, err := j.ValidateDocument(ctx, doc, urls(asked)...)
	if err != nil {
		return err
	}
	r.merge(rep, h, asked)
	return nil
}

// lines validates NDJSON line by line.
func (in *Inspector) lines(ctx context.Context, r *report, j *judge, h half, src io.Reader) error {
	b := h.msg.Body
	cut := b.Truncated() || !b.Complete
	sc := fhirjson.NewLineScanner(src, in.opt.MaxLine)
	for sc.Scan() {
		line := sc.Line()
		if line.Open && cut {
			break // half a line
		}
		if len(bytes.TrimSpace(line.Bytes)) == 0 {
			r.add(lineIssue(h, line.Position, "ndjson-blank-line", validators.SeverityWarning, "Line %d is blank.", line.Position.Line+1))
			continue
		}
		doc := fhirjson.ParseAt(line.Bytes, line.Position, fhirjson.Limits{})
		rep, err := j.ValidateDocument(ctx, doc)
		doc.Release()
		if err != nil {
			return err
		}
		r.merge(rep, h, nil)
	}
	switch err := sc.Err(); {
	case b.Truncated():
		r.unjudged(h, "body-over-cap", fmt.Sprintf("The stored copy has %d of %d bytes: the lines beyond were not judged.", b.Stored, b.Size))
	case err != nil && !cut:
		r.unjudged(h, "body-coding", "The file could not be read to its end: "+err.Error()+".")
	}
	return nil
}

func lineIssue(h half, at validators.Position, id string, sev validators.Severity, format string, args ...any) validators.Issue {
	at.Line++
	at.Column++
	return validators.Issue{
		Severity: sev, Code: validators.CodeStructure, MessageID: id, Message: fmt.Sprintf(format, args...), Position: at, Part: h.part, Side: h.side,
		Requirement: "BULK-FI-21", Resource: -1,
	}
}
