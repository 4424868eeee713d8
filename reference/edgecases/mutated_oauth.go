package edgecases

import (
	"net/http"
	"strings"
	"time"
)

// WrapOAuth plays the mutations that concern registrations and tokens on what next serves; other edges are about FHIR requests.
func (s *Switches) WrapOAuth(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := s.of(r)
		if len(a.edges) == 0 || !s.mutate(w, r, r.URL.Path, &a, next) {
			next.ServeHTTP(w, r)
		}
	})
}

func registration(r *http.Request, path string) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(path, "/oauth/register")
}

func tokenAnswer(r *http.Request, path string) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(path, "/oauth/token")
}

// onCreated is a mutation of the answers to successful registrations.
func onCreated(e Edge, does string, change func(m map[string]any) bool) mutation {
	return mutation{Description{e, does}, registration, nil, func(_ *http.Request, a *held, _ time.Time) bool {
		return a.status == http.StatusCreated && a.json(change)
	}, false}
}

// replaced sets a member that is there.
func replaced(name string, v any) func(map[string]any) bool {
	return func(m map[string]any) bool {
		_, there := m[name]
		if there {
			m[name] = v
		}
		return there
	}
}

func left(name string) func(map[string]any) bool {
	return func(m map[string]any) bool {
		_, there := m[name]
		delete(m, name)
		return there
	}
}

// oauthMutations are mistakes about clients and their tokens. What the server does with a token stays as it was.
func oauthMutations() []mutation {
	return []mutation{
		onCreated("mutation-registered-for-another-grant", "the answer to a registration says that the client may use authorization_code only", replaced("grant_types", []any{"authorization_code"})),
		onCreated("mutation-registered-grants-unsaid", "the answer to a registration does not say for which grants the client is registered", left("grant_types")),
		onCreated("mutation-registered-other-keys", "the answer to a registration has another key in place of the client's", func(m map[string]any) bool {
			set, _ := m["jwks"].(map[string]any)
			keys, _ := set["keys"].([]any)
			for _, k := range keys {
				if key, ok := k.(map[string]any); ok {
					key["kid"] = "somebody-else"
				}
			}
			return len(keys) > 0
		}),
		onCreated("mutation-secret-without-end", "a client secret comes without the time at which it expires", left("client_secret_expires_at")),
		onAnswer("mutation-token-life-in-words", "expires_in of a token is a text", tokenAnswer, replaced("expires_in", "300")),
		onAnswer("mutation-token-without-type", "the answer with a token has no token_type", tokenAnswer, left("token_type")),
		onAnswer("mutation-token-with-more", "a token is given scopes that nobody asked for", tokenAnswer, func(m map[string]any) bool {
			scope, ok := m["scope"].(string)
			m["scope"] = scope + " user/*.cruds"
			return ok
		}),
		onAnswer("mutation-token-says-less", "a token opens more than its scopes say", tokenAnswer, func(m map[string]any) bool {
			scope, ok := m["scope"].(string)
			m["scope"] = strings.ReplaceAll(scope, ".rs", ".r")
			return ok
		}),
		{
			Description{"mutation-token-kept", "the answer with a token may be cached"},
			tokenAnswer, nil,
			func(_ *http.Request, a *held, _ time.Time) bool {
				a.header.Del("Cache-Control")
				a.header.Del("Pragma")
				return a.status == http.StatusOK
			}, false,
		},
		{
			Description{"mutation-token-refusal-500", "a token request that is refused is answered 500"},
			tokenAnswer, nil,
			func(_ *http.Request, a *held, _ time.Time) bool {
				was := a.status
				if was >= http.StatusBadRequest {
					a.status = http.StatusInternalServerError
				}
				return was >= http.StatusBadRequest
			}, false,
		},
		onAnswer("mutation-metadata-token-endpoint", "the CapabilityStatement names another token endpoint than the SMART configuration", func(_ *http.Request, path string) bool { return path == "/metadata" }, func(m map[string]any) bool {
			changed := false
			each(m, "url", func(of map[string]any) {
				if of["url"] == "token" && of["valueUri"] != nil {
					of["valueUri"], changed = "https://elsewhere.example/oauth/token", true
				}
			})
			return changed
		}),
	}
}

// each visits the objects in v that have a member.
func each(v any, member string, do func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		if _, ok := v[member]; ok {
			do(v)
		}
		for _, e := range v {
			each(e, member, do)
		}
	case []any:
		for _, e := range v {
			each(e, member, do)
		}
	}
}
