package tokens

import (
	"cmp"
	"slices"
	"time"

	"fhirwire/proxy"
	"fhirwire/validators"
)

// Options bound a Ledger; each zero value means the default.
type Options struct {
	// MaxTokens bounds the grants and unknown tokens kept, of all channels; the oldest go first. Default 5,000.
	MaxTokens int
	// MaxUses bounds the uses kept of one token: the first ten and the last ones. All are counted. Default 40.
	MaxUses int
	// MaxFindings bounds the findings kept of one channel; all are counted. Default 500.
	MaxFindings int
	// MaxProofs bounds the assertions remembered. Default 20,000.
	MaxProofs int
}

func (o Options) withDefaults() Options {
	o.MaxTokens = cmp.Or(o.MaxTokens, 5000)
	o.MaxUses = max(cmp.Or(o.MaxUses, 40), firstUses+1)
	o.MaxFindings = cmp.Or(o.MaxFindings, 500)
	o.MaxProofs = cmp.Or(o.MaxProofs, 20_000)
	return o
}

// firstUses are kept of a token whatever comes later.
const firstUses = 10

// Ledger follows tokens over the exchanges of all channels. It is not safe for concurrent use.
type Ledger struct {
	opt     Options
	tokens  map[string]*entry // by fingerprint
	oldest  []*entry          // in the order they came
	books   map[string]*book  // by channel
	clients map[string]validators.Ref
	proofs  map[string]validators.Ref // by fingerprint, and by issuer and jti
	fifo    []string                  // keys of proofs
	now     time.Time                 // the latest moment seen
}

// entry is a grant, or an unknown token.
type entry struct {
	grant validators.Grant
	uses  []use
	book  *book
}

// book is one channel's part.
type book struct {
	entries  []*entry
	findings []*validators.TokenFinding
	byKey    map[string]*validators.TokenFinding // by rule and token
	count    int
	without  int
}

// New makes an empty Ledger.
func New(o Options) *Ledger {
	return &Ledger{
		opt: o.withDefaults(), tokens: map[string]*entry{}, books: map[string]*book{}, clients: map[string]validators.Ref{}, proofs: map[string]validators.Ref{},
	}
}

// Add enters an exchange. request and response are its decoded bodies, needed where Wants says so.
func (l *Ledger) Add(ex *proxy.Exchange, request, response []byte) {
	if end := ex.Timing.End; end.After(l.now) {
		l.now = end
	}
	switch {
	case Wants(ex) && ex.Interaction.Kind == proxy.KindToken:
		l.grant(ex, request, response)
		return
	case Wants(ex):
		if a := readAnswer(response); a.ClientID != "" && len(l.clients) < l.opt.MaxTokens {
			l.clients[a.ClientID] = refOf(ex)
		}
	}
	p, ok := tokenOf(ex)
	if !ok {
		if needOf(ex) != (need{}) {
			l.book(ex.Channel).without++
		}
		return
	}
	e := l.tokens[string(p.token)]
	if e == nil {
		e = &entry{grant: unknown(ex.Channel, p)}
		l.keep(e, ex.Channel)
	}
	u := useOf(ex, p)
	l.use(e, u)
}

// unknown is what a token that nobody saw issued says of itself.
func unknown(channel string, p presented) validators.Grant {
	g := validators.Grant{Channel: channel, Token: string(p.token)}
	if c := p.claims; c != nil {
		g.Client, g.Scopes, g.Expires, g.Audience = c.ClientID, words(c.Scope), c.ExpiresAt, c.Audience
	}
	return g
}

func (l *Ledger) book(channel string) *book {
	b := l.books[channel]
	if b == nil {
		b = &book{byKey: map[string]*validators.TokenFinding{}}
		l.books[channel] = b
	}
	return b
}

