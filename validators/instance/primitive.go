package instance

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/fhirpath/value"
)

// primKind sorts the primitive types by how their text is checked.
type primKind uint8

const (
	primNone primKind = iota
	primBoolean
	primInteger
	primUnsigned
	primPositive
	primDecimal
	primString
	primMarkdown
	primCode
	primID
	primURI
	primURL
	primCanonical
	primOID
	primUUID
	primBase64
	primDate
	primDateTime
	primInstant
	primTime
	primXHTML
)

var primKinds = map[string]primKind{
	"boolean": primBoolean, "integer": primInteger, "unsignedInt": primUnsigned, "positiveInt": primPositive, "decimal": primDecimal,
	"string": primString, "markdown": primMarkdown, "code": primCode, "id": primID, "uri": primURI, "url": primURL,
	"canonical": primCanonical, "oid": primOID, "uuid": primUUID, "base64Binary": primBase64, "date": primDate,
	"dateTime": primDateTime, "instant": primInstant, "time": primTime, "xhtml": primXHTML,
}

// jsonKind is the JSON kind that a primitive is written as.
func (k primKind) jsonKind() fhirjson.Kind {
	switch k {
	case primBoolean:
		return fhirjson.Bool
	case primInteger, primUnsigned, primPositive, primDecimal:
		return fhirjson.Number
	default:
		return fhirjson.String
	}
}

const maxString = 1 << 20 // bytes, by the definition of string

// primitive checks the value of e. It reports false when the value is of a kind that makes further checks pointless.
func (w *walk) primitive(e *fhirjson.Node, b *plan) bool {
	if e.Kind() == fhirjson.Object && e.IsTwin() || e.Kind() == fhirjson.Null {
		if t := e.Properties(); t == nil || t.Member("extension") == nil {
			w.add(finding{
				rule: rulePrimitiveEmpty, node: e, prof: b.prof,
				message: w.name(e) + " has neither a value nor an extension.", next: "Give it a value, or leave it out.",
			})
		}
		return true
	}
	if want := b.prim.jsonKind(); e.Kind() != want {
		if e.Kind() != fhirjson.String || e.Quoted() { // a word without quotes was told already, as a fault of the JSON
			w.wrongKind(e, b, want)
		}
		return false
	}
	if want := b.prim.jsonKind(); want != fhirjson.String {
		w.number(e, b)
		return true
	}
	text := e.Text()
	if text == "" {
		w.add(finding{
			rule: ruleStringEmpty, node: e, prof: b.prof,
			message: w.name(e) + " is an empty string.", next: "Leave it out when there is no value.",
		})
		return false
	}
	w.text(e, b, text)
	return true
}

func (w *walk) wrongKind(e *fhirjson.Node, b *plan, want fhirjson.Kind) {
	w.add(finding{
		rule: ruleJSONType, node: e, prof: b.prof,
		message:  w.name(e) + " is a JSON " + e.Kind().String() + "; " + article(b.typ) + " is written as a JSON " + want.String() + ".",
		expected: want.String(), found: e.Kind().String(),
	})
}

func article(typeName string) string {
	if strings.ContainsRune("aeiouAEI", rune(typeName[0])) && !strings.HasPrefix(typeName, "u") {
		return "an " + typeName
	}
	return "a " + typeName
}

func (w *walk) number(e *fhirjson.Node, b *plan) {
	fault := ""
	switch b.prim {
	case primInteger:
		fault = wholeFault(e.Text(), -1<<31)
	case primUnsigned:
		fault = wholeFault(e.Text(), 0)
	case primPositive:
		fault = wholeFault(e.Text(), 1)
	default:
	}
	w.badFormat(e, b, fault)
}

func (w *walk) badFormat(e *fhirjson.Node, b *plan, fault string) {
	if fault == "" {
		return
	}
	w.add(finding{
		rule: ruleFormat, node: e, prof: b.prof,
		message:  w.name(e) + " is not " + article(b.typ) + ": " + fault + ".",
		expected: b.typ, found: brief(e),
	})
}

