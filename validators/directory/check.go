package directory

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
)

// File is one file of the directory, parsed.
type File struct {
	Name string
	Doc  *fhirjson.Document
}

// Options tune Check. Now is required.
type Options struct {
	// Now is the time at which certificates have to be in date.
	Now time.Time
	// Strict makes errors of a signature without data and of a certificate that no configured trust manager has endorsed.
	Strict bool
	// TrustManagers are the public keys whose endorsement counts (P2P-DIR-30).
	TrustManagers []crypto.PublicKey
	// Roots, when set, are the CAs to which a certificate in the place of a signature, or the chain of one, has to lead.
	Roots *x509.CertPool
}

// Directory is what Check found. It is immutable.
type Directory struct {
	Entries []*Entry // one per file, in the order given
}

// Entry is one payer's Bundle.
type Entry struct {
	File   string
	Issues []validators.Issue // in the order of the rules

	// Plan is the payer, Operator who runs its endpoint; either may be nil, and they may be the same.
	Plan, Operator *Organization
	Endpoint       *Endpoint
	// Endorsement is "endorsed", "self-consistent" or "not-endorsed" (P2P-DIR-30).
	Endorsement string

	organizations []*Organization
}

// Organization is an organization of an entry.
type Organization struct {
	ID          string
	Name        string
	Active      bool
	Identifiers []Identifier
	URLs        []string

	node *fhirjson.Node
}

// Identifier is a FHIR Identifier.
type Identifier struct{ System, Value string }

// NPI is the organization's NPI, "" without one.
func (o *Organization) NPI() string {
	if o == nil {
		return ""
	}
	for _, id := range o.Identifiers {
		if id.System == npiSystem {
			return id.Value
		}
	}
	return ""
}

// Valid reports an entry without errors: one that may be connected to and whose certificate may register (P2P-DIR-40 to 49).
func (e *Entry) Valid() bool {
	return !slices.ContainsFunc(e.Issues, func(i validators.Issue) bool { return i.IsError() })
}

// Check judges the files of a directory.
func Check(files []File, o Options) *Directory {
	d := &Directory{}
	for _, f := range files {
		c := &checker{o: o, entry: &Entry{File: f.Name, Endorsement: NotEndorsed}, doc: f.Doc}
		c.file()
		d.Entries = append(d.Entries, c.entry)
	}
	d.duplicates()
	for _, e := range d.Entries {
		slices.SortStableFunc(e.Issues, func(a, b validators.Issue) int { return order(a.MessageID) - order(b.MessageID) })
	}
	return d
}

func order(id string) int {
	return slices.IndexFunc(table, func(r validators.Rule) bool { return r.ID == id })
}

// checker judges one file.
type checker struct {
	o      Options
	entry  *Entry
	doc    *fhirjson.Document
	bundle *fhirjson.Node
	// byRef finds the resources of the Bundle by fullUrl and by Type/id.
	byRef map[string]*fhirjson.Node
}

// finding is an issue without what the rule knows.
type finding struct {
	message, expected, found, doNext string
	severity                         validators.Severity // overrides the rule's
	requirement                      string              // overrides the rule's first
}

// report adds an issue at a node; for a missing element that is its parent.
func (c *checker) report(id string, at *fhirjson.Node, f finding) {
	c.entry.Issues = append(c.entry.Issues, issue(id, at, f))
}

func issue(id string, at *fhirjson.Node, f finding) validators.Issue {
	r := ruleByID(id)
	i := validators.Issue{
		Severity: r.Severity, Code: r.Code, MessageID: r.ID, Message: f.message, Expected: f.expected, Found: f.found, DoNext: f.doNext,
		Profile: r.Source.URL, Requirement: r.Requirements[0], Resource: -1,
	}
	if f.severity != "" {
		i.Severity = f.severity
	}
	if f.requirement != "" {
		i.Requirement = f.requirement
	}
	if at != nil {
		i.Expression, i.Pointer, i.Position = at.Expression(), at.Pointer(), at.Position()
	}
	return i
}

