package proxy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
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
