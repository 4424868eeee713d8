package smartauth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// algorithms are the signature algorithms that assertions and statements may use. SMART names the first two (AUTH-06).
var algorithms = []jose.SignatureAlgorithm{jose.RS384, jose.ES384, jose.ES256, jose.RS256}

const (
	maxKeys     = 50
	minRSABits  = 2048
	maxKeySet   = 256 << 10
	keysLive    = 5 * time.Minute // without Cache-Control
	keysFresh   = 2 * time.Second // an unknown kid does not lead to fetching more often than this
	maxKeySets  = 1000
	fetchBudget = 5 * time.Second
)

// key is a public key of a client.
type key struct {
	id     string
	alg    string // "" where the JWK does not say
	public any    // *rsa.PublicKey or *ecdsa.PublicKey
}

// serves reports whether the key can have made a signature of this algorithm.
func (k key) serves(alg jose.SignatureAlgorithm) bool {
	if k.alg != "" && k.alg != string(alg) {
		return false
	}
	switch p := k.public.(type) {
	case *rsa.PublicKey:
		return alg == jose.RS384 || alg == jose.RS256
	case *ecdsa.PublicKey:
		return alg == jose.ES384 && p.Curve == elliptic.P384() || alg == jose.ES256 && p.Curve == elliptic.P256()
	default:
		return false
	}
}

// parseKeys reads a JWK set. AUTH-05: a kid in each key, unique, and never a private part; keys of kinds that we do not use are
// passed over, but one has to be left that is usable.
func parseKeys(raw []byte) ([]key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, errors.New(`the key set is no JSON object with a list "keys"`)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("the key set has more than %d keys", maxKeys)
	}
	seen := map[string]bool{}
	var out []key
	for i, one := range set.Keys {
		k, err := parseKey(one)
		if err != nil {
			return nil, fmt.Errorf("key %d of the key set %w", i, err)
		}
		if k.public == nil {
			continue
		}
		if seen[k.id] {
			return nil, fmt.Errorf("key %d of the key set has the kid of an earlier one", i)
		}
		seen[k.id] = true
		out = append(out, k)
	}
	if len(out) == 0 {
		return nil, errors.New("the key set has no usable key: RSA of 2048 bits or more, P-384 or P-256")
	}
	return out, nil
}

