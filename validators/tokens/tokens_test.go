package tokens_test

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/proxytest"
	"fhirwire/validators"
	"fhirwire/validators/tokens"
)

const (
	mine   = "acme-ehr~diamond-payer"
	theirs = "beta-app~diamond-payer"
	other  = "acme-ehr~cedar-payer"
)

// fp is the fingerprint that stands for a secret in the record.
func fp(secret string) string { return fmt.Sprintf("hmac:%016x", len(secret)*1000+int(secret[0])) }

// world builds exchanges in the order of their numbers.
type world struct {
	bodies proxytest.Bodies
	list   []*proxy.Exchange
}

func newWorld() *world { return &world{bodies: proxytest.Bodies{}} }

// at moves the last exchange to a second of the hour.
func (w *world) at(second int) *proxy.Exchange {
	ex := w.list[len(w.list)-1]
	start := time.Date(2025, 1, 15, 12, 0, second, 0, time.UTC)
	ex.Timing = proxy.Timing{Start: start, End: start.Add(time.Millisecond)}
	return ex
}

func (w *world) add(second int, channel string, in proxy.Interaction, method, path string, status int, response string) *proxy.Exchange {
	n := len(w.list) + 1
	ex := proxytest.Exchange(w.bodies, n, method, path, status, response)
	ex.Number, ex.Channel, ex.Interaction = int64(n), channel, in
	w.list = append(w.list, ex)
	return w.at(second)
}

// token is a token exchange by client secret.
func (w *world) token(second int, channel, form string, status int, response string) *proxy.Exchange {
	ex := w.add(second, channel, proxy.Interaction{Kind: proxy.KindToken}, "POST", "/oauth/token", status, response)
	ex.Request.Header = append(ex.Request.Header, proxy.Field{Name: "Authorization", Value: "Basic " + fp("secret") + ` {"client_id":"client%3A1"}`})
	ex.Request.Body = w.bodies.Add([]byte(form))
	return ex
}

func (w *world) grant(second int, token, scope string, life int) *proxy.Exchange {
	return w.token(second, mine, "grant_type=client_credentials&scope="+url.QueryEscape(scope), 200,
		fmt.Sprintf(`{"access_token":%q,"token_type":"bearer","expires_in":%d,"scope":%q}`, fp(token), life, scope))
}

func (w *world) use(second int, channel, token string, in proxy.Interaction, status int) *proxy.Exchange {
	ex := w.add(second, channel, in, "GET", "/fhir/x", status, "{}")
	ex.Request.Header = append(ex.Request.Header, proxy.Field{Name: "Authorization", Value: "Bearer " + fp(token)})
	return ex
}

func (w *world) ledger(o tokens.Options) *tokens.Ledger {
	l := tokens.New(o)
	for _, ex := range w.list {
		l.Add(ex, w.body(ex.Request.Body), w.body(ex.Response.Body))
	}
	return l
}

func (w *world) body(b proxy.Body) []byte { return w.bodies[b.Digest] }

