package api

import (
	"net/http"
	"strconv"
	"time"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/validators"
)

// List is one page of a list. Next and Previous are cursors, empty when there is no such page.
type List[T any] struct {
	Items    []T    `json:"items"`
	Total    int    `json:"total"`
	Next     string `json:"next,omitempty"`
	Previous string `json:"previous,omitempty"`
}

// System is a test system.
type System struct {
	ID        string       `json:"id"`
	Slug      string       `json:"slug"`
	Name      string       `json:"name"`
	Roles     []proxy.Role `json:"roles"`
	BaseURL   string       `json:"base_url,omitempty"`
	Simulated bool         `json:"simulated"`

	Options proxy.SystemOptions `json:"options,omitzero"`
	Created time.Time           `json:"created"`
}

// SystemInput registers or changes a system. An empty slug is made from the name; absent options stay as they are.
type SystemInput struct {
	Slug    string       `json:"slug"`
	Name    string       `json:"name"`
	Roles   []proxy.Role `json:"roles"`
	BaseURL string       `json:"base_url"`

	Options *proxy.SystemOptions `json:"options"`
}

// Channel is a pair of systems with its proxy URL.
type Channel struct {
	ID        string               `json:"id"`
	Name      string               `json:"name"`
	ClientID  string               `json:"client_id"`
	ServerID  string               `json:"server_id"`
	ServerURL string               `json:"server_url"`
	ProxyURL  string               `json:"proxy_url"`
	Options   proxy.ChannelOptions `json:"options"`
	Created   time.Time            `json:"created"`
}

// ChannelInput connects two systems, or changes a channel's options.
type ChannelInput struct {
	ClientID string               `json:"client_id"`
	ServerID string               `json:"server_id"`
	Options  proxy.ChannelOptions `json:"options"`
}

// ExchangeItem is an exchange in a list.
type ExchangeItem struct {
	ID          string              `json:"id"`
	Number      int64               `json:"number"`
	Channel     string              `json:"channel,omitempty"`
	Mode        proxy.Mode          `json:"mode"`
	Interaction Interaction         `json:"interaction"`
	Method      string              `json:"method"`
	URL         string              `json:"url"`
	Status      int                 `json:"status,omitempty"`
	Size        int64               `json:"size"`
	Start       time.Time           `json:"start"`
	DurationMS  float64             `json:"duration_ms"`
	Failure     *Failure            `json:"failure,omitempty"`
	State       testplans.State     `json:"state"`
	Verdict     testplans.Verdict   `json:"verdict,omitempty"`
	Summary     *validators.Summary `json:"summary,omitempty"`
	// Insecure: the server's certificate was not verified.
	Insecure bool `json:"insecure,omitempty"`
}

// Interaction is what an exchange is.
type Interaction struct {
	Kind         proxy.Kind `json:"kind"`
	ResourceType string     `json:"resource_type,omitempty"`
	ResourceID   string     `json:"resource_id,omitempty"`
	Operation    string     `json:"operation,omitempty"`
	Label        string     `json:"label"`
}

// Failure is why an exchange did not run to its end.
type Failure struct {
	Reason proxy.Reason `json:"reason"`
	Side   string       `json:"side"`
	Detail string       `json:"detail,omitempty"`
}

// Exchange is an exchange with its messages.
type Exchange struct {
	ExchangeItem
	Matched    string       `json:"matched,omitempty"`
	ClientAddr string       `json:"client_addr,omitempty"`
	ClientLeg  *Leg         `json:"client_leg,omitempty"`
	ServerLeg  *Leg         `json:"server_leg,omitempty"`
	Request    Message      `json:"request"`
	Response   *Message     `json:"response,omitempty"`
	Edits      []proxy.Edit `json:"edits"`
	Timing     Timing       `json:"timing"`
	Report     string       `json:"report"`
}

// Message is a request or a response; fields of the other half are absent.
type Message struct {
	Method    string        `json:"method,omitempty"`
	URL       string        `json:"url,omitempty"`
	Target    string        `json:"target,omitempty"`
	Status    int           `json:"status,omitempty"`
	Protocol  string        `json:"protocol"`
	Headers   []proxy.Field `json:"headers"`
	Trailers  []proxy.Field `json:"trailers,omitempty"`
	Body      Body          `json:"body"`
	Forwarded *Body         `json:"forwarded,omitempty"`
}

// Body describes a body; its bytes are at Href.
type Body struct {
	Size      int64        `json:"size"`
	Stored    int64        `json:"stored"`
	SHA256    proxy.Digest `json:"sha256,omitempty"`
	Complete  bool         `json:"complete"`
	Truncated bool         `json:"truncated"`
	Redacted  bool         `json:"redacted"`
	Href      string       `json:"href,omitempty"`
}

