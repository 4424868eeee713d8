package record

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"

	"fhirwire/proxy"
)

// masker replaces secrets by fingerprints. Equal secrets give equal fingerprints wherever they stand, since it is always the
// decoded value that is fingerprinted: a client secret in Basic credentials matches the one in a form.
type masker struct {
	key proxy.FingerprintKey
	// seen collects the secrets of an exchange's request, which servers like to repeat in their answers; nil where there is none.
	seen *echoes
}

// memberNames are the members of a JSON body that are secrets outside OAuth endpoints too; FHIR has none of these names.
var memberNames = map[string]bool{
	"access_token": true, "refresh_token": true, "id_token": true, "client_secret": true, "client_assertion": true,
	"subject_token": true, "actor_token": true, "registration_access_token": true, "software_statement": true, "device_code": true,
	"user_code": true, "code_verifier": true, "id_token_hint": true, "initial_access_token": true, "accesstoken": true,
	"refreshtoken": true, "idtoken": true, "clientsecret": true, "initialaccesstoken": true,
}

// companions tell that a code beside them is an authorization code and not a FHIR search parameter.
var companions = map[string]bool{
	"state": true, "grant_type": true, "redirect_uri": true, "code_verifier": true, "session_state": true, "client_assertion_type": true,
}

var (
	jwtForm   = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){2,4}`)
	userForm  = regexp.MustCompile(`(://[^/?#@\s:]*:)([^/?#@\s]+)@`)
	paramForm = regexp.MustCompile(`(?i)([?&#;,\s"'<{(]|^)([a-z][a-z0-9_-]*)=([^&#\s"'<>;,)}]+)`)
	fhirForm  = regexp.MustCompile(`/(?:[A-Z][A-Za-z]+|\$[a-z][a-z-]*|_search)(?:[/?#>\s"]|$)`)
)

// value stands for one secret. Of a JWT, claims that are no secrets stay readable.
func (m masker) value(secret string) string {
	if secret == "" {
		return ""
	}
	m.seen.add(secret)
	out := string(m.key.Of(secret))
	if claims := m.claims(secret); claims != "" {
		out += " jwt" + claims
	}
	return out
}

// jwtClaims are what is kept of a JWT (RFC 7519, RFC 8693 and SMART backend services); jti is kept as a fingerprint.
type jwtClaims struct {
	Alg      json.RawMessage `json:"alg,omitempty"`
	Kid      json.RawMessage `json:"kid,omitempty"`
	Iss      json.RawMessage `json:"iss,omitempty"`
	Sub      json.RawMessage `json:"sub,omitempty"`
	Aud      json.RawMessage `json:"aud,omitempty"`
	ClientID json.RawMessage `json:"client_id,omitempty"`
	Scope    json.RawMessage `json:"scope,omitempty"`
	Iat      json.RawMessage `json:"iat,omitempty"`
	Nbf      json.RawMessage `json:"nbf,omitempty"`
	Exp      json.RawMessage `json:"exp,omitempty"`
	Jti      json.RawMessage `json:"jti,omitempty"`
	// Cnf is kept where it binds the token to a certificate (RFC 8705 3.1): a thumbprint, no secret.
	Cnf *certificateBinding `json:"cnf,omitempty"`
}

type certificateBinding struct {
	Thumbprint string `json:"x5t#S256"`
}

var thumbprintForm = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

func (m masker) claims(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) < 3 || !strings.HasPrefix(token, "eyJ") {
		return ""
	}
	var c jwtClaims
	for _, part := range parts[:2] { // of an encrypted one the second part is no JSON
		text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(part, "="))
		if err == nil {
			_ = json.Unmarshal(text, &c) // what cannot be read is not kept
		}
	}
	if c.Cnf != nil && !thumbprintForm.MatchString(c.Cnf.Thumbprint) {
		c.Cnf = nil
	}
	if len(c.Jti) > 0 {
		var jti string
		if json.Unmarshal(c.Jti, &jti) != nil {
			jti = string(c.Jti)
		}
		c.Jti, _ = json.Marshal(m.key.Of(jti))
	}
	for _, raw := range []*json.RawMessage{&c.Alg, &c.Kid, &c.Iss, &c.Sub, &c.Aud, &c.ClientID, &c.Scope, &c.Iat, &c.Nbf, &c.Exp} {
		if len(*raw) > 1024 || len(*raw) > 0 && (*raw)[0] == '{' || jwtForm.Match(*raw) {
			*raw = nil
		}
	}
	out, err := json.Marshal(c)
	if err != nil || bytes.Equal(out, []byte("{}")) {
		return ""
	}
	return string(out)
}

