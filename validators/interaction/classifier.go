package interaction

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"fhirwire/proxy"
)

// Channels finds the channel an exchange came in on.
type Channels interface {
	ChannelByName(ctx context.Context, name string) (*proxy.Channel, error)
}

// Known remembers URLs that servers named as bulk status or files.
type Known interface {
	// BulkURL is a learned URL's kind; the error wraps proxy.ErrNotFound for any other URL.
	BulkURL(ctx context.Context, url string) (proxy.Kind, error)
	LearnBulkURLs(ctx context.Context, urls map[string]proxy.Kind) error
}

// Classifier classifies exchanges in the order they end, with what earlier ones said. It is safe for concurrent use.
type Classifier struct {
	channels Channels
	known    Known
	log      *slog.Logger
}

// Options tune NewClassifier. The zero value works.
type Options struct {
	Logger *slog.Logger
}

// NewClassifier returns a classifier over its parts.
func NewClassifier(channels Channels, known Known, o Options) *Classifier {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Classifier{channels: channels, known: known, log: o.Logger}
}

// maxPeek bounds how much of a body is read to classify it.
const maxPeek = 4 << 20

// Classify says what ex is and learns from it. It never fails: what cannot be asked is left out.
func (c *Classifier) Classify(ctx context.Context, ex *proxy.Exchange, bodies proxy.Bodies) proxy.Interaction {
	base := ""
	if ex.Channel != "" {
		ch, err := c.channels.ChannelByName(ctx, ex.Channel)
		switch {
		case err == nil:
			base = ch.ServerURL
		case !errors.Is(err, proxy.ErrNotFound):
			c.log.WarnContext(ctx, "channel not read", "exchange_id", ex.ID, "error", err)
		}
	}
	i := Classify(ex, base)
	if kind, ok := c.learned(ctx, ex, i); ok {
		i = proxy.Interaction{Kind: kind}
	}
	switch {
	case i.Kind == proxy.KindBatch:
		if bundleType(ctx, &ex.Request.Message, bodies) == "transaction" {
			i.Kind = proxy.KindTransaction
		}
	case i.Kind == proxy.KindOther && ex.Request.Method == http.MethodPost && grant(ctx, &ex.Request.Message, bodies):
		i.Kind = proxy.KindToken
	}
	if urls := c.named(ctx, ex, i, bodies); len(urls) > 0 {
		if err := c.known.LearnBulkURLs(ctx, urls); err != nil {
			c.log.WarnContext(ctx, "bulk URLs not remembered", "exchange_id", ex.ID, "error", err)
		}
	}
	return i
}

// learned asks whether an earlier exchange named the URL; only where the URL alone leaves doubt.
func (c *Classifier) learned(ctx context.Context, ex *proxy.Exchange, i proxy.Interaction) (proxy.Kind, bool) {
	switch i.Kind {
	case proxy.KindOther, proxy.KindOperation, proxy.KindBulkStatus, proxy.KindBulkFile, proxy.KindBulkDelete, proxy.KindDelete:
	case proxy.KindRead:
		if i.ResourceType != "Binary" {
			return "", false
		}
	default:
		return "", false
	}
	key, ok := urlKey(ex.Request.Target, nil)
	if !ok {
		return "", false
	}
	kind, err := c.known.BulkURL(ctx, key)
	if err != nil {
		if !errors.Is(err, proxy.ErrNotFound) {
			c.log.WarnContext(ctx, "bulk URL not looked up", "exchange_id", ex.ID, "error", err)
		}
		return "", false
	}
	switch ex.Request.Method {
	case http.MethodGet, http.MethodHead:
		return kind, true
	case http.MethodDelete:
		return proxy.KindBulkDelete, kind == proxy.KindBulkStatus
	}
	return "", false
}

