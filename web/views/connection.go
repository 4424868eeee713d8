package views

// Legs are the two connections of an exchange, side by side.
type Legs struct {
	// Notices are what concerns both: not verified, metadata only.
	Notices        []Notice
	Client, Server Leg
	// Binding says what becomes of tokens that are bound to a certificate.
	Binding []Notice
}

// Leg is one connection.
type Leg struct {
	Title string // "Client to proxy"
	Facts []Fact
	// Trust says on what the peer's certificate was accepted; its Title is empty where there is nothing to accept.
	Trust Notice
	// Empty says why there is no TLS; with Secure false there are no chains.
	Empty  string
	Secure bool
	Chains []Chain
}

// Chain is the certificates that one end presented, leaf first.
type Chain struct {
	Title        string
	Empty        string // in place of certificates
	Certificates []ChainCertificate
}

// ChainCertificate is one certificate of a chain.
type ChainCertificate struct {
	Role    string // "Leaf", "Issuer"
	Subject string
	Facts   []Fact
	// Warning is set when it was out of its time, or is about to be.
	Warning string
}
