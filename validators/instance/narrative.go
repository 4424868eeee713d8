package instance

import (
	"strings"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/fhirpath"
)

// narrative checks the XHTML of a Narrative: txt-1 and txt-2, and that local links lead somewhere.
func (w *walk) narrative(e *fhirjson.Node, b *plan) {
	div := e.Member("div")
	if div == nil || div.Kind() != fhirjson.String || div.Text() == "" {
		return
	}
	text := div.Text()
	look := quickXHTML(text)
	if look.plain && look.content {
		if look.links {
			w.narrativeLinks(div, text, b)
		}
		return
	}
	const most = 5 // faults told of one narrative
	faults := fhirpath.CheckXHTML(text)
	for i, f := range faults {
		if i == most {
			break
		}
		out := finding{
			rule: ruleNarrativeForm, node: div, prof: b.prof, key: "txt-1",
			message: w.name(div) + " is not the XHTML that FHIR allows: " + f.Text + ".",
		}
		if f.Offset > 0 && f.Offset < len(text) {
			out.found = clipText(text[f.Offset:])
		}
		w.add(out)
	}
	if len(faults) > 0 {
		return
	}
	if !hasContent(text) {
		w.add(finding{
			rule: ruleNarrativeEmpty, node: div, prof: b.prof, key: "txt-2",
			message: w.name(div) + " has no text and no image.", next: "Say what the resource says, or leave the narrative out.",
		})
		return
	}
	w.narrativeLinks(div, text, b)
}

// hasContent reports text or an image between the tags.
func hasContent(s string) bool {
	inTag := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '<':
			if strings.HasPrefix(s[i:], "<img") {
				return true
			}
			if strings.HasPrefix(s[i:], "<!--") {
				end := strings.Index(s[i:], "-->")
				if end < 0 {
					return false
				}
				i += end + 2
				continue
			}
			inTag = true
		case c == '>' && inTag:
			inTag = false
		case !inTag && !isBlank(c):
			for _, blank := range [...]string{"&nbsp;", "&#160;", "&#xa0;", "&#xA0;", "\u00a0"} {
				if strings.HasPrefix(s[i:], blank) {
					i += len(blank) - 1
					c = 0
					break
				}
			}
			if c != 0 {
				return true
			}
		}
	}
	return false
}

// narrativeLinks checks that the links #x of a narrative meet an id in the narrative or the resource.
func (w *walk) narrativeLinks(div *fhirjson.Node, text string, b *plan) {
	if !strings.Contains(text, `="#`) && !strings.Contains(text, `='#`) {
		return
	}
	const most = 20 // links that lead nowhere, told of one narrative
	ids, links := map[string]bool{}, []string(nil)
	eachAttribute(text, func(tag, name, val string) {
		switch {
		case name == "id" || name == "name":
			ids[val] = true
		case len(val) > 1 && val[0] == '#' && (tag == "a" && name == "href" || tag == "img" && name == "src"):
			w.local(val)
			links = append(links, val)
		}
	})
	missing := 0
	for _, link := range links {
		id := link[1:]
		if ids[id] || missing == most || w.hasAnchor(id) {
			continue
		}
		missing++
		f := finding{
			rule: ruleNarrativeLink, node: div, child: link, prof: b.prof, found: link,
			message: w.name(div) + " links to " + link + ", and nothing in the resource has that id.",
		}
		if typ, _, ok := strings.Cut(id, "_"); ok && w.v.concrete(typ) {
			// The guide publisher names the anchors of a Bundle's entries so and leaves them out of the resources.
			f.severity = validators.SeverityWarning
		}
		w.add(f)
	}
}

// eachAttribute calls f with every attribute of every tag; the text is known to be well-formed.
func eachAttribute(s string, f func(tag, name, val string)) {
	for {
		i := strings.IndexByte(s, '<')
		if i < 0 {
			return
		}
		s = s[i+1:]
		if strings.HasPrefix(s, "!--") {
			_, s, _ = strings.Cut(s, "-->")
			continue
		}
		end := strings.IndexAny(s, " \t\r\n/>")
		if end <= 0 {
			continue
		}
		tag := s[:end]
		for s = s[end:]; ; {
			s = strings.TrimLeft(s, " \t\r\n/")
			if s == "" || s[0] == '>' {
				break
			}
			name, rest, ok := strings.Cut(s, "=")
			rest = strings.TrimLeft(rest, " \t\r\n")
			if !ok || rest == "" || rest[0] != '"' && rest[0] != '\'' {
				break
			}
			val, after, ok := strings.Cut(rest[1:], rest[:1])
			if !ok {
				break
			}
			f(tag, strings.TrimSpace(name), val)
			s = after
		}
	}
}

// hasAnchor reports an id on anything in the input, or an anchor in any of its narratives.
func (w *walk) hasAnchor(id string) bool {
	if w.stream != nil {
		return w.stream.hasAnchor(id)
	}
	if w.anchors == nil {
		w.anchors = map[string]bool{}
		eachAnchor(w.doc.Root(), func(id string) { w.anchors[id] = true })
	}
	return w.anchors[id]
}

func eachAnchor(n *fhirjson.Node, f func(id string)) {
	for c := n.First(); c != nil; c = c.Next() {
		switch {
		case c.Kind() == fhirjson.Object || c.Kind() == fhirjson.Array:
			eachAnchor(c, f)
		case c.Kind() != fhirjson.String:
		case c.Key() == "id":
			f(c.Text())
		case c.Key() == "div":
			eachAttribute(c.Text(), func(_, name, val string) {
				if name == "id" || name == "name" {
					f(val)
				}
			})
		}
	}
}

func clipText(s string) string {
	const most = 40
	n := 0
	for i := range s {
		if n++; n > most {
			return s[:i] + "…"
		}
	}
	return s
}
