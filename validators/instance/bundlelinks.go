package instance

import (
	"fhirwire/validators/fhirjson"
)

// pageLinks reports links from page to page in a Bundle that has no pages: those of searches and histories have.
func (w *walk) pageLinks(n *fhirjson.Node, typ string, base *plan) {
	list := n.Member("link")
	if list == nil || list.Kind() != fhirjson.Array {
		return
	}
	for c := list.First(); c != nil; c = c.Next() {
		rel := c.Member("relation")
		if rel == nil {
			continue
		}
		switch rel.Text() {
		case "first", "previous", "next", "last":
			w.add(finding{
				rule: ruleBundlePageLink, node: rel, prof: base.prof, found: rel.Text(),
				message: w.name(rel) + " is " + rel.Text() + ", a page of a search or a history; a Bundle of type " + typ + " has no pages.",
				next:    "Leave the link out.",
			})
		default:
		}
	}
}
