package rewrite

import (
	"net/textproto"
	"slices"
	"strings"

	"fhirwire/proxy"
)

// Headers returns header with Location, Content-Location and Link naming the proxy, and the edits. The argument is left as it
// is; when nothing changes it is also what comes back.
func (m *Map) Headers(header map[string][]string) (map[string][]string, []proxy.Edit) {
	var edits []proxy.Edit
	out := header
	for _, name := range []string{"Location", "Content-Location", "Link"} {
		key := textproto.CanonicalMIMEHeaderKey(name)
		values := header[key]
		for i, value := range values {
			var to string
			var changed bool
			if name == "Link" {
				to, changed = m.linkHeader(value)
			} else {
				to, changed = m.URL(value)
			}
			if !changed {
				continue
			}
			if len(edits) == 0 {
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
