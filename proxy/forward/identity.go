package forward

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strings"

	"fhirwire/proxy/answer"
)

// identity is who a client says it is by its proxy credentials.
type identity struct {
	user string // "" for none
	// shared: user is one of Options.Users, which need not name a channel.
	shared bool
	// client is the id of the client system that its certificate belongs to; it counts where there is no user.
	client string
	// later: its certificate is still to come, and may say which channel is meant.
	later bool
}

const realm = `Basic realm="fhirwire: user is a channel's name", charset="UTF-8"`

// identify reads Proxy-Authorization and checks it where credentials are required. Elsewhere, on loopback, the user name only says
// which channel is meant.
func (s *Server) identify(r *http.Request) (identity, *answer.Refusal) {
	lines := r.Header["Proxy-Authorization"]
	if len(lines) == 0 {
		if s.opt.RequireCredentials {
			return identity{}, unauthenticated("This proxy asks for credentials: as user name the channel's name, as password its token, both from the dashboard's Systems page.")
		}
		return identity{}, nil
	}
	user, password, ok := basic(lines)
	if !ok {
		return identity{}, unauthenticated("The proxy credentials cannot be read; send one Proxy-Authorization field with scheme Basic.")
	}
	secret, shared := s.opt.Users[user]
	if s.opt.RequireCredentials {
		good := shared && same(secret, password)
		if !good && s.opt.Token != nil && user != "" {
			good = same(s.opt.Token(user), password)
		}
		if !good {
			return identity{}, unauthenticated("The proxy user name or password is wrong.")
		}
	}
	return identity{user: user, shared: shared}, nil
}

func basic(lines []string) (user, password string, ok bool) {
	if len(lines) != 1 {
		return "", "", false
	}
	scheme, rest, _ := strings.Cut(strings.TrimSpace(lines[0]), " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
	if err != nil {
		return "", "", false
	}
	user, password, _ = strings.Cut(string(text), ":") // newman leaves the colon out where there is no password
	return user, password, true
}

// same compares in a time that tells nothing of either; an empty secret equals nothing.
func same(secret, given string) bool {
	a, b := sha256.Sum256([]byte(secret)), sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && secret != ""
}
