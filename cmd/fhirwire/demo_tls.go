package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"slices"

	"fhirwire/proxy"
	"fhirwire/proxy/localca"
	"fhirwire/reference/smartauth"
)

// demoPayer is the demo client that connects with mutual TLS, and the name of its certificate.
const demoPayer = "demo-payer"

// demoTLS reports whether there is something to show: a TLS listener, and a reference server that takes certificates which no
// directory entry names.
func (a *app) demoTLS() bool {
	return a.tls != nil && mutualTLS(a.cfg.ReferenceMTLS) == mutualOptional
}

// registerDemoTLS registers a payer whose certificate is on record, and a channel on which both legs are mutual TLS.
func (a *app) registerDemoTLS(ctx context.Context) (*proxy.Channel, error) {
	print, err := a.demoPayerCertificate()
	if err != nil {
		return nil, err
	}
	server, err := a.demoSystem(ctx, proxy.System{
		Slug: "reference-tls", Name: "Reference payer over TLS", Roles: []proxy.Role{proxy.RoleServer}, BaseURL: a.tls.url() + "/fhir", Simulated: true,
	})
	if err != nil {
		return nil, err
	}
	client, err := a.demoSystem(ctx, proxy.System{Slug: demoPayer, Name: "Demo payer", Roles: []proxy.Role{proxy.RoleClient}, Simulated: true})
	if err != nil {
		return nil, err
	}
	if pins := []string{print}; !slices.Equal(client.Options.ClientPins, pins) {
		client.Options.ClientPins = pins
		if err := a.store.SaveSystem(ctx, client); err != nil {
			return nil, err
		}
	}
	return a.demoChannel(ctx, client, server, proxy.ChannelOptions{Track: "Payer to payer", ClientCert: demoPayer, RequireClientCert: true})
}

// demoPayerCertificate gives the fingerprint of the demo payer's certificate, which is issued when there is none that holds.
func (a *app) demoPayerCertificate() (string, error) {
	for _, e := range a.ca.Entries() {
		if e.Name == demoPayer && len(e.Warnings) == 0 {
			return e.Chain[0].Fingerprint, nil
		}
	}
	e, err := a.ca.IssueClient(localca.ClientRequest{Name: demoPayer, Organization: "Demo payer", URIs: []string{"https://demo-payer.example/"}})
	if err != nil {
		return "", err
	}
	return e.Chain[0].Fingerprint, nil
}

// playDemoTLS plays the beginning of the payer-to-payer scenario over mutual TLS: handshake, registration, tokens that are bound to
// the certificate, the match and a look at the member.
func (a *app) playDemoTLS(ctx context.Context, ch *proxy.Channel) error {
	cert, err := a.ca.TLS(demoPayer)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.ca.Root())
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	d := demoClient{
		base: ch.ClientBase(a.tls.url()), origin: a.tls.url() + "/" + ch.Name, tokens: smartauth.Mode(a.cfg.ReferenceAuth) != smartauth.Off,
		http: &http.Client{Timeout: demoTimeout, Transport: tr}, now: a.p.now, logger: a.logger,
	}
	if err := d.mutualTLS(ctx); err != nil {
		return fmt.Errorf("over TLS: %w", err)
	}
	return nil
}

func (d *demoClient) mutualTLS(ctx context.Context) error {
	if _, err := d.get(ctx, "/metadata", nil); err != nil {
		return err
	}
	login, err := d.enrol(ctx, smartauth.MemberMatch+" patient/*.rs")
	if err != nil {
		return err
	}
	if err := d.authorize(ctx, login, smartauth.MemberMatch, ""); err != nil {
		return err
	}
	if _, err := d.post(ctx, "/Patient/$member-match", d.matchRequest(true)); err != nil {
		return err
	}
	if err := d.authorize(ctx, login, "patient/*.rs", demoMember); err != nil {
		return err
	}
	_, err = d.get(ctx, "/Patient/"+demoMember, nil)
	return err
}
