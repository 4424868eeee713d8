package smartauth

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// signed is a JWT whose signature nobody has checked yet.
type signed struct {
	header struct {
		Alg string   `json:"alg"`
		Kid string   `json:"kid"`
		Typ string   `json:"typ"`
		Jku string   `json:"jku"`
		X5C []string `json:"x5c"`
	}
	claims
	payload []byte
	jws     *jose.JSONWebSignature
}

// claims are the registered ones of RFC 7519. Times are seconds, fractions allowed; nil where absent.
type claims struct {
	Iss string   `json:"iss"`
	Sub string   `json:"sub"`
	Aud audience `json:"aud"`
	Exp *float64 `json:"exp"`
	Iat *float64 `json:"iat"`
	Nbf *float64 `json:"nbf"`
	Jti string   `json:"jti"`
}

// audience is a string or a list of them.
type audience []string

func (a *audience) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte(`"`)) {
		*a = make(audience, 1)
		return json.Unmarshal(b, &(*a)[0])
	}
	return json.Unmarshal(b, (*[]string)(a))
}

func asTypeError(err error) (*json.UnmarshalTypeError, bool) {
	return errors.AsType[*json.UnmarshalTypeError](err)
}

// parseJWT reads a compact JWS. Its error is a sentence's end: "…is no JWT".
func parseJWT(s string) (*signed, error) {
	head, rest, ok := strings.Cut(s, ".")
	if !ok || strings.Count(rest, ".") != 1 {
		return nil, errors.New("is no JWT of three parts")
	}
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		return nil, errors.New("has a header that is not base64url")
	}
	t := &signed{}
	if err := json.Unmarshal(raw, &t.header); err != nil {
		return nil, errors.New("has a header that is no JSON object")
	}
	if !slices.Contains(algorithms, jose.SignatureAlgorithm(t.header.Alg)) {
		return nil, fmt.Errorf("has the alg %q; use RS384 or ES384", t.header.Alg)
	}
	if t.header.Typ != "" && !strings.EqualFold(t.header.Typ, "JWT") {
		return nil, fmt.Errorf("has the typ %q, not JWT", t.header.Typ)
	}
	if t.jws, err = jose.ParseSignedCompact(s, algorithms); err != nil {
		return nil, errors.New("is malformed")
	}
	t.payload = t.jws.UnsafePayloadWithoutVerification()
	if err := json.Unmarshal(t.payload, &t.claims); err != nil {
		return nil, errors.New("has claims that are no JSON object or of the wrong JSON type")
	}
	return t, nil
}

// verifiedBy reports whether one of the keys made the signature; the kid, where there is one, picks them (AUTH-09).
func (t *signed) verifiedBy(keys []key) (known, ok bool) {
	for _, k := range keys {
		if t.header.Kid != "" && k.id != t.header.Kid || !k.serves(jose.SignatureAlgorithm(t.header.Alg)) {
			continue
		}
		known = true
		if _, err := t.jws.Verify(k.public); err == nil {
			return true, true
		}
	}
	return known, false
}

// chain is the certificate chain of x5c, leaf first, not verified.
func (t *signed) chain() ([]*x509.Certificate, error) {
	if len(t.header.X5C) > 10 {
		return nil, errors.New("has more than 10 certificates in x5c")
	}
	out := make([]*x509.Certificate, 0, len(t.header.X5C))
	for _, b64 := range t.header.X5C {
		der, err := base64.StdEncoding.DecodeString(b64)
		if err != nil {
			return nil, errors.New("has an x5c entry that is not base64")
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, errors.New("has an x5c entry that is no certificate")
		}
		out = append(out, c)
	}
	return out, nil
}

func seconds(t time.Time) float64 { return float64(t.Unix()) }

// checkTimes gives a sentence's end where a time claim does not hold. longest bounds exp; 0 does not.
func (c *claims) checkTimes(now time.Time, leeway, longest time.Duration) error {
	switch {
	case c.Exp == nil && longest > 0:
		return errors.New("has no exp")
	case c.Exp != nil && *c.Exp <= seconds(now):
		return errors.New("has expired")
	case longest > 0 && *c.Exp > seconds(now.Add(longest+leeway)):
		return fmt.Errorf("lives longer than %d seconds from now", int(longest.Seconds()))
	case c.Iat != nil && *c.Iat > seconds(now.Add(leeway)):
		return errors.New("was issued in the future (iat)")
	case c.Nbf != nil && *c.Nbf > seconds(now.Add(leeway)):
		return errors.New("is not valid yet (nbf)")
	}
	return nil
}