// header masks each field's value.
func (m masker) header(h proxy.Header, fhir bool) proxy.Header {
	out := make(proxy.Header, 0, len(h))
	for _, f := range h {
		out = append(out, proxy.Field{Name: f.Name, Value: m.field(f.Name, f.Value, fhir)})
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func (m masker) field(name, v string, fhir bool) string {
	switch strings.ToLower(name) {
	case "authorization", "proxy-authorization":
		return m.credentials(v)
	case "cookie":
		return m.cookie(v)
	case "set-cookie", "set-cookie2":
		first, attributes, more := strings.Cut(v, ";")
		first = m.cookie(first)
		if more {
			return first + ";" + m.text(attributes, fhir)
		}
		return first
	case "host", "trailer", "www-authenticate", "proxy-authenticate":
		return v
	case "sec-websocket-protocol":
		return m.subprotocols(v)
	}
	if strings.Contains(strings.ToLower(name), "authorization") { // of a gateway
		return m.credentials(v)
	}
	if secretField(name) {
		return m.value(v)
	}
	return m.text(v, fhir)
}

// secretField tells by a header's name that its value is a secret.
func secretField(name string) bool {
	name = strings.ToLower(name)
	if strings.HasPrefix(name, "access-control-") {
		return false
	}
	for _, part := range []string{"api-key", "api_key", "apikey", "subscription-key", "access-key", "functions-key", "token", "secret", "passw", "credential", "signature", "session"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return name == "auth" || strings.HasSuffix(name, "-auth")
}

// credentials keeps the scheme, and of Basic the user, which is the client id.
func (m masker) credentials(v string) string {
	scheme, rest, ok := strings.Cut(strings.TrimSpace(v), " ")
	if !ok {
		return m.value(scheme)
	}
	rest = strings.TrimSpace(rest)
	m.seen.add(rest)
	if strings.EqualFold(scheme, "Basic") {
		if text, err := base64.StdEncoding.DecodeString(rest); err == nil {
			if user, password, ok := strings.Cut(string(text), ":"); ok {
				// RFC 6749 2.3.1 form-encodes both before they are joined.
				if u, err := url.QueryUnescape(password); err == nil {
					password = u
				}
				if password == "" {
					password = string(text)
				}
				client, _ := json.Marshal(map[string]string{"client_id": m.text(user, false)})
				return scheme + " " + m.value(password) + " " + string(client)
			}
		}
	}
	return scheme + " " + m.value(rest)
}

func (m masker) cookie(v string) string {
	pairs := strings.Split(v, ";")
	for i, p := range pairs {
		name, value, ok := strings.Cut(p, "=")
		if !ok {
			if t := strings.TrimSpace(p); t != "" {
				pairs[i] = m.value(t)
			}
			continue
		}
		pairs[i] = name + "=" + m.value(strings.TrimSpace(value))
	}
	return strings.Join(pairs, ";")
}

// text masks what looks like a secret in free text: parameters with a secret's name, JWTs, passwords in URLs.
func (m masker) text(s string, fhir bool) string {
	if strings.IndexByte(s, '=') >= 0 {
		plainCode := (fhir || fhirForm.MatchString(s)) && !hasCompanion(s)
		s = paramForm.ReplaceAllStringFunc(s, func(hit string) string {
			g := paramForm.FindStringSubmatch(hit)
			name := strings.ToLower(g[2])
			if !proxy.SecretName(name) && (name != "code" || plainCode) {
				return hit
			}
			return g[1] + g[2] + "=" + m.escaped(g[3])
		})
	}
	if strings.Contains(s, "eyJ") {
		s = jwtForm.ReplaceAllStringFunc(s, m.value)
	}
	if strings.IndexByte(s, '@') >= 0 {
		s = userForm.ReplaceAllString(s, "${1}***@")
	}
	return m.unsaidText(m.credentialsIn(s))
}

func hasCompanion(s string) bool {
	for _, g := range paramForm.FindAllStringSubmatch(s, -1) {
		if companions[strings.ToLower(g[2])] {
			return true
		}
	}
	return false
}

// escaped masks a value that is percent-encoded, and encodes what comes out.
func (m masker) escaped(v string) string {
	plain, err := url.QueryUnescape(v)
	if err != nil {
		plain = v
	}
	return strings.ReplaceAll(url.QueryEscape(m.value(plain)), "%3A", ":")
}

// url masks a URL's query and fragment parameters, keeping the order and spelling of all others, and JWTs and passwords anywhere.
func (m masker) url(s string, fhir bool) string {
	end := strings.IndexAny(s, "?#")
	if end < 0 {
		return m.text(s, fhir)
	}
	query, fragment, more := strings.Cut(s[end+1:], "#")
	out := m.text(s[:end], fhir) + s[end:end+1] + m.params(query, fhir)
	if more {
		out += "#" + m.params(fragment, fhir)
	}
	return out
}

// params masks name=value pairs as in a query or a form.
func (m masker) params(s string, fhir bool) string {
	if s == "" {
		return s
	}
	pairs := strings.Split(s, "&")
	names := make([]string, len(pairs))
	companion := false
	for i, p := range pairs {
		name, _, _ := strings.Cut(p, "=")
		if u, err := url.QueryUnescape(name); err == nil {
			name = u
		}
		if at := strings.LastIndexAny(name, "?#;"); at >= 0 { // the route of a page may stand before its parameters
			name = name[at+1:]
		}
		names[i] = strings.ToLower(strings.TrimSpace(name))
		companion = companion || companions[names[i]]
	}
	for i, p := range pairs {
		name, v, ok := strings.Cut(p, "=")
		if !ok {
			pairs[i] = m.text(p, fhir)
			continue
		}
		if proxy.SecretName(names[i]) || names[i] == "code" && (companion || !fhir) {
			pairs[i] = name + "=" + m.escaped(v)
			continue
		}
		// A parameter may itself be a URL with secrets in it.
		if plain, err := url.QueryUnescape(v); err == nil && plain != v {
			if masked := m.text(plain, fhir); masked != plain {
				pairs[i] = name + "=" + url.QueryEscape(masked)
				continue
			}
		}
		pairs[i] = name + "=" + m.text(v, fhir)
	}
	return strings.Join(pairs, "&")
}

func (m masker) edit(e proxy.Edit) proxy.Edit {
	switch e.Where {
	case "request header", "response header":
		e.From, e.To = m.field(e.At, e.From, false), m.field(e.At, e.To, false)
	default:
		e.From, e.To = m.text(e.From, false), m.text(e.To, false)
	}
	return e
}

// oauthSegments make a path one of an authorization server.
var oauthSegments = map[string]bool{"oauth": true, "oauth2": true, "openid-connect": true, "connect": true}

// oauthEndpoints do so as the last segment.
var oauthEndpoints = map[string]bool{
	"token": true, "register": true, "registration": true, "introspect": true, "introspection": true, "revoke": true, "revocation": true,
	"authorize": true, "authorization": true, "device_authorization": true, "par": true,
}

// oauthPath reports whether the URL looks like an OAuth endpoint (RFC 6749, 7591, 7662, 7009, 8628, 9126 name no fixed paths).
func oauthPath(u string) bool {
	if u == "" {
		return false
	}
	if i := strings.Index(u, "://"); i >= 0 {
		u = u[i+3:]
	}
	if i := strings.IndexAny(u, "?#"); i >= 0 {
		u = u[:i]
	}
	segments := strings.Split(strings.ToLower(strings.Trim(u, "/")), "/")[1:]
	for i, s := range segments {
		if oauthSegments[s] || i == len(segments)-1 && oauthEndpoints[s] {
			return true
		}
	}
	return false
}

// fhirPath reports whether one of the URLs is a request to a FHIR type or operation, where code is a search parameter.
func fhirPath(urls ...string) bool {
	for _, u := range urls {
		if path, _, _ := strings.Cut(u, "?"); fhirForm.MatchString(path) {
			return true
		}
	}
	return false
}

func isForm(contentType string) bool {
	t, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(t), "application/x-www-form-urlencoded")
}
