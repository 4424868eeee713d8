package forward_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/forward"
)

// seen is what the server got.
type seen struct {
	target, host, proto, body string
	header                    http.Header
}

func watching(got *seen) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*got = seen{target: r.RequestURI, host: r.Host, proto: r.Proto, body: string(body), header: r.Header}
		w.Header().Set("Content-Type", "application/fhir+json")
		w.Header().Set("ETag", `W/"7"`)
		_, _ = io.WriteString(w, `{"resourceType":"Patient"}`)
	}
}

func TestInterceptedRequestsPassUnchanged(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("h2=%t", h2), func(t *testing.T) {
			var got seen
			r := newRig(t, watching(&got))
			target := r.base() + "/Patient/a%2Fb%7Ec?name=%C3%A9&x=a+b&&y"
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(`{"a":1.0}`))
			if err != nil {
				t.Fatal(err)
			}
			req.Header = http.Header{"Accept-Encoding": {"gzip;q=0.5"}, "User-Agent": {""}, "Content-Type": {"application/fhir+json"}, "Authorization": {"Bearer secret-token"}, "X-Forwarded-For": {"10.0.0.9"}}
			res, body, err := r.do(r.client(nil, h2), req)
			if err != nil {
				t.Fatal(err)
			}

			wantProto := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[h2]
			if res.Proto != wantProto || body != `{"resourceType":"Patient"}` || res.ContentLength != 26 || res.Header.Get("Etag") != `W/"7"` {
				t.Errorf("client got %s %d %q %v", res.Proto, res.ContentLength, body, res.Header)
			}
			if got.host != r.addr() || got.target != "/fhir/Patient/a%2Fb%7Ec?name=%C3%A9&x=a+b&&y" || got.body != `{"a":1.0}` {
				t.Errorf("server got %+v", got)
			}
			if want := []string{"Accept-Encoding", "Authorization", "Content-Length", "Content-Type", "X-Forwarded-For"}; !slices.Equal(headerNames(got.header), want) {
				t.Errorf("server got fields %v, want %v", headerNames(got.header), want)
			}
			e := r.sink.Wait(t, 1)[0]
			if e.Mode != proxy.ModeForward || e.Request.URL != target || e.Request.Target != target || e.Channel != "acme~payer" || e.Matched != "the only channel to this host" || e.Failure != nil || len(e.Edits) > 0 {
				t.Errorf("recorded %+v", e)
			}
			if e.Status() != 200 || string(r.sink.Body(e.Request.Body)) != `{"a":1.0}` || string(r.sink.Body(e.Response.Body)) != body {
				t.Errorf("recorded bodies %+v %+v", e.Request.Body, e.Response)
			}
			if e.ClientLeg == nil || e.ClientLeg.TLS == nil || e.ClientLeg.TLS.ServerName != "payer.example" || e.ServerLeg == nil || e.ServerLeg.TLS == nil || e.ServerLeg.TLS.Trust != proxy.TrustServerCA {
				t.Errorf("recorded legs %+v %+v", e.ClientLeg, e.ServerLeg)
			}
			if ours := e.ClientLeg.TLS.Server; len(ours) < 2 || !slices.Equal(ours[0].Names, []string{"payer.example"}) || !strings.Contains(ours[0].Issuer, "fhirwire") {
				t.Errorf("recorded own chain %+v", ours)
			}
			if v := e.Request.Header.Get("Authorization"); strings.Contains(v, "secret-token") || !strings.HasPrefix(v, "Bearer hmac:") {
				t.Errorf("recorded Authorization %q", v)
			}
		})
	}
}

