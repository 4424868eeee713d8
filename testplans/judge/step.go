package judge

import (
	"context"
	"slices"

	"fhirwire/testplans"
	"fhirwire/testplans/checks"
)

// step is a plan's step with what was found out about it.
type step struct {
	*testplans.Step

	j       *Judging
	applies bool

	candidates []*candidate // in order of time
	settled    bool         // all of them were decided about
	added      []*candidate // others that came since, in any order
	attempts   []*candidate
	items      []checks.Item // of attempts; a list never changes, it grows at its end or is another one
	doubtful   *candidate    // the last that we were kept from deciding about
	doubt      string        // what kept us
	// answered is of how many attempts all checks were answered, tally what those say together, before what a part of them does.
	answered      int
	tally, before tally
	cited         []citation // by result

	// Selection rests on own for what exchanges say themselves, on grow, whose growth only adds attempts, and on fix.
	own, grow, fix       depends
	ownAt, growAt, fixAt []int
	unless, follows      [][]testplans.Follows // by step
	asks                 []ask
	// whole are the checks over the whole step, with what captures rest on too.
	whole   depends
	wholeAt []int

	// These number what later steps may look at: grown when attempts were added, changed when they changed otherwise, concluded when the
	// verdict did.
	grown, changed, concluded int

	dirty      bool // results are to be computed again
	results    []testplans.Result
	captured   [][]string
	capturedBy *candidate
	stamps     []int
}

// ask is a check of single attempts.
type ask struct {
	check   *testplans.Check
	depends depends
	at      []int
	report  bool // it looks at the report
	based   bool // its answer stays while its basis does
}

// candidate is an exchange that a step may select. There are many: what few have is apart.
type candidate struct {
	entry    *entry
	step     *step
	doubts   *doubts           // nil where there are none
	outcomes []*checks.Outcome // by ask; nil is open
	bases    []int             // by ask, nil where none has a basis
	// told says that own, with its doubt, is what the exchange itself says of whether it is an attempt.
	told, own, asked, selected bool
	// verdict is of the checks that the best attempt decides, by its rank, short how many of them did not pass; both once all were answered.
	answered bool
	verdict  int8
	short    int32
}

// doubts are what kept us from deciding whether a candidate is an attempt: own by what it says itself.
type doubts struct{ own, all string }

func (c *candidate) doubt() string {
	if c.doubts == nil {
		return ""
	}
	return c.doubts.all
}

// setDoubt keeps what was in doubt.
func (c *candidate) setDoubt(own, all string) {
	if c.doubts = nil; own != "" || all != "" {
		c.doubts = &doubts{own, all}
	}
}

// forgetReport forgets what the report answered.
func (c *candidate) forgetReport() {
	for i := range c.step.asks {
		if c.step.asks[i].report && c.outcomes != nil {
			c.outcomes[i] = nil
			if c.selected {
				c.step.reask(placeOf(c.step.attempts, c))
			}
		}
	}
}

// askReport asks the checks that rest on the report alone, so that it, which may be large, needs not stay until the rest is asked.
func (c *candidate) askReport() {
	for i := range c.step.asks {
		a := &c.step.asks[i]
		if !a.report || !a.depends.none() || c.entry.item.Report == nil {
			continue
		}
		if c.outcomes == nil {
			c.outcomes = make([]*checks.Outcome, len(c.step.asks))
		}
		c.outcomes[i] = c.step.j.intern(checks.Findings(a.check, c.entry.item.Report))
	}
}

// hopeless reports that the exchange will never be an attempt, whatever comes.
func (c *candidate) hopeless() bool {
	switch s := c.step; {
	case !c.asked || c.selected || c.doubt() != "":
		return false
	case c.told && !c.own:
		return s.own.none()
	default:
		return s.own.none() && s.fix.none() && s.grow.none()
	}
}

func (j *Judging) addStep(s *testplans.Step) {
	st := &step{Step: s, j: j, dirty: true}
	st.applies = testplans.Applies(j.plan.Guides, j.run.Context.Guides) && testplans.Applies(s.Guides, j.run.Context.Guides)
	rest := s.Select
	rest.Follows = nil
	alone := rest
	alone.Unless = nil
	j.steps = append(j.steps, st)
	st.unless, st.follows = byStep(s.Select.Unless), byStep(s.Select.Follows)
	st.own, st.fix, st.grow = j.dependsOn(alone), j.dependsOn(rest), j.dependsOn(s.Select.Follows)
	st.own.steps, st.fix.steps = nil, j.dependsOn(s.Select.Unless).steps
	st.fix.attempts, st.grow.attempts = true, true
	for _, name := range st.grow.vars { // a variable that follows compare with may have another value: nothing stays
		if !slices.Contains(st.fix.vars, name) {
			st.fix.vars = append(st.fix.vars, name)
		}
	}
	st.grow.vars = nil
	whole := []any{s.Capture}
	for i := range s.Checks {
		c := &s.Checks[i]
		plain := *c
		plain.ID, plain.Claim, plain.Requirements = "", "", nil // words for people
		if kind, _ := j.table.Find(c); kind.Step {
			whole = append(whole, plain)
			continue
		}
		a := ask{check: c, report: checks.NeedsReport(c), based: checks.HasBasis(c)}
		a.depends = j.dependsOn(plain)
		a.depends.attempts = a.based
		st.asks = append(st.asks, a)
	}
	st.whole = j.dependsOn(whole...)
	st.cited = make([]citation, 1+len(s.Checks))
	st.captured, st.stamps = make([][]string, len(s.Capture)), make([]int, len(s.Capture))
}

