package checks

import (
	"cmp"
	"context"
	"hash/fnv"
	"slices"
	"strings"

	"fhirwire/testplans"
)

// index finds those attempts of one step that an exchange may be related to, so that not all have to be looked at. It follows the step's
// attempts as they grow, and is made anew when they change otherwise.
type index struct {
	list  []Item // as it was last seen
	have  map[string]bool
	order []Item // as they came
	by    map[testplans.Relation]*keyed
}

// keyed are attempts by what one relation compares, each list in order of time.
type keyed struct {
	n     int // how many of index.order are in it
	items map[string][]Item
	// doubtful are those whose keys could not all be told.
	doubtful []Item
}

// byFile is how a downloaded file is related to the manifest that lists it.
const byFile testplans.Relation = "file"

// indexOf is the index of a step's attempts as they are now.
func (d *Desk) indexOf(step string, list []Item) *index {
	x := d.indexes[step]
	if x != nil && same(x.list, list) {
		return x
	}
	if x != nil && x.grow(list) {
		return x
	}
	x = &index{have: make(map[string]bool, len(list)), by: map[testplans.Relation]*keyed{}}
	x.grow(list)
	d.indexes[step] = x
	return x
}

// same reports one list, not only equal ones: a list of attempts never changes, though another may begin with it.
func same(a, b []Item) bool { return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) }

// begins reports a list that another one was before it grew at its end.
func begins(list, was []Item) bool {
	return len(was) == 0 || len(list) >= len(was) && &list[0] == &was[0]
}

// grow takes a list that has all that the index has, or reports that it has not.
func (x *index) grow(list []Item) bool {
	var fresh []Item
	rest := list
	if begins(list, x.list) {
		rest = list[len(x.list):]
	}
	for _, it := range rest {
		if !x.have[it.Exchange.ID] {
			fresh = append(fresh, it)
		}
	}
	if len(list)-len(fresh) != len(x.order) {
		return false
	}
	for _, it := range fresh {
		x.have[it.Exchange.ID] = true
	}
	x.order, x.list = append(x.order, fresh...), list
	return true
}

// keyed brings the keys of a relation up to date.
func (x *index) keyed(ctx context.Context, d *Desk, by testplans.Relation) (*keyed, error) {
	k := x.by[by]
	if k == nil {
		k = &keyed{items: map[string][]Item{}}
		x.by[by] = k
	}
	for ; k.n < len(x.order); k.n++ {
		it := x.order[k.n]
		keys, why, err := d.gives(ctx, by, it)
		if err != nil {
			return nil, err
		}
		for i, key := range keys {
			if !slices.Contains(keys[:i], key) {
				k.items[key] = insert(k.items[key], it)
			}
		}
		if why != "" {
			k.doubtful = insert(k.doubtful, it)
		}
	}
	return k, nil
}

func insert(list []Item, it Item) []Item {
	at := len(list)
	for at > 0 && ByTime(list[at-1], it) > 0 {
		at--
	}
	return slices.Insert(list, at, it)
}

// ByTime orders exchanges by when they began.
func ByTime(a, b Item) int {
	return cmp.Or(a.Exchange.Timing.Start.Compare(b.Exchange.Timing.Start), strings.Compare(a.Exchange.ID, b.Exchange.ID))
}

// find are the attempts that have one of keys, in order of time.
func (k *keyed) find(keys []string) []Item {
	var found []Item
	lists := 0
	for i, key := range keys {
		list := k.items[key]
		if len(list) == 0 || slices.Contains(keys[:i], key) {
			continue
		}
		if lists++; lists == 1 {
			found = list
			continue
		}
		found = slices.Concat(found, list)
	}
	if lists > 1 {
		slices.SortFunc(found, ByTime)
		found = slices.CompactFunc(found, func(a, b Item) bool { return a.Exchange.ID == b.Exchange.ID })
	}
	return found
}

// gives are the keys under which others find an exchange by a relation.
func (d *Desk) gives(ctx context.Context, by testplans.Relation, it Item) (keys []string, why string, err error) {
	switch by {
	case testplans.ByURL:
		if it.Exchange.Response == nil {
			return nil, "", nil
		}
		return d.named(ctx, it)
	case testplans.BySame:
		return sameKeys(d.requested(it)), "", nil
	case testplans.ByToken:
		issued, why, err := d.member(ctx, it, "access_token")
		if issued == "" {
			return nil, why, err
		}
		return []string{secretKey(issued)}, why, err
	case testplans.ByClient:
		c, err := d.clientOf(ctx, it)
		if err != nil {
			return nil, "", err
		}
		if c.registered == "" {
			return c.ids, c.whyNot, nil
		}
		return append(slices.Clip(c.ids), c.registered), c.whyNot, nil
	case byFile:
		files, why, err := d.manifest(ctx, it)
		if err != nil {
			return nil, "", err
		}
		for _, f := range files {
			if f.key != "" {
				keys = append(keys, f.key)
			}
		}
		return keys, why, nil
	case testplans.ByID, testplans.ByOrder: // nothing to look up
	}
	return nil, "", nil
}

