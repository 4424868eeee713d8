package terminology

import (
	"slices"
	"strings"

	"fhirwire/validators/ig"
)

// whySupplied marks answers from lists that are not in the packages.
const whySupplied = "from a supplied list: the guides name these codes and do not contain them"

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

// enumerating are value sets that list all codes of a system which is not published as a code system.
var enumerating = map[string][]string{
	"https://www.usps.com/": {"http://hl7.org/fhir/us/core/ValueSet/us-core-usps-state|3.1.1"},
	"urn:iso:std:iso:3166": {
		"http://hl7.org/fhir/ValueSet/iso3166-1-2", "http://hl7.org/fhir/ValueSet/iso3166-1-3", "http://hl7.org/fhir/ValueSet/iso3166-1-N",
	},
}

// suppliedSystem gives code systems that the packages lack: currencies, and those that value sets at hand enumerate; nil for
// any other.
func (s *Service) suppliedSystem(url string) *system {
	cs := &ig.CodeSystem{URL: url, Content: contentComplete}
	if url == "urn:iso:std:iso:4217" {
		for code := range strings.FieldsSeq(currencies) {
			cs.Concepts = append(cs.Concepts, ig.Concept{Code: code, Parent: -1})
		}
	}
	for _, canonical := range enumerating[url] {
		vs, _, err := s.defs.ValueSet(canonical, "")
		if err != nil || vs == nil {
			return nil // a part of the list would say No where it must not
		}
		for _, inc := range vs.Include {
			if inc.System != url || slices.ContainsFunc(inc.Concepts, func(c ig.Coded) bool { return c.Code == "" }) {
				continue
			}
			for _, c := range inc.Concepts {
				cs.Concepts = append(cs.Concepts, ig.Concept{Code: c.Code, Display: c.Display, Parent: -1})
			}
		}
	}
	if len(cs.Concepts) == 0 {
		return nil
	}
	sys := newSystem(cs, nil)
	sys.why = whySupplied
	return sys
}

// currencies are the alphabetic codes of ISO 4217, those in use and those withdrawn since 1990.
const currencies = `AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF
CHW CLF CLP CNY COP COU CRC CUC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HRK HTG HUF
IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR
MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS
SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAF XAG XAU XBA XBB XBC
XBD XCD XCG XDR XOF XPD XPF XPT XSU XTS XUA XXX YER ZAR ZMW ZWG ZWL
ADP AFA ALK AOK AON AOR ARA ATS AZM BAD BEF BGL BYB BYR CSD CSK CYP DDM DEM ECS EEK ESP FIM FRF GHC GRD GWP IEP ITL LTL LUF LVL MGF MRO
MTL MZM NIC NLG PEI PLZ PTE ROL RUR SDD SIT SKK SRG STD SUR TJR TMM TPE TRL UAK USS VEB VEF XEU YDD YUM YUN ZAL ZMK ZRN ZRZ ZWC ZWD ZWN ZWR`
