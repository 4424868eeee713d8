package instance

import (
	"regexp"
	"slices"
	"sync"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/profile"
)

type planKey struct {
	el   *profile.Element
	base *plan
}

type planEntry struct {
	once sync.Once
	p    *plan
}

// profilePlan is what el of prof adds to base; nil when that is nothing.
func (v *Validator) profilePlan(prof *profile.Profile, el *profile.Element, base *plan) *plan {
	if el == nil || base == nil {
		return nil
	}
	key := planKey{el, base}
	got, ok := v.profiles.Load(key)
	if !ok {
		got, _ = v.profiles.LoadOrStore(key, new(planEntry))
	}
	e := got.(*planEntry)
	e.once.Do(func() { e.p = v.newDifference(prof, el, base) })
	return e.p
}

// rootPlan is the plan of a whole profile on the base plan of its type.
func (v *Validator) rootPlan(prof *profile.Profile, base *plan) *plan {
	if prof == nil || prof.Root == nil {
		return nil
	}
	return v.profilePlan(prof, prof.Root, base)
}

func (v *Validator) newDifference(prof *profile.Profile, el *profile.Element, base *plan) *plan {
	p := &plan{
		el: el, prof: prof, base: base, typ: base.typ, shape: base.shape, prim: base.prim, data: base.data, fpType: base.fpType,
	}
	if el.Children == nil && !el.ContentOfBase {
		p.ref = el.ContentReference
	}
	if el.Fixed != nil && !sameNode(el.Fixed, base.fixed) {
		p.fixed = el.Fixed
	}
	if el.Pattern != nil && !sameNode(el.Pattern, base.pattern) {
		p.pattern = el.Pattern
	}
	if !sameNode(el.MinValue, base.minValue) {
		p.minValue = el.MinValue
	}
	if !sameNode(el.MaxValue, base.maxValue) {
		p.maxValue = el.MaxValue
	}
	if el.MaxLength != base.maxLength {
		p.maxLength = el.MaxLength
	}
	if b := v.bindingOf(el); b != nil && (base.binding == nil || *b != *base.binding) && (b.Strength >= profile.Extensible || b.MaxValueSet != "") {
		p.binding = b
	}
	if el.Matches != "" && base.shape == primitive {
		var err error
		if p.form, err = regexp.Compile(`^(?:` + el.Matches + `)$`); err != nil {
			p.badForm = err.Error()
		}
	}
	if (el.NarrativeSource || len(el.NarrativeLanguages) > 0) && base.data == dataNarrative {
		p.story = &story{source: el.NarrativeSource, languages: el.NarrativeLanguages}
	}
	v.typeDifference(p)
	p.invariants = v.invariants(nil, el, prof)
	p.invariants = slices.DeleteFunc(p.invariants, func(i *invariant) bool {
		return slices.ContainsFunc(base.invariants, i.same)
	})
	p.diff = v.newDiff(p)
	if p.fixed == nil && p.pattern == nil && p.minValue == nil && p.maxValue == nil && p.maxLength == 0 && p.binding == nil &&
		p.form == nil && p.badForm == "" && p.story == nil &&
		len(p.invariants) == 0 && p.targets == nil && p.types == nil && p.alternatives == nil && p.diff == nil && p.ref == nil {
		return nil
	}
	return p
}

// typeDifference sets what the profile says about the type itself: profiles of it, targets of references, kinds of resource.
func (v *Validator) typeDifference(p *plan) {
	if p.el == p.prof.Root {
		return
	}
	if p.shape == resourceShape {
		for _, t := range p.el.Types {
			p.alternatives = append(p.alternatives, t.Profiles...)
			if t.Code != "Resource" && t.Code != p.typ {
				p.types = append(p.types, t.Code)
			}
		}
		return
	}
	var mine []profile.Type
	for _, t := range p.el.Types {
		if t.Code == p.typ {
			mine = append(mine, t)
			p.alternatives = append(p.alternatives, t.Profiles...)
		}
	}
	if slices.Equal(p.alternatives, p.base.alternatives) {
		p.alternatives = nil
	}
	if p.data == dataReference {
		if p.targets = v.newTargets(mine); p.targets.same(p.base.targets) {
			p.targets = nil
		}
	}
}

// below is the diff for the children of p. A content reference is followed here and not when plans are made, since it may
// lead back to where it stands.
func (v *Validator) below(p *plan) *diff {
	if p.ref == nil {
		return p.diff
	}
	if target := v.profilePlan(p.prof, p.ref, p.base); target != nil && target.ref == nil {
		return target.diff
	}
	return nil
}

func (v *Validator) newDiff(p *plan) *diff {
	if len(p.el.Children) == 0 {
		return nil
	}
	k := v.children(p.base)
	d := &diff{byMember: make([]*plan, len(k.members))}
	some := false
	for _, c := range p.el.Children {
		at := slices.IndexFunc(k.slots, func(s slot) bool { return s.el.Name == c.Name })
		if at < 0 {
			continue
		}
		b := k.slots[at].el
		if c.Min > b.Min || c.Max != b.Max && c.Max != profile.Unbounded {
			d.cards = append(d.cards, card{at, c, c.Min, c.Max})
			some = true
		}
		if c.Max == 0 {
			continue
		}
		for _, m := range k.members {
			if m.slot != at {
				continue
			}
			if b.Choice && !allows(c, m.typ.Code) {
				if d.forbidden == nil {
					d.forbidden = make([]bool, len(k.members))
				}
				d.forbidden[m.index] = true
				some = true
				continue
			}
			if sub := v.profilePlan(p.prof, c, m.plan(v)); sub != nil {
				d.byMember[m.index] = sub
				some = true
			}
		}
		if len(c.Slices) > 0 {
			d.slicings = append(d.slicings, v.newSlicing(p.prof, c, at))
			some = true
		}
	}
	if !some {
		return nil
	}
	return d
}

func allows(el *profile.Element, typeName string) bool {
	if len(el.Types) == 0 || el.ContentReference != nil {
		return true
	}
	return slices.ContainsFunc(el.Types, func(t profile.Type) bool { return t.Code == typeName })
}

func sameNode(a, b *fhirjson.Node) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a == b || equalNodes(a, b)
}
