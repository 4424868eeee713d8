package directory

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/go-jose/go-jose/v4"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
)

// checkSignature is P2P-DIR-103 and P2P-DIR-11. What published examples have is a certificate in the place of a signature; ours is
// a detached JWS over the Bundle without its signature, in the canonical form of RFC 8785, with the signing chain in x5c.
func (c *checker) checkSignature() {
	s := c.bundle.Member("signature")
	if s == nil {
		c.report("dir-signature", c.bundle, finding{message: "The Bundle is not signed.", expected: "Bundle.signature with type, when and who", found: "none", doNext: "Sign the Bundle."})
		return
	}
	var missing []string
	if len(list(s, "type")) == 0 {
		missing = append(missing, "type")
	}
	if !instant(s.MemberText("when")) {
		missing = append(missing, "when")
	}
	if s.Member("who") == nil {
		missing = append(missing, "who")
	}
	if len(missing) > 0 {
		c.report("dir-signature", s, finding{message: "The signature lacks " + strings.Join(missing, ", ") + ".", expected: "type, when and who", found: "without " + strings.Join(missing, ", "), doNext: "Complete Bundle.signature."})
	}
	data := s.Member("data")
	if textOf(data) == "" {
		f := finding{message: "The signature has no data: nothing shows who published the Bundle.", expected: "a detached JWS, base64-encoded", found: "none", doNext: "Sign the Bundle and put the signature into Bundle.signature.data with sigFormat application/jose."}
		if c.o.Strict {
			f.severity = validators.SeverityError
		}
		c.report("dir-signature-data", s, f)
		return
	}
	if crt, err := Certificate(data.Text()); err == nil {
		c.signatureIsCertificate(crt, data)
		return
	}
	if f := s.MemberText("sigFormat"); f != "application/jose" {
		c.report("dir-signature-unknown", s, finding{message: "The signature is of a kind that is not verified here.", expected: "application/jose", found: inWords(f), doNext: "Use a detached JWS with sigFormat application/jose."})
		return
	}
	if err := c.verify(data.Text()); err != nil {
		c.report("dir-signature-invalid", data, finding{message: "The signature does not verify: " + err.Error() + ".", expected: "a detached JWS over the Bundle without signature (RFC 8785)", found: short(data.Text()), doNext: "Sign the Bundle again after the last change."})
	}
}

func (c *checker) signatureIsCertificate(crt *x509.Certificate, at *fhirjson.Node) {
	f := finding{message: "The signature is a certificate; it says who the publisher is and proves nothing.", expected: "a detached JWS", found: "the certificate of " + crt.Subject.String(), doNext: "Sign the Bundle with the key of that certificate, with sigFormat application/jose."}
	if c.o.Now.Before(crt.NotBefore) || c.o.Now.After(crt.NotAfter) {
		f.message = "The signature is a certificate, and one that is not in date."
	} else if c.o.Roots != nil && c.chains([]*x509.Certificate{crt}) != nil {
		f.message = "The signature is a certificate, and no known CA has issued it."
	}
	c.report("dir-signature-certificate", at, f)
}

func (c *checker) chains(chain []*x509.Certificate) error {
	between := x509.NewCertPool()
	for _, crt := range chain[1:] {
		between.AddCert(crt)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: c.o.Roots, Intermediates: between, CurrentTime: c.o.Now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err
}

func (c *checker) verify(data string) error {
	raw, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return errors.New("the data is not base64")
	}
	head, _, _ := strings.Cut(string(raw), ".")
	text, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		return errors.New("the data is no compact JWS")
	}
	var header struct {
		X5C []string `json:"x5c"`
	}
	if json.Unmarshal(text, &header) != nil || len(header.X5C) == 0 {
		return errors.New("its header has no x5c")
	}
	chain := make([]*x509.Certificate, len(header.X5C))
	for i, b64 := range header.X5C {
		if chain[i], err = Certificate(b64); err != nil {
			return errors.New("x5c has something that is no certificate")
		}
	}
	if c.o.Now.Before(chain[0].NotBefore) || c.o.Now.After(chain[0].NotAfter) {
		return errors.New("the signer's certificate is not in date")
	}
	if c.o.Roots != nil && c.chains(chain) != nil {
		return errors.New("no known CA has issued the signer's certificate")
	}
	payload, err := Canonical(c.bundle, "signature")
	if err != nil {
		return err
	}
	jws, err := jose.ParseDetached(string(raw), payload, []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.ES256, jose.ES384})
	if err != nil {
		return errors.New("the data is no detached JWS with RS256, RS384, ES256 or ES384")
	}
	if jws.DetachedVerify(payload, chain[0].PublicKey) != nil {
		return errors.New("the Bundle was changed after it was signed, or another key signed it")
	}
	return nil
}

// Canonical writes a JSON object in the canonical form of RFC 8785, leaving out the named top-level members: what a Bundle's
// signature is made over.
func Canonical(n *fhirjson.Node, without ...string) ([]byte, error) {
	return appendCanonical(nil, n, without)
}

func appendCanonical(dst []byte, n *fhirjson.Node, without []string) ([]byte, error) {
	var err error
	switch n.Kind() {
	case fhirjson.Object:
		var members []*fhirjson.Node
		for c := n.First(); c != nil; c = c.Next() {
			if !slices.Contains(without, c.Key()) {
				members = append(members, c)
			}
		}
		slices.SortStableFunc(members, func(a, b *fhirjson.Node) int {
			return slices.Compare(utf16.Encode([]rune(a.Key())), utf16.Encode([]rune(b.Key())))
		})
		dst = append(dst, '{')
		for i, c := range members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, c.Key()), ':')
			if dst, err = appendCanonical(dst, c, nil); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	case fhirjson.Array:
		dst = append(dst, '[')
		for c := n.First(); c != nil; c = c.Next() {
			if c != n.First() {
				dst = append(dst, ',')
			}
			if dst, err = appendCanonical(dst, c, nil); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case fhirjson.String:
		return appendString(dst, n.Text()), nil
	case fhirjson.Number:
		f, err := strconv.ParseFloat(n.Text(), 64)
		if err != nil {
			return nil, errors.New("a number is beyond what the canonical form can write")
		}
		if f == 0 {
			f = 0 // not -0
		}
		b, err := json.Marshal(f) // as ECMAScript writes numbers
		return append(dst, b...), err
	default: // true, false, null
		return append(dst, n.Raw()...), nil
	}
}

// appendString quotes as RFC 8785 section 3.2.2.2: only quotes, backslashes and control characters are escaped.
func appendString(dst []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= ' ':
			dst = append(dst, c)
		case strings.IndexByte("\b\t\n\f\r", c) >= 0:
			dst = append(dst, '\\', "btnfr"[strings.IndexByte("\b\t\n\f\r", c)])
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(dst, '"')
}