// parseKey gives a key without public where its kind is not ours.
func parseKey(raw []byte) (key, error) {
	var head struct {
		Kty string          `json:"kty"`
		Kid string          `json:"kid"`
		Use string          `json:"use"`
		Alg string          `json:"alg"`
		D   json.RawMessage `json:"d"`
		K   json.RawMessage `json:"k"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return key{}, errors.New("is no JWK")
	}
	switch {
	case head.D != nil || head.K != nil:
		return key{}, errors.New("is private or symmetric; publish public keys only, and replace this one")
	case head.Kty != "RSA" && head.Kty != "EC" || head.Use != "" && head.Use != "sig":
		return key{}, nil
	case head.Kid == "":
		return key{}, errors.New("has no kid")
	}
	var k jose.JSONWebKey
	if err := k.UnmarshalJSON(raw); err != nil || !k.Valid() {
		return key{}, errors.New("is malformed")
	}
	out := key{id: head.Kid, alg: head.Alg, public: k.Key}
	if p, ok := k.Key.(*rsa.PublicKey); ok && p.N.BitLen() < minRSABits {
		return key{}, errors.New("is shorter than 2048 bits")
	}
	if !slices.ContainsFunc(algorithms, out.serves) {
		return key{}, nil
	}
	return out, nil
}

// Doer sends requests: an *http.Client. It decides which networks may be reached, so that a registration cannot make the server
// a way into them.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// keySets fetches and keeps key sets. AUTH-04: never longer than Cache-Control says.
type keySets struct {
	http  Doer
	clock func() time.Time

	mu   sync.Mutex // guards sets
	sets map[string]*keySet
}

type keySet struct {
	mu      sync.Mutex // held while fetching: one fetch per URL at a time; guards the rest
	keys    []key
	fetched time.Time
	expires time.Time
}

// noRedirects is the client without its way of following redirects: a jwks_uri is checked when it is registered, where it would
// lead to is not.
func noRedirects(d Doer) Doer {
	c, ok := d.(*http.Client)
	if !ok || c == nil {
		return d
	}
	plain := *c
	plain.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &plain
}

// get gives the keys at a URL. With renew set, a copy that is not brand new is fetched again: a client may have rolled its keys.
func (s *keySets) get(ctx context.Context, from string, renew bool) ([]key, error) {
	if s.http == nil {
		return nil, errors.New("this server fetches no key sets")
	}
	s.mu.Lock()
	set := s.sets[from]
	if set == nil {
		if len(s.sets) >= maxKeySets {
			clear(s.sets)
		}
		set = &keySet{}
		s.sets[from] = set
	}
	s.mu.Unlock()
	set.mu.Lock()
	defer set.mu.Unlock()
	now := s.clock()
	if len(set.keys) > 0 && now.Before(set.expires) && (!renew || now.Sub(set.fetched) < keysFresh) {
		return set.keys, nil
	}
	keys, live, err := s.fetch(ctx, from)
	if err != nil {
		return nil, err
	}
	set.keys, set.fetched, set.expires = keys, now, now.Add(live)
	return keys, nil
}

func (s *keySets) fetch(ctx context.Context, from string) (keys []key, live time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchBudget)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, 0, errors.New("jwks_uri is no URL")
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, 0, errors.New("the key set at jwks_uri could not be fetched") // the cause may name hosts that are not the client's business
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("the key set at jwks_uri was answered with status %d", resp.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet+1))
	if err != nil {
		return nil, 0, errors.New("the key set at jwks_uri could not be read")
	}
	if len(raw) > maxKeySet {
		return nil, 0, fmt.Errorf("the key set at jwks_uri has more than %d bytes", maxKeySet)
	}
	keys, err = parseKeys(raw)
	return keys, lifetime(resp.Header.Get("Cache-Control")), err
}

func lifetime(cacheControl string) time.Duration {
	live := keysLive
	for d := range strings.SplitSeq(cacheControl, ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(d)), "=")
		switch name {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			if n, err := strconv.Atoi(strings.Trim(value, `"`)); err == nil && n >= 0 {
				live = min(time.Duration(min(n, 86400))*time.Second, time.Hour)
			}
		}
	}
	return live
}

// keyURL checks a jwks_uri: https, or http on the same machine.
func keyURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Fragment != "" || u.User != nil:
		return errors.New("jwks_uri is no absolute URL without fragment and user")
	case nobodys(u.Hostname()):
		return errors.New("jwks_uri names an address that no client has")
	case u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	default:
		return errors.New("jwks_uri is not https")
	}
}

// nobodys holds for addresses that are no host's own, such as those under which clouds tell a machine its secrets. Names that lead
// there are refused when they are dialed, by Options.HTTP.
func nobodys(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && (ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified())
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

const keyFile = "smartauth-signing-key.json"

// signingKey loads the key that signs access tokens, or makes one. The file is readable by its owner only.
func signingKey(dir string) (*jose.JSONWebKey, error) {
	path := filepath.Join(dir, keyFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeKey(dir, path); err != nil {
			return nil, fmt.Errorf("signing key: %w", err)
		}
		raw, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	var k jose.JSONWebKey
	if err := k.UnmarshalJSON(raw); err != nil {
		return nil, fmt.Errorf("signing key %s: %w", path, err)
	}
	if p, ok := k.Key.(*ecdsa.PrivateKey); !ok || p.Curve != elliptic.P256() {
		return nil, fmt.Errorf("signing key %s: not a private P-256 key", path)
	}
	return &k, nil
}

// makeKey links a whole file into place, so that another process never reads half of one; the first one wins.
func makeKey(dir, path string) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	public, err := private.PublicKey.Bytes()
	if err != nil {
		return err
	}
	id := sha256.Sum256(public)
	k := jose.JSONWebKey{Key: private, KeyID: base64.RawURLEncoding.EncodeToString(id[:12]), Algorithm: string(jose.ES256), Use: "sig"}
	raw, err := k.MarshalJSON()
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, keyFile+".*") // 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(tmp.Name())) }()
	_, err = tmp.Write(raw)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
