package fhirapi

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/time/rate"

	"fhirwire/reference/attribution"
	"fhirwire/reference/bulk"
	"fhirwire/reference/resources"
	"fhirwire/reference/search"
	"fhirwire/validators"
)

// Prefix is the path of the FHIR base.
const Prefix = "/fhir"

// Matcher answers Patient/$member-match: status, body and, with 429, how long to wait.
type Matcher interface {
	Match(ctx context.Context, parameters []byte) (status int, body []byte, retryAfter time.Duration, err error)
}

// Options tune New. NewID and Clock are required.
type Options struct {
	// BaseURL is the FHIR base in links, without a trailing slash. Empty: scheme and Host of each request with Prefix.
	BaseURL string
	Logger  *slog.Logger
	Clock   func() time.Time
	NewID   func() string
	// Matcher may be nil: then $member-match is neither served nor announced.
	Matcher Matcher
	// BulkMatcher may be nil: then the matches of many members are neither served nor announced.
	BulkMatcher BulkMatcher
	// Lists answers the operations on attribution lists; nil: not served. Owners tells which Groups are whose; nil: all are open.
	Lists  *attribution.Lists
	Owners *attribution.Owners
	// OptedOut gives the patients that no Group shows; nil: all are shown.
	OptedOut func(context.Context) (map[string]bool, error)
	// Client tells who makes a request, "" for nobody in particular. Nil: nobody is known.
	Client func(context.Context) string
	// Member tells which one patient a request's token is for, "" for any; $export is limited to that one. Nil: any.
	Member func(context.Context) string
	// Only gives the types that a request may bring along or ask about besides what it searches; nil: all. Nil function: all.
	Only func(context.Context) []string
	// General reports a request whose token covers no sensitive data (P2P-MM-165): they are left out of every answer. Nil: none does.
	General func(context.Context) bool
	// Validate judges what is to be stored; nil: it is stored as it comes.
	Validate func(ctx context.Context, body []byte) ([]validators.Issue, error)
	// Security gives what the capability statement says of authorization. Nil: there is none.
	Security func(*http.Request) Security
	// Profiles gives the profiles of a type for the capability statement.
	Profiles func(typ string) []string
	// Required gives the root elements that _elements cannot leave out.
	Required resources.Required
	// Summary gives the root elements of _summary=true.
	Summary func(typ string) []string
	// Guides are canonicals of implementation guides, Instantiates of capability statements, both claimed in the statement.
	Guides, Instantiates []string
	// Version is the software's.
	Version string
	// PageSize and MaxPageSize bound search pages; 0 means 50 and 1000. EverythingSize is the page of $everything; 0 means 200.
	PageSize, MaxPageSize, EverythingSize int
	// PollEvery is how often a job that is not finished may be asked for, with a burst of five; 0 means each second, below 0 no limit.
	PollEvery time.Duration
	// MaxBody bounds request bodies in bytes; 0 means 32 MiB.
	MaxBody int64
}

// API serves FHIR. It is safe for concurrent use.
type API struct {
	store  *resources.Store
	reg    *search.Registry
	export *bulk.Manager
	o      Options
	engine *gin.Engine
	polls  polls
	ops    map[operationKey]map[string]func(*gin.Context) error

	lastStatement atomic.Pointer[rendered]
}

// New builds the routes.
func New(store *resources.Store, reg *search.Registry, export *bulk.Manager, o Options) *API {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.PageSize == 0 {
		o.PageSize = 50
	}
	if o.MaxPageSize == 0 {
		o.MaxPageSize = 1000
	}
	if o.EverythingSize == 0 {
		o.EverythingSize = 200
	}
	if o.MaxBody == 0 {
		o.MaxBody = 32 << 20
	}
	none := func(string) []string { return nil }
	for _, f := range []*func(string) []string{&o.Profiles, &o.Summary} {
		if *f == nil {
			*f = none
		}
	}
	if o.Member == nil {
		o.Member = func(context.Context) string { return "" }
	}
	if o.General == nil {
		o.General = func(context.Context) bool { return false }
	}
	if o.Only == nil {
		o.Only = func(context.Context) []string { return nil }
	}
	if o.Required == nil {
		o.Required = func(string, []string) []string { return nil }
	}
	o.BaseURL = strings.TrimSuffix(o.BaseURL, "/")
	if o.PollEvery == 0 {
		o.PollEvery = time.Second
	}
	a := &API{store: store, reg: reg, export: export, o: o, polls: polls{every: o.PollEvery, jobs: map[string]*rate.Limiter{}}}
	a.ops = a.operations()
	for name, h := range a.listOperations() {
		a.ops[operationKey{"Group", "$" + name, true}] = map[string]func(*gin.Context) error{http.MethodPost: h}
	}
	for key, h := range a.bulkMatchOperations() {
		a.ops[key] = map[string]func(*gin.Context) error{http.MethodPost: h}
	}
	a.engine = a.routes()
	return a
}

