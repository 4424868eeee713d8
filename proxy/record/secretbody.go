package record

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"errors"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"fhirwire/proxy"
	"fhirwire/proxy/rewrite"
)

// decodeCap bounds what is decoded of a small compressed body, in bytes; scanCap what is searched of a large one.
const (
	decodeCap = 8 << 20
	scanCap   = 512 << 20
)

const (
	withheldCoding = "content coding not readable, and secrets are likely"
	withheldForm   = "secrets are likely, and the form is not one they can be found in"
)

// needles are what a body with secrets has in it, as far as bodies outside OAuth endpoints are concerned. The last one is an escaped
// ASCII character, which could hide one of the others.
var needles = [][]byte{
	[]byte("access_token"), []byte("refresh_token"), []byte("id_token"), []byte("client_secret"), []byte("client_assertion"),
	[]byte("subject_token"), []byte("actor_token"), []byte("software_statement"), []byte("X-Amz-Signature="),
	[]byte("X-Amz-Security-Token="), []byte("X-Goog-Signature="), []byte("device_code"), []byte("user_code"), []byte("code_verifier"),
	[]byte("accessToken"), []byte("refreshToken"), []byte("idToken"), []byte("clientSecret"), []byte("uthorization:"), []byte(`uthorization"`), []byte("earer "),
	[]byte(`\u00`),
}

var givenNeedle = regexp.MustCompile(`(?i)(access_token|refresh_token|id_token|client_secret|client_assertion|subject_token|software_statement)["']?\s*[:=>]`)

func hasNeedle(b []byte) bool {
	return slices.ContainsFunc(needles, func(n []byte) bool { return bytes.Contains(b, n) })
}

// maskStored replaces the secrets in a stored body. oauth says that the exchange is with an authorization server: there, what cannot
// be read is not kept. fhir says that a parameter called code is a search parameter.
func (rec *Recorder) maskStored(m masker, b *stored, h proxy.Header, oauth, fhir bool) {
	if b.body.Stored == 0 {
		return
	}
	d := document{contentType: strings.ToLower(h.Get("Content-Type")), oauth: oauth, fhir: fhir && !oauth, whole: b.body.Complete && b.body.Stored == b.body.Size}
	d.form = isForm(d.contentType)
	coding := strings.ToLower(strings.TrimSpace(h.Get("Content-Encoding")))
	if b.body.Stored > maskCap {
		rec.maskLarge(b, d, coding)
		return
	}
	raw, err := b.bytes()
	if err != nil {
		rec.withhold(b, "the copy could not be read back")
		return
	}
	plain, err := decode(raw, coding)
	if err != nil {
		// A broken or unknown coding: what can be seen of it decides, and on an authorization server that it cannot be.
		if d.oauth || d.form || hasNeedle(plain) || m.seen.in(plain) {
			rec.withhold(b, withheldCoding)
		}
		return
	}
	masked, ok := m.body(plain, d)
	masked = m.unsaid(masked)
	switch {
	case !ok:
		rec.withhold(b, withheldForm)
	case !bytes.Equal(masked, plain):
		rec.replace(b, encode(masked, coding))
	}
}

// document is what is known of a body beside its bytes.
type document struct {
	contentType string
	oauth       bool
	fhir        bool
	form        bool
	whole       bool // not broken off, not cut
}

func (d document) json(start []byte) bool {
	text := bytes.TrimLeft(start, " \t\r\n\ufeff")
	return len(text) > 0 && bytes.IndexByte([]byte(`{["`), text[0]) >= 0
}

// body masks a decoded body; false: it must not be kept.
func (m masker) body(plain []byte, d document) ([]byte, bool) {
	switch {
	case len(bytes.TrimSpace(plain)) == 0:
		return plain, true
	case d.form:
		return []byte(m.params(string(plain), d.fhir)), true
	case d.json(plain):
		if !d.oauth && !hasNeedle(plain) && !m.hasJWT(plain) {
			return plain, true
		}
		if d.whole && !validDocuments(plain) && (d.oauth || givenNeedle.Match(plain)) {
			return nil, false
		}
		out, err := io.ReadAll(rewrite.NewStream(bytes.NewReader(plain), &redactor{m: m, oauth: d.oauth}, 0, 2*maskCap))
		return out, err == nil
	case d.oauth && (!strings.Contains(d.contentType, "html") || inputForm.Match(plain)):
		return nil, false
	case hasNeedle(plain) && (givenNeedle.Match(plain) || d.oauth || strings.Contains(d.contentType, "html") || strings.Contains(d.contentType, "multipart")):
		return nil, false
	}
	if d.oauth || bytes.Contains(plain, []byte("eyJ")) || bytes.Contains(plain, []byte("uthorization:")) || bytes.Contains(plain, []byte("earer ")) {
		return []byte(m.text(string(plain), d.fhir)), true
	}
	return plain, true
}

// validDocuments reports whether b is one JSON text or several.
func validDocuments(b []byte) bool {
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(b, []byte("\ufeff"))))
	for {
		var raw json.RawMessage
		switch err := d.Decode(&raw); {
		case errors.Is(err, io.EOF):
			return true
		case err != nil:
			return false
		}
	}
}

// redactor is the rewrite.Editor that puts fingerprints in place of secrets.
type redactor struct {
	m     masker
	oauth bool
	count int
}