func (w *walk) text(e *fhirjson.Node, b *plan, s string) {
	var d dateParts
	fault := ""
	switch b.prim {
	case primCode:
		fault = codeFault(s)
	case primID:
		fault = idFault(s)
	case primURI, primURL, primCanonical:
		if fault = uriFault(s); fault == "" {
			w.uri(e, b, s)
		}
	case primOID:
		fault = oidFault(s)
	case primUUID:
		fault = uuidFault(s)
	case primDate:
		d, fault = dateFault(s)
	case primDateTime:
		d, fault = dateTimeFault(s)
	case primInstant:
		d, fault = instantFault(s)
	case primTime:
		fault = clockFault(s)
	case primBase64:
		var blanks bool
		if _, blanks, fault = base64Fault(s); fault == "" && blanks {
			w.add(finding{
				rule: ruleBase64Blanks, node: e, prof: b.prof,
				message: w.name(e) + " has blanks or line breaks in its base64.", next: "Write base64 without them; later FHIR versions forbid them.",
			})
		}
	case primXHTML:
		return // narrative.go
	case primString, primMarkdown:
		w.plainText(e, b, s)
	default:
	}
	w.badFormat(e, b, fault)
	if fault == "" && d.year != 0 {
		w.plausibleYear(e, b, d.year)
	}
}

func (w *walk) plainText(e *fhirjson.Node, b *plan, s string) {
	switch {
	case len(s) > maxString:
		w.add(finding{
			rule: ruleStringLong, node: e, prof: b.prof,
			message:  w.name(e) + " is longer than a string may be.",
			expected: "at most 1 MiB", found: strconv.Itoa(len(s)) + " bytes",
		})
	case strings.TrimSpace(s) == "":
		w.add(finding{
			rule: ruleStringBlank, node: e, prof: b.prof, message: w.name(e) + " has only blanks.", next: "Leave it out when there is no value.",
		})
	case b.prim == primString && (isBlank(s[0]) || isBlank(s[len(s)-1])):
		w.add(finding{rule: ruleStringTrim, node: e, prof: b.prof, message: w.name(e) + " starts or ends with a blank."})
	}
	switch {
	case b.prim == primMarkdown && w.v.opt.NoHTMLInMarkdown && hasTag(s):
		w.add(finding{rule: ruleMarkdownHTML, node: e, prof: b.prof, message: w.name(e) + " has HTML tags in its markdown."})
	case w.v.opt.SecurityChecks && hasTag(s):
		w.add(finding{rule: ruleUnsafeText, node: e, prof: b.prof, message: w.name(e) + " has HTML tags, which a careless reader would run."})
	}
}

// hasTag reports something that a browser would take for a tag.
func hasTag(s string) bool {
	for i := range len(s) - 1 {
		if s[i] == '<' && (s[i+1] >= 'a' && s[i+1] <= 'z' || s[i+1] >= 'A' && s[i+1] <= 'Z' || s[i+1] == '/' || s[i+1] == '!') {
			return true
		}
	}
	return false
}

func (w *walk) plausibleYear(e *fhirjson.Node, b *plan, year int) {
	if year < 1800 || w.v.opt.Now != nil && year > w.v.opt.Now().Year()+80 {
		w.add(finding{
			rule: ruleYear, node: e, prof: b.prof, message: w.name(e) + " names the year " + strconv.Itoa(year) + ".",
			next: "Check the value: it is far from today.",
		})
	}
}

