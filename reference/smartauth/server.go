package smartauth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"fhirwire/internal/sqldb"
)

// Paths that Handler serves. WellKnown is also served below the FHIR base (AUTH-01).
const (
	Prefix         = "/oauth"
	RegisterPath   = Prefix + "/register"
	TokenPath      = Prefix + "/token"
	IntrospectPath = Prefix + "/introspect"
	RevokePath     = Prefix + "/revoke"
	JWKSPath       = Prefix + "/jwks"
	WellKnown      = "/.well-known/smart-configuration"
)

// ErrNotListed is what Options.Identify returns for a certificate that no valid directory entry names.
var ErrNotListed = errors.New("certificate is not listed")

// Identity is the directory entry that a client certificate belongs to.
type Identity struct {
	// Entry names the entry, stable over renewals of the certificate: its file, or the payer's NPI.
	Entry string
	// Organization is the payer's identifier value, its NPI; $member-match compares it with the consent's recipient.
	Organization string
}

// Options tune New. Clock is required.
type Options struct {
	// BaseURL is the origin that clients use, "https://payer.example"; empty: scheme and Host of each request, which is for tests
	// and for a listener on loopback: the Host is then the client's word.
	BaseURL string
	// Origin gives the origin by which a request reached the server where BaseURL is not the only one, as on a second listener;
	// "" means BaseURL. Nil: it always is.
	Origin func(*http.Request) string
	// FHIRPath is the path of the FHIR base; empty: "/fhir".
	FHIRPath string
	Clock    func() time.Time
	// Rand makes client ids, secrets and token ids; nil: crypto/rand.
	Rand   io.Reader
	Logger *slog.Logger
	// HTTP fetches jwks_uri; nil refuses clients with one when they ask for a token.
	HTTP Doer
	// TokenLife is how long access tokens live; 0 means 5 minutes (AUTH-11).
	TokenLife time.Duration
	// Leeway is the difference of clocks that is forgiven; 0 means 30 seconds. An expired assertion is expired all the same.
	Leeway time.Duration
	// Scopes are those that clients can have; nil means DefaultScopes.
	Scopes []string
	// Audiences gives token URLs that assertions may name besides our own: those under which a proxy shows this server.
	Audiences func(*http.Request) []string
	// Identify looks a verified client certificate up in the directory: an identity, ErrNotListed, or an error of its own. Nil
	// means that any certificate the listener has verified will do.
	Identify func(ctx context.Context, chain []*x509.Certificate) (Identity, error)
	// RequireTLS refuses registration without a client certificate (P2P-DCR-21).
	RequireTLS bool
	// PlainTokens lets clients that registered with a certificate ask for tokens without it (C-16).
	PlainTokens bool
	// StatementRoots and StatementIssuers are the trust list for software statements: CAs for those with x5c, key sets (JWKS) by
	// iss for the others. While both are empty, a statement that verifies with its own keys will do, for it claims no more than
	// plain metadata may.
	StatementRoots   *x509.CertPool
	StatementIssuers map[string][]byte
	// UDAP gives the certificate, with its key, that signs the UDAP configuration of a FHIR base, which is one of its URIs; nil for a
	// base that has none. Without it UDAP is not announced; a client that registers by it is heard all the same.
	UDAP func(base string) (*tls.Certificate, error)
	// InitialTokens are the initial access tokens that admit a registration (RFC 7591 section 3): one that presents another bearer token
	// is refused. While there are none, bearer tokens at registration are not looked at.
	InitialTokens []string
	// RequireInitialToken refuses registrations that present none.
	RequireInitialToken bool
	// RegistrationsPerMinute bounds registrations per certificate, or per address without one; 0 means 60, negative no bound.
	RegistrationsPerMinute int
	// RefuseMemberSubject turns form F2 of P2P-TOK-20 off: an assertion whose sub is not the client is then invalid_client.
	RefuseMemberSubject bool
	// OperationReadsData lets a token for $member-match read the data too, for clients that use one token throughout (P2P-TOK-15).
	OperationReadsData bool
}

