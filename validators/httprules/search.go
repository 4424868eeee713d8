package httprules

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"fhirwire/proxy"
	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
)

func searchRules() []Rule {
	return []Rule{
		rule("search-bundle-type", validators.SeverityError, validators.CodeValue, validators.SideServer, fhirSrch,
			"A search is answered with a Bundle of type searchset", "USC-SRCH-06").when(searchBundleType),
		rule("search-self-link", validators.SeverityWarning, validators.CodeRequired, validators.SideServer, fhirSrch,
			"A search answer has a self link with the parameters that were used", "USC-SRCH-06").when(searchSelfLink),
		rule("search-parameter-ignored", validators.SeverityInformation, validators.CodeNotSupported, validators.SideServer, fhirSrch,
			"Every search parameter of the request is used").when(searchIgnored),
		rule("search-entry-type", validators.SeverityError, validators.CodeValue, validators.SideServer, fhirSrch,
			"Matches have the type that was searched").when(searchEntryType),
		rule("search-total", validators.SeverityError, validators.CodeValue, validators.SideServer, fhirSrch,
			"Bundle.total is not below the number of matches on the page").when(searchTotal),
		rule("paging-next-loop", validators.SeverityError, validators.CodeValue, validators.SideServer, fhirSrch,
			"The next link leads to another page").when(nextLoop),
		rule("paging-foreign-link", validators.SeverityWarning, validators.CodeValue, validators.SideServer, fhirSrch,
			"Paging links lead to the server that was asked").when(foreignLink),
		rule("paging-relative-link", validators.SeverityError, validators.CodeValue, validators.SideServer, fhirSrch,
			"Paging links are absolute URLs").when(relativeLink),
	}
}

func (c *Case) searchBundle() *fhirjson.Node {
	if c.is(proxy.KindSearchType, proxy.KindSearchSystem) && c.status() == http.StatusOK && c.Response.resourceType() == "Bundle" {
		return c.Response.Root()
	}
	return nil
}

// pagedBundle is the Bundle of any answer that may have pages.
func (c *Case) pagedBundle() *fhirjson.Node {
	if c.answered() && c.status() == http.StatusOK && c.Response.resourceType() == "Bundle" && FHIRKind(c.kind()) {
		return c.Response.Root()
	}
	return nil
}

func link(bundle *fhirjson.Node, relation string) *fhirjson.Node {
	for l := bundle.Member("link").FirstOrNil(); l != nil; l = l.Next() {
		if l.MemberText("relation") == relation {
			return l.Member("url")
		}
	}
	return nil
}

func searchBundleType(c *Case, report func(finding)) {
	b := c.searchBundle()
	if b == nil || b.MemberText("type") == "searchset" {
		return
	}
	at := b.Member("type")
	if at == nil {
		at = b
	}
	report(finding{
		part: validators.PartResponseBody, at: at, message: "The answer to a search is a Bundle of type " + strconv.Quote(b.MemberText("type")) + ".",
		expected: "searchset", found: b.MemberText("type"), doNext: "Set Bundle.type to searchset.",
	})
}

func searchSelfLink(c *Case, report func(finding)) {
	b := c.searchBundle()
	if b == nil || link(b, "self") != nil {
		return
	}
	report(finding{
		part: validators.PartResponseBody, at: b, message: "The search answer has no self link.",
		expected: "a link of relation self", found: "none", doNext: "Add Bundle.link with relation self and the URL of the search as it was performed.",
	})
}

// resultParameters steer the answer and need not be repeated in the self link.
var resultParameters = []string{"_format", "_pretty", "_count", "_total", "_sort", "_include", "_revinclude", "_elements", "_summary", "_contained", "_containedType", "_getpages", "_getpagesoffset", "_bundletype"}

