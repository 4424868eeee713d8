package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/acme"

	"fhirwire/proxy/localca"
)

// serverCertificates chooses what the TLS listener presents: the certificate of --tls-cert for the names it has, one by ACME for
// the names of --acme-hosts once there is one, one of the local CA for the listener's other names. Whoever asks for a name that is none of these
// gets the certificate for localhost and can see for himself that it is another one.
type serverCertificates struct {
	ca    *localca.Authority
	names []string // the listener's, in the form of localca.Host
	addr  string   // the listener's only address, "" if it has several
	file  *certificateFile
	acme  *acmeCertificates // nil without

	mu     sync.Mutex
	parsed map[*tls.Certificate][]*x509.Certificate
}

// config is the listener's. Client certificates are asked for and judged later, by what is registered.
func (s *serverCertificates) config() *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.get, ClientAuth: tls.RequestClientCert, NextProtos: []string{"h2", "http/1.1"}}
	if s.acme != nil {
		c.NextProtos = append(c.NextProtos, acme.ALPNProto)
	}
	return c
}

func (s *serverCertificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if s.acme != nil {
		if isACMEChallenge(hello) {
			return s.acme.challenge(hello)
		}
		if c := s.acme.current(hello.ServerName); c != nil {
			return c, nil
		}
	}
	name := hello.ServerName
	if name == "" { // a client that calls an address sends none
		if host, _, err := net.SplitHostPort(hello.Conn.LocalAddr().String()); err == nil {
			name = host
		}
	}
	return s.forName(name)
}

const anyName = "localhost"

func (s *serverCertificates) forName(name string) (*tls.Certificate, error) {
	if s.file != nil {
		c := s.file.current()
		if c.Leaf.VerifyHostname(name) == nil || !localca.Covers(s.names, name) {
			return c, nil
		}
	}
	if !localca.Covers(s.names, name) {
		name = anyName
	}
	return s.ca.Leaf(name)
}

// presents is the chain for a server name, for the record. Without a name it depends on the address that was called: where there
// are several it is left out, and so is a certificate by ACME, which may have been renewed.
func (s *serverCertificates) presents(name string) []*x509.Certificate {
	if name == "" {
		name = s.addr
	}
	if name == "" || s.acme != nil && slices.Contains(s.acme.hosts, name) {
		return nil
	}
	c, err := s.forName(name)
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if chain, ok := s.parsed[c]; ok {
		return chain
	}
	var chain []*x509.Certificate
	for _, raw := range c.Certificate {
		if p, err := x509.ParseCertificate(raw); err == nil {
			chain = append(chain, p)
		}
	}
	if s.parsed == nil || len(s.parsed) >= 64 {
		s.parsed = map[*tls.Certificate][]*x509.Certificate{}
	}
	s.parsed[c] = chain
	return chain
}

// certificateFile is a certificate and key in files, read again when they change.
type certificateFile struct {
	cert, key string
	now       func() time.Time
	logger    *slog.Logger

	mu      sync.Mutex // guards what follows
	loaded  *tls.Certificate
	state   string
	checked time.Time
}

const certificateAge = 5 * time.Second

func openCertificateFile(cert, key string, now func() time.Time, logger *slog.Logger) (*certificateFile, error) {
	f := &certificateFile{cert: cert, key: key, now: now, logger: logger}
	state, err := f.changed()
	if err != nil {
		return nil, err
	}
	c, err := f.read()
	if err != nil {
		return nil, err
	}
	f.loaded, f.state, f.checked = c, state, now()
	f.warn(context.Background())
	return f, nil
}

func (f *certificateFile) changed() (string, error) {
	var state strings.Builder
	for _, name := range []string{f.cert, f.key} {
		info, err := os.Stat(name)
		if err != nil {
			return "", err
		}
		_, _ = fmt.Fprintln(&state, info.Size(), info.ModTime().UnixNano())
	}
	return state.String(), nil
}

func (f *certificateFile) read() (*tls.Certificate, error) {
	c, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, err
	}
	if c.Leaf == nil {
		return nil, errors.New("no certificate")
	}
	return &c, nil
}

// current is the certificate. What cannot be read, for instance between the writing of one file and the other, leaves it as it is.
func (f *certificateFile) current() *tls.Certificate {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if now.Sub(f.checked).Abs() < certificateAge {
		return f.loaded
	}
	f.checked = now
	state, err := f.changed()
	if err == nil && state == f.state {
		return f.loaded
	}
	var c *tls.Certificate
	if err == nil {
		c, err = f.read()
	}
	if err != nil {
		f.logger.WarnContext(context.Background(), "the TLS certificate changed and cannot be read; the one before stays in use", "file", f.cert, "error", err)
		return f.loaded
	}
	f.loaded, f.state = c, state
	f.warn(context.Background())
	return c
}
