package reverse

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"fhirwire/proxy"
)

// maxAuthorize bounds the form of an authorization request; longer ones pass as they are.
const maxAuthorize = 64 << 10

const whyAudience = "the authorization server knows the FHIR server by its own URL"

// audiences makes the aud and resource parameters of an authorization request (SMART App Launch, RFC 8707) name the server that the token
// is for, where they name the proxy. Everything else in it stays as the client wrote it, redirect_uri among it. text is a query or a form;
// where says which in the edits.
func audiences(ps *passage, text, where string) (string, []proxy.Edit) {
	plain, signed := strings.Contains(text, "response_type="), strings.Contains(text, "request=")
	if !plain && !signed {
		return text, nil
	}
	var edits []proxy.Edit
	pairs := strings.Split(text, "&")
	for i, pair := range pairs {
		name, raw, _ := strings.Cut(pair, "=")
		if name != "aud" && name != "resource" && name != "request" {
			continue
		}
		value, err := url.QueryUnescape(raw)
		if err != nil {
			continue
		}
		if name == "request" {
			edits = append(edits, signedAudiences(ps, value, where)...)
			continue
		}
		to, ok := ps.links.Server(value)
		if !ok || !plain {
			continue
		}
		pairs[i] = name + "=" + url.QueryEscape(to)
		edits = append(edits, proxy.Edit{Where: where, At: name, From: value, To: to, Why: whyAudience})
	}
	return strings.Join(pairs, "&"), edits
}

// signedAudiences tells which URLs in a signed request (RFC 9101) name the proxy: the authorization server will not know them.
func signedAudiences(ps *passage, jwt, where string) []proxy.Edit {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return nil
	}
	var claims struct {
		Aud, Resource any
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(raw, &claims) != nil {
		return nil
	}
	var edits []proxy.Edit
	for at, claim := range map[string]any{"request/aud": claims.Aud, "request/resource": claims.Resource} {
		list, ok := claim.([]any)
		if !ok {
			list = []any{claim}
		}
		for _, v := range list {
			text, _ := v.(string)
			if _, ok := ps.links.Server(text); ok {
				edits = append(edits, proxy.Edit{Where: where, At: at, From: text, To: text, Why: proxy.WhySignedAudience})
			}
		}
	}
	return edits
}

// authorizeForm does for a form what audiences does: of an authorization request that is posted (OpenID Connect Core 3.1.2.1), or pushed
// (RFC 9126). The body is read before it is sent on, which only forms of this size are.
func authorizeForm(ps *passage, out *http.Request) {
	kind, _, err := mime.ParseMediaType(out.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" || out.Method != http.MethodPost || out.Body == nil || out.ContentLength > maxAuthorize || out.Header.Get("Content-Encoding") != "" {
		return
	}
	if strings.HasSuffix(out.URL.Opaque, "/_search") {
		return // a search, whose parameters may be called anything
	}
	body := out.Body
	start, err := io.ReadAll(io.LimitReader(body, maxAuthorize+1))
	if err != nil || len(start) > maxAuthorize {
		rest := io.Reader(body)
		if err != nil {
			rest = failingReader{err}
		}
		out.Body = &requestBody{io.MultiReader(bytes.NewReader(start), rest), body}
		return
	}
	text, edits := audiences(ps, string(start), "request body")
	out.Body = &requestBody{strings.NewReader(text), body}
	if len(edits) == 0 {
		return
	}
	ps.pending.AddEdits(edits...)
	if out.ContentLength >= 0 {
		out.ContentLength = int64(len(text))
	}
}

type requestBody struct {
	io.Reader
	io.Closer
}
