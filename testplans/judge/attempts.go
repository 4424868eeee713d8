package judge

import (
	"context"
	"slices"

	"fhirwire/testplans/checks"
)

func (s *step) add(c *candidate) { s.added = append(s.added, c) }

func byTime(a, b *candidate) int { return checks.ByTime(a.entry.item, b.entry.item) }

// selectAttempts decides about the candidates that were not decided about, and about all again whose answer may have changed.
func (s *step) selectAttempts(ctx context.Context) error {
	j := s.j
	fixAt, growAt := s.fix.state(j), s.grow.state(j)
	moved := !slices.Equal(fixAt, s.fixAt) || slices.ContainsFunc(s.grow.steps, func(g *step) bool { return s.changedSince(g, growAt) })
	more := !slices.Equal(growAt, s.growAt)
	switch {
	case moved || more || !s.settled:
	case len(s.added) == 0:
		return nil
	case len(s.added) <= 1+len(s.candidates)/16:
		return s.takeAdded(ctx)
	}
	s.joinAdded()
	ownAt := s.own.state(j)
	anew := !slices.Equal(ownAt, s.ownAt)
	s.fixAt, s.growAt, s.ownAt, s.settled = nil, nil, nil, false // should we fail, all is asked again
	for _, c := range s.candidates {
		if moved || more && !c.selected {
			c.asked = false
		}
		if anew {
			c.told = false
		}
	}
	attempts := make([]*candidate, 0, len(s.attempts)+1)
	var doubtful *candidate
	kept := s.candidates[:0]
	for i, c := range s.candidates {
		if !c.asked {
			if err := s.place(ctx, c); err != nil {
				s.candidates = append(kept, s.candidates[i:]...)
				return err
			}
		}
		switch {
		case c.selected:
			attempts = append(attempts, c)
		case c.doubt() != "":
			doubtful = c
		case c.hopeless():
			j.leave(c)
			continue
		}
		kept = append(kept, c)
	}
	clear(s.candidates[len(kept):])
	s.candidates = kept
	s.ownAt = ownAt
	s.fixAt, s.growAt, s.settled = fixAt, growAt, true
	s.setDoubtful(doubtful)
	s.setAttempts(attempts)
	return nil
}

// joinAdded puts the candidates that came since among the others.
func (s *step) joinAdded() {
	slices.SortFunc(s.added, byTime)
	n := len(s.candidates)
	s.candidates = append(s.candidates, s.added...)
	if n > 0 && n < len(s.candidates) && byTime(s.candidates[n-1], s.candidates[n]) > 0 {
		slices.SortFunc(s.candidates, byTime)
	}
	s.added = nil
}

// takeAdded decides about the candidates that came since; what was decided about the others stays.
func (s *step) takeAdded(ctx context.Context) error {
	slices.SortFunc(s.added, byTime)
	for i, c := range s.added {
		if err := s.place(ctx, c); err != nil {
			s.added = s.added[i:]
			return err
		}
		switch {
		case c.selected:
			s.addAttempt(c)
		case c.doubt() != "":
			if s.doubtful == nil || byTime(s.doubtful, c) < 0 {
				s.setDoubtful(c)
			}
		case c.hopeless():
			s.j.leave(c)
			continue
		}
		s.candidates = slices.Insert(s.candidates, placeOf(s.candidates, c), c)
	}
	s.added = nil
	return nil
}

// placeOf is where a candidate belongs among others; most often at the end.
func placeOf(list []*candidate, c *candidate) int {
	if n := len(list); n == 0 || byTime(list[n-1], c) < 0 {
		return n
	}
	at, _ := slices.BinarySearchFunc(list, c, byTime)
	return at
}

func (s *step) setDoubtful(c *candidate) {
	doubt := ""
	if c != nil {
		doubt = c.doubt()
	}
	if s.doubtful = c; doubt != s.doubt {
		s.doubt, s.dirty = doubt, true
	}
}

// setAttempts makes these the attempts.
func (s *step) setAttempts(attempts []*candidate) {
	if slices.Equal(attempts, s.attempts) {
		return
	}
	s.j.clock++
	if isWithin(s.attempts, attempts) {
		s.grown = s.j.clock
	} else {
		s.changed = s.j.clock
	}
	same := 0
	for same < min(len(attempts), len(s.attempts)) && attempts[same] == s.attempts[same] {
		same++
	}
	s.keepAttempts(same)
	s.attempts, s.dirty = attempts, true
	for _, c := range attempts[same:] {
		s.items = append(s.items, c.item())
	}
}

// addAttempt makes a candidate an attempt beside the others.
func (s *step) addAttempt(c *candidate) {
	s.j.clock++
	s.grown, s.dirty = s.j.clock, true
	at := placeOf(s.attempts, c)
	after := s.items[at:]
	s.keepAttempts(at)
	s.attempts = slices.Insert(s.attempts, at, c)
	s.items = append(append(s.items, c.item()), after...)
}

// keepAttempts is about to change the attempts from the n-th on.
func (s *step) keepAttempts(n int) {
	s.recount(n)
	if n < len(s.items) {
		s.items = slices.Clip(s.items[:n]) // others have that list
	}
}

// item is the candidate as others see it.
func (c *candidate) item() checks.Item {
	return checks.Item{Exchange: c.entry.item.Exchange, Bodies: c.entry.item.Bodies, Known: c.entry.item.Known}
}

// changedSince reports whether the attempts of a step that selection follows changed otherwise than by growing since growAt was kept.
func (s *step) changedSince(g *step, growAt []int) bool {
	i := 2*slices.Index(s.grow.steps, g) + 1
	return i >= len(s.growAt) || s.growAt[i] != growAt[i]
}

// isWithin reports whether all of a are in b, in the same order.
func isWithin(a, b []*candidate) bool {
	i := 0
	for _, c := range b {
		if i < len(a) && a[i] == c {
			i++
		}
	}
	return i == len(a)
}

// place decides whether a candidate is an attempt.
func (s *step) place(ctx context.Context, c *candidate) (err error) {
	it := c.entry.item
	own := ""
	if c.told && c.doubts != nil {
		own = c.doubts.own
	}
	if !c.told {
		if c.own, own, err = s.j.isWanted(ctx, &s.Select, it); err != nil {
			return err
		}
		c.told = true
	}
	all := own
	c.selected = c.own
	c.setDoubt(own, all)
	if c.own {
		if c.selected, all, err = s.j.isPlaced(ctx, s, it); err != nil {
			return err
		}
		c.setDoubt(own, all)
	}
	c.asked = true
	c.entry.releaseReport()
	return nil
}

// leave lets go of a candidate that will never be an attempt.
func (j *Judging) leave(c *candidate) {
	e := c.entry
	if e.in = slices.DeleteFunc(e.in, func(o *candidate) bool { return o == c }); len(e.in) == 0 {
		delete(j.known, e.item.Exchange.ID)
	}
}
