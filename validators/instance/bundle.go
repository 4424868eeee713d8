package instance

import (
	"slices"
	"strings"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
)

// bundleIndex finds entries of one Bundle.
type bundleIndex struct {
	typ     string
	byURL   map[string][]resident // fullUrl -> resources
	byLocal map[string][]resident // Type/id -> resources
	stream  *stream               // instead of the maps, of a Bundle that is not in memory
}

func (x *bundleIndex) url(u string) []resident {
	if x.stream != nil {
		return x.stream.withURL(u)
	}
	return x.byURL[u]
}

func (x *bundleIndex) local(typeAndID string) []resident {
	if x.stream != nil {
		return x.stream.withLocal(typeAndID)
	}
	return x.byLocal[typeAndID]
}

// resident is the resource of an entry: a node, or the number of an entry that is not in memory. The zero value is none.
type resident struct {
	node   *fhirjson.Node
	stream *stream
	at     int
}

func (r resident) found() bool { return r.node != nil || r.stream != nil }

// tree is the resource itself, nil when it could not be read.
func (r resident) tree() *fhirjson.Node {
	if r.stream != nil {
		return r.stream.fetch(r.at)
	}
	return r.node
}

func (r resident) typ() string {
	if r.stream != nil {
		return r.stream.typeOf(r.at)
	}
	return r.node.ResourceType()
}

// fullURL reports what the entry has for a fullUrl.
func (r resident) fullURL() (some, absolute bool) {
	if r.stream != nil {
		return r.stream.fullURL(r.at)
	}
	u := r.node.Parent().MemberText("fullUrl")
	return u != "", isAbsolute(u)
}

// bundleAround is the nearest Bundle that holds n in an entry, and the entry.
func bundleAround(n *fhirjson.Node) (bundle, entry *fhirjson.Node) {
	for ; n != nil; n = n.Parent() {
		list := n.Parent()
		if list != nil && list.Kind() == fhirjson.Array && list.Key() == "entry" && list.Parent() != nil && list.Parent().ResourceType() == "Bundle" {
			return list.Parent(), n
		}
	}
	return nil, nil
}

func (w *walk) index(bundle *fhirjson.Node) *bundleIndex {
	if w.stream != nil && bundle == w.stream.bundle {
		return w.stream.index
	}
	if x := w.bundles[bundle]; x != nil {
		return x
	}
	x := &bundleIndex{typ: bundle.MemberText("type"), byURL: map[string][]resident{}, byLocal: map[string][]resident{}}
	eachEntry(bundle, func(entry *fhirjson.Node) {
		r := entry.Member("resource")
		if r == nil || r.Kind() != fhirjson.Object {
			return
		}
		if u := entry.MemberText("fullUrl"); u != "" {
			x.byURL[u] = append(x.byURL[u], resident{node: r})
		}
		if id := r.MemberText("id"); id != "" {
			local := r.ResourceType() + "/" + id
			x.byLocal[local] = append(x.byLocal[local], resident{node: r})
		}
	})
	if w.bundles == nil {
		w.bundles = map[*fhirjson.Node]*bundleIndex{}
	}
	w.bundles[bundle] = x
	return x
}

func eachEntry(bundle *fhirjson.Node, f func(entry *fhirjson.Node)) {
	list := bundle.Member("entry")
	if list == nil || list.Kind() != fhirjson.Array {
		return
	}
	for c := list.First(); c != nil; c = c.Next() {
		if c.Kind() == fhirjson.Object {
			f(c)
		}
	}
}

// lookup follows a reference at n within the Bundle around it, nil when it leads nowhere there.
func (w *walk) lookup(n *fhirjson.Node, ref string, l link) *fhirjson.Node {
	bundle, entry := bundleAround(n)
	if bundle == nil {
		return nil
	}
	if found := w.matches(bundle, entry, ref, l); len(found) > 0 {
		return found[0].tree()
	}
	return nil
}

