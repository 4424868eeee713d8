package api

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// checkChannel looks at a channel's two legs and answers with what was found.
func (a *API) checkChannel(c *gin.Context) error {
	if a.deps.Checker == nil {
		return failed(http.StatusNotImplemented, "Connections cannot be checked here.")
	}
	ch, err := a.deps.Channels.Channel(c.Request.Context(), c.Param("id"))
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, a.deps.Checker.Check(c.Request.Context(), ch))
	return nil
}
