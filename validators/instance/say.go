package instance

import (
	"strconv"
	"strings"

	"fhirwire/validators/fhirjson"
)

// Messages name definitions and codes the short way; the canonicals stand in Expected and Found.

// systemNames are what people call code systems whose URI does not say it.
var systemNames = map[string]string{
	"http://snomed.info/sct":                                        "SNOMED CT",
	"http://loinc.org":                                              "LOINC",
	"http://www.nlm.nih.gov/research/umls/rxnorm":                   "RxNorm",
	"http://unitsofmeasure.org":                                     "UCUM",
	"http://hl7.org/fhir/sid/cvx":                                   "CVX",
	"http://hl7.org/fhir/sid/ndc":                                   "NDC",
	"http://hl7.org/fhir/sid/icd-10-cm":                             "ICD-10-CM",
	"http://www.cms.gov/Medicare/Coding/ICD10":                      "ICD-10-PCS",
	"http://www.ama-assn.org/go/cpt":                                "CPT",
	"http://nucc.org/provider-taxonomy":                             "NUCC provider taxonomy",
	"urn:ietf:bcp:47":                                               "BCP 47",
	"urn:iso:std:iso:3166":                                          "ISO 3166",
	"urn:iso:std:iso:4217":                                          "ISO 4217",
	"https://www.nubc.org/CodeSystem/TypeOfBill":                    "NUBC type of bill",
	"http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode": "IHE format codes",
}

// short is a canonical or code system in a message: its name, or what its URL ends in.
func short(canonical string) string {
	url := canonicalURL(canonical)
	if name := systemNames[url]; name != "" {
		return name
	}
	_, rest, ok := strings.Cut(url, "://")
	if !ok {
		return url
	}
	rest = strings.TrimRight(rest, "/")
	tail := lastSegment(rest)
	if tail == "" || strings.Trim(tail, "0123456789.") == "" { // a number says nothing by itself
		return rest
	}
	return tail
}

func shorts(canonicals []string) string {
	out := make([]string, len(canonicals))
	for i, c := range canonicals {
		out[i] = short(c)
	}
	return strings.Join(out, ", ")
}

// sayWhy is why codes of a system could not be checked.
func sayWhy(why, system string) string {
	offline, online, asked := strings.Cut(why, "; ") // what a terminology server had to say stands behind
	if strings.Contains(offline, system) && strings.Contains(offline, "at hand") {
		offline = "no offline copy"
	}
	if asked {
		offline += "; " + online
	}
	return inWords(offline)
}

// inWords shortens the URLs in a sentence.
func inWords(s string) string {
	var b strings.Builder
	for {
		i := strings.Index(s, "http")
		if i < 0 || !strings.Contains(s[i:], "://") {
			b.WriteString(s)
			return b.String()
		}
		end := len(s)
		if j := strings.IndexAny(s[i:], " ,;\"'()"); j >= 0 {
			end = i + j
		}
		url := strings.TrimRight(s[i:end], ".:")
		b.WriteString(s[:i])
		if strings.Contains(url, "://") {
			b.WriteString(short(url))
		} else {
			b.WriteString(url)
		}
		s = s[i+len(url):]
	}
}

// sayCode is a code in a message, system#code.
func sayCode(system, code string) string {
	if system == "" {
		return code
	}
	return short(system) + "#" + code
}

// sayValue is a value of a definition in a message: codes where it is made of them, else its JSON.
func sayValue(n *fhirjson.Node) string {
	if n == nil || n.Kind() != fhirjson.Object {
		return brief(n)
	}
	var codes []string
	only := true
	for c := n.First(); c != nil; c = c.Next() {
		switch c.Key() {
		case "coding", "system", "code", "display", "version", "userSelected":
		default:
			only = false
		}
	}
	if !only {
		return brief(n)
	}
	eachCode(n, func(c code) bool {
		if c.code != "" {
			codes = append(codes, sayCode(c.system, c.code))
		}
		return true
	})
	if len(codes) == 0 {
		return brief(n)
	}
	return strings.Join(codes, " and ")
}

// sayExpression is an expression in a message, cut where it is long.
func sayExpression(s string) string {
	const most = 100
	s = strings.Join(strings.Fields(s), " ")
	n := 0
	for i := range s {
		if n++; n > most {
			return s[:i] + "…"
		}
	}
	return s
}

// sayPart names the item that a slice asks for: "the race extension (slice race)".
func (s *slicing) sayPart(sl *slice) string {
	noun := s.el.Name
	if s.el.Choice {
		noun = "value"
	}
	name := sl.el.SliceName
	what := name
	if i := strings.LastIndexByte(what, '/'); i >= 0 {
		what = what[i+1:]
	}
	return "the " + what + " " + noun + " (slice " + name + ")"
}

func places(n int) string {
	if n == 1 {
		return "place"
	}
	return "places"
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return strconv.Itoa(n) + " times"
}
