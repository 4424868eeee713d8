package interaction_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"maps"
	"testing"

	"fhirwire/proxy"
	"fhirwire/validators/interaction"
)

type channels map[string]*proxy.Channel

func (c channels) ChannelByName(_ context.Context, name string) (*proxy.Channel, error) {
	if ch, ok := c[name]; ok {
		return ch, nil
	}
	return nil, proxy.ErrNotFound
}

type known map[string]proxy.Kind

func (k known) BulkURL(_ context.Context, url string) (proxy.Kind, error) {
	if kind, ok := k[url]; ok {
		return kind, nil
	}
	return "", proxy.ErrNotFound
}

func (k known) LearnBulkURLs(_ context.Context, urls map[string]proxy.Kind) error {
	maps.Copy(k, urls)
	return nil
}

type bodies map[proxy.Digest]string

func (b bodies) OpenBody(_ context.Context, d proxy.Digest) (io.ReadCloser, error) {
	if s, ok := b[d]; ok {
		return io.NopCloser(bytes.NewReader([]byte(s))), nil
	}
	return nil, proxy.ErrNoBody
}

func (b bodies) add(s string) proxy.Body {
	d := proxy.Digest(s)
	b[d] = s
	return proxy.Body{Size: int64(len(s)), Stored: int64(len(s)), Digest: d, Complete: true}
}

func newClassifier(k interaction.Known) *interaction.Classifier {
	return interaction.NewClassifier(channels{"a~b": {Name: "a~b", ServerURL: base}}, k, interaction.Options{})
}

func on(channel string, e *proxy.Exchange) *proxy.Exchange {
	e.Channel = channel
	return e
}

func respond(e *proxy.Exchange, status int, header proxy.Header, body proxy.Body) *proxy.Exchange {
	e.Response = &proxy.Response{Status: status, Message: proxy.Message{Header: header, Body: body}}
	return e
}

