package har

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"fhirwire/proxy"
)

// Options are settings of Encode.
type Options struct {
	// Version is the program's, for the creator.
	Version string
	// Channels are those of the exchanges: what they are judged by goes along.
	Channels []*proxy.Channel
}

// maxDecoded bounds what is decoded of a compressed body to be readable in the file; the stored bytes are there in any case.
const maxDecoded = 64 << 20

// Encode writes exchanges, one at a time, as one HAR 1.2 log.
func Encode(ctx context.Context, w io.Writer, exchanges iter.Seq2[*proxy.Exchange, error], bodies proxy.Bodies, o Options) error {
	out := bufio.NewWriterSize(w, 64<<10)
	head := struct {
		Version string  `json:"version"`
		Creator creator `json:"creator"`
		Own     logOwn  `json:"_fhirwire"`
	}{"1.2", creator{"fhirwire", o.Version}, logOwn{}}
	for _, c := range o.Channels {
		head.Own.Channels = append(head.Own.Channels, channel{c.Name, c.ServerURL, c.Options})
	}
	text, err := json.Marshal(head)
	if err != nil {
		return fmt.Errorf("har: %w", err)
	}
	fmt.Fprintf(out, `{"log":%s,"entries":[`, text[:len(text)-1]) //nolint:errcheck // a bufio.Writer keeps its error for Flush
	first := true
	for ex, err := range exchanges {
		if err != nil {
			return err
		}
		e, err := entryOf(ctx, ex, bodies)
		if err != nil {
			return fmt.Errorf("har: exchange %s: %w", ex.ID, err)
		}
		if text, err = marshal(e); err != nil {
			return fmt.Errorf("har: exchange %s: %w", ex.ID, err)
		}
		if !first {
			out.WriteByte(',') //nolint:errcheck // as above
		}
		first = false
		out.WriteByte('\n') //nolint:errcheck // as above
		if _, err := out.Write(text); err != nil {
			return fmt.Errorf("har: %w", err)
		}
	}
	out.WriteString("\n]}}\n") //nolint:errcheck // as above
	if err := out.Flush(); err != nil {
		return fmt.Errorf("har: %w", err)
	}
	return nil
}

// marshal leaves <, > and & readable.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func entryOf(ctx context.Context, ex *proxy.Exchange, bodies proxy.Bodies) (*entry, error) {
	t := ex.Timing
	e := &entry{
		StartedDateTime: t.Start.UTC().Format(time.RFC3339Nano), Time: max(0, ms(t.Start, t.End)),
		Timings: timings{Blocked: -1, DNS: -1, Connect: -1, SSL: -1, Send: max(0, ms(t.Start, t.RequestDone)), Wait: max(0, ms(t.RequestDone, t.FirstByte)), Receive: max(0, ms(t.FirstByte, t.End))},
		Own: &own{
			ID: ex.ID, Number: ex.Number, Channel: ex.Channel, Matched: ex.Matched, Mode: ex.Mode, ClientAddr: ex.ClientAddr,
			ClientLeg: ex.ClientLeg, ServerLeg: ex.ServerLeg,
			Target: ex.Request.Target, Failure: ex.Failure, Edits: ex.Edits,
			Times: times{t.Start, t.RequestDone, t.Connected, t.FirstByte, t.End, t.ReusedUpConn},
		},
	}
	if ex.ServerLeg != nil {
		if host, _, err := net.SplitHostPort(ex.ServerLeg.Address); err == nil {
			e.ServerIPAddress = host
		}
	}
	text, own, err := bodyOf(ctx, &ex.Request.Message, bodies)
	if err != nil {
		return nil, fmt.Errorf("request body: %w", err)
	}
	e.Own.Request = own
	e.Request = &request{
		Method: ex.Request.Method, URL: ex.Request.URL, HTTPVersion: ex.Request.Proto, Cookies: []pair{}, Headers: pairs(ex.Request.Header),
		QueryString: query(ex.Request.URL), HeadersSize: -1, BodySize: ex.Request.Body.Size,
	}
	if !ex.Request.Body.Empty() {
		shown, encoding := show(text)
		e.Request.PostData = &postData{MimeType: ex.Request.Header.Get("Content-Type"), Text: shown, Encoding: encoding}
	}
	if ex.Response == nil {
		e.Error = "no response"
		if ex.Failure != nil {
			e.Error = string(ex.Failure.Reason) + ": " + ex.Failure.Detail
		}
		e.Response = &response{HTTPVersion: "unknown", Cookies: []pair{}, Headers: []pair{}, Content: content{MimeType: "x-unknown"}, HeadersSize: -1, BodySize: -1}
		return e, nil
	}
	if text, own, err = bodyOf(ctx, &ex.Response.Message, bodies); err != nil {
		return nil, fmt.Errorf("response body: %w", err)
	}
	e.Own.Response = &own
	shown, encoding := show(text)
	e.Response = &response{
		Status: ex.Response.Status, StatusText: http.StatusText(ex.Response.Status), HTTPVersion: ex.Response.Proto, Cookies: []pair{},
		Headers: pairs(ex.Response.Header), RedirectURL: ex.Response.Header.Get("Location"), HeadersSize: -1, BodySize: ex.Response.Body.Size,
		Content: content{Size: int64(len(text)), MimeType: ex.Response.Header.Get("Content-Type"), Text: shown, Encoding: encoding},
	}
	return e, nil
}