func TestPlainRequestsPassUnchanged(t *testing.T) {
	var got seen
	r := newRig(t, watching(&got))
	// newman sends a user name alone without the colon of RFC 7617.
	alone := "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("acme~clear"))
	if res, body := exchange(t, r.dial(), "GET http://"+r.clearAddr()+"/fhir HTTP/1.1\r\nHost: x\r\n"+alone+"\r\n\r\n"); res.StatusCode != 200 {
		t.Errorf("user name alone: %s %s", res.Status, body)
	}
	conn := r.dial()
	target := "http://" + r.clearAddr() + "/fhir/a%2fb//c?x=%7e"
	res, body := exchange(t, conn, "GET "+target+" HTTP/1.1\r\nHost: ignored.example\r\nProxy-Connection: keep-alive\r\nConnection: x-private, close\r\nX-Private: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nAccept: */*\r\n"+basicAuth("acme~clear", "pw")+"\r\n\r\n")
	if res.StatusCode != 200 || body != `{"resourceType":"Patient"}` {
		t.Fatalf("%s %s", res.Status, body)
	}
	if got.host != r.clearAddr() || got.target != "/fhir/a%2fb//c?x=%7e" || !slices.Equal(headerNames(got.header), []string{"Accept", "Te"}) {
		t.Errorf("server got %+v", got)
	}
	e := r.sink.Wait(t, 2)[1]
	if e.Request.URL != target || e.Request.Target != target || e.Channel != "acme~clear" || e.Matched != "proxy user name acme~clear" {
		t.Errorf("recorded %+v", e)
	}
	if v := e.Request.Header.Get("Proxy-Authorization"); !strings.HasPrefix(v, "Basic "+string(r.key.Of("pw"))) {
		t.Errorf("recorded credentials %q", v)
	}
}

// A host has more than one spelling. The server gets the client's, and so does the record.
func TestSpellingsOfAHost(t *testing.T) {
	var got seen
	r := newRig(t, watching(&got))
	at := port(r.clear)
	for i, tt := range []struct{ asked, target string }{
		{"Other.Example:" + at, "http://Other.Example:" + at + "/fhir"},
		{"other.example.:" + at, "http://other.example:" + at + "/fhir"},
	} {
		res, body := exchange(t, r.dial(), "GET http://"+tt.asked+"/fhir HTTP/1.1\r\nHost: x\r\n\r\n")
		e := r.sink.Wait(t, i+1)[i]
		if res.StatusCode != 200 || got.host != tt.asked || e.Request.URL != "http://"+tt.asked+"/fhir" || e.Request.Target != tt.target {
			t.Errorf("%s: %s %s, server asked as %q, recorded %q, %q", tt.asked, res.Status, body, got.host, e.Request.URL, e.Request.Target)
		}
	}
}

// canary listens where nobody may come.
func canary(t *testing.T) (addr string, visits *atomic.Int32) {
	visits = &atomic.Int32{}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			visits.Add(1)
			_ = c.Close()
		}
	}()
	return ln.Addr().String(), visits
}

