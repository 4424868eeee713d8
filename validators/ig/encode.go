package ig

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Facts writes what this package reads of a definition as JSON, and nothing else: the form that tables hold. A structure is
// written with its snapshot only, unless it has none.
func (r *Resource) Facts() ([]byte, error) {
	switch r.ResourceType {
	case "StructureDefinition":
		sd, err := r.Structure()
		if err != nil {
			return nil, err
		}
		return sd.AppendFacts(nil), nil
	case "ValueSet":
		vs, err := r.ValueSet()
		if err != nil {
			return nil, err
		}
		return vs.appendFacts(nil), nil
	case "CodeSystem":
		cs, err := r.CodeSystem()
		if err != nil {
			return nil, err
		}
		return cs.AppendFacts(nil), nil
	case "SearchParameter":
		p, err := r.SearchParameter()
		if err != nil {
			return nil, err
		}
		return p.appendFacts(nil), nil
	}
	return nil, fmt.Errorf("%s: a %s holds no facts", r.File, r.ResourceType)
}

// writer writes JSON members, leaving out what is empty.
type writer struct{ b []byte }

func (w *writer) comma() {
	if n := len(w.b); n > 0 && w.b[n-1] != '{' && w.b[n-1] != '[' && w.b[n-1] != ':' {
		w.b = append(w.b, ',')
	}
}

func (w *writer) open(c byte) { w.comma(); w.b = append(w.b, c) }

func (w *writer) close(c byte) { w.b = append(w.b, c) }

func (w *writer) key(k string) {
	w.comma()
	w.b = append(strconv.AppendQuote(w.b, k), ':')
}

func (w *writer) quote(s string) {
	w.comma()
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	w.b = append(w.b, bytes.TrimRight(buf.Bytes(), "\n")...)
}

func (w *writer) str(k, v string) {
	if v != "" {
		w.key(k)
		w.quote(v)
	}
}

func (w *writer) strs(k string, v []string) {
	if len(v) == 0 {
		return
	}
	w.key(k)
	w.open('[')
	for _, s := range v {
		w.quote(s)
	}
	w.close(']')
}

func (w *writer) num(k string, v int) {
	w.key(k)
	w.b = strconv.AppendInt(w.b, int64(v), 10)
}

func (w *writer) flag(k string, f Flag) {
	if f != Unset {
		w.key(k)
		w.b = strconv.AppendBool(w.b, f == Yes)
	}
}

func (w *writer) yes(k string, v bool) {
	if v {
		w.flag(k, Yes)
	}
}

func (w *writer) list(k string, n int, item func(i int)) {
	if n == 0 {
		return
	}
	w.key(k)
	w.open('[')
	for i := range n {
		w.open('{')
		item(i)
		w.close('}')
	}
	w.close(']')
}

func (w *writer) value(prefix string, v Value) {
	if v.Node == nil {
		return
	}
	w.key(prefix + strings.ToUpper(v.Type[:1]) + v.Type[1:])
	var buf bytes.Buffer
	if err := json.Compact(&buf, v.Node.Raw()); err != nil { // mended JSON: as it is
		w.b = append(w.b, v.Node.Raw()...)
		return
	}
	w.b = append(w.b, buf.Bytes()...)
}

func (w *writer) extension(url, member, value string) {
	if value == "" {
		return
	}
	w.key("extension")
	w.b = append(w.b, `[{"url":`...)
	w.quote(url)
	w.key(member)
	w.quote(value)
	w.b = append(w.b, `}]`...)
}

func (w *writer) head(resourceType, url, version, name string) {
	w.open('{')
	w.str("resourceType", resourceType)
	w.str("url", url)
	w.str("version", version)
	w.str("name", name)
}

