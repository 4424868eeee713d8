package web

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"time"

	"fhirwire/proxy"
	"fhirwire/web/views"
)

// trustWords says on what a certificate was accepted, for both legs.
var trustWords = map[proxy.Trust]views.Notice{
	proxy.TrustNone:      {Class: "v-none", Title: "No certificate presented"},
	proxy.TrustPublic:    {Class: "v-pass", Title: "Trusted: a root of this machine"},
	proxy.TrustServerCA:  {Class: "v-pass", Title: "Trusted: the CA set for this server"},
	proxy.TrustEventCA:   {Class: "v-pass", Title: "Trusted: the event's CA"},
	proxy.TrustLocalCA:   {Class: "v-pass", Title: "Trusted: fhirwire's own CA"},
	proxy.TrustPinned:    {Class: "v-pass", Title: "Trusted: its fingerprint is on record"},
	proxy.TrustDirectory: {Class: "v-pass", Title: "Trusted: an entry of the endpoint directory"},
	proxy.TrustInsecure:  {Class: "sev-warning", Title: "Not verified"},
	proxy.TrustRefused:   {Class: "v-fail", Title: "Not accepted"},
}

// legs is the connection tab of an exchange.
func (s *Server) legs(n *names, ex *proxy.Exchange) *views.Legs {
	client, server := n.sides(ex.Channel)
	v := &views.Legs{
		Client: s.leg(ex, ex.ClientLeg, "Client to proxy", visible([]byte(client)), true),
		Server: s.leg(ex, ex.ServerLeg, "Proxy to server", visible([]byte(server)), false),
	}
	if ex.ClientLeg == nil && ex.ClientAddr != "" {
		v.Client.Facts = append([]views.Fact{{Name: "Address", Value: visible([]byte(ex.ClientAddr)), Mono: true}}, v.Client.Facts...)
	}
	v.Server.Facts = append(v.Server.Facts, targetFacts(ex)...)
	switch {
	case ex.Mode == proxy.ModeTunnel:
		v.Notices = append(v.Notices, views.Notice{
			Class: "v-not-checked", Title: "Encrypted end to end: metadata only",
			Text: "The connection was passed on unread, so that the client's own certificate reaches the server. There are times and sizes, and nothing in it is judged.",
		})
	case ex.Mode == proxy.ModeImported && ex.ClientLeg == nil && ex.ServerLeg == nil:
		v.Notices = append(v.Notices, views.Notice{Class: "v-none", Title: "Imported", Text: "What is imported tells nothing of its connections."})
	case ex.Insecure():
		v.Notices = append(v.Notices, views.Notice{
			Class: "sev-warning", Title: "The server's certificate was not verified",
			Text: "Somebody switched verification off for a time on the page of this server system. Add its CA there instead, and switch it on again.",
		})
	}
	if f := ex.Failure; f != nil && (f.Reason == proxy.ReasonUpstreamTLS || f.Reason == proxy.ReasonClientTLS) {
		v.Notices = append(v.Notices, views.Notice{Class: "v-fail", Title: failureText(n, ex), Text: failureNext(n, ex)})
	}
	v.Binding = binding(ex)
	return v
}

func targetFacts(ex *proxy.Exchange) []views.Fact {
	var facts []views.Fact
	if ex.Request.Target != "" {
		facts = append(facts, views.Fact{Name: "Forwarded to", Value: visible([]byte(ex.Request.Target)), Mono: true})
	}
	if ex.Response != nil {
		facts = append(facts, views.Fact{Name: "Server spoke", Value: visible([]byte(ex.Response.Proto))})
	}
	if ex.Request.Target != "" && !ex.Timing.Connected.IsZero() && ex.Mode != proxy.ModeTunnel {
		reused := "new"
		if ex.Timing.ReusedUpConn {
			reused = "reused"
		}
		facts = append(facts, views.Fact{Name: "Connection", Value: reused})
	}
	return facts
}

