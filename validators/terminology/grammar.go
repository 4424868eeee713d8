package terminology

import (
	"regexp"
	"slices"
	"strings"

	"fhirwire/validators/ig"
)

// Systems defined by a grammar.
const (
	UCUM      = "http://unitsofmeasure.org"
	Languages = "urn:ietf:bcp:47"
	MediaType = "urn:ietf:bcp:13"
	URIs      = "urn:ietf:rfc:3986"
)

// grammarOf is the judge of a system's codes by form, nil for a system that has a list.
func grammarOf(system string) func(code string) Answer {
	switch system {
	case UCUM:
		return ucumCode
	case Languages:
		return languageTag
	case MediaType, "http://www.rfc-editor.org/bcp/bcp13.txt", "urn:ietf:rfc:3023":
		return mediaType
	case URIs:
		return uriCode
	}
	return nil
}

func yesNo(ok bool) Answer {
	if ok {
		return Answer{Value: Yes}
	}
	return Answer{Value: No}
}

func ucumCode(code string) Answer {
	if err := CheckUCUM(code); err != nil {
		return Answer{Value: No, Why: err.Error()}
	}
	return Answer{Value: Yes}
}

// languageForm is RFC 5646: language, script, region, variants, extensions, private use; or private use alone, or a
// grandfathered tag.
var languageForm = regexp.MustCompile(`^(?i:(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4}|[a-z]{5,8})(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?` +
	`(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*(?:-[0-9a-wy-z](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?` +
	`|x(?:-[a-z0-9]{1,8})+|i-[a-z]{3,8}|sgn-[a-z]{2}-[a-z]{2}|zh-(?:guoyu|hakka|min|min-nan|xiang)|art-lojban|cel-gaulish|en-gb-oed|no-(?:bok|nyn))$`)

func languageTag(code string) Answer { return yesNo(languageForm.MatchString(code)) }

// languageFilter judges tags by which parts they have, the only filters that the definition of the system knows.
func languageFilter(filters []ig.Filter) (test func(string) Answer, fault string) {
	for _, f := range filters {
		if f.Op != "exists" || !slices.Contains([]string{"language", "ext-lang", "script", "region", "variant", "extension", "private-use"}, f.Property) {
			return nil, "the value set filters language tags by something beyond us: " + f.Property + " " + f.Op
		}
	}
	return func(code string) Answer {
		if !languageForm.MatchString(code) {
			return Answer{Value: No}
		}
		for _, f := range filters {
			if hasPart(code, f.Property) != (f.Value == "true") {
				return Answer{Value: No}
			}
		}
		return Answer{Value: Yes}
	}, ""
}

// hasPart reports whether a well-formed tag has a part of that kind.
func hasPart(tag, kind string) bool {
	first, rest, _ := strings.Cut(tag, "-")
	if len(first) == 1 { // x-… or a grandfathered tag
		return kind == "private-use" && strings.EqualFold(first, "x")
	}
	if kind == "language" {
		return true
	}
	singleton := byte(0)
	for sub := range strings.SplitSeq(rest, "-") {
		var is string
		switch n := len(sub); {
		case n == 0:
		case n == 1:
			singleton = sub[0] | 0x20
			if is = "extension"; singleton == 'x' {
				is = "private-use"
			}
		case singleton != 0:
		case n == 3 && sub[0] >= 'A':
			is = "ext-lang"
		case n == 4 && sub[0] >= 'A':
			is = "script"
		case n == 2, n == 3:
			is = "region"
		default:
			is = "variant"
		}
		if is == kind {
			return true
		}
	}
	return false
}

// mediaForm is type/subtype with parameters (RFC 6838, RFC 2045).
var mediaForm = regexp.MustCompile(`^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+*-]+(?: ?; ?[A-Za-z0-9!#$&^_.+-]+=(?:[A-Za-z0-9!#$&^_.+/:-]+|"[^"]*"))*$`)

// mediaSuffixes are codes of FHIR's own that stand for formats.
var mediaSuffixes = [...]string{"xml", "json", "ttl"}

func mediaType(code string) Answer {
	return yesNo(slices.Contains(mediaSuffixes[:], code) || mediaForm.MatchString(code))
}

func uriCode(code string) Answer {
	return yesNo(code != "" && !strings.ContainsAny(code, " \t\r\n<>\""))
}
