package transcript

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/tools/txtar"

	"fhirwire/proxy"
)

// What a transcript does not say of its exchanges.
const (
	// Channel is the name of the channel that they went through.
	Channel = "acme-ehr~diamond-payer"
	// Server is the origin of the server; paths are below it.
	Server   = "http://payer.example"
	proxyURL = "http://127.0.0.1:8081/" + Channel
)

// MaxNumber bounds the number of an exchange: ids sort by number up to it.
const MaxNumber = 0xffff

// epoch is when exchange 0 would begin.
var epoch = time.Date(2025, 1, 15, 12, 0, 0, 0, time.UTC)

// Begin is when exchange n begins: n seconds after a moment that never changes.
func Begin(n int) time.Time { return epoch.Add(time.Duration(n) * time.Second) }

// ID is the id of exchange n; ids sort by n.
func ID(n int) string { return fmt.Sprintf("01946a00-%04x-7000-8000-000000000000", n) }

// Request is exchange n as far as it was asked: it began when its number says and has no answer. url is a path behind the channel, or a
// whole URL, which the client then named to a forward proxy.
func Request(n int, method, url string) *proxy.Exchange {
	start := Begin(n)
	ex := &proxy.Exchange{
		ID: ID(n), Channel: Channel, Matched: "channel URL", Mode: proxy.ModeReverse, ClientAddr: "192.0.2.7:50000",
		Request: proxy.Request{
			Message: proxy.Message{Proto: "HTTP/1.1", Body: Describe(nil)},
			Method:  method, URL: proxyURL + url, Target: Server + url,
		},
		Timing: proxy.Timing{
			Start: start, RequestDone: start.Add(2 * time.Millisecond), Connected: start.Add(time.Millisecond),
			FirstByte: start.Add(5 * time.Millisecond), End: start.Add(6 * time.Millisecond),
		},
	}
	if strings.Contains(url, "://") {
		ex.Mode, ex.Matched, ex.Request.URL, ex.Request.Target = proxy.ModeForward, "host", url, url
	}
	return ex
}

// Read reads exchanges from the files of an archive, "1.request", "1.response", "2.request" …: HTTP messages with LF line ends, each
// request before what belongs to it. A body ends with its file, less the last newline. A request without a response failed; its file may
// be followed by "1.failure" with a reason, a side and a detail on one line. "1.clientleg" and "1.serverleg" have what is known of the
// connections, a proxy.Leg as JSON. The exchanges come in the order of their numbers.
func Read(files []txtar.File) ([]*proxy.Exchange, Bodies, error) {
	bodies := Bodies{}
	byNumber := map[int]*proxy.Exchange{}
	for _, f := range files {
		number, half, ok := strings.Cut(f.Name, ".")
		n, err := strconv.Atoi(number)
		if !ok || err != nil || n < 0 || n > MaxNumber {
			return nil, nil, fmt.Errorf("file %q: not NUMBER.request, NUMBER.response or NUMBER.failure, with a number up to %d", f.Name, MaxNumber)
		}
		ex := byNumber[n]
		if ex == nil && half != "request" {
			return nil, nil, fmt.Errorf("file %q: its request must come first", f.Name)
		}
		switch half {
		case "request":
			ex, err = readRequest(bodies, n, f.Data)
			byNumber[n] = ex
		case "response":
			ex.Response, err = readResponse(bodies, f.Data)
		case "failure":
			ex.Failure, err = readFailure(f.Data)
		case "clientleg":
			ex.ClientLeg, err = readLeg(f.Data)
		case "serverleg":
			ex.ServerLeg, err = readLeg(f.Data)
		default:
			err = errors.New("not request, response, failure, clientleg or serverleg")
		}
		if err != nil {
			return nil, nil, fmt.Errorf("file %q: %w", f.Name, err)
		}
	}
	out := make([]*proxy.Exchange, 0, len(byNumber))
	for _, ex := range byNumber {
		out = append(out, ex)
	}
	slices.SortFunc(out, func(a, b *proxy.Exchange) int { return strings.Compare(a.ID, b.ID) })
	return out, bodies, nil
}

func readFailure(data []byte) (*proxy.Failure, error) {
	words := strings.SplitN(strings.TrimSpace(string(data)), " ", 3)
	if len(words) != 3 {
		return nil, errors.New("want a reason, a side and a detail")
	}
	return &proxy.Failure{Reason: proxy.Reason(words[0]), Side: words[1], Detail: words[2]}, nil
}

func readLeg(data []byte) (*proxy.Leg, error) {
	leg := new(proxy.Leg)
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return leg, d.Decode(leg)
}

func readRequest(bodies Bodies, n int, data []byte) (*proxy.Exchange, error) {
	line, header, body, err := readMessage(data)
	if err != nil {
		return nil, err
	}
	words := strings.Fields(line)
	if len(words) < 2 {
		return nil, fmt.Errorf("request line %q: want a method and a path", line)
	}
	ex := Request(n, words[0], words[1])
	ex.Request.Header, ex.Request.Body = header, bodies.Add(body)
	return ex, nil
}

func readResponse(bodies Bodies, data []byte) (*proxy.Response, error) {
	line, header, body, err := readMessage(data)
	if err != nil {
		return nil, err
	}
	words := strings.Fields(line)
	if len(words) > 0 && strings.HasPrefix(words[0], "HTTP/") {
		words = words[1:]
	}
	if len(words) == 0 {
		return nil, fmt.Errorf("status line %q: want a status", line)
	}
	status, err := strconv.Atoi(words[0])
	if err != nil || status < 100 || status > 599 {
		return nil, fmt.Errorf("status line %q: no such status", line)
	}
	return &proxy.Response{Status: status, Message: proxy.Message{Proto: "HTTP/1.1", Header: header, Body: bodies.Add(body)}}, nil
}

func readMessage(data []byte) (line string, header proxy.Header, body []byte, err error) {
	head, body, _ := bytes.Cut(data, []byte("\n\n"))
	lines := bufio.NewScanner(bytes.NewReader(head))
	for lines.Scan() {
		if line == "" {
			line = lines.Text()
			continue
		}
		name, value, ok := strings.Cut(lines.Text(), ":")
		if !ok {
			return "", nil, nil, fmt.Errorf("header line %q has no colon", lines.Text())
		}
		header = append(header, proxy.Field{Name: textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name)), Value: strings.TrimSpace(value)})
	}
	return line, header, bytes.TrimSuffix(body, []byte("\n")), lines.Err()
}

// Bodies are bodies in memory.
type Bodies map[proxy.Digest][]byte

// OpenBody implements proxy.Bodies.
func (b Bodies) OpenBody(_ context.Context, d proxy.Digest) (io.ReadCloser, error) {
	text, ok := b[d]
	if !ok {
		return nil, fmt.Errorf("body %s: %w", d, proxy.ErrNoBody)
	}
	return io.NopCloser(bytes.NewReader(text)), nil
}

// Add keeps text and describes it.
func (b Bodies) Add(text []byte) proxy.Body {
	body := Describe(text)
	if len(text) > 0 {
		b[body.Digest] = text
	}
	return body
}

// Describe is text as a complete, wholly stored body.
func Describe(text []byte) proxy.Body {
	b := proxy.Body{Size: int64(len(text)), Stored: int64(len(text)), Complete: true}
	if len(text) > 0 {
		sum := sha256.Sum256(text)
		b.Digest = proxy.Digest(hex.EncodeToString(sum[:]))
	}
	return b
}
