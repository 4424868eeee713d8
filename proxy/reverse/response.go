package reverse

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"fhirwire/proxy"
	"fhirwire/proxy/rewrite"
)

// wholeBody is the size up to which a JSON body is read before it is passed on; decodedBody what it may unpack to.
const (
	wholeBody   = 1 << 20
	decodedBody = 8 << 20
)

// cookiePrefix starts the names of the dashboard's cookies. Cookies do not know ports, so a browser sends them here too.
const cookiePrefix = "fhirwire_"

// inbound turns the server's response into the one for the client. The record has the original already.
func (h *handler) inbound(res *http.Response) error {
	ps := passageOf(res.Request.Context())
	header, edits := ps.links.Headers(res.Header)
	res.Header = header
	edits = append(edits, stripSetCookies(res.Header)...)
	edits = append(edits, placeCookies(ps, res.Header)...)
	ps.pending.AddEdits(edits...)
	kind := ps.links.Document(res.Request.URL.RequestURI())
	switch {
	case mayRewrite(res):
		if err := rewriteBody(ps, res, kind); err != nil {
			return err
		}
	case kind != rewrite.Unknown && res.StatusCode == http.StatusOK && res.ContentLength != 0 && res.Request.Method == http.MethodGet:
		form := res.Header.Get("Content-Type")
		if c := coding(res); c != "" {
			form += ", " + c
		}
		ps.pending.AddEdits(rewrite.Unread(form))
	}
	ps.pending.Deliver(res)
	return nil
}

func mayRewrite(res *http.Response) bool {
	if res.Request.Method == http.MethodHead || res.Body == http.NoBody || !rewrite.Eligible(res.Header.Get("Content-Type")) {
		return false
	}
	switch res.StatusCode {
	case http.StatusSwitchingProtocols, http.StatusNoContent, http.StatusPartialContent, http.StatusNotModified:
		return false
	}
	switch coding(res) {
	case "", "identity", "gzip":
		return true
	}
	return false // passed as it is: a coding the standard library does not read
}

func coding(res *http.Response) string {
	return strings.ToLower(strings.TrimSpace(strings.Join(res.Header.Values("Content-Encoding"), ",")))
}

// rewriteBody replaces res.Body by its rewritten form. A body that is broken, or that needs no edit, passes byte for byte.
func rewriteBody(ps *passage, res *http.Response, kind rewrite.Kind) error {
	start, err := io.ReadAll(io.LimitReader(res.Body, wholeBody+1))
	if err != nil { // broken off: the client gets what there was and then the same break
		res.Body = &body{Reader: io.MultiReader(bytes.NewReader(start), failingReader{err}), Closer: res.Body}
		return nil
	}
	original := &body{Reader: io.MultiReader(bytes.NewReader(start), res.Body), Closer: res.Body}
	gz := coding(res) == "gzip"
	all := len(start) <= wholeBody
	plain, whole := start, all
	if gz {
		plain, whole = unzip(start, all)
	}
	if !whole {
		if kind == rewrite.Unknown {
			kind = rewrite.Detect(plain, false)
		}
		if kind == rewrite.Other || gz && len(plain) == 0 {
			res.Body = original
			return nil
		}
		return streamBody(ps, res, original, gz, kind)
	}
	out, edits, err := ps.links.JSON(plain, kind)
	if err != nil || !slices.ContainsFunc(edits, func(e proxy.Edit) bool { return !e.Left() }) {
		ps.pending.AddEdits(edits...)
		res.Body = original
		return nil //nolint:nilerror // a URL past any sense is not rewritten; the body stays as it is
	}
	if gz {
		out = zip(out)
	}
	ps.pending.Edited(func() []proxy.Edit { return edits })
	res.Body = &body{Reader: bytes.NewReader(out), Closer: res.Body}
	if res.ContentLength >= 0 {
		setLength(ps, res, int64(len(out)))
	}
	return nil
}

