package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"fhirwire/proxy"
)

type systemRow struct {
	ID        string `gorm:"primaryKey"`
	Slug      string
	Name      string
	Roles     string // comma-separated
	BaseURL   string
	Simulated bool
	Options   string // JSON
	CreatedUS int64
}

func (systemRow) TableName() string { return "systems" }

type channelRow struct {
	ID        string `gorm:"primaryKey"`
	Name      string
	ClientID  string
	ServerID  string
	Options   string // JSON
	CreatedUS int64
}

func (channelRow) TableName() string { return "channels" }

// exchangeRow is what lists show and filters ask for; the rest is in exchange_details.
type exchangeRow struct {
	Number        int64 `gorm:"primaryKey;autoIncrement"`
	ID            string
	Channel       string
	Client        string
	Server        string
	Mode          string
	Kind          string
	ResourceType  string
	ResourceID    string
	Operation     string
	Method        string
	URL           string
	Target        string
	Status        int
	Answered      bool
	RequestSize   int64
	ResponseSize  int64
	StartUS       int64
	FirstByteUS   int64
	EndUS         int64
	DurationUS    int64
	Failure       string
	FailureSide   string
	FailureDetail string
	Edits         int
	ServerTrust   string
}

func (exchangeRow) TableName() string { return "exchanges" }

type detailRow struct {
	Number int64 `gorm:"primaryKey;autoIncrement:false"`
	Detail []byte
}

func (detailRow) TableName() string { return "exchange_details" }

type bodyRow struct {
	Digest   string `gorm:"primaryKey"`
	Stored   int64
	Redacted bool
	Data     []byte // nil when the bytes are in the blob
	Blob     string // key in Blobs, "" when the bytes are here
}

func (bodyRow) TableName() string { return "bodies" }

type pendingRow struct {
	Number int64 `gorm:"primaryKey;autoIncrement:false"`
}

func (pendingRow) TableName() string { return "pending" }

type bulkURLRow struct {
	URL  string `gorm:"primaryKey"`
	Kind string
}

func (bulkURLRow) TableName() string { return "bulk_urls" }

// detail is the JSON of what the exchange row does not hold.
type detail struct {
	Matched    string       `json:"matched,omitempty"`
	ClientAddr string       `json:"clientAddr,omitempty"`
	Request    message      `json:"request"`
	Response   *message     `json:"response,omitempty"`
	Forwarded  *body        `json:"forwarded,omitempty"`
	Edits      []proxy.Edit `json:"edits,omitempty"`
	Times      times        `json:"times"`
	ClientLeg  *leg         `json:"clientLeg,omitempty"`
	ServerLeg  *leg         `json:"serverLeg,omitempty"`
	// Raw holds column values that are not text (invalid UTF-8), by column.
	Raw map[string][]byte `json:"raw,omitempty"`
}

type message struct {
	Proto   string  `json:"proto"`
	Header  []field `json:"header,omitempty"`
	Trailer []field `json:"trailer,omitempty"`
	Body    body    `json:"body"`
}

// field is a header line; a value that is not UTF-8 is in Raw, since JSON would change it.
type field struct {
	Name  string `json:"n"`
	Value string `json:"v,omitempty"`
	Raw   []byte `json:"raw,omitempty"`
}

type body struct {
	Size     int64        `json:"size"`
	Stored   int64        `json:"stored"`
	Digest   proxy.Digest `json:"digest,omitempty"`
	Complete bool         `json:"complete"`
	Redacted bool         `json:"redacted,omitempty"`
	Withheld string       `json:"withheld,omitempty"`
}

func bodyOf(b proxy.Body) body {
	return body{b.Size, b.Stored, b.Digest, b.Complete, b.Redacted, b.Withheld}
}

func (b body) word() proxy.Body {
	return proxy.Body{
		Size: b.Size, Stored: b.Stored, Digest: b.Digest, Complete: b.Complete, Redacted: b.Redacted, Withheld: b.Withheld,
	}
}

type times struct {
	RequestDone int64 `json:"requestDone,omitempty"`
	Connected   int64 `json:"connected,omitempty"`
	Reused      bool  `json:"reused,omitempty"`
}

