package directory

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Payer is what a payer publishes of itself.
type Payer struct {
	// ID is the id of its resources, "cedarmesa".
	ID, NPI, Name string
	// Support is the URL of its member support; Operator who runs the endpoint.
	Support, Operator string
	// Address is the mTLS URL. FHIRBase and Registration are servers behind it; each may be empty.
	Address, FHIRBase, Registration string
	// Certificates are those that it connects with, as server and as client (P2P-DIR-46); their leaves are published.
	Certificates []*tls.Certificate
	// Signer signs the Bundle; its chain goes into the signature.
	Signer *tls.Certificate
}

type (
	object = map[string]any
	array  = []any
)

const (
	structures = "http://hl7.org/fhir/us/davinci-pdex/StructureDefinition/"
	codes      = "http://hl7.org/fhir/us/davinci-pdex/CodeSystem/"
)

func coded(system, code string) object {
	return object{"coding": array{object{"system": codes + system, "code": code}}}
}

func part(name, value string, v any) object { return object{"url": name, value: v} }

func extension(name string, parts ...any) object {
	return object{"url": structures + name, "extension": parts}
}

// Publish makes a payer's Bundle of the mtls-bundle profile of PDex 2.0: an Endpoint, the plan's and the operator's Organization,
// signed by a detached JWS over the canonical form (P2P-DIR-12).
func Publish(p Payer, now time.Time) ([]byte, error) {
	when := now.UTC().Format(time.RFC3339)
	var objects, artifacts array
	for _, c := range p.Certificates {
		leaf, err := x509.ParseCertificate(c.Certificate[0])
		if err != nil {
			return nil, fmt.Errorf("directory entry %s: %w", p.ID, err)
		}
		der := base64.StdEncoding.EncodeToString(leaf.Raw)
		objects = append(objects, extension("pdex-mtls-signedobject-extension",
			part("ObjectType", "valueCodeableConcept", coded("MtlsObjectCodeCS", "MTLS")), part("Object", "valueBase64Binary", der)))
		artifacts = append(artifacts, extension("base-ext-secureExchangeArtifacts", part("secureExchangeArtifactsType", "valueCodeableConcept", coded("NdhSecureExchangeArtifactsCS", "x509-mtls-certificate")),
			part("certificate", "valueBase64Binary", der), part("expirationDate", "valueDateTime", leaf.NotAfter.UTC().Format(time.RFC3339))))
	}
	extensions := append(objects, artifacts...)
	if p.Registration != "" { // P2P-DIR-21
		extensions = append(extensions, extension("base-ext-associatedServers",
			part("associatedServersType", "valueCodeableConcept", coded("NdhAssociatedServersTypeCS", "authorization-registration-server")), part("serverURL", "valueString", p.Registration)))
	}
	if p.FHIRBase != "" {
		extensions = append(extensions, extension("base-ext-associatedServers",
			part("associatedServersType", "valueCodeableConcept", object{"text": "PDex FHIR base"}), part("serverURL", "valueString", p.FHIRBase)))
	}
	endpoint := object{
		"resourceType": "Endpoint", "id": p.ID + "-mtls", "status": "active", "name": "Payer-Payer Exchange", "extension": extensions,
		"identifier":           array{object{"system": p.Support + "/endpoints", "value": p.ID}},
		"connectionType":       object{"system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type", "code": "hl7-fhir-rest"},
		"managingOrganization": object{"reference": "Organization/" + p.ID + "-operator"}, "payloadType": array{coded("EndpointPayloadTypeCS", "NA")},
		"payloadMimeType": array{"application/fhir+json"}, "address": p.Address,
	}
	plan := p.organization(p.ID, p.Name, "payer")
	plan["identifier"] = array{object{"system": "http://hl7.org/fhir/sid/us-npi", "value": p.NPI}}
	plan["endpoint"] = array{object{"reference": "Endpoint/" + p.ID + "-mtls"}}
	operator := p.organization(p.ID+"-operator", p.Operator, "bus")
	operator["identifier"] = array{object{"system": p.Support + "/operators", "value": p.ID + "-operator"}}
	entries := array{}
	for _, r := range []object{plan, operator, endpoint} {
		entries = append(entries, object{"fullUrl": p.Support + "/" + r["resourceType"].(string) + "/" + r["id"].(string), "resource": r})
	}
	bundle := object{"resourceType": "Bundle", "meta": object{"profile": array{structures + "mtls-bundle"}}, "type": "collection", "timestamp": when, "entry": entries}
	payload, err := canonical(bundle)
	if err != nil {
		return nil, fmt.Errorf("directory entry %s: %w", p.ID, err)
	}
	jws, err := detached(p.Signer, payload)
	if err != nil {
		return nil, fmt.Errorf("directory entry %s: sign: %w", p.ID, err)
	}
	bundle["signature"] = object{
		"type": array{object{"system": "urn:iso-astm:E1762-95:2013", "code": "1.2.840.10065.1.12.1.1"}}, "when": when,
		"who": object{"reference": "Organization/" + p.ID}, "sigFormat": "application/jose", "data": base64.StdEncoding.EncodeToString([]byte(jws)),
	}
	return canonical(bundle)
}

func (p *Payer) organization(id, name, typ string) object {
	return object{
		"resourceType": "Organization", "id": id, "active": true, "name": name, "type": array{coded("OrgTypeCS", typ)},
		"telecom": array{object{"system": "url", "value": p.Support}},
	}
}

// canonical is the form of RFC 8785 as far as such Bundles need it: names in order, no numbers, nothing escaped but what has to be.
func canonical(v object) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// detached is a compact JWS without its payload, with the signer's chain in x5c.
func detached(by *tls.Certificate, payload []byte) (string, error) {
	alg := jose.ES256
	switch k := by.PrivateKey.(type) {
	case *rsa.PrivateKey:
		alg = jose.RS384
	case *ecdsa.PrivateKey:
		if k.Params().BitSize == 384 {
			alg = jose.ES384
		}
	default:
		return "", errors.New("the signer's key is neither RSA nor elliptic")
	}
	chain := make([]string, len(by.Certificate))
	for i, der := range by.Certificate {
		chain[i] = base64.StdEncoding.EncodeToString(der)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: by.PrivateKey}, (&jose.SignerOptions{}).WithHeader("x5c", chain))
	if err != nil {
		return "", err
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return jws.DetachedCompactSerialize()
}