// DefaultScopes are what payers and providers need here (P2P-TOK-121 to 124, AUTH-14, AUTH-15).
func DefaultScopes() []string {
	return []string{
		MemberMatch, BulkMemberMatch, ProviderMemberMatch,
		"system/*.rs", "system/*.read", "system/Group.cruds", "system/Group.write", "patient/*.rs", "patient/*.read",
	}
}

// Server is the authorization server. It is safe for concurrent use.
type Server struct {
	o       Options
	store   store
	allowed Scopes
	signer  jose.Signer
	public  jose.JSONWebKey
	keys    keySets
	rate    limiter
	mux     *http.ServeMux
	issuers map[string][]key

	// generation moves when tokens are revoked, so that no remembered grant outlives them.
	generation atomic.Int64
	remembered grantCache
	purged     atomic.Int64 // when expired rows were last deleted
	randMu     sync.Mutex   // guards o.Rand
}

// New opens the server over a database, whose schema it brings up to date. The key that signs access tokens is kept in dataDir.
func New(ctx context.Context, db *sqldb.DB, dataDir string, o Options) (*Server, error) {
	if o.FHIRPath == "" {
		o.FHIRPath = "/fhir"
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.TokenLife == 0 {
		o.TokenLife = 5 * time.Minute
	}
	if o.Leeway == 0 {
		o.Leeway = 30 * time.Second
	}
	if o.RegistrationsPerMinute == 0 {
		o.RegistrationsPerMinute = 60
	}
	if o.Scopes == nil {
		o.Scopes = DefaultScopes()
	}
	o.BaseURL = strings.TrimSuffix(o.BaseURL, "/")
	s := &Server{
		o: o, store: store{db}, keys: keySets{http: noRedirects(o.HTTP), clock: o.Clock, sets: map[string]*keySet{}},
		rate:    limiter{perMinute: o.RegistrationsPerMinute, used: map[string]*bucket{}},
		issuers: map[string][]key{},
	}
	s.remembered.grants = map[string]remembered{}
	for _, text := range o.Scopes {
		sc, ok := ParseScope(text)
		if !ok {
			return nil, fmt.Errorf("authorization server: %q is no scope", text)
		}
		s.allowed = append(s.allowed, sc)
	}
	for iss, raw := range o.StatementIssuers {
		keys, err := parseKeys(raw)
		if err != nil {
			return nil, fmt.Errorf("authorization server: statement issuer %s: %w", iss, err)
		}
		s.issuers[iss] = keys
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, "smartauth", files); err != nil {
		return nil, fmt.Errorf("authorization server: %w", err)
	}
	return s, s.prepare(dataDir)
}

func (s *Server) prepare(dataDir string) error {
	k, err := signingKey(dataDir)
	if err != nil {
		return fmt.Errorf("authorization server: %w", err)
	}
	s.public = k.Public()
	options := (&jose.SignerOptions{}).WithType("at+jwt") // RFC 9068
	if s.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: k}, options); err != nil {
		return fmt.Errorf("authorization server: %w", err)
	}
	s.mux = http.NewServeMux()
	s.route(RegisterPath, http.MethodPost, s.serveRegister)
	s.route(TokenPath, http.MethodPost, s.serveToken)
	s.route(IntrospectPath, http.MethodPost, s.serveIntrospect)
	s.route(RevokePath, http.MethodPost, s.serveRevoke)
	s.route(JWKSPath, http.MethodGet, s.serveJWKS)
	s.route(WellKnown, http.MethodGet, s.serveDiscovery)
	s.route(s.o.FHIRPath+WellKnown, http.MethodGet, s.serveDiscovery)
	if s.o.UDAP != nil {
		s.route(UDAPWellKnown, http.MethodGet, s.serveUDAP)
		s.route(s.o.FHIRPath+UDAPWellKnown, http.MethodGet, s.serveUDAP)
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, refuse(http.StatusNotFound, "invalid_request", "There is no such endpoint."))
	})
	return nil
}

