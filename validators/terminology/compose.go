package terminology

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"fhirwire/validators/ig"
)

// valueSet is a value set made ready for questions. Its clauses hold what they could expand; a clause that could not says why.
type valueSet struct {
	include, exclude []clause
	// why explains every Yes and No of a set that does not come from the packages.
	why string
}

// clause is one include or exclude: a part of a system, of other value sets, or of both.
type clause struct {
	system string
	// any: every code of the system belongs, known or not; all is that system where it is at hand.
	any bool
	all *system
	// codes are the codes listed or filtered; nil when any.
	codes       map[string]struct{}
	insensitive bool
	// test judges codes of a system that is defined by a grammar.
	test func(code string) Answer
	// fault says why codes could not be told; the answer for this system is then Unknown.
	fault string
	// sets must all contain the code, too.
	sets []nested
	// inactive: the codes are those that the system calls inactive.
	inactive bool
}

type nested struct {
	key, canonical, from string
}

// maxDepth ends value sets that include each other.
const maxDepth = 12

func (vs *valueSet) member(s *Service, system, code string, depth int) Answer {
	if depth > maxDepth {
		return Answer{Why: "the value sets include each other"}
	}
	in := Answer{Value: No}
	for i := range vs.include {
		a := vs.include[i].contains(s, system, code, depth)
		if a.Value == Yes {
			in = a
			break
		}
		if in.Value == No && (a.Value == Unknown || a.Why != "") {
			in = a
		}
	}
	if in.Value == No || len(vs.exclude) == 0 {
		return vs.explain(in)
	}
	for i := range vs.exclude {
		switch a := vs.exclude[i].contains(s, system, code, depth); a.Value {
		case Yes:
			return vs.explain(Answer{Value: No})
		case Unknown:
			if in.Value == Yes {
				in = Answer{Why: a.Why}
			}
		case No:
		}
	}
	return vs.explain(in)
}

func (vs *valueSet) explain(a Answer) Answer {
	if vs.why != "" && a.Why == "" {
		a.Why = vs.why
	}
	return a
}

func (c *clause) contains(s *Service, system, code string, depth int) Answer {
	if c.system != "" && system != "" && c.system != system {
		return Answer{Value: No}
	}
	a := Answer{Value: Yes}
	if c.system != "" || c.fault != "" {
		if a = c.inSystem(code); a.Value == No {
			return a
		}
	}
	for _, n := range c.sets {
		vs := s.setAt(n.key, n.canonical, n.from)
		if vs == nil {
			a = Answer{Why: "the value set " + n.canonical + " is not at hand"}
			continue
		}
		switch b := vs.member(s, system, code, depth+1); b.Value {
		case No:
			return b
		case Unknown:
			a = b
		case Yes:
			if a.Value == Yes && b.Why != "" {
				a.Why = b.Why
			}
		}
	}
	return a
}

func (c *clause) inSystem(code string) Answer {
	if c.test != nil {
		return c.test(code)
	}
	if c.codes != nil {
		key := code
		if c.insensitive {
			key = strings.ToLower(code)
		}
		if _, ok := c.codes[key]; ok {
			return Answer{Value: Yes}
		}
	}
	if c.fault != "" {
		return Answer{Why: c.fault}
	}
	if !c.any {
		return Answer{Value: No}
	}
	if c.all != nil {
		if _, ok := c.all.find(code); ok {
			return Answer{Value: Yes, Why: c.all.why}
		}
		if c.all.content == contentComplete {
			return Answer{Value: No, Why: c.all.why}
		}
	}
	if c.all == nil {
		return Answer{Why: notAtHand(c.system)}
	}
	return Answer{Why: incomplete(c.system, c.all.content)}
}