// uri follows up a well-formed uri: what it points to inside the resource, and what canonicals must look like.
func (w *walk) uri(e *fhirjson.Node, b *plan, s string) {
	if w.v.opt.ForbidExamples && exampleURL(s) {
		w.add(finding{
			rule: ruleExampleURL, node: e, prof: b.prof, found: brief(e), message: w.name(e) + " is a URL that stands for an example.",
			next: "Put the real URL in its place.",
		})
	}
	if b.prim == primCanonical && b.targets != nil && len(b.targets.types) > 0 {
		if typ := w.canonicalType(s); typ != "" && !slices.Contains(b.targets.types, typ) {
			w.add(finding{
				rule: ruleCanonicalTarget, node: e, prof: b.prof, expected: strings.Join(b.targets.types, ", "), found: typ,
				message: w.name(e) + " names a " + typ + "; it takes a " + strings.Join(b.targets.types, " or ") + ".",
			})
		}
	}
	if b.prim == primURI && isOwnURL(b.el.Path) && !isAbsolute(s) {
		w.add(finding{
			rule: ruleCanonicalForm, node: e, prof: b.prof, expected: "an absolute URL", found: brief(e),
			message: w.name(e) + " is not an absolute URL.", next: "Name the definition by a URL under which it can be referred to from anywhere.",
		})
		return
	}
	if s[0] == '#' {
		w.local(s)
		if b.prim == primCanonical && len(s) > 1 && !w.isContained(s[1:]) {
			w.add(finding{
				rule: ruleCanonicalLocal, node: e, prof: b.prof, message: w.name(e) + " points to " + s + ", and no contained resource has that id.",
			})
		}
		return
	}
	if b.prim == primCanonical && !isAbsolute(s) {
		w.add(finding{
			rule: ruleCanonicalForm, node: e, prof: b.prof, severity: validators.SeverityError,
			message: w.name(e) + " is not an absolute URL.", expected: "an absolute URL or #id", found: brief(e),
		})
	}
}

// isOwnURL reports the element of a definition that holds its canonical URL: the member url of a resource.
func isOwnURL(path string) bool {
	typ, rest, _ := strings.Cut(path, ".")
	return rest == "url" && typ != "Extension" && typ != "DeviceDefinition" // that one leads to a page
}

// canonicalType is the type of what a canonical names, "" where it cannot be told.
func (w *walk) canonicalType(s string) string {
	if s[0] == '#' {
		if t := w.contained(w.scope.root, s[1:]); t != nil {
			return t.ResourceType()
		}
		return ""
	}
	if rest, ok := strings.CutPrefix(canonicalURL(s), "http://hl7.org/fhir/"); ok { // HL7 writes the type into its URLs
		if i := strings.LastIndexByte(rest, '/'); i > 0 {
			if typ := lastSegment(rest[:i]); w.v.concrete(typ) {
				return typ
			}
		}
	}
	switch {
	case w.v.family(s) != nil:
		return "StructureDefinition"
	case w.v.terms.Known(s):
		return "ValueSet"
	}
	return ""
}

// exampleURL reports a URL on one of the hosts that examples use.
func exampleURL(s string) bool {
	rest, ok := strings.CutPrefix(s, "http://")
	if !ok {
		rest, ok = strings.CutPrefix(s, "https://")
	}
	if !ok {
		return false
	}
	host, _, _ := strings.Cut(rest, "/")
	host, _, _ = strings.Cut(strings.ToLower(host), ":")
	for _, name := range [...]string{"example.org", "example.com", "example.net", "acme.com"} {
		if host == name || strings.HasSuffix(host, "."+name) {
			return true
		}
	}
	return false
}

// isAbsolute reports a URI with a scheme.
func isAbsolute(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		case i > 0 && (c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.'):
		default:
			return c == ':' && i > 1
		}
	}
	return false
}

// bounds checks maxLength, minValue and maxValue of a plan.
func (w *walk) bounds(e *fhirjson.Node, p *plan) {
	if p.maxLength > 0 && e.Kind() == fhirjson.String && len(e.Text()) > p.maxLength && runes(e.Text()) > p.maxLength {
		w.add(finding{
			rule: ruleMaxLength, node: e, prof: p.prof, slice: p.el.SliceName,
			message:  w.name(e) + " is longer than " + strconv.Itoa(p.maxLength) + " characters.",
			expected: "at most " + strconv.Itoa(p.maxLength), found: strconv.Itoa(runes(e.Text())),
		})
	}
	if p.minValue != nil {
		w.bound(e, p, p.minValue, -1)
	}
	if p.maxValue != nil {
		w.bound(e, p, p.maxValue, 1)
	}
}