// matches are the entries a reference leads to. A relative one is read against the fullUrl of its own entry, which has to be
// RESTful.
func (w *walk) matches(bundle, entry *fhirjson.Node, ref string, l link) []resident {
	x := w.index(bundle)
	url, _, _ := strings.Cut(ref, "#")
	if l.form == linkRelative {
		own := w.v.parseLink(entry.MemberText("fullUrl"))
		if own.form != linkREST {
			return nil
		}
		url = own.base + "/" + l.typ + "/" + l.id
	}
	if i := strings.Index(url, "/_history/"); i >= 0 {
		url = url[:i]
	}
	found := x.url(url)
	if l.version == "" {
		return found
	}
	var versions []resident
	for _, r := range found {
		meta := r.tree().Member("meta")
		if meta == nil || meta.MemberText("versionId") == l.version || meta.MemberText("versionId") == "" {
			versions = append(versions, r)
		}
	}
	return versions
}

// inBundle resolves a reference of the current entry and reports what keeps it from leading to one entry.
func (w *walk) inBundle(e, r *fhirjson.Node, text string, l link) (none resident) {
	bundle, entry := w.scope.bundle, w.scope.entry
	if bundle == nil || entry == nil {
		return none
	}
	x := w.index(bundle)
	found := w.matches(bundle, entry, text, l)
	if len(found) > 0 {
		if len(found) > 1 && x.typ != "history" && !(x.typ == "searchset" && distinctVersions(found)) {
			w.add(finding{
				rule: ruleReferenceAmbiguous, node: r, found: brief(r),
				message: w.name(e) + " leads to several entries of the Bundle: " + text + ".", next: "Give every entry its own fullUrl.",
			})
		}
		return found[0]
	}
	if l.form == linkRelative && entry.Member("fullUrl") == nil && (x.typ == "document" || x.typ == "message" || x.typ == "collection" || x.typ == "searchset") {
		if w.trial == 0 && len(x.local(l.typ+"/"+l.id)) > 0 {
			w.add(finding{
				rule: ruleBundleFullURL, node: r, found: brief(r),
				message: w.name(e) + " is relative, and its entry has no fullUrl to read it against.", next: "Add a fullUrl to the entry.",
			})
		}
		return none
	}
	if l.form == linkRelative && w.misnamed(e, text, l, x) {
		return none
	}
	head := (x.typ == "document" || x.typ == "message") && l.form != linkAbsolute && w.heads(bundle) && !toOtherDocument(e)
	if !head && !isAbsolute(entry.MemberText("fullUrl")) {
		return none // said of the fullUrl
	}
	var twins []resident
	if l.typ != "" {
		twins = x.local(l.typ + "/" + l.id)
	}
	apparent := len(twins) > 0
	if apparent && !w.reachable(twins, head) {
		return none // said of the other entry's fullUrl
	}
	switch {
	case head:
		w.add(finding{
			rule: ruleReferenceBundle, node: e, found: brief(r), message: w.name(e) + " points to " + text + ", and no entry has that as its fullUrl.",
			next: "A " + x.typ + " holds everything that its " + w.scope.resource.ResourceType() + " refers to: add the resource, or refer to it by the fullUrl of its entry.",
		})
	case apparent && l.version == "":
		w.add(finding{
			rule: ruleReferenceUnresolved, node: r, found: brief(r), expected: "the fullUrl of that entry",
			message: w.name(e) + " points to " + text + "; the Bundle has such a resource, and its fullUrl is another.",
			next:    "Use the fullUrl of the entry, or give both entries the same base.",
		})
	}
	return none
}

// reachable reports whether some of the resources stand in an entry with a fullUrl, a usable one unless any will do.
func (w *walk) reachable(rs []resident, anyURL bool) bool {
	return slices.ContainsFunc(rs, func(r resident) bool {
		some, absolute := r.fullURL()
		return absolute || anyURL && some
	})
}

// heads reports whether the current resource is the first entry of the Bundle: its Composition or MessageHeader.
func (w *walk) heads(bundle *fhirjson.Node) bool {
	return w.scope.entry.Index() == 0 && w.scope.entry.Parent().Parent() == bundle && (w.scope.resource.ResourceType() == "Composition" || w.scope.resource.ResourceType() == "MessageHeader")
}

// toOtherDocument reports a reference of Composition.relatesTo, which a document does not carry.
func toOtherDocument(e *fhirjson.Node) bool {
	at := e.Parent()
	return at != nil && at.Parent() != nil && at.Parent().Key() == "relatesTo"
}

