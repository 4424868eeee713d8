package directory

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"fhirwire/validators/fhirjson"
)

type (
	object = map[string]any
	array  = []any
)

var now = time.Date(2026, 2, 17, 8, 0, 0, 0, time.UTC)

// signer is a certificate with its key.
type signer struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// issueBy makes a certificate; nil ca makes it sign itself.
func issueBy(t testing.TB, ca *signer, key *ecdsa.PrivateKey, change func(*x509.Certificate)) *signer {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "p2p.cedarmesa.example"}, NotBefore: now.AddDate(0, -1, 0), NotAfter: now.AddDate(1, 0, 0),
		DNSNames: []string{"p2p.cedarmesa.example"}, URIs: []*url.URL{{Scheme: "https", Host: "p2p.cedarmesa.example", Path: "/"}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}
	if change != nil {
		change(c)
	}
	parent, by := c, key
	if ca != nil {
		parent, by = ca.Certificate, ca.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{out, key}
}

// world has the certificates of one good entry.
type world struct {
	t                        testing.TB
	root, ca, leaf, twin, tm *signer
}

func newWorld(t testing.TB) *world {
	t.Helper()
	authority := func(name string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.Subject = pkix.Name{CommonName: name}
			c.IsCA, c.KeyUsage, c.DNSNames, c.URIs, c.ExtKeyUsage = true, x509.KeyUsageCertSign, nil, nil, nil
		}
	}
	w := &world{t: t}
	w.root = issueBy(t, nil, newKey(t), authority("Test Root"))
	w.ca = issueBy(t, w.root, newKey(t), authority("Test Issuing CA"))
	w.tm = issueBy(t, w.root, newKey(t), authority("Test Trust Manager"))
	w.leaf = issueBy(t, w.ca, newKey(t), nil)
	w.twin = issueBy(t, w.tm, w.leaf.key, nil)
	return w
}

func b64(c *signer) string { return base64.StdEncoding.EncodeToString(c.Raw) }

func coding(system, code string) object {
	return object{"coding": array{object{"system": "http://hl7.org/fhir/us/davinci-pdex/CodeSystem/" + system, "code": code}}}
}

func ext(name string, parts ...any) object {
	return object{"url": profiles + name, "extension": parts}
}

func sub(name, value string, v any) object { return object{"url": name, value: v} }

// bundle is a good entry, not signed.
func (w *world) bundle() object {
	org := func(id, npi, name, typ string, endpoint bool) object {
		o := object{
			"resourceType": "Organization", "id": id, "active": true, "name": name, "identifier": array{object{"system": npiSystem, "value": npi}},
			"type": array{coding("OrgTypeCS", typ)}, "telecom": array{object{"system": "url", "value": "https://www." + id + ".example/support"}},
		}
		if endpoint {
			o["endpoint"] = array{object{"reference": "Endpoint/cedarmesa-mtls"}}
		}
		return o
	}
	endpoint := object{
		"resourceType": "Endpoint", "id": "cedarmesa-mtls", "status": "active", "name": "Payer-Payer Exchange",
		"extension": array{
			ext(signedObj, sub("ObjectType", "valueCodeableConcept", coding("MtlsObjectCodeCS", "MTLS")), sub("Object", "valueBase64Binary", b64(w.leaf))),
			ext("base-ext-trustFramework", sub("trustFrameworkType", "valueCodeableConcept", coding("TrustFrameworkTypeCS", "PayerToPayer")),
				sub("signedArtifact", "valueBase64Binary", b64(w.twin)), sub("publicCertificate", "valueBase64Binary", b64(w.tm))),
			ext("base-ext-secureExchangeArtifacts", sub("secureExchangeArtifactsType", "valueCodeableConcept", coding("NdhSecureExchangeArtifactsCS", mtlsArtifact)),
				sub("certificate", "valueBase64Binary", b64(w.leaf)), sub("expirationDate", "valueDateTime", w.leaf.NotAfter.Format(time.RFC3339))),
			ext("base-ext-associatedServers", sub("associatedServersType", "valueCodeableConcept", coding("NdhAssociatedServersTypeCS", "authorization-registration-server")),
				sub("serverURL", "valueString", "https://p2p.cedarmesa.example/oauth/register")),
			ext("base-ext-associatedServers", sub("associatedServersType", "valueCodeableConcept", object{"text": fhirBaseText}), sub("serverURL", "valueString", "https://p2p.cedarmesa.example/fhir")),
			object{"url": profiles + "base-ext-endpoint-rank", "valuePositiveInt": 1},
			object{"url": profiles + "base-ext-verification-status", "valueCodeableConcept": coding("NdhVerificationStatusCS", "complete")},
		},
		"identifier":           array{object{"system": "https://www.cedarmesa.example/endpoints", "value": "cedarmesa-p2p-1"}},
		"connectionType":       object{"system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type", "code": "hl7-fhir-rest"},
		"managingOrganization": object{"reference": "Organization/juniper-relay"}, "payloadType": array{coding("EndpointPayloadTypeCS", "NA")},
		"payloadMimeType": array{"application/fhir+json"}, "address": "https://p2p.cedarmesa.example/gateway",
	}
	entry := func(r object) object {
		return object{"fullUrl": "https://p2p.cedarmesa.example/fhir/" + r["resourceType"].(string) + "/" + r["id"].(string), "resource": r}
	}
	return object{
		"resourceType": "Bundle", "meta": object{"profile": array{bundleType}}, "type": "collection", "timestamp": "2026-02-03T09:00:00Z",
		"entry": array{entry(org("cedarmesa", "1000008429", "Cedar Mesa Mutual", "payer", true)), entry(org("juniper-relay", "1000009534", "Juniper Relay Hosting", "bus", false)), entry(endpoint)},
	}
}

