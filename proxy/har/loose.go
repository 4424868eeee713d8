package har

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"fhirwire/proxy"
)

// errNoHTTP is of entries that are none of ours: browsers list what they read from themselves (data:, blob:, extensions) and web sockets.
var errNoHTTP = errors.New("it is no exchange over HTTP")

// vetText refuses text that reading it as JSON would change unseen: what is judged has to be what was sent.
func vetText(text []byte) error {
	if utf8.Valid(text) {
		return nil
	}
	at := 0
	for at < len(text) {
		r, n := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		at += n
	}
	return fmt.Errorf("its text is not UTF-8, as JSON has to be: %q; convert the file first (iconv -f CODING -t UTF-8)", text[max(0, at-20):min(len(text), at+1)])
}

// startOf reads a time as tools write it: with a zone, some without its colon.
func startOf(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05Z0700"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("startedDateTime: %q is no time with a zone", text)
}

// notInFile is why a body is not there.
const notInFile = "the file has its size and not its text"

// withhold marks bodies that were there and are not in the file: they were not seen, which is not the same as empty.
func withhold(out *Entry, q *looseRequest, s *looseResponse) {
	if size := q.BodySize; len(out.Request) == 0 && size >= 1 && size < 1e15 {
		out.Exchange.Request.Body = proxy.Body{Size: int64(size), Complete: true, Withheld: notInFile}
	}
	res := out.Exchange.Response
	if res == nil || q.Method == http.MethodHead || res.Status == http.StatusNoContent || res.Status == http.StatusNotModified {
		return
	}
	if size := s.Content.Size; len(out.Response) == 0 && size >= 1 && size < 1e15 {
		res.Body = proxy.Body{Size: int64(size), Complete: true, Withheld: notInFile}
	}
}

// whyNone is the tool's word on why there was no response.
func whyNone(entry raw, s *looseResponse) string {
	var text string
	for _, said := range []raw{entry, ofResponse(s)} {
		if json.Unmarshal(said, &text) == nil && text != "" {
			return ": " + text[:min(len(text), 200)]
		}
	}
	return ""
}

func ofResponse(s *looseResponse) raw {
	if s == nil {
		return nil
	}
	return s.Error
}

var textual = regexp.MustCompile(`(?i)json|xml|^text/|urlencoded`)

// stillCoded reports a body that is as Content-Encoding says. A coded one is never UTF-8 (the first bytes of gzip, deflate and zstd are
// not); of codings that cannot be told by their first bytes it is assumed where the content is text.
func stillCoded(h proxy.Header, body []byte) bool {
	coding := strings.ToLower(strings.TrimSpace(h.Get("Content-Encoding")))
	if coding == "" || len(body) < 2 || utf8.Valid(body) {
		return false
	}
	switch coding {
	case "gzip", "x-gzip":
		return body[0] == 0x1f && body[1] == 0x8b
	case "deflate":
		return body[0]&0x0f == 8 && (uint(body[0])<<8|uint(body[1]))%31 == 0
	case "zstd":
		return bytes.HasPrefix(body, []byte{0x28, 0xb5, 0x2f, 0xfd})
	}
	return textual.MatchString(h.Get("Content-Type"))
}

// unchunked takes the chunks apart of a body that was saved with them.
func unchunked(headers []pair, body []byte) []byte {
	if !strings.EqualFold(strings.TrimSpace(headerOf(headers, "Transfer-Encoding")), "chunked") {
		return body
	}
	whole, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(body)))
	if err != nil {
		return body // saved without them
	}
	return whole
}
