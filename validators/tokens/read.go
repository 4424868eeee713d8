package tokens

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"fhirwire/proxy"
	"fhirwire/validators"
)

// presented is the token that a request carries.
type presented struct {
	scheme string
	token  proxy.Fingerprint
	claims *proxy.Claims
	query  bool
}

// tokenOf reads the token of a request; ok is false when it carries none.
func tokenOf(ex *proxy.Exchange) (presented, bool) {
	scheme, rest, _ := strings.Cut(ex.Request.Header.Get("Authorization"), " ")
	switch strings.ToLower(scheme) {
	case "bearer", "dpop":
		if fp, claims, ok := proxy.ReadMasked(rest); ok {
			return presented{scheme: scheme, token: fp, claims: claims}, true
		}
	}
	if _, query, _ := strings.Cut(ex.Request.URL, "?"); strings.Contains(query, "access_token=") {
		values, _ := url.ParseQuery(query) // keeps what it could read
		if fp, claims, ok := proxy.ReadMasked(values.Get("access_token")); ok {
			return presented{token: fp, claims: claims, query: true}, true
		}
	}
	return presented{scheme: scheme}, false
}

// Wants reports whether Add reads the bodies of ex.
func Wants(ex *proxy.Exchange) bool {
	k := ex.Interaction.Kind
	return (k == proxy.KindToken || k == proxy.KindRegister) && ex.Request.Method == http.MethodPost
}

// answer is the part of a token answer that is looked at. What has another type than it should is absent: httprules says so.
type answer struct {
	AccessToken string          `json:"access_token"`
	ExpiresIn   json.RawMessage `json:"expires_in"`
	Scope       *string         `json:"scope"`
	Patient     string          `json:"patient"`
	Error       string          `json:"error"`
	ClientID    string          `json:"client_id"`
}

func readAnswer(body []byte) answer {
	var out answer
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return out
	}
	for name, to := range map[string]any{
		"access_token": &out.AccessToken, "scope": &out.Scope, "patient": &out.Patient, "error": &out.Error, "client_id": &out.ClientID,
	} {
		if raw, ok := members[name]; ok {
			_ = json.Unmarshal(raw, to)
		}
	}
	out.ExpiresIn = members["expires_in"]
	return out
}

// longest bounds a lifetime that is believed; what is longer is as good as none.
const longest = 10 * 365 * 24 * time.Hour

func (a *answer) life() (time.Duration, bool) {
	var seconds json.Number
	if json.Unmarshal([]byte(strings.Trim(string(a.ExpiresIn), `"`)), &seconds) != nil {
		return 0, false
	}
	f, err := seconds.Float64()
	if err != nil || f < 0 || f > longest.Seconds() {
		return 0, false
	}
	return time.Duration(f * float64(time.Second)), true
}

// assertion is the signed proof of a token request.
type assertion struct {
	token  proxy.Fingerprint
	claims *proxy.Claims
}

// grantOf reads a token exchange.
func grantOf(ex *proxy.Exchange, request, response []byte) (validators.Grant, []assertion) {
	form, _ := url.ParseQuery(string(request)) // keeps what it could read
	g := validators.Grant{
		Request: refOf(ex), Channel: ex.Channel, Status: ex.Status(), Type: form.Get("grant_type"), Asked: strings.Fields(form.Get("scope")),
		Client: form.Get("client_id"), Certificate: certificateOf(ex), Patient: form.Get("patient"),
	}
	var proofs []assertion
	for _, member := range []string{"client_assertion", "assertion"} {
		if fp, claims, ok := proxy.ReadMasked(form.Get(member)); ok {
			proofs = append(proofs, assertion{fp, claims})
		}
	}
	g.Method, g.Client = clientOf(ex, form, g.Client)
	if form.Has("client_assertion") && len(proofs) > 0 && proofs[0].claims != nil {
		g.Audience = proofs[0].claims.Audience
	}
	a := readAnswer(response)
	if g.Error = a.Error; g.Status < 200 || g.Status > 299 {
		return g, proofs
	}
	fp, claims, ok := proxy.ReadMasked(a.AccessToken)
	if !ok {
		return g, proofs
	}
	g.Token = string(fp)
	switch {
	case a.Scope != nil:
		g.Scopes = strings.Fields(*a.Scope)
	case claims != nil && claims.Scope != "":
		g.Scopes = strings.Fields(claims.Scope)
	default: // RFC 6749 5.1: left out when it is what was asked for
		g.Scopes = g.Asked
	}
	if a.Patient != "" {
		g.Patient = a.Patient
	}
	if life, ok := a.life(); ok {
		g.Expires = ex.Timing.End.Add(life)
	} else if claims != nil {
		g.Expires = claims.ExpiresAt
	}
	return g, proofs
}

// clientOf says how a client proved who it is (RFC 6749 2.3, RFC 7523, RFC 8705) and what it is called.
func clientOf(ex *proxy.Exchange, form url.Values, id string) (method, client string) {
	if scheme, rest, _ := strings.Cut(ex.Request.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Basic") {
		var named struct {
			ClientID string `json:"client_id"`
		}
		if i := strings.IndexByte(rest, '{'); i >= 0 && json.Unmarshal([]byte(rest[i:]), &named) == nil {
			if plain, err := url.QueryUnescape(named.ClientID); err == nil {
				named.ClientID = plain
			}
			id = named.ClientID
		}
		return "client_secret_basic", id
	}
	switch {
	case form.Has("client_assertion"):
		method = "private_key_jwt"
		if _, claims, ok := proxy.ReadMasked(form.Get("client_assertion")); ok && claims != nil {
			if strings.HasPrefix(claims.Alg, "HS") {
				method = "client_secret_jwt"
			}
			if claims.Issuer != "" {
				id = claims.Issuer
			}
		}
		return method, id
	case form.Has("client_secret"):
		return "client_secret_post", id
	case certificateOf(ex) != "" && id != "":
		return "tls_client_auth", id
	}
	return "none", id
}

func certificateOf(ex *proxy.Exchange) string {
	if ex.ClientLeg == nil || ex.ClientLeg.TLS == nil || len(ex.ClientLeg.TLS.Client) == 0 {
		return ""
	}
	return ex.ClientLeg.TLS.Client[0].Fingerprint
}

func refOf(ex *proxy.Exchange) validators.Ref {
	return validators.Ref{ID: ex.ID, Number: ex.Number, At: ex.Timing.Start}
}
