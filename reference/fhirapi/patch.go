package fhirapi

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/gin-gonic/gin"

	"fhirwire/reference/resources"
	"fhirwire/validators/fhirjson"
)

const jsonPatch = "application/json-patch+json"

// patchTries is how often a patch without If-Match is applied anew to what somebody else wrote in between.
const patchTries = 5

// patchOptions bound what "copy" may multiply.
var patchOptions = func() *jsonpatch.ApplyOptions {
	o := jsonpatch.NewApplyOptions()
	o.AccumulatedCopySizeLimit = 1 << 20
	o.SupportNegativeIndices = false // RFC 6901 has none
	return o
}()

// patch is R4 http 3.1.0.6 with JSON Patch, RFC 6902.
func (a *API) patch(c *gin.Context) error {
	typ, id := c.Param("type"), c.Param("id")
	if err := a.served(typ); err != nil {
		return err
	}
	p, err := readPatch(c)
	if err != nil {
		return err
	}
	return a.patchOf(c, typ, id, p)
}

// patchWhere is a conditional patch: of the one match.
func (a *API) patchWhere(c *gin.Context) error {
	typ := c.Param("type")
	if err := a.served(typ); err != nil {
		return err
	}
	p, err := readPatch(c)
	if err != nil {
		return err
	}
	found, err := a.where(c, typ)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return failf(http.StatusNotFound, "not-found", "The criteria match no %s.", typ)
	}
	return a.patchOf(c, typ, found[0].ID, p)
}

func (a *API) patchOf(c *gin.Context, typ, id string, p jsonpatch.Patch) error {
	var wanted int64
	if m := c.Request.Header.Get("If-Match"); m != "" {
		var err error
		if wanted, err = version(m); err != nil {
			return err
		}
	}
	for try := 1; ; try++ {
		now, err := a.store.Get(c.Request.Context(), typ, id)
		if err != nil {
			return a.about(err, typ, id)
		}
		if wanted != 0 && wanted != now.Version {
			return resources.ErrConflict
		}
		body, err := patched(now, p)
		if err != nil {
			return err
		}
		if err := a.checked(c, typ, id, body); err != nil {
			return err
		}
		r, _, err := a.put(c, typ, id, body, now.Version)
		if errors.Is(err, resources.ErrConflict) && wanted == 0 && try < patchTries {
			continue
		}
		if err != nil {
			return err
		}
		return a.written(c, r, http.StatusOK)
	}
}

// readPatch reads the body of a PATCH. FHIRPath Patch and XML Patch are not read, and Accept-Patch says what is (RFC 5789).
func readPatch(c *gin.Context) (jsonpatch.Patch, error) {
	t, _, _ := strings.Cut(strings.ToLower(c.Request.Header.Get("Content-Type")), ";")
	if t = strings.TrimSpace(t); t != jsonPatch && t != "application/json" {
		c.Header("Accept-Patch", jsonPatch)
		return nil, failf(http.StatusUnsupportedMediaType, "not-supported", "A patch of Content-Type %q is not read; JSON Patch (%s) is.", t, jsonPatch)
	}
	text, err := io.ReadAll(c.Request.Body)
	if err != nil {
		return nil, err
	}
	return decodePatch(text)
}

// binaryPatch takes the patch out of a Bundle's entry, where it travels as a Binary.
func binaryPatch(resource *fhirjson.Node) (jsonpatch.Patch, error) {
	if resource.ResourceType() != "Binary" || !strings.HasPrefix(resource.MemberText("contentType"), jsonPatch) {
		return nil, failf(http.StatusBadRequest, "not-supported", "PATCH needs a Binary with a JSON Patch (contentType %s) as its resource.", jsonPatch)
	}
	text, err := base64.StdEncoding.DecodeString(resource.MemberText("data"))
	if err != nil {
		return nil, failf(http.StatusBadRequest, "value", "The Binary's data is not base64.")
	}
	return decodePatch(text)
}

func decodePatch(text []byte) (jsonpatch.Patch, error) {
	p, err := jsonpatch.DecodePatch(text)
	if err != nil || len(p) == 0 {
		return nil, failf(http.StatusBadRequest, "structure", "The body is no JSON Patch: want a list of operations with op and path (RFC 6902).")
	}
	for i, op := range p {
		path, err := op.Path()
		switch {
		case err != nil || path != "" && path[0] != '/':
			return nil, failf(http.StatusBadRequest, "structure", "Operation %d has no path (RFC 6901).", i)
		case path == "":
			return nil, failf(http.StatusUnprocessableEntity, "not-supported", "Operation %d is on the whole resource: PUT replaces one.", i)
		}
		switch op.Kind() {
		case "add", "remove", "replace", "move", "copy", "test":
		default:
			return nil, failf(http.StatusBadRequest, "structure", "Operation %d: op %q is none of add, remove, replace, move, copy, test.", i, op.Kind())
		}
	}
	return p, nil
}

// patched is what a patch makes of a resource. What it does not touch stays as it is written, decimals included.
func patched(r resources.Resource, p jsonpatch.Patch) ([]byte, error) {
	out, err := p.ApplyWithOptions(r.Body, patchOptions)
	if err != nil {
		return nil, failf(http.StatusUnprocessableEntity, "processing", "The patch cannot be applied to %s/%s version %d: %s.", r.Type, r.ID, r.Version, err)
	}
	var is struct{ ResourceType, ID string }
	if err := json.Unmarshal(out, &is); err != nil || is.ResourceType != r.Type || is.ID != r.ID {
		return nil, failf(http.StatusUnprocessableEntity, "invariant", "A patch changes neither resourceType nor id.")
	}
	return out, nil
}
