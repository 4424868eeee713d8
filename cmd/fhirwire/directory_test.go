package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// issued is a certificate with its key.
type issued struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (i issued) base64() string { return base64.StdEncoding.EncodeToString(i.cert.Raw) }

// issue makes a certificate of a key; nil by makes a CA that signs itself.
func issue(t *testing.T, by *issued, key *ecdsa.PrivateKey, now time.Time) issued {
	t.Helper()
	if key == nil {
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "Test Authority"}, NotBefore: now.AddDate(0, 0, -1), NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true,
	}
	parent, signer := c, key
	if by != nil {
		c.IsCA, c.KeyUsage, c.Subject.CommonName, c.DNSNames = false, x509.KeyUsageDigitalSignature, "p2p.cedarmesa.example", []string{"p2p.cedarmesa.example"}
		c.URIs = []*url.URL{{Scheme: "https", Host: "p2p.cedarmesa.example", Path: "/"}}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return issued{cert, key}
}

const goodEntry = `{"resourceType":"Bundle","meta":{"profile":["http://hl7.org/fhir/us/davinci-pdex/StructureDefinition/mtls-bundle"]},"type":"collection","timestamp":"2026-02-03T09:00:00Z",
"signature":{"type":[{"system":"urn:iso-astm:E1762-95:2013","code":"1.2.840.10065.1.12.1.1"}],"when":"2026-02-03T09:00:00Z","who":{"reference":"Organization/cedarmesa"}},
"entry":[
{"fullUrl":"https://p2p.cedarmesa.example/fhir/Organization/cedarmesa","resource":{"resourceType":"Organization","id":"cedarmesa","active":true,"name":"Cedar Mesa Mutual",
 "identifier":[{"system":"http://hl7.org/fhir/sid/us-npi","value":"1000008429"}],"type":[{"coding":[{"system":"http://hl7.org/fhir/us/davinci-pdex/CodeSystem/OrgTypeCS","code":"payer"}]}],
 "telecom":[{"system":"url","value":"https://www.cedarmesa.example/support"}],"endpoint":[{"reference":"Endpoint/mtls"}]}},
{"fullUrl":"https://p2p.cedarmesa.example/fhir/Organization/relay","resource":{"resourceType":"Organization","id":"relay","active":true,"name":"Juniper Relay Hosting",
 "identifier":[{"system":"http://hl7.org/fhir/sid/us-npi","value":"1000009534"}],"type":[{"coding":[{"system":"http://hl7.org/fhir/us/davinci-pdex/CodeSystem/OrgTypeCS","code":"bus"}]}],
 "telecom":[{"system":"url","value":"https://www.relay.example/support"}]}},
{"fullUrl":"https://p2p.cedarmesa.example/fhir/Endpoint/mtls","resource":{"resourceType":"Endpoint","id":"mtls","status":"active","name":"Payer exchange",
 "extension":[
  {"url":"http://hl7.org/fhir/us/davinci-pdex/StructureDefinition/pdex-mtls-signedobject-extension","extension":[
   {"url":"ObjectType","valueCodeableConcept":{"coding":[{"system":"http://hl7.org/fhir/us/davinci-pdex/CodeSystem/MtlsObjectCodeCS","code":"MTLS"}]}},{"url":"Object","valueBase64Binary":"LEAF"}]},
  {"url":"http://hl7.org/fhir/us/davinci-pdex/StructureDefinition/base-ext-trustFramework","extension":[
   {"url":"trustFrameworkType","valueCodeableConcept":{"coding":[{"system":"http://hl7.org/fhir/us/davinci-pdex/CodeSystem/TrustFrameworkTypeCS","code":"PayerToPayer"}]}},
   {"url":"signedArtifact","valueBase64Binary":"TWIN"},{"url":"publicCertificate","valueBase64Binary":"MANAGER"}]}],
 "identifier":[{"system":"https://www.cedarmesa.example/endpoints","value":"1"}],"connectionType":{"system":"http://terminology.hl7.org/CodeSystem/endpoint-connection-type","code":"hl7-fhir-rest"},
 "managingOrganization":{"reference":"Organization/relay"},"payloadType":[{"coding":[{"system":"http://hl7.org/fhir/us/davinci-pdex/CodeSystem/EndpointPayloadTypeCS","code":"NA"}]}],
 "address":"https://p2p.cedarmesa.example/gateway"}}]}`

// TestDirectoryCheckGood: an entry without errors is exit 0, whose endorsement --trust-manager decides.
func TestDirectoryCheckGood(t *testing.T) {
	now := time.Date(2026, 2, 17, 8, 0, 0, 0, time.UTC)
	ca, manager := issue(t, nil, nil, now), issue(t, nil, nil, now)
	leaf := issue(t, &ca, nil, now)
	twin := issue(t, &manager, leaf.key, now)
	dir := t.TempDir()
	entry := strings.NewReplacer("LEAF", leaf.base64(), "TWIN", twin.base64(), "MANAGER", manager.base64()).Replace(goodEntry)
	keys := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: manager.cert.Raw})
	for name, src := range map[string]string{"good.json": entry, "manager.pem": string(keys)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		endorsement string
		flags       []string
	}{{"self-consistent", nil}, {"endorsed", []string{"--trust-manager", filepath.Join(dir, "manager.pem")}}} {
		var stdout, stderr bytes.Buffer
		p := &process{stdout: &stdout, stderr: &stderr, now: func() time.Time { return now }, getenv: func(string) string { return "" }}
		code, err := runDirectory(t.Context(), p, append([]string{"check", "--format", "ndjson", dir}, c.flags...))
		if err != nil || code != exitFine {
			t.Fatalf("%d %v %s", code, err, stdout.String())
		}
		var line entryLine
		if err := json.Unmarshal(stdout.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if !line.Valid || line.Endorsement != c.endorsement || line.NPI != "1000008429" || line.Operator != "Juniper Relay Hosting" ||
			line.Address != "https://p2p.cedarmesa.example/gateway" || len(line.Certificates) != 1 {
			t.Errorf("%+v", line)
		}
	}
}
