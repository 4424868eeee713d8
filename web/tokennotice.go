package web

import (
	"context"
	"net/url"
	"slices"

	"fhirwire/testplans"
	"fhirwire/web/views"
)

// namedTokenFindings is how many kinds of findings a run's page names.
const namedTokenFindings = 3

// tokenNotice tells on a run's page what is wrong with the access tokens of its channel: used after their end, beyond their scopes, by
// somebody else. No step need ask for that, so no verdict says it.
func (s *Server) tokenNotice(ctx context.Context, n *names, j *testplans.Judgement) ([]views.Notice, error) {
	ch := n.byName[j.Channel]
	if s.deps.Tokens == nil || ch == nil {
		return nil, nil
	}
	ledger, err := s.deps.Tokens.Ledger(ctx, j.Channel)
	if err != nil || ledger.FindingCount == 0 {
		return nil, err
	}
	var said []string
	worst, class := 5, ""
	for i := range ledger.Findings {
		f := &ledger.Findings[i]
		mark, rank := severityMark(&f.Issue)
		if rank < worst {
			worst, class = rank, mark.Class
		}
		if text := visible([]byte(clip(f.Message, 200))); !slices.Contains(said, text) {
			said = append(said, text)
		}
	}
	v := views.Notice{
		Class: class, Title: views.Plural(ledger.FindingCount, "finding", "findings") + " about access tokens on this channel",
		Href: "/channels/" + url.PathEscape(ch.ID) + "/auth", Link: "Access tokens",
	}
	for _, text := range said[:min(len(said), namedTokenFindings)] {
		v.Text += sentence(text) + ". "
	}
	if more := len(said) - namedTokenFindings; more > 0 {
		v.Text += "And " + views.Plural(more, "other kind.", "other kinds.")
	}
	return []views.Notice{v}, nil
}