// AppendFacts appends the definition as JSON.
func (sd *StructureDefinition) AppendFacts(b []byte) []byte {
	w := &writer{b}
	w.head("StructureDefinition", sd.URL, sd.Version, sd.Name)
	w.str("kind", sd.Kind)
	w.yes("abstract", sd.Abstract)
	w.list("context", len(sd.Contexts), func(i int) {
		w.str("type", sd.Contexts[i].Type)
		w.str("expression", sd.Contexts[i].Expression)
	})
	w.strs("contextInvariant", sd.ContextInvariants)
	w.str("type", sd.Type)
	w.str("baseDefinition", sd.Base)
	w.str("derivation", sd.Derivation)
	view, elements := "snapshot", sd.Snapshot
	if elements == nil {
		view, elements = "differential", sd.Differential
	}
	w.key(view)
	w.open('{')
	w.list("element", len(elements), func(i int) { w.element(&elements[i]) })
	w.close('}')
	w.close('}')
	return w.b
}

func (w *writer) element(e *ElementDefinition) {
	if e.ID != e.Path {
		w.str("id", e.ID)
	}
	w.elementExtensions(e)
	w.str("path", e.Path)
	w.str("sliceName", e.SliceName)
	if e.Min != Absent {
		w.num("min", e.Min)
	}
	w.str("max", e.Max)
	if e.BaseMax != "" {
		w.key("base")
		w.open('{')
		w.str("max", e.BaseMax)
		w.close('}')
	}
	w.str("contentReference", e.ContentReference)
	w.list("type", len(e.Types), func(i int) { w.typ(&e.Types[i]) })
	w.value("fixed", e.Fixed)
	w.value("pattern", e.Pattern)
	w.value("minValue", e.MinValue)
	w.value("maxValue", e.MaxValue)
	if e.MaxLength > 0 {
		w.num("maxLength", e.MaxLength)
	}
	w.list("constraint", len(e.Constraints), func(i int) {
		c := &e.Constraints[i]
		if c.BestPractice {
			w.key("extension")
			w.b = append(w.b, `[{"url":"`+extBestPractice+`","valueBoolean":true}]`...)
		}
		w.str("key", c.Key)
		w.str("severity", c.Severity)
		w.str("expression", c.Expression)
		w.str("source", c.Source)
	})
	w.flag("mustSupport", e.MustSupport)
	w.flag("isModifier", e.IsModifier)
	w.flag("isSummary", e.IsSummary)
	if b := e.Binding; b != nil {
		w.key("binding")
		w.open('{')
		w.extension(extMaxValueSet, "valueCanonical", b.MaxValueSet)
		w.str("strength", b.Strength)
		w.str("valueSet", b.ValueSet)
		w.close('}')
	}
	if s := e.Slicing; s != nil {
		w.key("slicing")
		w.open('{')
		w.list("discriminator", len(s.Discriminators), func(i int) {
			w.str("type", s.Discriminators[i].Type)
			w.str("path", s.Discriminators[i].Path)
		})
		w.yes("ordered", s.Ordered)
		w.str("rules", s.Rules)
		w.close('}')
	}
}

func (w *writer) elementExtensions(e *ElementDefinition) {
	if e.Regex == "" && e.NarrativeSource == "" && len(e.NarrativeLanguages) == 0 {
		return
	}
	w.key("extension")
	w.open('[')
	one := func(url, member, value string) {
		if value != "" {
			w.open('{')
			w.str("url", url)
			w.str(member, value)
			w.close('}')
		}
	}
	one(extRegex, "valueString", e.Regex)
	one(extSource, "valueCode", e.NarrativeSource)
	for _, l := range e.NarrativeLanguages {
		one(extLanguage, "valueCode", l)
	}
	w.close(']')
}

func (w *writer) typ(t *Type) {
	if t.FHIRType != "" || t.Regex != "" || t.MustSupport {
		w.key("extension")
		w.open('[')
		for _, x := range [...][2]string{{extFHIRType, t.FHIRType}, {extRegex, t.Regex}} {
			if x[1] != "" {
				w.open('{')
				w.str("url", x[0])
				w.str("valueString", x[1])
				w.close('}')
			}
		}
		if t.MustSupport {
			w.open('{')
			w.str("url", extTypeSupport)
			w.flag("valueBoolean", Yes)
			w.close('}')
		}
		w.close(']')
	}
	w.str("code", t.Code)
	w.strs("profile", t.Profiles)
	w.strs("targetProfile", t.TargetProfiles)
	w.strs("aggregation", t.Aggregation)
	w.str("versioning", t.Versioning)
}

