package fhirapi

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"fhirwire/reference/attribution"
	"fhirwire/reference/bulk"
	"fhirwire/reference/resources"
	"fhirwire/reference/search"
)

// dataExport is the export of PDex and ATR, on Groups only.
const dataExport = "$davinci-data-export"

const atrOperation = "http://hl7.org/fhir/us/davinci-atr/OperationDefinition/"

// listOperations are the ATR operations on a Group (ATR-30).
func (a *API) listOperations() map[string]func(*gin.Context) error {
	if a.o.Lists == nil {
		return nil
	}
	return map[string]func(*gin.Context) error{
		"member-add": a.memberEdit(a.o.Lists.Add), "member-remove": a.memberEdit(a.o.Lists.Remove),
		"attribution-status": a.attributionStatus, "confirm-attribution-list": a.confirmList,
	}
}

// refused turns what the attribution lists refuse into an answer.
func refused(err error) error {
	if r, ok := errors.AsType[*attribution.RefusedError](err); ok {
		return &failure{status: r.Status, code: r.Code, text: r.Text, expression: r.Expression}
	}
	return err
}

// memberEdit serves $member-add and $member-remove: 200 and an OperationOutcome that says what happened.
func (a *API) memberEdit(do func(ctx context.Context, group, base string, body []byte) (attribution.Done, error)) func(*gin.Context) error {
	return func(c *gin.Context) error {
		body, err := readBody(c.Request)
		if err != nil {
			return err
		}
		done, err := do(c.Request.Context(), c.Param("id"), a.base(c.Request), body)
		if err != nil {
			return refused(err)
		}
		issues := []issue{{Severity: "information", Code: "informational", Diagnostics: fmt.Sprintf("%s; Group/%s has version %d.", done.Text, done.Group.ID, done.Group.Version)}}
		for _, w := range done.Warnings {
			issues = append(issues, issue{Severity: "warning", Code: "not-supported", Diagnostics: w})
		}
		c.Header("ETag", etag(done.Group.Version))
		c.Header("Cache-Control", "no-store")
		send(c, http.StatusOK, fhirJSON, outcome(issues...))
		return nil
	}
}

// attributionStatus answers with a collection of the member's Patient, Coverage and provider and the Group's entries for them.
func (a *API) attributionStatus(c *gin.Context) error {
	body, err := readBody(c.Request)
	if err != nil {
		return err
	}
	base := a.base(c.Request)
	found, err := a.o.Lists.Status(c.Request.Context(), c.Param("id"), base, body)
	if err != nil {
		return refused(err)
	}
	b := newBundle("collection", a.o.NewID())
	for i := range found {
		b.plainEntry(base, &found[i])
	}
	c.Header("Cache-Control", "no-store")
	send(c, http.StatusOK, fhirJSON, b.bytes())
	return nil
}

// plainEntry adds a resource without a search or a request.
func (b *bundle) plainEntry(base string, r *resources.Resource) {
	b.open()
	b.entries = append(b.entries, `{"fullUrl":`...)
	b.entries = appendString(b.entries, base+"/"+r.Type+"/"+r.ID)
	b.entries = append(b.entries, `,"resource":`...)
	b.entries = append(b.entries, r.Body...)
	b.entries = append(b.entries, '}')
}

// confirmList answers 201 without a body (CF-06).
func (a *API) confirmList(c *gin.Context) error {
	if _, err := readBody(c.Request); err != nil {
		return err
	}
	g, err := a.o.Lists.Confirm(c.Request.Context(), c.Param("id"))
	if err != nil {
		return refused(err)
	}
	c.Header("ETag", etag(g.Version))
	c.Header("Content-Length", "0")
	c.Status(http.StatusCreated)
	c.Writer.WriteHeaderNow()
	return nil
}

// client is who asks, "" where nobody is known.
func (a *API) client(ctx context.Context) string {
	if a.o.Client == nil {
		return ""
	}
	return a.o.Client(ctx)
}