func (c *checker) file() {
	for _, p := range c.doc.Problems() {
		i := issue("dir-json", nil, finding{message: "The file is not well-formed: " + p.Text, doNext: "Mend the JSON."})
		i.Position = c.doc.Position(p.Offset)
		c.entry.Issues = append(c.entry.Issues, i)
	}
	root := c.doc.Root()
	if root == nil {
		if len(c.entry.Issues) == 0 {
			c.report("dir-json", nil, finding{message: "The file is empty.", doNext: "Publish a Bundle of the mtls-bundle profile."})
		}
		return
	}
	if t := root.ResourceType(); t != "Bundle" {
		c.report("dir-bundle", root, finding{
			message: "The file is no Bundle.", expected: "resourceType Bundle", found: inWords(t), doNext: "Publish one Bundle per payer, of the mtls-bundle profile.",
		})
		return
	}
	c.bundle = root
	c.index()
	c.checkBundle()
	c.checkSignature()
	c.checkOrganizations()
	c.checkEndpoint()
}

func (c *checker) index() {
	c.byRef = map[string]*fhirjson.Node{}
	for _, e := range list(c.bundle, "entry") {
		r := e.Member("resource")
		if r == nil {
			continue
		}
		for _, ref := range []string{e.MemberText("fullUrl"), r.ResourceType() + "/" + r.MemberText("id")} {
			if _, ok := c.byRef[ref]; !ok && ref != "" {
				c.byRef[ref] = r
			}
		}
	}
}

// resolve follows a Reference inside the Bundle: by fullUrl, by Type/id or by identifier (P2P-DIR-42).
func (c *checker) resolve(ref *fhirjson.Node, typ string) *fhirjson.Node {
	if s := ref.MemberText("reference"); s != "" {
		r := c.byRef[s]
		if r == nil { // an absolute URL whose end names a resource of the Bundle
			if parts := strings.Split(s, "/"); len(parts) > 2 {
				r = c.byRef[strings.Join(parts[len(parts)-2:], "/")]
			}
		}
		if r != nil && r.ResourceType() == typ {
			return r
		}
		return nil
	}
	if id := ref.Member("identifier"); id != nil {
		for _, r := range c.resources(typ) {
			for _, have := range list(r, "identifier") {
				if v := id.MemberText("value"); v != "" && have.MemberText("value") == v && have.MemberText("system") == id.MemberText("system") {
					return r
				}
			}
		}
	}
	return nil
}

func (c *checker) resources(typ string) []*fhirjson.Node {
	var out []*fhirjson.Node
	for _, e := range list(c.bundle, "entry") {
		if r := e.Member("resource"); r != nil && r.ResourceType() == typ {
			out = append(out, r)
		}
	}
	return out
}

func (c *checker) checkBundle() {
	b := c.bundle
	named := slices.ContainsFunc(list(b.Member("meta"), "profile"), func(p *fhirjson.Node) bool {
		u, _, _ := strings.Cut(p.Text(), "|")
		return u == bundleType
	})
	if !named {
		c.report("dir-profile", b, finding{message: "The Bundle does not name the profile that makes it a directory entry.", expected: bundleType, found: inWords(texts(list(b.Member("meta"), "profile"))), doNext: "Add the profile to Bundle.meta.profile."})
	}
	if t := b.Member("type"); t == nil || t.Text() != "collection" {
		c.report("dir-type", or(t, b), finding{message: "The Bundle is no collection.", expected: "collection", found: inWords(textOf(t)), doNext: `Set Bundle.type to "collection".`})
	}
	if t := b.Member("timestamp"); t == nil || !instant(t.Text()) {
		c.report("dir-timestamp", or(t, b), finding{message: "The Bundle has no valid timestamp.", expected: "an instant such as 2026-02-03T09:00:00Z", found: inWords(textOf(t)), doNext: "Set Bundle.timestamp to the time at which the Bundle was made."})
	}
	if t := b.Member("total"); t != nil {
		c.report("dir-collection", t, finding{message: "A collection has no total.", doNext: "Remove Bundle.total."})
	}
	seen := map[string]bool{}
	for _, e := range list(b, "entry") {
		for _, name := range []string{"search", "request", "response"} {
			if n := e.Member(name); n != nil {
				c.report("dir-collection", n, finding{message: "An entry of a collection has no " + name + ".", doNext: "Remove it."})
			}
		}
		if u := e.Member("fullUrl"); u != nil {
			if seen[u.Text()] {
				c.report("dir-full-url", u, finding{message: "Two entries have the same fullUrl.", found: u.Text(), doNext: "Give each resource a fullUrl of its own."})
			}
			seen[u.Text()] = true
		}
		if r := e.Member("resource"); r == nil || r.ResourceType() != "Organization" && r.ResourceType() != "Endpoint" {
			c.report("dir-other-resource", or(r, e), finding{message: "The Bundle has something that a directory entry does not have.", expected: "Organization or Endpoint", found: inWords(typeOf(r)), doNext: "Leave it out."})
		}
	}
}

