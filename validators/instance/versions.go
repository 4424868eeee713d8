package instance

import (
	"cmp"
	"slices"
	"strings"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/profile"
)

// family is what a canonical may mean: one definition, or those of all active versions of its guide where it names no version
// and none is preferred.
type family struct {
	list   []*profile.Profile // newest first; the preferred one alone
	pinned bool
	// seen is what the url means in the definitions of a package.
	seen map[string]*profile.Profile
	// ground says why list[0] was taken, for the report; others names the versions it was taken from.
	ground, others string
}

// family finds what a canonical may mean, nil when it is unknown.
func (v *Validator) family(canonical string) *family {
	if f, ok := v.families.Load(canonical); ok {
		return f.(*family)
	}
	p, ok := v.defs.Profile(canonical)
	if !ok {
		return nil // misses are not kept: recorded traffic can name any number of them
	}
	f := &family{list: []*profile.Profile{p}}
	if all := v.defs.Versions(canonical); len(all) > 1 { // none with |version
		f = v.newFamily(canonical, all)
	}
	got, _ := v.families.LoadOrStore(strings.Clone(canonical), f)
	return got.(*family)
}

func (v *Validator) newFamily(url string, all []*profile.Profile) *family {
	f := &family{list: all, seen: map[string]*profile.Profile{}}
	names := make([]string, len(all))
	for i, p := range all {
		names[len(all)-1-i] = p.Version
	}
	f.others = " of the active versions " + strings.Join(names, ", ")
	for _, id := range v.opt.Prefer {
		if i := slices.IndexFunc(all, func(p *profile.Profile) bool { return p.Package == id }); i >= 0 {
			f.list, f.pinned = all[i:i+1], true
			f.ground = "; " + all[i].Version + f.others + " is preferred"
			return f
		}
	}
	f.ground = "; " + all[0].Version + f.others + " is the newest"
	for _, id := range v.packages {
		if p, ok := v.defs.Seen(id, url); ok && slices.Contains(all, p) {
			f.seen[id] = p
		}
	}
	return f
}

func guideName(id string) string {
	name, _, _ := strings.Cut(id, "#")
	return name
}

// openClaim is a canonical in force that leaves its version open.
type openClaim struct {
	family *family
	def    *profile.Profile
	row    int // of the resource's Profiles
	why    string
}

// version picks the definition that a canonical means on n: the one found to fit, else the one that the profiles in force use,
// else the newest.
func (w *walk) version(n *fhirjson.Node, f *family) (def *profile.Profile, ground string) {
	if len(f.list) == 1 {
		return f.list[0], f.ground
	}
	for _, id := range w.fits[n] {
		for _, p := range f.list {
			if p.Package == id {
				return p, f.fitting(p)
			}
		}
	}
	for _, id := range slices.Backward(w.pins) {
		if p := f.seen[id]; p != nil {
			if w.trial > 0 {
				return p, ""
			}
			return p, "; " + p.Version + f.others + " goes with " + id
		}
	}
	return f.list[0], f.ground
}

func (f *family) fitting(p *profile.Profile) string {
	return "; " + p.Version + f.others + " fits best"
}

// extensionDefinition is the definition of an extension: the one that an active profile names, else as version picks it. An
// extension that nothing gives a version is held against each, and the first that fits decides for the resource.
func (w *walk) extensionDefinition(e *fhirjson.Node, url string, acts []*plan) *profile.Profile {
	for _, p := range acts[1:] {
		if len(p.alternatives) == 1 && canonicalURL(p.alternatives[0]) == url {
			if def, ok := w.v.defs.Profile(p.alternatives[0]); ok {
				return def
			}
		}
	}
	f := w.v.family(url)
	if f == nil || f.list[0].Type != "Extension" {
		return nil
	}
	if len(f.list) == 1 {
		return f.list[0]
	}
	for _, id := range slices.Backward(w.pins) {
		if p := f.seen[id]; p != nil {
			return p
		}
	}
	if w.trial > 0 {
		return f.list[0]
	}
	best := f.list[0]
	least := w.misfit(e, best)
	for _, p := range f.list[1:] {
		if least == 0 {
			break
		}
		if got := w.misfit(e, p); got < least {
			best, least = p, got
		}
	}
	w.pins = append(w.pins, best.Package)
	return best
}

// checkpoint is the state of a walk that rewind goes back to.
type checkpoint struct {
	findings, resources, pending, folded int
	local, ids, pins, open               int
	checked, cut, result                 int
	unkept                               validators.Summary
}

