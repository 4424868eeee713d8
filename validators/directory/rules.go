package directory

import (
	"slices"

	"fhirwire/validators"
)

const (
	guide      = "hl7.fhir.us.davinci-pdex"
	profiles   = "http://hl7.org/fhir/us/davinci-pdex/StructureDefinition/"
	ndh        = "http://hl7.org/fhir/us/ndh/StructureDefinition/"
	npiSystem  = "http://hl7.org/fhir/sid/us-npi"
	bundleType = profiles + "mtls-bundle"
	orgType    = profiles + "mtls-organization"
	endpoints  = profiles + "mtls-endpoint"
	signedObj  = "pdex-mtls-signedobject-extension"
)

func rule(id string, severity validators.Severity, code validators.Code, title, profile string, requirements ...string) validators.Rule {
	return validators.Rule{
		ID: id, Severity: severity, Code: code, Title: title,
		Source:       validators.Source{Guide: guide, Section: "mTLS endpoint directory", URL: profile},
		Requirements: requirements,
	}
}

// Rules is the table of rules, in the order in which an entry is judged.
func Rules() []validators.Rule { return slices.Clone(table) }

const (
	errorS   = validators.SeverityError
	warningS = validators.SeverityWarning
	infoS    = validators.SeverityInformation
)

var table = []validators.Rule{
	rule("dir-json", errorS, validators.CodeStructure, "The file is well-formed JSON", "", "P2P-DIR-40", "P2P-DIR-05"),
	rule("dir-bundle", errorS, validators.CodeStructure, "The file is a Bundle", bundleType, "P2P-DIR-05", "P2P-DIR-03"),
	rule("dir-profile", warningS, validators.CodeValue, "The Bundle names the mtls-bundle profile", bundleType, "P2P-DIR-05"),
	rule("dir-type", errorS, validators.CodeValue, "The Bundle is a collection", bundleType, "P2P-DIR-101"),
	rule("dir-timestamp", errorS, validators.CodeRequired, "The Bundle says when it was made", bundleType, "P2P-DIR-102"),
	rule("dir-collection", errorS, validators.CodeInvariant, "A collection has neither total nor search, request or response", bundleType, "P2P-DIR-105"),
	rule("dir-full-url", errorS, validators.CodeInvariant, "The fullUrls of a Bundle are unique", bundleType, "P2P-DIR-105"),
	rule("dir-signature", errorS, validators.CodeRequired, "The Bundle is signed: type, when and who", bundleType, "P2P-DIR-103"),
	rule("dir-signature-data", warningS, validators.CodeRequired, "The signature has data", bundleType, "P2P-DIR-11", "P2P-DIR-10"),
	rule("dir-signature-certificate", warningS, validators.CodeBusinessRule, "The signature is a signature and not a certificate", bundleType, "P2P-DIR-11", "P2P-DIR-10"),
	rule("dir-signature-invalid", errorS, validators.CodeSecurity, "The signature verifies", bundleType, "P2P-DIR-11", "P2P-DIR-12"),
	rule("dir-signature-unknown", infoS, validators.CodeNotSupported, "The signature is of a kind that can be verified", bundleType, "P2P-DIR-11"),
	rule("dir-endpoint", errorS, validators.CodeRequired, "The Bundle has exactly one Endpoint", endpoints, "P2P-DIR-41", "P2P-DIR-104"),
	rule("dir-organization", errorS, validators.CodeRequired, "The Bundle has an Organization", orgType, "P2P-DIR-43", "P2P-DIR-104"),
	rule("dir-two-organizations", warningS, validators.CodeRequired, "The Bundle has two Organizations: the plan and who runs its endpoint", orgType, "P2P-DIR-44", "P2P-DIR-104"),
	rule("dir-other-resource", warningS, validators.CodeBusinessRule, "The Bundle has Organizations and an Endpoint only", bundleType, "P2P-DIR-104"),
	rule("dir-org-active", errorS, validators.CodeRequired, "An Organization is active", orgType, "P2P-DIR-112", "P2P-DIR-43"),
	rule("dir-org-name", errorS, validators.CodeRequired, "An Organization has a name", orgType, "P2P-DIR-113", "P2P-DIR-43"),
	rule("dir-org-telecom", errorS, validators.CodeRequired, "An Organization has telecoms, and they are URLs", orgType, "P2P-DIR-114", "P2P-DIR-43"),
	rule("dir-org-identifier", warningS, validators.CodeRequired, "The plan has an NPI, by which it is found", orgType, "P2P-DIR-111", "P2P-DIR-50"),
	rule("dir-org-npi", errorS, validators.CodeValue, "An NPI has ten digits and a right check digit", orgType, "P2P-DIR-111"),
	rule("dir-org-endpoint", errorS, validators.CodeNotFound, "The plan's Organization names the Endpoint of the Bundle", orgType, "P2P-DIR-43", "P2P-DIR-115"),
	rule("dir-endpoint-status", errorS, validators.CodeValue, "The Endpoint is active", endpoints, "P2P-DIR-122", "P2P-DIR-41"),
	rule("dir-endpoint-connection", errorS, validators.CodeRequired, "The Endpoint has a connection type", endpoints, "P2P-DIR-123"),
	rule("dir-endpoint-managing", errorS, validators.CodeNotFound, "The Endpoint's managing organization is in the Bundle", endpoints, "P2P-DIR-42", "P2P-DIR-125"),
	rule("dir-endpoint-payload", errorS, validators.CodeRequired, "The Endpoint has one payload type", endpoints, "P2P-DIR-126"),
	rule("dir-endpoint-mime", errorS, validators.CodeCodeInvalid, "Payload media types are those of FHIR", endpoints, "P2P-DIR-127"),
	rule("dir-endpoint-address", errorS, validators.CodeValue, "The Endpoint's address is an absolute https URL", endpoints, "P2P-DIR-41", "P2P-DIR-128"),
	rule("dir-signed-object", errorS, validators.CodeExtension, "The Endpoint has a signed object with its type", profiles+signedObj, "P2P-DIR-129", "P2P-DIR-131", "P2P-DIR-41"),
	rule("dir-certificate", errorS, validators.CodeValue, "A signed object is an X.509 certificate", profiles+signedObj, "P2P-DIR-41", "P2P-DIR-24"),
	rule("dir-extension", errorS, validators.CodeExtension, "Extensions have the parts that their definitions want", endpoints, "P2P-DIR-131"),
	rule("dir-extension-code", warningS, validators.CodeCodeInvalid, "Codes in extensions are from their code systems", endpoints, "P2P-DIR-132"),
	rule("dir-registration", warningS, validators.CodeNotFound, "The Endpoint names the registration server", profiles+"base-ext-associatedServers", "P2P-DIR-20", "P2P-DIR-21"),
	rule("dir-fhir-base", infoS, validators.CodeNotFound, "The Endpoint names the FHIR base", profiles+"base-ext-associatedServers", "P2P-DIR-20", "P2P-DIR-21"),
	rule("dir-cert-dates", errorS, validators.CodeBusinessRule, "The certificate is in date", profiles+signedObj, "P2P-DIR-45"),
	rule("dir-cert-expiration", warningS, validators.CodeBusinessRule, "expirationDate agrees with the certificate", profiles+"base-ext-secureExchangeArtifacts", "P2P-DIR-45"),
	rule("dir-cert-usage", errorS, validators.CodeSecurity, "The certificate may be used by a TLS server and a TLS client", profiles+signedObj, "P2P-DIR-46"),
	rule("dir-cert-name", errorS, validators.CodeSecurity, "The certificate names the host of the address", profiles+signedObj, "P2P-DIR-46"),
	rule("dir-cert-uri", warningS, validators.CodeSecurity, "The certificate names its owner by URI", profiles+signedObj, "P2P-TLS-04"),
	rule("dir-cert-self-signed", errorS, validators.CodeSecurity, "The certificate is not self-signed", profiles+signedObj, "P2P-DIR-47", "P2P-TLS-03"),
	rule("dir-cert-differs", warningS, validators.CodeBusinessRule, "The certificates of an entry agree", profiles+"base-ext-secureExchangeArtifacts", "P2P-DIR-131", "P2P-DIR-134"),
	rule("dir-endorsement", warningS, validators.CodeSecurity, "A trust manager has endorsed the certificate", profiles+"base-ext-trustFramework", "P2P-DIR-48", "P2P-DIR-30", "P2P-DIR-23"),
	rule("dir-duplicate", errorS, validators.CodeDuplicate, "No two entries claim the same NPI, address or certificate", bundleType, "P2P-DIR-49"),
}

func ruleByID(id string) *validators.Rule {
	i := slices.IndexFunc(table, func(r validators.Rule) bool { return r.ID == id })
	if i < 0 {
		panic("directory: no rule " + id)
	}
	return &table[i]
}
