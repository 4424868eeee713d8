package rewrite

import (
	"net/textproto"
	"regexp"
	"slices"
	"strings"

	"fhirwire/proxy"
)

// Headers returns header with Location, Content-Location, Link and the metadata URL of WWW-Authenticate naming the proxy, and the
// edits. The argument is left as it is; when nothing changes it is also what comes back.
func (m *Map) Headers(header map[string][]string) (map[string][]string, []proxy.Edit) {
	var edits []proxy.Edit
	out, changes := header, 0
	for _, name := range []string{"Location", "Content-Location", "Link", "WWW-Authenticate"} {
		key := textproto.CanonicalMIMEHeaderKey(name)
		values := header[key]
		for i, value := range values {
			var to string
			var changed bool
			switch name {
			case "Link":
				to, changed = m.linkHeader(value)
			case "WWW-Authenticate":
				to, changed = m.challenge(value)
			default:
				to, changed = m.URL(value)
			}
			if !changed {
				if _, ok := m.escapes(value); ok && name == "Content-Location" {
					edits = append(edits, proxy.Edit{Where: "response header", At: name, From: value, To: value, Why: proxy.WhyEscape})
				}
				continue
			}
			if changes++; changes == 1 {
				out = make(map[string][]string, len(header))
				for k, v := range header {
					out[k] = slices.Clone(v)
				}
			}
			out[key][i] = to
			edits = append(edits, proxy.Edit{Where: "response header", At: name, From: value, To: to})
		}
	}
	return out, edits
}

// metadataURL is the parameter of a challenge that names a discovery document (RFC 9728 5.1).
var metadataURL = regexp.MustCompile(`(?i)(\bresource_metadata\s*=\s*")([^"\\]*)(")`)

// challenge maps the metadata URL in a WWW-Authenticate header. A channel that passes discovery documents passes it too.
func (m *Map) challenge(value string) (string, bool) {
	if m.channel.Options.Discovery == proxy.DiscoveryPass {
		return value, false
	}
	out := metadataURL.ReplaceAllStringFunc(value, func(hit string) string {
		g := metadataURL.FindStringSubmatch(hit)
		to, _ := m.URL(g[2])
		return g[1] + to + g[3]
	})
	return out, out != value
}

// linkHeader maps the <target> of each link in a Link header (RFC 8288); parameters stay, quoted strings are skipped.
func (m *Map) linkHeader(value string) (string, bool) {
	var b strings.Builder
	changed, quoted := false, false
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case quoted && c == '\\' && i+1 < len(value):
			b.WriteByte(c)
			i++
			b.WriteByte(value[i])
			continue
		case c == '"':
			quoted = !quoted
		case c == '<' && !quoted:
			if end := strings.IndexByte(value[i:], '>'); end > 0 {
				to, ok := m.URL(value[i+1 : i+end])
				changed = changed || ok
				b.WriteString("<" + to + ">")
				i += end
				continue
			}
		}
		b.WriteByte(c)
	}
	if !changed {
		return value, false
	}
	return b.String(), true
}
