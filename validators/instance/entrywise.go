package instance

import (
	"fmt"
	"strings"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/fhirpath/parse"
	"fhirwire/validators/profile"
)

// scope of a rule: how much of a Bundle it has to see.
type sight uint8

const (
	sightFrame sight = iota // nothing of the entries, or the first
	sightEach               // every entry, one at a time: it holds of the Bundle when it holds of the Bundle with each
	sightAll
)

// sightOf tells what a rule stated on a Bundle has to see.
func sightOf(n parse.Node) sight {
	switch {
	case !looksAtEntries(n):
		return sightFrame
	case !looksBeyondFirst(n):
		return sightFrame
	case holdsByEntry(n):
		return sightEach
	}
	return sightAll
}

// children are the parts of an expression.
func children(n parse.Node) []parse.Node {
	switch n := n.(type) {
	case *parse.Dot:
		return []parse.Node{n.Left, n.Right}
	case *parse.Index:
		return []parse.Node{n.Left, n.Index}
	case *parse.Unary:
		return []parse.Node{n.X}
	case *parse.Binary:
		return []parse.Node{n.Left, n.Right}
	case *parse.TypeOp:
		return []parse.Node{n.X}
	case *parse.Call:
		return n.Args
	}
	return nil
}

func anyNode(n parse.Node, f func(parse.Node) bool) bool {
	if f(n) {
		return true
	}
	for _, c := range children(n) {
		if anyNode(c, f) {
			return true
		}
	}
	return false
}

// wide functions see all below their focus, or the focus as a whole.
var wide = map[string]bool{"children": true, "descendants": true, "repeat": true, "conformsTo": true, "aggregate": true, "trace": true}

func isName(n parse.Node, name string) bool {
	id, ok := n.(*parse.Identifier)
	return ok && id.Name == name
}

// isWhole reports a variable that stands for a resource, or for whatever is in focus.
func isWhole(n parse.Node) bool {
	switch n := n.(type) {
	case *parse.External:
		return n.Name == "resource" || n.Name == "rootResource" || n.Name == "context"
	case *parse.Variable:
		return n.Name == "this"
	}
	return false
}

// looksWide reports an expression whose sight cannot be told from the names in it.
func looksWide(n parse.Node) bool {
	named := map[parse.Node]bool{} // resources of which an element is asked
	return anyNode(n, func(n parse.Node) bool {
		switch n := n.(type) {
		case *parse.Call:
			return wide[n.Name]
		case *parse.Dot:
			if _, ok := n.Right.(*parse.Identifier); ok {
				named[n.Left] = true
			}
		}
		return isWhole(n) && !named[n]
	})
}

func looksAtEntries(n parse.Node) bool {
	return looksWide(n) || anyNode(n, func(n parse.Node) bool { return isName(n, "entry") })
}

// looksBeyondFirst is false for expressions that ask of the entries the first only.
func looksBeyondFirst(n parse.Node) bool {
	if looksWide(n) {
		return true
	}
	firsts := map[parse.Node]bool{}
	return anyNode(n, func(n parse.Node) bool {
		switch n := n.(type) {
		case *parse.Dot:
			if call, ok := n.Right.(*parse.Call); ok && call.Name == "first" {
				markFirst(n, firsts)
			}
		case *parse.Index:
			if lit, ok := n.Index.(*parse.Literal); ok && lit.Kind == parse.Number && lit.Text == "0" {
				markFirst(&parse.Dot{Left: n.Left}, firsts)
			}
		}
		return isName(n, "entry") && !firsts[n]
	})
}

// markFirst notes the "entry" that .first() or [0] is asked of.
func markFirst(n *parse.Dot, firsts map[parse.Node]bool) {
	switch left := n.Left.(type) {
	case *parse.Identifier:
		firsts[left] = true
	case *parse.Dot: // %resource.entry
		if isWhole(left.Left) {
			firsts[left.Right] = true
		}
	}
}

// holdsByEntry reports a condition that holds of a Bundle exactly when it holds of the Bundle with each entry alone.
func holdsByEntry(n parse.Node) bool {
	switch n := n.(type) {
	case *parse.Binary:
		switch n.Op {
		case "and":
			return byEntryOrFree(n.Left) && byEntryOrFree(n.Right)
		case "or":
			return !looksAtEntries(n.Left) && holdsByEntry(n.Right) || holdsByEntry(n.Left) && !looksAtEntries(n.Right)
		case "implies":
			return !looksAtEntries(n.Left) && holdsByEntry(n.Right)
		}
	case *parse.Dot:
		call, ok := n.Right.(*parse.Call)
		if !ok {
			return false
		}
		switch call.Name {
		case "all":
			return len(call.Args) == 1 && isEntryPath(n.Left) && !looksAtEntries(call.Args[0])
		case "empty":
			return isEntryPath(n.Left)
		case "not":
			left, ok := n.Left.(*parse.Dot)
			if !ok {
				return false
			}
			some, ok := left.Right.(*parse.Call)
			return ok && some.Name == "exists" && isEntryPath(left.Left) && (len(some.Args) == 0 || !looksAtEntries(some.Args[0]))
		}
	}
	return false
}

func byEntryOrFree(n parse.Node) bool { return !looksAtEntries(n) || holdsByEntry(n) }