// Handler serves the paths named above; mount it at Prefix+"/", and WellKnown and UDAPWellKnown, each also
// below FHIRPath.
func (s *Server) Handler() http.Handler { return s.mux }

// route serves a path by one method, and HEAD with GET. Errors that are no *Error are ours: 500 and a log line.
func (s *Server) route(path, method string, h func(http.ResponseWriter, *http.Request) error) {
	allow := method + ", OPTIONS"
	if method == http.MethodGet {
		allow = "GET, HEAD, OPTIONS"
	}
	s.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		switch {
		case r.Method == http.MethodOptions:
			w.Header().Set("Access-Control-Allow-Methods", allow)
			w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
			w.WriteHeader(http.StatusNoContent)
			return
		case r.Method != method && (method != http.MethodGet || r.Method != http.MethodHead):
			w.Header().Set("Allow", allow)
			writeError(w, refuse(http.StatusMethodNotAllowed, "invalid_request", "%s is not served here; Allow says what is.", r.Method))
			return
		}
		err := h(w, r)
		var refused *Error
		switch {
		case err == nil:
		case errors.As(err, &refused):
			writeError(w, refused)
		default:
			if r.Context().Err() == nil {
				s.o.Logger.ErrorContext(r.Context(), "authorization request failed", "path", path, "error", err)
			}
			writeError(w, refuse(http.StatusInternalServerError, "server_error", "The server failed on this request."))
		}
	})
}

// base is the origin of our own URLs.
func (s *Server) base(r *http.Request) string {
	if s.o.Origin != nil {
		if at := s.o.Origin(r); at != "" {
			return at
		}
	}
	if s.o.BaseURL != "" {
		return s.o.BaseURL
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// random gives n random bytes in base64url.
func (s *Server) random(n int) (string, error) {
	b := make([]byte, n)
	s.randMu.Lock()
	defer s.randMu.Unlock()
	if _, err := io.ReadFull(s.o.Rand, b); err != nil {
		return "", fmt.Errorf("randomness: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// peer is the client certificate chain that the TLS listener has verified, leaf first; nil without one.
func peer(r *http.Request) []*x509.Certificate {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return nil
	}
	return r.TLS.PeerCertificates
}

// thumbprint is RFC 8705's x5t#S256 of the peer's certificate, "" without one.
func thumbprint(chain []*x509.Certificate) string {
	if len(chain) == 0 {
		return ""
	}
	sum := sha256.Sum256(chain[0].Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// limiter counts events per key: a bucket that refills evenly.
type limiter struct {
	perMinute int
	mu        sync.Mutex // guards used
	used      map[string]*bucket
}

type bucket struct {
	level float64
	at    time.Time
}

const maxBuckets = 10000

// wait counts an event, or says how long to wait before the next one is welcome.
func (l *limiter) wait(key string, now time.Time) time.Duration {
	if l.perMinute < 0 {
		return 0
	}
	perSecond, full := float64(l.perMinute)/60, float64(l.perMinute)
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.used[key]
	if b == nil {
		if len(l.used) >= maxBuckets {
			for k, old := range l.used {
				if now.Sub(old.at) >= time.Minute {
					delete(l.used, k)
				}
			}
			if len(l.used) >= maxBuckets {
				return time.Minute
			}
		}
		b = &bucket{at: now}
		l.used[key] = b
	}
	b.level = max(0, b.level-now.Sub(b.at).Seconds()*perSecond)
	b.at = now
	if b.level+1 > full {
		return time.Duration((b.level + 1 - full) / perSecond * float64(time.Second))
	}
	b.level++
	return 0
}

func remoteHost(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return r.RemoteAddr
}
