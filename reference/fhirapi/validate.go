package fhirapi

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"fhirwire/validators"
)

// checked refuses what is not valid, so that everything served is. With Prefer: handling=lenient it is stored all the same, for
// those who need a fault to be served, and a Warning header says so.
func (a *API) checked(c *gin.Context, typ, id string, body []byte) error {
	if a.o.Validate == nil {
		return nil
	}
	body, err := a.store.Preview(typ, id, body)
	if err != nil {
		return err
	}
	issues, err := a.o.Validate(c.Request.Context(), body)
	if err != nil {
		return err
	}
	var bad []issue
	for i := range issues {
		if issues[i].IsError() {
			bad = append(bad, issueOf(&issues[i]))
		}
	}
	if len(bad) == 0 {
		return nil
	}
	if preferences(c.Request)["handling"] == "lenient" {
		c.Header("Warning", `199 - "stored although it is not valid"`)
		return nil
	}
	return &failure{status: http.StatusUnprocessableEntity, code: bad[0].Code, text: bad[0].Diagnostics, issues: bad}
}

func issueOf(i *validators.Issue) issue {
	out := issue{Severity: string(i.Severity), Code: string(i.Code), Diagnostics: strings.TrimSpace(i.Message)}
	if i.Expression != "" {
		out.Expression = []string{i.Expression}
	}
	return out
}
