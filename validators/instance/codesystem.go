package instance

import (
	"strconv"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
)

// codeSystem checks that a CodeSystem holds what it says of its content.
func (w *walk) codeSystem(n *fhirjson.Node, base *plan) {
	list := n.Member("concept")
	content := n.MemberText("content")
	if content != "supplement" {
		w.conceptProperties(n, base)
		if s := n.Member("supplements"); s != nil {
			w.add(finding{
				rule: ruleCodeSystemContent, node: s, prof: base.prof,
				message: w.name(n) + " supplements a code system and says that its content is " + content + ".", next: "A supplement has the content supplement.",
			})
		}
	}
	switch content {
	case "not-present":
		if list != nil {
			w.add(finding{
				rule: ruleCodeSystemContent, node: list, prof: base.prof,
				message: w.name(n) + " says that its content is not present, and has concepts.", next: "Say what part of the concepts this is.",
			})
		}
		return
	case "supplement":
		if n.Member("supplements") == nil {
			w.add(finding{
				rule: ruleCodeSystemContent, node: n, prof: base.prof,
				message: w.name(n) + " is a supplement and does not say to which code system.", next: "Add supplements.",
			})
		}
		return
	}
	count := n.Member("count")
	if list == nil || count == nil || count.Kind() != fhirjson.Number || wholeFault(count.Text(), 0) != "" {
		return
	}
	said, _ := strconv.Atoi(count.Text())
	held := concepts(list, 0)
	f := finding{rule: ruleCodeSystemCount, node: count, prof: base.prof, expected: strconv.Itoa(held), found: count.Text()}
	switch {
	case content == "complete" && said != held:
		f.message = w.name(count) + " is " + count.Text() + "; the code system is complete and has " + strconv.Itoa(held) + " concepts."
	case (content == "fragment" || content == "example") && said <= held:
		f.severity = validators.SeverityWarning
		f.message = w.name(count) + " is " + count.Text() + "; the code system holds a part of its concepts, and these are " + strconv.Itoa(held) + "."
	default:
		return
	}
	w.add(f)
}

// concepts counts the concepts of a list and those below them.
func concepts(list *fhirjson.Node, depth int) int {
	if list == nil || list.Kind() != fhirjson.Array || depth > maxDepth {
		return 0
	}
	count := 0
	for c := list.First(); c != nil; c = c.Next() {
		count += 1 + concepts(c.Member("concept"), depth+1)
	}
	return count
}
