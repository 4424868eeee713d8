package fhirpath

import (
	"errors"
	"hash/maphash"
	"strings"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/fhirpath/value"
)

// equal is the = of two collections.
func (s *state) equal(a, b []item) (value.Tri, error) {
	if len(a) == 0 || len(b) == 0 {
		return value.Unknown, nil
	}
	if len(a) != len(b) {
		return value.False, nil
	}
	out := value.True
	for i := range a {
		t, err := s.equalItem(&a[i], &b[i])
		if err != nil {
			return value.Unknown, err
		}
		if t == value.False {
			return value.False, nil
		}
		if t == value.Unknown {
			out = value.Unknown
		}
	}
	return out, nil
}

func (s *state) equalItem(a, b *item) (value.Tri, error) {
	if a.node != nil && a.node == b.node {
		return value.True, nil
	}
	if a.isString() || b.isString() {
		// Dates and numbers of the resource are compared as written when the other side is a string.
		x, okX := a.text()
		y, okY := b.text()
		return value.Of(okX && okY && x == y), nil
	}
	if a.node != nil && b.node != nil && a.node.Kind() == fhirjson.Object && b.node.Kind() == fhirjson.Object && s.sameNode(a.node, b.node) {
		return value.True, nil
	}
	x, err := s.system(a)
	if err != nil {
		return value.Unknown, err
	}
	y, err := s.system(b)
	if err != nil {
		return value.Unknown, err
	}
	if x != nil && y != nil {
		t, err := value.Equal(x, y)
		if a.node != nil && b.node != nil && errors.Is(err, value.ErrUnit) {
			return value.False, nil // two elements that differ, in units that no table relates
		}
		return t, err
	}
	if x == nil && y == nil && a.node != nil && b.node != nil && (a.node.Kind() != fhirjson.Object || b.node.Kind() != fhirjson.Object) {
		return value.Of(s.sameNode(a.node, b.node)), nil
	}
	return value.False, nil
}

// sameNode is deep equality of what JSON says: members in any order, arrays in theirs, numbers by value.
func (s *state) sameNode(a, b *fhirjson.Node) bool {
	if a == b {
		return true
	}
	if s.spend(1) != nil {
		return false
	}
	if a.Kind() != b.Kind() {
		return false
	}
	switch a.Kind() {
	case fhirjson.Null:
		return true
	case fhirjson.Bool, fhirjson.String:
		return a.Text() == b.Text()
	case fhirjson.Number:
		return sameNumber(a.Text(), b.Text())
	case fhirjson.Array:
		if a.Len() != b.Len() {
			return false
		}
		y := b.First()
		for x := a.First(); x != nil && y != nil; x, y = x.Next(), y.Next() {
			if !s.sameNode(x, y) {
				return false
			}
		}
		return true
	default:
		if a.Len() != b.Len() {
			return false
		}
		for x := a.First(); x != nil; x = x.Next() {
			if y := b.Member(x.Key()); y == nil || !s.sameNode(x, y) {
				return false
			}
		}
		return true
	}
}

func sameNumber(a, b string) bool {
	if a == b {
		return true
	}
	x, err := value.ParseDecimal(a)
	if err != nil {
		return false
	}
	y, err := value.ParseDecimal(b)
	return err == nil && x.Cmp(y) == 0
}

// equivalent is the ~ of two collections: the same items in any order.
func (s *state) equivalent(a, b []item) (bool, error) {
	if len(a) != len(b) {
		return false, nil
	}
	used := make([]bool, len(b))
	for i := range a {
		found := false
		for j := range b {
			if used[j] {
				continue
			}
			if err := s.spend(1); err != nil {
				return false, err
			}
			ok, err := s.equivalentItem(&a[i], &b[j])
			if err != nil {
				return false, err
			}
			if ok {
				used[j], found = true, true
				break
			}
		}
		if !found {
			return false, nil
		}
	}
	return true, nil
}

func (s *state) equivalentItem(a, b *item) (bool, error) {
	if a.node != nil && a.node == b.node {
		return true, nil
	}
	if a.isString() || b.isString() {
		x, okX := a.text()
		y, okY := b.text()
		return okX && okY && value.EquivalentText(x, y), nil
	}
	x, err := s.system(a)
	if err != nil {
		return false, err
	}
	y, err := s.system(b)
	if err != nil {
		return false, err
	}
	if x != nil && y != nil {
		return value.Equivalent(x, y)
	}
	if x != nil || y != nil || a.node == nil || b.node == nil {
		return false, nil
	}
	return s.similarNode(a, b)
}