// Handler serves the API; it answers every path, with an OperationOutcome where there is nothing.
func (a *API) Handler() http.Handler { return a.engine }

func (a *API) routes() *gin.Engine {
	e := gin.New()
	e.RedirectTrailingSlash = false
	e.RedirectFixedPath = false
	e.HandleMethodNotAllowed = true
	e.UseRawPath = true
	e.UnescapePathValues = true
	e.NoRoute(a.wrap(nothing))
	e.NoMethod(a.wrap(func(c *gin.Context) error {
		return failf(http.StatusMethodNotAllowed, "not-supported", "%s is not supported here; Allow says what is.", c.Request.Method)
	}))
	e.Use(a.recoverPanic, cors, a.reserved, a.ownGroups, a.ownJobs)

	get := func(path string, h func(*gin.Context) error) {
		e.GET(Prefix+path, a.wrap(h))
		e.HEAD(Prefix+path, a.wrap(h))
	}
	post := func(path string, h func(*gin.Context) error) { e.POST(Prefix+path, a.wrap(h)) }
	get("/metadata", a.metadata)
	get("", a.searchAll)
	get("/", a.searchAll)
	get("/_search", a.searchAll)
	post("/_search", a.searchAll)
	get("/_history", a.histories)
	post("", a.batch)
	post("/", a.batch)
	get("/$export", a.kickOff(bulk.System))
	post("/$export", a.kickOff(bulk.System))
	get("/bulk/:job/status", a.exportStatus)
	e.DELETE(Prefix+"/bulk/:job/status", a.wrap(a.exportCancel))
	get("/bulk/:job/files/:name", a.exportFile)

	// Operations go through the same routes as ids: gin does not fall back from a literal "Patient" to ":type".
	get("/:type", a.searchType)
	post("/:type", a.create)
	post("/:type/_search", a.searchType)
	get("/:type/:id", a.orOperation(a.readOrSearch))
	post("/:type/:id", a.orOperation(nil))
	e.PUT(Prefix+"/:type/:id", a.wrap(a.orOperation(a.update)))
	e.PATCH(Prefix+"/:type/:id", a.wrap(a.orOperation(a.patch)))
	e.PATCH(Prefix+"/:type", a.wrap(a.patchWhere))
	e.DELETE(Prefix+"/:type/:id", a.wrap(a.orOperation(a.remove)))
	e.PUT(Prefix+"/:type", a.wrap(a.updateWhere))
	e.DELETE(Prefix+"/:type", a.wrap(a.removeWhere))
	get("/:type/:id/_history", a.history)
	get("/:type/:id/_history/:vid", a.vread)
	get("/:type/:id/:op", a.operation)
	post("/:type/:id/:op", a.operation)
	get("/:type/:id/:op/:verb", nothing)
	post("/:type/:id/:op/:verb", a.compartmentPost)
	return e
}

func nothing(c *gin.Context) error {
	return failf(http.StatusNotFound, "not-found", "There is nothing at %s.", c.Request.URL.Path)
}

// reserved keeps methods from what looks like a type and is none.
func (a *API) reserved(c *gin.Context) {
	allow := map[string]string{"metadata": "GET, HEAD", "bulk": "GET, HEAD, DELETE"}[c.Param("type")]
	if allow == "" || c.Request.Method == http.MethodOptions {
		return
	}
	c.Header("Allow", allow)
	a.fail(c, failf(http.StatusMethodNotAllowed, "not-supported", "%s is not supported here; Allow says what is.", c.Request.Method))
	c.Abort()
}

