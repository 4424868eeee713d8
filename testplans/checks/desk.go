package checks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/url"
	"strings"

	"fhirwire/proxy"
	"fhirwire/proxy/coding"
	"fhirwire/testplans"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/fhirpath"
	"fhirwire/validators/fhirpath/value"
)

// maxBody bounds the decoded bytes of a body that is read, maxKept those that stay in memory between questions: parsed they take about ten
// times as much.
const (
	maxBody = 64 << 20
	maxKept = 8 << 20
	maxLine = 10_000_000
)

// Desk is the work of one judging: bodies read, expressions compiled, variables captured. It is for one goroutine.
type Desk struct {
	model fhirpath.Model
	vars  map[string][]string
	exprs map[string]compiled

	bodies map[bodyKey]*Body
	kept   int
	// What is known of exchanges, by their ids, since each is compared with many others: the keys of the URLs that they name, who made them,
	// and the files that they list.
	names     map[string]given
	clients   map[string]client
	manifests map[string]files
	indexes   map[string]*index // by step
	// countings are the tallies of checks, questions what requests ask by exchange id, answers the values compared: all are asked again with
	// each new exchange.
	countings map[*testplans.Check]*counting
	questions map[string]question
	answers   map[string]answered
	values    map[valueKey]valued
	ledgers   map[string]*ledger // by step
	// directories are the endpoints of directory answers by the digest of their bodies, listings what was found in the entries of a step.
	directories map[bodyForm][]endpoint
	listings    map[string]*listing
}

// given are the keys of the URLs that a response names.
type given struct {
	keys []string
	why  string
}

type compiled struct{ typed, plain *fhirpath.Expr }

type bodyKey struct {
	id   string
	half testplans.Half
}

// NewDesk returns an empty desk over the types of model, which may be nil.
func NewDesk(model fhirpath.Model) *Desk {
	return &Desk{
		model: model, vars: map[string][]string{}, exprs: map[string]compiled{}, bodies: map[bodyKey]*Body{}, names: map[string]given{},
		clients: map[string]client{}, manifests: map[string]files{}, indexes: map[string]*index{}, countings: map[*testplans.Check]*counting{},
		questions: map[string]question{}, answers: map[string]answered{}, values: map[valueKey]valued{}, ledgers: map[string]*ledger{},
		directories: map[bodyForm][]endpoint{}, listings: map[string]*listing{},
	}
}

// Set gives a captured variable its values.
func (d *Desk) Set(name string, values []string) { d.vars[name] = values }

// Release lets go of the bodies, which are read again when they are asked for.
func (d *Desk) Release() {
	clear(d.bodies)
	d.kept = 0
}

// Body is a message's body as read: absent, readable, or not and why.
type Body struct {
	Text []byte
	// Why says what keeps the body from being judged; empty when it can be, also when there is none.
	Why string
	doc *fhirjson.Document
}

// Empty reports that no byte passed.
func (b *Body) Empty() bool { return b.Why == "" && len(b.Text) == 0 }

// JSON is the root of a JSON body; the string says why it is none.
func (b *Body) JSON() (*fhirjson.Node, string) {
	if b.doc == nil {
		b.doc = fhirjson.Parse(b.Text)
	}
	if p := b.doc.Fatal(); p != nil {
		return nil, p.Text
	}
	return b.doc.Root(), ""
}

// message is a half of the exchange, nil where there was none.
func message(ex *proxy.Exchange, half testplans.Half) *proxy.Message {
	if half == testplans.OnRequest {
		return &ex.Request.Message
	}
	if ex.Response == nil {
		return nil
	}
	return &ex.Response.Message
}

