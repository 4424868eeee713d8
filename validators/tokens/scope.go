package tokens

import (
	"net/http"
	"slices"
	"strings"

	"fhirwire/proxy"
	"fhirwire/validators"
)

// rights are the letters of a SMART v2 scope, in their order.
const rights = "cruds"

// scope is one granted scope as far as it opens data.
type scope struct {
	context string // "patient", "user" or "system"
	typ     string // a resource type or "*"
	rights  string // of "cruds"
	// operation is the canonical of an operation scope; the fields above are then empty.
	operation string
}

// groupScope begins scopes that PDex writes with dots; they are no SMART syntax and open Groups.
const groupScope = "system.Group."

// parseScope reads SMART v1 (patient/*.read), SMART v2 (system/Patient.rs?category=…) and operation scopes (a canonical). Scopes that
// open no data (openid, launch, offline_access) are not ok.
func parseScope(s string) (scope, bool) {
	if strings.HasPrefix(s, groupScope) {
		return scope{context: "system", typ: "Group", rights: "rs"}, true
	}
	if strings.Contains(s, "://") {
		return scope{operation: s}, strings.Contains(s, "/OperationDefinition/")
	}
	s, _, _ = strings.Cut(s, "?") // narrows to some resources, which nobody here can tell
	context, rest, ok := strings.Cut(s, "/")
	typ, letters, dotted := strings.Cut(rest, ".")
	if !ok || !dotted || typ == "" || context != "patient" && context != "user" && context != "system" {
		return scope{}, false
	}
	switch letters {
	case "read":
		letters = "rs"
	case "write":
		letters = "cud"
	case "*":
		letters = rights
	default:
		for _, c := range letters {
			if !strings.ContainsRune(rights, c) {
				return scope{}, false
			}
		}
	}
	return scope{context: context, typ: typ, rights: letters}, letters != ""
}

// need is what a request asks for; the zero need asks for nothing that scopes decide.
type need struct {
	typ    string // "*" is any type
	rights string
	// operation is the name of an operation that has scopes of its own.
	operation string
	// lookup marks a search for a patient by identifier, which a server may allow with the token of a member match (P2P-TOK-125).
	lookup bool
}

func (n need) String() string {
	switch {
	case n.operation != "":
		return n.operation
	case n.rights == "":
		return ""
	case n.typ == "*":
		return "any type." + n.rights
	}
	return n.typ + "." + n.rights
}

// needs are the letters that an interaction with a type asks for.
var needs = map[proxy.Kind]string{
	proxy.KindRead: "r", proxy.KindVRead: "r", proxy.KindHistoryInstance: "r", proxy.KindSearchType: "s", proxy.KindHistoryType: "s",
	proxy.KindCreate: "c", proxy.KindUpdate: "u", proxy.KindPatch: "u", proxy.KindDelete: "d",
}

// needOf is what an exchange asks for. Batches, system searches and most operations ask for what their content says, which is not
// looked at.
func needOf(ex *proxy.Exchange) need {
	i := ex.Interaction
	if letters := needs[i.Kind]; letters != "" && i.ResourceType != "" {
		_, query, _ := strings.Cut(ex.Request.URL, "?")
		lookup := i.Kind == proxy.KindSearchType && i.ResourceType == "Patient" && strings.Contains("&"+query, "&identifier=")
		return need{typ: i.ResourceType, rights: letters, lookup: lookup}
	}
	switch {
	case strings.HasSuffix(i.Operation, "member-match"):
		return need{operation: i.Operation}
	case i.Operation == "$everything" && i.ResourceType != "":
		return need{typ: i.ResourceType, rights: "r"}
	case i.Kind == proxy.KindBulkKickoff && ex.Request.Method != http.MethodDelete:
		return need{typ: "*", rights: "r"}
	}
	return need{}
}

// enough says whether granted scopes cover a need. For an operation with a scope of its own, SMART scopes decide nothing.
func enough(granted []string, n need) validators.Enough {
	if len(granted) == 0 || n == (need{}) {
		return validators.EnoughUnknown
	}
	known := false
	for _, g := range granted {
		s, ok := parseScope(g)
		if !ok {
			continue
		}
		known = true
		switch {
		case n.operation != "":
			if s.operation == "" || operationScope(s.operation, n.operation) {
				return validators.EnoughYes
			}
		case n.lookup && operationScope(s.operation, "$member-match"):
			return validators.EnoughUnknown
		case s.operation == "" && (s.typ == "*" || n.typ == "*" || s.typ == n.typ) && hasAll(s.rights, n.rights):
			return validators.EnoughYes
		}
	}
	if !known {
		return validators.EnoughUnknown
	}
	return validators.EnoughNo
}

// operationScope compares the last segment of a canonical with an operation's name, in either spelling: bulk-member-match and
// BulkMemberMatch are one.
func operationScope(canonical, operation string) bool {
	last := canonical[strings.LastIndexByte(canonical, '/')+1:]
	plain := func(s string) string { return strings.ToLower(strings.NewReplacer("-", "", "$", "").Replace(s)) }
	return plain(last) == plain(operation)
}

func hasAll(have, want string) bool {
	return !slices.ContainsFunc([]rune(want), func(c rune) bool { return !strings.ContainsRune(have, c) })
}
