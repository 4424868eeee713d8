package fhirapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"fhirwire/reference/bulk"
)

const pdexOperation = "http://hl7.org/fhir/us/davinci-pdex/OperationDefinition/"

// BulkMatcher matches many members at once.
type BulkMatcher interface {
	// Check reads a request. A status other than 0 refuses it, with the body to answer with; otherwise members is how many it asks
	// for.
	Check(provider bool, parameters []byte) (status int, answer []byte, members int, err error)
	// Match answers a checked request of a provider at once, with Parameters.
	Match(ctx context.Context, client string, parameters []byte) ([]byte, error)
	// Task is the name of the task that answers a request asynchronously, and what the task has to know about who asks.
	Task(ctx context.Context, provider bool) (name, asker string)
}

// matchAtOnce is how many members a provider may ask for without waiting (CF-08).
const matchAtOnce = 10

func (a *API) bulkMatchOperations() map[operationKey]func(*gin.Context) error {
	if a.o.BulkMatcher == nil {
		return nil
	}
	return map[operationKey]func(*gin.Context) error{
		{"Group", "$bulk-member-match", false}:     a.bulkMatch(false),
		{"Group", "$provider-member-match", false}: a.bulkMatch(true),
	}
}

// bulkMatch starts the match of many members (P2P-BLK-03 to 06); one for a provider with few members can be answered at once.
func (a *API) bulkMatch(provider bool) func(*gin.Context) error {
	return func(c *gin.Context) error {
		ctx, base := c.Request.Context(), a.base(c.Request)
		_, async := preferences(c.Request)["respond-async"]
		if !async && !provider { // P2P-BLK-06
			return failf(http.StatusBadRequest, "required", "$bulk-member-match is asynchronous: send Prefer: respond-async.")
		}
		body, err := readBody(c.Request)
		if err != nil {
			return err
		}
		c.Header("Cache-Control", "no-store")
		status, answer, members, err := a.o.BulkMatcher.Check(provider, body)
		if err != nil {
			return err
		}
		if status != 0 {
			send(c, status, fhirJSON, answer)
			return nil
		}
		if !async {
			if members > matchAtOnce {
				return failf(http.StatusBadRequest, "required", "%d members are too many to match at once; send Prefer: respond-async.", members)
			}
			if answer, err = a.o.BulkMatcher.Match(ctx, a.client(ctx), body); err != nil {
				return err
			}
			send(c, http.StatusOK, fhirJSON, answer)
			return nil
		}
		k := bulk.TaskKickoff{URL: base + "/Group/" + c.Param("id"), Base: base, Client: a.client(ctx), Body: body}
		k.Task, k.Asker = a.o.BulkMatcher.Task(ctx, provider)
		id, err := a.export.KickoffTask(ctx, k)
		if err != nil {
			if refused, ok := errors.AsType[*bulk.KickoffError](err); ok && refused.RetryAfter > 0 {
				c.Header("Retry-After", strconv.Itoa(int(refused.RetryAfter/time.Second)))
			}
			return err
		}
		url := base + "/bulk/" + id + "/status"
		c.Header("Content-Location", url)
		send(c, http.StatusAccepted, fhirJSON, outcome(issue{Severity: "information", Code: "informational", Diagnostics: "Match accepted; poll " + url + "."}))
		return nil
	}
}