// found are the findings of a channel as "rule severity side xtimes", sorted.
func found(l validators.Ledger) string {
	var out []string
	for _, f := range l.Findings {
		if f.Message == "" || f.Expected == "" || f.Found == "" || f.DoNext == "" || f.Exchange.ID == "" || f.Part == "" {
			out = append(out, "incomplete")
		}
		out = append(out, fmt.Sprintf("%s %s %s x%d", f.MessageID, f.Severity, f.Side, f.Times))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

var (
	readPatient   = proxy.Interaction{Kind: proxy.KindRead, ResourceType: "Patient", ResourceID: "1"}
	searchPatient = proxy.Interaction{Kind: proxy.KindSearchType, ResourceType: "Patient"}
	match         = proxy.Interaction{Kind: proxy.KindOperation, ResourceType: "Patient", Operation: "$member-match"}
)

func TestFindings(t *testing.T) {
	seen := map[string]bool{}
	const operation = "http://hl7.org/fhir/us/davinci-hrex/OperationDefinition/member-match"
	for _, c := range []struct {
		// rule is the one that the row is an example of, "" for a row without findings.
		rule, name string
		build      func(w *world)
		want       string
		// channel is where the findings are; empty: the client's own.
		channel string
	}{
		{"", "good", func(w *world) {
			w.grant(0, "a", "system/*.rs", 300)
			w.use(1, mine, "a", readPatient, 200)
			w.use(2, mine, "a", searchPatient, 200)
		}, "", ""},
		{"token-expired", "expired and refused", func(w *world) { w.grant(0, "a", "system/*.rs", 5); w.use(30, mine, "a", readPatient, 401) }, "token-expired information client x1", ""},
		{"token-expired", "expired and accepted, twice", func(w *world) {
			w.grant(0, "a", "system/*.rs", 5)
			w.use(30, mine, "a", readPatient, 200)
			w.use(31, mine, "a", readPatient, 200)
		}, "token-expired error server x2", ""},
		{"", "within the skew of clocks", func(w *world) { w.grant(0, "a", "system/*.rs", 5); w.use(12, mine, "a", readPatient, 200) }, "", ""},
		{"", "no expiry said", func(w *world) {
			w.token(0, mine, "grant_type=client_credentials&scope=system%2F*.rs", 200, `{"access_token":"`+fp("a")+`","expires_in":"soon"}`)
			w.use(3000, mine, "a", readPatient, 200)
		}, "", ""},
		{"token-scope", "scope too small, answered", func(w *world) { w.grant(0, "a", "system/Patient.s", 300); w.use(1, mine, "a", readPatient, 200) }, "token-scope warning server x1", ""},
		{"token-scope", "scope too small, refused", func(w *world) { w.grant(0, "a", operation, 300); w.use(1, mine, "a", searchPatient, 403) }, "token-scope information client x1", ""},
		{"", "identifier lookup after a match", func(w *world) {
			w.grant(0, "a", operation, 300)
			ex := w.use(1, mine, "a", searchPatient, 200)
			ex.Request.URL += "?identifier=x"
		}, "", ""},
		{"", "operation scope", func(w *world) { w.grant(0, "a", operation, 300); w.use(1, mine, "a", match, 200) }, "", ""},
		{"token-scope", "another operation's scope", func(w *world) {
			w.grant(0, "a", "http://hl7.org/fhir/us/davinci-pdex/OperationDefinition/BulkMemberMatch", 300)
			w.use(1, mine, "a", match, 200)
		}, "token-scope warning server x1", ""},
		{"", "scopes unknown to us", func(w *world) { w.grant(0, "a", "payer.all", 300); w.use(1, mine, "a", searchPatient, 200) }, "", ""},
		{"token-other-client", "another client", func(w *world) { w.grant(0, "a", "system/*.rs", 300); w.use(1, theirs, "a", readPatient, 200) }, "token-other-client error client x1", theirs},
		{"token-other-server", "another server", func(w *world) { w.grant(0, "a", "system/*.rs", 300); w.use(1, other, "a", readPatient, 401) }, "token-other-server error client x1", other},
		{"token-unknown", "unknown", func(w *world) { w.use(1, mine, "a", readPatient, 200); w.use(2, mine, "a", readPatient, 200) }, "token-unknown information client x2", ""},
		{"token-before-issue", "before issue", func(w *world) { w.use(1, mine, "a", readPatient, 200); w.grant(20, "a", "system/*.rs", 300) }, "token-before-issue warning client x1", ""},
		{"", "stored late", func(w *world) { w.use(30, mine, "a", readPatient, 200); w.grant(20, "a", "system/*.rs", 300) }, "", ""},
		{"token-refused", "refused though valid", func(w *world) { w.grant(0, "a", "system/*.rs", 300); w.use(1, mine, "a", readPatient, 401) }, "token-refused warning server x1", ""},
		{"token-in-query", "in the URL", func(w *world) {
			w.grant(0, "a", "system/*.rs", 300)
			ex := w.add(1, mine, readPatient, "GET", "/fhir/Patient/1?access_token="+fp("a"), 200, "{}")
			ex.Request.Header = nil
		}, "token-in-query error client x1", ""},
		{"token-patient", "another patient", func(w *world) {
			w.token(0, mine, "grant_type=client_credentials&scope=patient%2F*.rs&patient=2", 200, `{"access_token":"`+fp("a")+`","patient":"2"}`)
			w.use(1, mine, "a", readPatient, 200)
			w.use(2, mine, "a", searchPatient, 200)
		}, "token-patient error server x1", ""},
		{"token-unused", "unused", func(w *world) {
			w.grant(0, "a", "system/*.rs", 300)
			w.add(600, mine, proxy.Interaction{Kind: proxy.KindCapabilities}, "GET", "/fhir/metadata", 200, "{}")
		}, "token-unused information client x1", ""},
		{"assertion-reused", "assertion again", func(w *world) {
			form := "grant_type=client_credentials&client_assertion=" + url.QueryEscape(fp("x")+` jwt{"alg":"ES384","iss":"c"}`)
			w.token(0, mine, form, 400, `{"error":"invalid_client"}`)
			w.token(1, mine, form, 401, `{"error":"invalid_client"}`)
		}, "assertion-reused error client x1", ""},
		{"assertion-reused", "jti again, accepted", func(w *world) {
			form := func(s string) string {
				return "grant_type=client_credentials&client_assertion=" + url.QueryEscape(fp(s)+` jwt{"alg":"ES384","iss":"c","jti":"hmac:00000000000000ff"}`)
			}
			w.token(0, mine, form("x"), 401, `{"error":"invalid_client"}`)
			w.token(1, mine, form("yy"), 200, `{"access_token":"`+fp("a")+`"}`)
		}, "assertion-reused error both x1", ""},
		{"token-certificate", "another certificate", func(w *world) {
			certificate := func(f string) *proxy.Leg {
				return &proxy.Leg{TLS: &proxy.TLS{Client: []proxy.Certificate{{Fingerprint: f}}}}
			}
			w.grant(0, "a", "system/*.rs", 300).ClientLeg = certificate("aa")
			w.use(1, mine, "a", readPatient, 200).ClientLeg = certificate("aa")
			w.use(2, mine, "a", readPatient, 200).ClientLeg = certificate("bb")
			w.use(3, mine, "a", readPatient, 200)
		}, "token-certificate warning client x2", ""},
	} {
		seen[c.rule] = true
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			c.build(w)
			channel := c.channel
			if channel == "" {
				channel = mine
			}
			l := w.ledger(tokens.Options{})
			if got := found(l.Channel(channel)); got != c.want || !strings.HasPrefix(got, c.rule) {
				t.Errorf("found %q\nwant  %q", got, c.want)
			}
			for _, f := range l.Channel(channel).Findings {
				if !slices.ContainsFunc(tokens.Rules(), func(r validators.Rule) bool { return r.ID == f.MessageID && r.Severity.Rank() <= f.Severity.Rank() }) {
					t.Errorf("finding %s has no rule that allows it", f.MessageID)
				}
			}
		})
	}
	for _, r := range tokens.Rules() {
		if !seen[r.ID] {
			t.Errorf("rule %s has no example", r.ID)
		}
		if r.Title == "" || r.Source.URL == "" {
			t.Errorf("rule %s lacks a title or source", r.ID)
		}
	}
}