// micros is t as stored: microseconds since 1970, 0 for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// text is s as a text column takes it in every dialect; the second result is false when that changes it.
func text(s string) (string, bool) {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s, true
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD"), false
}

// rowOf gives the exchange's row and detail, and the certificate chains that the detail refers to.
func rowOf(e *proxy.Exchange) (exchangeRow, []byte, map[string][]byte, error) {
	client, server := slugs(e.Channel)
	r := exchangeRow{
		ID: e.ID, Mode: string(e.Mode),
		Kind: string(e.Interaction.Kind), Status: e.Status(), RequestSize: e.Request.Body.Size,
		StartUS: micros(e.Timing.Start), FirstByteUS: micros(e.Timing.FirstByte), EndUS: micros(e.Timing.End),
		DurationUS: e.Timing.Duration().Microseconds(), Edits: len(e.Edits),
	}
	d := detail{
		Matched: e.Matched, ClientAddr: e.ClientAddr, Request: messageOf(&e.Request.Message), Edits: e.Edits,
		Times: times{micros(e.Timing.RequestDone), micros(e.Timing.Connected), e.Timing.ReusedUpConn},
		Raw:   make(map[string][]byte),
	}
	chains := make(map[string][]byte)
	var errs [2]error
	d.ClientLeg, errs[0] = legOf(e.ClientLeg, chains)
	d.ServerLeg, errs[1] = legOf(e.ServerLeg, chains)
	if err := errors.Join(errs[:]...); err != nil {
		return exchangeRow{}, nil, nil, fmt.Errorf("exchange %s: %w", e.ID, err)
	}
	if e.Response != nil {
		m := messageOf(&e.Response.Message)
		d.Response, r.Answered, r.ResponseSize = &m, true, e.Response.Body.Size
		if e.Response.Forwarded != nil {
			b := bodyOf(*e.Response.Forwarded)
			d.Forwarded = &b
		}
	}
	if e.ServerLeg != nil && e.ServerLeg.TLS != nil {
		r.ServerTrust = string(e.ServerLeg.TLS.Trust)
	}
	failure := proxy.Failure{}
	if e.Failure != nil {
		failure = *e.Failure
		r.Failure, r.FailureSide = string(failure.Reason), failure.Side
	}
	for _, c := range []struct {
		name  string
		to    *string
		value string
	}{
		{"channel", &r.Channel, e.Channel},
		{"client", &r.Client, client},
		{"server", &r.Server, server},
		{"resource_type", &r.ResourceType, e.Interaction.ResourceType},
		{"resource_id", &r.ResourceID, e.Interaction.ResourceID},
		{"operation", &r.Operation, e.Interaction.Operation},
		{"method", &r.Method, e.Request.Method},
		{"url", &r.URL, e.Request.URL},
		{"target", &r.Target, e.Request.Target},
		{"failure_detail", &r.FailureDetail, failure.Detail},
	} {
		ok := false
		if *c.to, ok = text(c.value); !ok {
			d.Raw[c.name] = []byte(c.value)
		}
	}
	b, err := json.Marshal(d)
	if err != nil {
		return exchangeRow{}, nil, nil, fmt.Errorf("exchange %s: %w", e.ID, err)
	}
	return r, b, chains, nil
}

// slugs are the systems in a channel's name, CLIENT~SERVER or CLIENT~SERVER~SUFFIX.
func slugs(channel string) (client, server string) {
	client, rest, _ := strings.Cut(channel, "~")
	server, _, _ = strings.Cut(rest, "~")
	return client, server
}

func messageOf(m *proxy.Message) message {
	return message{Proto: m.Proto, Header: fieldsOf(m.Header), Trailer: fieldsOf(m.Trailer), Body: bodyOf(m.Body)}
}

func fieldsOf(h proxy.Header) []field {
	out := make([]field, len(h))
	for i, f := range h {
		out[i].Name, _ = text(f.Name)
		if utf8.ValidString(f.Value) {
			out[i].Value = f.Value
		} else {
			out[i].Raw = []byte(f.Value)
		}
	}
	return out
}

func (m message) word() proxy.Message {
	return proxy.Message{Proto: m.Proto, Header: header(m.Header), Trailer: header(m.Trailer), Body: m.Body.word()}
}

