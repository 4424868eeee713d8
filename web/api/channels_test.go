package api_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/validators"
	"fhirwire/web/api"
	"fhirwire/web/api/apitest"
)

type settings struct{}

func (settings) Guides() []api.Guide {
	return []api.Guide{{ID: "hl7.fhir.us.core#6.1.0", Active: true}}
}

func (settings) ClientCertificates() []string { return []string{"acme"} }

type ledger struct{ err error }

func (l ledger) Ledger(_ context.Context, channel string) (*validators.Ledger, error) {
	return &validators.Ledger{
		Channel: channel, Unknown: []validators.Grant{}, Findings: []validators.TokenFinding{},
		Grants: []validators.Grant{{Request: validators.Ref{ID: "x", Number: 1, At: now}, Channel: channel, Token: "hmac:1", Scopes: []string{"system/*.rs"}, Expires: now.Add(time.Minute)}},
	}, l.err
}

func (l ledger) Authorization(context.Context, *proxy.Exchange) (*validators.Authorization, error) {
	return &validators.Authorization{}, l.err
}

// TestOptions: settings are stored as they are sent, kept where they are left out, and held against what there is.
func TestOptions(t *testing.T) {
	store := apitest.NewStore()
	d := store.Deps()
	d.Settings = settings{}
	r := router(t, d)
	server := decode[api.System](t, call(t, r, "POST", "/systems", `{"name":"Diamond","roles":["server"],"base_url":"http://d.example:9/fhir","options":{"auxiliary":[{"name":"auth","url":"https://auth.example/oauth2"}],"insecure_until":"2026-09-12T12:00:00Z"}}`))
	client := decode[api.System](t, call(t, r, "POST", "/systems", `{"name":"Acme EHR","roles":["client"]}`))
	if len(server.Options.Auxiliary) != 1 || !server.Options.InsecureUntil.Equal(now.Add(2*time.Hour)) {
		t.Errorf("registered with %+v", server.Options)
	}
	kept := decode[api.System](t, call(t, r, "PUT", "/systems/"+server.ID, `{"name":"Diamond payer","slug":"diamond","roles":["server"],"base_url":"http://d.example:9/fhir"}`))
	if len(kept.Options.Auxiliary) != 1 || kept.Name != "Diamond payer" {
		t.Errorf("a change without options gives %+v", kept)
	}
	if w := call(t, r, "PUT", "/systems/"+server.ID, `{"name":"D","slug":"diamond","roles":["server"],"base_url":"http://d.example:9/fhir","options":{}}`); strings.Contains(w.Body.String(), "auxiliary") {
		t.Errorf("empty options leave %s", w.Body)
	}
	ch := decode[api.Channel](t, call(t, r, "POST", "/channels", fmt.Sprintf(`{"client_id":%q,"server_id":%q}`, client.ID, server.ID)))
	good := `{"options":{"discovery":"pass","guides":["hl7.fhir.us.core#6.1.0"],"client_cert":"acme","require_client_cert":true,"passthrough":true,"profiles":{"Patient":"http://x.example/p"}}}`
	changed := decode[api.Channel](t, call(t, r, "PUT", "/channels/"+ch.ID, good))
	if o := changed.Options; o.Discovery != proxy.DiscoveryPass || o.ClientCert != "acme" || !o.RequireClientCert || !o.Passthrough || len(o.Guides) != 1 || o.Profiles["Patient"] == "" {
		t.Errorf("changed to %+v", o)
	}
	for _, c := range []struct{ options, field string }{
		{`{"discovery":"sideways"}`, "discovery"},
		{`{"guides":["nobody#1"]}`, "guides"},
		{`{"client_cert":"nobody"}`, "client_cert"},
		{`{"profiles":{"Patient":"nonsense"}}`, "profiles"},
		{`{"base_path":"x"}`, "base_path"},
	} {
		w := call(t, r, "PUT", "/channels/"+ch.ID, `{"options":`+c.options+`}`)
		if p := decode[api.Problem](t, w); w.Code != 422 || len(p.Errors) != 1 || p.Errors[0].Field != c.field {
			t.Errorf("%s: %d %+v", c.options, w.Code, p)
		}
		if w := call(t, r, "POST", "/channels", fmt.Sprintf(`{"client_id":%q,"server_id":%q,"options":%s}`, client.ID, server.ID, c.options)); w.Code != 422 {
			t.Errorf("%s on a new channel: %d", c.options, w.Code)
		}
	}
	if now := decode[api.Channel](t, call(t, r, "GET", "/channels/"+ch.ID, "")); now.Options.Discovery != proxy.DiscoveryPass {
		t.Errorf("a refused change was stored: %+v", now.Options)
	}
}

func TestAuth(t *testing.T) {
	store := apitest.NewStore()
	d := store.Deps()
	r := router(t, d)
	server := decode[api.System](t, call(t, r, "POST", "/systems", `{"name":"Diamond","roles":["server"],"base_url":"http://d.example:9/fhir"}`))
	client := decode[api.System](t, call(t, r, "POST", "/systems", `{"name":"Acme","roles":["client"]}`))
	ch := decode[api.Channel](t, call(t, r, "POST", "/channels", fmt.Sprintf(`{"client_id":%q,"server_id":%q}`, client.ID, server.ID)))
	if w := call(t, r, "GET", "/channels/"+ch.ID+"/auth", ""); w.Code != 501 {
		t.Errorf("without a ledger: %d", w.Code)
	}
	d.Tokens = ledger{}
	r = router(t, d)
	got := decode[validators.Ledger](t, call(t, r, "GET", "/channels/"+ch.ID+"/auth", ""))
	if got.Channel != ch.Name || len(got.Grants) != 1 || got.Grants[0].Token != "hmac:1" || got.Grants[0].Request.Number != 1 {
		t.Errorf("ledger %+v", got)
	}
	if w := call(t, r, "GET", "/channels/nobody/auth", ""); w.Code != 404 {
		t.Errorf("unknown channel: %d", w.Code)
	}
	d.Tokens = ledger{errors.New("disk: secret detail")}
	if w := call(t, router(t, d), "GET", "/channels/"+ch.ID+"/auth", ""); w.Code != 500 || strings.Contains(w.Body.String(), "secret detail") {
		t.Errorf("failing ledger: %d %s", w.Code, w.Body)
	}
}

// TestConnectByShortNames: whoever has just registered two systems need not look their ids up.
func TestConnectByShortNames(t *testing.T) {
	r := router(t, apitest.NewStore().Deps())
	server := decode[api.System](t, call(t, r, "POST", "/systems", `{"name":"Diamond","roles":["server"],"base_url":"http://d.example:9/fhir"}`))
	client := decode[api.System](t, call(t, r, "POST", "/systems", `{"name":"Acme EHR","roles":["client"]}`))
	w := call(t, r, "POST", "/channels", `{"client_id":"acme-ehr","server_id":"diamond"}`)
	ch := decode[api.Channel](t, w)
	if w.Code != 201 || ch.ClientID != client.ID || ch.ServerID != server.ID || ch.Name != "acme-ehr~diamond" {
		t.Errorf("status %d, %+v", w.Code, ch)
	}
	if w := call(t, r, "POST", "/channels", `{"client_id":"diamond","server_id":"acme-ehr"}`); w.Code != 422 {
		t.Errorf("the other way round: status %d", w.Code)
	}
}
