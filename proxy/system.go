package proxy

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// System is a test system registered by its people: a FHIR client, a server, or both.
type System struct {
	ID string
	// Slug is its readable key in channel names: lower-case letters, digits and hyphens, "diamond-payer". Unique.
	Slug string
	// Name is what people call it: "Diamond payer".
	Name  string
	Roles []Role
	// BaseURL is the FHIR base of a system with RoleServer, without a trailing slash; empty for a pure client.
	BaseURL string
	// Simulated marks a system that is part of fhirwire (the reference payer, the demo client).
	Simulated bool
	Options   SystemOptions
	Created   time.Time
}

// SystemOptions are a system's settings.
type SystemOptions struct {
	// Auxiliary are other servers of this server system that its clients are sent to: an authorization server, a file store.
	Auxiliary []Auxiliary `json:"auxiliary,omitempty"`
	// CA are PEM certificates of CAs that the server's certificate may come from, besides the machine's.
	CA string `json:"ca,omitempty"`
	// InsecureUntil switches verification of the server's certificate off until then; every exchange says so.
	InsecureUntil time.Time `json:"insecure_until,omitzero"`
	// ClientPins are SHA-256 fingerprints of certificates that a client system presents.
	ClientPins []string `json:"client_pins,omitempty"`
}

// Auxiliary is one more server of a server system, behind a channel at /{channel}/@{name}/….
type Auxiliary struct {
	Name string `json:"name"` // lower-case letters, digits and hyphens: "auth"
	URL  string `json:"url"`  // without a trailing slash: "https://auth.example/oauth2"
}

// AuxiliaryMark stands before an auxiliary server's name in a channel's paths.
const AuxiliaryMark = "@"

// Role is what a system does in exchanges.
type Role string

// The roles.
const (
	RoleClient Role = "client"
	RoleServer Role = "server"
)

// Has reports whether the system has role r.
func (s *System) Has(r Role) bool { return slices.Contains(s.Roles, r) }

// ErrInvalid is wrapped by every error of a Validate method; FieldError says which field.
var ErrInvalid = errors.New("not acceptable")

// FieldError is a fault in one field that a person filled in.
type FieldError struct {
	Field string // as in the JSON API: "base_url"
	Text  string // what to type instead
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Text }

// Unwrap makes errors.Is(err, ErrInvalid) hold.
func (e *FieldError) Unwrap() error { return ErrInvalid }

var slugForm = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// Validate reports every field that is not acceptable, joined.
func (s *System) Validate() error {
	var errs []error
	if !slugForm.MatchString(s.Slug) || len(s.Slug) > 40 {
		errs = append(errs, &FieldError{"slug", "use 1 to 40 lower-case letters, digits and single hyphens, for example diamond-payer"})
	}
	if strings.TrimSpace(s.Name) == "" {
		errs = append(errs, &FieldError{"name", "type the name people know the system by"})
	}
	if len(s.Roles) == 0 {
		errs = append(errs, &FieldError{"roles", "choose client, server or both"})
	}
	for _, r := range s.Roles {
		if r != RoleClient && r != RoleServer {
			errs = append(errs, &FieldError{"roles", fmt.Sprintf("%q is no role; use client or server", r)})
		}
	}
	if s.Has(RoleServer) {
		if err := ValidateBaseURL(s.BaseURL); err != nil {
			errs = append(errs, &FieldError{"base_url", err.Error()})
		}
	}
	return errors.Join(append(errs, s.Options.Validate())...)
}

// ValidateBaseURL says what is wrong with a FHIR base URL, nil when nothing is.
func ValidateBaseURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case s == "":
		return errors.New("type the FHIR base URL, for example https://payer.example/fhir")
	case err != nil:
		return errors.New("this is not a URL; type one such as https://payer.example/fhir")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("start with http:// or https://")
	case u.Host == "" || u.Hostname() == "":
		return errors.New("name the host, for example https://payer.example/fhir")
	case u.User != nil:
		return errors.New("leave user name and password out of the URL")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("leave ? and # parts out of the base URL")
	}
	return nil
}

// Channel is one client system talking to one server system. Its name in the proxy URL alone says who is talking.
type Channel struct {
	ID string
	// Name is CLIENT~SERVER, plus "~SUFFIX" (unguessable) when the proxy is reachable from elsewhere. Unique.
	Name     string
	ClientID string // System.ID
	ServerID string // System.ID
	// ServerURL is the server system's base URL, copied by the store when a channel is read.
	ServerURL string
	// Server is the server system's options, copied like ServerURL.
	Server  SystemOptions
	Options ChannelOptions
	Created time.Time
}

// Discovery is what a channel does with discovery documents: the CapabilityStatement, the SMART configuration, UDAP metadata.
type Discovery string

