package reverse_test

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/proxytest"
	"fhirwire/proxy/record"
	"fhirwire/proxy/reverse"
)

// TestHandshakes: what ends before there is a request is recorded and explained; who says nothing is not, nor who says it too often.
func TestHandshakes(t *testing.T) {
	ca := proxytest.NewCA(t, "CA")
	front := func(t *testing.T, perMinute int) (string, *proxytest.Sink) {
		t.Helper()
		sink := &proxytest.Sink{}
		rec := record.New(sink, proxy.NewFingerprintKey([]byte("k")), record.Options{SpoolDir: t.TempDir(), HoldFor: time.Hour})
		t.Cleanup(func() {
			if err := rec.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		h := reverse.NewHandshakes(channels{"a~b": {Name: "a~b"}}, rec, reverse.HandshakeOptions{
			PerMinute: perMinute, Clock: func() time.Time { return time.Unix(1_800_000_000, 0) }, // the minute does not end
		})
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
		s.Config.ConnState = h.State
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Server(t, "a~b.proxy.example")}, MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert}
		s.StartTLS()
		t.Cleanup(s.Close)
		return s.Listener.Addr().String(), sink
	}
	dial := func(t *testing.T, addr string) net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	shake := func(conf *tls.Config) func(t *testing.T, addr string) {
		return func(t *testing.T, addr string) {
			c := tls.Client(dial(t, addr), conf)
			if err := c.HandshakeContext(t.Context()); err == nil {
				t.Error("the handshake succeeded")
			}
			_ = c.Close()
		}
	}
	for _, c := range []struct {
		name    string
		do      func(t *testing.T, addr string)
		channel string
		words   string // "" for no record
	}{
		{"does not trust us, TLS 1.3", shake(&tls.Config{ServerName: "a~b.proxy.example", RootCAs: proxytest.NewCA(t, "Other").Pool()}), "a~b", "does not accept the proxy's certificate"},
		{"does not trust us, TLS 1.2", shake(&tls.Config{ServerName: "proxy.example", MaxVersion: tls.VersionTLS12, RootCAs: ca.Pool()}), "", "does not accept the proxy's certificate"},
		{"old", shake(&tls.Config{ServerName: "proxy.example", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, RootCAs: ca.Pool()}), "", "no TLS 1.2 or later"}, //nolint:gosec // the old version is the point
		{"in clear", func(t *testing.T, addr string) {
			c := dial(t, addr)
			_, _ = io.WriteString(c, "GET /a~b/fhir/Patient HTTP/1.1\r\nHost: x\r\n\r\n")
			_, _ = io.ReadAll(c)
		}, "", "has to begin with https://"},
		{"no TLS", func(t *testing.T, addr string) {
			c := dial(t, addr)
			_, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.6\r\n")
			_, _ = io.ReadAll(c)
		}, "", "does not speak TLS"},
		{"silent", func(t *testing.T, addr string) { _ = dial(t, addr).Close() }, "", ""},
		{"fine", func(t *testing.T, addr string) {
			c := tls.Client(dial(t, addr), &tls.Config{ServerName: "a~b.proxy.example", RootCAs: ca.Pool()})
			if err := c.HandshakeContext(t.Context()); err != nil {
				t.Error(err)
			}
			_ = c.Close()
		}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr, sink := front(t, 0)
			c.do(t, addr)
			if c.words == "" {
				time.Sleep(50 * time.Millisecond)
				if all := sink.Exchanges(); len(all) > 0 {
					t.Errorf("recorded %+v", all[0].Failure)
				}
				return
			}
			ex := sink.Wait(t, 1)[0]
			if f := ex.Failure; f == nil || f.Reason != proxy.ReasonClientTLS || f.Side != "client" || !strings.Contains(f.Detail, c.words) {
				t.Errorf("failure %+v", f)
			}
			if ex.Channel != c.channel || ex.Request.Method != "CONNECT" || ex.Request.Proto != "TLS" || ex.ClientLeg == nil || ex.ClientLeg.TLS == nil || ex.ClientLeg.TLS.Cipher == "0x0000" || ex.Response != nil {
				t.Errorf("recorded %+v, %+v", ex, ex.ClientLeg)
			}
		})
	}
	t.Run("too many", func(t *testing.T) {
		addr, sink := front(t, 2)
		for range 5 {
			shake(&tls.Config{ServerName: "proxy.example", RootCAs: ca.Pool()})(t, addr)
		}
		sink.Wait(t, 2)
		time.Sleep(50 * time.Millisecond)
		if n := len(sink.Exchanges()); n != 2 {
			t.Errorf("%d recorded", n)
		}
	})
}
