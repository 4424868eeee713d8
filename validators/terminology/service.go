package terminology

import (
	"fmt"
	"strings"
	"sync"

	"fhirwire/validators/ig"
)

// Value is one of three truths.
type Value uint8

// The values. The zero value is Unknown.
const (
	Unknown Value = iota
	No
	Yes
)

// String names the value.
func (v Value) String() string { return [...]string{"unknown", "no", "yes"}[v] }

// Answer is a truth and, unless it is a plain Yes or No, why.
type Answer struct {
	Value Value
	Why   string
}

// Definitions finds value sets and code systems. from is the id of the package whose definition asks, "" for the user. What is
// not at hand is nil without an error.
type Definitions interface {
	// ValueSet also gives the id of the package that holds it.
	ValueSet(canonical, from string) (*ig.ValueSet, string, error)
	CodeSystem(canonical, from string) (*ig.CodeSystem, error)
	// Supplements are the supplements of a code system.
	Supplements(system string) []*ig.CodeSystem
}

// Options of a Service.
type Options struct {
	// MaxMissing bounds how many canonicals that nothing answers to are remembered; 0 means 4096.
	MaxMissing int
}

// Service answers for one set of definitions. It is safe for concurrent use.
type Service struct {
	defs    Definitions
	sets    sync.Map // canonical → *cell[*valueSet]
	systems sync.Map // canonical → *cell[*system]

	mu      sync.Mutex
	missing int
	most    int
}

// cell is a value made once.
type cell[T any] struct {
	once sync.Once
	v    T
}

// New makes a Service over definitions.
func New(defs Definitions, o Options) *Service {
	if o.MaxMissing == 0 {
		o.MaxMissing = 4096
	}
	return &Service{defs: defs, most: o.MaxMissing}
}

// Member says whether code of system is in the value set. An empty system means an element that has a code only: the code may
// be of any system of the set.
func (s *Service) Member(valueSet, system, code string) Answer {
	vs := s.set(valueSet, "")
	if vs == nil {
		return Answer{Why: unknownSet}
	}
	return vs.member(s, system, code, 0)
}

const unknownSet = "the value set is not at hand"

// Known reports whether a value set is at hand, expandable or not.
func (s *Service) Known(valueSet string) bool { return s.set(valueSet, "") != nil }

// Enumerable reports whether membership in the value set can be answered for every code.
func (s *Service) Enumerable(valueSet string) bool {
	vs := s.set(valueSet, "")
	return vs != nil && vs.complete(s, 0)
}

// Supplement is why a code system has no codes: it only adds to those of another.
const Supplement = "it is a supplement"

// Code says whether a code system has a code, and its display where it is known. No is said only of complete systems and of
// grammars.
func (s *Service) Code(system, code string) (display string, a Answer) {
	sys := s.system(system, "")
	if sys != nil && sys.content == "supplement" {
		return "", Answer{Value: No, Why: Supplement}
	}
	if sys != nil {
		if i, ok := sys.find(code); ok {
			return sys.concepts[i].Display, Answer{Value: Yes, Why: sys.why}
		}
		if sys.content == contentComplete {
			return "", Answer{Value: No, Why: sys.why}
		}
	}
	if g := grammarOf(system); g != nil {
		return "", g(code)
	}
	switch {
	case sys == nil:
		return "", Answer{Why: notAtHand(system)}
	case sys.fault != "":
		return "", Answer{Why: sys.fault}
	}
	return "", Answer{Why: incomplete(system, sys.content)}
}

// KnownSystem reports whether anything is known of a code system: its concepts or its grammar.
func (s *Service) KnownSystem(system string) bool {
	return grammarOf(system) != nil || s.system(system, "") != nil
}

// Subsumes says whether concept a of a system is b or an ancestor of b.
func (s *Service) Subsumes(system, a, b string) Answer {
	sys := s.system(system, "")
	if sys == nil {
		return Answer{Why: notAtHand(system)}
	}
	i, okA := sys.find(a)
	j, okB := sys.find(b)
	switch {
	case okA && okB && sys.isA(j, i):
		return Answer{Value: Yes}
	case sys.content == contentComplete && sys.hierarchy:
		return Answer{Value: No}
	}
	return Answer{Why: incomplete(system, sys.content)}
}

func notAtHand(system string) string { return "the code system " + system + " is not at hand" }

func incomplete(system, content string) string {
	return "of the code system " + system + " only a part is at hand (content " + content + ")"
}

// set is the compiled value set, nil when it is not at hand.
func (s *Service) set(canonical, from string) *valueSet {
	return s.setAt(keyOf(canonical, from), canonical, from)
}

func keyOf(canonical, from string) string {
	if from == "" {
		return canonical
	}
	return canonical + " " + from
}

func (s *Service) setAt(key, canonical, from string) *valueSet {
	c, ok := s.sets.Load(key)
	if !ok {
		if c = s.remember(&s.sets, key, new(cell[*valueSet])); c == nil {
			return s.compileSet(canonical, from)
		}
	}
	vs := c.(*cell[*valueSet])
	vs.once.Do(func() { vs.v = s.compileSet(canonical, from) })
	return vs.v
}

func (s *Service) system(canonical, from string) *system {
	key := keyOf(canonical, from)
	c, ok := s.systems.Load(key)
	if !ok {
		if c = s.remember(&s.systems, key, new(cell[*system])); c == nil {
			return s.compileSystem(canonical, from)
		}
	}
	sys := c.(*cell[*system])
	sys.once.Do(func() { sys.v = s.compileSystem(canonical, from) })
	return sys.v
}

// remember stores a cell under key, or gives the one that is there; nil when too many keys are stored already, for recorded
// traffic can name any number of systems.
func (s *Service) remember(m *sync.Map, key string, c any) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.missing >= s.most {
		return nil
	}
	stored, loaded := m.LoadOrStore(strings.Clone(key), c)
	if !loaded {
		s.missing++
	}
	return stored
}

func (s *Service) compileSet(canonical, from string) *valueSet {
	vs, home, err := s.defs.ValueSet(canonical, from)
	if err != nil {
		return &valueSet{include: []clause{{fault: fmt.Sprintf("the value set cannot be read: %v", err)}}}
	}
	if vs == nil {
		if list := supplied(canonical); list != nil {
			return list
		}
		return nil
	}
	return compileSet(vs, home, s)
}

func (s *Service) compileSystem(canonical, from string) *system {
	cs, err := s.defs.CodeSystem(canonical, from)
	if err != nil {
		return &system{fault: fmt.Sprintf("the code system cannot be read: %v", err)}
	}
	url, _ := ig.SplitCanonical(canonical)
	if cs == nil || cs.Content == "not-present" {
		if list := s.suppliedSystem(url); list != nil {
			return list
		}
	}
	if cs == nil {
		return nil
	}
	return newSystem(cs, s.defs.Supplements(url))
}