// judge brings the step's results up to date and takes its place among the steps before.
func (s *step) judge(ctx context.Context) error {
	j := s.j
	if !s.applies {
		if s.dirty {
			if err := s.conclude(s.same(testplans.NotApplicable, "the plan says this of other versions of the guide")); err != nil {
				return err
			}
		}
		j.verdicts[s.ID] = testplans.NotApplicable
		return nil
	}
	if err := s.selectAttempts(ctx); err != nil {
		return err
	}
	j.attempts[s.ID] = slices.Clip(s.items)
	if err := s.askAttempts(ctx); err != nil {
		return err
	}
	if at := s.whole.state(j); !slices.Equal(at, s.wholeAt) {
		s.wholeAt, s.dirty = at, true
	}
	if s.dirty {
		if err := s.compute(ctx); err != nil {
			return err
		}
	}
	j.verdicts[s.ID] = s.results[0].Verdict
	for i, c := range s.Capture {
		if s.capturedBy != nil {
			j.desk.Set(c.Name, s.captured[i])
			j.stamp[c.Name] = s.stamps[i]
		}
	}
	return nil
}

// askAttempts asks the checks of single attempts what is open.
func (s *step) askAttempts(ctx context.Context) error {
	for i := range s.asks {
		a := &s.asks[i]
		at := a.depends.state(s.j)
		if slices.Equal(at, a.at) {
			continue
		}
		if a.based && a.at != nil && a.depends.onlyGrew(at, a.at) {
			if err := s.reopen(ctx, i); err != nil {
				a.at = nil
				s.reask(0)
				return err
			}
			a.at = at
			continue
		}
		for _, c := range s.candidates {
			if c.outcomes != nil {
				c.outcomes[i] = nil
			}
		}
		a.at = at
		s.reask(0)
	}
	for s.answered < len(s.attempts) {
		if err := s.answer(ctx, s.attempts[s.answered]); err != nil {
			return err
		}
		s.answered++
	}
	return nil
}

// reask has the attempts from the n-th on looked at again, for what is open about them.
func (s *step) reask(n int) {
	s.dirty = true
	s.recount(n)
}

// reopen forgets the answers to a check whose basis is another now.
func (s *step) reopen(ctx context.Context, i int) error {
	for n, c := range s.attempts {
		if c.outcomes == nil || c.outcomes[i] == nil {
			continue
		}
		basis, err := s.j.table.Basis(ctx, s.newCase(s.asks[i].check, c.entry.item))
		if err != nil {
			return err
		}
		if basis != c.bases[i] {
			c.outcomes[i] = nil
			s.reask(n)
		}
	}
	return nil
}

// answer asks what is open about one attempt.
func (s *step) answer(ctx context.Context, c *candidate) error {
	switch {
	case c.outcomes == nil:
		c.outcomes = make([]*checks.Outcome, len(s.asks))
	case c.answered && !slices.Contains(c.outcomes, nil):
		return nil
	}
	if c.bases == nil && slices.ContainsFunc(s.asks, func(a ask) bool { return a.based }) {
		c.bases = make([]int, len(s.asks))
	}
	for i := range s.asks {
		a := &s.asks[i]
		if c.outcomes[i] != nil {
			continue
		}
		it := c.entry.item
		if !a.report {
			it.Report = nil // so that no answer keeps it
		}
		k := s.newCase(a.check, it)
		if a.based {
			basis, err := s.j.table.Basis(ctx, k)
			if err != nil {
				return err
			}
			c.bases[i] = basis
		}
		out, err := s.j.table.Ask(ctx, k)
		if err != nil {
			return err
		}
		c.outcomes[i] = s.j.intern(out)
	}
	var mine []answer
	c.short = 0
	for i := range s.asks {
		if a := &s.asks[i]; !a.check.Every {
			mine = append(mine, answer{check: a.check, Outcome: *c.outcomes[i]})
			if c.outcomes[i].Verdict != testplans.Pass {
				c.short++
			}
		}
	}
	c.verdict, c.answered = int8(rank(rollUp(s.Step, mine))), true
	c.entry.releaseReport()
	return nil
}

