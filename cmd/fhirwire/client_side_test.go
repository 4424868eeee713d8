package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"fhirwire/reference/edgecases"
)

// lapse makes a client that plays right do something wrong with what it sends.
type lapse func(*clientSide) http.RoundTripper

// clientSide is where a client's requests leave it: next presents its certificate, bare none, another another of the same client.
type clientSide struct {
	next, bare, another http.RoundTripper
	key                 *clientKey
}

// RoundTrip implements http.RoundTripper.
func (c *clientSide) RoundTrip(r *http.Request) (*http.Response, error) { return c.next.RoundTrip(r) }

type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// which are requests that a lapse is about.
type which func(*http.Request) bool

// to are those of a method whose path ends so.
func to(method, end string) which {
	return func(r *http.Request) bool { return r.Method == method && strings.HasSuffix(r.URL.Path, end) }
}

var (
	tokenRequest  = to(http.MethodPost, "/oauth/token")
	statusRequest = to(http.MethodGet, "/status")
)

// kickoff is a request for an export.
func kickoff(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "export") }

// fileRequest asks for a file of an export.
func fileRequest(r *http.Request) bool { return strings.Contains(r.URL.Path, "/files/") }

// fhirRequest is one for data.
func fhirRequest(r *http.Request) bool {
	return strings.Contains(r.URL.Path, "/fhir/") && !strings.Contains(r.URL.Path, "/.well-known/") && !strings.HasSuffix(r.URL.Path, "/metadata")
}

// bodyOf reads a request's body, which stays.
func bodyOf(r *http.Request) (string, error) {
	if r.Body == nil {
		return "", nil
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return "", err
	}
	return string(text), r.Body.Close()
}

// copyOf is a request with another body.
func copyOf(r *http.Request, body string) *http.Request {
	out := r.Clone(r.Context())
	out.Body, out.ContentLength = http.NoBody, 0
	if body != "" {
		out.Body, out.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
	return out
}

// inPlaceOf does something else with requests, whose bodies it gives; others are sent.
func inPlaceOf(what which, do func(c *clientSide, r *http.Request, body string) (*http.Response, error)) lapse {
	return func(c *clientSide) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			if !what(r) {
				return c.RoundTrip(r)
			}
			body, err := bodyOf(r)
			if err != nil {
				return nil, err
			}
			return do(c, r, body)
		})
	}
}

// sentAs sends requests otherwise. edit gets a copy and the body, and gives the body to send.
func sentAs(what which, edit func(c *clientSide, r *http.Request, body string) string) lapse {
	return inPlaceOf(what, func(c *clientSide, r *http.Request, body string) (*http.Response, error) {
		out := r.Clone(r.Context())
		return c.RoundTrip(copyOf(out, edit(c, out, body)))
	})
}

// without leaves a header out.
func without(what which, header string) lapse {
	return sentAs(what, func(_ *clientSide, r *http.Request, body string) string {
		r.Header.Del(header)
		return body
	})
}

// with sets a header.
func with(what which, header, value string) lapse {
	return sentAs(what, func(_ *clientSide, r *http.Request, body string) string {
		r.Header.Set(header, value)
		return body
	})
}

// query changes the parameters in the URL.
func query(what which, edit func(url.Values)) lapse {
	return sentAs(what, func(_ *clientSide, r *http.Request, body string) string {
		q := r.URL.Query()
		edit(q)
		r.URL.RawQuery = q.Encode()
		return body
	})
}

// form changes the parameters of a form.
func form(what which, edit func(c *clientSide, f url.Values)) lapse {
	return sentAs(what, func(c *clientSide, _ *http.Request, body string) string {
		f, err := url.ParseQuery(body)
		if err != nil {
			return body
		}
		edit(c, f)
		return f.Encode()
	})
}

// inJSON changes a JSON body.
func inJSON(what which, edit func(map[string]any)) lapse {
	return sentAs(what, func(_ *clientSide, _ *http.Request, body string) string {
		var m map[string]any
		if json.Unmarshal([]byte(body), &m) != nil {
			return body
		}
		edit(m)
		text, err := json.Marshal(m)
		if err != nil {
			return body
		}
		return string(text)
	})
}

