package fhirpath

import (
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"slices"
	"strings"
)

// XHTMLFault is one thing that the text of a Narrative may not have.
type XHTMLFault struct {
	// Offset is the byte in the div's text at which it was met.
	Offset int
	Text   string
}

const (
	xhtmlNamespace = "http://www.w3.org/1999/xhtml"
	maxXHTMLFaults = 20
	maxXHTMLDepth  = 200
)

func words(s string) map[string]bool {
	out := map[string]bool{}
	for w := range strings.FieldsSeq(s) {
		out[w] = true
	}
	return out
}

// What FHIR allows of XHTML 1.0: formatting, no forms, scripts, objects or links to style.
var (
	xhtmlElements = words(`p br div h1 h2 h3 h4 h5 h6 a span b em i strong small big tt dfn q var abbr acronym cite blockquote hr ul ol li
		dl dt dd pre table caption colgroup col thead tr tfoot tbody th td code samp img map area address bdo kbd sub sup`)
	xhtmlAttributes = words(`title style class id lang xml:lang dir accesskey tabindex xml:space xmlns`)
	xhtmlOwn        = map[string]map[string]bool{
		"a":          words("href name rel rev hreflang type charset shape coords"),
		"img":        words("src alt width height usemap ismap longdesc border align"),
		"area":       words("shape coords href nohref alt"),
		"map":        words("name"),
		"q":          words("cite"),
		"blockquote": words("cite"),
		"ol":         words("start type compact"),
		"ul":         words("type compact"),
		"li":         words("value type"),
		"hr":         words("width align"),
		"p":          words("align width"),
		"div":        words("align"),
		"table":      words("border cellpadding cellspacing width summary frame rules align bgcolor"),
		"col":        words("span width align valign char charoff"),
		"colgroup":   words("span width align valign char charoff"),
		"thead":      words("align valign char charoff"),
		"tbody":      words("align valign char charoff"),
		"tfoot":      words("align valign char charoff"),
		"tr":         words("align valign char charoff bgcolor"),
		"td":         words("abbr axis headers scope rowspan colspan align valign char charoff width height bgcolor nowrap"),
		"th":         words("abbr axis headers scope rowspan colspan align valign char charoff width height bgcolor nowrap"),
		"caption":    words("align"),
		"h1":         words("align"), "h2": words("align"), "h3": words("align"), "h4": words("align"), "h5": words("align"), "h6": words("align"),
		"pre": words("width"),
	}
)

// CheckXHTML reports what the div of a Narrative breaks: it is to be a well-formed div element in the XHTML namespace with
// allowed elements and attributes only, no active content, and only the entities of HTML.
func CheckXHTML(div string) []XHTMLFault {
	c := &xhtmlCheck{}
	d := xml.NewDecoder(strings.NewReader(div))
	d.Strict = true
	d.Entity = xml.HTMLEntity
	for len(c.faults) < maxXHTMLFaults {
		at := int(d.InputOffset())
		token, err := d.RawToken()
		if err == nil {
			c.token(at, token)
			continue
		}
		switch {
		case !errors.Is(err, io.EOF):
			c.fault(int(d.InputOffset()), "it is not well-formed: %s", plainXML(err))
		case len(c.open) > 0:
			c.fault(at, "the element %s is not closed", c.open[len(c.open)-1])
		case !c.root:
			c.fault(at, "there is no div element")
		}
		break
	}
	return c.faults
}

func plainXML(err error) string {
	if syntax, ok := errors.AsType[*xml.SyntaxError](err); ok {
		return syntax.Msg
	}
	return err.Error()
}

type xhtmlCheck struct {
	faults []XHTMLFault
	open   []string
	root   bool // the div was met
}

func (c *xhtmlCheck) fault(at int, format string, args ...any) {
	c.faults = append(c.faults, XHTMLFault{at, fmt.Sprintf(format, args...)})
}

func (c *xhtmlCheck) token(at int, t xml.Token) {
	switch t := t.(type) {
	case xml.StartElement:
		c.start(at, t)
	case xml.EndElement:
		name := t.Name.Local
		if len(c.open) == 0 || c.open[len(c.open)-1] != name {
			c.fault(at, "the end tag %s closes nothing", name)
			return
		}
		c.open = c.open[:len(c.open)-1]
	case xml.CharData:
		switch {
		case strings.TrimSpace(string(t)) == "":
		case len(c.open) == 0:
			c.fault(at, "there is text outside the div element")
		case xhtmlContent[c.open[len(c.open)-1]] != nil:
			c.fault(at, "the element %s holds no text of its own", c.open[len(c.open)-1])
		}
	case xml.ProcInst:
		c.fault(at, "processing instructions are not allowed")
	case xml.Directive:
		c.fault(at, "a document type is not allowed")
	}
}