// isEntryPath reports a path from the entries on that gives of all entries what it gives of each.
func isEntryPath(n parse.Node) bool {
	switch n := n.(type) {
	case *parse.Identifier:
		return n.Name == "entry"
	case *parse.Dot:
		if isWhole(n.Left) && isName(n.Right, "entry") {
			return true
		}
		switch right := n.Right.(type) {
		case *parse.Identifier:
			return right.Name != "entry" && isEntryPath(n.Left)
		case *parse.Call:
			if right.Name != "where" && right.Name != "select" && right.Name != "ofType" {
				return false
			}
			counts := func(n parse.Node) bool { v, ok := n.(*parse.Variable); return ok && v.Name != "this" }
			for _, a := range right.Args {
				if looksAtEntries(a) || anyNode(a, counts) {
					return false
				}
			}
			return isEntryPath(n.Left)
		}
	}
	return false
}

// divisible finds out whether the rules that apply to the Bundle can be checked entry by entry, which is ErrWhole otherwise, and
// whether the entries have to come one after the other.
func (w *walk) divisible(asked []string) (sequential bool, err error) {
	s := w.stream
	base := w.v.basePlan("Bundle")
	if base == nil {
		return false, fmt.Errorf("no definition of Bundle: %w", ErrWhole)
	}
	d := divider{v: w.v, entry: w.v.children(base).byName["entry"], sequential: s.elementIDs}
	if d.entry == nil {
		return false, fmt.Errorf("a Bundle without entries: %w", ErrWhole)
	}
	canonicals := append([]string(nil), asked...)
	for c := s.bundle.Member("meta").Member("profile").FirstOrNil(); c != nil; c = c.Next() {
		canonicals = append(canonicals, c.Text())
	}
	if w.v.opt.ExtraProfiles != nil {
		for _, c := range w.v.opt.ExtraProfiles(s.bundle) {
			canonicals = append(canonicals, c.URL)
		}
	}
	if err := d.rules(base, true); err != nil {
		return false, err
	}
	for _, canonical := range canonicals {
		f := w.v.family(canonical)
		if f == nil {
			continue
		}
		if len(f.list) > 1 && !f.pinned {
			return false, fmt.Errorf("which version of profile %s fits is decided over the whole Bundle: %w", canonical, ErrWhole)
		}
		def := f.list[0]
		if def.Type != "Bundle" && def.Type != "Resource" {
			continue
		}
		if p := w.v.rootPlan(def, base); p != nil {
			if err := d.rules(p, true); err != nil {
				return false, err
			}
		}
	}
	s.each = d.each
	return d.sequential, nil
}

type divider struct {
	v          *Validator
	entry      *member
	each       []*invariant
	sequential bool
}

// rules checks the rules of a plan and of what it says about elements of the Bundle's own.
func (d *divider) rules(p *plan, root bool) error {
	for _, inv := range p.invariants {
		n, err := parse.Parse(inv.Expression)
		if err != nil {
			continue // reported as such where it is to be checked
		}
		switch {
		case !root:
			if anyNode(n, func(n parse.Node) bool { _, ok := n.(*parse.External); return ok && isWhole(n) }) && looksAtEntries(n) {
				return d.refuse(p.prof, inv.Key)
			}
		case sightOf(n) == sightAll:
			return d.refuse(p.prof, inv.Key)
		case sightOf(n) == sightEach:
			d.each = append(d.each, inv)
		}
	}
	if p.base == nil {
		if !strings.HasPrefix(p.el.Path, "Bundle") {
			return nil
		}
		return d.members(d.v.children(p).members, func(m *member) *plan { return m.plan(d.v) })
	}
	diff := d.v.below(p)
	if diff == nil {
		return nil
	}
	for _, s := range diff.slicings {
		if root && s.slot == d.entry.slot {
			d.sequential = true
			if err := d.slices(s); err != nil {
				return err
			}
		}
	}
	return d.members(d.v.children(p.base).members, func(m *member) *plan { return diff.byMember[m.index] })
}

func (d *divider) members(list []*member, planOf func(*member) *plan) error {
	for _, m := range list {
		if m.el.Path == "Bundle.entry.resource" || !strings.HasPrefix(m.el.Path, "Bundle.") || m.el.ContentReference != nil {
			continue
		}
		if p := planOf(m); p != nil {
			if err := d.rules(p, false); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *divider) slices(s *slicing) error {
	for _, one := range s.slices {
		if p := d.v.profilePlan(s.prof, one.el, d.entry.plan(d.v)); p != nil {
			if err := d.rules(p, false); err != nil {
				return err
			}
		}
		if one.resub != nil {
			if err := d.slices(one.resub); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *divider) refuse(prof *profile.Profile, key string) error {
	return fmt.Errorf("rule %s of %s looks at all entries together: %w", key, profileName(prof), ErrWhole)
}

// findOrphans marks the entries of a document or message that its first resource does not lead to.
func (s *stream) findOrphans() error {
	w := s.walk
	n := len(s.records)
	forward, backward := make([][]int, n), make([][]int, n)
	start := -1
	for i := range n {
		if s.records[i].flags&entryResource == 0 {
			continue
		}
		if start < 0 {
			start = i
		}
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if !s.show(i) {
			return s.err
		}
		eachReference(s.entry.Member("resource"), func(ref *fhirjson.Node) {
			if t := w.matches(s.bundle, s.entry, ref.Text(), w.v.parseLink(ref.Text())); len(t) > 0 {
				forward[i], backward[t[0].at] = append(forward[i], t[0].at), append(backward[t[0].at], i)
			}
		})
	}
	s.hide()
	if start < 0 {
		return nil
	}
	reached, either := reach(start, forward, nil), reach(start, forward, backward)
	for i := range s.records {
		r := &s.records[i]
		if reached[i] || r.flags&entryResource == 0 || r.flags&entryAbsoluteURL == 0 {
			continue
		}
		if r.flags |= entryOrphan; either[i] {
			r.flags |= entryBackward
		}
	}
	return nil
}