func TestWhatIsNotRegisteredIsRefusedAndRecorded(t *testing.T) {
	secret, visits := canary(t)
	_, secretPort, _ := net.SplitHostPort(secret)
	dns.set("evil.example", "127.0.0.1")
	tests := []struct {
		name, request string
		status        int
		url           string
	}{
		{"unregistered host", "CONNECT evil.example:" + secretPort + " HTTP/1.1\r\nHost: x\r\n\r\n", 403, "https://evil.example:" + secretPort},
		{"IP address", "CONNECT " + secret + " HTTP/1.1\r\nHost: x\r\n\r\n", 403, "https://" + secret},
		{"private address", "CONNECT 10.0.0.1:443 HTTP/1.1\r\nHost: x\r\n\r\n", 403, "https://10.0.0.1:443"},
		{"metadata service", "CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: x\r\n\r\n", 403, "https://169.254.169.254:80"},
		{"IPv6", "CONNECT [::1]:" + secretPort + " HTTP/1.1\r\nHost: x\r\n\r\n", 403, "https://[::1]:" + secretPort},
		{"number for an address", "CONNECT 2130706433:" + secretPort + " HTTP/1.1\r\nHost: x\r\n\r\n", 403, "https://2130706433:" + secretPort},
		{"port 22", "CONNECT payer.example:22 HTTP/1.1\r\nHost: x\r\n\r\n", 403, "https://payer.example:22"},
		{"other port", "CONNECT payer.example:" + secretPort + " HTTP/1.1\r\nHost: x\r\n\r\n", 403, "https://payer.example:" + secretPort},
		{"no port", "CONNECT payer.example HTTP/1.1\r\nHost: x\r\n\r\n", 400, "https://payer.example"},
		{"plain request", "GET http://evil.example:" + secretPort + "/x?client_secret=hush HTTP/1.1\r\nHost: x\r\n\r\n", 403, "http://evil.example:" + secretPort + "/x?client_secret=SECRET"},
		{"upgrade", "GET http://" + secret + "/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 403, "http://" + secret + "/ws"},
		{"https without a tunnel", "GET https://payer.example/fhir HTTP/1.1\r\nHost: x\r\n\r\n", 403, "https://payer.example/fhir"},
		{"other scheme", "GET ftp://payer.example/x HTTP/1.1\r\nHost: x\r\n\r\n", 400, "ftp://payer.example/x"},
		{"user name of nobody", "GET http://evil.example/ HTTP/1.1\r\n" + basicAuth("nobody", "") + "\r\n\r\n", 403, "http://evil.example/"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was forwarded") })
			res, body := exchange(t, r.dial(), strings.Replace(tt.request, "HTTP/1.1\r\nProxy", "HTTP/1.1\r\nHost: x\r\nProxy", 1))
			if res.StatusCode != tt.status || !strings.Contains(body, "OperationOutcome") {
				t.Errorf("%s %s", res.Status, body)
			}
			e := r.sink.Wait(t, 1)[0]
			url := strings.Replace(tt.url, "SECRET", string(r.key.Of("hush")), 1)
			if e.Mode != proxy.ModeForward || failureOf(e) != "refused/client" || e.Request.URL != url || e.Request.Target != "" || e.Response != nil || e.Channel != "" {
				t.Errorf("recorded %s %+v %q", failureOf(e), e, e.Request.URL)
			}
		})
	}
	if n := visits.Load(); n > 0 {
		t.Errorf("%d connections to what is not registered", n)
	}
	if dns.askedFor("evil.example") {
		t.Error("the name of an unregistered host was looked up")
	}
}

func TestInsideATunnelOnlyItsHost(t *testing.T) {
	r := newRig(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was forwarded") })
	tests := []struct {
		name, request string
		status        int
		reason        string
	}{
		{"other registered host", "GET /fhir HTTP/1.1\r\nHost: " + r.clearAddr() + "\r\n\r\n", 421, "refused/client"},
		{"other host", "GET /fhir HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421, "refused/client"},
		{"other port", "GET /fhir HTTP/1.1\r\nHost: payer.example\r\n\r\n", 421, "refused/client"},
		{"absolute URL", "GET https://evil.example/ HTTP/1.1\r\nHost: " + r.addr() + "\r\n\r\n", 421, "refused/client"},
		{"absolute URL, other scheme", "GET http://" + r.addr() + "/ HTTP/1.1\r\nHost: " + r.addr() + "\r\n\r\n", 421, "refused/client"},
		{"tunnel in a tunnel", "CONNECT " + r.clearAddr() + " HTTP/1.1\r\nHost: " + r.clearAddr() + "\r\n\r\n", 403, "refused/client"},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res, body := exchange(t, r.secure(r.addr()), tt.request)
			if res.StatusCode != tt.status || !strings.Contains(body, "OperationOutcome") {
				t.Errorf("%s %s", res.Status, body)
			}
			if e := r.sink.Wait(t, i+1)[i]; failureOf(e) != tt.reason || e.Channel != "acme~payer" || e.Request.Target != "" {
				t.Errorf("recorded %s %+v", failureOf(e), e)
			}
		})
	}
}