// misnamed reports a relative reference whose id is the UUID of an entry that holds another type.
func (w *walk) misnamed(e *fhirjson.Node, text string, l link, x *bundleIndex) bool {
	for _, t := range x.url("urn:uuid:" + l.id) {
		if typ := t.typ(); typ != l.typ {
			w.add(finding{
				rule: ruleReferenceTarget, node: e, expected: typ, found: l.typ,
				message: w.name(e) + " points to " + text + "; the entry with that UUID is a " + typ + ".", next: "Refer to it by its fullUrl, urn:uuid:" + l.id + ".",
			})
			return true
		}
	}
	return false
}

func distinctVersions(rs []resident) bool {
	var seen []string
	for _, r := range rs {
		v := ""
		if meta := r.tree().Member("meta"); meta != nil {
			v = meta.MemberText("versionId")
		}
		if v == "" || slices.Contains(seen, v) {
			return false
		}
		seen = append(seen, v)
	}
	return true
}

// bundleRules checks a Bundle as a whole.
func (w *walk) bundleRules(n *fhirjson.Node, base *plan) {
	typ := n.MemberText("type")
	streamed := w.stream != nil && n == w.stream.bundle // its entries were checked one by one
	if !streamed {
		if typ != "history" {
			w.fullURLsDiffer(n, base)
		}
		eachEntry(n, func(entry *fhirjson.Node) { w.entry(entry, typ, base) })
	}
	switch typ {
	case "", "searchset", "history":
	default:
		w.pageLinks(n, typ, base)
	}
	switch typ {
	case "document", "message":
		if !streamed {
			w.orphans(n, base)
		}
		if typ == "document" {
			w.stylesheets(n, base)
		}
	case "searchset":
		w.searchLinks(n, base)
		if !streamed {
			want := w.searchedTypes(selfLink(n))
			eachEntry(n, func(entry *fhirjson.Node) { w.searchEntry(entry, want, base) })
		}
	}
}

// fullURLsDiffer is bdl-7.
func (w *walk) fullURLsDiffer(n *fhirjson.Node, base *plan) {
	seen := map[string]int{}
	eachEntry(n, func(entry *fhirjson.Node) {
		key := versionedURL(entry)
		if key == "" {
			return
		}
		if seen[key]++; seen[key] == 2 {
			w.fullURLTwice(n, entry, key, base)
		}
	})
}

// versionedURL is what bdl-7 wants to differ, "" in an entry without a fullUrl.
func versionedURL(entry *fhirjson.Node) string {
	key := entry.MemberText("fullUrl")
	if r := entry.Member("resource"); r != nil && key != "" {
		if meta := r.Member("meta"); meta != nil {
			key += "\x00" + meta.MemberText("versionId")
		}
	}
	return key
}

func (w *walk) fullURLTwice(n, entry *fhirjson.Node, key string, base *plan) {
	u := entry.Member("fullUrl")
	w.add(finding{
		rule: ruleBundleFullURLTwice, node: n, at: u, child: key, prof: base.prof, key: "bdl-7", found: u.Text(),
		message: "Two entries of " + w.name(n) + " have the fullUrl " + u.Text() + " and the same version; the second is " + w.name(entry) + ".",
	})
}

func (w *walk) entry(entry *fhirjson.Node, typ string, base *plan) {
	u, r := entry.Member("fullUrl"), entry.Member("resource")
	if u == nil {
		need := false
		switch typ {
		case "document", "message":
			need = r != nil
		case "searchset", "history", "collection": // what an operation returns may have no identity
			need = r != nil && r.Member("id") != nil
		}
		if need {
			w.add(finding{
				rule: ruleBundleFullURL, node: entry, prof: base.prof, message: w.name(entry) + " has no fullUrl; entries of a " + typ + " need one.",
				next: "Add a fullUrl: the URL of the resource, or urn:uuid: and a UUID.",
			})
		}
		return
	}
	if u.Kind() != fhirjson.String || u.Text() == "" {
		return
	}
	if !isAbsolute(u.Text()) {
		w.add(finding{
			rule: ruleBundleFullURLForm, node: u, prof: base.prof, expected: "an absolute URL, urn:uuid: or urn:oid:", found: brief(u),
			message: w.name(u) + " is not absolute.",
		})
		return
	}
	if r == nil || r.Kind() != fhirjson.Object || strings.HasPrefix(u.Text(), "urn:") {
		return
	}
	w.fullURLAgrees(u, r, typ, base)
}