// keep adds an entry and drops the oldest when there are too many.
func (l *Ledger) keep(e *entry, channel string) {
	e.book = l.book(channel)
	e.book.entries = append(e.book.entries, e)
	l.oldest = append(l.oldest, e)
	if e.grant.Token != "" {
		l.tokens[e.grant.Token] = e
	}
	for len(l.oldest) > l.opt.MaxTokens {
		old := l.oldest[0]
		l.oldest = l.oldest[1:]
		old.leave()
		if l.tokens[old.grant.Token] == old {
			delete(l.tokens, old.grant.Token)
		}
	}
}

func (e *entry) leave() {
	if i := slices.Index(e.book.entries, e); i >= 0 {
		e.book.entries = slices.Delete(e.book.entries, i, i+1)
	}
}

func (l *Ledger) use(e *entry, u use) {
	u.Enough = enough(e.grant.Scopes, u.need)
	e.grant.UseCount++
	if e.uses = append(e.uses, u); len(e.uses) > l.opt.MaxUses {
		e.uses = slices.Delete(e.uses, firstUses, firstUses+1)
	}
	l.judge(e, &u)
}

func (l *Ledger) judge(e *entry, u *use) {
	for _, is := range judge(&e.grant, u) {
		l.find(u.Channel, is, e.grant.Token, u.Ref)
	}
}

func (l *Ledger) find(channel string, is validators.Issue, token string, at validators.Ref) {
	b := l.book(channel)
	key := is.MessageID + " " + string(is.Severity) + " " + token
	if f := b.byKey[key]; f != nil {
		f.Times++
		return
	}
	b.count++
	if len(b.findings) >= l.opt.MaxFindings {
		delete(b.byKey, b.findings[0].MessageID+" "+string(b.findings[0].Severity)+" "+b.findings[0].Token)
		b.findings = b.findings[1:]
	}
	f := &validators.TokenFinding{Issue: is, Token: token, Exchange: at, Times: 1}
	b.findings, b.byKey[key] = append(b.findings, f), f
}

// grant enters a token exchange.
func (l *Ledger) grant(ex *proxy.Exchange, request, response []byte) {
	g, proofs := grantOf(ex, request, response)
	if r, ok := l.clients[g.Client]; ok && g.Client != "" {
		g.Registered = &r
	}
	for _, p := range proofs {
		l.proof(ex, &g, p)
	}
	e := l.tokens[g.Token]
	switch {
	case g.Token == "" || e == nil:
		l.keep(&entry{grant: g}, ex.Channel)
	case e.grant.Request.ID != "": // the server gave the same token again
		if g.Expires.After(e.grant.Expires) {
			e.grant.Expires = g.Expires
		}
	default: // it was used before this request ended
		g.UseCount = e.grant.UseCount
		e.leave()
		e.grant, e.book = g, l.book(ex.Channel)
		e.book.entries = append(e.book.entries, e)
		for i := range e.uses {
			e.uses[i].Enough = enough(g.Scopes, e.uses[i].need)
			l.judge(e, &e.uses[i])
		}
	}
}

// proof notes an assertion, and finds one that was used before.
func (l *Ledger) proof(ex *proxy.Exchange, g *validators.Grant, p assertion) {
	keys := []string{string(p.token)}
	if p.claims != nil && p.claims.ID != "" {
		keys = append(keys, p.claims.Issuer+" "+string(p.claims.ID))
	}
	found := false
	for _, k := range keys {
		first, seen := l.proofs[k]
		if seen && !found {
			found = true
			is := issue("assertion-reused", validators.SeverityError, validators.SideClient, "The assertion, or its jti, was used before in exchange "+number(first)+".",
				"a new jti for every token request", "the one of exchange "+number(first), "Sign a new assertion for every token request.")
			is.Part = validators.PartRequestBody
			if g.Issued() {
				is.Side, is.Message = validators.SideBoth, is.Message+" The server accepted it again."
			}
			l.find(ex.Channel, is, string(p.token), refOf(ex))
		}
		if !seen {
			l.proofs[k] = refOf(ex)
			l.fifo = append(l.fifo, k)
		}
	}
	for len(l.fifo) > l.opt.MaxProofs {
		delete(l.proofs, l.fifo[0])
		l.fifo = l.fifo[1:]
	}
}
