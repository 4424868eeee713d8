package har

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"

	"fhirwire/proxy"
)

// Entry is one exchange of a HAR.
type Entry struct {
	// Exchange has the mode imported. Its bodies are described as stored.
	Exchange *proxy.Exchange
	// Request and Response are the bodies to be stored, nil for none.
	Request, Response []byte
	// Clear says that the entry is not one of ours: its secrets are as they were sent, in headers, URLs and bodies.
	Clear bool
}

// Decoder reads a HAR.
type Decoder struct {
	r        *json.Decoder
	channels []*proxy.Channel
	seen     int
}

// NewDecoder reads from r.
func NewDecoder(r io.Reader) *Decoder { return &Decoder{r: json.NewDecoder(r)} }

// Channels are the channels that the file names, for what its exchanges are judged by: Name, ServerURL and Options. A file of ours has
// them before its entries, so they are known with the first one.
func (d *Decoder) Channels() []*proxy.Channel { return slices.Clone(d.channels) }

// Entries yields the entries in the order of the file, once. An error ends it.
func (d *Decoder) Entries() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		err := d.object(func(name string) error {
			if name != "log" {
				return d.skip()
			}
			return d.object(func(name string) error {
				switch name {
				case "_fhirwire":
					return d.own()
				case "entries":
					return d.entries(yield)
				default:
					return d.skip()
				}
			})
		})
		switch {
		case errors.Is(err, errStopped):
		case err != nil:
			yield(Entry{}, fmt.Errorf("har: near byte %d: %w", d.r.InputOffset(), err))
		}
	}
}

var errStopped = errors.New("the reader has enough")

func (d *Decoder) delim(want json.Delim) error {
	t, err := d.r.Token()
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	if t != want {
		return fmt.Errorf("expected %q, found %v", want.String(), t)
	}
	return nil
}

func (d *Decoder) object(member func(name string) error) error {
	if err := d.delim('{'); err != nil {
		return err
	}
	for d.r.More() {
		name, err := d.r.Token()
		if err != nil {
			return err
		}
		text, ok := name.(string)
		if !ok {
			return fmt.Errorf("expected a member's name, found %v", name)
		}
		if err := member(text); err != nil {
			return err
		}
	}
	return d.delim('}')
}

func (d *Decoder) skip() error {
	var v raw
	return d.r.Decode(&v)
}

func (d *Decoder) own() error {
	var o logOwn
	if err := d.r.Decode(&o); err != nil {
		return fmt.Errorf("_fhirwire: %w", err)
	}
	for _, c := range o.Channels {
		d.channels = append(d.channels, &proxy.Channel{Name: c.Name, ServerURL: c.ServerURL, Options: c.Options})
	}
	return nil
}

func (d *Decoder) entries(yield func(Entry, error) bool) error {
	if err := d.delim('['); err != nil {
		return fmt.Errorf("entries: %w", err)
	}
	for d.r.More() {
		d.seen++
		var text raw
		if err := d.r.Decode(&text); err != nil {
			return fmt.Errorf("entry %d: %w", d.seen, err)
		}
		e, err := decodeEntry(text)
		if errors.Is(err, errNoHTTP) {
			continue
		}
		if err != nil {
			return fmt.Errorf("entry %d: %w", d.seen, err)
		}
		if !yield(e, nil) {
			return errStopped
		}
	}
	return d.delim(']')
}

