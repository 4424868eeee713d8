package instance

import (
	"strings"

	"fhirwire/validators/fhirjson"
)

// conceptProperties are the properties that FHIR defines, by the end of their URI, with their types.
var conceptProperties = map[string]string{
	"status": "code", "inactive": "boolean", "notSelectable": "boolean", "parent": "code", "child": "code", "partOf": "code", "synonym": "code",
	"effectiveDate": "dateTime", "deprecationDate": "dateTime", "retirementDate": "dateTime", "comment": "string", "itemWeight": "decimal",
}

const conceptPropertyURI = "http://hl7.org/fhir/concept-properties#"

// systemProperties is a CodeSystem while the properties of its concepts are checked.
type systemProperties struct {
	w    *walk
	base *plan
	// declared maps the code of a property to its declaration.
	declared map[string]*fhirjson.Node
	uris     map[string]string // the codes of the properties by their URI
	// codes are all that the code system has, nil where it holds only a part of them.
	codes map[string]bool
}

// conceptProperties checks that the properties of concepts are declared, with their types, and lead to codes where they name some.
func (w *walk) conceptProperties(n *fhirjson.Node, base *plan) {
	p := &systemProperties{w: w, base: base, declared: map[string]*fhirjson.Node{}, uris: map[string]string{}}
	for _, d := range n.AppendElements(nil, "property") {
		p.declare(d)
	}
	if n.MemberText("content") == contentComplete {
		p.codes = map[string]bool{}
		p.each(n, 0, func(c *fhirjson.Node) { p.codes[c.MemberText("code")] = true })
	}
	p.each(n, 0, func(c *fhirjson.Node) {
		for _, q := range c.AppendElements(nil, "property") {
			p.property(q)
		}
	})
}

const contentComplete = "complete"

func (p *systemProperties) each(n *fhirjson.Node, depth int, f func(*fhirjson.Node)) {
	if depth > maxDepth || p.w.ctx.Err() != nil {
		return
	}
	list := n.Member("concept")
	if list == nil || list.Kind() != fhirjson.Array {
		return
	}
	for c := list.First(); c != nil; c = c.Next() {
		f(c)
		p.each(c, depth+1, f)
	}
}

func (p *systemProperties) add(n *fhirjson.Node, message, next string) {
	p.w.add(finding{rule: ruleCodeSystemProperty, node: n, prof: p.base.prof, message: p.w.name(n) + " " + message, next: next})
}

func (p *systemProperties) declare(d *fhirjson.Node) {
	code := d.MemberText("code")
	if code == "" {
		return
	}
	if p.declared[code] != nil {
		p.add(d, "declares the property "+code+" a second time.", "")
		return
	}
	p.declared[code] = d
	uri := d.MemberText("uri")
	if uri != "" && p.uris[uri] != "" {
		p.add(d, "has the URI "+uri+", as the property "+p.uris[uri]+" has.", "")
		return
	}
	p.uris[uri] = code
	name, ok := strings.CutPrefix(uri, conceptPropertyURI)
	if want := conceptProperties[name]; ok && want != "" && d.MemberText("type") != want {
		p.add(d, "is the property "+name+" of FHIR by its URI, whose type is "+want+", not "+d.MemberText("type")+".", "Correct the type or the URI.")
	}
}

func (p *systemProperties) property(q *fhirjson.Node) {
	code := q.MemberText("code")
	if code == "" {
		return
	}
	d := p.declared[code]
	if d == nil {
		p.add(q, "is the property "+code+", which CodeSystem.property does not declare.", "Declare it with its type.")
		return
	}
	for v := q.First(); v != nil; v = v.Next() {
		name, ok := strings.CutPrefix(v.Key(), "value")
		if !ok || name == "" {
			continue
		}
		want := d.MemberText("type")
		if !strings.EqualFold(name, want) {
			p.add(q, "has a "+v.Key()+"; the property "+code+" is declared with the type "+want+".", "")
			return
		}
		switch strings.TrimPrefix(d.MemberText("uri"), conceptPropertyURI) {
		case "parent", "child", "partOf", "synonym":
			if p.codes != nil && !p.codes[v.Text()] {
				p.add(q, "names the code "+v.Text()+", which the code system does not have.", "")
			}
		}
	}
}
