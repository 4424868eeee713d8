package play

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"fhirwire/testplans"
)

// Ways of client authentication at the token endpoint.
const (
	methodBasic = "client_secret_basic"
	methodPost  = "client_secret_post"
	methodJWT   = "private_key_jwt"
	methodTLS   = "tls_client_auth"
	methodUDAP  = "udap"

	grantCredentials = "client_credentials"
	grantBearer      = "urn:ietf:params:oauth:grant-type:jwt-bearer"

	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	// assertionLife is how long an assertion lasts; SMART allows five minutes.
	assertionLife = 4 * time.Minute
)

// Key signs client assertions.
type Key struct{ jwk jose.JSONWebKey }

// ReadKey reads a private key: a JWK, or PEM (PKCS #8, SEC 1 or PKCS #1). RSA keys sign RS384, elliptic ones ES384 or ES256.
func ReadKey(text []byte) (*Key, error) {
	var jwk jose.JSONWebKey
	if strings.HasPrefix(strings.TrimSpace(string(text)), "{") {
		if err := jwk.UnmarshalJSON(text); err != nil {
			return nil, fmt.Errorf("client key: %w", err)
		}
	} else {
		der, err := privatePEM(text)
		if err != nil {
			return nil, fmt.Errorf("client key: %w", err)
		}
		key, err := privateKey(der)
		if err != nil {
			return nil, fmt.Errorf("client key: %w", err)
		}
		jwk.Key = key
	}
	return finishKey(jwk)
}

// privatePEM is the first private key of a PEM file, which may have parameters or a certificate before it.
func privatePEM(text []byte) ([]byte, error) {
	var types []string
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY", block.Headers["DEK-Info"] != "":
			return nil, errors.New("it is encrypted; write it without a password first (openssl pkey -in KEY -out PLAIN)")
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return block.Bytes, nil
		}
		types = append(types, block.Type)
	}
	if len(types) > 0 {
		return nil, fmt.Errorf("the PEM has %s, and no private key", strings.Join(types, ", "))
	}
	return nil, errors.New("neither a JWK nor PEM")
}

func privateKey(der []byte) (any, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err == nil {
		return key, nil
	}
	if ec, err := x509.ParseECPrivateKey(der); err == nil {
		return ec, nil
	}
	if r, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return r, nil
	}
	return nil, err
}

// newKey makes a key for one run.
func newKey() (*Key, error) {
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("client key: %w", err)
	}
	return finishKey(jose.JSONWebKey{Key: key})
}

func finishKey(jwk jose.JSONWebKey) (*Key, error) {
	switch key := jwk.Key.(type) {
	case *ecdsa.PrivateKey:
		switch key.Curve {
		case elliptic.P384():
			jwk.Algorithm = string(jose.ES384)
		case elliptic.P256():
			jwk.Algorithm = string(jose.ES256)
		default:
			return nil, errors.New("client key: of elliptic curves P-384 and P-256 are known")
		}
	case *rsa.PrivateKey:
		jwk.Algorithm = string(jose.RS384)
	default:
		return nil, fmt.Errorf("client key: a private key is needed, RSA or elliptic; this is %T", jwk.Key)
	}
	jwk.Use = "sig"
	if jwk.KeyID == "" {
		sum, err := jwk.Thumbprint(crypto.SHA256)
		if err != nil {
			return nil, fmt.Errorf("client key: %w", err)
		}
		jwk.KeyID = base64.RawURLEncoding.EncodeToString(sum)
	}
	return &Key{jwk}, nil
}

// Public is the key set to register, as JSON.
func (k *Key) Public() (json.RawMessage, error) {
	return json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{k.jwk.Public()}})
}

// assertion is a JWT by which a client authenticates, or names the member that it asks for (RFC 7523).
func (k *Key) assertion(client, subject, audience, id string, expires time.Time) (string, error) {
	return k.sign(jwt.Claims{Issuer: client, Subject: subject, Audience: jwt.Audience{audience}, ID: id, Expiry: jwt.NewNumericDate(expires)}, nil)
}

// sign makes a JWT; x5c, if any, is the chain of the certificate whose key it is.
func (k *Key) sign(claims any, x5c []string) (string, error) {
	o := (&jose.SignerOptions{}).WithType("JWT")
	key := k.jwk
	if len(x5c) > 0 {
		o, key.KeyID = o.WithHeader("x5c", x5c), "" // the certificate says which key
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(k.jwk.Algorithm), Key: key}, o)
	if err != nil {
		return "", fmt.Errorf("sign by the client's key: %w", err)
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		return "", fmt.Errorf("sign by the client's key: %w", err)
	}
	return text, nil
}

// register registers the runner and keeps what it is known by.
func (r *run) register(ctx context.Context, g *testplans.PlayRegister) (answer, error) {
	r.method = g.Method
	if r.given["clientId"] != "" {
		return answer{}, &skipError{"a clientId was given"}
	}
	if r.given["accessToken"] != "" {
		return answer{}, &skipError{"an accessToken was given"}
	}
	at, missing := r.vars.url("${registrationEndpoint}")
	if missing != "" {
		return answer{}, lacks(missing)
	}
	body, missing, err := registration(g, r.vars, r.key)
	if err == nil && missing == "" && g.Method == methodUDAP {
		body, err = r.statement(body, at)
	}
	if missing != "" {
		return answer{}, lacks(missing)
	}
	if err != nil {
		return answer{}, err
	}
	got, err := r.send(ctx, outgoing{
		method: http.MethodPost, url: at, body: body, header: http.Header{"Accept": {plainJSON}, "Content-Type": {plainJSON}},
	})
	if err != nil {
		return got, err
	}
	var client struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	if got.status != http.StatusCreated && got.status != http.StatusOK {
		return got, fmt.Errorf("the registration was answered %d", got.status)
	}
	if err := json.Unmarshal(got.body, &client); err != nil || client.ID == "" {
		return got, errors.New("the registration was answered without a client_id")
	}
	r.vars["clientId"] = []string{client.ID}
	delete(r.vars, "clientSecret")
	if client.Secret != "" {
		r.vars["clientSecret"] = []string{client.Secret}
	}
	return got, nil
}

