package judge

import (
	"slices"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
)

// tally is what the first n attempts say together. It follows them as they grow at their end; when they change otherwise, or what one of
// them answered does, it begins anew.
type tally struct {
	n       int
	best    int // the best one by its verdict's rank, and between equals by how many checks it falls short of
	verdict int8
	short   int32
	failed  int
	every   []everyAnswer // by ask, of those that are asked of every attempt
}

// everyAnswer is what all attempts say to a check; all says that they are the answer's items.
type everyAnswer struct {
	answer

	all bool
}

// behind is how far the tally that is gone back to stays behind: what comes out of order, or gets its report later, is mostly new.
const behind = 64

// count brings the tally up to date. All attempts are answered.
func (s *step) count() *tally {
	if len(s.attempts)-s.before.n > 2*behind {
		s.countTo(&s.before, len(s.attempts)-behind)
		s.tally = tally{}
	}
	if s.tally.n == 0 {
		s.tally = s.before
		s.tally.every = slices.Clone(s.before.every)
		for i := range s.tally.every {
			e := &s.tally.every[i]
			e.Items = slices.Clip(e.Items) // what is added goes elsewhere
		}
	}
	s.countTo(&s.tally, len(s.attempts))
	return &s.tally
}

func (s *step) countTo(t *tally, n int) {
	if t.n == 0 {
		*t = tally{best: -1, every: make([]everyAnswer, len(s.asks))}
	}
	for ; t.n < n; t.n++ {
		at := s.attempts[t.n]
		if at.verdict == failing {
			t.failed++
		}
		if t.best < 0 || at.verdict < t.verdict || at.verdict == t.verdict && at.short < t.short {
			t.best, t.verdict, t.short = t.n, at.verdict, at.short
		}
		for i := range s.asks {
			if c := s.asks[i].check; c.Every {
				t.every[i].add(s.answerOf(c, i, t.n), s.items[:t.n+1:t.n+1])
			}
		}
	}
}

// recount goes back to before the n-th attempt: it is another, or says something else.
func (s *step) recount(n int) {
	s.answered = min(s.answered, n)
	if n < s.tally.n {
		s.tally = tally{}
	}
	if n < s.before.n {
		s.before = tally{}
	}
}

// add joins the answer of the last of items, which are the attempts so far.
func (e *everyAnswer) add(a answer, items []checks.Item) {
	switch {
	case len(items) == 1:
		e.answer, e.all = worse(e.answer, a), a.own
	case e.all && a.own && a.Verdict == e.Verdict:
		e.Items = items
	default:
		e.answer, e.all = worse(e.answer, a), false
	}
}

// citation is how lists were cited last. A list of items never changes, it grows at its end or is another one: only what is new in it is
// looked at.
type citation struct {
	lists       [][]checks.Item
	first       []checks.Item // the first of all in order of time
	n, insecure int
	seen        map[*proxy.Exchange]struct{} // nil while the items are of one list in order of time
}

// follow brings the citation to lists.
func (c *citation) follow(lists [][]checks.Item) {
	if !slices.EqualFunc(lists, c.lists, begins) {
		*c = citation{lists: make([][]checks.Item, len(lists))}
		if len(lists) > 1 {
			c.seen = map[*proxy.Exchange]struct{}{}
		}
	}
	for i, list := range lists {
		for k := len(c.lists[i]); k < len(list); k++ {
			if c.seen == nil && k > 0 {
				if list[k-1].Exchange.ID == list[k].Exchange.ID {
					continue
				}
				if checks.ByTime(list[k-1], list[k]) > 0 {
					c.see(list[:k])
				}
			}
			c.add(list[k])
		}
		c.lists[i] = list
	}
}

// see notes which exchanges are in a list.
func (c *citation) see(list []checks.Item) {
	c.seen = make(map[*proxy.Exchange]struct{}, len(list))
	for _, it := range list {
		c.seen[it.Exchange] = struct{}{}
	}
}

func (c *citation) add(it checks.Item) {
	if c.seen != nil {
		if _, twice := c.seen[it.Exchange]; twice {
			return
		}
		c.seen[it.Exchange] = struct{}{}
	}
	c.n++
	if it.Exchange.Insecure() {
		c.insecure++
	}
	at := len(c.first)
	for at > 0 && checks.ByTime(c.first[at-1], it) > 0 {
		at--
	}
	if at == testplans.MaxEvidence {
		return
	}
	c.first = slices.Insert(c.first, at, it)
	c.first = c.first[:min(len(c.first), testplans.MaxEvidence)]
}

// cite sets the evidence of the n-th result: each exchange once, in order of time, up to MaxEvidence.
func (s *step) cite(r *testplans.Result, n int, lists ...[]checks.Item) {
	c := &s.cited[n]
	c.follow(lists)
	r.Evidence, r.EvidenceCut, r.Insecure = nil, c.n-len(c.first), c.insecure
	for _, it := range c.first {
		r.Evidence = append(r.Evidence, testplans.Evidence{Exchange: it.Exchange.ID, Number: it.Exchange.Number, Insecure: it.Exchange.Insecure()})
	}
}

// apart are the lists of answers' items, without those that have nothing that is not in another.
func (s *step) apart(answers []answer) [][]checks.Item {
	all := slices.ContainsFunc(answers, func(a answer) bool { return s.areAll(a.Items) })
	var out [][]checks.Item
	for i := range answers {
		a := &answers[i]
		if len(a.Items) == 0 || all && a.own && !s.areAll(a.Items) || slices.ContainsFunc(out, func(o []checks.Item) bool { return same(o, a.Items) }) {
			continue
		}
		out = append(out, a.Items)
	}
	return out
}

// areAll reports the list of all attempts.
func (s *step) areAll(items []checks.Item) bool { return len(s.items) > 0 && same(items, s.items) }

// same reports one list, not only equal ones; begins one that another was before it grew at its end.
func same(a, b []checks.Item) bool { return len(a) == len(b) && begins(a, b) }

func begins(list, was []checks.Item) bool {
	return len(was) == 0 || len(list) >= len(was) && &list[0] == &was[0]
}