// complete reports whether the set can answer for every code.
func (vs *valueSet) complete(s *Service, depth int) bool {
	if depth > maxDepth || len(vs.include) == 0 {
		return false
	}
	whole := func(c *clause) bool {
		if c.fault != "" {
			return false
		}
		if c.any && c.system != "" && c.test == nil && (c.all == nil || c.all.content != contentComplete) {
			return false
		}
		for _, n := range c.sets {
			if in := s.setAt(n.key, n.canonical, n.from); in == nil || !in.complete(s, depth+1) {
				return false
			}
		}
		return true
	}
	for i := range vs.include {
		if !whole(&vs.include[i]) {
			return false
		}
	}
	for i := range vs.exclude {
		if !whole(&vs.exclude[i]) {
			return false
		}
	}
	return true
}

func compileSet(vs *ig.ValueSet, home string, s *Service) *valueSet {
	out := &valueSet{}
	if vs.HasExpansion && len(vs.Include) == 0 {
		out.include = expanded(vs.Expansion)
		return out
	}
	for i := range vs.Include {
		out.include = append(out.include, compileClause(&vs.Include[i], home, s))
	}
	for i := range vs.Exclude {
		out.exclude = append(out.exclude, compileClause(&vs.Exclude[i], home, s))
	}
	if vs.ActiveOnly {
		for i := range vs.Include {
			out.excludeInactive(vs.Include[i].System, home, s)
		}
	}
	if len(out.include) == 0 {
		out.include = []clause{{fault: "the value set does not say what it contains"}}
	}
	return out
}

// excludeInactive leaves out the codes that a system, where it is at hand, calls inactive.
func (vs *valueSet) excludeInactive(url, home string, s *Service) {
	sys := s.system(url, home)
	if url == "" || sys == nil || slices.ContainsFunc(vs.exclude, func(c clause) bool { return c.inactive && c.system == url }) {
		return
	}
	c := clause{system: url, inactive: true, codes: map[string]struct{}{}, insensitive: sys.insensitive}
	for i := range sys.concepts {
		if sys.inactive(int32(i)) {
			c.codes[sys.fold(sys.concepts[i].Code)] = struct{}{}
		}
	}
	vs.exclude = append(vs.exclude, c)
}

// expanded turns a published expansion into clauses, one for each system.
func expanded(list []ig.Coded) []clause {
	var out []clause
	for _, c := range list {
		i := slices.IndexFunc(out, func(x clause) bool { return x.system == c.System })
		if i < 0 {
			i = len(out)
			out = append(out, clause{system: c.System, codes: map[string]struct{}{}})
		}
		out[i].codes[c.Code] = struct{}{}
	}
	return out
}

func compileClause(inc *ig.Include, home string, s *Service) clause {
	c := clause{system: inc.System}
	for _, v := range inc.ValueSets {
		c.sets = append(c.sets, nested{keyOf(v, home), v, home})
	}
	if inc.System == "" {
		c.any = true
		return c
	}
	canonical := inc.System
	if inc.Version != "" {
		canonical += "|" + inc.Version
	}
	sys := s.system(canonical, home)
	switch {
	case sys != nil && sys.fault != "":
		c.fault = sys.fault
		return c
	case len(inc.Concepts) > 0:
		c.codes = make(map[string]struct{}, len(inc.Concepts))
		c.insensitive = sys != nil && sys.insensitive
		for _, k := range inc.Concepts {
			if c.insensitive {
				k.Code = strings.ToLower(k.Code)
			}
			c.codes[k.Code] = struct{}{}
		}
	case len(inc.Filters) == 0:
		c.any, c.all = true, sys
		if sys == nil || sys.content != contentComplete {
			c.test = grammarOf(inc.System)
		}
	case inc.System == Languages:
		c.any = true
		c.test, c.fault = languageFilter(inc.Filters)
	default:
		c.filter(inc.Filters, sys)
	}
	return c
}

