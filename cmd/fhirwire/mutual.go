package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"path/filepath"
	"slices"
	"strings"

	"fhirwire/proxy"
	"fhirwire/proxy/peers"
	"fhirwire/reference/fhirapi"
	"fhirwire/reference/smartauth"
	"fhirwire/validators/directory"
)

// mutualTLS is whether the reference server asks for client certificates on the TLS listener.
type mutualTLS string

const (
	mutualOff      mutualTLS = "off"      // they are not looked at
	mutualOptional mutualTLS = "optional" // what is presented has to be good
	mutualRequired mutualTLS = "required" // and has to be listed in the endpoint directory
)

// mutual stands in front of the reference server on the TLS listener: it judges client certificates, and what it lets through is
// verified to the server behind it. Discovery stays open (P2P-DSC-03).
type mutual struct {
	mode  mutualTLS
	judge *peers.Judge
	entry func(context.Context, []*x509.Certificate) (directory.Hit, error)
	next  http.Handler
}

func (m *mutual) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.TLS == nil {
		m.next.ServeHTTP(w, r)
		return
	}
	state := *r.TLS
	chain := state.PeerCertificates
	state.PeerCertificates, state.VerifiedChains = nil, nil
	if m.mode != mutualOff && !openToAll(r) {
		why, err := m.refuses(r.Context(), chain)
		if err != nil {
			refuseClient(w, r, http.StatusInternalServerError, "The client certificate could not be judged.")
			return
		}
		if why != "" {
			status := http.StatusForbidden
			if len(chain) == 0 {
				status = http.StatusUnauthorized
			}
			refuseClient(w, r, status, why)
			return
		}
		if len(chain) > 0 {
			state.PeerCertificates, state.VerifiedChains = chain, [][]*x509.Certificate{chain}
		}
	}
	r = withTLS(r, &state)
	m.next.ServeHTTP(w, r)
}

func withTLS(r *http.Request, state *tls.ConnectionState) *http.Request {
	out := *r
	out.TLS = state
	return &out
}

// refuses says why a certificate, or its absence, is not accepted; "" means that it is.
func (m *mutual) refuses(ctx context.Context, chain []*x509.Certificate) (string, error) {
	if len(chain) == 0 {
		if m.mode == mutualRequired {
			return "A client certificate is needed here (mutual TLS), and none was presented.", nil
		}
		return "", nil
	}
	// Whose it is decides nothing here: every registered client may come.
	var from *proxy.Channel
	if id, ok := m.judge.ByCertificate(ctx, chain); ok {
		from = &proxy.Channel{ClientID: id}
	}
	found := m.judge.Of(ctx, chain, from, nil)
	if !found.Accepted {
		return "The client certificate is not accepted: " + found.Detail + ".", nil
	}
	if m.mode != mutualRequired || found.Trust == proxy.TrustDirectory {
		return "", nil
	}
	hit, err := m.entry(ctx, chain)
	if err != nil || hit.Outcome == directory.Found {
		return "", err
	}
	return "The client certificate is not listed in the endpoint directory.", nil
}

// openToAll reports discovery, which needs neither token nor certificate, and the directory that tells what certificate is needed.
func openToAll(r *http.Request) bool {
	return r.Method == http.MethodOptions || strings.Contains(r.URL.Path, "/.well-known/") || r.URL.Path == fhirapi.Prefix+"/metadata" ||
		strings.HasPrefix(r.URL.Path, "/directory/")
}

// refuseClient answers under the name that the RFC of the endpoint has: RFC 7591 for registration, 6749 (and 8705) for tokens, 6750
// for resources.
func refuseClient(w http.ResponseWriter, r *http.Request, status int, why string) {
	switch path := r.URL.Path; {
	case status == http.StatusInternalServerError:
		smartauth.WriteError(w, smartauth.NewError(status, "server_error", why))
	case path == smartauth.RegisterPath: // P2P-DCR-21
		smartauth.WriteError(w, smartauth.NewError(status, "access_denied", why))
	case strings.HasPrefix(path, smartauth.Prefix+"/"):
		smartauth.WriteError(w, smartauth.NewError(http.StatusUnauthorized, "invalid_client", why))
	case r.Header.Get("Authorization") != "":
		smartauth.WriteFailure(w, smartauth.NewError(http.StatusUnauthorized, "invalid_token", why))
	default: // P2P-TLS-10
		smartauth.WriteFailure(w, smartauth.NewError(status, "", why))
	}
}

// identify is the directory entry of a client certificate that has been accepted (P2P-TLS-21). Unless entries are required, one of
// the event's or the local CA will do without.
func (a *app) identify(ctx context.Context, chain []*x509.Certificate) (smartauth.Identity, error) {
	hit, err := a.listed.hit(ctx, chain)
	switch {
	case err != nil:
		return smartauth.Identity{}, err
	case hit.Outcome == directory.Found:
		return smartauth.Identity{Entry: hit.Entry.File, Organization: hit.Entry.Plan.NPI()}, nil
	case hit.Outcome == directory.NotListed && mutualTLS(a.cfg.ReferenceMTLS) == mutualOptional:
		return smartauth.Identity{}, nil
	default:
		return smartauth.Identity{}, smartauth.ErrNotListed
	}
}

// hit looks a chain up in the directory as it is now.
func (d *directoryPeers) hit(ctx context.Context, chain []*x509.Certificate) (directory.Hit, error) {
	known, err := d.current(ctx)
	if err != nil || known == nil {
		return directory.Hit{Outcome: directory.NotListed}, err
	}
	return known.ByCertificate(chain, directory.BindOptions{Now: d.now()}), nil
}

func (m mutualTLS) check() error {
	if !slices.Contains([]mutualTLS{mutualOff, mutualOptional, mutualRequired}, m) {
		return errors.New("reference-mtls: \"" + string(m) + "\" is none of off, optional, required")
	}
	return nil
}

// listing is the endpoint directory that client certificates are looked up in.
func (a *app) listing() *directoryPeers {
	return &directoryPeers{dir: filepath.Join(a.cfg.Data, "directory"), now: a.p.now}
}

// mutualReference is the reference server for the TLS listener, nil without one.
func (a *app) mutualReference() http.Handler {
	if a.payer == nil {
		return nil
	}
	return &mutual{mode: mutualTLS(a.cfg.ReferenceMTLS), judge: a.peers, entry: a.listed.hit, next: a.payer.Handler()}
}
