package views

// Forward says how a channel is used with the client's own URLs; no Copies: there is no forward proxy.
type Forward struct {
	Text   string
	Copies []Copy
	// RootHref leads to the certificate that clients have to trust; empty where the server is reached in clear.
	RootHref string
}
