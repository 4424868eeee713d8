package checks

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"path"
	"slices"
	"strings"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/validators/fhirjson"
)

// Related reports whether it belongs to earlier in the way of f. why says what kept us from knowing.
func (d *Desk) Related(ctx context.Context, f *testplans.Follows, it, earlier Item) (ok bool, why string, err error) {
	switch f.By {
	case testplans.ByURL:
		return d.namedBy(ctx, it, earlier)
	case testplans.BySame:
		mine, theirs := d.requested(it), d.requested(earlier)
		return mine[0] == theirs[0] || mine[1] == theirs[1], "", nil
	case testplans.ByToken:
		token := bearer(it.Exchange)
		if token == "" {
			return false, "", nil
		}
		issued, why, err := d.member(ctx, earlier, "access_token")
		return issued != "" && secretKey(issued) == secretKey(token), why, err
	case testplans.ByClient:
		return d.sameClient(ctx, it, earlier)
	case testplans.ByID:
		return d.mentions(ctx, it, d.vars[f.Variable])
	case testplans.ByOrder:
		end := earlier.Exchange.Timing.End
		return !end.IsZero() && !it.Exchange.Timing.Start.Before(end), "", nil
	}
	return false, "the relation " + string(f.By) + " is not known", nil
}

// urlKey is a URL in the form in which two are compared: absolute, host in lower case, without a default port, a fragment and
// secrets, of which only fingerprints are kept, made in different places.
func urlKey(raw string, base *url.URL) string {
	u, err := url.Parse(raw)
	if err != nil || raw == "" {
		return ""
	}
	if base != nil {
		u = base.ResolveReference(u)
	}
	q := proxy.WithoutSecrets(u.Query())
	port := u.Port()
	if port == "80" && u.Scheme == "http" || port == "443" && u.Scheme == "https" {
		port = ""
	}
	key := strings.ToLower(u.Scheme + "://" + u.Hostname() + ":" + port)
	if p, err := url.PathUnescape(u.EscapedPath()); err == nil {
		key += p
	} else {
		key += u.EscapedPath()
	}
	if len(q) > 0 {
		key += "?" + q.Encode()
	}
	return key
}

// requested are the keys of the URL that was asked for, as the client and as the server saw it.
func (d *Desk) requested(it Item) [2]string {
	if it.Known != nil {
		if keys := it.Known.asked.Load(); keys != nil {
			return *keys
		}
	}
	keys := [2]string{urlKey(target(it.Exchange), nil)}
	if keys[1] = keys[0]; it.Exchange.Request.URL != target(it.Exchange) {
		keys[1] = urlKey(it.Exchange.Request.URL, nil)
	}
	if it.Known != nil {
		it.Known.asked.Store(&keys)
	}
	return keys
}

// namedBy reports whether the earlier response names the URL of it.
func (d *Desk) namedBy(ctx context.Context, it, earlier Item) (bool, string, error) {
	if earlier.Exchange.Response == nil {
		return false, "", nil
	}
	g, ok := d.names[earlier.Exchange.ID]
	if !ok {
		keys, why, err := d.named(ctx, earlier)
		if err != nil {
			return false, "", err
		}
		g = given{keys: keys, why: why}
		d.names[earlier.Exchange.ID] = g
	}
	for _, key := range d.requested(it) {
		if slices.Contains(g.keys, key) {
			return true, "", nil
		}
	}
	return false, g.why, nil
}

// named are the keys of the URLs in a response that a client is to ask for next.
func (d *Desk) named(ctx context.Context, it Item) (keys []string, why string, err error) {
	base, _ := url.Parse(target(it.Exchange)) // nil for a faulty one: relative URLs then match nothing
	add := func(raw string) {
		if key := urlKey(raw, base); key != "" {
			keys = append(keys, key)
		}
	}
	for _, name := range []string{"Content-Location", "Location"} {
		for v := range it.Exchange.Response.Header.Values(name) {
			add(v)
		}
	}
	for _, e := range it.Exchange.Edits { // what the client was told instead
		if e.Where == "response header" && (strings.EqualFold(e.At, "Content-Location") || strings.EqualFold(e.At, "Location")) {
			add(e.To)
		}
	}
	body, err := d.Body(ctx, it, testplans.OnResponse)
	if err != nil || body.Why != "" || !bytes.HasPrefix(bytes.TrimSpace(body.Text), []byte("{")) {
		return keys, body.why(), err
	}
	root, fault := body.JSON()
	if fault != "" {
		return keys, "", nil
	}
	for _, list := range []string{"output", "deleted", "error", "outcome", "link"} {
		for entry := range children(root.Member(list)) {
			if list != "link" || entry.MemberText("relation") == "next" {
				add(entry.MemberText("url"))
			}
		}
	}
	return keys, "", nil
}

// secretKey is what two occurrences of a secret have in common: its fingerprint, without the readable claims behind it.
func secretKey(s string) string {
	if strings.HasPrefix(s, "hmac:") {
		s, _, _ = strings.Cut(s, " ")
	}
	return s
}

