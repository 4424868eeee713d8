package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/acme"
)

// externalAccount is what ties the ACME account to one that its owner has with the authority already (RFC 8555 7.3.4); nil without.
func (c *config) externalAccount() (*acme.ExternalAccountBinding, error) {
	if c.ACMEEABKid == "" {
		return nil, nil //nolint:nilnil // none is wanted
	}
	src, err := readBounded(c.ACMEEABKeyFile)
	if err != nil {
		return nil, fmt.Errorf("acme-eab-key-file: %w", err)
	}
	// Authorities give it in base64url, some with padding, some in the other alphabet. Errors of the decoder would quote the key.
	text := strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(strings.TrimSpace(string(src)), "="))
	key, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(key) == 0 {
		return nil, errors.New("acme-eab-key-file: this is no key in base64url, as the authority gives it")
	}
	return &acme.ExternalAccountBinding{KID: c.ACMEEABKid, Key: key}, nil
}

// checkExternalAccount reports what cannot work.
func (c *config) checkExternalAccount() error {
	switch {
	case (c.ACMEEABKid == "") != (c.ACMEEABKeyFile == ""):
		return errors.New("acme-eab-kid: give acme-eab-kid and acme-eab-key-file together")
	case c.ACMEEABKid == "":
		return nil
	case c.ACMEHosts == "":
		return errors.New("acme-hosts: which names certificates are to be got for is missing")
	}
	_, err := c.externalAccount()
	return err
}
