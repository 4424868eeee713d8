package httprules

import (
	"net/url"
	"strings"
	"time"

	"fhirwire/proxy"
	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
)

// Case is one exchange with its bodies decoded.
type Case struct {
	Exchange *proxy.Exchange
	// ServerBase is the FHIR base URL of the server, without a trailing slash; empty when unknown.
	ServerBase string
	Request    Content
	Response   Content
}

// Content is a decoded body.
type Content struct {
	// MediaType is the Content-Type in lower case without parameters.
	MediaType string
	// Size counts the bytes that passed on the wire.
	Size int64
	// Doc is the parsed body, nil when there is none, it is not JSON, or it could not be decoded.
	Doc *fhirjson.Document
	// Form holds the members of a form, nil for other bodies. Secrets in it are fingerprints (proxy.ReadMasked).
	Form url.Values
	// Read is true when the body was read in full, whether it is JSON or not. When false nothing can be said about it.
	Read bool
}

// Root is the top JSON value, nil when there is none.
func (c Content) Root() *fhirjson.Node {
	if c.Doc == nil {
		return nil
	}
	return c.Doc.Root()
}

func (c Content) resourceType() string {
	if c.Root() == nil {
		return ""
	}
	return c.Root().ResourceType()
}

// FHIRKind reports whether kind is an interaction of the FHIR REST API whose answer is a FHIR resource.
func FHIRKind(kind proxy.Kind) bool {
	switch kind {
	case proxy.KindToken, proxy.KindRegister, proxy.KindAuthorize, proxy.KindIntrospect, proxy.KindSMARTConfig,
		proxy.KindUDAPConfig, proxy.KindOAuthConfig, proxy.KindTunnel, proxy.KindOther, proxy.KindBulkStatus, proxy.KindBulkFile, proxy.KindBulkDelete, "":
		return false
	default:
		return true
	}
}

func (c *Case) kind() proxy.Kind { return c.Exchange.Interaction.Kind }

func (c *Case) status() int { return c.Exchange.Status() }

func (c *Case) answered() bool { return c.Exchange.Response != nil }

func (c *Case) is(kinds ...proxy.Kind) bool {
	for _, k := range kinds {
		if c.kind() == k {
			return true
		}
	}
	return false
}

func (c *Case) responseHeader(name string) string { return c.Exchange.Response.Header.Get(name) }

func (c *Case) requestHeader(name string) string { return c.Exchange.Request.Header.Get(name) }

// target is the request URL as the server saw it.
func (c *Case) target() *url.URL {
	raw := c.Exchange.Request.Target
	if raw == "" {
		raw = c.Exchange.Request.URL
	}
	u, err := url.Parse(raw)
	if err != nil {
		return &url.URL{}
	}
	return u
}

// end is when the response was complete.
func (c *Case) end() time.Time { return c.Exchange.Timing.End }

// prefers reports whether the request's Prefer headers name token, per RFC 7240.
func (c *Case) prefers(token string) bool {
	for v := range c.Exchange.Request.Header.Values("Prefer") {
		for part := range strings.SplitSeq(v, ",") {
			name, _, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(name), token) {
				return true
			}
		}
	}
	return false
}

// finding is what a rule's check reports; the rule fills in the rest.
type finding struct {
	part     validators.Part
	at       *fhirjson.Node // nil: no position
	message  string
	expected string
	found    string
	doNext   string
	// severity overrides the rule's, for rules that are a SHALL in one guide and a SHOULD in another.
	severity validators.Severity
	// requirement picks one of the rule's requirements; empty takes the first.
	requirement string
	side        validators.Side
	notChecked  bool
}

func absoluteHTTP(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

func sameOrigin(a, b *url.URL) bool {
	return strings.EqualFold(a.Scheme, b.Scheme) && strings.EqualFold(hostPort(a), hostPort(b))
}

func hostPort(u *url.URL) string {
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return u.Hostname() + ":" + port
}
