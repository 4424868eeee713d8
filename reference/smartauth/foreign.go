package smartauth

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
)

// foreign reports a request whose bearer token is none of ours: we never issued it, and it names neither us as its issuer nor a client
// of ours, whose token may name us as we are called on another listener. A token of ours that has expired, was revoked or was altered
// is not foreign.
func (s *Server) foreign(r *http.Request) (bool, error) {
	headers := r.Header.Values("Authorization")
	if len(headers) != 1 {
		return false, nil
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return false, nil
	}
	if g, err := s.grant(r.Context(), token); err != nil || g != nil {
		return false, err
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return true, nil
	}
	var claims struct {
		Iss      string `json:"iss"`
		ClientID string `json:"client_id"`
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(raw, &claims) != nil {
		return true, nil
	}
	if claims.Iss == s.base(r)+Prefix {
		return false, nil
	}
	if claims.ClientID == "" || !strings.HasSuffix(claims.Iss, Prefix) {
		return true, nil
	}
	c, err := s.store.client(r.Context(), "id", claims.ClientID)
	return c == nil, err
}

// setAside is a request without its foreign token.
func setAside(r *http.Request) *http.Request {
	out := r.Clone(r.Context())
	out.Header.Del("Authorization")
	return out
}