func TestGrants(t *testing.T) {
	w := newWorld()
	w.add(0, mine, proxy.Interaction{Kind: proxy.KindRegister}, "POST", "/oauth/register", 201, `{"client_id":"client:1"}`)
	w.grant(1, "a", "system/*.rs", 300)
	w.token(2, mine, "grant_type=client_credentials&scope=no", 400, `{"error":"invalid_scope"}`)
	signed := w.token(3, mine, "grant_type=client_credentials&scope=system%2F*.rs&client_assertion="+url.QueryEscape(fp("x")+` jwt{"alg":"ES384","iss":"client:2","aud":"https://t"}`), 200,
		`{"access_token":"`+fp("bb")+` jwt{\"scope\":\"system/Group.rs\",\"exp\":1736946000}"}`)
	signed.Request.Header = nil
	w.use(4, mine, "a", readPatient, 200)
	w.add(5, mine, readPatient, "GET", "/fhir/Patient/1", 401, "{}")
	l := w.ledger(tokens.Options{})
	got := l.Channel(mine)
	if len(got.Grants) != 3 || got.Without != 1 || len(got.Unknown) != 0 {
		t.Fatalf("ledger %+v", got)
	}
	jwt, refused, basic := got.Grants[0], got.Grants[1], got.Grants[2]
	if jwt.Method != "private_key_jwt" || jwt.Client != "client:2" || !slices.Equal(jwt.Scopes, []string{"system/Group.rs"}) || !jwt.Expires.Equal(time.Unix(1736946000, 0)) || !slices.Equal(jwt.Audience, []string{"https://t"}) {
		t.Errorf("by assertion %+v", jwt)
	}
	if refused.Issued() || refused.Error != "invalid_scope" || refused.Status != 400 {
		t.Errorf("refused %+v", refused)
	}
	if basic.Method != "client_secret_basic" || basic.Client != "client:1" || basic.Registered == nil || basic.Registered.ID != w.list[0].ID {
		t.Errorf("by secret %+v", basic)
	}
	if basic.UseCount != 1 || basic.Uses[0].ID != w.list[4].ID || basic.Uses[0].Enough != validators.EnoughYes || basic.Uses[0].Needs != "Patient.r" {
		t.Errorf("uses %+v", basic.Uses)
	}
	if want := w.list[1].Timing.End.Add(300 * time.Second); !basic.Expires.Equal(want) {
		t.Errorf("expires %v, want %v", basic.Expires, want)
	}

	a := l.Authorization(w.list[4])
	if a.Use == nil || a.Grant == nil || a.Grant.Request.ID != w.list[1].ID || a.Scheme != "Bearer" || a.Use.Enough != validators.EnoughYes || len(a.Findings) != 0 {
		t.Errorf("authorization %+v", a)
	}
	if a := l.Authorization(w.list[3]); a.Issued == nil || a.Issued.Method != "private_key_jwt" || a.Use != nil {
		t.Errorf("authorization of a token exchange %+v", a)
	}
	if a := l.Authorization(w.list[5]); a.Use != nil || a.Grant != nil || a.Issued != nil {
		t.Errorf("authorization of one without a token %+v", a)
	}
}

