package api

import (
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"
	"github.com/goccy/go-yaml"

	"fhirwire/proxy"
	"fhirwire/validators"
)

//go:embed openapi.yaml
var description []byte

// MaxBody bounds what a request to the API may carry.
const MaxBody = 16 << 20

// API answers under /api/v1.
type API struct {
	deps     Deps
	opts     Options
	registry *Registry
	openAPI  func() ([]byte, error)
}

// New returns the API over d.
func New(d Deps, o Options) *API {
	o = o.WithDefaults()
	return &API{
		deps: d, opts: o, registry: NewRegistry(d, o),
		openAPI: sync.OnceValues(func() ([]byte, error) { return yaml.YAMLToJSON(description) }),
	}
}

// Register adds the routes to g, which answers under /api/v1.
func (a *API) Register(g *gin.RouterGroup) {
	g.GET("/systems", a.handle(a.listSystems))
	g.POST("/systems", a.handle(a.createSystem))
	g.GET("/systems/:id", a.handle(a.getSystem))
	g.PUT("/systems/:id", a.handle(a.putSystem))
	g.DELETE("/systems/:id", a.handle(a.deleteSystem))
	g.GET("/channels", a.handle(a.listChannels))
	g.POST("/channels", a.handle(a.createChannel))
	g.GET("/channels/:id", a.handle(a.getChannel))
	g.PUT("/channels/:id", a.handle(a.putChannel))
	g.DELETE("/channels/:id", a.handle(a.deleteChannel))
	g.GET("/channels/:id/auth", a.handle(a.getAuth))
	g.POST("/channels/:id/check", a.handle(a.checkChannel))
	g.GET("/exchanges", a.handle(a.listExchanges))
	g.GET("/exchanges/:id", a.handle(a.getExchange))
	g.GET("/exchanges/:id/request/body", a.handle(a.requestBody))
	g.GET("/exchanges/:id/response/body", a.handle(a.responseBody))
	g.GET("/exchanges/:id/report", a.handle(a.getReport))
	g.POST("/validate", a.handle(a.validate))
	g.GET("/plans", a.handle(a.listPlans))
	g.GET("/plans/:id", a.handle(a.getPlan))
	g.GET("/plans/:id/text", a.handle(a.planText))
	g.GET("/matrix", a.handle(a.matrix))
	g.GET("/stream", a.handle(a.stream))
	g.GET("/openapi.json", a.handle(a.getOpenAPI))
	a.registerRuns(g)
}

// handle turns an error into a problem document, in one place, and logs our own failures.
func (a *API) handle(h func(*gin.Context) error) gin.HandlerFunc {
	return func(c *gin.Context) {
		c.Header("Cache-Control", "no-store")
		c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, MaxBody)
		err := h(c)
		if err == nil || c.Request.Context().Err() != nil {
			return
		}
		p := ProblemOf(err)
		if p.Status >= http.StatusInternalServerError && p.Status != http.StatusNotImplemented {
			a.opts.Logger.Error("api request failed", "path", c.FullPath(), "error", err)
		}
		if c.Writer.Written() {
			return // headers are out: the client sees the answer break off
		}
		p.Instance = c.Request.URL.Path
		WriteProblem(c.Writer, p)
		c.Abort()
	}
}

func decode(c *gin.Context, into any) error {
	d := json.NewDecoder(c.Request.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return err
	case err != nil:
		return failed(http.StatusBadRequest, "The body is not the JSON this route takes: "+strings.TrimPrefix(err.Error(), "json: ")+".")
	}
	return nil
}

func (a *API) listSystems(c *gin.Context) error {
	systems, err := a.deps.Systems.Systems(c.Request.Context())
	if err != nil {
		return err
	}
	out := List[System]{Items: make([]System, 0, len(systems)), Total: len(systems)}
	for _, s := range systems {
		out.Items = append(out.Items, systemOf(s))
	}
	c.JSON(http.StatusOK, out)
	return nil
}

func (a *API) createSystem(c *gin.Context) error {
	var in SystemInput
	if err := decode(c, &in); err != nil {
		return err
	}
	s := &proxy.System{Slug: in.Slug, Name: in.Name, Roles: in.Roles, BaseURL: in.BaseURL}
	if in.Options != nil {
		s.Options = *in.Options
	}
	if err := a.registry.Register(c.Request.Context(), s); err != nil {
		return err
	}
	c.Header("Location", "/api/v1/systems/"+s.ID)
	c.JSON(http.StatusCreated, systemOf(s))
	return nil
}