func TestTheSchemeIsTheRegisteredOne(t *testing.T) {
	r := newRig(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was forwarded") })
	res, _ := exchange(t, r.connect(r.addr()), "GET /fhir HTTP/1.1\r\nHost: "+r.addr()+"\r\n\r\n")
	if res.StatusCode != 403 {
		t.Errorf("in clear to an https host: %s", res.Status)
	}
	res, _ = exchange(t, r.secure(r.clearAddr()), "GET /fhir HTTP/1.1\r\nHost: "+r.clearAddr()+"\r\n\r\n")
	if res.StatusCode != 403 {
		t.Errorf("TLS to an http host: %s", res.Status)
	}
	for _, e := range r.sink.Wait(t, 2) {
		if failureOf(e) != "refused/client" {
			t.Errorf("recorded %+v", e.Failure)
		}
	}
}

func TestAnHTTPHostMayBeReachedThroughATunnel(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	if res, body := exchange(t, r.connect(r.clearAddr()), "GET /fhir HTTP/1.1\r\nHost: "+r.clearAddr()+"\r\n\r\n"); res.StatusCode != 200 || body != "ok" {
		t.Errorf("%s %s", res.Status, body)
	}
	if e := r.sink.Wait(t, 1)[0]; e.Request.URL != "http://"+r.clearAddr()+"/fhir" || e.Failure != nil {
		t.Errorf("recorded %+v", e)
	}
}

func TestAnotherServerNameThanTheTunnelsIsRefused(t *testing.T) {
	r := newRig(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was forwarded") })
	conn := tls.Client(r.connect(r.addr()), &tls.Config{RootCAs: pool(local()), ServerName: "auth.example"})
	if err := conn.HandshakeContext(t.Context()); err == nil {
		t.Error("the handshake succeeded")
	}
	e := r.sink.Wait(t, 1)[0]
	if failureOf(e) != "refused/client" || !strings.Contains(e.Failure.Detail, `"auth.example"`) || e.Channel != "acme~payer" || e.Request.URL != "https://"+r.addr() {
		t.Errorf("recorded %+v %+v", e, e.Failure)
	}
}

func TestAClientThatDoesNotTrustTheLocalCAIsExplained(t *testing.T) {
	r := newRig(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was forwarded") })
	conn := tls.Client(r.connect(r.addr()), &tls.Config{RootCAs: pool(public()), ServerName: "payer.example"})
	if err := conn.HandshakeContext(t.Context()); err == nil {
		t.Error("the handshake succeeded")
	}
	e := r.sink.Wait(t, 1)[0]
	if failureOf(e) != "client-tls/client" || !strings.Contains(e.Failure.Detail, "local CA") {
		t.Errorf("recorded %+v", e.Failure)
	}
}

// A name that is registered may come to mean an address that is not to be reached. The address that was checked is the one dialed.
func TestRebindingNames(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	dns.set("rebind.example", "127.0.0.1", "127.0.0.1", "169.254.169.254")
	at := "rebind.example:" + port(r.clear)
	r.hosts.add("acme", "rebind", "http://"+at+"/fhir")
	request := "GET http://" + at + "/fhir HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	if res, body := exchange(t, r.dial(), request); res.StatusCode != 200 {
		t.Fatalf("%s %s", res.Status, body)
	}
	r.clear.CloseClientConnections()
	dns.set("rebind.example", "169.254.169.254")
	res, body := exchange(t, r.dial(), request)
	if res.StatusCode != 502 || strings.Contains(body, "169.254") {
		t.Errorf("%s %s", res.Status, body)
	}
	if e := r.sink.Wait(t, 2)[1]; failureOf(e) != "refused/proxy" || !strings.Contains(e.Failure.Detail, "169.254.169.254") {
		t.Errorf("recorded %+v", e.Failure)
	}
}

func TestOwnListenersAreNotReached(t *testing.T) {
	r := newRig(t, func(http.ResponseWriter, *http.Request) {})
	at := r.front.Listener.Addr().String()
	r.hosts.add("acme", "self", "http://"+at)
	res, _ := exchange(t, r.dial(), "GET http://"+at+"/ HTTP/1.1\r\nHost: x\r\n\r\n")
	if e := r.sink.Wait(t, 1)[0]; res.StatusCode != 502 || failureOf(e) != "refused/proxy" {
		t.Errorf("%s, recorded %+v", res.Status, e.Failure)
	}
}

func TestWhichChannelIsMeant(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	r.hosts.add("beta", "payer", r.base())
	tests := []struct {
		name    string
		user    *url.Userinfo
		status  int
		channel string
		matched string
	}{
		{"ambiguous", nil, 403, "", ""},
		{"channel", url.User("beta~payer"), 200, "beta~payer", "proxy user name beta~payer"},
		{"client", url.User("acme"), 200, "acme~payer", "proxy user name acme"},
		{"channel elsewhere", url.User("acme~clear"), 403, "", ""},
		{"nobody", url.User("gamma"), 403, "", ""},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res, _, err := r.get(r.client(tt.user, true), r.base()+"/metadata")
			if tt.status == 200 && (err != nil || res.StatusCode != 200) {
				t.Errorf("%v %v", res, err)
			}
			if tt.status != 200 && (err == nil || !strings.Contains(err.Error(), http.StatusText(tt.status))) {
				t.Errorf("%v %v", res, err)
			}
			e := r.sink.Wait(t, i+1)[i]
			if e.Channel != tt.channel || e.Matched != tt.matched {
				t.Errorf("recorded %q %q %+v", e.Channel, e.Matched, e.Failure)
			}
			if tt.name == "ambiguous" && !strings.Contains(e.Failure.Detail, "2 channels lead to") {
				t.Errorf("%q does not say what to do", e.Failure.Detail)
			}
		})
	}
}