func TestScopes(t *testing.T) {
	w := newWorld()
	for _, c := range []struct {
		scopes string
		in     proxy.Interaction
		want   validators.Enough
	}{
		{"patient/*.read", readPatient, validators.EnoughYes},
		{"patient/Observation.read", readPatient, validators.EnoughNo},
		{"openid patient/Patient.rs?identifier=x", readPatient, validators.EnoughYes},
		{"system/Patient.cud", searchPatient, validators.EnoughNo},
		{"user/*.*", proxy.Interaction{Kind: proxy.KindDelete, ResourceType: "Patient"}, validators.EnoughYes},
		{"system/*.write", proxy.Interaction{Kind: proxy.KindCreate, ResourceType: "Patient"}, validators.EnoughYes},
		{"launch openid", readPatient, validators.EnoughUnknown},
		{"", readPatient, validators.EnoughUnknown},
		{"system/*.x", readPatient, validators.EnoughUnknown},
		{"system/*.rs", proxy.Interaction{Kind: proxy.KindBatch}, validators.EnoughUnknown},
		{"system/Group.rs", proxy.Interaction{Kind: proxy.KindBulkKickoff, Operation: "$export", ResourceType: "Group"}, validators.EnoughYes},
		{"system.Group.u?code=http://x|match", proxy.Interaction{Kind: proxy.KindRead, ResourceType: "Group"}, validators.EnoughYes},
		{"http://x/OperationDefinition/BulkMemberMatch", proxy.Interaction{Kind: proxy.KindOperation, Operation: "$bulk-member-match"}, validators.EnoughYes},
		{"http://x/OperationDefinition/member-match", proxy.Interaction{Kind: proxy.KindOperation, Operation: "$everything", ResourceType: "Patient"}, validators.EnoughNo},
	} {
		w.list = nil
		w.grant(0, "a", c.scopes, 300)
		if c.scopes == "" {
			w.list = nil
			w.token(0, mine, "", 200, `{"access_token":"`+fp("a")+`"}`)
		}
		u := w.use(1, mine, "a", c.in, 200)
		if got := w.ledger(tokens.Options{}).Authorization(u).Use.Enough; got != c.want {
			t.Errorf("%q for %s: %s, want %s", c.scopes, c.in.Label(), got, c.want)
		}
	}
}

