package selfcheck

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"fhirwire/proxy"
)

const (
	largest = 16 << 20 // bytes of a document that are read
	// skewNoted and skewBad are differences between clocks: assertions live five minutes at most, and many servers allow no leeway.
	skewNoted = 30 * time.Second
	skewBad   = 5 * time.Minute
)

// answer is what a GET brought.
type answer struct {
	status int
	header http.Header
	body   []byte
	start  time.Time
	took   time.Duration
}

// get asks for a document below the base, as a FHIR client would.
func (t *target) get(ctx context.Context, path, accept string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, t.opt.Timeout)
	defer cancel()
	config := t.clientConfig()
	config.VerifyConnection = func(s tls.ConnectionState) error {
		if t.insecure() {
			return nil
		}
		return t.verify(s.PeerCertificates)
	}
	transport := &http.Transport{DialContext: t.dial, TLSClientConfig: config, ForceAttemptHTTP2: true, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.base+path, http.NoBody)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Accept", accept)
	a := answer{start: t.opt.Clock()}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return a, err
	}
	defer func() { _ = res.Body.Close() }() // read to its end below, or given up
	a.took = t.opt.Clock().Sub(a.start)
	a.status, a.header = res.StatusCode, res.Header
	a.body, err = io.ReadAll(io.LimitReader(res.Body, largest+1))
	if err == nil && len(a.body) > largest {
		err = fmt.Errorf("the document is larger than %d MiB", largest>>20)
	}
	return a, err
}

// capabilities are the parts of a CapabilityStatement that a check looks at.
type capabilities struct {
	ResourceType   string `json:"resourceType"`
	FHIRVersion    string `json:"fhirVersion"`
	Implementation struct {
		URL string `json:"url"`
	} `json:"implementation"`
	Rest []struct {
		Security struct {
			Extension []struct {
				URL string `json:"url"`
			} `json:"extension"`
			Service []struct {
				Coding []struct {
					Code string `json:"code"`
				} `json:"coding"`
			} `json:"service"`
		} `json:"security"`
	} `json:"rest"`
}

func (t *target) metadata(ctx context.Context) {
	p := proxy.Probe{ID: t.id + "-metadata", Title: "CapabilityStatement", Side: "server", Outcome: proxy.ProbeProblem}
	a, err := t.get(ctx, "/metadata", "application/fhir+json")
	p.Took = a.took
	if err != nil {
		p.Side, p.Text, p.Action = t.requestWords("metadata", err)
		t.add(p)
		return
	}
	var doc capabilities
	kind, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	switch {
	case a.status >= 300 && a.status < 400:
		p.Text = fmt.Sprintf("GET metadata leads elsewhere (%d to %s). The proxy does not follow redirects, and many FHIR clients do not either.", a.status, cmp.Or(a.header.Get("Location"), "an unnamed place"))
		p.Action = t.register("the URL that the redirect leads to.")
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		p.Text = fmt.Sprintf("GET metadata was answered %d: the CapabilityStatement is not open.", a.status)
		p.Action = "Let everybody read metadata: clients need it before they have a token."
	case a.status != http.StatusOK:
		p.Text = fmt.Sprintf("GET metadata was answered %d.", a.status)
		p.Action = "Check that the base URL is the FHIR base: metadata has to answer right below it."
	case json.Unmarshal(a.body, &doc) != nil || doc.ResourceType != "CapabilityStatement":
		p.Text = fmt.Sprintf("GET metadata was answered 200, but the body (%s) is no CapabilityStatement in JSON.", cmp.Or(kind, "no content type"))
		p.Action = "Check that the base URL is the FHIR base and that it can answer in JSON."
	case !strings.HasPrefix(doc.FHIRVersion, "4.0"):
		p.Text = fmt.Sprintf("The server says that it speaks FHIR %s; the guides of the tracks are for R4 (4.0.1).", cmp.Or(doc.FHIRVersion, "of no version"))
		p.Action = t.register("the server's R4 base URL.")
	case kind != "application/fhir+json":
		p.Outcome, p.Text = proxy.ProbeWarning, fmt.Sprintf("There is a CapabilityStatement of FHIR %s, sent as %s.", doc.FHIRVersion, cmp.Or(kind, "no content type"))
		p.Action = "Send it as application/fhir+json."
	default:
		p.Outcome, p.Side = proxy.ProbeOK, ""
		p.Text = fmt.Sprintf("FHIR %s, answered in %s.", doc.FHIRVersion, a.took.Round(time.Millisecond))
		if own := doc.Implementation.URL; own != "" && strings.TrimSuffix(own, "/") != strings.TrimSuffix(t.base, "/") {
			p.Outcome, p.Side = proxy.ProbeWarning, "server"
			p.Text += fmt.Sprintf(" It calls its base %s, which is not the one registered.", own)
			p.Action = "Use one of the two in both places: clients compare base URLs, and links may lead past the proxy."
		}
	}
	t.add(p)
	t.clock(a)
}

