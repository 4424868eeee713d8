package api

import (
	"time"

	"fhirwire/proxy"
)

// Leg is one of an exchange's two connections.
type Leg struct {
	Address string `json:"address,omitempty"`
	TLS     *TLS   `json:"tls,omitempty"`
	// Tunnel is set on the client's leg of a connection that was passed on unread.
	Tunnel *Tunnel `json:"tunnel,omitempty"`
}

// Tunnel is what can be said of a TLS connection that was passed on unread.
type Tunnel struct {
	ServerName string   `json:"server_name,omitempty"`
	Protocols  []string `json:"protocols,omitempty"`
	Sent       int64    `json:"sent"`
	Received   int64    `json:"received"`
}

// TLS is what a handshake showed, and whether the peer's certificate was accepted.
type TLS struct {
	Version           string        `json:"version,omitempty"`
	Cipher            string        `json:"cipher,omitempty"`
	ServerName        string        `json:"server_name,omitempty"`
	Protocol          string        `json:"protocol,omitempty"`
	Resumed           bool          `json:"resumed"`
	ClientCertAsked   bool          `json:"client_certificate_asked,omitempty"`
	ServerCertificate []Certificate `json:"server_certificates,omitempty"`
	ClientCertificate []Certificate `json:"client_certificates,omitempty"`
	// Gateway said which certificate the client presented (RFC 9440); nobody here saw that handshake.
	Gateway string      `json:"gateway,omitempty"`
	Trust   proxy.Trust `json:"trust,omitempty"`
	Detail  string      `json:"detail,omitempty"`
}

// Certificate describes an X.509 certificate; chains have the leaf first.
type Certificate struct {
	Subject     string    `json:"subject"`
	Issuer      string    `json:"issuer"`
	Serial      string    `json:"serial"`
	Names       []string  `json:"names,omitempty"`
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	Fingerprint string    `json:"sha256"`
	CA          bool      `json:"ca,omitempty"`
}

func legOf(l *proxy.Leg) *Leg {
	if l == nil {
		return nil
	}
	out := &Leg{Address: l.Address}
	if l.Tunnel != nil {
		out.Tunnel = new(Tunnel(*l.Tunnel))
	}
	if t := l.TLS; t != nil {
		out.TLS = &TLS{
			Version: t.Version, Cipher: t.Cipher, ServerName: t.ServerName, Protocol: t.Protocol, Resumed: t.Resumed, ClientCertAsked: t.Asked,
			ServerCertificate: chainOf(t.Server), ClientCertificate: chainOf(t.Client), Gateway: t.Gateway, Trust: t.Trust, Detail: t.Detail,
		}
	}
	return out
}

func chainOf(chain []proxy.Certificate) []Certificate {
	var out []Certificate
	for _, c := range chain {
		out = append(out, Certificate(c))
	}
	return out
}
