package remote

import "fhirwire/validators/terminology"

// View asks a Service for what another set of packages does not know: one server, one budget, one memory.
type View struct {
	service *Service
	offline Offline
}

// Over is a view with other packages.
func (s *Service) Over(offline Offline) *View { return &View{s, offline} }

// Known reports whether the value set is at hand offline.
func (v *View) Known(valueSet string) bool { return v.offline.Known(valueSet) }

// Member says whether code of system is in the value set.
func (v *View) Member(valueSet, system, code string) terminology.Answer {
	a := v.offline.Member(valueSet, system, code)
	if a.Value != terminology.Unknown {
		return a
	}
	return v.service.ask(question{valueSet, system, code}, a.Why).Answer
}

// Code says whether a code system has a code, and its display where it is known.
func (v *View) Code(system, code string) (string, terminology.Answer) {
	display, a := v.offline.Code(system, code)
	if a.Value != terminology.Unknown {
		return display, a
	}
	got := v.service.ask(question{"", system, code}, a.Why)
	return got.display, got.Answer
}

// renew starts the budget afresh when its time is over, and forgets what the server could not say: it may now. The caller holds
// s.mu.
func (s *Service) renew() {
	if s.o.Renew <= 0 || s.o.Now == nil {
		return
	}
	now := s.o.Now()
	if s.since.IsZero() {
		s.since = now
	}
	if now.Sub(s.since) < s.o.Renew {
		return
	}
	s.since, s.spent, s.inARow, s.stopped = now, 0, 0, ""
	for q, c := range s.cells {
		if c.done.Load() && c.a.Value == terminology.Unknown {
			delete(s.cells, q)
		}
	}
}