// bearer is the request's bearer token, as recorded.
func bearer(ex *proxy.Exchange) string {
	scheme, token, _ := strings.Cut(ex.Request.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// member is the text of a member of a JSON response.
func (d *Desk) member(ctx context.Context, it Item, name string) (text, why string, err error) {
	body, err := d.Body(ctx, it, testplans.OnResponse)
	if err != nil || body.Why != "" || body.Empty() {
		return "", body.why(), err
	}
	root, fault := body.JSON()
	if fault != "" {
		return "", "", nil
	}
	return root.MemberText(name), "", nil
}

// sameClient reports whether it authenticates as the client that the earlier exchange registered or was made by.
func (d *Desk) sameClient(ctx context.Context, it, earlier Item) (bool, string, error) {
	mine, err := d.clientOf(ctx, it)
	if err != nil || len(mine.ids) == 0 {
		return false, mine.why, err
	}
	theirs, err := d.clientOf(ctx, earlier)
	if err != nil {
		return false, "", err
	}
	is := func(id string) bool { return id == theirs.registered || slices.Contains(theirs.ids, id) }
	return slices.ContainsFunc(mine.ids, is), theirs.whyNot, nil
}

// client is who made a request, and whom its response registered; why and whyNot say what kept us from knowing the one and the other.
type client struct {
	ids        []string
	registered string
	why        string
	whyNot     string
}

func (d *Desk) clientOf(ctx context.Context, it Item) (client, error) {
	c, ok := d.clients[it.Exchange.ID]
	if ok {
		return c, nil
	}
	var err error
	if c.ids, c.why, err = d.clientIDs(ctx, it); err != nil {
		return c, err
	}
	if c.registered, c.whyNot, err = d.member(ctx, it, "client_id"); err != nil {
		return c, err
	}
	for i, id := range c.ids {
		c.ids[i] = strings.Clone(id) // it is a part of the body
	}
	c.registered = strings.Clone(c.registered)
	d.clients[it.Exchange.ID] = c
	return c, nil
}

// clientIDs are the client ids that a request names: in its form, in Basic credentials, in an assertion or a token that is a JWT.
func (d *Desk) clientIDs(ctx context.Context, it Item) (ids []string, why string, err error) {
	values, why, err := d.Parameters(ctx, it)
	if err != nil {
		return nil, "", err
	}
	ids = slices.Clone(values["client_id"])
	for _, v := range slices.Concat(values["client_assertion"], slices.Collect(it.Exchange.Request.Header.Values("Authorization"))) {
		at := strings.IndexByte(v, '{')
		if at < 0 {
			continue
		}
		var claims map[string]any
		if json.Unmarshal([]byte(v[at:]), &claims) != nil {
			continue
		}
		names := []string{"client_id", "azp"}
		if slices.Contains(values["client_assertion"], v) {
			names = append(names, "iss", "sub") // of a token they are the issuer and the user
		}
		for _, name := range names {
			if id, ok := claims[name].(string); ok && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids, why, nil
}

// mentions reports whether the request has one of values: as a path segment, a parameter (or the id of a reference in one) or a
// string of its JSON body.
func (d *Desk) mentions(ctx context.Context, it Item, values []string) (bool, string, error) {
	if len(values) == 0 {
		return false, "", nil
	}
	is := func(s string) bool {
		return slices.ContainsFunc(values, func(v string) bool { return SameID(s, v) })
	}
	u, err := url.Parse(target(it.Exchange))
	if err == nil && slices.ContainsFunc(strings.Split(u.Path, "/"), is) {
		return true, "", nil
	}
	parameters, why, err := d.Parameters(ctx, it)
	if err != nil {
		return false, "", err
	}
	for _, list := range parameters {
		for _, v := range list {
			if slices.ContainsFunc(strings.Split(v, ","), is) {
				return true, "", nil
			}
		}
	}
	body, err := d.Body(ctx, it, testplans.OnRequest)
	if err != nil || body.Why != "" || body.Empty() {
		return false, why, err
	}
	root, fault := body.JSON()
	return fault == "" && anyString(root, is), why, nil
}

func anyString(n *fhirjson.Node, is func(string) bool) bool {
	if n.Kind() == fhirjson.String {
		return is(n.Text())
	}
	for c := range children(n) {
		if anyString(c, is) {
			return true
		}
	}
	return false
}

// SameID compares a value with one wanted: equal, a reference whose id it is (Patient/1 and 1), or a token search's code with its
// system (system|value and value).
func SameID(got, want string) bool {
	if got == want {
		return true
	}
	if want == "" || strings.ContainsAny(want, "/|") {
		return strings.HasSuffix(got, "/"+want) && want != ""
	}
	if _, code, ok := strings.Cut(got, "|"); ok {
		return code == want
	}
	return path.Base(got) == want && strings.Contains(got, "/")
}