// again sends requests n times more once they were answered 200, each after the answer of the one before; insisted does it after any answer.
func again(what which, n int) lapse { return repeated(what, n, http.StatusOK) }

func insisted(what which, n int) lapse { return repeated(what, n, 0) }

func repeated(what which, n, status int) lapse {
	return inPlaceOf(what, func(c *clientSide, r *http.Request, body string) (*http.Response, error) {
		res, err := c.RoundTrip(copyOf(r, body))
		for range n {
			if err != nil {
				return nil, err
			}
			if status != 0 && res.StatusCode != status {
				break
			}
			if _, err = io.Copy(io.Discard, res.Body); err == nil {
				_ = res.Body.Close()
				res, err = c.RoundTrip(copyOf(r, body))
			}
		}
		return res, err
	})
}

// hurried asks how an export is going again and again, each time at once. The payer is asked to be slow, and asks for 5 seconds.
func hurried(c *clientSide) http.RoundTripper {
	asked := false
	return inPlaceOf(statusRequest, func(c *clientSide, r *http.Request, body string) (*http.Response, error) {
		for ; !asked; asked = true {
			for range 4 {
				out := copyOf(r, body)
				out.Header.Set(edgecases.Header, string(edgecases.SlowJob))
				res, err := c.RoundTrip(out)
				if err != nil {
					return nil, err
				}
				_ = res.Body.Close()
			}
		}
		return c.RoundTrip(copyOf(r, body))
	})(c)
}

// uncertified sends requests over connections in which the client presents no certificate.
func uncertified(what which) lapse {
	return inPlaceOf(what, func(c *clientSide, r *http.Request, body string) (*http.Response, error) {
		return c.bare.RoundTrip(copyOf(r, body))
	})
}

// recertified sends requests over connections in which the client presents another certificate than elsewhere.
func recertified(what which) lapse {
	return inPlaceOf(what, func(c *clientSide, r *http.Request, body string) (*http.Response, error) {
		return c.another.RoundTrip(copyOf(r, body))
	})
}

// leftOut never sends requests; the client goes on as if they had been answered.
func leftOut(what which) lapse {
	return inPlaceOf(what, func(_ *clientSide, r *http.Request, _ string) (*http.Response, error) {
		return &http.Response{
			StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody, Request: r,
		}, nil
	})
}

// clientKey is the key by which a client signs.
type clientKey struct{ *ecdsa.PrivateKey }

func newClientKey(t *testing.T) *clientKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &clientKey{key}
}

func (k *clientKey) pem(t *testing.T) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(k.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// sign makes a JWT of any header and claims, by ES384 whatever the header says.
func (k *clientKey) sign(header, claims map[string]any) (string, error) {
	part := func(v any) (string, error) {
		text, err := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(text), err
	}
	h, err := part(header)
	if err != nil {
		return "", err
	}
	p, err := part(claims)
	if err != nil {
		return "", err
	}
	sum := sha512.Sum384([]byte(h + "." + p))
	r, s, err := ecdsa.Sign(rand.Reader, k.PrivateKey, sum[:])
	if err != nil {
		return "", err
	}
	return h + "." + p + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 48)), s.FillBytes(make([]byte, 48))...)), nil
}

// claims reads a part of a JWT.
func claims(part string) map[string]any {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return nil
	}
	var out map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if d.Decode(&out) != nil {
		return nil
	}
	return out
}

// assertion changes what the client says in its assertions, which it signs.
func assertion(edit func(header, claims map[string]any)) lapse {
	return form(tokenRequest, func(c *clientSide, f url.Values) {
		parts := strings.Split(f.Get("client_assertion"), ".")
		if len(parts) != 3 {
			return
		}
		h, p := claims(parts[0]), claims(parts[1])
		edit(h, p)
		if text, err := c.key.sign(h, p); err == nil {
			f.Set("client_assertion", text)
		}
	})
}
