package proxy

// Edit is one declared change the proxy made between what it received and what it forwarded.
type Edit struct {
	// Where the edit is: "response header", "response body", "request header" or "request URL".
	Where string `json:"where"`
	// At is the header's name or an RFC 6901 JSON Pointer into the original body.
	At string `json:"at"`
	// From and To are the original and the forwarded value.
	From string `json:"from"`
	To   string `json:"to"`
}
