package proxy

import (
	"slices"
	"strings"
)

// allKinds lists every Kind in the order that people read them.
var allKinds = []Kind{
	KindRead, KindVRead, KindSearchType, KindSearchSystem, KindCreate, KindUpdate, KindPatch, KindDelete, KindHistoryInstance,
	KindHistoryType, KindHistorySystem, KindCapabilities, KindBatch, KindTransaction, KindOperation, KindBulkKickoff,
	KindBulkStatus, KindBulkFile, KindBulkDelete, KindToken, KindRegister, KindAuthorize, KindIntrospect, KindSMARTConfig,
	KindUDAPConfig, KindOAuthConfig, KindTunnel, KindOther,
}

// kindGroups are the words that mean several kinds.
var kindGroups = map[string][]Kind{
	"search":    {KindSearchType, KindSearchSystem},
	"history":   {KindHistoryInstance, KindHistoryType, KindHistorySystem},
	"bulk":      {KindBulkKickoff, KindBulkStatus, KindBulkFile, KindBulkDelete},
	"oauth":     {KindToken, KindRegister, KindAuthorize, KindIntrospect},
	"token":     {KindToken},
	"discovery": {KindSMARTConfig, KindUDAPConfig, KindOAuthConfig, KindCapabilities},
	"metadata":  {KindCapabilities},
	"write":     {KindCreate, KindUpdate, KindPatch, KindDelete, KindBatch, KindTransaction},
}

func kindWords() []string {
	var out []string
	for _, k := range allKinds {
		out = append(out, string(k))
	}
	for w := range kindGroups {
		out = append(out, w)
	}
	slices.Sort(out)
	return out
}

// Kinds are the interactions that a value of the key kind means: a Kind's code, a group such as search or bulk, or a
// pattern with *. Nil for an unknown word.
func Kinds(value string) []Kind {
	if g, ok := kindGroups[value]; ok {
		return slices.Clone(g)
	}
	var out []Kind
	for _, k := range allKinds {
		if Glob(value, string(k)) {
			out = append(out, k)
		}
	}
	return out
}

// Glob reports whether s matches pattern, in which * stands for any characters. Letter case does not matter.
func Glob(pattern, s string) bool {
	p, s := strings.ToLower(pattern), strings.ToLower(s)
	first, rest, star := strings.Cut(p, "*")
	if !star {
		return p == s
	}
	s, ok := strings.CutPrefix(s, first)
	if !ok {
		return false
	}
	for {
		part, tail, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(s, part)
		}
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s, rest = s[i+len(part):], tail
	}
}

// String is the filter in its text form; ParseFilter reads it back to an equal Filter.
func (f Filter) String() string {
	parts := make([]string, len(f.Terms))
	for i, t := range f.Terms {
		parts[i] = t.String()
	}
	return strings.Join(parts, " ")
}

// String is the term in its text form.
func (t Term) String() string {
	var b strings.Builder
	if t.Not {
		b.WriteByte('-')
	}
	if t.Key == KeyText && len(t.Values) == 1 && plainWord(t.Values[0]) {
		b.WriteString(t.Values[0])
		return b.String()
	}
	b.WriteString(string(t.Key))
	b.WriteByte(':')
	if t.Op != OpEq {
		b.WriteString(string(t.Op))
	}
	for i, v := range t.Values {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(quoteValue(v))
	}
	return b.String()
}

// quoteValue puts a value in quotes where it would not read back as it is.
func quoteValue(v string) string {
	if !strings.ContainsAny(v, " \t\n\r\",<>=") && !strings.HasPrefix(v, "//") {
		return v
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v) + `"`
}

// plainWord reports whether a bare word reads back as the text it is.
func plainWord(s string) bool {
	return s != "" && s[0] != '-' && s[0] != '!' && !strings.ContainsAny(s, " \t\n\r\":,<>")
}

// Words explains the filter in plain words: "status 400 or more, not the capability statement". Empty for the empty filter.
func (f Filter) Words() string {
	parts := make([]string, len(f.Terms))
	for i, t := range f.Terms {
		parts[i] = t.Words()
	}
	return strings.Join(parts, ", ")
}

// Words explains the term in plain words.
func (t Term) Words() string {
	alt := make([]string, len(t.Values))
	for i, v := range t.Values {
		alt[i] = t.valueWords(v)
	}
	words := strings.Join(alt, " or ")
	switch {
	case keySpecs[t.Key].compares && t.Op != OpEq:
		words += map[Op]string{OpGe: " or more", OpLe: " or less", OpGt: "", OpLt: ""}[t.Op]
		words = map[Op]string{OpGt: "more than ", OpLt: "less than "}[t.Op] + words
	}
	if lead := leads[t.Key]; lead != "" {
		words = lead + " " + words
	}
	if t.Not {
		words = "not " + words
	}
	return words
}

// leads are what stands before the values; keys that are missing have values that speak for themselves.
var leads = map[Key]string{
	KeyText: "URL contains", KeyType: "resource type", KeyOp: "operation", KeyStatus: "status", KeyMethod: "method",
	KeyClient: "from client", KeyServer: "to server", KeyChannel: "channel", KeyVerdict: "verdict", KeyRule: "finding of rule",
	KeyProfile: "judged against profile", KeyID: "id starts with", KeyNumber: "number", KeySince: "since", KeyUntil: "until",
	KeySize: "response size", KeyMS: "duration",
}

