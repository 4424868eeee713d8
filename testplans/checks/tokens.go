package checks

import (
	"context"
	"fmt"
	"slices"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/validators"
	"fhirwire/validators/tokens"
)

// ledger is what is known of the tokens that a step's attempts issued, list as it was last seen.
type ledger struct {
	list []Item
	book *tokens.Ledger
}

// ledgerOf enters a step's attempts in their order: those that came behind the others, or all anew.
func (d *Desk) ledgerOf(ctx context.Context, step string, list []Item) (*tokens.Ledger, error) {
	l := d.ledgers[step]
	if l != nil && same(l.list, list) {
		return l.book, nil
	}
	known := 0
	if l != nil && len(l.list) <= len(list) && slices.EqualFunc(l.list, list[:len(l.list)], func(a, b Item) bool { return a.Exchange.ID == b.Exchange.ID }) {
		known = len(l.list)
	} else {
		l = &ledger{book: tokens.New(tokens.Options{MaxTokens: 1 << 20})}
	}
	delete(d.ledgers, step) // until all is entered, it is not to be gone on with
	for _, it := range list[known:] {
		var bodies [2][]byte
		for i, half := range []testplans.Half{testplans.OnRequest, testplans.OnResponse} {
			b, err := d.Body(ctx, it, half)
			if err != nil {
				return nil, err
			}
			bodies[i] = b.Text
		}
		l.book.Add(asClient(it.Exchange), bodies[0], bodies[1])
	}
	l.list, d.ledgers[step] = list, l
	return l.book, nil
}

// asClient is the exchange with the client's leg of one that the runner played.
func asClient(ex *proxy.Exchange) *proxy.Exchange {
	leg := clientLeg(ex)
	if leg == ex.ClientLeg {
		return ex
	}
	out := *ex
	out.ClientLeg = leg
	return &out
}

// useOfToken: the request's access token was issued in an earlier step, and no finding of the rule about it blames the check's side.
func useOfToken(ctx context.Context, c *Case) (Outcome, error) {
	want := c.Check.Tokens
	book, err := c.Desk.ledgerOf(ctx, want.Issued, c.Steps[want.Issued])
	if err != nil {
		return Outcome{}, err
	}
	a := book.Authorization(asClient(c.Attempt.Exchange))
	switch {
	case a.Grant == nil:
		return notShown("the request has no access token"), nil
	case a.Grant.Request.ID == "":
		return notShown("the access token is none that was issued in step " + want.Issued), nil
	}
	at := slices.IndexFunc(a.Findings, func(f validators.TokenFinding) bool {
		return f.MessageID == string(want.Rule) && (f.Side == c.Check.Side || c.Check.Side == validators.SideBoth)
	})
	if at < 0 {
		if why := untold(want.Rule, &a, c.Attempt.Exchange); why != "" {
			return notShown(why), nil
		}
		return passed, nil
	}
	f := &a.Findings[at]
	switch {
	case want.Rule == testplans.TokenCertificate && len(certificates(c.Attempt.Exchange)) == 0:
		return notShown("no certificate was presented with the token, so there is none to compare"), nil
	case want.Rule == testplans.TokenScope:
		if empty, err := c.foundNothing(ctx); err != nil || empty {
			return Outcome{Verdict: testplans.Pass, Message: "the token's scopes do not cover the search, and nothing came of it"}, err
		}
	}
	out := failed(fmt.Sprintf("%s Expected: %s; found: %s", f.Message, f.Expected, f.Found))
	out.Items = []Item{c.Attempt}
	for _, it := range c.Steps[want.Issued] {
		if it.Exchange.ID == a.Grant.Request.ID {
			out.Items = append(out.Items, it)
		}
	}
	return out, nil
}

// untold says why a rule decides nothing where it finds nothing.
func untold(rule testplans.TokenRule, a *validators.Authorization, ex *proxy.Exchange) string {
	switch rule {
	case testplans.TokenExpired:
		if a.Grant.Expires.IsZero() {
			return "nobody said until when the token lasts"
		}
	case testplans.TokenScope:
		if a.Use.Enough == validators.EnoughUnknown {
			return "the token's scopes, or the one that the request needs, are not known"
		}
	case testplans.TokenPatient:
		if a.Grant.Patient == "" || ex.Interaction.ResourceType != "Patient" || ex.Interaction.ResourceID == "" {
			return "the token is not for one patient, or the request names none"
		}
	case testplans.TokenCertificate:
		if a.Grant.Certificate == "" {
			return "the token was asked for without a client certificate"
		}
	case testplans.TokenRefused: // that it is issued there is all that the rule needs
	}
	return ""
}

func certificates(ex *proxy.Exchange) []proxy.Certificate {
	leg := clientLeg(ex)
	if leg == nil || leg.TLS == nil {
		return nil
	}
	return leg.TLS.Client
}

// foundNothing reports a search that was answered with an empty Bundle, by which a server may refuse too.
func (c *Case) foundNothing(ctx context.Context) (bool, error) {
	body, err := c.Desk.Body(ctx, c.Attempt, testplans.OnResponse)
	if err != nil || body.Why != "" || body.Empty() {
		return false, err
	}
	root, fault := body.JSON()
	if fault != "" || root.ResourceType() != "Bundle" {
		return false, nil
	}
	for range children(root.Member("entry")) {
		return false, nil
	}
	return true, nil
}