func parse(t testing.TB, v any) *fhirjson.Document {
	t.Helper()
	raw, ok := v.(string)
	if !ok {
		b, err := json.MarshalIndent(v, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		raw = string(b)
	}
	return fhirjson.Parse([]byte(raw))
}

// signBundle puts a detached JWS over the Bundle into it.
func (w *world) signBundle(b object) object {
	w.t.Helper()
	delete(b, "signature")
	payload, err := Canonical(parse(w.t, b).Root(), "signature")
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: crypto.PrivateKey(w.leaf.key)}, &jose.SignerOptions{
		ExtraHeaders: map[jose.HeaderKey]any{"x5c": []string{b64(w.leaf), b64(w.ca)}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	jws, err := s.Sign(payload)
	if err != nil {
		w.t.Fatal(err)
	}
	detached, err := jws.DetachedCompactSerialize()
	if err != nil {
		w.t.Fatal(err)
	}
	b["signature"] = object{
		"type": array{object{"system": "urn:iso-astm:E1762-95:2013", "code": "1.2.840.10065.1.12.1.1"}}, "when": "2026-02-03T09:00:00Z",
		"who": object{"reference": "Organization/cedarmesa"}, "sigFormat": "application/jose", "data": base64.StdEncoding.EncodeToString([]byte(detached)),
	}
	return b
}

// resource is the nth resource of a Bundle: 0 the plan, 1 the operator, 2 the Endpoint.
func resource(b object, n int) object { return b["entry"].(array)[n].(object)["resource"].(object) }

// extension is the nth extension of the Endpoint; its parts are changed by set.
func extension(b object, n int) object { return resource(b, 2)["extension"].(array)[n].(object) }

func set(x object, part, value string, v any) {
	for _, p := range x["extension"].(array) {
		if p := p.(object); p["url"] == part {
			for k := range p {
				if k != "url" {
					delete(p, k)
				}
			}
			p[value] = v
		}
	}
}

func (w *world) options() Options {
	roots := x509.NewCertPool()
	roots.AddCert(w.root.Certificate)
	return Options{Now: now, TrustManagers: []crypto.PublicKey{w.tm.PublicKey}, Roots: roots}
}

func found(e *Entry) []string {
	var out []string
	for _, i := range e.Issues {
		out = append(out, i.MessageID+" "+i.Expression)
	}
	return slices.Compact(out)
}