// saidAs are the values whose words differ from the value.
var saidAs = map[Key]map[string]string{
	KeyFinding: {
		"error": "with an error", "warning": "with a warning", "information": "with a note", "unchecked": "with something not checked",
		"any": "with any finding", "none": "judged without a finding", "pending": "waiting to be judged",
	},
	KeyFailure: {
		"yes": "broken off", "no": "ran to its end", string(ReasonUpstreamDown): "server not reachable",
		string(ReasonUpstreamTimeout): "server did not answer in time", string(ReasonUpstreamTLS): "TLS to the server failed",
		string(ReasonUpstreamReset): "server broke off", string(ReasonUpstreamInvalid): "server did not answer in HTTP",
		string(ReasonClientGone): "client hung up", string(ReasonClientTLS): "TLS with the client failed, or its certificate was not accepted",
		string(ReasonNoChannel): "no channel", string(ReasonRefused): "refused by the proxy", string(ReasonProxy): "failed in the proxy",
	},
	KeyTrust: {
		string(TrustInsecure): "server not verified", string(TrustPublic): "server verified by the machine's roots",
		string(TrustServerCA): "server verified by the CA set for it", string(TrustLocalCA): "server verified by fhirwire's own CA",
		string(TrustRefused): "server's certificate refused", "none": "server reached in clear, or not at all",
	},
	KeySide: {
		"client": "client at fault", "server": "server at fault", "both": "both sides at fault", "tool": "fhirwire at fault",
	},
	KeyStatus:  {"none": "missing (no response)"},
	KeyVerdict: {"pending": "not there yet"},
	KeyKind: {
		string(KindCapabilities): "the capability statement", "metadata": "the capability statement", "search": "a search",
		"history": "a history", "bulk": "bulk data", "oauth": "OAuth", "discovery": "discovery", "write": "a write",
		string(KindOperation): "an operation", string(KindOther): "other requests", string(KindTunnel): "a tunnel", "token": "a token request",
		string(KindToken): "a token request", string(KindRegister): "a client registration",
		string(KindAuthorize): "an authorization request", string(KindIntrospect): "a token introspection",
		string(KindSMARTConfig): "SMART discovery", string(KindUDAPConfig): "UDAP discovery",
		string(KindOAuthConfig): "OAuth discovery",
	},
}

func (t Term) valueWords(v string) string {
	if w, ok := saidAs[t.Key][v]; ok {
		return w
	}
	switch t.Key {
	case KeyKind:
		return "interaction " + v
	case KeyText:
		return `"` + v + `"`
	case KeyMS:
		if _, ok := natural(v); ok {
			return v + " ms"
		}
	case KeySince, KeyUntil:
		if _, ok := age(v); ok {
			return v + " ago"
		}
	default:
	}
	return v
}

// otherWords are words people try, and ours for them.
var otherWords = map[string]Key{
	"resource": KeyType, "resourcetype": KeyType, "code": KeyStatus, "url": KeyText, "path": KeyText, "q": KeyText,
	"interaction": KeyKind, "operation": KeyOp, "time": KeySince, "after": KeySince, "from": KeySince, "before": KeyUntil,
	"to": KeyUntil, "duration": KeyMS, "latency": KeyMS, "length": KeySize, "bytes": KeySize, "verb": KeyMethod,
	"severity": KeyFinding, "issue": KeyFinding, "result": KeyVerdict, "messageid": KeyRule, "no": KeyNumber, "fault": KeySide,
	"failed": KeyFailure, "host": KeyServer, "tls": KeyTrust, "insecure": KeyTrust, "certificate": KeyTrust,
}

// suggestKey finds the key that an unknown word may mean, with the value that was given or an example.
func suggestKey(word, value string) (Key, string) {
	key, ok := otherWords[word]
	if !ok {
		var known []string
		for k := range keySpecs {
			known = append(known, string(k))
		}
		key = Key(nearest(word, known))
	}
	if key == "" {
		return "", ""
	}
	value = quoteValue(value)
	if _, errs := ParseFilter(string(key) + ":" + value); len(errs) > 0 {
		return key, keySpecs[key].example
	}
	return key, value
}

// nearest is the known word closest to word, empty when none is within two edits or starts with it.
func nearest(word string, known []string) string {
	word = strings.ToLower(word)
	known = slices.Sorted(slices.Values(known))
	best, dist := "", 3
	for _, k := range known {
		d := edits(word, k)
		if len(word) >= 2 && strings.HasPrefix(k, word) {
			d = min(d, 1)
		}
		if d < dist && d < len(k) {
			best, dist = k, d
		}
	}
	return best
}

// edits is the number of insertions, deletions, replacements and swaps of neighbours that turn a into b.
func edits(a, b string) int {
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := range len(a) {
		cur[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			cur[j+1] = min(prev[j+1]+1, cur[j]+1, prev[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				cur[j+1] = min(cur[j+1], prev2[j-1]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}