// filter expands filters over a system. What a fragment of a system holds is in; the rest stays unknown.
func (c *clause) filter(filters []ig.Filter, sys *system) {
	if sys == nil {
		c.fault = notAtHand(c.system)
		return
	}
	if sys.content != contentComplete {
		c.fault = incomplete(c.system, sys.content)
	}
	tests := make([]func(int32) bool, 0, len(filters))
	for _, f := range filters {
		test, err := compileFilter(f, sys)
		if err != nil {
			c.fault = fmt.Sprintf("the value set filters %s by something beyond us: %v", c.system, err)
			return
		}
		tests = append(tests, test)
	}
	c.codes = map[string]struct{}{}
	c.insensitive = sys.insensitive
	for i := range sys.concepts {
		ok := true
		for _, test := range tests {
			ok = ok && test(int32(i))
		}
		if ok {
			c.codes[sys.fold(sys.concepts[i].Code)] = struct{}{}
		}
	}
}

func compileFilter(f ig.Filter, sys *system) (func(int32) bool, error) {
	values := func(i int32) []string {
		switch f.Property {
		case "code", "concept":
			return []string{sys.concepts[i].Code}
		case "display":
			return []string{sys.concepts[i].Display}
		}
		v, _ := sys.property(i, f.Property)
		return v
	}
	published := func() error {
		switch f.Property {
		case "code", "concept", "display":
			return nil
		}
		if !sys.has(f.Property) {
			return fmt.Errorf("property %s, which is not published", f.Property)
		}
		return nil
	}
	switch f.Op {
	case "is-a", "descendent-of", "is-not-a", "generalizes":
		if !sys.hierarchy && sys.parents == nil && f.Op != "is-a" {
			return nil, fmt.Errorf("%s in a system without a hierarchy", f.Op)
		}
		top, ok := sys.find(f.Value)
		if !ok {
			return nil, fmt.Errorf("%s %s, a code that is not at hand", f.Op, f.Value)
		}
		switch f.Op {
		case "is-a":
			return func(i int32) bool { return sys.isA(i, top) }, nil
		case "descendent-of":
			return func(i int32) bool { return i != top && sys.isA(i, top) }, nil
		case "is-not-a":
			return func(i int32) bool { return !sys.isA(i, top) }, nil
		}
		return func(i int32) bool { return sys.isA(top, i) }, nil
	case "=":
		if f.Property == "parent" || f.Property == "child" {
			return relative(f, sys)
		}
		if err := published(); err != nil {
			return nil, err
		}
		return func(i int32) bool { return slices.Contains(values(i), f.Value) }, nil
	case "in", "not-in":
		if err := published(); err != nil {
			return nil, err
		}
		var list []string
		for v := range strings.SplitSeq(f.Value, ",") {
			list = append(list, strings.TrimSpace(v))
		}
		return func(i int32) bool {
			in := slices.ContainsFunc(values(i), func(v string) bool { return slices.Contains(list, v) })
			return in == (f.Op == "in")
		}, nil
	case "regex":
		if err := published(); err != nil {
			return nil, err
		}
		re, err := regexp.Compile(`^(?:` + f.Value + `)$`)
		if err != nil {
			return nil, fmt.Errorf("a regular expression: %w", err)
		}
		return func(i int32) bool { return slices.ContainsFunc(values(i), re.MatchString) }, nil
	case "exists":
		if err := published(); err != nil && f.Value == "true" {
			return nil, err
		}
		return func(i int32) bool { return (len(values(i)) > 0) == (f.Value == "true") }, nil
	}
	return nil, fmt.Errorf("operator %q", f.Op)
}

// relative selects the direct children (parent = x) or parents (child = x) of a concept.
func relative(f ig.Filter, sys *system) (func(int32) bool, error) {
	x, ok := sys.find(f.Value)
	if !ok {
		return nil, fmt.Errorf("%s %s, a code that is not at hand", f.Property, f.Value)
	}
	under := func(i, parent int32) bool {
		return int32(sys.concepts[i].Parent) == parent || slices.Contains(sys.parents[i], parent)
	}
	if f.Property == "parent" {
		return func(i int32) bool { return under(i, x) }, nil
	}
	return func(i int32) bool { return under(x, i) }, nil
}