// registration is the body of a registration.
func registration(g *testplans.PlayRegister, v vars, key *Key) (body []byte, missing string, err error) {
	scope, missing := v.fill(g.Scope, plain)
	if missing != "" {
		return nil, missing, nil
	}
	members := map[string]any{"client_name": "fhirwire", "grant_types": g.Grants, "token_endpoint_auth_method": g.Method}
	if len(g.Grants) == 0 {
		members["grant_types"] = []string{grantCredentials}
	}
	if g.Method == methodUDAP {
		members["token_endpoint_auth_method"], members["contacts"] = methodJWT, []string{contact}
	}
	if scope != "" {
		members["scope"] = scope
	}
	if g.Method == methodJWT {
		if members["jwks"], err = key.Public(); err != nil {
			return nil, "", fmt.Errorf("client key: %w", err)
		}
	}
	for name, text := range g.With {
		if members[name], missing = v.fill(text, plain); missing != "" {
			return nil, missing, nil
		}
	}
	body, err = json.Marshal(members)
	return body, "", err
}

// token asks for an access token as the client was registered.
func (r *run) token(ctx context.Context, t *testplans.PlayToken) (answer, error) {
	if r.given["accessToken"] != "" {
		return answer{}, &skipError{"an accessToken was given"}
	}
	at, missing := r.vars.url("${tokenEndpoint}")
	if missing != "" {
		return answer{}, lacks(missing)
	}
	if len(r.vars["clientId"]) == 0 {
		return answer{}, lacks("clientId")
	}
	form, missing := r.vars.form(t.Form)
	if missing != "" {
		return answer{}, lacks(missing)
	}
	form.Set("grant_type", grantCredentials)
	scope, missing := r.vars.fill(t.Scope, plain)
	if missing != "" {
		return answer{}, lacks(missing)
	}
	if scope != "" {
		form.Set("scope", scope)
	}
	if t.Member != "" {
		if err := r.nameMember(form, t.Member, at); err != nil {
			return answer{}, err
		}
	}
	ask := http.Request{Header: http.Header{"Accept": {plainJSON}, "Content-Type": {formType}}}
	if err := r.authenticate(&ask, form, at, t.Wrong); err != nil {
		return answer{}, err
	}
	got, err := r.send(ctx, outgoing{method: http.MethodPost, url: at, body: []byte(form.Encode()), header: ask.Header})
	if err != nil || t.Wrong != "" {
		return got, err
	}
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if got.status != http.StatusOK {
		return got, fmt.Errorf("the token endpoint answered %d", got.status)
	}
	if err := json.Unmarshal(got.body, &token); err != nil || token.AccessToken == "" {
		return got, errors.New("the token endpoint answered without an access_token")
	}
	r.vars["accessToken"] = []string{token.AccessToken}
	return got, nil
}

// nameMember asks by the grant of RFC 7523 for a token for one member.
func (r *run) nameMember(form url.Values, member, endpoint string) error {
	who, missing := r.vars.fill(member, plain)
	if missing != "" {
		return lacks(missing)
	}
	text, err := r.key.assertion(r.vars["clientId"][0], who, endpoint, r.p.o.Unique(), r.p.o.Clock().Add(assertionLife))
	if err != nil {
		return err
	}
	form.Set("grant_type", grantBearer)
	form.Set("assertion", text)
	return nil
}

// authenticate puts the client's credentials into a token request: its assertion, its secret, or its id alone where the connection
// says who it is. wrong spoils them.
func (r *run) authenticate(ask *http.Request, form url.Values, endpoint, wrong string) error {
	id, secret := r.vars["clientId"][0], ""
	if s := r.vars["clientSecret"]; len(s) > 0 {
		secret = s[0]
	}
	if wrong == "secret" {
		secret += "x"
	}
	switch {
	case r.method == methodUDAP:
		return r.authenticateUDAP(form, id, endpoint)
	case r.method == methodJWT || r.method != methodTLS && secret == "":
		key, audience, life := r.key, endpoint, assertionLife
		var err error
		switch wrong {
		case "secret":
			key, err = newKey()
		case "audience":
			audience = "https://elsewhere.example/token"
		case "expired":
			life = -assertionLife
		}
		if err != nil {
			return err
		}
		text, err := key.assertion(id, id, audience, r.p.o.Unique(), r.p.o.Clock().Add(life))
		if err != nil {
			return err
		}
		form.Set("client_assertion_type", assertionType)
		form.Set("client_assertion", text)
	case r.method == methodTLS:
		form.Set("client_id", id)
	case r.method == methodPost:
		form.Set("client_id", id)
		form.Set("client_secret", secret)
	default:
		ask.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret)) // RFC 6749, section 2.3.1
	}
	return nil
}
