package proxy

import "time"

// Leg is one of the two connections of an exchange, as far as the proxy saw it: client to proxy, or proxy to server.
type Leg struct {
	// Address is the peer's IP address and port.
	Address string `json:"address,omitempty"`
	// TLS is nil on a connection in clear.
	TLS *TLS `json:"tls,omitempty"`
	// Tunnel is set on the client's leg of a connection that was passed on unread (ModeTunnel).
	Tunnel *Tunnel `json:"tunnel,omitempty"`
}

// Tunnel is what can be said of a TLS connection that was passed on unread: what its ClientHello shows in clear, and sizes.
type Tunnel struct {
	ServerName string `json:"serverName,omitempty"`
	// Protocols are those the client offered by ALPN; which one the server chose is encrypted.
	Protocols []string `json:"protocols,omitempty"`
	// Sent and Received count the encrypted bytes to and from the server.
	Sent     int64 `json:"sent"`
	Received int64 `json:"received"`
}

// TLS is what a handshake showed.
type TLS struct {
	Version    string `json:"version"` // "TLS 1.3"
	Cipher     string `json:"cipher"`  // "TLS_AES_128_GCM_SHA256"
	ServerName string `json:"serverName,omitempty"`
	Protocol   string `json:"protocol,omitempty"` // negotiated by ALPN: "h2"
	Resumed    bool   `json:"resumed,omitempty"`
	// Server is the chain that the leg's server side presented, leaf first: on the client's leg that is the proxy's own.
	Server []Certificate `json:"server,omitempty"`
	// Client is the chain that the leg's client side presented, leaf first; empty when it presented none.
	Client []Certificate `json:"client,omitempty"`
	// Gateway, on the client's leg, is the address of a gateway in front of the proxy that said which certificate its client presented
	// (RFC 9440). What else is here, and in clear nothing, is of the connection with the gateway.
	Gateway string `json:"gateway,omitempty"`
	// Asked: the server asked for a client certificate. It is known on the server's leg only.
	Asked bool `json:"asked,omitempty"`
	// Trust says what the peer's certificate was accepted on: the client's on the client's leg, the server's on the other.
	Trust Trust `json:"trust,omitempty"`
	// Detail says more of Trust: the file of the CA, the directory entry, why it was not trusted.
	Detail string `json:"detail,omitempty"`
}

// Trust is what a peer's certificate was accepted on.
type Trust string

// The kinds of trust.
const (
	TrustNone      Trust = "none"      // the peer presented no certificate
	TrustPublic    Trust = "public"    // the machine's root certificates
	TrustServerCA  Trust = "server-ca" // a CA given for this server system
	TrustEventCA   Trust = "event-ca"  // the event's CA for client certificates
	TrustLocalCA   Trust = "local-ca"  // fhirwire's own CA
	TrustPinned    Trust = "pinned"    // the fingerprint is on record for the system
	TrustDirectory Trust = "directory" // an entry of the endpoint directory names it
	TrustInsecure  Trust = "insecure"  // not verified: a person switched verification off for a time
	TrustRefused   Trust = "refused"   // not accepted
)

// Certificate is what people need to know of an X.509 certificate; never a key.
type Certificate struct {
	Subject string `json:"subject"`
	Issuer  string `json:"issuer"`
	Serial  string `json:"serial"` // hexadecimal
	// Names are the subject alternative names: DNS names, IP addresses and URIs.
	Names     []string  `json:"names,omitempty"`
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
	// Fingerprint is the SHA-256 of the DER form in lower-case hexadecimal.
	Fingerprint string `json:"fingerprint"`
	CA          bool   `json:"ca,omitempty"`
}