// matchesForm checks a value against the regular expression that the profile has for it.
func (w *walk) matchesForm(e *fhirjson.Node, p *plan) {
	switch {
	case !e.IsPrimitive() || e.Kind() == fhirjson.Null:
	case p.form == nil:
		w.addOnce(p.el.ID+"\x00"+p.prof.URL, finding{
			rule: ruleFormUnchecked, node: e, prof: p.prof, slice: p.el.SliceName, notChecked: true,
			message: w.name(e) + " could not be compared with the regular expression of its profile: " + p.badForm + ".",
		})
	case !p.form.MatchString(e.Text()):
		w.add(finding{
			rule: ruleForm, node: e, prof: p.prof, slice: p.el.SliceName, expected: p.el.Matches, found: brief(e),
			message: w.name(e) + " does not have the form that the profile gives it.",
		})
	}
}

func runes(s string) int {
	n := 0
	for range s {
		n++
	}
	return n
}

// bound reports e when it lies beyond limit on the wrong side (-1: below a minimum, 1: above a maximum).
func (w *walk) bound(e *fhirjson.Node, p *plan, limit *fhirjson.Node, wrong int) {
	var c int
	switch {
	case e.Kind() == fhirjson.Number && limit.Kind() == fhirjson.Number:
		c = compareDecimals(e.Text(), limit.Text())
	case e.Kind() == fhirjson.String && limit.Kind() == fhirjson.String:
		a, b := e.Text(), limit.Text()
		n := min(len(a), len(b)) // dates of different precision compare as far as both go
		c = strings.Compare(a[:n], b[:n])
	case e.Kind() == fhirjson.Object && limit.Kind() == fhirjson.Object:
		w.quantityBound(e, p, limit, wrong)
		return
	default:
		return
	}
	if c == wrong {
		w.beyond(e, p, limit, wrong)
	}
}

func (w *walk) beyond(e *fhirjson.Node, p *plan, limit *fhirjson.Node, wrong int) {
	r, word := ruleMinValue, "below the least value "
	if wrong > 0 {
		r, word = ruleMaxValue, "above the greatest value "
	}
	w.add(finding{
		rule: r, node: e, prof: p.prof, slice: p.el.SliceName, message: w.name(e) + " is " + word + brief(limit) + ".",
		expected: brief(limit), found: brief(e),
	})
}

// quantityBound compares Quantities, converting units where UCUM tells how.
func (w *walk) quantityBound(e *fhirjson.Node, p *plan, limit *fhirjson.Node, wrong int) {
	val, lim := e.Member("value"), limit.Member("value")
	if val == nil || lim == nil || val.Kind() != fhirjson.Number {
		return
	}
	if e.MemberText("system") == limit.MemberText("system") && e.MemberText("code") == limit.MemberText("code") {
		if compareDecimals(val.Text(), lim.Text()) == wrong {
			w.beyond(e, p, limit, wrong)
		}
		return
	}
	const ucum = "http://unitsofmeasure.org"
	if e.MemberText("system") == ucum && limit.MemberText("system") == ucum {
		a, errA := value.ParseDecimal(val.Text())
		b, errB := value.ParseDecimal(lim.Text())
		order, known, err := value.Compare(value.Quantity{Value: a, Unit: e.MemberText("code")}, value.Quantity{Value: b, Unit: limit.MemberText("code")})
		if known && errors.Join(errA, errB, err) == nil {
			if order == wrong {
				w.beyond(e, p, limit, wrong)
			}
			return
		}
	}
	w.add(finding{
		rule: ruleBoundUnchecked, node: e, prof: p.prof, notChecked: true,
		message: w.name(e) + " could not be compared with " + brief(limit) + ": the units differ.",
	})
}