func (w *walk) checkpoint() checkpoint {
	return checkpoint{
		findings: len(w.findings), resources: len(w.resources), pending: len(w.pending), folded: len(w.folded),
		local: len(w.scope.local), ids: len(w.scope.ids), pins: len(w.pins), open: len(w.open),
		checked: w.checked, cut: w.cut, result: w.scope.result, unkept: w.unkept,
	}
}

// rewind takes back what was found since m.
func (w *walk) rewind(m checkpoint) {
	for _, at := range w.folded[m.folded:] {
		if at < 0 {
			w.stream.once[^at].count--
			continue
		}
		w.findings[at].count--
	}
	for key, at := range w.uncheckeds {
		if at >= m.findings {
			delete(w.uncheckeds, key)
		}
	}
	clear(w.findings[m.findings:])
	clear(w.resources[m.resources:])
	clear(w.pending[m.pending:])
	w.findings, w.resources, w.pending, w.folded = w.findings[:m.findings], w.resources[:m.resources], w.pending[:m.pending], w.folded[:m.folded]
	w.scope.local, w.scope.ids, w.scope.result = w.scope.local[:m.local], w.scope.ids[:m.ids], m.result
	w.pins, w.open = w.pins[:m.pins], w.open[:m.open]
	w.checked, w.cut, w.unkept = m.checked, m.cut, m.unkept
}

// leave forgets what only the resource that ends needed.
func (w *walk) leave(m checkpoint) {
	w.pins, w.open = w.pins[:m.pins], w.open[:m.open]
	if len(w.open) == 0 {
		w.folded = w.folded[:m.folded]
	}
}

// refit decides, when a profile whose version is open found errors in n, whether other versions fit n better. The versions of
// one guide go together. It reports whether n has to be walked again.
func (w *walk) refit(n *fhirjson.Node, m checkpoint) bool {
	open := w.open[m.open:]
	if len(open) == 0 || w.fits[n] != nil || !w.profileErrors(m) {
		return false
	}
	better := false
	var fits []string
	for i := range open {
		guide := guideName(open[i].def.Package)
		if slices.ContainsFunc(open[:i], func(o openClaim) bool { return guideName(o.def.Package) == guide }) {
			continue // with the first of its guide
		}
		best := w.bestVersion(n, open, guide)
		fits = append(fits, best)
		for _, o := range open {
			better = better || guideName(o.def.Package) == guide && cmp.Or(o.family.at(best), o.def) != o.def
		}
	}
	if w.fits == nil {
		w.fits = map[*fhirjson.Node][]string{}
	}
	w.fits[n] = fits
	if better {
		return true
	}
	for _, o := range open { // what stands was compared
		if w.scope.result >= 0 {
			w.resources[w.scope.result].Profiles[o.row].Why = o.why + o.family.fitting(o.def)
		}
	}
	return false
}

// at is the definition in a package, nil where the version has none.
func (f *family) at(id string) *profile.Profile {
	for _, p := range f.list {
		if p.Package == id {
			return p
		}
	}
	return nil
}

// bestVersion is the package of a guide with the fewest errors over all its open profiles; of equals the one in force, then the
// newest.
func (w *walk) bestVersion(n *fhirjson.Node, open []openClaim, guide string) string {
	var ids []string
	for _, o := range open {
		if guideName(o.def.Package) != guide {
			continue
		}
		ids = append(ids, o.def.Package)
		for _, p := range o.family.list {
			ids = append(ids, p.Package)
		}
	}
	seen := map[string]bool{}
	best, least := "", 0
	for _, id := range ids {
		if seen[id] {
			continue
		}
		seen[id] = true
		errs := 0
		for _, o := range open {
			if guideName(o.def.Package) == guide {
				errs += w.misfit(n, cmp.Or(o.family.at(id), o.def))
			}
		}
		if best == "" || errs < least {
			best, least = id, errs
		}
	}
	return best
}

// profileErrors reports an error of a profile in the current resource since m.
func (w *walk) profileErrors(m checkpoint) bool {
	return slices.ContainsFunc(w.findings[m.findings:], func(f finding) bool {
		return f.prof != nil && f.prof.Constraint && !f.dropped && f.level().Rank() <= erro.Rank() && f.resource == w.scope.result
	})
}

// rowLength is where the next note in the report's row of the resource goes.
func (w *walk) rowLength() int {
	if w.scope.result < 0 {
		return 0
	}
	return len(w.resources[w.scope.result].Profiles)
}
