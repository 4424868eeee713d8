package terminology

import (
	"regexp"
	"strings"
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

// mediaForm is type/subtype with parameters (RFC 6838, RFC 2045).
var mediaForm = regexp.MustCompile(`^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+*-]+(?: ?; ?[A-Za-z0-9!#$&^_.+-]+=(?:[A-Za-z0-9!#$&^_.+/:-]+|"[^"]*"))*$`)

// mediaSuffixes are codes of FHIR's own that stand for formats.
var mediaSuffixes = [...]string{"xml", "json", "ttl"}

func mediaType(code string) Answer {
	for _, s := range mediaSuffixes {
		if code == s {
			return Answer{Value: Yes}
		}
	}
	return yesNo(mediaForm.MatchString(code))
}

func uriCode(code string) Answer {
	return yesNo(code != "" && !strings.ContainsAny(code, " \t\r\n<>\""))
}
