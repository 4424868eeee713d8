package web

import (
	"strings"
	"unicode/utf8"

	"fhirwire/proxy"
)

// curlSkips are headers that curl sets itself, that belong to one connection, or that are not for copying.
var curlSkips = map[string]bool{
	"host": true, "content-length": true, "connection": true, "accept-encoding": true, "user-agent": true, "cookie": true,
	"transfer-encoding": true, "te": true, "trailer": true, "upgrade": true, "keep-alive": true, "expect": true,
	"proxy-authorization": true, "proxy-connection": true, "priority": true,
}

// curl is the command that sends a request again through the proxy. Secrets were never stored, so the token is the shell
// variable TOKEN. Every recorded text is quoted: the command does nothing else than this request.
func curl(ex *proxy.Exchange, body []byte) string {
	var b strings.Builder
	b.WriteString("curl")
	if ex.Request.Method != "GET" || !ex.Request.Body.Empty() {
		b.WriteString(" -X " + shellQuote(ex.Request.Method))
	}
	b.WriteString(" " + shellQuote(ex.Request.URL))
	for _, f := range ex.Request.Header {
		name := strings.ToLower(f.Name)
		if curlSkips[name] || strings.HasPrefix(name, "sec-") {
			continue
		}
		switch {
		case name == "authorization":
			scheme, _, _ := strings.Cut(f.Value, " ")
			if !word(scheme) {
				scheme = "Bearer"
			}
			b.WriteString(" \\\n  -H \"Authorization: " + scheme + " $TOKEN\"")
		case strings.Contains(f.Value, "hmac:"):
			b.WriteString(" \\\n  -H " + shellQuote(f.Name+": ") + `"$SECRET"`)
		default:
			b.WriteString(" \\\n  -H " + shellQuote(f.Name+": "+f.Value))
		}
	}
	switch {
	case ex.Request.Body.Empty():
	case len(body) > 0 && len(body) <= 4_096 && utf8.Valid(body):
		b.WriteString(" \\\n  --data-raw " + shellQuote(string(body)))
	default:
		b.WriteString(" \\\n  --data-binary @request-body")
	}
	return b.String()
}

// shellQuote makes s one literal word of a POSIX shell. Line breaks and other control characters, which a terminal would
// act on when pasted, become spaces.
func shellQuote(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || hides(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@%+,=~", r))
	}) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func word(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') }) < 0
}
