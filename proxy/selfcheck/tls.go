package selfcheck

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"fhirwire/proxy"
)

// soon is how long before its end a certificate is worth a word.
const soon = 14 * 24 * time.Hour

// roots are the CAs that the proxy trusts for the target.
func (t *target) roots() *x509.CertPool {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if t.ch.Server.CA != "" {
		pool.AppendCertsFromPEM([]byte(t.ch.Server.CA))
	}
	return pool
}

func (t *target) insecure() bool { return t.opt.Clock().Before(t.ch.Server.InsecureUntil) }

// clientConfig is how the proxy greets the target; verification is done by verify, so that a bad certificate can be shown.
func (t *target) clientConfig() *tls.Config {
	return &tls.Config{
		ServerName:           t.host,
		MinVersion:           tls.VersionTLS12,
		InsecureSkipVerify:   true, //nolint:gosec // VerifyConnection and verify do it, with words
		NextProtos:           []string{"h2", "http/1.1"},
		GetClientCertificate: t.clientCertificate,
	}
}

func (t *target) clientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	t.asked = true
	if t.ch.Options.ClientCert == "" || t.opt.Certificates == nil {
		return &tls.Certificate{}, nil
	}
	own, err := t.opt.Certificates.TLS(t.ch.Options.ClientCert)
	if err != nil {
		return &tls.Certificate{}, nil //nolint:nilerr // mutual says that it is missing
	}
	t.shown = true
	return own, nil
}

// handshake looks at the server's certificate and at whether it asks for one; it reports whether requests would get through.
func (t *target) handshake(ctx context.Context, conn net.Conn) bool {
	ctx, cancel := context.WithTimeout(ctx, t.opt.Timeout)
	defer cancel()
	start := t.opt.Clock()
	client := tls.Client(conn, t.clientConfig())
	err := client.HandshakeContext(ctx)
	p := proxy.Probe{ID: t.id + "-tls", Title: "TLS of the " + t.what, Took: t.opt.Clock().Sub(start)}
	if err != nil {
		p.Outcome, p.Side = proxy.ProbeProblem, "server"
		p.Text = fmt.Sprintf("The TLS handshake failed: %s.", handshakeReason(err))
		p.Action = "Ask whether this port speaks TLS 1.2 or 1.3, and whether it wants a client certificate that is not presented."
		if alertOf(err) == "protocol version not supported" {
			p.Action = "Switch TLS 1.2 or 1.3 on."
		}
		t.add(p)
		return false
	}
	state := client.ConnectionState()
	p.Certificates = proxy.Chain(state.PeerCertificates)
	leaf := state.PeerCertificates[0]
	about := fmt.Sprintf("%s, certificate of %s, valid until %s", tls.VersionName(state.Version), leaf.Subject, leaf.NotAfter.UTC().Format(time.DateOnly))
	if err := t.verify(state.PeerCertificates); err != nil {
		p.Outcome, p.Side = proxy.ProbeProblem, "server"
		p.Text, p.Action = t.verifyWords(err, state.PeerCertificates)
		if t.insecure() {
			p.Outcome, p.Side = proxy.ProbeWarning, "proxy"
			p.Text += fmt.Sprintf(" Verification is switched off until %s, so exchanges go on, marked insecure.", t.ch.Server.InsecureUntil.UTC().Format(time.RFC3339))
		}
		t.add(p)
		t.mutual()
		return t.insecure()
	}
	p.Outcome, p.Text = proxy.ProbeOK, about+". It is trusted."
	// one that is made for a week is not renewed by anybody a fortnight before
	if left := leaf.NotAfter.Sub(t.opt.Clock()); left < min(soon, leaf.NotAfter.Sub(leaf.NotBefore)/3) {
		p.Outcome, p.Side, p.Text = proxy.ProbeWarning, "server", about+fmt.Sprintf(": that is in %d days.", int(left.Hours()/24))
		p.Action = "Renew the certificate before the event."
	}
	t.add(p)
	t.mutual()
	return true
}