func decodeEntry(text []byte) (Entry, error) {
	if err := vetText(text); err != nil {
		return Entry{}, err
	}
	var e struct {
		entry
		Request  *looseRequest  `json:"request"`
		Response *looseResponse `json:"response"`
		Cache    raw            `json:"cache"`
		Error    raw            `json:"_error"`
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return Entry{}, err
	}
	if e.Request == nil || e.Request.Method == "" || e.Request.URL == "" {
		return Entry{}, errors.New("it has no request with a method and a url")
	}
	switch u, err := url.Parse(e.Request.URL); {
	case err != nil || !u.IsAbs():
		return Entry{}, fmt.Errorf("request: %q is no absolute URL", e.Request.URL)
	case e.Own == nil && !strings.EqualFold(u.Scheme, "http") && !strings.EqualFold(u.Scheme, "https"):
		return Entry{}, errNoHTTP
	}
	ex := &proxy.Exchange{Mode: proxy.ModeImported, Request: proxy.Request{
		Method: e.Request.Method, URL: e.Request.URL, Target: e.Request.URL,
		Message: proxy.Message{Proto: e.Request.HTTPVersion, Header: header(e.Request.Headers, e.Own != nil)},
	}}
	out := Entry{Exchange: ex, Clear: e.Own == nil}
	var err error
	if out.Request, err = e.Request.body(); err != nil {
		return Entry{}, fmt.Errorf("request body: %w", err)
	}
	if e.Response != nil && e.Response.Status > 0 {
		ex.Response = &proxy.Response{Status: e.Response.Status, Message: proxy.Message{Proto: e.Response.HTTPVersion, Header: header(e.Response.Headers, e.Own != nil)}}
		if out.Response, err = bytesOf(e.Response.Content.Text, e.Response.Content.Encoding); err != nil {
			return Entry{}, fmt.Errorf("response body: %w", err)
		}
	}
	if e.Own != nil {
		return out, ofOurs(&out, e.Own)
	}
	if err := ofOthers(&out, &e.entry, text); err != nil {
		return Entry{}, err
	}
	withhold(&out, e.Request, e.Response)
	if ex.Failure != nil {
		ex.Failure.Detail += whyNone(e.Error, e.Response)
	}
	return out, nil
}

// The parts of entries as other tools write them: with members beyond the standard, null for what is missing, sizes in fractions.
type looseRequest struct {
	Method, URL, HTTPVersion string
	Headers                  []pair
	PostData                 *postData
	BodySize                 float64
}

type looseResponse struct {
	Status      int
	HTTPVersion string
	Headers     []pair
	Content     struct {
		Text, Encoding string
		Size           float64
	}
	Error raw `json:"_error"`
}

func (r *looseRequest) body() ([]byte, error) {
	p := r.PostData
	switch {
	case p == nil:
		return nil, nil
	case p.Text == "" && len(p.Params) > 0:
		form := make([]string, 0, len(p.Params))
		for _, f := range p.Params {
			form = append(form, url.QueryEscape(f.Name)+"="+url.QueryEscape(f.Value))
		}
		return []byte(strings.Join(form, "&")), nil
	default:
		return bytesOf(p.Text, p.Encoding)
	}
}

func bytesOf(text, encoding string) ([]byte, error) {
	switch {
	case text == "":
		return nil, nil
	case encoding == "base64":
		return base64.StdEncoding.DecodeString(text)
	case encoding == "":
		return []byte(text), nil
	default:
		return nil, fmt.Errorf("the encoding %q is not known", encoding)
	}
}

// header keeps the lines of ours as they are; of others it leaves out the pseudo headers of HTTP/2.
func header(list []pair, ours bool) proxy.Header {
	var h proxy.Header
	for _, p := range list {
		switch {
		case ours:
			h = append(h, proxy.Field(p))
		case !strings.HasPrefix(p.Name, ":"):
			h = append(h, proxy.Field{Name: textproto.CanonicalMIMEHeaderKey(p.Name), Value: p.Value})
		}
	}
	return h
}

func ofOurs(out *Entry, o *own) error {
	ex := out.Exchange
	ex.ID, ex.Number, ex.Channel, ex.Matched, ex.ClientAddr = o.ID, o.Number, o.Channel, o.Matched, o.ClientAddr
	ex.Request.Target, ex.Failure, ex.Edits = o.Target, o.Failure, o.Edits
	ex.ClientLeg, ex.ServerLeg = bounded(o.ClientLeg), bounded(o.ServerLeg)
	ex.Timing = proxy.Timing{
		Start: o.Times.Start, RequestDone: o.Times.RequestDone, Connected: o.Times.Connected, FirstByte: o.Times.FirstByte, End: o.Times.End, ReusedUpConn: o.Times.ReusedUpConn,
	}
	if ex.ID == "" || ex.Timing.Start.IsZero() {
		return errors.New("_fhirwire: it has no id or no time")
	}
	if err := o.Request.restore(&ex.Request.Message, &out.Request); err != nil {
		return fmt.Errorf("_fhirwire: request: %w", err)
	}
	if ex.Response == nil {
		return nil
	}
	if o.Response == nil {
		return errors.New("_fhirwire: it does not describe the response's body")
	}
	if err := o.Response.restore(&ex.Response.Message, &out.Response); err != nil {
		return fmt.Errorf("_fhirwire: response: %w", err)
	}
	return nil
}

