package instance

import (
	"encoding/xml"
	"slices"
	"strings"

	"fhirwire/validators/fhirjson"
)

// story is what a profile asks of a narrative beyond its form, by the extensions narrative-source-control and
// narrative-language-control.
type story struct {
	source    bool
	languages []string
}

func (w *walk) story(e *fhirjson.Node, p *plan) {
	div := e.Member("div")
	if div == nil || div.Kind() != fhirjson.String {
		return
	}
	if p.story.source {
		for _, text := range unsourced(div.Text()) {
			w.add(finding{
				rule: ruleNarrativeSource, node: e, child: text, prof: p.prof, expected: "class boilerplate, generated or original", found: clipText(text),
				message: w.name(e) + " does not say where a part of it comes from: " + clipText(text) + ".",
				next:    "Give the element around it one of these classes.",
			})
		}
	}
	langs := languagesOf(div.Text())
	for _, want := range p.story.languages {
		if say := missingLanguage(want, langs, w.scope.resource.MemberText("language")); say != "" {
			w.add(finding{
				rule: ruleNarrativeLanguage, node: e, child: want, prof: p.prof, expected: want, found: strings.Join(langs, ", "),
				message: w.name(e) + " " + say + ".", next: "Put the text of each language in a div of its own, with lang and xml:lang.",
			})
		}
	}
}

// missingLanguage says what keeps a narrative in langs from what a profile wants, "" when nothing does.
func missingLanguage(want string, langs []string, own string) string {
	switch want {
	case "_yes":
		if len(langs) == 0 {
			return "has no section with a language"
		}
	case "_no":
		if len(langs) > 0 {
			return "has sections with a language, and none are allowed"
		}
	case "_more":
		if len(langs) < 2 {
			return "is not in several languages"
		}
	case "_resource":
		if own != "" && !slices.Contains(langs, own) {
			return "has no section in " + own + ", the language of the resource"
		}
	default:
		if !slices.Contains(langs, want) {
			return "has no section in " + want
		}
	}
	return ""
}

// languagesOf are the languages of the divs in a narrative.
func languagesOf(text string) []string {
	var langs []string
	eachAttribute(text, func(tag, name, val string) {
		if tag == "div" && (name == "lang" || name == "xml:lang") && !slices.Contains(langs, val) {
			langs = append(langs, val)
		}
	})
	return langs
}

// unsourced are the texts in a narrative with no element around them whose class says where they come from. A text that is no
// XML has none: that is said elsewhere.
func unsourced(text string) []string {
	d := xml.NewDecoder(strings.NewReader(text))
	d.Strict, d.Entity = false, xml.HTMLEntity
	var (
		out    []string
		marked []bool
	)
	for {
		t, err := d.Token()
		if err != nil {
			return out
		}
		switch t := t.(type) {
		case xml.StartElement:
			known := len(marked) > 0 && marked[len(marked)-1]
			for _, a := range t.Attr {
				known = known || a.Name.Local == "class" && hasSource(a.Value)
			}
			marked = append(marked, known)
		case xml.EndElement:
			marked = marked[:max(0, len(marked)-1)]
		case xml.CharData:
			if s := strings.TrimSpace(string(t)); s != "" && len(marked) > 0 && !marked[len(marked)-1] {
				out = append(out, s)
			}
		}
	}
}

func hasSource(class string) bool {
	for c := range strings.FieldsSeq(class) {
		if c == "boilerplate" || c == "generated" || c == "original" {
			return true
		}
	}
	return false
}