// looksFor are the keys under which an exchange finds what it is related to; ok is false for a relation without keys.
func (d *Desk) looksFor(ctx context.Context, by testplans.Relation, it Item) (keys []string, ok bool, err error) {
	switch by {
	case testplans.ByURL, byFile:
		r := d.requested(it)
		return r[:], true, nil
	case testplans.BySame:
		return sameKeys(d.requested(it)), true, nil
	case testplans.ByToken:
		if token := bearer(it.Exchange); token != "" {
			return []string{secretKey(token)}, true, nil
		}
		return nil, true, nil
	case testplans.ByClient:
		c, err := d.clientOf(ctx, it)
		if err != nil {
			return nil, false, err
		}
		return c.ids, c.why == "" || len(c.ids) > 0, nil
	case testplans.ByID, testplans.ByOrder: // nothing to look up
	}
	return nil, false, nil
}

// sameKeys tell the URL that the server was asked for from the one that the client asked for.
func sameKeys(r [2]string) []string { return []string{"server " + r[0], "client " + r[1]} }

// near are the attempts of a step to which an exchange may have all of some relations, and those of which that cannot be told: all others do
// not have one of them.
func (d *Desk) near(ctx context.Context, it Item, relations []testplans.Relation, step string, attempts []Item) (found, doubtful []Item, err error) {
	found = attempts
	x := d.indexOf(step, attempts)
	for _, by := range relations {
		keys, ok, err := d.looksFor(ctx, by, it)
		if err != nil {
			return nil, nil, err
		}
		if !ok {
			continue
		}
		k, err := x.keyed(ctx, d, by)
		if err != nil {
			return nil, nil, err
		}
		if fit := k.find(keys); len(fit)+len(k.doubtful) < len(found)+len(doubtful) {
			found, doubtful = fit, k.doubtful
		}
	}
	return found, doubtful, nil
}

// RelatedTo finds the first of a step's attempts, in order of time, to which an exchange has all the relations of follows, which are all to
// that step. why says what kept us from knowing that there is none.
func (d *Desk) RelatedTo(ctx context.Context, it Item, follows []testplans.Follows, attempts []Item) (to Item, ok bool, why string, err error) {
	if len(attempts) == 0 || len(attempts) == 1 && attempts[0].Exchange.ID == it.Exchange.ID {
		return Item{}, false, "", nil
	}
	relations := make([]testplans.Relation, 0, 4)
	for i := range follows {
		f := &follows[i]
		if f.By != testplans.ByID { // it does not depend on the attempt
			relations = append(relations, f.By)
			continue
		}
		if ok, why, err := d.Related(ctx, f, it, Item{}); !ok {
			return Item{}, false, why, err
		}
	}
	found, doubtful, err := d.near(ctx, it, relations, follows[0].Step, attempts)
	if err != nil {
		return Item{}, false, "", err
	}
	for _, earlier := range found {
		ok, doubt, err := d.relatedBy(ctx, follows, it, earlier)
		if ok || err != nil {
			return earlier, ok, "", err
		}
		why = cmp.Or(why, doubt)
	}
	for _, earlier := range doubtful {
		if why != "" {
			break
		}
		if _, why, err = d.relatedBy(ctx, follows, it, earlier); err != nil {
			return Item{}, false, "", err
		}
	}
	return Item{}, false, why, nil
}

// relatedBy reports whether an exchange has all of some relations to another.
func (d *Desk) relatedBy(ctx context.Context, follows []testplans.Follows, it, earlier Item) (ok bool, why string, err error) {
	if earlier.Exchange.ID == it.Exchange.ID {
		return false, "", nil
	}
	for i := range follows {
		if follows[i].By == testplans.ByID {
			continue
		}
		ok, doubt, err := d.Related(ctx, &follows[i], it, earlier)
		switch {
		case err != nil || !ok && doubt == "":
			return false, "", err
		case !ok:
			why = cmp.Or(why, doubt)
		}
	}
	return why == "", why, nil
}

// Basis is a number that stays while the answer to a check about one attempt stays, as long as the attempts of the step that the check
// names only grow: how many of them it may look at, and the first that leaves it in doubt. It is 0 for checks that look at none, or at all.
func (t Table) Basis(ctx context.Context, c *Case) (int, error) {
	switch {
	case c.Check.Follows != nil:
		return c.basis(ctx, c.Check.Follows.Step, c.Check.Follows.By)
	case c.Check.File != nil:
		return c.basis(ctx, c.Check.File.Manifest, byFile)
	case c.Check.Snapshot != nil:
		return c.basis(ctx, c.Check.Snapshot.Polls, testplans.BySame)
	case c.Check.Pointer != nil && c.Check.Pointer.Asked != "":
		return c.basis(ctx, c.Check.Pointer.Asked, testplans.ByURL)
	}
	return 0, nil
}

// HasBasis reports whether Basis speaks for a check.
func HasBasis(c *testplans.Check) bool {
	return c.File != nil || c.Snapshot != nil || c.Pointer != nil && c.Pointer.Asked != "" || c.Follows != nil && c.Follows.By != testplans.ByID
}

func (c *Case) basis(ctx context.Context, step string, by testplans.Relation) (int, error) {
	found, doubtful, err := c.Desk.near(ctx, c.Attempt, []testplans.Relation{by}, step, c.Steps[step])
	if err != nil || len(c.Steps[step]) == 0 {
		return -1, err // none at all is another answer than none that fits
	}
	n := len(found) << 32
	if len(doubtful) > 0 { // the first of them is named
		h := fnv.New32a()
		_, _ = h.Write([]byte(doubtful[0].Exchange.ID)) // a hash takes everything
		n += int(h.Sum32())
	}
	return n, nil
}
