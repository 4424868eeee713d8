package instance

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/fhirpath/value"
	"fhirwire/validators/terminology"
)

// answerTypes are the values that an item of a type takes.
var answerTypes = map[string][]string{
	"boolean": {"Boolean"}, "decimal": {"Decimal"}, "integer": {"Integer"}, "date": {"Date"}, "dateTime": {"DateTime"}, "time": {"Time"},
	"string": {"String"}, "text": {"String"}, "url": {"Uri"}, "choice": {"Coding"}, "open-choice": {"Coding", "String"},
	"attachment": {"Attachment"}, "reference": {"Reference"}, "quantity": {"Quantity"},
}

// Extensions by which a Questionnaire limits answers.
const (
	extMinValue  = corePrefix + "minValue"
	extMaxValue  = corePrefix + "maxValue"
	extMinLength = corePrefix + "minLength"
	extDecimals  = corePrefix + "maxDecimalPlaces"
	extRegex     = corePrefix + "regex"
	extExclusive = corePrefix + "questionnaire-optionExclusive"
	sdcPrefix    = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
)

// answer checks one answer of several against its definition.
func (f *form) answer(a, def *fhirjson.Node, typ string, of int) {
	v := valueMember(a, "value")
	if v == nil {
		return
	}
	options := def.AppendElements(nil, "answerOption")
	got := strings.TrimPrefix(v.Key(), "value")
	allowed := answerTypes[typ]
	if typ == "choice" || typ == "open-choice" {
		allowed = slices.Clone(allowed)
		for _, o := range options {
			if x := valueMember(o, "value"); x != nil {
				allowed = append(allowed, strings.TrimPrefix(x.Key(), "value"))
			}
		}
	}
	if allowed != nil && !slices.Contains(allowed, got) {
		f.w.add(finding{
			rule: ruleQuestionnaireType, node: v, prof: f.base.prof, expected: strings.Join(allowed, ", "), found: got,
			message: f.w.name(v) + " is a " + got + "; the item " + def.MemberText("linkId") + " takes a " + strings.Join(allowed, " or ") + ".",
		})
		return
	}
	f.option(a, v, def, options, typ, of)
	f.limits(v, def)
}

func (f *form) option(a, v, def *fhirjson.Node, options []*fhirjson.Node, typ string, of int) {
	free := typ == "open-choice" && v.Key() == "valueString"
	if len(options) > 0 && !free {
		i := slices.IndexFunc(options, func(o *fhirjson.Node) bool {
			x := valueMember(o, "value")
			return x != nil && sameAnswer(x, v)
		})
		switch {
		case i < 0:
			f.add(v, ruleQuestionnaireOption, "is none of the options of "+def.MemberText("linkId"), "")
		case of > 1 && extensionValue(options[i], extExclusive).isTrue():
			f.add(a, ruleQuestionnaireOption, "is an option that excludes others, and there are others", "")
		}
	}
	set := def.MemberText("answerValueSet")
	if set == "" || free {
		return
	}
	if set[0] == '#' {
		f.unchecked(v, set)
		return
	}
	best := terminology.No
	eachCode(v, func(c code) bool {
		best = f.w.v.terms.Member(set, c.system, c.code).Value
		return false
	})
	switch best {
	case terminology.Unknown:
		f.unchecked(v, set)
	case terminology.No:
		f.add(v, ruleQuestionnaireOption, "is not in "+short(set)+", the answers of "+def.MemberText("linkId"), "")
	default:
	}
}

func (f *form) unchecked(v *fhirjson.Node, set string) {
	f.w.addOnce(set, finding{
		rule: ruleBindingUnchecked, node: v, prof: f.base.prof, notChecked: true, expected: "a code from " + set,
		message: f.w.name(v) + " could not be checked against " + short(set) + ": no offline copy of its codes.",
	})
}

// extensionOf is the value of an extension.
type extensionOf struct{ *fhirjson.Node }

func extensionValue(n *fhirjson.Node, urls ...string) extensionOf {
	for _, x := range n.AppendElements(nil, "extension") {
		if slices.Contains(urls, x.MemberText("url")) {
			return extensionOf{valueMember(x, "value")}
		}
	}
	return extensionOf{}
}

func (x extensionOf) isTrue() bool { return x.Node != nil && x.Text() == "true" }

func (x extensionOf) number() (int, bool) {
	if x.Node == nil {
		return 0, false
	}
	n, err := strconv.Atoi(x.Text())
	return n, err == nil
}