// streamBody rewrites a body too large to hold; its length is not known beforehand.
func streamBody(ps *passage, res *http.Response, original *body, gz bool, kind rewrite.Kind) error {
	src := io.Reader(original)
	if gz {
		r, err := gzip.NewReader(original)
		if err != nil {
			return fmt.Errorf("gzip: %w", err)
		}
		src = r
	}
	r := ps.links.Reader(src, kind)
	out := io.Reader(r)
	if gz {
		out = newZipper(r)
	}
	ps.pending.Edited(func() []proxy.Edit {
		edits := r.Edits()
		if gz {
			edits = append(edits, proxy.Edit{Where: "response body", From: "gzip", To: "gzip, packed again"})
		}
		return edits
	})
	res.Body = &body{Reader: out, Closer: original}
	if res.ContentLength >= 0 {
		setLength(ps, res, -1)
	}
	return nil
}

// setLength announces the length of an edited body; -1: it is sent in chunks.
func setLength(ps *passage, res *http.Response, n int64) {
	e := proxy.Edit{Where: "response header", At: "Content-Length", From: res.Header.Get("Content-Length")}
	res.ContentLength = n
	if n >= 0 {
		e.To = strconv.FormatInt(n, 10)
		res.Header.Set("Content-Length", e.To)
	} else {
		res.Header.Del("Content-Length")
	}
	if e.From != e.To {
		ps.pending.AddEdits(e)
	}
}

type body struct {
	io.Reader
	io.Closer
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// unzip decodes the start of a gzip body. whole: all of it was there, sound, and within bounds.
func unzip(start []byte, all bool) (plain []byte, whole bool) {
	r, err := gzip.NewReader(bytes.NewReader(start))
	if err != nil {
		return nil, false
	}
	plain, err = io.ReadAll(io.LimitReader(r, decodedBody+1))
	switch {
	case err == nil:
		return plain, all && len(plain) <= decodedBody
	case all: // truncated or corrupt: it passes as it is
		return nil, false
	case errors.Is(err, io.ErrUnexpectedEOF):
		return plain, false
	}
	return nil, false
}

func zip(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b) // a Buffer takes everything
	_ = w.Close()
	return out.Bytes()
}

// zipper packs what it reads. Each Read of the source that gives little is flushed, so that a slow stream keeps moving.
type zipper struct {
	src io.Reader
	w   *gzip.Writer
	buf bytes.Buffer
	in  []byte
	err error
}

func newZipper(src io.Reader) *zipper {
	z := &zipper{src: src, in: make([]byte, 32<<10)}
	z.w = gzip.NewWriter(&z.buf)
	return z
}

func (z *zipper) Read(p []byte) (int, error) {
	for z.buf.Len() == 0 {
		if z.err != nil {
			return 0, z.err
		}
		var n int
		n, z.err = z.src.Read(z.in)
		_, _ = z.w.Write(z.in[:n]) // a Buffer takes everything
		switch {
		case errors.Is(z.err, io.EOF):
			_ = z.w.Close()
		case n < len(z.in):
			_ = z.w.Flush()
		}
	}
	return z.buf.Read(p)
}

// stripCookies removes the dashboard's cookies from a request.
func stripCookies(h http.Header) []proxy.Edit {
	var edits []proxy.Edit
	var kept []string
	for _, line := range h["Cookie"] {
		var pairs []string
		for p := range strings.SplitSeq(line, ";") {
			if !strings.HasPrefix(strings.TrimSpace(p), cookiePrefix) {
				pairs = append(pairs, p)
			}
		}
		to := strings.TrimSpace(strings.Join(pairs, ";"))
		if len(pairs) == len(strings.Split(line, ";")) {
			to = line
		}
		if to != line {
			edits = append(edits, proxy.Edit{Where: "request header", At: "Cookie", From: line, To: to})
		}
		if to != "" {
			kept = append(kept, to)
		}
	}
	if len(edits) == 0 {
		return nil
	}
	if h["Cookie"] = kept; len(kept) == 0 {
		h.Del("Cookie")
	}
	return edits
}

// stripSetCookies keeps a server from setting the dashboard's cookies.
func stripSetCookies(h http.Header) []proxy.Edit {
	var edits []proxy.Edit
	var kept []string
	for _, line := range h["Set-Cookie"] {
		if strings.HasPrefix(strings.TrimSpace(line), cookiePrefix) {
			edits = append(edits, proxy.Edit{Where: "response header", At: "Set-Cookie", From: line})
			continue
		}
		kept = append(kept, line)
	}
	if len(edits) == 0 {
		return nil
	}
	if h["Set-Cookie"] = kept; len(kept) == 0 {
		h.Del("Set-Cookie")
	}
	return edits
}
