package directory

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"time"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
)

const mtlsArtifact = "x509-mtls-certificate"

// Grades of endorsement by a trust manager (P2P-DIR-30).
const (
	Endorsed       = "endorsed"
	SelfConsistent = "self-consistent"
	NotEndorsed    = "not-endorsed"
)

// Fingerprint is the SHA-256 of a certificate in lower-case hex.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// decodeBinary reads a certificate field leniently (P2P-DIR-24): base64 of DER, of PEM, or of base64 once more.
func decodeBinary(text string) ([]byte, error) {
	raw := []byte(text)
	for range 3 {
		switch {
		case len(raw) > 0 && raw[0] == 0x30:
			return raw, nil
		case bytes.HasPrefix(raw, []byte("-----BEGIN")):
			b, _ := pem.Decode(raw)
			if b == nil {
				return nil, errors.New("the PEM text is broken")
			}
			return b.Bytes, nil
		}
		plain := strings.Map(func(r rune) rune {
			if strings.ContainsRune(" \t\r\n", r) {
				return -1
			}
			return r
		}, string(raw))
		next, err := base64.StdEncoding.DecodeString(plain)
		if err != nil {
			return nil, errors.New("the value is no base64 of a certificate")
		}
		raw = next
	}
	if len(raw) > 0 && raw[0] == 0x30 {
		return raw, nil
	}
	return nil, errors.New("the value is neither DER nor PEM")
}

// Certificate decodes a certificate field.
func Certificate(text string) (*x509.Certificate, error) {
	der, err := decodeBinary(text)
	if err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, errors.New("the value is no X.509 certificate")
	}
	return c, nil
}

// publicKey decodes a field that holds a certificate or a bare public key.
func publicKey(text string) (crypto.PublicKey, error) {
	der, err := decodeBinary(text)
	if err != nil {
		return nil, err
	}
	if c, err := x509.ParseCertificate(der); err == nil {
		return c.PublicKey, nil
	}
	k, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errors.New("the value is neither a certificate nor a public key")
	}
	return k, nil
}

func sameKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// readCertificates takes the certificates out of the extensions.
func (c *checker) readCertificates(n *fhirjson.Node) {
	e := c.entry.Endpoint
	signed := extensions(n, signedObj)
	if len(signed) == 0 {
		c.report("dir-signed-object", n, finding{message: "The Endpoint has no signed object: there is no certificate to trust.", expected: "the extension " + signedObj + " with ObjectType and Object", found: "none", doNext: "Add it with the mutual-TLS certificate."})
	}
	for _, x := range signed {
		if t := part(x, "ObjectType"); t == nil || t.Member("valueCodeableConcept") == nil {
			c.report("dir-signed-object", or(t, x), finding{message: "The signed object does not say what it is.", expected: "ObjectType with the code MTLS", found: "none", doNext: "Add the part ObjectType.", requirement: "P2P-DIR-131"})
		}
		object := value(part(x, "Object"))
		if object == nil {
			c.report("dir-signed-object", x, finding{message: "The signed object is empty.", expected: "Object with valueBase64Binary", found: "none", doNext: "Add the part Object with the certificate.", requirement: "P2P-DIR-131"})
			continue
		}
		crt, err := Certificate(object.Text())
		if err != nil {
			c.report("dir-certificate", object, finding{message: "The signed object is no certificate: " + err.Error() + ".", expected: "base64 of an X.509 certificate in DER", found: short(object.Text()), doNext: "Put base64 of the DER certificate there."})
			continue
		}
		e.Certificates = append(e.Certificates, crt)
	}
	for _, x := range extensions(n, "base-ext-secureExchangeArtifacts") {
		c.readArtifact(x)
	}
	for _, x := range extensions(n, "base-ext-trustFramework") {
		c.endorse(x)
	}
}

func short(s string) string {
	if len(s) > 24 {
		return s[:24] + "…"
	}
	return inWords(s)
}

// readArtifact reads one secureExchangeArtifacts extension. Other kinds than mutual TLS are not ours.
func (c *checker) readArtifact(x *fhirjson.Node) {
	t := part(x, "secureExchangeArtifactsType").Member("valueCodeableConcept")
	legacy := t.MemberText("text") == "mtls Public Certificate" || partText(x, "secureExchangeArtifactsType") == "mtls Public Certificate"
	if concept(t).code != mtlsArtifact && !legacy {
		return
	}
	at := value(part(x, "certificate"))
	crt, err := Certificate(textOf(at))
	if err != nil {
		return // 0..1, and published examples have other things in it: the signed object decides
	}
	e := c.entry.Endpoint
	e.MTLS = append(e.MTLS, crt)
	if len(e.Certificates) > 0 && !slices.ContainsFunc(e.Certificates, crt.Equal) {
		c.report("dir-cert-differs", at, finding{message: "The mutual-TLS certificate is another one than the signed object; the signed object counts.", expected: Fingerprint(e.Certificates[0]), found: Fingerprint(crt), doNext: "Publish the same certificate in both places."})
	}
	if d := value(part(x, "expirationDate")); d != nil && !sameDay(d.Text(), crt.NotAfter) {
		c.report("dir-cert-expiration", d, finding{message: "expirationDate is not the day on which the certificate ends.", expected: crt.NotAfter.UTC().Format(time.RFC3339), found: inWords(d.Text()), doNext: "Copy the certificate's end."})
	}
}

func sameDay(s string, t time.Time) bool {
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		s = at.UTC().Format(time.DateOnly)
	}
	return s == t.UTC().Format(time.DateOnly)
}