// ownGroups refuses what is asked of a Group that was made for another client.
func (a *API) ownGroups(c *gin.Context) {
	id := c.Param("id")
	if a.o.Owners == nil || c.Param("type") != "Group" || id == "" || strings.HasPrefix(id, "$") {
		return
	}
	if err := a.o.Owners.Check(c.Request.Context(), id, a.client(c.Request.Context())); err != nil {
		a.fail(c, refused(err))
		c.Abort()
	}
}

// ownJobs lets only the client that started a job ask about it (BULK-ST-03, OPS-59). To others it does not exist; who sends no
// token is asked for one.
func (a *API) ownJobs(c *gin.Context) {
	job := c.Param("job")
	if job == "" {
		return
	}
	owner, err := a.export.Owner(c.Request.Context(), job)
	client := a.client(c.Request.Context())
	switch {
	case errors.Is(err, bulk.ErrNotFound), err == nil && owner == "", err == nil && owner == client:
		return
	case err != nil:
	case client == "":
		c.Header("WWW-Authenticate", `Bearer realm="fhir"`)
		err = failf(http.StatusUnauthorized, "login", "This export belongs to a client: send the bearer token.")
	default:
		err = failf(http.StatusNotFound, "not-found", "There is no such export: it was never started, was deleted, or has expired.")
	}
	a.fail(c, err)
	c.Abort()
}

// shown leaves out of Groups the members who opted out: they are on no list that a provider sees (ATR-03).
func (a *API) shown(ctx context.Context, found []resources.Resource) error {
	if a.o.OptedOut == nil || len(found) == 0 || found[0].Type != "Group" {
		return nil
	}
	out, err := a.o.OptedOut(ctx)
	if err != nil || len(out) == 0 {
		return err
	}
	for i := range found {
		found[i].Body, _ = attribution.WithoutOptedOut(found[i].Body, func(patient string) bool { return out[patient] })
	}
	return nil
}

// hiddenGroups are those that the client may not see (ATR-45).
func (a *API) hiddenGroups(ctx context.Context) ([]string, error) {
	if a.o.Owners == nil {
		return nil, nil
	}
	return a.o.Owners.Hidden(ctx, a.client(ctx))
}

// withoutHidden takes from a search the Groups that the client may not see, also where it asks only whether there is one.
func (a *API) withoutHidden(ctx context.Context, q *search.Query) error {
	if q.Type != "Group" && !slices.ContainsFunc(q.Clauses, asksGroups) {
		return nil
	}
	ids, err := a.hiddenGroups(ctx)
	if err != nil || len(ids) == 0 {
		return err
	}
	not, err := a.reg.Parse("Group", []search.Pair{{Name: "_id:not", Value: strings.Join(ids, ",")}}, search.ParseOptions{Strict: true})
	if err != nil {
		return err
	}
	if q.Type == "Group" {
		q.Clauses = append(q.Clauses, not.Clauses...)
	}
	for _, c := range q.Clauses {
		for h := c.Has; h != nil; h = h.Clauses[0].Has {
			if h.Type == "Group" {
				h.Clauses = append(h.Clauses, not.Clauses...)
			}
		}
	}
	return nil
}

func asksGroups(c search.Clause) bool {
	for h := c.Has; h != nil; h = h.Clauses[0].Has {
		if h.Type == "Group" {
			return true
		}
	}
	return false
}

// groupOperations are the operations of Group in the capability statement.
func (a *API) groupOperations() []operation {
	out := []operation{
		{"export", "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/group-export"},
		{"davinci-data-export", atrOperation + "davinci-data-export"},
	}
	if a.o.BulkMatcher != nil {
		out = append(out, operation{"bulk-member-match", pdexOperation + "BulkMemberMatch"}, operation{"provider-member-match", pdexOperation + "ProviderMemberMatch"})
	}
	for _, name := range slices.Sorted(maps.Keys(a.listOperations())) {
		out = append(out, operation{name, atrOperation + name})
	}
	return out
}
