package api

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"fhirwire/proxy"
	"fhirwire/testplans"
)

// PlanList is the test plans, and what is wrong with the files of some.
type PlanList struct {
	List[PlanItem]

	Faults []testplans.PlanFault `json:"faults,omitempty"`
}

func (a *API) planFiles() testplans.PlanFiles {
	if a.deps.PlanFiles == nil {
		return testplans.PlanFiles{}
	}
	return a.deps.PlanFiles.PlanFiles()
}

// PlanOf is the plan with an id: of those in use, else one that was and has stored results. files may be nil.
func PlanOf(ctx context.Context, files PlanFiles, plans []testplans.Plan, id string) (p testplans.Plan, known bool, err error) {
	if i := slices.IndexFunc(plans, func(p testplans.Plan) bool { return p.ID == id }); i >= 0 {
		return plans[i], true, nil
	}
	if files == nil {
		return p, false, nil
	}
	p, err = files.FormerPlan(ctx, id)
	if errors.Is(err, proxy.ErrNotFound) {
		return p, false, nil
	}
	return p, err == nil, err
}

// planText is a plan as its file says it, to read and to change: the one in use, or with a digest the one that judged.
func (a *API) planText(c *gin.Context) error {
	if a.deps.PlanFiles == nil {
		return failed(http.StatusNotImplemented, "This server does not keep the texts of its plans.")
	}
	id := c.Param("id")
	src, err := a.deps.PlanFiles.PlanText(id, c.Query("digest"))
	if errors.Is(err, proxy.ErrNotFound) {
		return failed(http.StatusNotFound, "No text of this plan is kept. GET /plans lists the plans in use, each with its digest.")
	}
	if err != nil {
		return err
	}
	c.Header("Content-Disposition", mime.FormatMediaType("inline", map[string]string{"filename": id + ".yaml"}))
	c.Header("X-Content-Type-Options", "nosniff")
	c.Data(http.StatusOK, "text/plain; charset=utf-8", src) // a browser shows it; nothing in it is markup
	return nil
}
