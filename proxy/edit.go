package proxy

// Edit is one declared change the proxy made between what it received and what it forwarded; or, where To equals From and Why is
// set, a URL that it looked at and left (see Left).
type Edit struct {
	// Where the edit is: "response header", "response body", "request header", "request URL" or "request body" (a form).
	Where string `json:"where"`
	// At is the header's name or an RFC 6901 JSON Pointer into the original body.
	At string `json:"at"`
	// From and To are the original and the forwarded value.
	From string `json:"from"`
	To   string `json:"to"`
	// Why is the reason in words, where it is more than that the URL must name the proxy.
	Why string `json:"why,omitempty"`
}

// Left reports that nothing was changed: the edit says why a URL stayed that a client may follow past the proxy.
func (e Edit) Left() bool { return e.Why != "" && e.From == e.To }

// The reasons for leaving a URL.
const (
	// WhyEscape: the URL's server is neither the channel's server nor one of its auxiliary servers.
	WhyEscape = "leads past the proxy: its server is not declared as an auxiliary server of this system"
	// WhyToken: the channel's discovery mode keeps the token endpoint.
	WhyToken = "left, so that assertions signed for the token endpoint keep their audience; token requests go past the proxy"
	// WhyIssuer: the URL is the issuer that signed tokens name.
	WhyIssuer = "left, because ID tokens that are signed name the issuer"
	// WhySigned: the URLs stand in signed data.
	WhySigned = "signed, so it cannot be changed: the URLs in it lead past the proxy"
	// WhySignedAudience: a signed authorization request names the proxy.
	WhySignedAudience = "signed, so it cannot be changed: the authorization server knows the FHIR server by its own URL and may refuse this one"
	// WhyForm: the document is in a form that is not rewritten.
	WhyForm = "a discovery document in this form is not rewritten: the URLs in it lead past the proxy"
)