// leg is one connection. inbound is the client's: there the peer to trust is the client, on the other it is the server.
func (s *Server) leg(ex *proxy.Exchange, l *proxy.Leg, title, peer string, inbound bool) views.Leg {
	v := views.Leg{Title: title}
	text := func(t string) string { return visible([]byte(clip(t, 500))) }
	add := func(name, value string, mono bool) {
		if value != "" {
			v.Facts = append(v.Facts, views.Fact{Name: name, Value: text(value), Mono: mono})
		}
	}
	add("Peer", peer, false)
	if inbound {
		defer func() { v.Facts = append(v.Facts, clientFacts(ex)...) }()
	}
	switch {
	case l == nil && ex.Mode == proxy.ModeTunnel:
		v.Empty = "Passed on unread."
		return v
	case l == nil && (inbound || ex.Response != nil):
		v.Empty = "Nothing is known of this connection."
		return v
	case l == nil:
		v.Empty = "There was no connection to the server."
		return v
	}
	add("Address", l.Address, true)
	if t := l.Tunnel; t != nil {
		add("Server name (SNI)", t.ServerName, true)
		add("Protocols offered (ALPN)", strings.Join(t.Protocols, ", "), false)
		add("Sent to the server", views.Size(t.Sent)+", encrypted", false)
		add("Received from it", views.Size(t.Received)+", encrypted", false)
	}
	if ex.Mode == proxy.ModeTunnel {
		v.Empty = "The handshake was passed on unread: what it agreed on and whose certificates it showed is between the two ends."
		return v
	}
	if l.TLS == nil {
		v.Empty = "In clear: there was no TLS, so nobody proved who they are."
		return v
	}
	t := l.TLS
	v.Secure = true
	if t.Gateway != "" {
		add("Client certificate", "as the gateway "+t.Gateway+" says (Client-Cert, RFC 9440); TLS with the client ends there", false)
	}
	add("TLS", t.Version, false)
	add("Cipher suite", t.Cipher, true)
	add("Server name (SNI)", t.ServerName, true)
	whole := t.Cipher != "" // the last that a handshake settles
	switch {
	case !whole && t.Gateway == "":
		add("Session", "the handshake did not complete", false)
	case whole:
		add("Protocol (ALPN)", protocolWords(t.Protocol), false)
		add("Session", map[bool]string{true: "resumed", false: "full handshake"}[t.Resumed], false)
	}
	v.Trust = trustNotice(t, inbound)
	v.Trust.Text = text(t.Detail)
	own, theirs := "The proxy presented", "The client presented"
	if inbound && t.Gateway != "" {
		v.Chains = []views.Chain{s.chain(ex, "The gateway says the client presented", "No certificate.", t.Client)}
		return v
	}
	if inbound && !whole {
		return v
	}
	if inbound {
		v.Chains = []views.Chain{
			s.chain(ex, theirs, "No certificate: the client did not prove who it is.", t.Client),
			s.chain(ex, own, "Not recorded.", t.Server),
		}
		return v
	}
	none := "No certificate: the server did not ask for one."
	if t.Asked {
		none = "No certificate, though the server asked for one. Choose one in the channel's settings."
	}
	v.Chains = []views.Chain{
		s.chain(ex, "The server presented", "No certificate was seen.", t.Server),
		s.chain(ex, own, none, t.Client),
	}
	return v
}

// trustNotice says of whom it speaks: the client on the client's leg.
func trustNotice(t *proxy.TLS, inbound bool) views.Notice {
	n, ok := trustWords[t.Trust]
	switch {
	case inbound && t.Trust == proxy.TrustNone:
		n.Title = "The client presented no certificate"
	case ok:
	case inbound && len(t.Client) > 0:
		n = views.Notice{Class: "v-none", Title: "The client's certificate was not judged"}
	case t.Trust != "":
		n = views.Notice{Class: "v-none", Title: visible([]byte(clip(string(t.Trust), 40)))}
	}
	return n
}

func clientFacts(ex *proxy.Exchange) []views.Fact {
	var facts []views.Fact
	if ex.Request.Proto != "" {
		facts = append(facts, views.Fact{Name: "Client spoke", Value: visible([]byte(ex.Request.Proto))})
	}
	var how string
	switch ex.Mode {
	case proxy.ModeImported:
		how = "import"
	case proxy.ModePlayed:
		how = "the runner, which sent it"
	case proxy.ModeTunnel:
		how = "pass-through"
	case proxy.ModeReverse, proxy.ModeForward:
		how = string(ex.Mode) + " proxy"
	}
	return append(facts, views.Fact{Name: "Recorded by", Value: how})
}

func protocolWords(alpn string) string {
	switch alpn {
	case "":
		return "none negotiated"
	case "h2":
		return "h2 (HTTP/2)"
	}
	return alpn
}

