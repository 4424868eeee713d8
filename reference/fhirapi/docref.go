package fhirapi

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"fhirwire/reference/resources"
	"fhirwire/reference/search"
	"fhirwire/validators/fhirjson"
)

const docrefDefinition = "http://hl7.org/fhir/us/core/OperationDefinition/docref"

// maxDocuments bounds what $docref finds of one patient.
const maxDocuments = 1000

// docref is DocumentReference/$docref of US Core (USC-INT-04): the documents about a patient's care in a time, or without one the
// most recent of each type. No document is made on demand here.
func (a *API) docref(c *gin.Context) error {
	in, q, err := a.docrefInput(c)
	if err != nil {
		return err
	}
	ctx, base := c.Request.Context(), a.base(c.Request)
	if member := a.o.Member(ctx); member != "" && member != in["patient"] {
		return failf(http.StatusForbidden, "forbidden", "The access token is for another member.")
	}
	var found []resources.Resource
	if in["on-demand"] != "true" {
		if found, err = a.documents(c, in); err != nil {
			return err
		}
	}
	b := newBundle("searchset", a.o.NewID())
	b.total = len(found)
	b.link("self", absolute(base, c.Request.URL.Path[strings.Index(c.Request.URL.Path, Prefix)+len(Prefix):], c.Request.URL.Query()))
	for i := range found {
		b.entry(base, &found[i], found[i].Body, "match")
	}
	b.notes(q)
	send(c, http.StatusOK, fhirJSON, b.bytes())
	return nil
}

// docrefInput reads the parameters, of the query or of a Parameters body. The query has what was ignored.
func (a *API) docrefInput(c *gin.Context) (map[string]string, search.Query, error) {
	pairs, err := search.ParsePairs(c.Request.URL.RawQuery)
	if err != nil {
		return nil, search.Query{}, err
	}
	if c.Request.Method == http.MethodPost {
		params, err := postedParams(c.Request)
		if err != nil {
			return nil, search.Query{}, err
		}
		for _, p := range params {
			pairs = append(pairs, search.Pair{Name: p.Name, Value: p.Value})
		}
	}
	in, q := map[string]string{}, search.Query{}
	for _, p := range pairs {
		switch p.Name {
		case "patient", "start", "end", "type", "on-demand":
			if in[p.Name] != "" {
				return nil, q, failf(http.StatusBadRequest, "structure", "%s is given more than once.", p.Name)
			}
			in[p.Name] = p.Value
		case "_format", "_pretty":
		default:
			bad := search.Error{Name: p.Name, Code: "not-supported", Message: "$docref has no such parameter"}
			if preferences(c.Request)["handling"] == "strict" {
				return nil, q, &bad
			}
			q.Ignored = append(q.Ignored, search.Ignored{Name: bad.Name, Reason: bad.Message})
		}
	}
	in["patient"] = strings.TrimPrefix(in["patient"], "Patient/")
	switch {
	case in["patient"] == "":
		return nil, q, failf(http.StatusBadRequest, "required", "$docref needs the parameter patient.")
	case !validID(in["patient"]):
		return nil, q, failf(http.StatusBadRequest, "value", "patient %q is no id of a Patient.", in["patient"])
	case in["on-demand"] != "" && in["on-demand"] != "true" && in["on-demand"] != "false":
		return nil, q, failf(http.StatusBadRequest, "value", "on-demand %q is neither true nor false.", in["on-demand"])
	}
	return in, q, nil
}

// documents searches by the time of the care, and where a document does not tell that, by its own.
func (a *API) documents(c *gin.Context, in map[string]string) ([]resources.Resource, error) {
	ctx := c.Request.Context()
	pairs := []search.Pair{{Name: "patient", Value: "Patient/" + in["patient"]}, {Name: "_sort", Value: "-date"}}
	if in["type"] != "" {
		pairs = append(pairs, search.Pair{Name: "type", Value: in["type"]})
	}
	ask := func(more ...search.Pair) ([]resources.Resource, error) {
		q, err := a.reg.Parse("DocumentReference", slices.Concat(pairs, more), search.ParseOptions{Strict: true, Base: a.base(c.Request)})
		if err != nil {
			return nil, err
		}
		res, err := a.store.Search(ctx, q, resources.Page{Limit: maxDocuments})
		if err != nil {
			return nil, err
		}
		return a.covered(ctx, res.Resources)
	}
	if in["start"] == "" && in["end"] == "" {
		all, err := ask()
		return latestOfEach(all), err
	}
	span := func(code string) (out []search.Pair) {
		if in["start"] != "" {
			out = append(out, search.Pair{Name: code, Value: "ge" + in["start"]})
		}
		if in["end"] != "" {
			out = append(out, search.Pair{Name: code, Value: "le" + in["end"]})
		}
		return out
	}
	found, err := ask(span("period")...)
	if err != nil {
		return nil, err
	}
	other, err := ask(append(span("date"), search.Pair{Name: "period:missing", Value: "true"})...)
	return append(found, other...), err
}

// latestOfEach keeps the first document of each type; all are sorted by date, latest first.
func latestOfEach(all []resources.Resource) []resources.Resource {
	seen := map[string]bool{}
	return slices.DeleteFunc(all, func(r resources.Resource) bool {
		doc := fhirjson.Parse(r.Body)
		defer doc.Release()
		typ := doc.Root().Member("type")
		coding := typ.Member("coding").FirstOrNil()
		key := strings.Clone(cmp.Or(coding.MemberText("system")+"|"+coding.MemberText("code"), typ.MemberText("text")))
		again := seen[key]
		seen[key] = true
		return again
	})
}

// docrefOffered: the operation is US Core's, so it is there where a profile of US Core is.
func (a *API) docrefOffered() bool {
	return slices.ContainsFunc(a.o.Profiles("DocumentReference"), func(url string) bool { return strings.HasPrefix(url, "http://hl7.org/fhir/us/core/") })
}