func (a *API) getSystem(c *gin.Context) error {
	s, err := a.deps.Systems.System(c.Request.Context(), c.Param("id"))
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, systemOf(s))
	return nil
}

func (a *API) putSystem(c *gin.Context) error {
	var in SystemInput
	if err := decode(c, &in); err != nil {
		return err
	}
	old, err := a.deps.Systems.System(c.Request.Context(), c.Param("id"))
	if err != nil {
		return err
	}
	s := *old
	s.Slug, s.Name, s.Roles, s.BaseURL = in.Slug, in.Name, in.Roles, in.BaseURL
	if in.Options != nil {
		s.Options = *in.Options
	}
	if err := a.registry.Change(c.Request.Context(), &s); err != nil {
		return err
	}
	c.JSON(http.StatusOK, systemOf(&s))
	return nil
}

func (a *API) deleteSystem(c *gin.Context) error {
	if err := a.deps.Systems.DeleteSystem(c.Request.Context(), c.Param("id")); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}

func (a *API) listChannels(c *gin.Context) error {
	channels, err := a.deps.Channels.Channels(c.Request.Context())
	if err != nil {
		return err
	}
	out := List[Channel]{Items: make([]Channel, 0, len(channels)), Total: len(channels)}
	for _, ch := range channels {
		out.Items = append(out.Items, a.channelOf(ch))
	}
	c.JSON(http.StatusOK, out)
	return nil
}

func (a *API) createChannel(c *gin.Context) error {
	var in ChannelInput
	if err := decode(c, &in); err != nil {
		return err
	}
	ch := &proxy.Channel{ClientID: in.ClientID, ServerID: in.ServerID, Options: in.Options}
	if err := a.registry.Connect(c.Request.Context(), ch); err != nil {
		return err
	}
	c.Header("Location", "/api/v1/channels/"+ch.ID)
	c.JSON(http.StatusCreated, a.channelOf(ch))
	return nil
}

func (a *API) getChannel(c *gin.Context) error {
	ch, err := a.deps.Channels.Channel(c.Request.Context(), c.Param("id"))
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, a.channelOf(ch))
	return nil
}

// putChannel changes a channel's options; its pair, and with it its name, stays.
func (a *API) putChannel(c *gin.Context) error {
	var in ChannelInput
	if err := decode(c, &in); err != nil {
		return err
	}
	old, err := a.deps.Channels.Channel(c.Request.Context(), c.Param("id"))
	if err != nil {
		return err
	}
	if in.ClientID != "" && in.ClientID != old.ClientID || in.ServerID != "" && in.ServerID != old.ServerID {
		return failed(http.StatusUnprocessableEntity, "A channel keeps its two systems. Create another channel for another pair.")
	}
	ch := *old
	ch.Options = in.Options
	if err := a.registry.ChangeChannel(c.Request.Context(), &ch); err != nil {
		return err
	}
	c.JSON(http.StatusOK, a.channelOf(&ch))
	return nil
}

func (a *API) deleteChannel(c *gin.Context) error {
	if err := a.deps.Channels.DeleteChannel(c.Request.Context(), c.Param("id")); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}

func (a *API) validate(c *gin.Context) error {
	if a.deps.Validator == nil {
		return failed(http.StatusNotImplemented, "This server runs without a validator.")
	}
	body, err := io.ReadAll(c.Request.Body)
	if err != nil {
		return err
	}
	report, err := a.deps.Validator.Validate(c.Request.Context(), body, c.QueryArray("profile"))
	if err != nil {
		return err
	}
	return writeOutcome(c, &report)
}

func writeOutcome(c *gin.Context, report *validators.Report) error {
	out, err := Outcome(report)
	if err != nil {
		return err
	}
	c.Data(http.StatusOK, "application/fhir+json; charset=utf-8", out)
	return nil
}

func (a *API) getOpenAPI(c *gin.Context) error {
	doc, err := a.openAPI()
	if err != nil {
		return err
	}
	c.Data(http.StatusOK, "application/json", doc)
	return nil
}