func (t *target) verify(chain []*x509.Certificate) error {
	pool := x509.NewCertPool()
	for _, c := range chain[1:] {
		pool.AddCert(c)
	}
	o := x509.VerifyOptions{DNSName: t.host, Roots: t.roots(), Intermediates: pool, CurrentTime: t.opt.Clock()}
	_, err := chain[0].Verify(o)
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) && t.opt.Roots != nil {
		o.Roots = t.opt.Roots
		_, err = chain[0].Verify(o)
	}
	return err
}

// mutual says what the handshake showed of client certificates.
func (t *target) mutual() {
	p := proxy.Probe{ID: t.id + "-mtls", Title: "Client certificate for the " + t.what, Outcome: proxy.ProbeOK}
	name := t.ch.Options.ClientCert
	switch {
	case name == "" && !t.asked:
		p.Text = "The server does not ask for a client certificate, " + t.noneToPresent()
	case name == "":
		p.Outcome, p.Side = proxy.ProbeWarning, "proxy"
		p.Text = "The server asks for a client certificate, " + t.noneToPresent()
		p.Action = t.either("Choose the client's test certificate in the channel's settings", "Name the client's test certificate with --client-cert and --client-key") +
			", and give its fingerprint or CA to the server's people."
	case t.asked && !t.shown:
		p.Outcome, p.Side = proxy.ProbeProblem, "proxy"
		p.Text = fmt.Sprintf("The channel is to present the certificate %q, which is not in the local CA's store.", name)
		p.Action = "Issue or import it: fhirwire ca issue --client " + name
	case !t.asked:
		p.Outcome, p.Side = proxy.ProbeWarning, "server"
		p.Text = fmt.Sprintf("The server does not ask for a client certificate, so %q is never presented: mTLS cannot be shown with it.", name)
		p.Action = "Ask the server's people to request client certificates on this port."
	default:
		p.Text = fmt.Sprintf("The server asks for a client certificate and the handshake went on after %q was presented.", name)
		if own, err := t.opt.Certificates.TLS(name); err == nil && own.Leaf != nil {
			p.Certificates = proxy.Chain([]*x509.Certificate{own.Leaf})
			if left := own.Leaf.NotAfter.Sub(t.opt.Clock()); left < soon {
				p.Outcome, p.Side, p.Action = proxy.ProbeWarning, "proxy", "Issue it again: fhirwire ca issue --client "+name
				if t.alone() {
					p.Action = "Have it issued again."
				}
				p.Text += fmt.Sprintf(" It ends on %s.", own.Leaf.NotAfter.UTC().Format(time.DateOnly))
			}
		}
	}
	t.add(p)
}

const moment = "2006-01-02 15:04 UTC"

// verifyWords say what is wrong with a certificate and what to do about it.
func (t *target) verifyWords(err error, chain []*x509.Certificate) (text, action string) {
	leaf := chain[0]
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("The certificate is not valid now: it is for %s to %s.", leaf.NotBefore.UTC().Format(moment), leaf.NotAfter.UTC().Format(moment)),
			"Renew the certificate, or correct the clock that is wrong."
	case errors.As(err, &name):
		names := strings.Join(proxy.CertificateOf(leaf).Names, ", ")
		if names == "" {
			names = "no name at all"
		}
		return fmt.Sprintf("The certificate is for %s, not for %s.", names, t.host), t.register("the base URL with a name of the certificate, or issue a certificate for this name.")
	case errors.As(err, &unknown) && len(chain) == 1 && leaf.Subject.String() != leaf.Issuer.String():
		return fmt.Sprintf("The server sends its own certificate only, and its issuer %s is not known here.", leaf.Issuer),
			"Configure the server to send the intermediate certificates too; or " + t.either("paste the issuing CA in the server system's settings.", "name the issuing CA with --ca.")
	case errors.As(err, &unknown):
		return fmt.Sprintf("Nobody trusted here has issued the certificate; its chain ends with %s.", chain[len(chain)-1].Issuer),
			t.either("Paste the CA's certificate (PEM) in the server system's settings.", "Name the file with the CA's certificate (PEM) with --ca.")
	default:
		return fmt.Sprintf("The certificate is not acceptable: %s.", err), "Ask the server's people for a certificate that verifies."
	}
}
