package fhirapi

import (
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"fhirwire/reference/resources"
	"fhirwire/reference/search"
)

type coded struct {
	Code string `json:"code"`
}

type searchParam struct {
	Name       string `json:"name"`
	Definition string `json:"definition,omitempty"`
	Type       string `json:"type"`
}

type operation struct {
	Name       string `json:"name"`
	Definition string `json:"definition"`
}

type restResource struct {
	Type              string        `json:"type"`
	SupportedProfile  []string      `json:"supportedProfile,omitempty"`
	Interaction       []coded       `json:"interaction"`
	Versioning        string        `json:"versioning"`
	ReadHistory       bool          `json:"readHistory"`
	UpdateCreate      bool          `json:"updateCreate"`
	ConditionalCreate bool          `json:"conditionalCreate"`
	ConditionalRead   string        `json:"conditionalRead"`
	ReferencePolicy   []string      `json:"referencePolicy"`
	SearchInclude     []string      `json:"searchInclude,omitempty"`
	SearchRevInclude  []string      `json:"searchRevInclude,omitempty"`
	SearchParam       []searchParam `json:"searchParam"`
	Operation         []operation   `json:"operation,omitempty"`
}

type rest struct {
	Mode          string         `json:"mode"`
	Documentation string         `json:"documentation"`
	Security      *restSecurity  `json:"security,omitempty"`
	Resource      []restResource `json:"resource"`
	Interaction   []coded        `json:"interaction"`
	Operation     []operation    `json:"operation"`
	Compartment   []string       `json:"compartment"`
}

type capabilityStatement struct {
	ResourceType        string            `json:"resourceType"`
	ID                  string            `json:"id"`
	Status              string            `json:"status"`
	Date                string            `json:"date"`
	Kind                string            `json:"kind"`
	Instantiates        []string          `json:"instantiates,omitempty"`
	Software            map[string]string `json:"software"`
	Implementation      map[string]string `json:"implementation"`
	FHIRVersion         string            `json:"fhirVersion"`
	Format              []string          `json:"format"`
	PatchFormat         []string          `json:"patchFormat"`
	ImplementationGuide []string          `json:"implementationGuide,omitempty"`
	Rest                []rest            `json:"rest"`
}

// released is the date of the statement's content, which changes with the program only.
var released = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// statement is computed from what is served: the registry's types and parameters, and the operations that have a handler.
func (a *API) statement(base string, sec Security) capabilityStatement {
	version := a.o.Version
	if version == "" {
		version = "dev"
	}
	s := capabilityStatement{
		ResourceType: "CapabilityStatement", ID: "fhirwire-reference-payer", Status: "active", Date: released.Format(resources.InstantFormat), Kind: "instance",
		Instantiates: a.o.Instantiates, ImplementationGuide: a.o.Guides,
		Software:       map[string]string{"name": "fhirwire reference payer", "version": version},
		Implementation: map[string]string{"description": "Synthetic payer data for testing", "url": base},
		FHIRVersion:    "4.0.1", Format: []string{"json", "application/fhir+json"}, PatchFormat: []string{jsonPatch},
	}
	r := rest{
		Mode: "server", Documentation: "Synthetic data.", Security: sec.rest(),
		Interaction: []coded{{"transaction"}, {"batch"}, {"search-system"}, {"history-system"}},
		Operation:   []operation{{"export", "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export"}},
		Compartment: []string{"http://hl7.org/fhir/CompartmentDefinition/patient"},
	}
	for _, typ := range a.reg.Types() {
		r.Resource = append(r.Resource, a.restResource(typ))
	}
	s.Rest = []rest{r}
	return s
}

func (a *API) restResource(typ string) restResource {
	out := restResource{
		Type: typ, SupportedProfile: a.o.Profiles(typ),
		Interaction: []coded{{"read"}, {"vread"}, {"history-instance"}, {"history-type"}, {"search-type"}, {"create"}, {"update"}, {"patch"}, {"delete"}},
		Versioning:  "versioned-update", ReadHistory: true, UpdateCreate: true, ConditionalCreate: true, ConditionalRead: "full-support",
		ReferencePolicy: []string{"literal", "local", "resolves"},
	}
	for _, p := range a.reg.Params(typ) {
		out.SearchParam = append(out.SearchParam, searchParam{p.Code, p.URL, string(p.Kind)})
		if p.Kind == search.Reference {
			out.SearchInclude = append(out.SearchInclude, typ+":"+p.Code)
		}
	}
	if len(out.SearchInclude) > 0 {
		out.SearchInclude = append(out.SearchInclude, typ+":*")
	}
	if typ != "Provenance" {
		out.SearchRevInclude = []string{"Provenance:target"}
	}
	switch typ {
	case "Patient":
		out.Operation = []operation{
			{"everything", "http://hl7.org/fhir/OperationDefinition/Patient-everything"},
			{"export", "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/patient-export"},
		}
		if a.o.Matcher != nil {
			out.Operation = append(out.Operation, operation{"member-match", "http://hl7.org/fhir/us/davinci-hrex/OperationDefinition/member-match"})
		}
	case "DocumentReference":
		if a.docrefOffered() {
			out.Operation = []operation{{"docref", docrefDefinition}}
		}
	case "InsurancePlan":
		// The formulary guide defines no operation; the Bulk Data guide's says what is done (FORM-CAP-11).
		out.Operation = []operation{{"export", "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export"}}
	case "Group":
		out.Operation = a.groupOperations()
	}
	return out
}

// rendered is a statement as bytes. The last one is kept: clients of a server use one base URL.
type rendered struct {
	base     string
	security Security
	body     []byte
}

func (a *API) metadata(c *gin.Context) error {
	base := a.base(c.Request)
	sec := Security{}
	if a.o.Security != nil {
		sec = a.o.Security(c.Request)
	}
	last := a.lastStatement.Load()
	if last == nil || last.base != base || last.security != sec {
		body, err := encode(a.statement(base, sec))
		if err != nil {
			return fmt.Errorf("capability statement: %w", err)
		}
		last = &rendered{base, sec, body}
		a.lastStatement.Store(last)
	}
	send(c, http.StatusOK, fhirJSON, last.body)
	return nil
}
