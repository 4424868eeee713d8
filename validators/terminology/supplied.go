package terminology

import "fhirwire/validators/ig"

// whySupplied marks answers from lists that are not in the packages.
const whySupplied = "from a supplied list: the package names a value set that it does not contain"

const (
	cdcRace     = "urn:oid:2.16.840.1.113883.6.238"
	nullFlavor  = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor"
	adminGender = "http://terminology.hl7.org/CodeSystem/v3-AdministrativeGender"
	vsac        = "http://cts.nlm.nih.gov/fhir/ValueSet/"
)

// supplied gives the small public value sets that US Core 6 and later take from outside for race, ethnicity and birth sex;
// nil for any other.
func supplied(canonical string) *valueSet {
	url, _ := ig.SplitCanonical(canonical)
	one := func(system string, codes ...string) clause {
		c := clause{system: system, codes: make(map[string]struct{}, len(codes))}
		for _, code := range codes {
			c.codes[code] = struct{}{}
		}
		return c
	}
	var parts []clause
	switch url {
	case vsac + "2.16.840.1.114222.4.11.836": // race categories
		parts = []clause{one(cdcRace, "1002-5", "2028-9", "2054-5", "2076-8", "2106-3")}
	case vsac + "2.16.840.1.113883.3.2074.1.1.3": // the same, with "other race"
		parts = []clause{one(cdcRace, "1002-5", "2028-9", "2054-5", "2076-8", "2106-3", "2131-1")}
	case vsac + "2.16.840.1.114222.4.11.837": // ethnicity categories
		parts = []clause{one(cdcRace, "2135-2", "2186-5")}
	case vsac + "2.16.840.1.113762.1.4.1021.102":
		parts = []clause{one(nullFlavor, "UNK", "ASKU")}
	case vsac + "2.16.840.1.113762.1.4.1021.103":
		parts = []clause{one(nullFlavor, "UNK", "ASKU", "OTH")}
	case vsac + "2.16.840.1.113762.1.4.1": // administrative sex
		parts = []clause{one(adminGender, "F", "M")}
	case vsac + "2.16.840.1.113762.1.4.1021.24": // birth sex
		parts = []clause{one(adminGender, "F", "M"), one(nullFlavor, "UNK", "ASKU", "OTH")}
	default:
		return nil
	}
	return &valueSet{include: parts, why: whySupplied}
}
