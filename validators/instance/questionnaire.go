package instance

import (
	"slices"
	"strconv"
	"strings"

	"fhirwire/validators/fhirjson"
)

// form holds a QuestionnaireResponse against its Questionnaire. Items are nodes; those of the Questionnaire are called
// definitions.
type form struct {
	w        *walk
	base     *plan
	complete bool // required answers are due
	defs     map[string]*fhirjson.Node
	items    map[string][]*fhirjson.Node // by linkId, of the response
}

// questionnaireResponse checks a response against its Questionnaire where that is contained, in the Bundle, or found by the
// Resolver.
func (w *walk) questionnaireResponse(n *fhirjson.Node, base *plan) {
	c := n.Member("questionnaire")
	if c == nil || c.Kind() != fhirjson.String || c.Text() == "" {
		return
	}
	q := w.questionnaire(c)
	if typ := w.canonicalType(c.Text()); q == nil && (!isAbsolute(c.Text()) || typ != "" && typ != "Questionnaire") {
		return // said of the canonical
	}
	if q == nil {
		w.addOnce(c.Text(), finding{
			rule: ruleQuestionnaireUnknown, node: c, prof: base.prof, notChecked: true, found: c.Text(),
			message: w.name(n) + " was not held against its Questionnaire: " + short(c.Text()) + " is not at hand.",
		})
		return
	}
	if q.ResourceType() != "Questionnaire" {
		return // said of the canonical
	}
	status := n.MemberText("status")
	f := &form{w: w, base: base, complete: status == "completed" || status == "amended", defs: map[string]*fhirjson.Node{}, items: map[string][]*fhirjson.Node{}}
	eachItem(q, func(def *fhirjson.Node) { f.defs[def.MemberText("linkId")] = def })
	eachItem(n, func(item *fhirjson.Node) {
		id := item.MemberText("linkId")
		f.items[id] = append(f.items[id], item)
	})
	f.level(n, q)
}

func (w *walk) questionnaire(c *fhirjson.Node) *fhirjson.Node {
	text := c.Text()
	if text[0] == '#' {
		return w.contained(w.scope.root, text[1:])
	}
	url := canonicalURL(text)
	if w.scope.bundle != nil {
		if w.stream != nil && w.scope.bundle == w.stream.bundle {
			if found := w.stream.questionnaire(url); found != nil {
				return found
			}
		}
		var found *fhirjson.Node
		eachEntry(w.scope.bundle, func(entry *fhirjson.Node) {
			if r := entry.Member("resource"); found == nil && r.ResourceType() == "Questionnaire" && r.MemberText("url") == url {
				found = r
			}
		})
		if found != nil {
			return found
		}
	}
	if w.v.opt.Resolver == nil {
		return nil
	}
	q, err := w.v.opt.Resolver.Resolve(w.ctx, c, text)
	if err != nil {
		return nil
	}
	return q
}

// eachItem calls f with all items below n, those under answers too.
func eachItem(n *fhirjson.Node, f func(*fhirjson.Node)) {
	for _, item := range n.AppendElements(nil, "item") {
		if item.Kind() == fhirjson.Object {
			f(item)
			eachItem(item, f)
		}
	}
	for _, a := range n.AppendElements(nil, "answer") {
		eachItem(a, f)
	}
}

// level checks the items directly below parent (the response, a group, an answer) against those below its definition.
func (f *form) level(parent, definition *fhirjson.Node) {
	defs := definition.AppendElements(nil, "item")
	at := make(map[string]int, len(defs))
	for i, d := range defs {
		at[d.MemberText("linkId")] = i
	}
	here := make([][]*fhirjson.Node, len(defs))
	last := 0
	for _, item := range parent.AppendElements(nil, "item") {
		id := item.MemberText("linkId")
		i, ok := at[id]
		switch {
		case id == "":
			continue // said of the linkId
		case !ok && f.defs[id] != nil:
			f.add(item, ruleQuestionnaireItem, "has the linkId "+id+", which the Questionnaire has in another place", "")
			continue
		case !ok:
			f.add(item, ruleQuestionnaireItem, "has the linkId "+id+", which the Questionnaire does not have", "")
			continue
		case i < last:
			f.add(item, ruleQuestionnaireItem, "("+id+") comes after an item that the Questionnaire has behind it", "Send the items in the order of the Questionnaire.")
		}
		f.text(item, defs[i], id)
		last = max(last, i)
		here[i] = append(here[i], item)
	}
	for i, def := range defs {
		f.item(parent, def, here[i])
	}
}

// text checks that an item repeats the text of its question. A text with extensions of its own (a translation, a rendering) may read
// otherwise.
func (f *form) text(item, def *fhirjson.Node, id string) {
	said, asked := item.Member("text"), def.Member("text")
	if said == nil || asked == nil || said.Kind() != fhirjson.String || said.Text() == asked.Text() || said.Twin() != nil || asked.Twin() != nil {
		return
	}
	f.add(item, ruleQuestionnaireItem, "("+id+") has another text than the Questionnaire", "Repeat the text of the Questionnaire, or leave it out.")
}

