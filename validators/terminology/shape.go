package terminology

import "strings"

// Shape says what is wrong with the form of a code of a system whose content is not at hand, "" when nothing is or the system
// has no form we know. What it accepts may still not exist.
func Shape(system, code string) string {
	switch system {
	case "http://snomed.info/sct":
		return snomedShape(code)
	case "http://loinc.org":
		return loincShape(code)
	case "http://hl7.org/fhir/sid/ndc":
		return ndcShape(code)
	case "http://hl7.org/fhir/sid/cvx":
		if !allDigits(code) || len(code) > 3 {
			return "a CVX code has one to three digits"
		}
	case "http://www.nlm.nih.gov/research/umls/rxnorm":
		if !allDigits(code) || len(code) > 8 {
			return "an RxNorm code is a number of up to eight digits"
		}
	}
	return ""
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// snomedShape follows the SNOMED CT identifier: six to eighteen digits, the last by Verhoeff, before it a partition that says
// concept. Expressions made of several are let be.
func snomedShape(code string) string {
	if strings.ContainsAny(code, ":+|={}") {
		return ""
	}
	switch {
	case !allDigits(code) || len(code) < 6 || len(code) > 18 || code[0] == '0':
		return "a SNOMED CT code has six to eighteen digits"
	case !verhoeff(code):
		return "its check digit is not that of a SNOMED CT code"
	}
	switch part := code[len(code)-3 : len(code)-1]; part {
	case "00", "10":
		return ""
	case "01", "11":
		return "it is the SNOMED CT identifier of a description, not of a concept"
	case "02", "12":
		return "it is the SNOMED CT identifier of a relationship, not of a concept"
	}
	return "it is not the SNOMED CT identifier of a concept"
}

// The tables of Verhoeff's scheme: multiplication in the dihedral group D5, and the permutation by position.
var (
	verhoeffTimes = [10]string{
		"0123456789", "1234067895", "2340178956", "3401289567", "4012395678", "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
	}
	verhoeffShift = [8]string{
		"0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
	}
)

func verhoeff(digits string) bool {
	c := byte('0')
	for i := range len(digits) {
		d := digits[len(digits)-1-i]
		c = verhoeffTimes[c-'0'][verhoeffShift[i%8][d-'0']-'0']
	}
	return c == '0'
}

// loincShape follows LOINC: a number, a hyphen and a check digit by modulus 10. Parts, answers and their like have letters before.
func loincShape(code string) string {
	const form = "a LOINC code is a number, a hyphen and a check digit"
	number, check, ok := strings.Cut(code, "-")
	letters := len(number) > 2 && number[0] == 'L' && number[1] >= 'A' && number[1] <= 'Z'
	if letters {
		number = number[2:]
	}
	switch {
	case !ok || len(check) != 1 || !allDigits(check) || !allDigits(number) || len(number) > 8:
		return form
	case !letters && luhn(number) != check[0]:
		return "its check digit is not that of a LOINC code"
	}
	return ""
}

func luhn(digits string) byte {
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return byte('0' + (10-sum%10)%10)
}

// ndcShape accepts the forms of the FDA (4-4-2, 5-3-2, 5-4-1, and 5-4-2 with leading zeros), product codes without the package,
// and digits alone.
func ndcShape(code string) string {
	const form = "an NDC has digits in groups of 5-4-2, or ten or eleven of them"
	parts := strings.Split(code, "-")
	for _, p := range parts {
		if !allDigits(p) {
			return form
		}
	}
	switch len(parts) {
	case 1:
		if n := len(code); n >= 8 && n <= 11 {
			return ""
		}
	case 2, 3:
		if n := len(parts[0]); n < 4 || n > 6 {
			return form
		}
		if n := len(parts[1]); n < 3 || n > 4 {
			return form
		}
		if len(parts) == 2 || len(parts[2]) <= 2 {
			return ""
		}
	}
	return form
}
