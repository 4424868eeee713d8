package localca

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// leaf is a server certificate that was issued, with when to issue its successor.
type leaf struct {
	cert  *tls.Certificate
	renew time.Time
}

// maxLeaves bounds the cache. Only names below a "*." can be so many.
const maxLeaves = 4096

// Leaf is a certificate for host with its issuing certificate behind it, valid for some days and replaced well before its end.
// It is shared: do not change it. The error wraps ErrNotPermitted for a host that is not permitted.
func (a *Authority) Leaf(host string) (*tls.Certificate, error) {
	a.mu.RLock()
	have, generation := a.leaves[host], a.generation
	a.mu.RUnlock()
	if have != nil && a.clock().Before(have.renew) {
		return have.cert, nil
	}
	name, err := normal(host)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotPermitted, err)
	}
	made, err, _ := a.flight.Do(strconv.Itoa(generation)+" "+name, func() (any, error) { return a.issueLeaf(name) })
	if err != nil {
		return nil, fmt.Errorf("local CA: certificate for %s: %w", name, err)
	}
	return made.(*tls.Certificate), nil //nolint:forcetypeassert // of the function above
}

func (a *Authority) issueLeaf(name string) (*tls.Certificate, error) {
	now := a.clock()
	a.mu.Lock()
	if have := a.leaves[name]; have != nil && now.Before(have.renew) {
		a.mu.Unlock()
		return have.cert, nil
	}
	if a.staleLocked() {
		if err := a.reissueLocked(a.hostsLocked()); err != nil {
			a.mu.Unlock()
			return nil, err
		}
	}
	at := slices.IndexFunc(a.issuers, func(i *issuer) bool { return slices.Contains(i.hosts, name) })
	if at < 0 {
		at = slices.IndexFunc(a.issuers, func(i *issuer) bool { return covers(i.hosts, name) })
	}
	if at < 0 {
		a.mu.Unlock()
		return nil, ErrNotPermitted
	}
	by, generation := a.issuers[at], a.generation
	a.mu.Unlock()

	cert, _, err := serverLeaf([]string{name}, now, leafLife, &by.pair)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.generation == generation {
		for old := range a.leaves {
			if len(a.leaves) < maxLeaves {
				break
			}
			delete(a.leaves, old)
		}
		a.leaves[name] = &leaf{cert, now.Add(leafLife * 2 / 3)}
	}
	return cert, nil
}

// serverLeaf issues for hosts, which are in normal form.
func serverLeaf(hosts []string, now time.Time, life time.Duration, by *pair) (*tls.Certificate, *ecdsa.PrivateKey, error) {
	key, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{organization}},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(life), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if _, err := netip.ParseAddr(hosts[0]); err != nil && len(hosts[0]) <= 64 {
		// There is no longer common name; and openssl holds an address in it against the constraints on DNS names.
		template.Subject.CommonName = hosts[0]
	}
	for _, h := range hosts {
		if ip, err := netip.ParseAddr(h); err == nil {
			template.IPAddresses = append(template.IPAddresses, net.IP(ip.AsSlice()))
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	p, err := sign(template, key, by)
	if err != nil {
		return nil, nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{p.cert.Raw, by.cert.Raw}, PrivateKey: p.key, Leaf: p.cert}, p.key, nil
}