// named are the URLs that the response names for later requests of a bulk exchange: the status URL of 202 Accepted (also of
// other asynchronous operations) and what a manifest lists.
func (c *Classifier) named(ctx context.Context, ex *proxy.Exchange, i proxy.Interaction, bodies proxy.Bodies) map[string]proxy.Kind {
	target, err := url.Parse(ex.Request.Target)
	if ex.Response == nil || ex.Request.Target == "" || err != nil {
		return nil
	}
	out := make(map[string]proxy.Kind)
	add := func(raw string, kind proxy.Kind) {
		if key, ok := urlKey(raw, target); ok {
			out[key] = kind
		}
	}
	switch {
	case ex.Response.Status == http.StatusAccepted && i.Kind != proxy.KindBulkStatus:
		add(ex.Response.Header.Get("Content-Location"), proxy.KindBulkStatus)
	case ex.Response.Status == http.StatusOK && i.Kind == proxy.KindBulkStatus:
		var manifest struct {
			Output, Deleted, Error []struct{ URL string }
			Link                   []struct{ Relation, URL string }
		}
		if json.Unmarshal(peek(ctx, &ex.Response.Message, bodies), &manifest) != nil {
			return nil // inspection says what is wrong with it
		}
		for _, files := range [][]struct{ URL string }{manifest.Output, manifest.Deleted, manifest.Error} {
			for _, f := range files {
				add(f.URL, proxy.KindBulkFile)
			}
		}
		for _, l := range manifest.Link {
			if l.Relation == "next" {
				add(l.URL, proxy.KindBulkStatus)
			}
		}
	}
	return out
}

// urlKey is a URL in the form in which it is remembered: absolute, host in lower case, without a default port, a fragment
// and secret parameters, which the recorder replaced in one place and not in the other.
func urlKey(raw string, base *url.URL) (string, bool) {
	if raw == "" {
		return "", false
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "", false
	}
	if base != nil {
		u = base.ResolveReference(u)
	}
	if u.Host == "" {
		return "", false
	}
	q := proxy.WithoutSecrets(u.Query())
	for name := range q {
		if secretParam(name) {
			q.Del(name)
		}
	}
	key := strings.ToLower(u.Scheme) + "://" + strings.ToLower(hostPort(u)) + u.EscapedPath()
	if len(q) > 0 {
		key += "?" + q.Encode()
	}
	return key, true
}

func secretParam(name string) bool {
	switch name := strings.ToLower(name); name {
	case "code", "signature":
		return true
	default:
		return strings.HasPrefix(name, "x-amz-") || strings.HasPrefix(name, "x-goog-")
	}
}

// peek reads the stored body, decoded where it is compressed, up to maxPeek; nil when it cannot be read.
func peek(ctx context.Context, m *proxy.Message, bodies proxy.Bodies) []byte {
	if bodies == nil || m.Body.Digest == "" || m.Body.Stored == 0 {
		return nil
	}
	rc, err := bodies.OpenBody(ctx, m.Body.Digest)
	if err != nil {
		return nil
	}
	defer rc.Close() //nolint:errcheck // nothing was written
	var r io.Reader = rc
	if strings.EqualFold(strings.TrimSpace(m.Header.Get("Content-Encoding")), "gzip") {
		z, err := gzip.NewReader(rc)
		if err != nil {
			return nil
		}
		r = z
	}
	b, err := io.ReadAll(io.LimitReader(r, maxPeek))
	if err != nil {
		return nil
	}
	return b
}

// bundleType is the member "type" of the Bundle in the body, "" when it is not found in the part that is read.
func bundleType(ctx context.Context, m *proxy.Message, bodies proxy.Bodies) string {
	d := json.NewDecoder(bytes.NewReader(peek(ctx, m, bodies)))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return ""
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return ""
		}
		if name != "type" {
			var skipped json.RawMessage
			if d.Decode(&skipped) != nil {
				return ""
			}
			continue
		}
		value, err := d.Token()
		if s, ok := value.(string); ok && err == nil {
			return s
		}
		return ""
	}
	return ""
}

// grant reports whether the body is a form with grant_type: a token request under a path that does not say so.
func grant(ctx context.Context, m *proxy.Message, bodies proxy.Bodies) bool {
	if !strings.HasPrefix(strings.ToLower(m.Header.Get("Content-Type")), "application/x-www-form-urlencoded") {
		return false
	}
	form, err := url.ParseQuery(string(peek(ctx, m, bodies)))
	return err == nil && form.Has("grant_type")
}
