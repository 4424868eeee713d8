package fhirapi

import (
	"errors"

	"github.com/gin-gonic/gin"

	"fhirwire/reference/resources"
	"fhirwire/validators/fhirjson"
)

// provenanceHeader carries a Provenance, without target, of what is written (ATR-33).
const provenanceHeader = "X-Provenance"

// put stores a resource, and with it the Provenance of the request: both or none.
func (a *API) put(c *gin.Context, typ, id string, body []byte, ifMatch int64) (resources.Resource, bool, error) {
	changes := []resources.Change{{Type: typ, ID: id, Body: body, IfMatch: ifMatch}}
	if text := c.Request.Header.Get(provenanceHeader); text != "" {
		of, err := a.provenanceOf(c, text, typ+"/"+id)
		if err != nil {
			return resources.Resource{}, false, err
		}
		changes = append(changes, of)
	}
	done, err := a.store.Apply(c.Request.Context(), changes)
	if err != nil {
		if at, ok := errors.AsType[*resources.ChangeError](err); ok {
			err = at.Err
		}
		return resources.Resource{}, false, err
	}
	return done[0].Resource, done[0].Created, nil
}

func (a *API) provenanceOf(c *gin.Context, text, target string) (resources.Change, error) {
	refuse := func(why string) (resources.Change, error) {
		return resources.Change{}, &failure{status: 400, code: "invalid", text: provenanceHeader + ": " + why, expression: "http." + provenanceHeader}
	}
	doc := fhirjson.Parse([]byte(text))
	defer doc.Release()
	root := doc.Root()
	switch {
	case len(doc.Problems()) > 0 || root.Kind() != fhirjson.Object || root.ResourceType() != "Provenance":
		return refuse("it has to be a Provenance in JSON, on one line.")
	case root.Member("target") != nil:
		return refuse("its target is what is written, and is left out.")
	}
	body := append([]byte(`{"target":[{"reference":`), appendString(nil, target)...)
	body = append(append(body, `}],`...), root.Raw()[1:]...)
	ch := resources.Change{Type: "Provenance", ID: a.o.NewID(), Body: body}
	return ch, a.checked(c, ch.Type, ch.ID, body)
}
