package localca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// The blocks of the folder's PEM files.
const (
	blockCertificate = "CERTIFICATE"
	blockKey         = "PRIVATE KEY"
	blockHosts       = "FHIRWIRE HOSTS" // one per line; begins an issuer
)

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func signFor(template, parent *x509.Certificate, public crypto.PublicKey, with crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, with)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// encodeKey gives PKCS #8. A P-256 key always encodes.
func encodeKey(key *ecdsa.PrivateKey) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: blockKey, Bytes: der})
}

func encodeCertificates(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: blockCertificate, Bytes: c.Raw})...)
	}
	return out
}

// readPair reads a key and the certificate behind it.
func readPair(path string) (*pair, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p, _, err := decodePair(src)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return p, nil
}

var errNoPair = errors.New("no key followed by its certificate")

func decodePair(src []byte) (*pair, []byte, error) {
	keyBlock, src := pem.Decode(src)
	if keyBlock == nil || keyBlock.Type != blockKey {
		return nil, nil, errNoPair
	}
	certBlock, src := pem.Decode(src)
	if certBlock == nil || certBlock.Type != blockCertificate {
		return nil, nil, errNoPair
	}
	parsed, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, nil, err
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, fmt.Errorf("a key of type %T is none of this CA's", parsed)
	}
	cert, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return nil, nil, err
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return nil, nil, errors.New("the key is not the certificate's")
	}
	return &pair{cert, key}, src, nil
}

// writeFile replaces path in one step.
func writeFile(path string, data []byte, mode os.FileMode) error {
	tmp, err := writeTemp(path, data, mode)
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return nil
}

// writeNew makes path with mode 0600 in one step; the error wraps fs.ErrExist when it is there.
func writeNew(path string, data []byte) error {
	tmp, err := writeTemp(path, data, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(os.Link(tmp, path), os.Remove(tmp))
}

func writeTemp(path string, data []byte, mode os.FileMode) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // 0600
	if err != nil {
		return "", err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if _, err = f.Write(data); err != nil {
		return "", err
	}
	if err = f.Chmod(mode); err != nil {
		return "", err
	}
	return f.Name(), f.Sync()
}