func TestCredentials(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		if _, ok := r.Header["Proxy-Authorization"]; ok {
			t.Error("proxy credentials were forwarded")
		}
		_, _ = io.WriteString(w, "ok")
	}, func(o *forward.Options) {
		o.RequireCredentials = true
		o.Users = map[string]string{"event": "hush-event", "acme": "hush-acme", "empty": ""}
		o.Token = func(user string) string {
			if user == "acme~payer" || user == "nobody" {
				return "token-" + user
			}
			return ""
		}
	})
	tests := []struct {
		name string
		auth string
		want int
	}{
		{"none", "", 407},
		{"shared user", basicAuth("event", "hush-event"), 200},
		{"wrong password", basicAuth("event", "hush"), 407},
		{"other user's password", basicAuth("event", "hush-acme"), 407},
		{"empty password", basicAuth("empty", ""), 407},
		{"empty token", basicAuth("acme~clear", ""), 407},
		{"unknown", basicAuth("x", "hush-event"), 407},
		{"client", basicAuth("acme", "hush-acme"), 200},
		{"channel's token", basicAuth("acme~payer", "token-acme~payer"), 200},
		{"another channel's token", basicAuth("acme~clear", "token-acme~payer"), 407},
		{"token of nobody", basicAuth("nobody", "token-nobody"), 403},
		{"other scheme", "Proxy-Authorization: Bearer hush-event", 407},
		{"twice", basicAuth("event", "hush-event") + "\r\n" + basicAuth("event", "hush-event"), 407},
		{"no base64", "Proxy-Authorization: Basic !!", 407},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			auth := strings.TrimPrefix(tt.auth+"\r\n", "\r\n")
			res, _ := exchange(t, r.dial(), "CONNECT "+r.addr()+" HTTP/1.1\r\nHost: x\r\n"+auth+"\r\n")
			if res.StatusCode != tt.want || (tt.want == 407) != (res.Header.Get("Proxy-Authenticate") != "") {
				t.Errorf("CONNECT: %s %v", res.Status, res.Header)
			}
			if tt.name == "channel's token" {
				return // the plain host is another channel's
			}
			res, _ = exchange(t, r.dial(), "GET http://"+r.clearAddr()+"/fhir HTTP/1.1\r\nHost: x\r\n"+auth+"\r\n")
			if res.StatusCode != tt.want {
				t.Errorf("GET: %s", res.Status)
			}
		})
	}
	// Strangers are not told what is registered.
	res, _ := exchange(t, r.dial(), "CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n")
	if res.StatusCode != 407 {
		t.Errorf("unregistered without credentials: %s", res.Status)
	}
	for _, e := range r.sink.Exchanges() {
		for _, f := range e.Request.Header {
			if strings.Contains(f.Value, "hush") || strings.Contains(f.Value, "token-acme") {
				t.Errorf("recorded %s: %s", f.Name, f.Value)
			}
		}
	}
}

