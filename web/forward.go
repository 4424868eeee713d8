package web

import (
	"net/url"
	"strings"

	"fhirwire/proxy"
	"fhirwire/web/views"
)

// Forward is where clients find the forward proxy.
type Forward struct {
	// URL is its address, "http://127.0.0.1:8082"; empty: there is none.
	URL string
	// Token is the password of a channel's name; nil: the name alone will do.
	Token func(channel string) string
	// RootHref is where the dashboard has the local CA's root certificate; empty: nowhere.
	RootHref string
}

// forwardView says how a client uses ch by the forward proxy.
func forwardView(o Forward, ch *proxy.Channel) views.Forward {
	at, err := url.Parse(o.URL)
	if o.URL == "" || err != nil {
		return views.Forward{}
	}
	at.User = url.User(ch.Name)
	if o.Token != nil {
		at.User = url.UserPassword(ch.Name, o.Token(ch.Name))
	}
	v := views.Forward{
		Text: "Name the proxy in the client's HTTP proxy setting; its URLs, audiences and signatures stay as they are. The user name says which channel is meant.",
	}
	try := "curl --proxy " + shellQuote(at.String())
	switch {
	case ch.Options.Passthrough:
		v.Text += " This channel passes connections on unread: only their metadata are recorded."
	case strings.HasPrefix(ch.ServerURL, "https://"):
		v.RootHref = o.RootHref
		try += " --cacert fhirwire-root.pem"
	}
	v.Copies = []views.Copy{
		{ID: "forward-" + ch.ID, Label: "HTTP proxy", Text: at.String()},
		{ID: "forward-curl-" + ch.ID, Label: "Try it", Text: try + " " + shellQuote(ch.ServerURL+"/metadata")},
	}
	return v
}
