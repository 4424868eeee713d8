package play

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// statementLife is how long a software statement lasts; UDAP allows five minutes.
	statementLife = 4 * time.Minute
	// purposeOfUse is that of payers who exchange for healthcare payment (HL7 v3 ActReason).
	purposeOfUse = "urn:oid:2.16.840.1.113883.5.8#HPAYMT"
	// contact is where the runner can be reached, which is nowhere: it is a program.
	contact = "mailto:nobody@fhirwire.example"
)

// community is the client's certificate as UDAP uses it: the URI that it names the client by, the key, and the chain for x5c.
type community struct {
	uri string
	key *Key
	x5c []string
}

func (r *run) community() (*community, error) {
	cert := r.p.o.Certificate
	if cert == nil || len(cert.Certificate) == 0 {
		return nil, &skipError{"UDAP needs a client certificate, and there is none"}
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("client certificate: %w", err)
	}
	if len(leaf.URIs) == 0 {
		return nil, &skipError{"UDAP needs a client certificate with a URI, and that of " + leaf.Subject.String() + " has none"}
	}
	c := &community{uri: leaf.URIs[0].String()}
	if c.key, err = finishKey(jose.JSONWebKey{Key: cert.PrivateKey}); err != nil {
		return nil, err
	}
	for _, der := range cert.Certificate {
		c.x5c = append(c.x5c, base64.StdEncoding.EncodeToString(der))
	}
	return c, nil
}

// statement makes a UDAP registration of a plain one: its members go into a software statement for the endpoint.
func (r *run) statement(members []byte, endpoint string) ([]byte, error) {
	c, err := r.community()
	if err != nil {
		return nil, err
	}
	claims := map[string]any{}
	if err := json.Unmarshal(members, &claims); err != nil {
		return nil, fmt.Errorf("registration: %w", err)
	}
	now := r.p.o.Clock()
	claims["iss"], claims["sub"], claims["aud"] = c.uri, c.uri, endpoint
	claims["iat"], claims["exp"], claims["jti"] = now.Unix(), now.Add(statementLife).Unix(), r.p.o.Unique()
	text, err := c.key.sign(claims, c.x5c)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{"software_statement": text, "certifications": []string{}, "udap": "1"})
}

// authenticateUDAP signs the assertion by the certificate, and says for whom and why data is asked for.
func (r *run) authenticateUDAP(form url.Values, client, endpoint string) error {
	c, err := r.community()
	if err != nil {
		return err
	}
	now := r.p.o.Clock()
	text, err := c.key.sign(map[string]any{
		"iss": client, "sub": client, "aud": endpoint, "iat": now.Unix(), "exp": now.Add(assertionLife).Unix(), "jti": r.p.o.Unique(),
		"extensions": map[string]any{"hl7-b2b": map[string]any{
			"version": "1", "organization_id": c.uri, "organization_name": "fhirwire", "purpose_of_use": []string{purposeOfUse},
		}},
	}, c.x5c)
	if err != nil {
		return err
	}
	form.Set("client_assertion_type", assertionType)
	form.Set("client_assertion", text)
	form.Set("udap", "1")
	return nil
}
