package record

import (
	"bytes"
	"regexp"
	"strings"
)

// Places where secrets stand in text that is no parameter.
var (
	// authForm is a header line with credentials, as in Subscription.channel.header and Endpoint.header.
	authForm = regexp.MustCompile(`(?i)(authorization["']?\s*[:=]\s*["']?)((?:bearer|basic|dpop|token|negotiate)\s+)([A-Za-z0-9._~+/=-]+)`)
	// bearerForm is a token in prose, as in the diagnostics of an OperationOutcome: no word is that long and has digits.
	bearerForm = regexp.MustCompile(`(?i)(\bbearer\s+)([A-Za-z0-9._~+/-]{16,}=*)`)
	// tokenUserForm is a token in the place of a URL's user name.
	tokenUserForm = regexp.MustCompile(`(://)([^/?#@\s:]{20,})@`)
	// inputForm is a field of a page that posts itself with what it was given (OAuth 2.0 Form Post Response Mode).
	inputForm = regexp.MustCompile(`(?i)name\s*=\s*["']?(?:code|access_token|refresh_token|id_token|token|client_secret|client_assertion|assertion|samlresponse|device_code|user_code|password)\b`)
	// quoteForm is what an error text quotes of the peer's bytes, longForm is a header line in it.
	quoteForm = regexp.MustCompile(`"((?:[^"\\]|\\.){16})(?:[^"\\]|\\.)+"`)
	longForm  = regexp.MustCompile(`(malformed MIME header line: .{0,16}).*`)
)

// credentialsIn masks credentials in text that need no name to be told.
func (m masker) credentialsIn(s string) string {
	if strings.Contains(s, "earer") || strings.Contains(s, "uthorization") || strings.Contains(s, "EARER") || strings.Contains(s, "UTHORIZATION") {
		s = authForm.ReplaceAllStringFunc(s, func(hit string) string {
			g := authForm.FindStringSubmatch(hit)
			return g[1] + m.credentials(g[2]+g[3])
		})
		s = bearerForm.ReplaceAllStringFunc(s, func(hit string) string {
			g := bearerForm.FindStringSubmatch(hit)
			if !strings.ContainsAny(g[2], "0123456789") {
				return hit
			}
			return g[1] + m.value(g[2])
		})
	}
	if strings.IndexByte(s, '@') >= 0 {
		s = tokenUserForm.ReplaceAllString(s, "${1}***@")
	}
	return s
}

// hasJWT reports a JWT with claims in it. What is packed, as a SMART Health Card is, has none that can be read and is no credential.
func (m masker) hasJWT(b []byte) bool {
	if !bytes.Contains(b, []byte("eyJ")) {
		return false
	}
	for _, found := range jwtForm.FindAll(b, 8) {
		_, rest, _ := bytes.Cut(found, []byte("."))
		if bytes.HasPrefix(rest, []byte("eyJ")) && m.claims(string(found)) != "" {
			return true
		}
	}
	return false
}

// subprotocols masks what Sec-WebSocket-Protocol carries besides names of protocols: browsers can set no other header, so tokens are
// put there, behind a name in the list or in one item.
func (m masker) subprotocols(v string) string {
	items := strings.Split(v, ",")
	after := false
	for i, item := range items {
		name := strings.TrimSpace(item)
		lower := strings.ToLower(name)
		tells := strings.Contains(lower, "token") || strings.Contains(lower, "bearer") || strings.Contains(lower, "auth") || strings.Contains(lower, "jwt")
		at := strings.LastIndexAny(name, ".=:|")
		switch {
		case after, jwtForm.MatchString(name):
			items[i] = strings.Replace(item, name, m.value(name), 1)
		case tells && at >= 0 && at+1 < len(name):
			items[i] = strings.Replace(item, name, name[:at+1]+m.value(name[at+1:]), 1)
			tells = false
		case len(name) > 32:
			items[i] = strings.Replace(item, name, m.value(name), 1)
		}
		after = tells && !after
	}
	return strings.Join(items, ",")
}

// quotedShort keeps only the start of what an error text quotes of the peer: it tells the protocol, the rest may be a secret.
func quotedShort(text string) string {
	return longForm.ReplaceAllString(quoteForm.ReplaceAllString(text, `"$1…"`), "$1…")
}