func TestAuxiliaryHostsAreRegistered(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) })
	dns.set("auth.example", "127.0.0.1")
	at := "auth.example:" + port(r.back)
	r.hosts.add("acme", "two", "https://127.0.0.1:"+port(r.back), func(ch *proxy.Channel) {
		ch.Server.Auxiliary = []proxy.Auxiliary{{Name: "auth", URL: "https://" + at + "/oauth2"}}
	})
	for _, base := range []string{"https://" + at + "/oauth2/token", "https://127.0.0.1:" + port(r.back) + "/Patient"} {
		if _, body, err := r.get(r.client(nil, true), base); err != nil || !strings.Contains(base, body) {
			t.Errorf("%s: %q %v", base, body, err)
		}
	}
	for _, e := range r.sink.Wait(t, 2) {
		if e.Channel != "acme~two" {
			t.Errorf("%s: channel %q", e.Request.URL, e.Channel)
		}
		if e.Failure != nil {
			t.Error(e.Failure)
		}
	}
}

// What is registered or deleted later holds from the next request on, also in open tunnels.
func TestTheRegisterChanges(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	conn := r.secure(r.addr())
	request := "GET /fhir HTTP/1.1\r\nHost: " + r.addr() + "\r\n\r\n"
	if res, _ := exchange(t, conn, request); res.StatusCode != 200 {
		t.Fatal(res.Status)
	}
	r.hosts.mu.Lock()
	r.hosts.channels = r.hosts.channels[1:]
	r.hosts.mu.Unlock()
	if res, _ := exchange(t, conn, request); res.StatusCode != 403 {
		t.Errorf("after the channel was deleted: %s", res.Status)
	}
	r.hosts.add("acme", "later", "https://localhost:"+port(r.back))
	dns.set("localhost", "127.0.0.1")
	if _, _, err := r.get(r.client(nil, true), "https://localhost:"+port(r.back)+"/x"); err != nil {
		t.Errorf("after a channel was opened: %v", err)
	}
}