func searchIgnored(c *Case, report func(finding)) {
	b := c.searchBundle()
	if b == nil || c.Exchange.Request.Method != http.MethodGet {
		return
	}
	self := link(b, "self")
	if self == nil {
		return
	}
	u, err := url.Parse(self.Text())
	if err != nil || u.RawQuery == "" {
		return // a self link without parameters says nothing about which were used
	}
	used := u.Query()
	var ignored []string
	for name := range c.target().Query() {
		bare, _, _ := strings.Cut(name, ":")
		if !slices.Contains(resultParameters, bare) && !used.Has(name) && !used.Has(bare) {
			ignored = append(ignored, name)
		}
	}
	if len(ignored) == 0 || slices.ContainsFunc(resultParameters, func(p string) bool { return strings.HasPrefix(p, "_getpages") && c.target().Query().Has(p) }) {
		return
	}
	slices.Sort(ignored)
	report(finding{
		part: validators.PartResponseBody, at: self,
		message:  fmt.Sprintf("The self link does not name %s: the server did not use it.", strings.Join(ignored, ", ")),
		expected: "all parameters of the request", found: self.Text(),
		doNext: "Check the parameter's name with the server's CapabilityStatement; the matches are not limited by it.",
	})
}

func searchEntryType(c *Case, report func(finding)) {
	b, want := c.searchBundle(), c.Exchange.Interaction.ResourceType
	if b == nil || want == "" {
		return
	}
	for e := b.Member("entry").FirstOrNil(); e != nil; e = e.Next() {
		got, mode := e.Member("resource").MemberText("resourceType"), e.Member("search").MemberText("mode")
		if got == "" || got == want || mode == "include" || got == "OperationOutcome" && mode != "match" {
			continue
		}
		report(finding{
			part: validators.PartResponseBody, at: e.Member("resource"),
			message:  fmt.Sprintf("A match of the search for %s is a %s.", want, got),
			expected: want + ", or search.mode include", found: got,
			doNext: "Mark resources that come along with search.mode include.",
		})
		return
	}
}

func searchTotal(c *Case, report func(finding)) {
	b := c.searchBundle()
	if b == nil || b.Member("total") == nil {
		return
	}
	total, err := strconv.Atoi(b.MemberText("total"))
	if err != nil {
		return // its form is the validator's business
	}
	matches := 0
	for e := b.Member("entry").FirstOrNil(); e != nil; e = e.Next() {
		mode := e.Member("search").MemberText("mode")
		if mode == "match" || mode == "" && e.Member("resource").MemberText("resourceType") == c.Exchange.Interaction.ResourceType {
			matches++
		}
	}
	if matches > total {
		report(finding{
			part: validators.PartResponseBody, at: b.Member("total"),
			message:  fmt.Sprintf("Bundle.total is %d and the page holds %d matches.", total, matches),
			expected: fmt.Sprintf("%d or more", matches), found: strconv.Itoa(total), doNext: "Count all matches of the search, without included resources.",
		})
	}
}

func nextLoop(c *Case, report func(finding)) {
	b := c.pagedBundle()
	if b == nil {
		return
	}
	next, self := link(b, "next"), link(b, "self")
	if next == nil || self == nil && next.Text() != c.Exchange.Request.Target || self != nil && next.Text() != self.Text() {
		return
	}
	report(finding{
		part: validators.PartResponseBody, at: next, message: "The next link leads to this same page.", expected: "the following page, or no next link on the last one",
		found: next.Text(), doNext: "Leave the next link out on the last page.",
	})
}

func foreignLink(c *Case, report func(finding)) {
	b := c.pagedBundle()
	if b == nil {
		return
	}
	for _, relation := range []string{"next", "previous", "prev", "first", "last"} {
		l := link(b, relation)
		if l == nil {
			continue
		}
		u, err := url.Parse(l.Text())
		if err != nil || !u.IsAbs() || sameOrigin(u, c.target()) {
			continue
		}
		report(finding{
			part: validators.PartResponseBody, at: l,
			message:  fmt.Sprintf("The %s link leads to %s, not to the server that was asked.", relation, u.Host),
			expected: c.target().Scheme + "://" + c.target().Host, found: l.Text(),
			doNext: "Build links from the server's public base URL; a client that follows this one leaves the proxy and may reach nothing.",
		})
		return
	}
}

func relativeLink(c *Case, report func(finding)) {
	b := c.pagedBundle()
	if b == nil {
		return
	}
	for _, relation := range []string{"next", "previous", "prev", "first", "last"} {
		if l := link(b, relation); l != nil && !absoluteHTTP(l.Text()) {
			report(finding{
				part: validators.PartResponseBody, at: l, message: "The " + relation + " link is not an absolute URL.",
				expected: "http:// or https://", found: l.Text(), doNext: "Send paging links as absolute URLs.",
			})
			return
		}
	}
}
