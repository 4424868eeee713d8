package proxy

// Interaction is what an exchange is in FHIR or OAuth terms.
type Interaction struct {
	Kind Kind
	// ResourceType is the type in the URL ("Patient"), empty at system level.
	ResourceType string
	// ResourceID is the id in the URL, for reads and instance-level operations.
	ResourceID string
	// Operation is the operation's name with its $, "$member-match"; empty for other kinds.
	Operation string
}

// Kind names an interaction. The FHIR RESTful ones have the codes of FHIR's restful-interaction code system.
type Kind string

// The kinds.
const (
	KindRead            Kind = "read"
	KindVRead           Kind = "vread"
	KindUpdate          Kind = "update"
	KindPatch           Kind = "patch"
	KindDelete          Kind = "delete"
	KindHistoryInstance Kind = "history-instance"
	KindHistoryType     Kind = "history-type"
	KindHistorySystem   Kind = "history-system"
	KindCreate          Kind = "create"
	KindSearchType      Kind = "search-type"
	KindSearchSystem    Kind = "search-system"
	KindCapabilities    Kind = "capabilities"
	KindBatch           Kind = "batch"
	KindTransaction     Kind = "transaction"
	KindOperation       Kind = "operation"     // any $operation that has no kind of its own
	KindBulkKickoff     Kind = "bulk-kickoff"  // $export, $davinci-data-export with Prefer: respond-async
	KindBulkStatus      Kind = "bulk-status"   // polling of a Content-Location
	KindBulkFile        Kind = "bulk-file"     // download of a manifest's file
	KindBulkDelete      Kind = "bulk-delete"   // DELETE of a status URL
	KindToken           Kind = "oauth-token"   // OAuth 2.0 token endpoint
	KindRegister        Kind = "oauth-dcr"     // RFC 7591 registration
	KindAuthorize       Kind = "oauth-auth"    // authorization endpoint
	KindIntrospect      Kind = "oauth-introsp" // RFC 7662
	KindSMARTConfig     Kind = "smart-config"  // .well-known/smart-configuration
	KindUDAPConfig      Kind = "udap-config"   // .well-known/udap
	KindOAuthConfig     Kind = "oauth-config"  // .well-known/ documents of OAuth 2.0 (RFC 8414, RFC 9728) and OpenID Connect
	KindTunnel          Kind = "tunnel"        // CONNECT, or a connection passed on unread
	KindOther           Kind = "other"
)

// Label is the interaction in the words of a list: "search Patient", "$member-match", "read Location".
func (i Interaction) Label() string {
	join := func(word string) string {
		if i.ResourceType == "" {
			return word
		}
		return word + " " + i.ResourceType
	}
	switch i.Kind {
	case KindSearchType, KindSearchSystem:
		return join("search")
	case KindHistoryInstance, KindHistoryType, KindHistorySystem:
		return join("history")
	case KindCapabilities:
		return "metadata"
	case KindOperation:
		return i.Operation
	case KindBulkKickoff:
		return "Bulk kick-off"
	case KindBulkStatus:
		return "Bulk poll"
	case KindBulkFile:
		return "Bulk file"
	case KindBulkDelete:
		return "Bulk cancel"
	case KindToken:
		return "Token"
	case KindRegister:
		return "Register client"
	case KindAuthorize:
		return "Authorize"
	case KindIntrospect:
		return "Introspect token"
	case KindSMARTConfig, KindUDAPConfig, KindOAuthConfig:
		return "Discovery"
	case KindTunnel:
		return "Tunnel"
	case KindOther, "":
		return "Other request"
	default:
		return join(string(i.Kind))
	}
}
