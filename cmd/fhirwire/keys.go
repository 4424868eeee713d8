package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"fhirwire/proxy"
)

const keyBytes = 32

// fingerprintKey reads the key that fingerprints of secrets are made with, and makes it on first use.
func fingerprintKey(dataDir string) (proxy.FingerprintKey, error) {
	path := filepath.Join(dataDir, "keys", "fingerprint.key")
	key, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if key, err = newKey(path); err != nil {
			return proxy.FingerprintKey{}, fmt.Errorf("fingerprint key: %w", err)
		}
	case err != nil:
		return proxy.FingerprintKey{}, fmt.Errorf("fingerprint key: %w", err)
	case len(key) != keyBytes:
		return proxy.FingerprintKey{}, fmt.Errorf("fingerprint key %s: has %d bytes, want %d; with another key, stored fingerprints no longer match", path, len(key), keyBytes)
	}
	return proxy.NewFingerprintKey(key), nil
}

func newKey(path string) ([]byte, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	key := make([]byte, keyBytes)
	_, _ = rand.Read(key) // never fails, by its contract
	if err := os.WriteFile(path, key, 0o600); err != nil {
		return nil, err
	}
	return key, nil
}