// duplicates finds claims that two entries share; neither is trusted then (P2P-DIR-49). An operator may serve several payers, so
// only the plan's NPI counts.
func (d *Directory) duplicates() {
	type claim struct{ kind, value string }
	by := map[claim][]*Entry{}
	var claims []claim // in the order of the files
	note := func(e *Entry, kind, value string) {
		k := claim{kind, value}
		if value == "" || slices.Contains(by[k], e) {
			return
		}
		if by[k] == nil {
			claims = append(claims, k)
		}
		by[k] = append(by[k], e)
	}
	for _, e := range d.Entries {
		note(e, "NPI", e.Plan.NPI())
		if e.Endpoint != nil {
			note(e, "address", foldURL(e.Endpoint.Address))
			for _, crt := range slices.Concat(e.Endpoint.Certificates, e.Endpoint.MTLS) {
				note(e, "certificate", Fingerprint(crt))
			}
		}
	}
	for _, k := range claims {
		claimants := by[k]
		if len(claimants) < 2 {
			continue
		}
		for _, e := range claimants {
			var others []string
			for _, other := range claimants {
				if other != e {
					others = append(others, other.File)
				}
			}
			e.Issues = append(e.Issues, issue("dir-duplicate", e.nodeOf(k.kind), finding{
				message: fmt.Sprintf("The %s is also claimed by %s; neither entry is trusted.", k.kind, strings.Join(others, ", ")), found: k.value,
				doNext: "Have the trust manager decide whose it is and remove the other entry.",
			}))
		}
	}
}

func (e *Entry) nodeOf(kind string) *fhirjson.Node {
	if kind == "NPI" {
		return e.Plan.node
	}
	return e.Endpoint.node
}

// The helpers below read nodes that may be absent.

// list gives the repetitions of an element: none for a nil node, the value itself where a list was forgotten.
func list(n *fhirjson.Node, name string) []*fhirjson.Node {
	if n == nil {
		return nil
	}
	var out []*fhirjson.Node
	for _, e := range n.AppendElements(nil, name) {
		if !e.IsTwin() {
			out = append(out, e)
		}
	}
	return out
}

func or(a, b *fhirjson.Node) *fhirjson.Node {
	if a != nil {
		return a
	}
	return b
}

func textOf(n *fhirjson.Node) string {
	if n == nil {
		return ""
	}
	return n.Text()
}

func typeOf(n *fhirjson.Node) string {
	if n == nil {
		return ""
	}
	return n.ResourceType()
}

func texts(nodes []*fhirjson.Node) string {
	out := make([]string, len(nodes))
	for i, n := range nodes {
		out[i] = n.Text()
	}
	return strings.Join(out, ", ")
}

func inWords(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

func instant(s string) bool {
	_, err := time.Parse(time.RFC3339, s)
	return err == nil
}