// Body reads a half's body, decoded. The error is for what we failed at.
func (d *Desk) Body(ctx context.Context, it Item, half testplans.Half) (*Body, error) {
	key := bodyKey{it.Exchange.ID, half}
	if b := d.bodies[key]; b != nil {
		return b, nil
	}
	b, err := readBody(ctx, it, half)
	if err != nil {
		return nil, fmt.Errorf("exchange %s: %s body: %w", it.Exchange.ID, half, err)
	}
	if d.kept += len(b.Text); d.kept > maxKept || len(d.bodies) > 1000 {
		clear(d.bodies)
		d.kept = len(b.Text)
	}
	d.bodies[key] = b
	return b, nil
}

// announcedOnly reports a request of whose body nothing passed until the answer came: a server that refuses by the headers need not read it,
// and how much of it passed until then is chance. Whole bodies that are empty are complete.
func announcedOnly(m *proxy.Message) bool {
	length := m.Header.Get("Content-Length")
	announced := length != "" && length != "0" || m.Header.Get("Transfer-Encoding") != "" || m.Header.Get("Content-Type") != ""
	return announced && m.Body.Empty() && !m.Body.Complete
}

func readBody(ctx context.Context, it Item, half testplans.Half) (*Body, error) {
	m := message(it.Exchange, half)
	if m != nil && half == testplans.OnRequest && announcedOnly(m) {
		return &Body{Why: "nothing of the body passed: the answer came before it"}, nil
	}
	if m == nil || m.Body.Empty() {
		return &Body{}, nil
	}
	switch b := m.Body; {
	case b.Withheld != "":
		return &Body{Why: "the body was not kept: " + b.Withheld}, nil
	case b.Digest == "" || b.Stored == 0:
		return &Body{Why: fmt.Sprintf("the body of %d bytes was not stored", b.Size)}, nil
	case b.Truncated():
		return &Body{Why: fmt.Sprintf("only %d of the body's %d bytes are stored", b.Stored, b.Size)}, nil
	case !b.Complete:
		return &Body{Why: "the body broke off before its end"}, nil
	}
	raw, err := it.Bodies.OpenBody(ctx, m.Body.Digest)
	if errors.Is(err, proxy.ErrNoBody) {
		return &Body{Why: "the body is not stored any more"}, nil
	}
	if err != nil {
		return nil, err
	}
	var stored bytes.Buffer
	stored.Grow(int(min(m.Body.Stored, maxBody)) + bytes.MinRead)
	_, err = stored.ReadFrom(raw)
	if cerr := raw.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, err
	}
	text, err := decode(stored.Bytes(), coding.Of(m.Header))
	if err != nil {
		return &Body{Why: "the body could not be decoded: " + err.Error()}, nil //nolint:nilerr // it is the sender's fault, or beyond us
	}
	if len(text) > maxBody {
		return &Body{Why: fmt.Sprintf("the body has more than %d bytes", maxBody)}, nil
	}
	return &Body{Text: text}, nil
}

// decode gives at most maxBody bytes and one.
func decode(stored []byte, codings []string) ([]byte, error) {
	if len(codings) == 0 {
		return stored, nil
	}
	r, err := coding.NewReader(bytes.NewReader(stored), codings, coding.Limits{Stored: int64(len(stored))})
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(r, maxBody+1))
	return text, errors.Join(err, r.Close())
}

// Expand replaces ${name} by the first value of a captured variable. ok is false when one has no value: missing names it.
func (d *Desk) Expand(s string) (out, missing string) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "${")
		b.WriteString(before)
		if !found {
			return b.String(), ""
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			b.WriteString("${" + rest)
			return b.String(), ""
		}
		if len(d.vars[name]) == 0 {
			return "", name
		}
		b.WriteString(d.vars[name][0])
		s = after
	}
}

// Truth evaluates an expression on a node: a FHIR resource with its types, other JSON by its names.
func (d *Desk) Truth(ctx context.Context, src string, root *fhirjson.Node) (bool, error) {
	return d.truth(ctx, src, root, nil)
}

