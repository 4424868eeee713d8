package proxytest

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/tools/txtar"

	"fhirwire/proxy"
)

// epoch is when built exchanges begin.
var epoch = time.Date(2025, 1, 15, 12, 0, 0, 0, time.UTC)

// Describe is text as a complete, wholly stored body.
func Describe(text []byte) proxy.Body {
	b := proxy.Body{Size: int64(len(text)), Stored: int64(len(text)), Complete: true}
	if len(text) > 0 {
		sum := sha256.Sum256(text)
		b.Digest = proxy.Digest(hex.EncodeToString(sum[:]))
	}
	return b
}

// Exchange is one that went well on the channel acme-ehr~diamond-payer: method and path (with query) of the request, and the status and
// JSON body of the response, which is kept in bodies. n makes the id and the time; change what the test is about afterwards.
func Exchange(bodies Bodies, n int, method, path string, status int, response string) *proxy.Exchange {
	start := epoch.Add(time.Duration(n) * time.Second)
	ex := &proxy.Exchange{
		ID: ID(n), Channel: "acme-ehr~diamond-payer", Matched: "channel URL", Mode: proxy.ModeReverse, ClientAddr: "192.0.2.7:50000",
		Request: proxy.Request{
			Message: proxy.Message{
				Proto:  "HTTP/1.1",
				Header: proxy.Header{{Name: "Host", Value: "127.0.0.1:8081"}, {Name: "Accept", Value: "application/fhir+json"}},
				Body:   Describe(nil),
			},
			Method: method, URL: "http://127.0.0.1:8081/acme-ehr~diamond-payer" + path, Target: "http://payer.example" + path,
		},
		Response: &proxy.Response{
			Message: proxy.Message{Proto: "HTTP/1.1", Header: proxy.Header{{Name: "Content-Type", Value: "application/fhir+json"}}, Body: bodies.Add([]byte(response))},
			Status:  status,
		},
		Timing: proxy.Timing{
			Start: start, RequestDone: start.Add(2 * time.Millisecond), Connected: start.Add(time.Millisecond),
			FirstByte: start.Add(5 * time.Millisecond), End: start.Add(6 * time.Millisecond),
		},
	}
	return ex
}

// ID is the id of the nth built exchange; ids sort by n.
func ID(n int) string { return fmt.Sprintf("01946a00-%04x-7000-8000-000000000000", n) }

// FromTxtar reads exchanges from an archive with files "1.request", "1.response", "2.request" …: HTTP messages as on the wire, with LF
// line ends. The request line has the path behind the channel, and a body ends with the file, less its last newline. A request without a
// response failed; its file may be followed by "1.failure" with a reason, a side and a detail on one line. "1.clientleg" and "1.serverleg"
// have what is known of the connections, a proxy.Leg as JSON.
func FromTxtar(archive []byte) ([]*proxy.Exchange, Bodies, error) {
	bodies := Bodies{}
	byNumber := map[int]*proxy.Exchange{}
	for _, f := range txtar.Parse(archive).Files {
		number, half, ok := strings.Cut(f.Name, ".")
		n, err := strconv.Atoi(number)
		if !ok || err != nil {
			return nil, nil, fmt.Errorf("file %q: not NUMBER.request, NUMBER.response or NUMBER.failure", f.Name)
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
			words := strings.SplitN(strings.TrimSpace(string(f.Data)), " ", 3)
			if len(words) != 3 {
				err = fmt.Errorf("want a reason, a side and a detail")
				break
			}
			ex.Failure = &proxy.Failure{Reason: proxy.Reason(words[0]), Side: words[1], Detail: words[2]}
		case "clientleg":
			ex.ClientLeg, err = readLeg(f.Data)
		case "serverleg":
			ex.ServerLeg, err = readLeg(f.Data)
		default:
			err = fmt.Errorf("not request, response, failure, clientleg or serverleg")
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
	ex := Exchange(bodies, n, words[0], words[1], 0, "")
	ex.Response = nil
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
	if err != nil || http.StatusText(status) == "" {
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