func TestBulkURLsAreLearned(t *testing.T) {
	k, b := known{}, bodies{}
	c := newClassifier(k)
	kind := func(e *proxy.Exchange) proxy.Kind { return c.Classify(t.Context(), on("a~b", e), b).Kind }
	const status = "http://payer.example/resources/export.json"
	if got := kind(request("GET", status)); got != proxy.KindOther {
		t.Errorf("before the kick-off: %q", got)
	}
	kickoff := respond(request("GET", base+"/InsurancePlan/$export"), 202, proxy.Header{{Name: "Content-Location", Value: "/resources/export.json"}}, proxy.Body{})
	if got := kind(kickoff); got != proxy.KindBulkKickoff {
		t.Errorf("kick-off: %q", got)
	}
	manifest := `{"transactionTime":"2026-01-01T00:00:00Z","output":[{"type":"Basic","url":"http://files.example/1?X-Amz-Signature=abc&v=2"}],
		"deleted":[{"url":"http://payer.example/fhir/Binary/d"}],"error":[{"url":"http://payer.example/e#x"}],
		"link":[{"relation":"next","url":"http://payer.example/resources/export2.json"}]}`
	poll := respond(request("GET", "http://PAYER.example:80/resources/export.json"), 200, nil, b.add(manifest))
	if got := kind(poll); got != proxy.KindBulkStatus {
		t.Errorf("poll: %q", got)
	}
	for url, want := range map[string]proxy.Kind{
		"http://files.example/1?v=2&X-Amz-Signature=hmac:0123": proxy.KindBulkFile,
		"http://payer.example/fhir/Binary/d":                   proxy.KindBulkFile,
		"http://payer.example/e":                               proxy.KindBulkFile,
		"http://payer.example/resources/export2.json":          proxy.KindBulkStatus,
		"http://payer.example/fhir/Binary/other":               proxy.KindRead,
		"http://files.example/1?v=3":                           proxy.KindOther,
	} {
		if got := kind(request("GET", url)); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
	if got := kind(request("DELETE", status)); got != proxy.KindBulkDelete {
		t.Errorf("cancel: %q", got)
	}
	for url := range k {
		if bytes.Contains([]byte(url), []byte("abc")) {
			t.Errorf("a secret is remembered: %s", url)
		}
	}
}

func TestACompressedManifestIsRead(t *testing.T) {
	k, b := known{"http://payer.example:80/s": proxy.KindBulkStatus}, bodies{}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write([]byte(`{"output":[{"url":"http://payer.example/f"}]}`))
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	poll := respond(request("GET", "http://payer.example/s"), 200, proxy.Header{{Name: "Content-Encoding", Value: "gzip"}}, b.add(packed.String()))
	newClassifier(k).Classify(t.Context(), on("a~b", poll), b)
	if k["http://payer.example:80/f"] != proxy.KindBulkFile {
		t.Errorf("known %v", k)
	}
}

func TestBatchOrTransaction(t *testing.T) {
	b := bodies{}
	c := newClassifier(known{})
	for body, want := range map[string]proxy.Kind{
		`{"resourceType":"Bundle","entry":[{"resource":{"type":"transaction"}}],"type":"transaction"}`: proxy.KindTransaction,
		`{"resourceType":"Bundle","entry":[{"resource":{"type":"transaction"}}],"type":"batch"}`:       proxy.KindBatch,
		`{"type":`:              proxy.KindBatch,
		`[1]`:                   proxy.KindBatch,
		``:                      proxy.KindBatch,
		`{"type":{"type":"x"}}`: proxy.KindBatch,
	} {
		e := on("a~b", request("POST", base))
		e.Request.Body = b.add(body)
		if got := c.Classify(t.Context(), e, b).Kind; got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

func TestATokenRequestUnderAnyPath(t *testing.T) {
	b := bodies{}
	c := newClassifier(known{})
	e := on("a~b", request("POST", "http://payer.example/connect/exchange"))
	e.Request.Header = proxy.Header{{Name: "Content-Type", Value: "application/x-www-form-urlencoded; charset=utf-8"}}
	e.Request.Body = b.add("grant_type=client_credentials&client_assertion=hmac%3A12")
	if got := c.Classify(t.Context(), e, b).Kind; got != proxy.KindToken {
		t.Errorf("a form with grant_type: %q", got)
	}
	e.Request.Body = b.add("name=x")
	if got := c.Classify(t.Context(), e, b).Kind; got != proxy.KindOther {
		t.Errorf("another form: %q", got)
	}
}

type failing struct{}

var errDown = errors.New("database is down")

func (failing) BulkURL(context.Context, string) (proxy.Kind, error)           { return "", errDown }
func (failing) LearnBulkURLs(context.Context, map[string]proxy.Kind) error    { return errDown }
func (failing) ChannelByName(context.Context, string) (*proxy.Channel, error) { return nil, errDown }

func (failing) OpenBody(context.Context, proxy.Digest) (io.ReadCloser, error) { return nil, errDown }

func TestClassificationSurvivesFailures(t *testing.T) {
	c := interaction.NewClassifier(failing{}, failing{}, interaction.Options{})
	kickoff := respond(on("a~b", request("GET", base+"/Patient/$export")), 202,
		proxy.Header{{Name: "Content-Location", Value: "http://h/s"}}, proxy.Body{})
	if got := c.Classify(t.Context(), kickoff, failing{}).Kind; got != proxy.KindBulkKickoff {
		t.Errorf("kick-off: %q", got)
	}
	if got := c.Classify(t.Context(), on("a~b", request("GET", "http://h/s")), nil).Kind; got != proxy.KindOther {
		t.Errorf("an unknown URL: %q", got)
	}
	if got := c.Classify(t.Context(), request("POST", base), failing{}).Kind; got != proxy.KindOther {
		t.Errorf("without a channel the base is not known: %q", got)
	}
}
