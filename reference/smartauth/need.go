package smartauth

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// request is a FHIR request as far as scopes are concerned.
type request struct {
	method    string
	segments  []string // of the path below the FHIR base
	operation string   // "$export", "" for none
	typ, id   string   // resource type and id in the path
	search    bool     // a search on typ
	within    string   // the patient in whose compartment it is, "" for all
	params    url.Values
}

// readRequest splits the escaped path below the FHIR base, so that an escaped slash separates nothing. params are the query, with the form of a POSTed search.
func readRequest(method, path string, params url.Values) request {
	q := request{method: method, params: params}
	if path = strings.Trim(path, "/"); path != "" {
		q.segments = strings.Split(path, "/")
		for i, seg := range q.segments {
			if plain, err := url.PathUnescape(seg); err == nil {
				q.segments[i] = plain
			}
		}
	}
	for i, seg := range q.segments {
		switch {
		case strings.HasPrefix(seg, "$"):
			if q.operation == "" {
				q.operation = seg
			}
		case i == 0 && resourceType(seg) && seg != "*":
			q.typ = seg
		case i == 1 && q.typ != "" && !strings.HasPrefix(seg, "_"):
			q.id = seg
		}
	}
	get := method == http.MethodGet || method == http.MethodHead
	rest := q.segments[min(1, len(q.segments)):]
	if q.operation == "" && q.typ == "Patient" && len(rest) >= 2 && resourceType(rest[1]) && rest[1] != "*" { // Patient/id/Type
		q.typ, q.id, q.within, rest = rest[1], "", rest[0], rest[2:]
	}
	q.search = q.operation == "" && q.typ != "" && (len(rest) == 0 && get || len(rest) == 1 && rest[0] == "_search")
	return q
}

// public reports what answers without a token (P2P-DSC-03).
func (q request) public() bool {
	return q.method == http.MethodOptions || len(q.segments) > 0 && (q.segments[0] == "metadata" || q.segments[0] == ".well-known")
}

// openTo reports a read or search of open types that names no other. Where an _include without a target, or a chain, may lead is
// for the handler to see, which OpenTypes tells.
func (q request) openTo(o ProtectOptions) bool {
	types := o.Open
	read := q.search || q.operation == "" && q.id != "" && (q.method == http.MethodGet || q.method == http.MethodHead)
	if !read || !slices.Contains(types, q.typ) || q.reversesBeyond(types) {
		return false
	}
	for name, values := range q.params {
		base, _, _ := strings.Cut(name, ":")
		if !o.NarrowsOpen && (base == "_has" || strings.Contains(name, ".")) {
			return false
		}
		for _, v := range values {
			parts := strings.Split(v, ":")
			if !o.NarrowsOpen && base == "_include" && len(parts) != 3 || base == "_revinclude" && !slices.Contains(types, parts[0]) || base == "_include" && len(parts) == 3 && !slices.Contains(types, parts[2]) {
				return false
			}
		}
	}
	return true
}

// asksReverse reports a search with _has.
func (q request) asksReverse() bool {
	for name := range q.params {
		if strings.HasPrefix(name, "_has") {
			return true
		}
	}
	return false
}

// reversesBeyond reports a _has that asks about other types.
func (q request) reversesBeyond(types []string) bool {
	return slices.ContainsFunc(q.reverses(), func(n []Scope) bool { return !slices.Contains(types, n[0].Type) })
}

func anyContext(typ string, r Rights) []Scope { return []Scope{{Type: typ, Rights: r}} }

func system(typ string, r Rights) Scope { return Scope{Context: "system", Type: typ, Rights: r} }

// need says which scopes the request needs (AUTH-13 to AUTH-15, P2P-TOK-121 to 124).
func (q request) need() Need {
	if q.operation != "" {
		return q.operationNeed()
	}
	switch {
	case q.isBatch(): // it can hold anything; see batchNeed
		return Need{{system("*", allRights)}}
	case len(q.segments) > 0 && q.segments[0] == "bulk": // status and files of a job: any token; the job's URL is a secret of its own
		return nil
	case q.typ == "":
		return q.everyTypeNeed()
	case q.search:
		return append(append(Need{anyContext(q.typ, Search)}, q.includes()...), q.reverses()...)
	}
	switch q.method {
	case http.MethodPost:
		return Need{{system(q.typ, Create)}}
	case http.MethodPut, http.MethodPatch:
		return Need{{system(q.typ, Update)}}
	case http.MethodDelete:
		return Need{{system(q.typ, Delete)}}
	default:
		return Need{anyContext(q.typ, Read)}
	}
}

