package har

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"strconv"
	"strings"
	"time"

	"fhirwire/proxy"
)

// Newman yields the exchanges of a run that newman reported as JSON (newman run … -r json --reporter-json-export FILE), in their order.
// newman notes no times of single requests: they are counted from the run's beginning by how long the answers took. An error ends it.
func Newman(r io.Reader) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		d := NewDecoder(r)
		n := newmanRun{at: time.Unix(0, 0).UTC()}
		err := d.object(func(name string) error {
			if name != "run" {
				return d.skip()
			}
			return d.object(func(name string) error {
				switch name {
				case "timings":
					return n.timings(d)
				case "executions":
					return n.executions(d, yield)
				default:
					return d.skip()
				}
			})
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(Entry{}, fmt.Errorf("newman's report: near byte %d: %w", d.r.InputOffset(), err))
		}
	}
}

// newmanRun knows when the next request is taken to have begun.
type newmanRun struct {
	at   time.Time
	seen int
}

func (n *newmanRun) timings(d *Decoder) error {
	var t struct{ Started float64 }
	if err := d.r.Decode(&t); err != nil {
		return fmt.Errorf("timings: %w", err)
	}
	if t.Started > 0 {
		n.at = time.UnixMilli(int64(t.Started)).UTC()
	}
	return nil
}

type newmanPair struct {
	Key      string
	Value    string
	Disabled bool
}

type newmanExecution struct {
	Request *struct {
		Method string
		URL    json.RawMessage
		Header []newmanPair
		Body   *struct {
			Mode       string
			Raw        string
			URLEncoded []newmanPair
		}
	}
	Response *struct {
		Code         int
		Status       string
		Header       []newmanPair
		Stream       json.RawMessage
		ResponseTime float64
	}
	RequestError json.RawMessage
}

func (n *newmanRun) executions(d *Decoder, yield func(Entry, error) bool) error {
	if err := d.delim('['); err != nil {
		return fmt.Errorf("executions: %w", err)
	}
	for d.r.More() {
		n.seen++
		var x newmanExecution
		if err := d.r.Decode(&x); err != nil {
			return fmt.Errorf("execution %d: %w", n.seen, err)
		}
		if x.Request == nil {
			continue // a request that a script skipped
		}
		e, err := n.entry(&x)
		if err != nil {
			return fmt.Errorf("execution %d: %w", n.seen, err)
		}
		if !yield(e, nil) {
			return errStopped
		}
	}
	return d.delim(']')
}

// entry makes an execution the entry of a HAR, which is read like that of any other tool.
func (n *newmanRun) entry(x *newmanExecution) (Entry, error) {
	address, err := newmanURL(x.Request.URL)
	if err != nil {
		return Entry{}, err
	}
	withheld := ""
	e := entry{StartedDateTime: n.at.Format(time.RFC3339Nano), Request: &request{Method: x.Request.Method, URL: address, HTTPVersion: "HTTP/1.1", Headers: newmanHeader(x.Request.Header)}}
	if b := x.Request.Body; b != nil {
		switch b.Mode {
		case "", "none":
		case "raw":
			e.Request.PostData = &postData{Text: b.Raw}
		case "urlencoded":
			form := make([]string, 0, len(b.URLEncoded))
			for _, f := range b.URLEncoded {
				if !f.Disabled {
					form = append(form, url.QueryEscape(f.Key)+"="+url.QueryEscape(f.Value))
				}
			}
			e.Request.PostData = &postData{Text: strings.Join(form, "&")}
		default: // formdata, file, graphql
			withheld = "newman does not report the bytes of a body of the mode " + b.Mode
		}
	}
	switch {
	case x.Response != nil:
		took := time.Duration(x.Response.ResponseTime * float64(time.Millisecond))
		n.at = n.at.Add(took + time.Millisecond)
		e.Time = x.Response.ResponseTime
		body, err := newmanBody(x.Response.Stream)
		if err != nil {
			return Entry{}, err
		}
		e.Response = &response{Status: x.Response.Code, StatusText: x.Response.Status, HTTPVersion: "HTTP/1.1", Headers: newmanHeader(x.Response.Header), Content: inBase64(body)}
	default:
		n.at = n.at.Add(time.Millisecond)
		e.Error = "no response"
		var reason struct{ Code, Message string }
		if json.Unmarshal(x.RequestError, &reason) == nil && reason.Code+reason.Message != "" {
			e.Error = strings.TrimSpace(reason.Code + " " + reason.Message)
		}
	}
	text, err := json.Marshal(e)
	if err != nil {
		return Entry{}, err
	}
	out, err := decodeEntry(text)
	if err == nil && withheld != "" {
		size, err := strconv.ParseInt(headerOf(e.Request.Headers, "Content-Length"), 10, 64)
		if err != nil {
			size = 1 // there was one
		}
		out.Exchange.Request.Body = proxy.Body{Size: max(size, 1), Complete: true, Withheld: withheld}
	}
	return out, err
}

// inBase64 is a body in a form that keeps every byte.
func inBase64(body []byte) content {
	return content{Size: int64(len(body)), Text: base64.StdEncoding.EncodeToString(body), Encoding: "base64"}
}

// newmanURL reads a URL as text, or in the parts that Postman keeps.
func newmanURL(raw json.RawMessage) (string, error) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, nil
	}
	var u struct {
		Raw, Protocol, Port string
		Host, Path          []string
		Query               []newmanPair
	}
	if err := json.Unmarshal(raw, &u); err != nil {
		return "", fmt.Errorf("url: %w", err)
	}
	if len(u.Host) == 0 {
		return u.Raw, nil
	}
	out := strings.TrimSuffix(u.Protocol, "://")
	if out == "" {
		out = "http"
	}
	out += "://" + strings.Join(u.Host, ".")
	if u.Port != "" {
		out += ":" + u.Port
	}
	out += "/" + strings.Join(u.Path, "/")
	var query []string
	for _, q := range u.Query {
		if !q.Disabled {
			query = append(query, q.Key+"="+q.Value)
		}
	}
	if len(query) > 0 {
		out += "?" + strings.ReplaceAll(strings.Join(query, "&"), " ", "%20")
	}
	return out, nil
}

func newmanHeader(list []newmanPair) []pair {
	out := make([]pair, 0, len(list))
	for _, h := range list {
		if !h.Disabled {
			out = append(out, pair{h.Key, h.Value})
		}
	}
	return out
}

// newmanBody reads the bytes of a response, which newman writes as a Buffer of numbers.
func newmanBody(raw json.RawMessage) ([]byte, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var b struct{ Data []int }
	if err := json.Unmarshal(raw, &b); err != nil {
		return nil, fmt.Errorf("response stream: %w", err)
	}
	out := make([]byte, len(b.Data))
	for i, v := range b.Data {
		out[i] = byte(v)
	}
	return out, nil
}