// The discovery modes. In all of them the original is the evidence.
const (
	// DiscoveryRewrite makes every URL in them name the proxy. It is the default (the empty string means it too).
	DiscoveryRewrite Discovery = "rewrite"
	// DiscoveryKeepToken is DiscoveryRewrite without the token endpoint, so that assertions signed for it keep their audience.
	DiscoveryKeepToken Discovery = "rewrite-except-token"
	// DiscoveryPass leaves them as they are.
	DiscoveryPass Discovery = "pass"
)

// ChannelOptions are a channel's settings.
type ChannelOptions struct {
	// Track is free text: "Payer to payer".
	Track string `json:"track,omitempty"`
	// BasePath is a path prefix the client uses in place of the server base URL's own path: with BasePath
	// "/custom/pdex/fhir" and ServerURL "http://h:1/fhir", /custom/pdex/fhir/Patient goes to http://h:1/fhir/Patient.
	// Empty: paths are kept.
	BasePath string `json:"base_path,omitempty"`
	// Guides narrows validation to these guides ("hl7.fhir.us.davinci-pdex#2.0.0"); empty: the active ones.
	Guides []string `json:"guides,omitempty"`
	// Profiles adds a profile per resource type to what resources claim: {"Patient": "http://…/us-core-patient"}.
	Profiles map[string]string `json:"profiles,omitempty"`
	// Discovery is the discovery mode; empty is DiscoveryRewrite.
	Discovery Discovery `json:"discovery,omitempty"`
	// ClientCert names the certificate of the local CA's store that the proxy presents to the server on this channel.
	ClientCert string `json:"client_cert,omitempty"`
	// RequireClientCert refuses requests that come without an accepted client certificate.
	RequireClientCert bool `json:"require_client_cert,omitempty"`
	// TellClientCert adds the client's certificate, once it is accepted, to requests to the server: Client-Cert of RFC 9440.
	TellClientCert bool `json:"tell_client_cert,omitempty"`
	// Passthrough passes TLS connections for the server's name on unread; only metadata is recorded.
	Passthrough bool `json:"passthrough,omitempty"`
}

// ChannelName is the readable name for a pair.
func ChannelName(client, server *System) string { return client.Slug + "~" + server.Slug }

// Validate reports what is not acceptable in the options.
func (o ChannelOptions) Validate() error {
	if o.BasePath != "" && (!strings.HasPrefix(o.BasePath, "/") || strings.HasSuffix(o.BasePath, "/") || strings.Contains(o.BasePath, "..")) {
		return &FieldError{"base_path", "start with / and end without one, for example /r4"}
	}
	switch o.Discovery {
	case "", DiscoveryRewrite, DiscoveryKeepToken, DiscoveryPass:
		return nil
	default:
		return &FieldError{"discovery", fmt.Sprintf("%q is no mode; use rewrite, rewrite-except-token or pass", o.Discovery)}
	}
}

// Validate reports what is not acceptable in the options.
func (o SystemOptions) Validate() error {
	var errs []error
	seen := map[string]bool{}
	for _, a := range o.Auxiliary {
		if !slugForm.MatchString(a.Name) || len(a.Name) > 40 || seen[a.Name] {
			errs = append(errs, &FieldError{"auxiliary", "name each auxiliary server once, in lower-case letters, digits and hyphens, for example auth"})
		}
		seen[a.Name] = true
		if err := ValidateBaseURL(a.URL); err != nil {
			errs = append(errs, &FieldError{"auxiliary", a.Name + ": " + err.Error()})
		}
	}
	if o.CA != "" {
		if _, err := CertificatesFromPEM(o.CA); err != nil {
			errs = append(errs, &FieldError{"ca", err.Error()})
		}
	}
	for _, pin := range o.ClientPins {
		if !pinForm.MatchString(pin) {
			errs = append(errs, &FieldError{"client_pins", fmt.Sprintf("%q is no SHA-256 fingerprint; type 64 hexadecimal digits", pin)})
		}
	}
	return errors.Join(errs...)
}

var pinForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// ToServer maps the path of a client's request (without the channel segment) to the path on the server.
func (c *Channel) ToServer(path string) string {
	return swapPrefix(path, c.Options.BasePath, c.serverPath(), c.Options.BasePath != "")
}

// ToClient maps a path on the server to the path a client uses behind the channel.
func (c *Channel) ToClient(path string) string {
	return swapPrefix(path, c.serverPath(), c.Options.BasePath, c.Options.BasePath != "")
}

func (c *Channel) serverPath() string {
	u, err := url.Parse(c.ServerURL)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(u.EscapedPath(), "/")
}

// ClientBase is the FHIR base behind the proxy for this channel: what a client is configured with. proxyURL is the proxy
// listener's public URL without a trailing slash, "http://127.0.0.1:8081".
func (c *Channel) ClientBase(proxyURL string) string {
	return proxyURL + "/" + c.Name + c.ToClient(c.serverPath())
}

func swapPrefix(path, from, to string, on bool) string {
	if !on {
		return path
	}
	if rest, ok := strings.CutPrefix(path, from); ok && (rest == "" || rest[0] == '/' || rest[0] == '?') {
		return to + rest
	}
	return path
}