// clock compares the server's Date with ours.
func (t *target) clock(a answer) {
	p := proxy.Probe{ID: t.id + "-clock", Title: "Clocks", Outcome: proxy.ProbeNotChecked, Text: "The answer has no Date header to compare."}
	if theirs, err := http.ParseTime(a.header.Get("Date")); err == nil {
		// Date has whole seconds and was written between request and answer.
		skew := theirs.Add(500 * time.Millisecond).Sub(a.start.Add(a.took / 2)).Round(time.Second)
		off := max(skew, -skew)
		direction := "ahead of"
		if skew < 0 {
			direction = "behind"
		}
		switch {
		case off > skewBad:
			p.Outcome, p.Side = proxy.ProbeProblem, "server"
			p.Text = fmt.Sprintf("The server's clock is %s %s this machine's. Assertions and tokens will be refused.", off, direction)
			p.Action = "Find out which clock is wrong and set it by NTP."
		case off > skewNoted:
			p.Outcome, p.Side = proxy.ProbeWarning, "server"
			p.Text = fmt.Sprintf("The server's clock is %s %s this machine's.", off, direction)
			p.Action = "Set both clocks by NTP; signed assertions live five minutes at most."
		default:
			p.Outcome, p.Text = proxy.ProbeOK, fmt.Sprintf("The clocks differ by %s or less.", max(off, time.Second))
		}
	}
	t.add(p)
}

// documents are where discovery may be, with the members of each that name endpoints.
var documents = []struct{ path, name string }{
	{"/.well-known/smart-configuration", "SMART configuration"},
	{"/.well-known/udap", "UDAP metadata"},
}

func (t *target) discovery(ctx context.Context) {
	p := proxy.Probe{ID: t.id + "-discovery", Title: "Discovery documents", Outcome: proxy.ProbeOK}
	var found, problems []string
	side, action := "server", "Correct the document: clients that need a token start there."
	strangers := map[string]bool{}
	for _, d := range documents {
		a, err := t.get(ctx, d.path, "application/json")
		p.Took += a.took
		switch {
		case err != nil:
			var text string
			side, text, action = t.requestWords(d.name, err)
			problems = append(problems, text)
			continue
		case a.status == http.StatusNotFound || a.status == http.StatusNoContent:
			continue // offered by nobody
		case a.status != http.StatusOK:
			problems = append(problems, fmt.Sprintf("The %s was answered %d.", d.name, a.status))
			continue
		}
		var doc map[string]any
		if err := json.Unmarshal(a.body, &doc); err != nil {
			problems = append(problems, fmt.Sprintf("The %s is no JSON object.", d.name))
			continue
		}
		found = append(found, d.name)
		for key, v := range doc {
			text, ok := v.(string)
			if !ok || !strings.HasSuffix(key, "_endpoint") && key != "jwks_uri" {
				continue
			}
			if at := t.stranger(text); at != "" {
				strangers[at] = true
			}
		}
	}
	switch {
	case len(problems) > 0:
		p.Outcome, p.Side, p.Text, p.Action = proxy.ProbeProblem, side, strings.Join(problems, " "), action
	case len(found) == 0:
		p.Text = "The server offers neither a SMART configuration nor UDAP metadata. Clients of an open server need none."
	case len(strangers) > 0:
		hosts := make([]string, 0, len(strangers))
		for h := range strangers {
			hosts = append(hosts, h)
		}
		slices.Sort(hosts)
		p.Outcome, p.Side = proxy.ProbeWarning, "proxy"
		p.Text = fmt.Sprintf("%s found. Endpoints are on %s, which this channel does not cover: requests there will not be seen.", strings.Join(found, " and "), strings.Join(hosts, ", "))
		p.Action = "Declare them as auxiliary servers of the server system."
	default:
		p.Text = strings.Join(found, " and ") + " found; all endpoints are behind this channel."
	}
	t.add(p)
}

// stranger is the origin of a URL that neither the server nor an auxiliary server has; empty when it is covered.
func (t *target) stranger(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return ""
	}
	for _, base := range append([]proxy.Auxiliary{{URL: t.ch.ServerURL}}, t.ch.Server.Auxiliary...) {
		if b, err := url.Parse(base.URL); err == nil && strings.EqualFold(b.Host, u.Host) && b.Scheme == u.Scheme {
			return ""
		}
	}
	return u.Scheme + "://" + u.Host
}

// requestWords say why a request got no answer, and who has to do what.
func (t *target) requestWords(what string, err error) (side, text, action string) {
	if alertOf(err) != "" || t.asked && broken(err) { // the alert can get lost when the connection is reset behind it
		text = fmt.Sprintf("The server broke off the TLS connection when asked for %s: %s.", what, handshakeReason(err))
		if t.asked && !t.shown {
			return "proxy", text, "It wants a client certificate: " + t.either("choose one in the channel's settings.", "name one with --client-cert and --client-key.")
		}
		if t.shown {
			return "server", text, "It does not accept the certificate presented: give its fingerprint or its CA to the server's people."
		}
		return "server", text, "Ask what the server's log says about the handshake."
	}
	return "server", fmt.Sprintf("No answer to GET %s: %s.", what, dialReason(err)), "Ask whether the server is well; its log should show the request."
}