func (vs *ValueSet) appendFacts(b []byte) []byte {
	w := &writer{b}
	w.head("ValueSet", vs.URL, vs.Version, vs.Name)
	if len(vs.Include)+len(vs.Exclude) > 0 {
		w.key("compose")
		w.open('{')
		w.includes("include", vs.Include)
		w.includes("exclude", vs.Exclude)
		if vs.ActiveOnly {
			w.key("inactive")
			w.b = append(w.b, "false"...)
		}
		w.close('}')
	}
	if vs.HasExpansion {
		w.key("expansion")
		w.open('{')
		w.list("contains", len(vs.Expansion), func(i int) {
			w.str("system", vs.Expansion[i].System)
			w.str("code", vs.Expansion[i].Code)
			w.str("display", vs.Expansion[i].Display)
		})
		w.close('}')
	}
	w.close('}')
	return w.b
}

func (w *writer) includes(key string, list []Include) {
	w.list(key, len(list), func(i int) {
		inc := &list[i]
		w.str("system", inc.System)
		w.str("version", inc.Version)
		w.list("concept", len(inc.Concepts), func(i int) {
			w.str("code", inc.Concepts[i].Code)
			w.str("display", inc.Concepts[i].Display)
		})
		w.list("filter", len(inc.Filters), func(i int) {
			f := inc.Filters[i]
			w.str("property", f.Property)
			w.str("op", f.Op)
			w.str("value", f.Value)
		})
		w.strs("valueSet", inc.ValueSets)
	})
}

// AppendFacts appends the code system as JSON.
func (cs *CodeSystem) AppendFacts(b []byte) []byte {
	w := &writer{b}
	w.head("CodeSystem", cs.URL, cs.Version, cs.Name)
	if cs.CaseInsensitive {
		w.flag("caseSensitive", No)
	}
	w.str("hierarchyMeaning", cs.HierarchyMeaning)
	w.str("content", cs.Content)
	w.str("supplements", cs.Supplements)
	w.concepts(cs, 0, -1)
	w.close('}')
	return w.b
}

// concepts writes the children of parent, the first of which is at or behind index from, and gives the index behind them.
func (w *writer) concepts(cs *CodeSystem, from, parent int) int {
	if from >= len(cs.Concepts) || cs.Concepts[from].Parent != parent {
		return from
	}
	w.key("concept")
	w.open('[')
	for from < len(cs.Concepts) && cs.Concepts[from].Parent == parent {
		c := &cs.Concepts[from]
		w.open('{')
		w.str("code", c.Code)
		w.str("display", c.Display)
		w.list("property", len(c.Properties), func(i int) {
			w.str("code", c.Properties[i].Code)
			w.str("valueString", c.Properties[i].Value)
		})
		from = w.concepts(cs, from+1, from)
		w.close('}')
	}
	w.close(']')
	return from
}

func (p *SearchParam) appendFacts(b []byte) []byte {
	w := &writer{b}
	w.head("SearchParameter", p.URL, p.Version, p.Name)
	w.str("code", p.Code)
	w.strs("base", p.Base)
	w.str("type", p.Type)
	w.str("expression", p.Expression)
	w.strs("target", p.Target)
	w.flag("multipleOr", p.MultipleOr)
	w.flag("multipleAnd", p.MultipleAnd)
	w.strs("comparator", p.Comparators)
	w.strs("modifier", p.Modifiers)
	w.strs("chain", p.Chain)
	w.list("component", len(p.Components), func(i int) {
		w.str("definition", p.Components[i].Definition)
		w.str("expression", p.Components[i].Expression)
	})
	w.close('}')
	return w.b
}
