package fhirapi

// Security is what the capability statement says of authorization. The zero value says that there is none.
type Security struct {
	// Token and Register are the OAuth endpoints; without a Token there is no authorization.
	Token, Register string
	// Description says in words when a token is needed.
	Description string
}

const (
	oauthURIs       = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
	absentReason    = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
	securityService = "http://terminology.hl7.org/CodeSystem/restful-security-service"
	smartOnFHIR     = "SMART-on-FHIR"
)

type extension struct {
	URL string `json:"url"`
	// URI, and Absent in its place where there is none.
	URI       string      `json:"valueUri,omitempty"`
	Absent    *absent     `json:"_valueUri,omitempty"`
	Code      string      `json:"valueCode,omitempty"`
	Extension []extension `json:"extension,omitempty"`
}

// absent is a primitive without a value.
type absent struct {
	Extension []extension `json:"extension"`
}

type serviceCoding struct {
	System string `json:"system"`
	Code   string `json:"code"`
}

type serviceConcept struct {
	Coding []serviceCoding `json:"coding"`
	Text   string          `json:"text"`
}

type restSecurity struct {
	Extension   []extension      `json:"extension,omitempty"`
	CORS        bool             `json:"cors"`
	Service     []serviceConcept `json:"service,omitempty"`
	Description string           `json:"description"`
}

// rest is CapabilityStatement.rest.security (P2P-DSC-02, AUTH-20). Without a token endpoint it says that there is no authorization.
func (s Security) rest() *restSecurity {
	out := &restSecurity{CORS: true, Description: s.Description}
	if s.Token == "" {
		out.Description = "No authorization: tokens are not looked at."
		return out
	}
	out.Service = []serviceConcept{{[]serviceCoding{{securityService, smartOnFHIR}}, "OAuth2 by SMART on FHIR (backend services)"}}
	// The extension's definition demands authorize, and there is no code flow here.
	uris := extension{URL: oauthURIs, Extension: []extension{
		{URL: "authorize", Absent: &absent{[]extension{{URL: absentReason, Code: "unsupported"}}}},
		{URL: "token", URI: s.Token},
	}}
	if s.Register != "" {
		uris.Extension = append(uris.Extension, extension{URL: "register", URI: s.Register})
	}
	out.Extension = []extension{uris}
	return out
}