// TestBounds: however much comes, what is kept is bounded and all of it counted.
func TestBounds(t *testing.T) {
	w := newWorld()
	w.grant(0, "a", "system/*.rs", 300)
	for i := range 100 {
		w.use(1+i%50, mine, "a", readPatient, 200)
	}
	g := w.ledger(tokens.Options{MaxUses: 20}).Channel(mine).Grants[0]
	if g.UseCount != 100 || len(g.Uses) != 20 || g.Uses[0].Number != 2 || g.Uses[19].Number != 101 {
		t.Errorf("%d uses kept of %d, %d to %d", len(g.Uses), g.UseCount, g.Uses[0].Number, g.Uses[len(g.Uses)-1].Number)
	}

	w = newWorld()
	for i := range 50 {
		w.grant(i, strings.Repeat("x", i+1), "system/*.rs", 300)
		w.use(i, mine, strings.Repeat("y", i+1), readPatient, 200)
	}
	got := w.ledger(tokens.Options{MaxTokens: 10}).Channel(mine)
	if len(got.Grants) != 5 || len(got.Unknown) != 5 || got.Grants[0].Request.Number != 99 {
		t.Errorf("%d grants, %d unknown tokens kept", len(got.Grants), len(got.Unknown))
	}

	w = newWorld()
	for i := range 30 {
		w.grant(0, strings.Repeat("x", i+1), "system/*.rs", 1)
		w.use(40, mine, strings.Repeat("x", i+1), readPatient, 200)
	}
	got = w.ledger(tokens.Options{MaxFindings: 7}).Channel(mine)
	if len(got.Findings) != 7 || got.FindingCount != 30 {
		t.Errorf("%d findings kept of %d", len(got.Findings), got.FindingCount)
	}
}

// stored is the double of the store.
type stored struct {
	*world
	reads int
}

func (s *stored) Exchange(_ context.Context, id string) (*proxy.Exchange, error) {
	s.reads++
	for _, ex := range s.list {
		if ex.ID == id {
			return ex, nil
		}
	}
	return nil, proxy.ErrNotFound
}

// Exchanges answers as the store does: the newest page, or with After the page next to it.
func (s *stored) Exchanges(_ context.Context, q proxy.Query) (proxy.Page, error) {
	var in []*proxy.Exchange // oldest first
	for _, ex := range s.list {
		if (q.After <= 0 || ex.Number > q.After) && (q.Before <= 0 || ex.Number < q.Before) {
			in = append(in, ex)
		}
	}
	page := proxy.Page{}
	if n := len(in); n > q.Limit {
		if q.After > 0 {
			in, page.Newer = in[:q.Limit], true
		} else {
			in, page.Older = in[n-q.Limit:], true
		}
	}
	page.Exchanges = slices.Clone(in)
	slices.Reverse(page.Exchanges)
	return page, nil
}

func TestDesk(t *testing.T) {
	s := &stored{world: newWorld()}
	d := tokens.NewDesk(s, s.bodies, tokens.DeskOptions{})
	if l, err := d.Ledger(t.Context(), mine); err != nil || len(l.Grants) != 0 {
		t.Fatalf("of nothing: %+v, %v", l, err)
	}
	s.grant(0, "a", "system/*.rs", 300)
	for range 1200 {
		s.use(1, mine, "a", readPatient, 200)
	}
	for range 2 {
		l, err := d.Ledger(t.Context(), mine)
		if err != nil || len(l.Grants) != 1 || l.Grants[0].UseCount != 1200 || l.Partial {
			t.Fatalf("ledger %+v, %v", l, err)
		}
	}
	if s.reads != 1201 {
		t.Errorf("%d exchanges read, want each once", s.reads)
	}
	last := s.use(40, mine, "a", searchPatient, 200)
	a, err := d.Authorization(t.Context(), last)
	if err != nil || a.Grant.UseCount != 1201 || a.Use.Enough != validators.EnoughYes {
		t.Errorf("authorization %+v, %v", a, err)
	}
	l, err := tokens.NewDesk(s, s.bodies, tokens.DeskOptions{Backlog: 10}).Ledger(t.Context(), mine)
	if err != nil || !l.Partial || len(l.Unknown) != 1 || l.Unknown[0].UseCount != 10 {
		t.Errorf("with a backlog of 10: %+v, %v", l, err)
	}
	if l, err := d.Ledger(t.Context(), "nobody~here"); err != nil || l.Grants == nil || len(l.Grants) != 0 {
		t.Errorf("unknown channel: %+v, %v", l, err)
	}
}

func BenchmarkAdd(b *testing.B) {
	w := newWorld()
	w.grant(0, "a", "system/*.rs", 300)
	for range 100 {
		w.use(1, mine, "a", readPatient, 200)
	}
	l := tokens.New(tokens.Options{})
	b.ReportAllocs()
	for b.Loop() {
		for _, ex := range w.list {
			l.Add(ex, w.body(ex.Request.Body), nil)
		}
	}
}
