package proxy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"strings"
	"time"
)

// Fingerprint stands for a secret that was seen and not kept: "hmac:" and 16 hexadecimal digits. Equal secrets have equal
// fingerprints under one key, so tokens can be followed through exchanges.
type Fingerprint string

// FingerprintKey makes fingerprints. It is itself a secret and prints as nothing.
type FingerprintKey struct{ key []byte }

// NewFingerprintKey wraps key, which should have 32 random bytes.
func NewFingerprintKey(key []byte) FingerprintKey {
	return FingerprintKey{key: append([]byte(nil), key...)}
}

// Of is the fingerprint of secret.
func (k FingerprintKey) Of(secret string) Fingerprint {
	m := hmac.New(sha256.New, k.key)
	m.Write([]byte(secret))
	return Fingerprint("hmac:" + hex.EncodeToString(m.Sum(nil)[:8]))
}

// String hides the key.
func (FingerprintKey) String() string { return "FingerprintKey" }

// GoString hides the key.
func (FingerprintKey) GoString() string { return "FingerprintKey" }

// LogValue hides the key.
func (FingerprintKey) LogValue() slog.Value { return slog.StringValue("FingerprintKey") }

// MarshalText hides the key.
func (FingerprintKey) MarshalText() ([]byte, error) { return []byte("FingerprintKey"), nil }

// Claims are what is kept in clear of a JWT that was replaced by its fingerprint. Absent times are zero.
type Claims struct {
	Alg, Kid, Issuer, Subject, ClientID, Scope string

	Audience                     []string
	Issued, NotBefore, ExpiresAt time.Time
	// ID is the fingerprint of the token's jti.
	ID Fingerprint
	// Certificate is the thumbprint of the certificate that the token is bound to (cnf x5t#S256, RFC 8705).
	Certificate string
}

// ReadMasked reads what stands in the record in place of a secret: its fingerprint, and of a JWT the claims that were kept. false
// when s is no such text.
func ReadMasked(s string) (Fingerprint, *Claims, bool) {
	first, rest, _ := strings.Cut(s, " ")
	if len(first) != len("hmac:")+16 || !strings.HasPrefix(first, "hmac:") {
		return "", nil, false
	}
	text, ok := strings.CutPrefix(rest, "jwt")
	if !ok {
		return Fingerprint(first), nil, true
	}
	var raw struct {
		Alg, Kid, Iss, Sub, Jti any
		ClientID                any `json:"client_id"`
		Aud, Scope              any
		Iat, Nbf, Exp           any
		Cnf                     struct {
			Thumbprint string `json:"x5t#S256"`
		}
	}
	if json.Unmarshal([]byte(text), &raw) != nil {
		return Fingerprint(first), nil, true
	}
	word := func(v any) string { return strings.Join(words(v), " ") }
	return Fingerprint(first), &Claims{
		Alg: word(raw.Alg), Kid: word(raw.Kid), Issuer: word(raw.Iss), Subject: word(raw.Sub), ClientID: word(raw.ClientID), Scope: word(raw.Scope),
		Audience: words(raw.Aud), Issued: numericDate(raw.Iat), NotBefore: numericDate(raw.Nbf), ExpiresAt: numericDate(raw.Exp), ID: Fingerprint(word(raw.Jti)),
		Certificate: raw.Cnf.Thumbprint,
	}, true
}

// words are a claim that is a string or a list of them.
func words(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, e := range v {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// numericDate reads a claim of time (RFC 7519 section 2); one past any sense is none.
func numericDate(v any) time.Time {
	f, ok := v.(float64)
	if !ok || f <= 0 || f > 253402300799 { // the year 9999
		return time.Time{}
	}
	return time.Unix(int64(f), 0).UTC()
}