// bodyOf reads a body as it is to be shown, decoded where that is possible, and what is to be kept beside it.
func bodyOf(ctx context.Context, m *proxy.Message, bodies proxy.Bodies) (text []byte, own half, err error) {
	own = half{Body: m.Body, Trailer: m.Trailer}
	if m.Body.Digest == "" || m.Body.Stored == 0 {
		return nil, own, nil
	}
	r, err := bodies.OpenBody(ctx, m.Body.Digest)
	if errors.Is(err, proxy.ErrNoBody) {
		own.Body.Stored, own.Body.Withheld = 0, "not stored any more when it was exported"
		return nil, own, nil
	}
	if err != nil {
		return nil, own, err
	}
	stored, err := io.ReadAll(r)
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, own, err
	}
	if text = decoded(stored, m.Header.Get("Content-Encoding")); text == nil {
		text = stored
	} else {
		own.Raw = stored
	}
	return text, own, nil
}

// decoded undoes a content coding, nil where there is none or it cannot be undone.
func decoded(stored []byte, coding string) []byte {
	var r io.Reader
	var err error
	switch strings.ToLower(strings.TrimSpace(coding)) {
	case "gzip", "x-gzip":
		r, err = gzip.NewReader(bytes.NewReader(stored))
	case "deflate":
		r, err = zlib.NewReader(bytes.NewReader(stored))
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	out, err := io.ReadAll(io.LimitReader(r, maxDecoded+1))
	if err != nil || len(out) > maxDecoded {
		return nil
	}
	return out
}

func show(text []byte) (shown, encoding string) {
	if utf8.Valid(text) {
		return string(text), ""
	}
	return base64.StdEncoding.EncodeToString(text), "base64"
}

func pairs(h proxy.Header) []pair {
	out := make([]pair, 0, len(h))
	for _, f := range h {
		out = append(out, pair(f))
	}
	return out
}

func query(raw string) []pair {
	out := []pair{}
	u, err := url.Parse(raw)
	if err != nil {
		return out
	}
	for part := range strings.SplitSeq(u.RawQuery, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		out = append(out, pair{unescape(name), unescape(value)})
	}
	return out
}

func unescape(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}

func ms(from, to time.Time) float64 {
	if from.IsZero() || to.IsZero() {
		return -1
	}
	return float64(to.Sub(from)) / float64(time.Millisecond)
}