func (w *walk) fullURLAgrees(u, r *fhirjson.Node, bundleType string, base *plan) {
	l := w.v.parseLink(u.Text())
	if l.form != linkREST {
		return
	}
	id, typ := r.MemberText("id"), r.ResourceType()
	want := typ + "/" + id
	f := finding{rule: ruleBundleFullURLMatch, node: u, prof: base.prof, expected: want, found: brief(u)}
	switch {
	case id == "" && bundleType == "searchset":
		return // said of the resource
	case id == "":
		f.expected = "an id " + l.id + " in the resource"
		f.message = w.name(u) + " ends in " + l.typ + "/" + l.id + ", and the resource has no id."
		if bundleType == "history" || strings.HasPrefix(bundleType, "transaction") || strings.HasPrefix(bundleType, "batch") {
			f.severity = validators.SeverityWarning // what was sent may have had none
		}
	case l.typ != typ || l.id != id:
		f.message = w.name(u) + " ends in " + l.typ + "/" + l.id + ", the resource is " + want + "."
	default:
		return
	}
	w.add(f)
}

// stylesheets reports a link to a stylesheet that is neither absolute nor a Binary in the document.
func (w *walk) stylesheets(n *fhirjson.Node, base *plan) {
	list := n.Member("link")
	if list == nil || list.Kind() != fhirjson.Array {
		return
	}
	x := w.index(n)
	for c := list.First(); c != nil; c = c.Next() {
		u := c.Member("url")
		if u == nil || c.MemberText("relation") != "stylesheet" || u.Text() == "" || isAbsolute(u.Text()) || len(x.local(u.Text()))+len(x.url(u.Text())) > 0 {
			continue
		}
		w.add(finding{
			rule: ruleBundleStylesheet, node: u, prof: base.prof, found: brief(u), message: w.name(u) + " links to " + u.Text() + ", and no entry of the document is that.",
			next: "Add the stylesheet as a Binary, or link to it by an absolute URL.",
		})
	}
}

// orphans reports entries of a document or message that its Composition or MessageHeader does not lead to, in either direction.
func (w *walk) orphans(n *fhirjson.Node, base *plan) {
	var resources, entries []*fhirjson.Node
	at := map[*fhirjson.Node]int{}
	eachEntry(n, func(entry *fhirjson.Node) {
		if r := entry.Member("resource"); r != nil && r.Kind() == fhirjson.Object {
			at[r] = len(resources)
			resources, entries = append(resources, r), append(entries, entry)
		}
	})
	if len(resources) == 0 {
		return
	}
	forward, backward := make([][]int, len(resources)), make([][]int, len(resources))
	for i, r := range resources {
		eachReference(r, func(ref *fhirjson.Node) {
			if t := w.matches(n, entries[i], ref.Text(), w.v.parseLink(ref.Text())); len(t) > 0 {
				if j, ok := at[t[0].node]; ok {
					forward[i], backward[j] = append(forward[i], j), append(backward[j], i)
				}
			}
		})
	}
	reached := reach(0, forward, nil)
	either := reach(0, forward, backward)
	for i, r := range resources {
		if reached[i] || !isAbsolute(entries[i].MemberText("fullUrl")) {
			continue
		}
		w.orphan(entries[i], r.ResourceType(), either[i], base)
	}
}

func (w *walk) orphan(entry *fhirjson.Node, typ string, backward bool, base *plan) {
	head := "Composition"
	f := finding{rule: ruleBundleOrphan, node: entry, prof: base.prof}
	if entry.Parent().Parent().MemberText("type") == "message" {
		head, f.severity = "MessageHeader", validators.SeverityWarning
	}
	f.message = w.name(entry) + " (" + typ + ") is not reached from the " + head + " by any chain of references."
	f.next = "Refer to it from the " + head + " or from something it refers to, or leave it out."
	if backward {
		f.severity = validators.SeverityWarning
		f.message = w.name(entry) + " (" + typ + ") is reached from the " + head + " only against the direction of a reference."
	}
	w.add(f)
}