func TestItSaysWhatItIs(t *testing.T) {
	r := newRig(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was forwarded") })
	res, body := exchange(t, r.dial(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if res.StatusCode != 400 || !strings.Contains(body, "forward proxy") || len(r.sink.Exchanges()) != 0 {
		t.Errorf("%s %s", res.Status, body)
	}
}

func TestShutdownLetsRequestsFinish(t *testing.T) {
	started, finish := make(chan struct{}), make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/fhir/slow" {
			close(started)
			<-finish
		}
		_, _ = io.WriteString(w, "whole")
	})
	idle := r.secure(r.addr())
	if res, _ := exchange(t, idle, "GET /fhir HTTP/1.1\r\nHost: "+r.addr()+"\r\n\r\n"); res.StatusCode != 200 {
		t.Fatal(res.Status)
	}
	answered := make(chan string, 1)
	go func() {
		_, body, err := r.get(r.client(nil, true), r.base()+"/slow")
		answered <- fmt.Sprint(body, err)
	}()
	<-started
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		done <- r.fwd.Shutdown(ctx)
	}()
	if _, err := idle.Read(make([]byte, 1)); err == nil {
		t.Error("an idle tunnel was not closed")
	}
	if res, _ := exchange(t, r.dial(), "CONNECT "+r.addr()+" HTTP/1.1\r\nHost: x\r\n\r\n"); res.StatusCode != 503 {
		t.Errorf("a new tunnel during shutdown: %s", res.Status)
	}
	select {
	case err := <-done:
		t.Fatalf("shutdown did not wait: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	close(finish)
	if got := <-answered; got != "whole<nil>" {
		t.Errorf("the request under way got %s", got)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestShutdownEnds(t *testing.T) {
	started := make(chan struct{})
	r := newRig(t, func(_ http.ResponseWriter, r *http.Request) {
		close(started)
		<-r.Context().Done()
	})
	go func() { _, _, _ = r.get(r.client(nil, true), r.base()) }()
	<-started
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := r.fwd.Shutdown(ctx); err == nil {
		t.Error("shutdown reported no tunnel cut off")
	}
	if e := r.sink.Wait(t, 1)[0]; failureOf(e) != "proxy-error/proxy" || !strings.Contains(e.Failure.Detail, "stopped") {
		t.Errorf("recorded %+v", e.Failure)
	}
}

func TestLimits(t *testing.T) {
	r := newRig(t, func(http.ResponseWriter, *http.Request) {}, func(o *forward.Options) { o.MaxTunnels, o.MaxHeaderFields, o.MaxHeader = 1, 50, 4<<10 })
	tunnel := "CONNECT " + r.addr() + " HTTP/1.1\r\nHost: x\r\n\r\n"
	first := r.connect(r.addr())
	if res, _ := exchange(t, r.dial(), tunnel); res.StatusCode != 503 {
		t.Errorf("one tunnel too many: %s", res.Status)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Minute); ; time.Sleep(10 * time.Millisecond) { // its place is free a moment later
		conn := r.dial()
		res, _ := exchange(t, conn, tunnel)
		_ = conn.Close()
		if res.StatusCode == 200 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the place of a tunnel that has ended stays taken")
		}
	}
	many := strings.Repeat("X-A: 1\r\n", 60)
	if res, _ := exchange(t, r.dial(), "GET http://"+r.clearAddr()+"/fhir HTTP/1.1\r\nHost: x\r\n"+many+"\r\n"); res.StatusCode != 431 {
		t.Errorf("many header lines: %s", res.Status)
	}
}

func TestLongHeadersInATunnel(t *testing.T) {
	r := newRig(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was forwarded") }, func(o *forward.Options) { o.MaxHeader = 4 << 10 })
	if res, _ := exchange(t, r.secure(r.addr()), "GET /fhir HTTP/1.1\r\nHost: "+r.addr()+"\r\nX-A: "+strings.Repeat("a", 10<<10)+"\r\n\r\n"); res.StatusCode != 431 {
		t.Errorf("a long header in a tunnel: %s", res.Status)
	}
}

// TestSlowClients: who sends little or nothing does not keep a tunnel.
func TestSlowClients(t *testing.T) {
	r := newRig(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was forwarded") }, func(o *forward.Options) {
		o.IdleTimeout, o.HeaderTimeout = 300*time.Millisecond, 300*time.Millisecond
	})
	for name, sent := range map[string]string{
		"nothing": "", "a byte of a handshake": "\x16", "half a handshake": "\x16\x03\x01\x02\x00\x01\x00", "half a request": "GET /fhir HTTP/1.1\r\nHost: ",
	} {
		conn := r.connect(r.addr())
		if err := conn.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, sent); err != nil {
			t.Fatal(err)
		}
		_, err := io.ReadAll(conn)
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
			t.Errorf("%s: the tunnel is still open", name)
		}
	}
}