// limits checks length, range, decimals and form of an answer.
func (f *form) limits(v, def *fhirjson.Node) {
	text := v.Text()
	if v.Kind() == fhirjson.String {
		if most, err := strconv.Atoi(def.MemberText("maxLength")); err == nil && runes(text) > most {
			f.add(v, ruleQuestionnaireLimit, "is longer than the "+strconv.Itoa(most)+" characters of its question", "")
		}
		if least, ok := extensionValue(def, extMinLength).number(); ok && runes(text) < least {
			f.add(v, ruleQuestionnaireLimit, "is shorter than the "+strconv.Itoa(least)+" characters of its question", "")
		}
		if x := extensionValue(def, extRegex); x.Node != nil {
			if form, err := regexp.Compile(`^(?:` + x.Text() + `)$`); err == nil && !form.MatchString(text) {
				f.add(v, ruleQuestionnaireLimit, "does not have the form of its question, "+sayExpression(x.Text()), "")
			}
		}
	}
	if most, ok := extensionValue(def, extDecimals).number(); ok && v.Kind() == fhirjson.Number {
		if _, decimals, _ := strings.Cut(text, "."); len(decimals) > most {
			f.add(v, ruleQuestionnaireLimit, "has more than the "+strconv.Itoa(most)+" decimals of its question", "")
		}
	}
	f.bound(v, extensionValue(def, extMinValue, sdcPrefix+"minQuantity"), -1, "below the least answer ")
	f.bound(v, extensionValue(def, extMaxValue, sdcPrefix+"maxQuantity"), 1, "above the greatest answer ")
}

func (f *form) bound(v *fhirjson.Node, limit extensionOf, wrong int, say string) {
	if limit.Node == nil || limit.Kind() != v.Kind() {
		return
	}
	order, ok := compareAnswers(v, limit.Node)
	switch {
	case !ok:
		f.add(v, ruleQuestionnaireLimit, "cannot be compared with "+sayValue(limit.Node)+", the limit of its question", "Answer in a unit that the limit can be converted to.")
	case order == wrong:
		f.add(v, ruleQuestionnaireLimit, "is "+say+sayValue(limit.Node), "")
	}
}

// sameAnswer compares by what an answer means: a Coding by system and code.
func sameAnswer(want, got *fhirjson.Node) bool {
	if want.Kind() != fhirjson.Object || got.Kind() != fhirjson.Object {
		return want.Kind() != fhirjson.Object && got.Kind() != fhirjson.Object && equalPrimitives(want, got)
	}
	if want.Member("code") != nil || want.Member("value") == nil && want.Member("display") != nil {
		return want.MemberText("system") == got.MemberText("system") && want.MemberText("code") == got.MemberText("code") &&
			(want.Member("code") != nil || want.MemberText("display") == got.MemberText("display")) &&
			(want.Member("value") == nil || sameAmount(want, got))
	}
	return equalNodes(want, got)
}

func sameAmount(a, b *fhirjson.Node) bool {
	order, ok := compareAnswers(a, b)
	return ok && order == 0
}

// compareAnswers orders numbers, dates and times, texts, and quantities of comparable units.
func compareAnswers(a, b *fhirjson.Node) (order int, ok bool) {
	switch {
	case a.Kind() != b.Kind():
		return 0, false
	case a.Kind() == fhirjson.Number:
		return compareDecimals(a.Text(), b.Text()), true
	case a.Kind() == fhirjson.String:
		n := min(len(a.Text()), len(b.Text())) // dates of different precision compare as far as both go
		return strings.Compare(a.Text()[:n], b.Text()[:n]), true
	case a.Kind() != fhirjson.Object:
		return 0, false
	}
	x, y := a.Member("value"), b.Member("value")
	if x == nil || y == nil || x.Kind() != fhirjson.Number || y.Kind() != fhirjson.Number {
		return 0, false
	}
	if a.MemberText("system") == b.MemberText("system") && a.MemberText("code") == b.MemberText("code") {
		return compareDecimals(x.Text(), y.Text()), true
	}
	const ucum = "http://unitsofmeasure.org"
	if a.MemberText("system") != ucum || b.MemberText("system") != ucum {
		return 0, false
	}
	d, err := value.ParseDecimal(x.Text())
	if err != nil {
		return 0, false
	}
	e, err := value.ParseDecimal(y.Text())
	if err != nil {
		return 0, false
	}
	order, known, err := value.Compare(value.Quantity{Value: d, Unit: a.MemberText("code")}, value.Quantity{Value: e, Unit: b.MemberText("code")})
	return order, known && err == nil
}
