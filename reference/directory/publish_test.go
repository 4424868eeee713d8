package directory

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

var now = time.Date(2026, 2, 17, 8, 0, 0, 0, time.UTC)

func selfSigned(t *testing.T, key crypto.Signer) *tls.Certificate {
	t.Helper()
	c := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "p2p.cedarmesa.example"}, NotBefore: now.AddDate(0, -1, 0), NotAfter: now.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func newKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestPublish: what is signed is the canonical form without the signature; that the entry is complete is for validators/directory, over
// which the runner's tests put it.
func TestPublish(t *testing.T) { // P2P-DIR-12
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	leaf := selfSigned(t, newKey(t, elliptic.P256()))
	for _, key := range []crypto.Signer{newKey(t, elliptic.P256()), newKey(t, elliptic.P384()), rsaKey} {
		signer := selfSigned(t, key)
		src, err := Publish(Payer{
			ID: "cedarmesa", NPI: "1000008429", Name: "Cedar Mesa & Mutual", Support: "https://www.cedarmesa.example", Operator: "Relay", Address: "https://p2p.cedarmesa.example",
			FHIRBase: "https://p2p.cedarmesa.example/fhir", Registration: "https://p2p.cedarmesa.example/oauth/register", Certificates: []*tls.Certificate{leaf}, Signer: signer,
		}, now)
		if err != nil {
			t.Fatal(err)
		}
		var bundle map[string]any
		if err := json.Unmarshal(src, &bundle); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`"name":"Cedar Mesa & Mutual"`, `"address":"https://p2p.cedarmesa.example"`, `"value":"1000008429"`, base64.StdEncoding.EncodeToString(leaf.Certificate[0])} {
			if !bytes.Contains(src, []byte(want)) {
				t.Errorf("lacks %s", want)
			}
		}
		data, err := base64.StdEncoding.DecodeString(bundle["signature"].(map[string]any)["data"].(string))
		if err != nil {
			t.Fatal(err)
		}
		delete(bundle, "signature")
		payload, err := canonical(bundle)
		if err != nil {
			t.Fatal(err)
		}
		jws, err := jose.ParseDetached(string(data), payload, []jose.SignatureAlgorithm{jose.ES256, jose.ES384, jose.RS384})
		if err != nil {
			t.Fatal(err)
		}
		if err := jws.DetachedVerify(payload, key.Public()); err != nil {
			t.Errorf("%T: %v", key, err)
		}
		if err := jws.DetachedVerify(append(payload, ' '), key.Public()); err == nil {
			t.Errorf("%T: what was changed verifies", key)
		}
	}
	if _, err := Publish(Payer{ID: "x", Certificates: []*tls.Certificate{leaf}, Signer: &tls.Certificate{Certificate: leaf.Certificate, PrivateKey: "none"}}, now); err == nil {
		t.Error("a key of no kind signs")
	}
}