// endorse grades one trust framework extension; the best grade of an entry counts.
func (c *checker) endorse(x *fhirjson.Node) {
	e := c.entry
	twin, err1 := Certificate(partText(x, "signedArtifact"))
	manager, err2 := publicKey(partText(x, "publicCertificate"))
	if err1 != nil || err2 != nil || !signedBy(twin, manager) || c.o.Now.Before(twin.NotBefore) || c.o.Now.After(twin.NotAfter) {
		return
	}
	if !slices.ContainsFunc(e.Endpoint.Certificates, func(crt *x509.Certificate) bool { return sameKey(crt.PublicKey, twin.PublicKey) }) {
		return
	}
	if e.Endorsement == NotEndorsed {
		e.Endorsement = SelfConsistent
	}
	if slices.ContainsFunc(c.o.TrustManagers, func(k crypto.PublicKey) bool { return sameKey(k, manager) }) {
		e.Endorsement = Endorsed
	}
}

// signedBy verifies a certificate's signature with a bare key.
func signedBy(crt *x509.Certificate, k crypto.PublicKey) bool {
	parent := &x509.Certificate{PublicKey: k, PublicKeyAlgorithm: algorithmOf(k)}
	return parent.CheckSignature(crt.SignatureAlgorithm, crt.RawTBSCertificate, crt.Signature) == nil
}

func algorithmOf(k crypto.PublicKey) x509.PublicKeyAlgorithm {
	switch k.(type) {
	case *rsa.PublicKey:
		return x509.RSA
	case *ecdsa.PublicKey:
		return x509.ECDSA
	case ed25519.PublicKey:
		return x509.Ed25519
	default:
		return x509.UnknownPublicKeyAlgorithm
	}
}

func (c *checker) checkCertificates(n *fhirjson.Node) {
	e := c.entry.Endpoint
	signed := extensions(n, signedObj)
	for _, crt := range e.Certificates {
		at := n
		for _, x := range signed {
			if object := value(part(x, "Object")); object != nil {
				if same, err := Certificate(object.Text()); err == nil && same.Equal(crt) {
					at = object
				}
			}
		}
		c.checkCertificate(crt, at)
	}
	if len(e.Certificates) == 0 || c.entry.Endorsement == Endorsed || c.entry.Endorsement == SelfConsistent && !c.o.Strict {
		return
	}
	f := finding{message: "No trust manager has endorsed the certificate.", expected: "trustFramework with signedArtifact and publicCertificate that fit the certificate", found: c.entry.Endorsement, doNext: "Have the trust manager sign the certificate and publish both parts."}
	if c.entry.Endorsement == SelfConsistent {
		f.message = "The certificate is endorsed, but by no trust manager that is known here."
	}
	if c.o.Strict {
		f.severity = validators.SeverityError
	}
	at := n
	if x := extensions(n, "base-ext-trustFramework"); len(x) > 0 {
		at = x[0]
	}
	c.report("dir-endorsement", at, f)
}

func (c *checker) checkCertificate(crt *x509.Certificate, at *fhirjson.Node) {
	if c.o.Now.Before(crt.NotBefore) || c.o.Now.After(crt.NotAfter) {
		c.report("dir-cert-dates", at, finding{message: "The certificate is not in date.", expected: "valid on " + c.o.Now.UTC().Format(time.DateOnly), found: crt.NotBefore.UTC().Format(time.DateOnly) + " to " + crt.NotAfter.UTC().Format(time.DateOnly), doNext: "Publish the renewed certificate."})
	}
	if bytes.Equal(crt.RawIssuer, crt.RawSubject) && signedBy(crt, crt.PublicKey) {
		c.report("dir-cert-self-signed", at, finding{message: "The certificate is self-signed.", expected: "a certificate from a CA", found: crt.Subject.String(), doNext: "Get the certificate from a CA that the partners trust."})
	}
	if crt.IsCA {
		return // the leaf that it issues is judged when it is presented
	}
	for _, want := range []struct {
		usage x509.ExtKeyUsage
		name  string
	}{{x509.ExtKeyUsageServerAuth, "serverAuth"}, {x509.ExtKeyUsageClientAuth, "clientAuth"}} {
		if len(crt.ExtKeyUsage) > 0 && !slices.Contains(crt.ExtKeyUsage, want.usage) && !slices.Contains(crt.ExtKeyUsage, x509.ExtKeyUsageAny) && len(c.entry.Endpoint.Certificates) == 1 {
			c.report("dir-cert-usage", at, finding{message: "The certificate is the entry's only one and is not for " + want.name + ".", expected: "extended key usage serverAuth and clientAuth", found: "no " + want.name, doNext: "Get a certificate for both, or publish one for each direction."})
		}
	}
	if h := host(c.entry.Endpoint.Address); h != "" && !namesHost(crt, h) {
		c.report("dir-cert-name", at, finding{message: "The certificate does not name the host of the address.", expected: h, found: inWords(strings.Join(names(crt), ", ")), doNext: "Get a certificate whose subject alternative names include the host, or correct the address."})
	}
	if len(crt.URIs) == 0 {
		c.report("dir-cert-uri", at, finding{message: "The certificate names its owner by DNS name only.", expected: "a URI among the subject alternative names", found: inWords(strings.Join(names(crt), ", ")), doNext: "Ask the CA for a URI name at the next renewal."})
	}
}

// names are the subject alternative names that a host can be compared with.
func names(crt *x509.Certificate) []string {
	out := slices.Clone(crt.DNSNames)
	for _, u := range crt.URIs {
		out = append(out, u.String())
	}
	return out
}

func namesHost(crt *x509.Certificate, h string) bool {
	if crt.VerifyHostname(h) == nil {
		return true
	}
	for _, u := range crt.URIs {
		if strings.EqualFold(u.Hostname(), h) {
			return true
		}
	}
	return false
}
