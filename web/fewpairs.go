package web

import (
	"slices"

	"fhirwire/web/views"
)

// mostPairs bounds the pairs that stand beside a plan; the results have all.
const mostPairs = 12

// fewPairs leaves those of many pairs that tried the plan, in their order, then others.
func fewPairs(p *views.Plan) {
	more := len(p.Runs) - mostPairs
	if more <= 0 {
		return
	}
	tried := func(r views.RunLink) int {
		if r.Verdict.Class == "" {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(p.Runs, func(a, b views.RunLink) int { return tried(a) - tried(b) })
	p.Runs = p.Runs[:mostPairs]
	p.MorePairs = "And " + views.Plural(more, "pair", "pairs") + " more."
}