func (c *xhtmlCheck) start(at int, t xml.StartElement) {
	name := t.Name.Local
	if len(c.open) == 0 {
		switch {
		case c.root:
			c.fault(at, "there is more than one root element")
		case name != "div" || t.Name.Space != "":
			c.fault(at, "the root element is %s, not div", name)
		}
		c.root = true
		namespace := ""
		for _, a := range t.Attr {
			if a.Name.Space == "" && a.Name.Local == "xmlns" {
				namespace = a.Value
			}
		}
		if namespace != xhtmlNamespace {
			c.fault(at, "the div element is not in the namespace %s", xhtmlNamespace)
		}
	}
	switch {
	case t.Name.Space != "":
		c.fault(at, "the element %s:%s is not allowed", t.Name.Space, name)
	case !xhtmlElements[name]:
		c.fault(at, "the element %s is not allowed", name)
	}
	c.place(at, name)
	c.attributes(at, name, t.Attr)
	if len(c.open) >= maxXHTMLDepth {
		c.fault(at, "elements are nested more than %d deep", maxXHTMLDepth)
		return
	}
	c.open = append(c.open, name)
}

// place checks that name may stand where it does. Where HTML and the reference validator differ, what either allows is let pass.
func (c *xhtmlCheck) place(at int, name string) {
	if len(c.open) == 0 {
		return
	}
	parent := c.open[len(c.open)-1]
	content, parents := xhtmlContent[parent], xhtmlParents[name]
	switch {
	case parent == "p" && blockElements[name]:
		c.fault(at, "the element %s cannot stand in a paragraph", name)
	case xhtmlInline[parent] && boxElements[name]:
		c.fault(at, "the element %s cannot stand in the element %s", name, parent)
	case parents != nil && !parents[parent], content != nil && xhtmlElements[name] && !content[name]:
		c.fault(at, "the element %s cannot stand directly in the element %s", name, parent)
	case name == "a" && slices.Contains(c.open, "a"):
		c.fault(at, "a link cannot stand in a link")
	}
}

var (
	// xhtmlParents are the elements that stand in certain others only.
	xhtmlParents = map[string]map[string]bool{
		"li": words("ul ol"), "dt": words("dl"), "dd": words("dl"), "caption": words("table"), "colgroup": words("table"), "col": words("table colgroup"),
		"thead": words("table"), "tbody": words("table"), "tfoot": words("table"), "tr": words("table thead tbody tfoot"), "td": words("tr"), "th": words("tr"),
	}
	// xhtmlContent are the elements that hold certain others only, and no text.
	xhtmlContent = map[string]map[string]bool{
		"ul": words("li"), "ol": words("li"), "table": words("caption colgroup col thead tbody tfoot tr"), "tr": words("td th"),
		"thead": words("tr"), "tbody": words("tr"), "tfoot": words("tr"), "colgroup": words("col"),
	}
	xhtmlInline = words("a span b em i strong small big tt dfn q var abbr acronym cite code samp kbd sub sup h1 h2 h3 h4 h5 h6 pre")
	boxElements = words("div ul ol table pre")
)

var blockElements = words("p div h1 h2 h3 h4 h5 h6 ul ol dl table blockquote pre hr address")

func (c *xhtmlCheck) attributes(at int, element string, attrs []xml.Attr) {
	seen := map[string]bool{}
	for _, a := range attrs {
		name := a.Name.Local
		if a.Name.Space != "" {
			name = a.Name.Space + ":" + name
		}
		if seen[name] {
			c.fault(at, "the attribute %s occurs twice", name)
		}
		seen[name] = true
		if !xhtmlAttributes[name] && !xhtmlOwn[element][name] {
			c.fault(at, "the attribute %s of the element %s is not allowed", name, element)
			continue
		}
		target := strings.ToLower(strings.TrimSpace(html.UnescapeString(a.Value)))
		if (name == "href" || name == "src") && (strings.HasPrefix(target, "javascript:") || strings.HasPrefix(target, "vbscript:")) {
			c.fault(at, "the attribute %s runs a script", name)
		}
		if name == "xmlns" && a.Value != xhtmlNamespace {
			c.fault(at, "the element %s is in the namespace %q", element, a.Value)
		}
	}
}
