package web

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"fhirwire/proxy"
	"fhirwire/proxy/coding"
	"fhirwire/web/views"
)

const (
	viewBytes  = 16 << 20 // most of a body that a page reads, decoded
	hexRows    = 2_048
	hexPerRow  = 16
	sniffBytes = 8 << 10
)

// openedBody is a stored body as far as it is viewed.
type openedBody struct {
	stored  []byte // as received
	text    []byte // decoded; the stored bytes when there is no coding
	binary  bool
	missing bool
	notes   []views.Notice
}

// openBody reads at most limit bytes of a body and decodes them for viewing only. It never fails: what went wrong is said
// in notes.
func openBody(ctx context.Context, bodies proxy.Bodies, m proxy.Message, limit int64) *openedBody {
	b := &openedBody{}
	r, err := bodies.OpenBody(ctx, m.Body.Digest)
	if err != nil {
		b.missing = true
		text := "Its SHA-256 and size are known, its bytes are not in this data folder."
		if !errors.Is(err, proxy.ErrNoBody) {
			text = "Our fault: the stored copy could not be read."
		}
		b.note("v-none", "The body is not here", text)
		return b
	}
	defer func() { _ = r.Close() }() // it was only read
	if b.stored, err = io.ReadAll(io.LimitReader(r, limit)); err != nil {
		b.note("v-error", "The stored copy breaks off", "Our fault: it could not be read to its end.")
	}
	if int64(len(b.stored)) == limit && m.Body.Stored > limit {
		b.note("v-none", "The first "+views.Size(limit)+" are shown", "The download has all "+views.Size(m.Body.Stored)+" that are kept.")
	}
	b.text = b.stored
	b.decode(coding.Of(m.Header), limit)
	b.binary = isBinary(b.text)
	return b
}

func (b *openedBody) note(class, title, text string) {
	b.notes = append(b.notes, views.Notice{Class: class, Title: title, Text: text})
}

func (b *openedBody) decode(codings []string, limit int64) {
	if len(codings) == 0 {
		return
	}
	name := visible([]byte(clip(strings.Join(codings, ", "), 40)))
	r, err := coding.NewReader(bytes.NewReader(b.stored), codings, coding.Limits{Stored: int64(len(b.stored)), BareDeflate: true})
	switch {
	case errors.Is(err, coding.ErrUnknown):
		b.note("v-none", "Sent with content coding "+name, "Pages decode gzip, deflate and zstd. These are the bytes as received.")
		return
	case err != nil:
		b.note("v-fail", "This is not "+name, "The Content-Encoding header says so and the bytes do not. They are shown as received.")
		return
	}
	defer func() { _ = r.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case errors.Is(err, coding.ErrExpands), err == nil && int64(len(text)) > limit:
		text = text[:min(limit, int64(len(text)))]
		b.note("v-none", "The first "+views.Size(int64(len(text)))+" are shown", fmt.Sprintf("The body decodes to more than that from %s. The download has it as received.", views.Size(int64(len(b.stored)))))
	case err != nil:
		b.note("v-fail", "The "+name+" data breaks off", "What could be decoded is shown: "+views.Size(int64(len(text)))+".")
	}
	b.text = text
}

// bodyNotices say what the stored copy is not.
func bodyNotices(b proxy.Body) []views.Notice {
	var out []views.Notice
	if b.Truncated() {
		out = append(out, views.Notice{Class: "v-none", Title: "The stored copy is cut", Text: "All " + views.Size(b.Size) + " were forwarded. The first " + views.Size(b.Stored) + " are kept; the SHA-256 " + string(b.Digest) + " is over all of them."})
	}
	if !b.Complete {
		out = append(out, views.Notice{Class: "v-not-checked", Title: "Cut off after " + views.Size(b.Size), Text: "The sender or the receiver broke off. It is kept as it came."})
	}
	if b.Redacted {
		out = append(out, views.Notice{Class: "v-none", Title: "Secrets are fingerprints", Text: "Tokens and secrets were replaced before anything was stored, so the size and the SHA-256 are those of the original."})
	}
	return out
}

func isBinary(b []byte) bool {
	head := b[:min(len(b), sniffBytes)]
	if bytes.IndexByte(head, 0) >= 0 {
		return true
	}
	bad := 0
	for i := 0; i < len(head); {
		r, n := utf8.DecodeRune(head[i:])
		if r == utf8.RuneError && n == 1 && len(head)-i >= utf8.UTFMax || r < 0x20 && !isSpace(byte(r)) {
			bad++
		}
		i += n
	}
	return bad*20 > len(head)
}

// asJSON reports whether a body is worth laying out as JSON.
func asJSON(h proxy.Header, text []byte) bool {
	t, ok := nextToken(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")), 0)
	if !ok {
		return false
	}
	return t.kind == '{' || t.kind == '[' || strings.Contains(strings.ToLower(h.Get("Content-Type")), "json") && (t.kind == '}' || t.kind == ']' || t.kind == '"')
}

// hex shows the bytes as received.
func (x *half) hex(b *views.Body, part int, link func(int) string) {
	src := x.body.stored
	rows := (len(src) + hexPerRow - 1) / hexPerRow
	part = max(0, min(part, max(0, rows-1)/hexRows))
	from, to := part*hexRows, min(rows, (part+1)*hexRows)
	if coding := x.msg.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		b.Note = append(b.Note, views.Notice{Class: "v-none", Title: "Bytes as received, still " + visible([]byte(clip(coding, 40))), Text: "Pretty and Raw show them decoded."})
	}
	for row := from; row < to; row++ {
		line := src[row*hexPerRow : min(len(src), (row+1)*hexPerRow)]
		b.Blocks = append(b.Blocks, views.Block{Line: views.Line{
			Number: fmt.Sprintf("%06x", row*hexPerRow),
			Spans:  []views.Span{{Text: hexBytes(line)}, {Class: "s", Text: ascii(line)}},
		}})
	}
	if part > 0 {
		b.Before = link(part - 1)
	}
	if to < rows {
		b.More = link(part + 1)
	}
	if rows > hexRows {
		b.Shown = "Bytes " + views.Count(from*hexPerRow) + " to " + views.Count(min(len(src), to*hexPerRow)) + " of " + views.Count(len(src))
	}
}

func hexBytes(b []byte) string {
	var out strings.Builder
	for i := range hexPerRow {
		if i == hexPerRow/2 {
			out.WriteByte(' ')
		}
		if i < len(b) {
			out.WriteString(hex.EncodeToString(b[i:i+1]) + " ")
		} else {
			out.WriteString("   ")
		}
	}
	return out.String() + " "
}

func ascii(b []byte) string {
	out := bytes.Clone(b)
	for i, c := range out {
		if c < 0x20 || c >= 0x7f {
			out[i] = '.'
		}
	}
	return string(out)
}