// similarNode compares children by ~, whatever their order.
func (s *state) similarNode(a, b *item) (bool, error) {
	if a.node.Kind() != b.node.Kind() || a.node.Kind() != fhirjson.Object {
		return s.sameNode(a.node, b.node), nil
	}
	if a.node.Len() != b.node.Len() {
		return false, nil
	}
	for c := a.node.First(); c != nil; c = c.Next() {
		other := b.node.Member(c.Key())
		if other == nil {
			return false, nil
		}
		if c.Key() == "resourceType" {
			if c.Text() != other.Text() {
				return false, nil
			}
			continue
		}
		typ := func(it *item) *Type {
			if it.typ == nil {
				return nil
			}
			m, _ := it.typ.Member(strings.TrimPrefix(c.Key(), "_"))
			return m.Type
		}
		x := s.elements(c, nil, typ(a), s.get())
		y := s.elements(other, nil, typ(b), s.get())
		ok, err := s.equivalent(x, y)
		s.put(x)
		s.put(y)
		if !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// distinct appends to dst what occurs in the inputs, each value once.
func (s *state) distinct(dst []item, inputs ...[]item) ([]item, error) {
	from := len(dst)
	n := 0
	for _, in := range inputs {
		n += len(in)
	}
	set := s.newSet(n)
	for _, in := range inputs {
		for i := range in {
			added, err := set.add(dst[from:], &in[i])
			if err != nil {
				return dst, err
			}
			if added {
				dst = append(dst, in[i])
			}
		}
	}
	return dst, nil
}

// itemSet finds equal items: by comparing each with each while there are few, by hash when there are many.
type itemSet struct {
	s       *state
	buckets map[uint64][]int
}

const fewItems = 12

func (s *state) newSet(n int) itemSet {
	set := itemSet{s: s}
	if n > fewItems {
		set.buckets = make(map[uint64][]int, n)
	}
	return set
}

// find gives the place of an item equal to it among those added.
func (set *itemSet) find(items []item, it *item) (int, error) {
	same := func(i int) (bool, error) {
		if err := set.s.spend(1); err != nil {
			return false, err
		}
		t, err := set.s.equalItem(&items[i], it)
		return t == value.True, err
	}
	if set.buckets == nil {
		for i := range items {
			if ok, err := same(i); ok || err != nil {
				return i, err
			}
		}
		return -1, nil
	}
	for _, i := range set.buckets[set.s.hash(it)] {
		if ok, err := same(i); ok || err != nil {
			return i, err
		}
	}
	return -1, nil
}

// add reports that no item equal to it is among items, which it then will be as the next one.
func (set *itemSet) add(items []item, it *item) (bool, error) {
	i, err := set.find(items, it)
	if err != nil || i >= 0 {
		return false, err
	}
	if set.buckets != nil {
		h := set.s.hash(it)
		set.buckets[h] = append(set.buckets[h], len(items))
	}
	return true, nil
}

var seed = maphash.MakeSeed()

// hash is the same for equal items.
func (s *state) hash(it *item) uint64 {
	if t, ok := it.text(); ok {
		if it.node == nil || it.isString() {
			return maphash.String(seed, t)
		}
	}
	if it.node != nil && it.node.Kind() == fhirjson.Object {
		if it.typ != nil && it.typ.system == sysQuantity {
			return 1
		}
		return hashNode(it.node)
	}
	v, err := s.system(it)
	if err != nil || v == nil {
		return 2
	}
	if n, ok := value.Number(v); ok {
		return maphash.String(seed, n.Normal())
	}
	switch v.(type) {
	case value.Boolean, value.TypeInfo:
		return maphash.String(seed, v.String())
	default:
		return 3
	}
}

func hashNode(n *fhirjson.Node) uint64 {
	switch n.Kind() {
	case fhirjson.String, fhirjson.Bool:
		return maphash.String(seed, n.Text())
	case fhirjson.Object:
		h := uint64(17)
		for c := n.First(); c != nil; c = c.Next() {
			h += maphash.String(seed, c.Key()) ^ 31*hashNode(c)
		}
		return h
	case fhirjson.Array:
		h := uint64(19)
		for c := n.First(); c != nil; c = c.Next() {
			h = h*31 + hashNode(c)
		}
		return h
	default:
		return 5
	}
}