func (s *Server) chain(ex *proxy.Exchange, title, none string, certs []proxy.Certificate) views.Chain {
	c := views.Chain{Title: title}
	if len(certs) == 0 {
		c.Empty = none
	}
	for i := range certs {
		c.Certificates = append(c.Certificates, s.certificate(ex, &certs[i], i))
	}
	return c
}

// soon is how long before its end a certificate is warned of, if it lives long enough.
const soon = 14 * 24 * time.Hour

func (s *Server) certificate(ex *proxy.Exchange, c *proxy.Certificate, at int) views.ChainCertificate {
	text := func(t string) string { return visible([]byte(clip(t, 500))) }
	day := func(t time.Time) string { return t.In(s.opts.Clock().Location()).Format("2 Jan 2006 15:04") }
	v := views.ChainCertificate{Role: "Issuer", Subject: text(c.Subject)}
	if at == 0 {
		v.Role = "Leaf"
	}
	if v.Subject == "" {
		v.Subject = "serial " + text(c.Serial)
	}
	names := strings.Join(c.Names, ", ")
	if names == "" && at == 0 {
		names = "none"
	}
	for _, f := range []views.Fact{
		{Name: "Issued by", Value: text(c.Issuer)},
		{Name: "Made out to", Value: text(names)},
		{Name: "Good", Value: day(c.NotBefore) + " to " + day(c.NotAfter)},
		{Name: "Serial", Value: text(c.Serial), Mono: true},
		{Name: "SHA-256", Value: text(c.Fingerprint), Mono: true},
	} {
		if f.Value != "" {
			v.Facts = append(v.Facts, f)
		}
	}
	when := ex.Timing.Start
	switch {
	case when.IsZero():
	case when.After(c.NotAfter):
		v.Warning = "It had expired when it was used."
	case when.Before(c.NotBefore):
		v.Warning = "It was not valid yet when it was used."
	case c.NotAfter.Sub(when) < min(soon, c.NotAfter.Sub(c.NotBefore)/3): // some live for a week and are renewed in time
		v.Warning = "It expires within " + views.Plural(int((c.NotAfter.Sub(when)+24*time.Hour-1)/(24*time.Hour)), "day", "days") + " of this exchange."
	}
	return v
}

// binding says what a proxy that ends TLS does to tokens bound to a certificate (RFC 8705).
func binding(ex *proxy.Exchange) []views.Notice {
	shown := func(l *proxy.Leg) string {
		if l == nil || l.TLS == nil || len(l.TLS.Client) == 0 {
			return ""
		}
		sum, err := hex.DecodeString(l.TLS.Client[0].Fingerprint)
		if err != nil {
			return ""
		}
		return base64.RawURLEncoding.EncodeToString(sum)
	}
	if ex.ServerLeg == nil {
		return nil // no token reached the server
	}
	client, server := shown(ex.ClientLeg), shown(ex.ServerLeg)
	bound := boundTo(ex.Request.Header)
	const way = "Have the token issued through this channel, so that it is bound to the certificate the channel presents, or pass TLS through unread in the channel's settings."
	switch {
	case bound != "" && bound == server:
		return []views.Notice{{Class: "v-pass", Title: "The token is bound to the certificate that this channel presents", Text: "The server sees the certificate that the token names (cnf x5t#S256)."}}
	case bound != "" && bound == client:
		return []views.Notice{{
			Class: "sev-warning", Title: "The token is bound to the client's certificate, and the server does not see it",
			Text: "TLS ends at the proxy. A server that compares refuses the token. " + way,
		}}
	case bound != "":
		return []views.Notice{{
			Class: "sev-warning", Title: "The token is bound to a certificate that neither connection shows",
			Text: "It names the thumbprint " + visible([]byte(bound)) + " (cnf x5t#S256). A server that compares refuses the token.",
		}}
	case client != "" && ex.Request.Header.Get("Authorization") != "":
		return []views.Notice{{
			Class: "v-none", Title: "The server does not see the client's certificate",
			Text: "TLS ends at the proxy. A token bound to the client's certificate would not hold at the server. " + way,
		}}
	}
	return nil
}

// boundTo is the certificate thumbprint in what the record keeps of the request's token.
func boundTo(h proxy.Header) string {
	_, masked, _ := strings.Cut(h.Get("Authorization"), " ")
	_, claims, ok := proxy.ReadMasked(masked)
	if !ok || claims == nil {
		return ""
	}
	return claims.Certificate
}