func header(fields []field) proxy.Header {
	if len(fields) == 0 {
		return nil
	}
	h := make(proxy.Header, len(fields))
	for i, f := range fields {
		h[i] = proxy.Field{Name: f.Name, Value: f.Value}
		if f.Raw != nil {
			h[i].Value = string(f.Raw)
		}
	}
	return h
}

// brief is the exchange as lists have it: without headers, digests and edits, and of the connections only whether the server was trusted.
func (r *exchangeRow) brief() *proxy.Exchange {
	e := &proxy.Exchange{
		ID: r.ID, Number: r.Number, Channel: r.Channel, Mode: proxy.Mode(r.Mode),
		Interaction: proxy.Interaction{
			Kind: proxy.Kind(r.Kind), ResourceType: r.ResourceType, ResourceID: r.ResourceID, Operation: r.Operation,
		},
		Request: proxy.Request{
			Message: proxy.Message{Body: proxy.Body{Size: r.RequestSize}},
			Method:  r.Method, URL: r.URL, Target: r.Target,
		},
		Timing: proxy.Timing{Start: fromMicros(r.StartUS), FirstByte: fromMicros(r.FirstByteUS), End: fromMicros(r.EndUS)},
	}
	if r.Answered {
		e.Response = &proxy.Response{Message: proxy.Message{Body: proxy.Body{Size: r.ResponseSize}}, Status: r.Status}
	}
	if r.ServerTrust != "" {
		e.ServerLeg = &proxy.Leg{TLS: &proxy.TLS{Trust: proxy.Trust(r.ServerTrust)}}
	}
	if r.Failure != "" {
		e.Failure = &proxy.Failure{Reason: proxy.Reason(r.Failure), Side: r.FailureSide, Detail: r.FailureDetail}
	}
	return e
}

// fullRow is an exchange's row with its detail.
type fullRow struct {
	Row    exchangeRow `gorm:"embedded"`
	Detail []byte
}

// full gives the exchanges with their details, in the same order.
func (s *Store) full(ctx context.Context, rows []fullRow) ([]*proxy.Exchange, error) {
	details, want := make([]detail, len(rows)), map[string]bool{}
	for i := range rows {
		d := &details[i]
		if err := json.Unmarshal(rows[i].Detail, d); err != nil {
			return nil, fmt.Errorf("exchange %s: stored detail: %w", rows[i].Row.ID, err)
		}
		d.ClientLeg.digests(want)
		d.ServerLeg.digests(want)
	}
	chains, err := s.chains(ctx, want)
	if err != nil {
		return nil, err
	}
	out := make([]*proxy.Exchange, len(rows))
	for i := range rows {
		out[i] = rows[i].Row.full(&details[i], chains)
	}
	return out, nil
}

func (r *exchangeRow) full(d *detail, chains map[string][]proxy.Certificate) *proxy.Exchange {
	e := r.brief()
	e.Matched, e.ClientAddr, e.Edits = d.Matched, d.ClientAddr, d.Edits
	e.ClientLeg, e.ServerLeg = d.ClientLeg.word(chains), d.ServerLeg.word(chains)
	e.Request.Message = d.Request.word()
	if e.Response != nil && d.Response != nil {
		e.Response.Message = d.Response.word()
		if d.Forwarded != nil {
			b := d.Forwarded.word()
			e.Response.Forwarded = &b
		}
	}
	e.Timing.RequestDone, e.Timing.Connected = fromMicros(d.Times.RequestDone), fromMicros(d.Times.Connected)
	e.Timing.ReusedUpConn = d.Times.Reused
	for column, to := range map[string]*string{
		"channel": &e.Channel, "method": &e.Request.Method, "url": &e.Request.URL, "target": &e.Request.Target,
		"resource_type": &e.Interaction.ResourceType, "resource_id": &e.Interaction.ResourceID,
		"operation": &e.Interaction.Operation,
	} {
		if v, ok := d.Raw[column]; ok {
			*to = string(v)
		}
	}
	if v, ok := d.Raw["failure_detail"]; ok && e.Failure != nil {
		e.Failure.Detail = string(v)
	}
	return e
}