// operationKey names an operation on a type ("Patient/$export") or on its instances ("Patient/id/$everything").
type operationKey struct {
	typ, name string
	instance  bool
}

// operations lists what the routes above serve for each, by method; HEAD goes with GET.
func (a *API) operations() map[operationKey]map[string]func(*gin.Context) error {
	both := func(h func(*gin.Context) error) map[string]func(*gin.Context) error {
		return map[string]func(*gin.Context) error{http.MethodGet: h, http.MethodPost: h}
	}
	ops := map[operationKey]map[string]func(*gin.Context) error{
		{"Patient", "$export", false}:    both(a.kickOff(bulk.Patient)),
		{"Patient", "$everything", true}: both(a.everything),
		{"Group", "$export", true}:       both(a.kickOff(bulk.Group)),
		{"Group", dataExport, true}:      both(a.kickOff(bulk.Group)),

		{"InsurancePlan", "$export", false}: both(a.kickOff(bulk.Formulary)),
		{"InsurancePlan", "$export", true}:  both(a.kickOff(bulk.Formulary)),
	}
	if a.docrefOffered() {
		ops[operationKey{"DocumentReference", "$docref", false}] = both(a.docref)
	}
	if a.o.Matcher != nil {
		ops[operationKey{"Patient", "$member-match", false}] = map[string]func(*gin.Context) error{http.MethodPost: a.memberMatch}
	}
	return ops
}

// orOperation serves an operation on the type where the id is its name.
func (a *API) orOperation(h func(*gin.Context) error) func(*gin.Context) error {
	return func(c *gin.Context) error {
		if id := c.Param("id"); strings.HasPrefix(id, "$") {
			return a.dispatch(c, operationKey{c.Param("type"), id, false})
		}
		if h == nil {
			c.Header("Allow", "GET, HEAD, PUT, PATCH, DELETE")
			return failf(http.StatusMethodNotAllowed, "not-supported", "POST is not supported on a resource.")
		}
		return h(c)
	}
}

func (a *API) operation(c *gin.Context) error {
	if c.Request.Method != http.MethodPost {
		if served, err := a.compartment(c); served {
			return err
		}
	}
	return a.dispatch(c, operationKey{c.Param("type"), c.Param("op"), true})
}

func (a *API) dispatch(c *gin.Context, k operationKey) error {
	byMethod := a.ops[k]
	if byMethod == nil {
		return failf(http.StatusNotFound, "not-supported", "There is no operation %s here.", k.name)
	}
	method := c.Request.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	h := byMethod[method]
	if h == nil {
		c.Header("Allow", strings.Join(slices.Sorted(maps.Keys(byMethod)), ", "))
		return failf(http.StatusMethodNotAllowed, "not-supported", "%s is not supported for %s.", c.Request.Method, k.name)
	}
	return h(c)
}

// base is the FHIR base URL of the answer to this request.
func (a *API) base(r *http.Request) string {
	if a.o.BaseURL != "" {
		return a.o.BaseURL
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host + Prefix
}

func (a *API) recoverPanic(c *gin.Context) {
	defer func() {
		if v := recover(); v != nil {
			if v == http.ErrAbortHandler { //nolint:errorlint // a sentinel that net/http compares by identity too
				panic(v)
			}
			a.o.Logger.ErrorContext(c.Request.Context(), "handler panicked", "path", c.Request.URL.Path, "panic", v)
			if !c.Writer.Written() {
				a.fail(c, failf(http.StatusInternalServerError, "exception", "The server failed on this request."))
			}
			c.Abort()
		}
	}()
	c.Next()
}

// cors lets browser clients in: the data are synthetic and nothing is authorized by cookies.
func cors(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Content-Location, Location, ETag, Last-Modified, Retry-After, X-Progress, Expires, WWW-Authenticate, Accept-Patch, X-Fhirwire-Edge")
	if c.Request.Method != http.MethodOptions {
		return
	}
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "Accept, Authorization, Cache-Control, Content-Type, If-Match, If-Modified-Since, If-None-Exist, If-None-Match, Prefer, Range, "+
		"X-Fhirwire-Edge, X-Provenance, X-Requested-With")
	h.Set("Access-Control-Max-Age", "600")
	c.AbortWithStatus(http.StatusNoContent)
}