// bounded cuts chains as long as no connection has.
func bounded(l *proxy.Leg) *proxy.Leg {
	if l != nil && l.TLS != nil {
		l.TLS.Server = l.TLS.Server[:min(len(l.TLS.Server), proxy.MaxChain)]
		l.TLS.Client = l.TLS.Client[:min(len(l.TLS.Client), proxy.MaxChain)]
	}
	return l
}

// restore puts back the stored body and what is known of it. A body that was kept whole must have its digest: anything else was changed
// since.
func (h *half) restore(m *proxy.Message, body *[]byte) error {
	if h.Raw != nil {
		*body = h.Raw
	}
	m.Body, m.Trailer = h.Body, h.Trailer
	if int64(len(*body)) != m.Body.Stored {
		return fmt.Errorf("the body has %d bytes, where %d were stored: the file was changed", len(*body), m.Body.Stored)
	}
	if whole := m.Body.Stored == m.Body.Size && !m.Body.Redacted && m.Body.Size > 0; whole && digest(*body) != m.Body.Digest {
		return errors.New("the body does not have its SHA-256: the file was changed")
	}
	return nil
}

func digest(b []byte) proxy.Digest {
	sum := sha256.Sum256(b)
	return proxy.Digest(hex.EncodeToString(sum[:]))
}

// ofOthers fills in what other tools' entries have in another form.
func ofOthers(out *Entry, e *entry, text []byte) error {
	ex := out.Exchange
	start, err := startOf(e.StartedDateTime)
	if err != nil {
		return err
	}
	t := &ex.Timing
	t.Start, t.End = start, start.Add(duration(e.Time))
	t.RequestDone = start.Add(duration(e.Timings.Blocked) + duration(e.Timings.DNS) + duration(e.Timings.Connect) + duration(e.Timings.Send))
	ex.ID, ex.Matched = idOf(start, text), "imported from a HAR"
	ex.Request.Body = undone(&ex.Request.Message, out.Request)
	if ex.Response == nil {
		// Whose fault that was is not in it: the server may be down, or the client have hung up or blocked it.
		ex.Failure = &proxy.Failure{Reason: proxy.ReasonUpstreamDown, Detail: "the file has no response"}
		return nil
	}
	t.FirstByte = t.RequestDone.Add(duration(e.Timings.Wait))
	ex.Response.Body = undone(&ex.Response.Message, out.Response)
	return nil
}

func duration(ms float64) time.Duration {
	if !(ms > 0) || ms > 1e9 {
		return 0
	}
	return time.Duration(ms * float64(time.Millisecond))
}

// undone describes a body of which a HAR has the decoded text: the header that says how it was coded goes, since it is not so any more.
// Where the bytes are still coded, as in folders of messages and in HARs of some tools, it stays.
func undone(m *proxy.Message, body []byte) proxy.Body {
	coded := stillCoded(m.Header, body)
	m.Header = slices.DeleteFunc(m.Header, func(f proxy.Field) bool {
		return strings.EqualFold(f.Name, "Content-Encoding") && !coded || strings.EqualFold(f.Name, "Transfer-Encoding")
	})
	b := proxy.Body{Size: int64(len(body)), Stored: int64(len(body)), Complete: true}
	if len(body) > 0 {
		b.Digest = digest(body)
	}
	return b
}

// idOf is a UUIDv7 made of the time and the entry, so that the same entry has the same id whenever it is read.
func idOf(start time.Time, text []byte) string {
	sum := sha256.Sum256(bytes.TrimSpace(text))
	var id [16]byte
	binary.BigEndian.PutUint64(id[:8], uint64(start.UnixMilli())<<16)
	copy(id[6:], sum[:10])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	h := hex.EncodeToString(id[:])
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}
