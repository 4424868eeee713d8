package smartauth

import (
	"slices"
	"strings"
)

// Rights is a set of the interactions that a SMART v2 scope can name.
type Rights uint8

// The rights in the order in which a scope names them.
const (
	Create Rights = 1 << iota
	Read
	Update
	Delete
	Search
)

const (
	rightLetters = "cruds"
	allRights    = Create | Read | Update | Delete | Search
)

// Operation scopes of PDex; the older and the newer spelling mean the same (C-10, CF-11).
const (
	MemberMatch         = "http://hl7.org/fhir/us/davinci-hrex/OperationDefinition/member-match"
	BulkMemberMatch     = "http://hl7.org/fhir/us/davinci-pdex/OperationDefinition/BulkMemberMatch"
	ProviderMemberMatch = "http://hl7.org/fhir/us/davinci-pdex/OperationDefinition/ProviderMemberMatch"

	bulkMemberMatch21     = "http://hl7.org/fhir/us/davinci-pdex/OperationDefinition/bulk-member-match"
	providerMemberMatch21 = "http://hl7.org/fhir/us/davinci-pdex/OperationDefinition/provider-member-match"
	// groupScope begins the Group scopes as PDex writes them; they are no SMART syntax and stand for system/Group.rs.
	groupScope = "system.Group.u?code=http://hl7.org/fhir/us/davinci-pdex/"
)

// Scope is one scope: a SMART resource scope or an operation. The zero value allows and needs nothing.
type Scope struct {
	// Context is "system" or "patient"; empty in a need means either.
	Context string
	// Type is a resource type or "*".
	Type   string
	Rights Rights
	// Operation is the canonical of an operation in its newer spelling; the fields above are then empty.
	Operation string

	literal string // as the client wrote it
}

// ParseScope reads one scope: SMART v1 (system/*.read), SMART v2 (system/Patient.rs) or one that PDex defines. Scopes with a
// query are not served, and so are unknown here: granting what is not enforced would disclose too much.
func ParseScope(s string) (Scope, bool) {
	switch s {
	case MemberMatch, BulkMemberMatch, ProviderMemberMatch:
		return Scope{Operation: s, literal: s}, true
	case bulkMemberMatch21:
		return Scope{Operation: BulkMemberMatch, literal: s}, true
	case providerMemberMatch21:
		return Scope{Operation: ProviderMemberMatch, literal: s}, true
	}
	if strings.HasPrefix(s, groupScope) && !strings.ContainsAny(s, " \"\\") {
		return Scope{Context: "system", Type: "Group", Rights: Read | Search, literal: s}, true
	}
	context, rest, ok := strings.Cut(s, "/")
	typ, letters, dotted := strings.Cut(rest, ".")
	if !ok || !dotted || context != "system" && context != "patient" || !resourceType(typ) {
		return Scope{}, false
	}
	rights, ok := parseRights(letters)
	return Scope{Context: context, Type: typ, Rights: rights, literal: s}, ok
}

func parseRights(s string) (Rights, bool) {
	switch s {
	case "read": // SMART v1: read and search
		return Read | Search, true
	case "write":
		return Create | Update | Delete, true
	case "*":
		return allRights, true
	}
	var r Rights
	last := -1
	for i := range len(s) {
		at := strings.IndexByte(rightLetters, s[i])
		if at <= last { // also -1: SMART v2 wants the letters in order, each once
			return 0, false
		}
		r, last = r|1<<at, at
	}
	return r, r != 0
}

// resourceType checks the form: one upper-case letter, then letters.
func resourceType(s string) bool {
	if s == "*" {
		return true
	}
	for i := range len(s) {
		if c := s[i]; (c < 'A' || c > 'Z') && (i == 0 || c < 'a' || c > 'z') {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// String is the scope as the client wrote it, or in SMART v2.
func (s Scope) String() string {
	if s.literal != "" {
		return s.literal
	}
	if s.Operation != "" {
		return s.Operation
	}
	var b strings.Builder
	b.WriteString(s.Context + "/" + s.Type + ".")
	for i := range len(rightLetters) {
		if s.Rights&(1<<i) != 0 {
			b.WriteByte(rightLetters[i])
		}
	}
	return b.String()
}

// Covers reports whether holding s is enough where need is needed.
func (s Scope) Covers(need Scope) bool {
	if need.Operation != "" || s.Operation != "" {
		return s.Operation == need.Operation
	}
	return s.Rights != 0 && (need.Context == "" || s.Context == need.Context) && (s.Type == "*" || s.Type == need.Type) && need.Rights&^s.Rights == 0
}

// narrow is the part of the asked scope that the allowed one permits. A wildcard narrows to the types allowed; rights do not
// narrow: who asks to write and may only read is refused rather than surprised.
func narrow(asked, allowed Scope) (Scope, bool) {
	if allowed.Covers(asked) {
		return asked, true
	}
	if asked.Operation == "" && asked.Type == "*" && allowed.Operation == "" && allowed.Type != "*" {
		got := Scope{Context: asked.Context, Type: allowed.Type, Rights: asked.Rights}
		return got, allowed.Covers(got)
	}
	return Scope{}, false
}

// Scopes is a list of scopes.
type Scopes []Scope

// ParseScopes reads a space-separated list; unknown ones are left out, as RFC 6749 section 3.3 allows.
func ParseScopes(s string) Scopes {
	var out Scopes
	for word := range strings.FieldsSeq(s) {
		if sc, ok := ParseScope(word); ok && !slices.Contains(out, sc) {
			out = append(out, sc)
		}
	}
	return out
}

// Covers reports whether one of the scopes covers the need.
func (l Scopes) Covers(need Scope) bool {
	return slices.ContainsFunc(l, func(s Scope) bool { return s.Covers(need) })
}

// within is what of l the allowed scopes permit.
func (l Scopes) within(allowed Scopes) Scopes {
	var out Scopes
	for _, asked := range l {
		if allowed.Covers(asked) {
			out = append(out, asked)
			continue
		}
		for _, a := range allowed {
			if got, ok := narrow(asked, a); ok && !out.Covers(got) {
				out = append(out, got)
			}
		}
	}
	return out
}

// offered is what of l a registration may have: as within, and of one for all rights ("system/*.*", as many clients register by habit)
// the rights that there are. The answer to the registration says so; a token request is not answered with less than it names.
func (l Scopes) offered(allowed Scopes) Scopes {
	var out Scopes
	for _, asked := range l {
		if asked.Operation == "" && asked.Rights == allRights && !allowed.Covers(asked) {
			for _, a := range allowed {
				asked.Rights, asked.literal = allRights&a.Rights, ""
				if got, ok := narrow(asked, a); ok && !out.Covers(got) {
					out = append(out, got)
				}
			}
			continue
		}
		for _, got := range (Scopes{asked}).within(allowed) {
			if !slices.Contains(out, got) {
				out = append(out, got)
			}
		}
	}
	return out
}

// of keeps the scopes for which keep holds.
func (l Scopes) of(keep func(Scope) bool) Scopes {
	var out Scopes
	for _, s := range l {
		if keep(s) {
			out = append(out, s)
		}
	}
	return out
}

// String is the space-separated list.
func (l Scopes) String() string {
	words := make([]string, len(l))
	for i, s := range l {
		words[i] = s.String()
	}
	return strings.Join(words, " ")
}

func forMember(s Scope) bool { return s.Context == "patient" }
