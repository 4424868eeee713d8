package localca

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ErrNotPermitted is wrapped when a server certificate is asked for a host that is not permitted.
var ErrNotPermitted = errors.New("the local CA may not issue for this host: it belongs to no registered system or listener")

// issuer is an issuing certificate for servers with the hosts it is constrained to.
type issuer struct {
	pair

	hosts []string
}

// nowhere is a name that nobody can have (RFC 2606); a constraint to it permits nothing of its kind.
const nowhere = "fhirwire.invalid"

// everywhere are all addresses, for exclusion.
var everywhere = []*net.IPNet{{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}, {IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}}

// constrain limits a CA certificate to hosts. Where a kind of name is not among them, the whole kind is shut.
func constrain(c *x509.Certificate, hosts []string) {
	c.PermittedDNSDomainsCritical = true
	c.PermittedURIDomains = []string{nowhere}
	c.PermittedEmailAddresses = []string{nowhere}
	for _, h := range hosts {
		if ip, err := netip.ParseAddr(h); err == nil {
			c.PermittedIPRanges = append(c.PermittedIPRanges, &net.IPNet{IP: ip.AsSlice(), Mask: net.CIDRMask(ip.BitLen(), ip.BitLen())})
			continue
		}
		base := strings.TrimPrefix(h, subdomains)
		if !slices.Contains(c.PermittedDNSDomains, base) {
			c.PermittedDNSDomains = append(c.PermittedDNSDomains, base)
		}
		if !slices.Contains(hosts, subdomains+base) {
			c.ExcludedDNSDomains = append(c.ExcludedDNSDomains, "."+base)
		}
	}
	if len(c.PermittedDNSDomains) == 0 {
		c.PermittedDNSDomains = []string{nowhere}
	}
	if len(c.PermittedIPRanges) == 0 {
		c.ExcludedIPRanges = everywhere
	}
}

func newIssuer(hosts []string, now time.Time, life time.Duration, root *pair) (*issuer, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "fhirwire servers " + now.UTC().Format(time.RFC3339), Organization: []string{organization}},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(life),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	constrain(template, hosts)
	p, err := sign(template, key, root)
	if err != nil {
		return nil, err
	}
	return &issuer{pair: *p, hosts: hosts}, nil
}

// Permit replaces the set of hosts that server certificates may be issued for: DNS names, IP addresses, and "*.NAME" for the
// names below NAME. When the set changes, the issuing certificates are replaced together with their keys.
func (a *Authority) Permit(hosts []string) error {
	set, err := normalSet(hosts)
	if err != nil {
		return fmt.Errorf("local CA: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if slices.Equal(set, a.hostsLocked()) && !a.staleLocked() {
		return nil
	}
	return a.reissueLocked(set)
}

// Hosts are the hosts permitted, sorted.
func (a *Authority) Hosts() []string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.hostsLocked()
}

func (a *Authority) hostsLocked() []string {
	var out []string
	for _, i := range a.issuers {
		out = append(out, i.hosts...)
	}
	slices.Sort(out)
	return out
}

// staleLocked reports whether an issuing certificate comes to its end.
func (a *Authority) staleLocked() bool {
	soon := a.clock().Add(serversLife / 3)
	return slices.ContainsFunc(a.issuers, func(i *issuer) bool { return i.cert.NotAfter.Before(soon) })
}

func (a *Authority) reissueLocked(hosts []string) error {
	root, err := a.rootPair()
	if err != nil {
		return fmt.Errorf("local CA: %w", err)
	}
	var made []*issuer
	for _, group := range groups(hosts) {
		i, err := newIssuer(group, a.clock(), serversLife, root)
		if err != nil {
			return fmt.Errorf("local CA: issuing certificate: %w", err)
		}
		made = append(made, i)
	}
	if err := writeFile(filepath.Join(a.dir, serversFile), encodeIssuers(made), 0o600); err != nil {
		return fmt.Errorf("local CA: %w", err)
	}
	a.issuers, a.leaves = made, map[string]*leaf{}
	a.generation++
	return nil
}

func encodeIssuers(all []*issuer) []byte {
	var out []byte
	for _, i := range all {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: blockHosts, Bytes: []byte(strings.Join(i.hosts, "\n"))})...)
		out = append(out, i.encode()...)
	}
	return out
}

func readIssuers(path string) ([]*issuer, error) {
	src, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []*issuer
	for len(bytes.TrimSpace(src)) > 0 {
		block, rest := pem.Decode(src)
		if block == nil || block.Type != blockHosts {
			return nil, fmt.Errorf("%s: want a block %s", serversFile, blockHosts)
		}
		p, rest, err := decodePair(rest)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", serversFile, err)
		}
		out = append(out, &issuer{pair: *p, hosts: strings.Split(string(block.Bytes), "\n")})
		src = rest
	}
	return out, nil
}