// item checks what the response has for one definition.
func (f *form) item(parent, def *fhirjson.Node, items []*fhirjson.Node) {
	id, typ := def.MemberText("linkId"), def.MemberText("type")
	on, known := f.enabled(parent, def)
	if known && !on {
		for _, item := range items {
			if item.Member("answer") != nil || item.Member("item") != nil {
				f.add(item, ruleQuestionnaireEnabled, "("+id+") is answered, and its conditions in the Questionnaire do not hold", "Leave the item out.")
			}
		}
		return
	}
	required := def.MemberText("required") == "true" && f.complete && on && typ != "display"
	if required && len(items) == 0 {
		f.w.add(finding{
			rule: ruleQuestionnaireRequired, node: parent, child: id, prof: f.base.prof,
			message: f.w.name(parent) + ": the item " + id + " is missing, and the Questionnaire requires it.",
		})
	}
	if len(items) > 1 && (typ != "group" || def.MemberText("repeats") != "true") {
		f.add(items[1], ruleQuestionnaireRepeats, "is a second item "+id, "Give several answers in one item, if the Questionnaire allows them.")
	}
	for _, item := range items {
		answers := item.AppendElements(nil, "answer")
		switch typ {
		case "group", "display":
			if len(answers) > 0 {
				f.add(item, ruleQuestionnaireStructure, "("+id+") is a "+typ+" and has an answer", "")
			}
			if typ == "group" {
				f.level(item, def)
			}
			continue
		}
		if item.Member("item") != nil && len(answers) == 0 { // with an answer qrs-1 says it
			f.add(item, ruleQuestionnaireStructure, "("+id+") is a question and has items beside its answer", "Put them into the answer.")
		}
		if required && len(answers) == 0 {
			f.add(item, ruleQuestionnaireRequired, "("+id+") has no answer, and the Questionnaire requires one", "")
		}
		if len(answers) > 1 && def.MemberText("repeats") != "true" {
			f.add(item, ruleQuestionnaireRepeats, "("+id+") has "+strconv.Itoa(len(answers))+" answers; the Questionnaire takes one", "")
		}
		for _, a := range answers {
			f.answer(a, def, typ, len(answers))
			if a.Kind() == fhirjson.Object {
				f.level(a, def)
			}
		}
	}
}

func (f *form) add(n *fhirjson.Node, r rule, say, next string) {
	f.w.add(finding{rule: r, node: n, prof: f.base.prof, message: f.w.name(n) + " " + say + ".", next: next})
}

// questionnaireItems checks the conditions of a Questionnaire's items: they lead to other items of it.
func (w *walk) questionnaireItems(n *fhirjson.Node, base *plan) {
	known := map[string]*fhirjson.Node{}
	eachItem(n, func(item *fhirjson.Node) { known[item.MemberText("linkId")] = item })
	f := &form{w: w, base: base}
	eachItem(n, func(item *fhirjson.Node) {
		for _, cond := range item.AppendElements(nil, "enableWhen") {
			id := cond.MemberText("question")
			to := known[id]
			switch {
			case id == "":
			case to == nil:
				f.add(item, ruleQuestionnaireCondition, "depends on the item "+id+", which the Questionnaire does not have", "")
			case within(to, item):
				f.add(item, ruleQuestionnaireCondition, "depends on "+id+", which is itself or within it", "")
			}
		}
	})
}

// within reports whether n lies in outer, or is it.
func within(n, outer *fhirjson.Node) bool {
	return n.Doc() == outer.Doc() && n.Offset() >= outer.Offset() && n.End() <= outer.End()
}

// enabled evaluates enableWhen. It is not known for conditions that are expressions.
func (f *form) enabled(parent, def *fhirjson.Node) (on, known bool) {
	for _, x := range def.AppendElements(nil, "extension") {
		if strings.HasSuffix(strings.ToLower(x.MemberText("url")), "enablewhenexpression") {
			return false, false
		}
	}
	conds := def.AppendElements(nil, "enableWhen")
	if len(conds) == 0 {
		return true, true
	}
	any := def.MemberText("enableBehavior") == "any"
	for _, c := range conds {
		if f.holds(parent, c) == any {
			return any, true
		}
	}
	return !any, true
}

func (f *form) holds(parent, cond *fhirjson.Node) bool {
	var values []*fhirjson.Node
	for _, item := range f.nearest(parent, cond.MemberText("question")) {
		for _, a := range item.AppendElements(nil, "answer") {
			if v := valueMember(a, "value"); v != nil {
				values = append(values, v)
			}
		}
	}
	want, op := valueMember(cond, "answer"), cond.MemberText("operator")
	if op == "exists" {
		return (len(values) > 0) == (want != nil && want.Text() == "true")
	}
	if want == nil {
		return false
	}
	if op == "!=" {
		return !slices.ContainsFunc(values, func(v *fhirjson.Node) bool { return sameAnswer(want, v) })
	}
	return slices.ContainsFunc(values, func(v *fhirjson.Node) bool {
		if op == "=" {
			return sameAnswer(want, v)
		}
		order, ok := compareAnswers(v, want)
		return ok && (op == ">" && order > 0 || op == ">=" && order >= 0 || op == "<" && order < 0 || op == "<=" && order <= 0)
	})
}

// nearest are the items with a linkId in the smallest part of the response around parent that has some.
func (f *form) nearest(parent *fhirjson.Node, id string) []*fhirjson.Node {
	all := f.items[id]
	if len(all) < 2 {
		return all
	}
	for n := parent; n != nil; n = n.Parent() {
		var in []*fhirjson.Node
		for _, item := range all {
			if within(item, n) {
				in = append(in, item)
			}
		}
		if len(in) > 0 {
			return in
		}
	}
	return nil
}

// valueMember is the choice element of n with a stem: valueCoding for "value".
func valueMember(n *fhirjson.Node, stem string) *fhirjson.Node {
	if n == nil || n.Kind() != fhirjson.Object {
		return nil
	}
	for c := n.First(); c != nil; c = c.Next() {
		if rest, ok := strings.CutPrefix(c.Key(), stem); ok && rest != "" && rest[0] >= 'A' && rest[0] <= 'Z' {
			return c
		}
	}
	return nil
}
