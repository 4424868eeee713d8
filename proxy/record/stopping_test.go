package record

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/proxytest"
)

// TestStopping: what breaks off because this process ends is neither the client's doing nor the server's.
func TestStopping(t *testing.T) {
	for name, breakOff := range map[string]func(p *Pending, res *http.Response){
		"no answer yet":                   func(p *Pending, _ *http.Response) { p.Fail(p.Classify(context.Canceled)) },
		"the client's connection is gone": func(_ *Pending, res *http.Response) { _ = res.Body.Close() },
		"the server's answer ends":        func(_ *Pending, res *http.Response) { _, _ = io.Copy(io.Discard, res.Body) },
	} {
		for _, stopping := range []bool{false, true} {
			sink := &proxytest.Sink{}
			rec := New(sink, testKey, Options{SpoolDir: t.TempDir(), HoldFor: time.Hour})
			req, p := rec.Begin(get(), Arrival{Mode: proxy.ModeReverse, URL: "http://proxy.test/x"})
			res := &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(broken{}), ContentLength: 100, Request: req}
			p.headers(res)
			p.Deliver(res)
			if stopping {
				rec.Stopping()
			}
			breakOff(p, res)
			f := sink.Wait(t, 1)[0].Failure
			if f == nil || (f.Side == sideProxy && f.Reason == proxy.ReasonProxy) != stopping {
				t.Errorf("%s, stopping %t: %+v", name, stopping, f)
			}
		}
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.Join(io.ErrUnexpectedEOF) }
