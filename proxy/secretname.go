package proxy

import (
	"net/url"
	"regexp"
	"strings"
)

// secretNames are parameters and members whose value is a secret wherever they occur, in lower case.
var secretNames = map[string]bool{
	"access_token": true, "refresh_token": true, "id_token": true, "id_token_hint": true, "token": true, "client_secret": true,
	"client_assertion": true, "assertion": true, "subject_token": true, "actor_token": true, "device_code": true, "user_code": true,
	"code_verifier": true, "registration_access_token": true, "software_statement": true, "password": true, "api_key": true,
	"apikey": true, "sig": true, "x-amz-signature": true, "x-amz-credential": true, "x-amz-security-token": true,
	"x-goog-signature": true, "x-goog-credential": true, "initial_access_token": true, "accesstoken": true, "refreshtoken": true,
	"idtoken": true, "clientsecret": true, "initialaccesstoken": true,
}

// SecretName reports a parameter or member whose value is recorded as a fingerprint wherever it occurs.
func SecretName(name string) bool { return secretNames[strings.ToLower(name)] }

var jwtText = regexp.MustCompile(`^eyJ[A-Za-z0-9_-]{4,}(\.[A-Za-z0-9_-]*){2,4}$`)

// WithoutSecrets is a query without the parameters that are recorded as fingerprints in a URL that was asked for and stand in clear in the
// body that named it, such as the signature of a file's URL. So the two can be compared.
func WithoutSecrets(q url.Values) url.Values {
	out := url.Values{}
	for name, values := range q {
		if len(values) > 0 && (SecretName(name) || strings.HasPrefix(values[0], "hmac:") || jwtText.MatchString(values[0])) {
			continue
		}
		out[name] = values
	}
	return out
}