// intern is one outcome for equal ones, of which there are many.
func (j *Judging) intern(out checks.Outcome) *checks.Outcome {
	if out.Items != nil {
		return &out
	}
	key := said{out.Verdict, out.Message}
	if o := j.said[key]; o != nil {
		return o
	}
	if len(j.said) >= maxSaid {
		clear(j.said)
	}
	j.said[key] = &out
	return &out
}

// said is an outcome without items; maxSaid bounds those that are shared.
type said struct {
	verdict testplans.Verdict
	message string
}

const maxSaid = 1000

// releaseReport lets go of a report, which may be large, once all that look at it have; one that may be asked again keeps it.
func (e *entry) releaseReport() {
	for _, c := range e.in {
		if c.hopeless() {
			continue // it never will be
		}
		for i := range c.step.asks {
			if c.step.asks[i].report && (c.outcomes == nil || c.outcomes[i] == nil || !c.step.asks[i].depends.none()) {
				return
			}
		}
	}
	e.item.Report = nil
}

// compute makes the results of what was answered.
func (s *step) compute(ctx context.Context) error {
	j := s.j
	if len(s.attempts) == 0 && !onlyAttests(s.Step) {
		return s.unseen(ctx)
	}
	answers := make([]answer, len(s.Checks))
	best, others := s.best(answers)
	for i := range s.Checks {
		c := &s.Checks[i]
		if kind, _ := j.table.Find(c); !kind.Step {
			continue
		}
		out, err := j.table.Ask(ctx, s.newCase(c, checks.Item{}))
		if err != nil {
			return err
		}
		own := out.Items == nil && c.Attestation == nil
		if own {
			out.Items = s.items
		}
		answers[i] = answer{check: c, Outcome: out, own: own}
	}
	s.settle(answers)
	results := s.resultsOf(answers, others)
	if best >= 0 {
		if err := s.capture(ctx, s.attempts[best]); err != nil {
			return err
		}
		if len(results[0].Evidence) == 0 {
			s.cite(&results[0], 0, s.items[best:best+1])
		}
	}
	return s.conclude(results)
}

// conclude keeps results as the step's.
func (s *step) conclude(results []testplans.Result) error {
	if err := s.j.seal(results); err != nil {
		return err
	}
	if s.results == nil || s.results[0].Verdict != results[0].Verdict {
		s.j.clock++
		s.concluded = s.j.clock
	}
	s.results, s.dirty = results, false
	return nil
}

// same gives the step and all its checks one verdict.
func (s *step) same(v testplans.Verdict, message string) []testplans.Result {
	results := []testplans.Result{s.j.ofStep(s.Step)}
	for i := range s.Checks {
		results = append(results, s.j.ofCheck(s.Step, &s.Checks[i]))
	}
	for i := range results {
		results[i].Verdict, results[i].Message = v, message
	}
	return results
}

func (s *step) newCase(c *testplans.Check, attempt checks.Item) *checks.Case {
	k := &checks.Case{Desk: s.j.desk, Check: c, Attempt: attempt, Attempts: slices.Clip(s.items), Steps: s.j.attempts, Verdicts: s.j.verdicts}
	for i := range s.j.run.Attestations {
		if a := &s.j.run.Attestations[i]; a.Step == s.ID && a.Check == c.ID {
			k.Attestation = a // the last word counts
		}
	}
	return k
}

// best fills in the answers of the checks of single attempts. Those marked Every are answered by all attempts; the others by the best one,
// whose index is returned (-1 for no attempt), and others is how many of the rest failed.
func (s *step) best(answers []answer) (best, others int) {
	t := s.count()
	for i := range s.asks {
		c := s.asks[i].check
		switch k := s.indexOf(c); {
		case c.Every:
			answers[k] = t.every[i].answer
		case t.best >= 0:
			answers[k] = s.answerOf(c, i, t.best)
		}
	}
	if t.best >= 0 && t.verdict == failing {
		return t.best, 0 // the best one failed: its message says how
	}
	return t.best, t.failed
}

// answerOf is what an attempt says to the i-th check of single attempts.
func (s *step) answerOf(c *testplans.Check, i, attempt int) answer {
	out := *s.attempts[attempt].outcomes[i]
	own := out.Items == nil
	if own {
		out.Items = s.items[attempt : attempt+1 : attempt+1]
	}
	return answer{check: c, Outcome: out, own: own}
}

func (s *step) indexOf(c *testplans.Check) int {
	return slices.IndexFunc(s.Checks, func(o testplans.Check) bool { return o.ID == c.ID })
}

// capture takes the step's variables from its best attempt.
func (s *step) capture(ctx context.Context, best *candidate) error {
	for i := range s.Capture {
		values, err := s.j.desk.Capture(ctx, &s.Capture[i], best.entry.item)
		if err != nil {
			return err
		}
		if s.capturedBy == nil || !slices.Equal(values, s.captured[i]) {
			s.j.clock++
			s.captured[i], s.stamps[i] = values, s.j.clock
		}
		s.j.desk.Set(s.Capture[i].Name, values)
	}
	s.capturedBy = best
	return nil
}