// reach follows edges from start on.
func reach(start int, forward, backward [][]int) []bool {
	seen := make([]bool, len(forward))
	todo := []int{start}
	seen[start] = true
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		next := forward[i]
		if backward != nil {
			next = slices.Concat(next, backward[i])
		}
		for _, j := range next {
			if !seen[j] {
				seen[j] = true
				todo = append(todo, j)
			}
		}
	}
	return seen
}

// eachReference calls f with every Reference.reference below n.
func eachReference(n *fhirjson.Node, f func(*fhirjson.Node)) {
	for c := n.First(); c != nil; c = c.Next() {
		switch {
		case c.Key() == "reference" && c.Kind() == fhirjson.String:
			f(c)
		case c.Kind() == fhirjson.Object || c.Kind() == fhirjson.Array:
			eachReference(c, f)
		}
	}
}

// searchLinks checks the links of a search result.
func (w *walk) searchLinks(n *fhirjson.Node, base *plan) {
	if list := n.Member("link"); list != nil && list.Kind() == fhirjson.Array {
		var seen []string
		for c := list.First(); c != nil; c = c.Next() {
			rel := c.MemberText("relation")
			if rel == "" {
				continue
			}
			if slices.Contains(seen, rel) {
				w.add(finding{
					rule: ruleBundleLink, node: c, prof: base.prof, found: rel, message: w.name(c) + " is a second link with the relation " + rel + ".",
				})
			}
			seen = append(seen, rel)
		}
	}
}

func selfLink(bundle *fhirjson.Node) string {
	self := ""
	if list := bundle.Member("link"); list != nil && list.Kind() == fhirjson.Array {
		for c := list.First(); c != nil; c = c.Next() {
			if c.MemberText("relation") == "self" {
				self = c.MemberText("url")
			}
		}
	}
	return self
}

// searchedTypes are the resource types that a self link searches, nil when they cannot be told.
func (w *walk) searchedTypes(self string) []string {
	path, query, ok := strings.Cut(self, "?")
	if !ok {
		return nil
	}
	for part := range strings.SplitSeq(query, "&") {
		if list, ok := strings.CutPrefix(part, "_type="); ok {
			return strings.Split(strings.ReplaceAll(list, "%2C", ","), ",")
		}
	}
	if typ := lastSegment(strings.TrimSuffix(path, "/_search")); w.v.concrete(typ) {
		return []string{typ}
	}
	return nil
}

func (w *walk) searchEntry(entry *fhirjson.Node, want []string, base *plan) {
	r := entry.Member("resource")
	if r == nil || r.Kind() != fhirjson.Object {
		return
	}
	mode := ""
	if s := entry.Member("search"); s != nil {
		mode = s.MemberText("mode")
	}
	typ := r.ResourceType()
	outcome := typ == "OperationOutcome"
	if r.Member("id") == nil && (!outcome || mode == "match") {
		w.add(finding{
			rule: ruleBundleSearchID, node: r, prof: base.prof, message: w.name(entry) + ".resource has no id; a resource that a search finds has one.",
		})
	}
	f := finding{rule: ruleBundleSearchType, node: r, prof: base.prof, found: typ}
	wrong := want != nil && !slices.Contains(want, typ)
	switch {
	case mode == "outcome" && !outcome:
		f.expected, f.message = "OperationOutcome", w.name(entry)+" has search mode outcome and holds a "+typ+"."
	case mode == "match" && wrong, mode == "" && wrong && !outcome:
		f.expected = strings.Join(want, ", ")
		f.message = w.name(entry) + " is a match of a search for " + f.expected + " and holds a " + typ + "."
		if mode == "" {
			f.severity = validators.SeverityWarning
		}
	case mode == "":
		w.add(finding{
			rule: ruleBundleMode, node: entry, prof: base.prof, message: w.name(entry) + " does not say whether it is a match, included or an outcome.",
			next: "Add search.mode.",
		})
		return
	default:
		return
	}
	w.add(f)
}
