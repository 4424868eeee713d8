package fhirapi

import (
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"fhirwire/reference/search"
)

// compartment is a search within one patient's compartment, "Patient/id/Type" (R4 search 3.1.1.4.2): the search of the type by
// its parameter for the patient. It reports false where the path is none.
func (a *API) compartment(c *gin.Context) (served bool, err error) {
	typ := c.Param("op")
	if c.Param("type") != "Patient" || !a.reg.Serves(typ) {
		return false, nil
	}
	params := a.reg.Params(typ)
	i := slices.IndexFunc(params, func(p *search.Param) bool { return p.Compartment })
	if i < 0 {
		i = slices.IndexFunc(params, func(p *search.Param) bool { return p.Code == "patient" && p.Kind == search.Reference })
	}
	if i < 0 {
		return true, failf(http.StatusNotFound, "not-supported", "%s is not in the compartment of a Patient here.", typ)
	}
	pairs, err := searchPairs(c)
	if err != nil {
		return true, err
	}
	return true, a.search(c, typ, append(pairs, search.Pair{Name: params[i].Code, Value: "Patient/" + c.Param("id")}))
}

func (a *API) compartmentPost(c *gin.Context) error {
	switch {
	case c.Param("op") == "_history":
		c.Header("Allow", "GET, HEAD")
		return failf(http.StatusMethodNotAllowed, "not-supported", "POST is not supported on a version.")
	case c.Param("verb") != "_search":
		return nothing(c)
	}
	served, err := a.compartment(c)
	if !served {
		return failf(http.StatusNotFound, "not-supported", "There is no compartment of %s here.", c.Param("type"))
	}
	return err
}