// everyTypeNeed: a search of several types (GET [base]?_type=) searches each; the history of all, and one that is posted, can be of anything.
func (q request) everyTypeNeed() Need {
	if len(q.segments) > 0 || len(q.params["_type"]) == 0 {
		return Need{{system("*", Read|Search)}}
	}
	out := append(q.includes(), q.reverses()...)
	for _, t := range q.types() {
		out = append(out, []Scope{system(t, Search)})
	}
	return out
}

// includes: what _include and _revinclude bring along has to be readable too. Without a target type an _include can bring
// anything.
func (q request) includes() Need {
	var out Need
	for name, values := range q.params {
		base, _, _ := strings.Cut(name, ":")
		for _, v := range values {
			parts := strings.Split(v, ":")
			typ := "*"
			switch {
			case base == "_revinclude" && resourceType(parts[0]):
				typ = parts[0]
			case base == "_include" && len(parts) == 3 && resourceType(parts[2]):
				typ = parts[2]
			case base != "_include" && base != "_revinclude":
				continue
			}
			out = append(out, anyContext(typ, Read))
		}
	}
	return out
}

// reverses: who asks with _has whether there is a resource of a type searches that type.
func (q request) reverses() Need {
	var out Need
	for name := range q.params {
		for rest := name; strings.HasPrefix(rest, "_has:"); {
			parts := strings.SplitN(strings.TrimPrefix(rest, "_has:"), ":", 3)
			typ := "*"
			if resourceType(parts[0]) {
				typ = parts[0]
			}
			out = append(out, anyContext(typ, Search))
			if rest = ""; len(parts) == 3 {
				rest = parts[2]
			}
		}
	}
	return out
}

func (q request) operationNeed() Need {
	all := system("*", Read|Search)
	switch q.operation {
	case "$member-match":
		return Need{{{Operation: MemberMatch}, all}}
	case "$bulk-member-match":
		return Need{{{Operation: BulkMemberMatch}, all}}
	case "$provider-member-match":
		return Need{{{Operation: ProviderMemberMatch}, system("Group", Create), all}}
	case "$member-add", "$member-remove", "$confirm-attribution-list":
		return Need{{system("Group", Update)}}
	case "$attribution-status":
		return Need{{system("Group", Read)}}
	case "$export", "$davinci-data-export":
		// AUTH-15: read on every exported type. $export asks for no right to the Group itself (BULK-KO-10 says SHOULD): bulk clients
		// have scopes for the types they want, and the Group is among them only where it goes out.
		var out Need
		if q.operation == "$davinci-data-export" {
			out = append(out, []Scope{system("Group", Read)})
		}
		for _, t := range q.types() {
			if q.typ == "Patient" { // a member's token exports that member (P2P-TOK-21)
				out = append(out, anyContext(t, Read))
			} else {
				out = append(out, []Scope{system(t, Read)})
			}
		}
		return out
	case "$everything":
		var out Need
		for _, t := range q.types() {
			out = append(out, anyContext(t, Read))
		}
		return out
	default:
		typ := q.typ
		if typ == "" {
			typ = "*"
		}
		return Need{anyContext(typ, Read)}
	}
}

// types are those that _type names, or "*" (also where the parameters are in a body).
func (q request) types() []string {
	var out []string
	for _, v := range q.params["_type"] {
		for t := range strings.SplitSeq(v, ",") {
			if t = strings.TrimSpace(t); t == "" {
				continue
			}
			if !resourceType(t) {
				return []string{"*"}
			}
			if !slices.Contains(out, t) {
				out = append(out, t)
			}
		}
	}
	if len(out) == 0 {
		return []string{"*"}
	}
	return out
}
