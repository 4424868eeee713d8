package rewrite

import (
	"fmt"
	"strings"

	"fhirwire/proxy"
)

// discoveryNames are the documents below /.well-known/ that tell clients where to go: SMART App Launch, OpenID Connect Discovery,
// RFC 8414, RFC 9728 and UDAP.
var discoveryNames = map[string]Kind{
	"smart-configuration":        Discovery,
	"openid-configuration":       Discovery,
	"oauth-authorization-server": Issuer,
	"oauth-protected-resource":   Discovery,
	"udap":                       Discovery,
}

// Document says by the path of its request whether a response is a discovery document that the channel's mode rewrites: Discovery,
// Issuer or Capabilities. It is Unknown for everything else, and in the mode that passes discovery documents.
func (m *Map) Document(path string) Kind {
	if m.channel.Options.Discovery == proxy.DiscoveryPass {
		return Unknown
	}
	path, _, _ = strings.Cut(path, "?")
	segments := strings.Split(path, "/")
	for i := 1; i < len(segments); i++ {
		if segments[i-1] == ".well-known" {
			return discoveryNames[segments[i]]
		}
	}
	if segments[len(segments)-1] == "metadata" {
		return Capabilities
	}
	return Unknown
}

// Unread is the edit that says that a discovery document came in a form that is not rewritten.
func Unread(form string) proxy.Edit {
	return proxy.Edit{Where: "response body", From: form, To: form, Why: proxy.WhyForm}
}

// capabilityPlace is where a CapabilityStatement names the server: implementation.url and the extensions of rest.security, of which
// oauth-uris (SMART App Launch 1.0.0) has one extension for each endpoint.
func capabilityPlace(p Path) bool {
	switch len(p) {
	case 2:
		return p[0].Key == "implementation" && p[1].Key == "url"
	case 8:
		return p[0].Key == "rest" && p[1].Array && p[2].Key == "security" && p[3].Key == "extension" && p[4].Array &&
			p[5].Key == "extension" && p[6].Array && (p[7].Key == "valueUri" || p[7].Key == "url")
	}
	return false
}

// discoveryPlace is every string of a discovery document but those that are names and not addresses: what is supported, scopes,
// identifiers.
func discoveryPlace(p Path) bool {
	for _, s := range p {
		switch {
		case s.Array:
		case s.Key == "capabilities", strings.HasSuffix(s.Key, "_supported"), strings.HasSuffix(s.Key, "_required"), strings.HasSuffix(s.Key, "_identifier"):
			return false
		}
	}
	return len(p) > 0
}

// endpoint remembers the name of an oauth-uris extension: the url of the extension whose valueUri comes beside it.
type endpoint struct{ place, name string }

func extensionAt(p Path) string { return fmt.Sprint(p[1].Index, p[4].Index, p[6].Index) }

// keep says why a URL that could name the proxy is left, "" where it is not.
func (e *places) keep(p Path, s string) string {
	last := p[len(p)-1]
	keepToken := e.m.channel.Options.Discovery == proxy.DiscoveryKeepToken
	switch e.kind {
	case Capabilities:
		if !keepToken || last.Key != "valueUri" {
			return ""
		}
		name := e.endpoint.name
		if e.endpoint.place != extensionAt(p) { // its url comes after its value
			path, _, _ := strings.Cut(s, "?")
			name = path[strings.LastIndexByte(path, '/')+1:]
		}
		if name == "token" {
			return proxy.WhyToken
		}
	case Discovery, Issuer:
		switch {
		case last.Key == "token_endpoint" && keepToken:
			return proxy.WhyToken
		case last.Key == "issuer" && len(p) == 1 && e.kind == Discovery:
			return proxy.WhyIssuer
		}
	case Unknown, Bundle, Manifest, Other:
	}
	return ""
}

// notesEscape says whether a URL at p that leads past the proxy is worth a word: what clients follow, not names of resources.
func (e *places) notesEscape(p Path) bool {
	switch last := p[len(p)-1].Key; e.kind {
	case Capabilities:
		return true
	case Discovery, Issuer:
		switch {
		case strings.HasSuffix(last, "_endpoint"), last == "jwks_uri":
			return true
		}
		return p[0].Key == "authorization_servers"
	default:
		return last == "url" // pages and files, not fullUrl
	}
}