// Timing holds the moments that were seen.
type Timing struct {
	Start              time.Time  `json:"start"`
	RequestDone        *time.Time `json:"request_done,omitempty"`
	Connected          *time.Time `json:"connected,omitempty"`
	FirstByte          *time.Time `json:"first_byte,omitempty"`
	End                *time.Time `json:"end,omitempty"`
	ReusedUpConnection bool       `json:"reused_upstream_connection"`
}

func systemOf(s *proxy.System) System {
	return System{ID: s.ID, Slug: s.Slug, Name: s.Name, Roles: s.Roles, BaseURL: s.BaseURL, Simulated: s.Simulated, Options: s.Options, Created: s.Created}
}

func (a *API) channelOf(c *proxy.Channel) Channel {
	return Channel{
		ID: c.ID, Name: c.Name, ClientID: c.ClientID, ServerID: c.ServerID, ServerURL: c.ServerURL,
		ProxyURL: c.ClientBase(a.opts.ProxyURL), Options: c.Options, Created: c.Created,
	}
}

func itemOf(e *proxy.Exchange, sum *validators.Summary) ExchangeItem {
	item := ExchangeItem{
		ID: e.ID, Number: e.Number, Channel: e.Channel, Mode: e.Mode,
		Interaction: Interaction{
			Kind: e.Interaction.Kind, ResourceType: e.Interaction.ResourceType, ResourceID: e.Interaction.ResourceID,
			Operation: e.Interaction.Operation, Label: e.Interaction.Label(),
		},
		Method: e.Request.Method, URL: e.Request.URL, Status: e.Status(),
		Start: e.Timing.Start, DurationMS: float64(e.Timing.Duration().Microseconds()) / 1000,
		State: testplans.Evaluating, Summary: sum, Insecure: e.Insecure(),
	}
	if e.Response != nil {
		item.Size = e.Response.Body.Size
	}
	if f := e.Failure; f != nil {
		item.Failure = &Failure{Reason: f.Reason, Side: f.Side, Detail: f.Detail}
	}
	if sum != nil {
		item.State, item.Verdict = testplans.Done, testplans.OfReport(*sum)
	}
	return item
}

func exchangeOf(e *proxy.Exchange, sum *validators.Summary) Exchange {
	self := "/api/v1/exchanges/" + e.ID
	out := Exchange{
		ExchangeItem: itemOf(e, sum), Matched: e.Matched, ClientAddr: e.ClientAddr, ClientLeg: legOf(e.ClientLeg), ServerLeg: legOf(e.ServerLeg), Edits: e.Edits, Report: self + "/report",
		Request: messageOf(e.Request.Message, self+"/request/body"),
		Timing: Timing{
			Start: e.Timing.Start, RequestDone: moment(e.Timing.RequestDone), Connected: moment(e.Timing.Connected),
			FirstByte: moment(e.Timing.FirstByte), End: moment(e.Timing.End), ReusedUpConnection: e.Timing.ReusedUpConn,
		},
	}
	if out.Edits == nil {
		out.Edits = []proxy.Edit{}
	}
	out.Request.Method, out.Request.URL, out.Request.Target = e.Request.Method, e.Request.URL, e.Request.Target
	if r := e.Response; r != nil {
		m := messageOf(r.Message, self+"/response/body")
		m.Status = r.Status
		if r.Forwarded != nil {
			m.Forwarded = new(bodyOf(*r.Forwarded, ""))
		}
		out.Response = &m
	}
	return out
}

func messageOf(m proxy.Message, href string) Message {
	out := Message{Protocol: m.Proto, Headers: m.Header, Trailers: m.Trailer, Body: bodyOf(m.Body, href)}
	if out.Headers == nil {
		out.Headers = []proxy.Field{}
	}
	return out
}

func bodyOf(b proxy.Body, href string) Body {
	out := Body{Size: b.Size, Stored: b.Stored, SHA256: b.Digest, Complete: b.Complete, Truncated: b.Truncated(), Redacted: b.Redacted}
	if !b.Empty() {
		out.Href = href
	}
	return out
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// A cursor is "b" or "a" (before, after) and an exchange's number. It is opaque to clients.
func parseCursor(s string) (before, after int64, err error) {
	if s == "" {
		return 0, 0, nil
	}
	n, bad := strconv.ParseInt(s[1:], 10, 64)
	switch {
	case bad != nil || n < 1:
	case s[0] == 'b':
		return n, 0, nil
	case s[0] == 'a':
		return 0, n, nil
	}
	return 0, 0, failed(http.StatusBadRequest, "The cursor is not one that this list gave out. Leave it out to start from the newest.")
}
