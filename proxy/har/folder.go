package har

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxMessage bounds a file of a folder.
const maxMessage = 256 << 20

// Folder yields the exchanges of a folder of messages as they are on the wire, with CRLF or LF: pairs of files whose names differ in
// "request" and "response" ("01-match.request", "01-match.response", "3_request.http"). They come in the order of their names, numbers by
// value. The request line has an absolute URL, or a path beside a Host header, which is then taken to be https. Times are those of the
// files; where they say nothing of the order, each exchange begins a second after the one before. An error ends it.
func Folder(dir fs.FS) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		pairs, err := pairsOf(dir)
		if err != nil {
			yield(Entry{}, fmt.Errorf("folder: %w", err))
			return
		}
		var last time.Time
		for _, p := range pairs {
			e, err := p.read(dir, &last)
			if err != nil {
				yield(Entry{}, fmt.Errorf("folder: %s: %w", p.request, err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// filePair is an exchange's files; response is empty for a request that was not answered.
type filePair struct{ key, request, response string }

var (
	halfName = regexp.MustCompile(`(?i)(request|response)`)
	digits   = regexp.MustCompile(`[0-9]+`)
)

func pairsOf(dir fs.FS) ([]filePair, error) {
	files, err := fs.ReadDir(dir, ".")
	if err != nil {
		return nil, err
	}
	byKey := map[string]*filePair{}
	for _, f := range files {
		name := f.Name()
		at := halfName.FindStringIndex(name)
		if f.IsDir() || at == nil || strings.HasPrefix(name, ".") {
			continue
		}
		key := name[:at[0]] + "*" + name[at[1]:]
		p := byKey[key]
		if p == nil {
			p = &filePair{key: key}
			byKey[key] = p
		}
		if strings.EqualFold(name[at[0]:at[1]], "request") {
			p.request = name
		} else {
			p.response = name
		}
	}
	if len(byKey) == 0 {
		return nil, errors.New("it has no files with request in their names")
	}
	out := make([]filePair, 0, len(byKey))
	for _, p := range byKey {
		if p.request == "" {
			return nil, fmt.Errorf("%s has no request beside it", p.response)
		}
		out = append(out, *p)
	}
	slices.SortFunc(out, func(a, b filePair) int { return cmp.Or(natural(a.key, b.key), strings.Compare(a.key, b.key)) })
	return out, nil
}

// natural compares names with their numbers by value: 2 before 10.
func natural(a, b string) int {
	for a != "" && b != "" {
		x, y := digits.FindStringIndex(a), digits.FindStringIndex(b)
		if x == nil || y == nil || a[:x[0]] != b[:y[0]] {
			return strings.Compare(a, b)
		}
		m, errA := strconv.ParseUint(a[x[0]:x[1]], 10, 64)
		n, errB := strconv.ParseUint(b[y[0]:y[1]], 10, 64)
		if errA != nil || errB != nil {
			return strings.Compare(a, b)
		}
		if m != n {
			return cmp.Compare(m, n)
		}
		a, b = a[x[1]:], b[y[1]:]
	}
	return cmp.Compare(len(a), len(b))
}

func (p *filePair) read(dir fs.FS, last *time.Time) (Entry, error) {
	line, headers, body, changed, err := readMessage(dir, p.request)
	if err != nil {
		return Entry{}, err
	}
	method, rest, _ := strings.Cut(line, " ")
	target, proto, _ := strings.Cut(strings.TrimSpace(rest), " ")
	if method == "" || target == "" {
		return Entry{}, fmt.Errorf("the request line %q has no method and URL", line)
	}
	if !strings.Contains(target, "://") {
		host := headerOf(headers, "Host")
		if host == "" {
			return Entry{}, errors.New("its URL is a path, and there is no Host header")
		}
		target = "https://" + host + "/" + strings.TrimPrefix(target, "/")
	}
	start := changed
	if !start.After(*last) {
		start = last.Add(time.Second)
	}
	*last = start
	e := entry{StartedDateTime: start.UTC().Format(time.RFC3339Nano), Request: &request{Method: method, URL: target, HTTPVersion: cmp.Or(proto, "HTTP/1.1"), Headers: headers}}
	if len(body) > 0 {
		c := inBase64(body)
		e.Request.PostData = &postData{Text: c.Text, Encoding: c.Encoding}
	}
	if p.response != "" {
		line, headers, body, _, err := readMessage(dir, p.response)
		if err != nil {
			return Entry{}, fmt.Errorf("%s: %w", p.response, err)
		}
		proto, rest, _ := strings.Cut(line, " ")
		if !strings.HasPrefix(proto, "HTTP/") {
			proto, rest = "HTTP/1.1", line
		}
		code, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		status, err := strconv.Atoi(code)
		if err != nil || status < 100 || status > 599 {
			return Entry{}, fmt.Errorf("%s: the status line %q has no status", p.response, line)
		}
		e.Response = &response{Status: status, StatusText: http.StatusText(status), HTTPVersion: proto, Headers: headers, Content: inBase64(body)}
	}
	text, err := json.Marshal(e)
	if err != nil {
		return Entry{}, err
	}
	return decodeEntry(text)
}

func headerOf(list []pair, name string) string {
	for _, h := range list {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// readMessage reads an HTTP message; a body ends with the file, or after Content-Length bytes, so that an editor's last newline does not
// count.
func readMessage(dir fs.FS, name string) (line string, headers []pair, body []byte, changed time.Time, err error) {
	info, err := fs.Stat(dir, name)
	if err != nil {
		return "", nil, nil, changed, err
	}
	if info.Size() > maxMessage {
		return "", nil, nil, changed, fmt.Errorf("it has more than %d bytes", maxMessage)
	}
	raw, err := fs.ReadFile(dir, path.Clean(name))
	if err != nil {
		return "", nil, nil, changed, err
	}
	headers = []pair{}
	for n := 0; len(raw) > 0; n++ {
		text, rest, _ := bytes.Cut(raw, []byte("\n"))
		raw = rest
		l := strings.TrimSuffix(string(text), "\r")
		if l == "" {
			break
		}
		if n == 0 {
			line = l
			continue
		}
		key, value, ok := strings.Cut(l, ":")
		if !ok {
			return "", nil, nil, changed, fmt.Errorf("line %d has no colon: %q", n+1, l)
		}
		headers = append(headers, pair{strings.TrimSpace(key), strings.TrimSpace(value)})
	}
	if length, err := strconv.Atoi(headerOf(headers, "Content-Length")); err == nil && length >= 0 && length < len(raw) && len(bytes.TrimSpace(raw[length:])) == 0 {
		raw = raw[:length]
	}
	return line, headers, unchunked(headers, raw), info.ModTime(), nil
}
