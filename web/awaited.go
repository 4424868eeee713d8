package web

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/web/views"
)

// awaited says which request would show a step that traffic has not shown, nil for a step that only people can tick.
func (s *Server) awaited(n *names, p *testplans.Plan, st *testplans.Step, channel string) []views.Fact {
	if attested(st) {
		return nil
	}
	client, server := n.sides(channel)
	sel := &st.Select
	facts := []views.Fact{{Name: "Awaited", Value: awaitedRequest(sel) + " from " + client + " to " + server}}
	add := func(name, value string, mono bool) {
		if value != "" {
			facts = append(facts, views.Fact{Name: name, Value: value, Mono: mono})
		}
	}
	add("Parameters", awaitedFields(sel.Parameters), false)
	add("Headers", awaitedFields(sel.Headers), false)
	switch sel.Certificate {
	case "*":
		add("Certificate", "the client presents one", false)
	case "-":
		add("Certificate", "the client presents none", false)
	}
	add("Body where", clip(sel.Request, 300), true)
	if len(sel.Status) > 0 {
		add("Answered", strings.Join(sel.Status, " or "), false)
	}
	add("Answer where", clip(sel.Response, 300), true)
	add("Belongs to", awaitedRelations(p, sel.Follows), false)
	if ch := n.byName[channel]; ch != nil {
		add("Send to", ch.ClientBase(s.opts.ProxyURL), true)
	}
	return facts
}

// awaitedRequest names what is asked for: "POST $member-match", "a search of Patient, Coverage or 3 types more".
func awaitedRequest(sel *testplans.Select) string {
	var what []string
	kinds := sel.Kind
	if len(kinds) == 0 {
		kinds = []string{""}
	}
	for _, k := range kinds {
		switch word := (proxy.Interaction{Kind: proxy.Kind(k)}).Label(); {
		case len(sel.Operation) > 0 && (k == "" || k == string(proxy.KindOperation) || k == string(proxy.KindBulkKickoff)):
			what = append(what, sel.Operation...)
		case k == "":
			what = append(what, "a request")
		default:
			what = append(what, word)
		}
	}
	text := either(what, 4)
	if len(sel.Type) > 0 {
		text += " of " + either(sel.Type, 4)
	}
	if sel.Level != "" {
		text += ", at " + sel.Level + " level"
	}
	if len(sel.Method) > 0 {
		text = either(sel.Method, 4) + " " + text
	}
	return text
}

// either lists alternatives.
func either(list []string, most int) string {
	list = slices.Compact(slices.Clone(list))
	if more := len(list) - most; more > 1 {
		return strings.Join(list[:most], ", ") + " or " + strconv.Itoa(more) + " more"
	}
	if k := len(list); k > 1 {
		return strings.Join(list[:k-1], ", ") + " or " + list[k-1]
	}
	return strings.Join(list, "")
}

// awaitedFields are parameters or headers in words.
func awaitedFields(fields map[string]string) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		switch value := fields[name]; {
		case value == "*":
			words = append(words, name+" with any value")
		case value == "-":
			words = append(words, "no "+name)
		case strings.Contains(value, "${"):
			words = append(words, name+" as an earlier exchange gave it")
		default:
			words = append(words, name+" = "+value)
		}
	}
	return strings.Join(words, ", ")
}

var relationWords = map[testplans.Relation]string{
	testplans.ByURL: "by the URL that it named", testplans.BySame: "asking for the same URL", testplans.ByToken: "with the token that it gave",
	testplans.ByClient: "as the client that it registered", testplans.ByID: "with an id that it gave", testplans.ByOrder: "after it",
}

func awaitedRelations(p *testplans.Plan, list []testplans.Follows) string {
	var words []string
	for _, f := range list {
		if i := slices.IndexFunc(p.Steps, func(st testplans.Step) bool { return st.ID == f.Step }); i >= 0 {
			words = append(words, "step "+strconv.Itoa(i+1)+" ("+p.Steps[i].Title+"), "+relationWords[f.By])
		}
	}
	return strings.Join(words, "; ")
}