// Wants implements rewrite.Editor.
func (*redactor) Wants(rewrite.Path) bool { return true }

// Edit implements rewrite.Editor.
func (r *redactor) Edit(p rewrite.Path, s string) (string, bool) {
	for _, step := range p {
		name := strings.ToLower(step.Key)
		if name == "authorization" || name == "proxy-authorization" {
			r.count++
			return r.m.credentials(s), true
		}
		if memberNames[name] || r.oauth && (proxy.SecretName(name) || name == "code") {
			r.count++
			return r.m.value(s), true
		}
	}
	if !r.oauth && !strings.Contains(s, "://") && !strings.Contains(s, "eyJ") {
		to := r.m.credentialsIn(s) // else it is prose of a resource
		if to != s {
			r.count++
		}
		return to, to != s
	}
	to := r.m.text(s, true)
	if to == s {
		return s, false
	}
	r.count++
	return to, true
}

// EditUnfinished is Edit for a string the end of the body cut.
func (r *redactor) EditUnfinished(p rewrite.Path, s string) (string, bool) { return r.Edit(p, s) }

// maskLarge searches a body that is not in memory, and copies it without its secrets if it has any. Only JSON is searched: forms and
// bodies of authorization servers of this size are not kept in the first place (see capture.secret), and NDJSON files are resources.
func (rec *Recorder) maskLarge(b *stored, d document, coding string) {
	if strings.Contains(d.contentType, "ndjson") {
		return
	}
	found, err := scan(b, d, coding)
	switch {
	case err == nil && !found:
		return
	case err != nil && !found:
		return // what can be read of it has none
	case err != nil:
		rec.withhold(b, withheldCoding)
		return
	}
	if err := rec.maskFile(b, coding); err != nil {
		rec.opt.Logger.Error("body withheld: its secrets could not be replaced", "error", err)
		rec.withhold(b, "the copy without secrets could not be written")
	}
}

// scan looks for needles in a JSON body.
func scan(b *stored, d document, coding string) (bool, error) {
	f, err := b.open()
	if err != nil {
		return false, err
	}
	defer f.Close() //nolint:errcheck // read only
	r, err := decoder(f, coding)
	if err != nil {
		return false, err
	}
	const overlap = 64
	buf := make([]byte, 256<<10)
	n, total := 0, 0
	for total < scanCap {
		k, err := io.ReadAtLeast(r, buf[n:], 1)
		total += k
		n += k
		if total == k && !d.json(buf[:n]) {
			return false, nil
		}
		if hasNeedle(buf[:n]) {
			return true, nil
		}
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if n > overlap {
			n = copy(buf, buf[n-overlap:n])
		}
	}
	return false, nil
}

func (rec *Recorder) maskFile(b *stored, coding string) error {
	src, err := b.open()
	if err != nil {
		return err
	}
	defer src.Close() //nolint:errcheck // read only
	r, err := decoder(src, coding)
	if err != nil {
		return err
	}
	dst, err := rec.spool.create(rec.opt.NewID() + "-masked")
	if err != nil {
		return err
	}
	counted := &counter{w: dst}
	w := encoder(counted, coding)
	editor := &redactor{m: rec.mask}
	_, err = io.Copy(w, rewrite.NewStream(io.LimitReader(r, scanCap), editor, 0, 2*maskCap))
	if err = errors.Join(err, w.Close(), dst.Close()); err != nil || editor.count == 0 {
		return errors.Join(err, os.Remove(dst.Name()))
	}
	b.drop(rec)
	b.path, b.body.Stored, b.body.Redacted = dst.Name(), counted.n, true
	return nil
}

func (rec *Recorder) withhold(b *stored, why string) {
	b.drop(rec)
	b.body.Stored, b.body.Redacted, b.body.Withheld = 0, true, why
}

func (rec *Recorder) replace(b *stored, with []byte) {
	b.drop(rec)
	rec.memory.Add(int64(len(with)))
	b.mem = with
	b.body.Stored, b.body.Redacted = int64(len(with)), true
}

var (
	errCoding   = errors.New("content coding unknown")
	errTooLarge = errors.New("decoded body too large")
)

// decode undoes a content coding; with an error it returns what it could decode.
func decode(raw []byte, coding string) ([]byte, error) {
	r, err := decoder(bytes.NewReader(raw), coding)
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(r, decodeCap+1))
	if err == nil && len(plain) > decodeCap {
		err = errTooLarge
	}
	return plain, err
}

func decoder(r io.Reader, coding string) (io.Reader, error) {
	switch coding {
	case "", "identity":
		return r, nil
	case "gzip", "x-gzip":
		return gzip.NewReader(r)
	case "deflate": // zlib by RFC 9110 8.4.1.2, bare deflate in practice too
		b := bufio.NewReader(r)
		if head, err := b.Peek(2); err == nil && head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
			return zlib.NewReader(b)
		}
		return flate.NewReader(b), nil
	}
	return nil, errCoding
}

// encoder applies coding again, so that the stored copy still is what its header says.
func encoder(w io.Writer, coding string) io.WriteCloser {
	switch coding {
	case "gzip", "x-gzip":
		return gzip.NewWriter(w)
	case "deflate":
		return zlib.NewWriter(w)
	}
	return nopCloser{w}
}

func encode(plain []byte, coding string) []byte {
	var b bytes.Buffer
	w := encoder(&b, coding)
	_, _ = w.Write(plain) // a Buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
