package tokens

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"fhirwire/proxy"
	"fhirwire/validators"
)

// grace is how long a token may wait for its first use.
const grace = 5 * time.Minute

// Channel is the ledger of one channel: what was granted there, and the unknown tokens that were used there.
func (l *Ledger) Channel(name string) validators.Ledger {
	out := validators.Ledger{Channel: name, Grants: []validators.Grant{}, Unknown: []validators.Grant{}, Findings: []validators.TokenFinding{}}
	b := l.books[name]
	if b == nil {
		return out
	}
	out.Without, out.FindingCount = b.without, b.count
	for _, f := range b.findings {
		out.Findings = append(out.Findings, *f)
	}
	for _, e := range b.entries {
		g := e.view()
		if g.Request.ID != "" {
			out.Grants = append(out.Grants, g)
		} else {
			out.Unknown = append(out.Unknown, g)
		}
		if f, ok := l.standing(e); ok {
			out.Findings = append(out.Findings, f)
			out.FindingCount++
		}
	}
	slices.SortStableFunc(out.Findings, func(a, b validators.TokenFinding) int { return b.Exchange.At.Compare(a.Exchange.At) })
	slices.SortStableFunc(out.Grants, func(a, b validators.Grant) int { return b.Request.At.Compare(a.Request.At) })
	slices.SortStableFunc(out.Unknown, func(a, b validators.Grant) int { return last(b).Compare(last(a)) })
	return out
}

func last(g validators.Grant) time.Time {
	if len(g.Uses) == 0 {
		return time.Time{}
	}
	return g.Uses[len(g.Uses)-1].At
}

// standing is the finding that holds of an entry until something else comes.
func (l *Ledger) standing(e *entry) (validators.TokenFinding, bool) {
	g := &e.grant
	switch {
	case g.Request.ID == "" && len(e.uses) > 0:
		return validators.TokenFinding{Token: g.Token, Exchange: e.uses[0].Ref, Times: g.UseCount, Issue: issue("token-unknown", validators.SeverityInformation, validators.SideClient,
			"The token was not issued in what was recorded: its scopes and expiry are not checked.", "a recorded token request", "none",
			"Send token requests through the proxy too: see the channel's discovery mode and the server's auxiliary servers.")}, true
	case g.Issued() && g.UseCount == 0 && l.now.After(g.Request.At.Add(grace)):
		return validators.TokenFinding{Token: g.Token, Exchange: g.Request, Times: 1, Issue: issue("token-unused", validators.SeverityInformation, validators.SideClient,
			"The token was asked for and never used on what was recorded.", "a use within "+grace.String(), "none",
			"Keep a token for the requests it covers; if it was used, those requests went past the proxy.")}, true
	}
	return validators.TokenFinding{}, false
}

// view is a copy of the grant with its uses.
func (e *entry) view() validators.Grant {
	g := e.grant
	g.Uses = make([]validators.TokenUse, len(e.uses))
	for i := range e.uses {
		g.Uses[i] = e.uses[i].TokenUse
	}
	return g
}

// Authorization is what the ledger knows of one exchange's token. The exchange need not have been added.
func (l *Ledger) Authorization(ex *proxy.Exchange) validators.Authorization {
	out := validators.Authorization{Findings: []validators.TokenFinding{}}
	out.Scheme, _, _ = strings.Cut(ex.Request.Header.Get("Authorization"), " ")
	if b := l.books[ex.Channel]; b != nil && ex.Interaction.Kind == proxy.KindToken {
		if i := slices.IndexFunc(b.entries, func(e *entry) bool { return e.grant.Request.ID == ex.ID }); i >= 0 {
			g := b.entries[i].view()
			out.Issued = &g
		}
		for _, f := range b.findings {
			if f.Exchange.ID == ex.ID {
				out.Findings = append(out.Findings, *f)
			}
		}
	}
	p, ok := tokenOf(ex)
	if !ok || Wants(ex) {
		return out
	}
	u := useOf(ex, p)
	g := unknown(ex.Channel, p)
	if e := l.tokens[string(p.token)]; e != nil {
		g = e.view()
	}
	u.Enough = enough(g.Scopes, u.need)
	out.Token, out.Grant, out.Use = string(p.token), &g, &u.TokenUse
	for _, is := range judge(&g, &u) {
		out.Findings = append(out.Findings, validators.TokenFinding{Issue: is, Token: out.Token, Exchange: u.Ref, Times: 1})
	}
	return out
}

// number is what people call an exchange.
func number(r validators.Ref) string {
	if r.Number > 0 {
		return strconv.FormatInt(r.Number, 10)
	}
	return r.ID
}

func words(s string) []string { return strings.Fields(s) }
