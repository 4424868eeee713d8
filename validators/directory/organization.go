package directory

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"fhirwire/validators/fhirjson"
)

func (c *checker) checkOrganizations() {
	nodes := c.resources("Organization")
	switch len(nodes) {
	case 0:
		c.report("dir-organization", c.bundle, finding{message: "The Bundle has no Organization: nobody can be found by it.", expected: "the plan and who runs its endpoint", found: "none", doNext: "Add an Organization of the mtls-organization profile for the plan."})
		return
	case 1:
		c.report("dir-two-organizations", c.bundle, finding{message: "The Bundle has one Organization; the guide wants two, also where both are the same body.", expected: "the plan and who runs its endpoint", found: "1", doNext: "Add an Organization for who runs the endpoint and let Endpoint.managingOrganization name it."})
	}
	for _, n := range nodes {
		c.entry.organizations = append(c.entry.organizations, c.organization(n))
	}
}

func (c *checker) organization(n *fhirjson.Node) *Organization {
	o := &Organization{ID: n.MemberText("id"), Name: n.MemberText("name"), Active: n.MemberText("active") == "true", node: n}
	who := "The Organization"
	if o.Name != "" {
		who = o.Name
	}
	if !o.Active {
		c.report("dir-org-active", or(n.Member("active"), n), finding{message: who + " is not said to be active.", expected: "true", found: inWords(n.MemberText("active")), doNext: "Set Organization.active to true."})
	}
	if o.Name == "" {
		c.report("dir-org-name", n, finding{message: "The Organization has no name.", expected: "the name on the plan's ID card", found: "nothing", doNext: "Set Organization.name."})
	}
	telecoms := list(n, "telecom")
	if len(telecoms) == 0 {
		c.report("dir-org-telecom", n, finding{message: who + " has no telecom.", expected: "at least one of system url: the page for member support", found: "none", doNext: "Add a telecom with system url."})
	}
	for _, t := range telecoms {
		v := t.MemberText("value")
		if s := t.MemberText("system"); s != "url" || v == "" {
			c.report("dir-org-telecom", t, finding{message: "A telecom of the Organization is no URL.", expected: "system url with a value", found: inWords(s) + " " + v, doNext: "Keep telecoms of system url only, each with a value."})
			continue
		}
		o.URLs = append(o.URLs, v)
	}
	for _, id := range list(n, "identifier") {
		i := Identifier{id.MemberText("system"), id.MemberText("value")}
		if i.System == npiSystem && !npi(i.Value) {
			c.report("dir-org-npi", or(id.Member("value"), id), finding{message: "The NPI is no valid one.", expected: "ten digits with a right check digit", found: inWords(i.Value), doNext: "Correct Organization.identifier.value."})
		}
		if i.Value != "" {
			o.Identifiers = append(o.Identifiers, i)
		}
	}
	return o
}

// roles finds out which Organization is the plan and which the operator, and checks what ties them to the Endpoint.
func (c *checker) roles(endpoint *fhirjson.Node) {
	e := c.entry
	if len(e.organizations) == 0 {
		return
	}
	of := func(n *fhirjson.Node) *Organization {
		i := slices.IndexFunc(e.organizations, func(o *Organization) bool { return o.node == n })
		if i < 0 {
			return nil
		}
		return e.organizations[i]
	}
	var refs []*fhirjson.Node
	for _, o := range e.organizations {
		for _, ref := range list(o.node, "endpoint") {
			refs = append(refs, ref)
			if endpoint != nil && c.resolve(ref, "Endpoint") == endpoint && e.Plan == nil {
				e.Plan = o
			}
		}
	}
	var managing *fhirjson.Node
	if endpoint != nil {
		managing = endpoint.Member("managingOrganization")
		e.Operator = of(c.resolve(managing, "Organization"))
	}
	linked := e.Plan != nil
	if !linked {
		e.Plan = c.likelyPlan()
	}
	if endpoint == nil {
		return
	}
	if !linked {
		f := finding{message: "No Organization names the Endpoint of the Bundle.", expected: "Organization.endpoint with a reference to it", found: "none", doNext: "Set Organization.endpoint of the plan to the Endpoint."}
		at := e.Plan.node
		if len(refs) > 0 {
			f.message, f.found, at = "Organization.endpoint leads to no Endpoint of the Bundle.", inWords(refs[0].MemberText("reference")), refs[0]
		}
		c.report("dir-org-endpoint", at, f)
	}
	for _, o := range e.organizations {
		if n := list(o.node, "endpoint"); len(n) > 1 {
			c.report("dir-org-endpoint", n[1], finding{message: "The Organization names more than one Endpoint.", expected: "one at most", found: fmt.Sprint(len(n)), doNext: "Keep the Endpoint of this Bundle.", requirement: "P2P-DIR-115"})
		}
	}
	if e.Operator == nil {
		f := finding{message: "The Endpoint does not say who runs it.", expected: "managingOrganization with a reference to an Organization of the Bundle", found: "none", doNext: "Set Endpoint.managingOrganization."}
		if managing != nil {
			f.message, f.found = "Endpoint.managingOrganization leads to no Organization of the Bundle.", inWords(managing.MemberText("reference"))
			f.doNext = "Put that Organization into the Bundle or correct the reference."
		}
		c.report("dir-endpoint-managing", or(managing, endpoint), f)
	}
}

// likelyPlan is the Organization that says it is a payer, or the first that is not the operator.
func (c *checker) likelyPlan() *Organization {
	all := c.entry.organizations
	for _, o := range all {
		for _, t := range list(o.node, "type") {
			for _, coding := range list(t, "coding") {
				if code := coding.MemberText("code"); code == "payer" || code == "pay" {
					return o
				}
			}
		}
	}
	for _, o := range all {
		if o != c.entry.Operator {
			return o
		}
	}
	return all[0]
}

func (c *checker) checkPlanIdentifier() {
	if p := c.entry.Plan; p != nil && p.NPI() == "" {
		c.report("dir-org-identifier", p.node, finding{message: "The plan has no NPI, so partners cannot look it up by number.", expected: "an identifier of " + npiSystem, found: inWords(identifiersInWords(p.Identifiers)), doNext: "Add the plan's NPI to Organization.identifier."})
	}
}

func identifiersInWords(ids []Identifier) string {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = id.System + "|" + id.Value
	}
	return strings.Join(words, ", ")
}

// npi checks the ten digits with the Luhn sum over the prefix 80840.
func npi(s string) bool {
	if len(s) != 10 {
		return false
	}
	sum := 24 // what the prefix adds
	for i := range 10 {
		d := int(s[i]) - '0'
		if d < 0 || d > 9 {
			return false
		}
		if i%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// host is the host of a URL in lower case, "" when it has none.
func host(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	return lower(u.Hostname())
}
