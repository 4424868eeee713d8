package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"fhirwire/reference/smartauth"
)

// demoLogin is what the demo client is known by at the server's token endpoint, nil where the server looks at no tokens.
type demoLogin struct {
	tokenURL, id, secret string
}

// enrol discovers the authorization server and registers the client for some scopes.
func (d *demoClient) enrol(ctx context.Context, scope string) (*demoLogin, error) {
	if !d.tokens {
		return nil, nil
	}
	plain := http.Header{"Accept": {"application/json"}}
	res, err := d.get(ctx, smartauth.WellKnown, plain)
	if err != nil {
		return nil, err
	}
	var at struct {
		Token    string `json:"token_endpoint"`
		Register string `json:"registration_endpoint"`
	}
	if err := decodeAnswer(res, http.StatusOK, &at); err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	body, err := json.Marshal(smartauth.Metadata{
		ClientName: "fhirwire demo client", AuthMethod: "client_secret_basic", GrantTypes: []string{"client_credentials"}, Scope: scope,
	})
	if err != nil {
		return nil, err
	}
	register, err := d.behindProxy(at.Register)
	if err != nil {
		return nil, err
	}
	res, err = d.do(ctx, http.MethodPost, register, body, http.Header{"Accept": {"application/json"}, "Content-Type": {"application/json"}})
	if err != nil {
		return nil, err
	}
	var client struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	if err := decodeAnswer(res, http.StatusCreated, &client); err != nil {
		return nil, fmt.Errorf("registration: %w", err)
	}
	tokenURL, err := d.behindProxy(at.Token)
	if err != nil {
		return nil, err
	}
	return &demoLogin{tokenURL, client.ID, client.Secret}, nil
}

// authorize asks for a token and uses it from now on. A token for a member rests on the match before it (P2P-TOK-20, form F3).
func (d *demoClient) authorize(ctx context.Context, l *demoLogin, scope, member string) error {
	if l == nil {
		return nil
	}
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}
	if member != "" {
		form.Set("patient", member)
	}
	ask := http.Request{Header: http.Header{"Accept": {"application/json"}, "Content-Type": {"application/x-www-form-urlencoded"}}}
	ask.SetBasicAuth(url.QueryEscape(l.id), url.QueryEscape(l.secret)) // RFC 6749 section 2.3.1
	res, err := d.do(ctx, http.MethodPost, l.tokenURL, []byte(form.Encode()), ask.Header)
	if err != nil {
		return err
	}
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if err := decodeAnswer(res, http.StatusOK, &token); err != nil {
		return fmt.Errorf("token for %s: %w", scope, err)
	}
	d.authorization = "Bearer " + token.AccessToken
	return nil
}

// behindProxy turns a URL of the server, as its discovery document names it, into the one behind the channel. A URL that is there
// already stays.
func (d *demoClient) behindProxy(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("discovery: %q is no URL", raw)
	}
	proxy, err := url.Parse(d.origin)
	if err != nil {
		return "", err
	}
	if u.Host == proxy.Host {
		return raw, nil
	}
	return d.origin + u.RequestURI(), nil
}

func decodeAnswer(res answer, status int, into any) error {
	if res.status != status {
		return fmt.Errorf("status %d, want %d", res.status, status)
	}
	return json.Unmarshal(res.body, into)
}