// truth is Truth with more variables.
func (d *Desk) truth(ctx context.Context, src string, root *fhirjson.Node, more map[string][]string) (bool, error) {
	x, env, err := d.prepare(src, root)
	if err != nil {
		return false, err
	}
	for name, values := range more {
		env.Vars[name] = value.Collection{}
		for _, v := range values {
			env.Vars[name] = append(env.Vars[name], value.String(v))
		}
	}
	return x.Truth(ctx, root, env)
}

// Strings evaluates an expression on a node and gives the results that have a text.
func (d *Desk) Strings(ctx context.Context, src string, root *fhirjson.Node) ([]string, error) {
	x, env, err := d.prepare(src, root)
	if err != nil {
		return nil, err
	}
	results, err := x.Eval(ctx, root, env)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, v := range results {
		if s := v.String(); s != "" {
			out = append(out, strings.Clone(s)) // a part of the body would keep all of it
		}
	}
	return out, nil
}

func (d *Desk) prepare(src string, root *fhirjson.Node) (*fhirpath.Expr, fhirpath.Env, error) {
	c, ok := d.exprs[src]
	if !ok {
		var err error
		if c.plain, err = fhirpath.Compile(src, nil); err != nil {
			return nil, fhirpath.Env{}, err
		}
		if c.typed, err = fhirpath.Compile(src, d.model); err != nil {
			return nil, fhirpath.Env{}, err
		}
		d.exprs[src] = c
	}
	env := fhirpath.Env{Vars: make(map[string]value.Collection, len(d.vars))}
	for name, values := range d.vars {
		for _, v := range values {
			env.Vars[name] = append(env.Vars[name], value.String(v))
		}
	}
	if root.ResourceType() == "" {
		return c.plain, env, nil
	}
	return c.typed, env, nil
}

// target is the request's URL as the server saw it.
func target(ex *proxy.Exchange) string {
	if ex.Request.Target != "" {
		return ex.Request.Target
	}
	return ex.Request.URL
}

// Parameters are what the request asks with: its query, a form body, and the simple values of a Parameters resource.
func (d *Desk) Parameters(ctx context.Context, it Item) (values url.Values, why string, err error) {
	values = url.Values{}
	if u, err := url.Parse(target(it.Exchange)); err == nil {
		values = u.Query() // what cannot be read in it is left out
	}
	m := &it.Exchange.Request.Message
	media, _, _ := mime.ParseMediaType(m.Header.Get("Content-Type")) // of a faulty one the type is still given
	form := media == "application/x-www-form-urlencoded"
	if m.Body.Empty() || !form && !strings.Contains(media, "json") {
		return values, "", nil
	}
	body, err := d.Body(ctx, it, testplans.OnRequest)
	if err != nil || body.Why != "" {
		return values, body.why(), err
	}
	if form {
		more, err := url.ParseQuery(string(body.Text))
		if err != nil {
			why = "the form body is not well-formed: " + err.Error()
		}
		for name, v := range more {
			values[name] = append(values[name], v...)
		}
		return values, why, nil
	}
	root, fault := body.JSON()
	if fault != "" || root.ResourceType() != "Parameters" {
		return values, "", nil //nolint:nilerr // a check of the body says so
	}
	for p := range children(root.Member("parameter")) {
		for v := range children(p) {
			if !strings.HasPrefix(v.Key(), "value") {
				continue
			}
			if v.Kind() == fhirjson.Object {
				v = v.Member("reference")
			}
			if v != nil {
				values.Add(p.MemberText("name"), v.Text())
			}
		}
	}
	return values, "", nil
}

func (b *Body) why() string {
	if b == nil {
		return ""
	}
	return b.Why
}

func children(n *fhirjson.Node) func(func(*fhirjson.Node) bool) {
	return func(yield func(*fhirjson.Node) bool) {
		if n == nil {
			return
		}
		for c := n.First(); c != nil; c = c.Next() {
			if !yield(c) {
				return
			}
		}
	}
}
