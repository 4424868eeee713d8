package instance

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/fhirpath"
	"fhirwire/validators/ig"
	"fhirwire/validators/profile"
	"fhirwire/validators/terminology"
)

// Definitions are the active guides; *profile.Set is the one over real packages. What it returns is immutable.
type Definitions interface {
	fhirpath.Model
	// Profile finds a StructureDefinition by canonical, with or without |version.
	Profile(canonical string) (*profile.Profile, bool)
	// Versions are the definitions of a url without a version in all active versions of its guide, newest first.
	Versions(url string) []*profile.Profile
	// Seen is the definition that a url without a version means in the definitions of a package.
	Seen(from, url string) (*profile.Profile, bool)
	// Base finds the definition of a FHIR type.
	Base(typeName string) (*profile.Profile, bool)
	// Extension finds an extension's definition.
	Extension(url string) (*profile.Profile, bool)
	IsResourceType(name string) bool
	// SearchParam finds a search parameter by canonical.
	SearchParam(canonical string) (*ig.SearchParam, bool)
	// Packages are the ids with versions, for the report.
	Packages() []string
}

// Terminology answers in three values; *terminology.Service is the one without a server.
type Terminology interface {
	Member(valueSet, system, code string) terminology.Answer
	Code(system, code string) (display string, a terminology.Answer)
	// Known reports whether there is such a value set.
	Known(valueSet string) bool
}

// Resolver finds resources outside the input. Nil without an error means not found, and nothing is said about the reference.
type Resolver interface {
	Resolve(ctx context.Context, from *fhirjson.Node, reference string) (*fhirjson.Node, error)
}

// Options tune a Validator. The zero value is the house default.
type Options struct {
	// ExtraProfiles adds profiles by rules of a guide or a channel; Why is kept in the report.
	ExtraProfiles func(resource *fhirjson.Node) []validators.ProfileChoice
	// Prefer are package ids ("hl7.fhir.us.core#3.1.1") whose versions decide what a canonical without a version means. Where
	// several versions are active and none is preferred, a resource is judged by the one it fits best.
	Prefer []string
	// Resolver, when set, is asked for references that lead out of the input.
	Resolver Resolver
	// BestPractice reports best-practice rules as warnings.
	BestPractice bool
	// ForbidUnknownExtensions makes an unknown extension an error; otherwise it is information.
	ForbidUnknownExtensions bool
	// Namespaces are prefixes of URLs whose definitions are all at hand, so that an extension unknown there does not exist and is
	// an error. FHIR's own is always one.
	Namespaces []string
	// ForbidExamples makes URLs of example.org and acme.com an error, which stand for "to be replaced" in examples.
	ForbidExamples bool
	// MustResolve makes a relative reference that leads nowhere, in the input or by the Resolver, an error.
	MustResolve bool
	// BundledOnly makes a reference that a profile wants within a Bundle an error in a resource that is in none. Otherwise the
	// Bundle it may come from is given the benefit of the doubt.
	BundledOnly bool
	// SkipContained leaves contained resources unchecked.
	SkipContained bool
	// NoHTMLInMarkdown makes HTML tags in markdown an error.
	NoHTMLInMarkdown bool
	// SecurityChecks makes HTML tags in any text an error.
	SecurityChecks bool
	// AllowComments accepts comments in JSON.
	AllowComments bool
	// NoVitalSigns keeps Observations with vital-sign codes from being held against R4's vital-sign profiles.
	NoVitalSigns bool
	// TerminologyName is where terms come from, for the report: "offline" when empty, or the URL of a server.
	TerminologyName string
	// MaxIssues caps the issues of a report; 0 is 1,000. Those beyond are counted.
	MaxIssues int
	// Now is the clock for Report.At, for the plausibility of years and for now() in expressions; nil leaves them out.
	Now func() time.Time
}

const (
	defaultMaxIssues = 1000
	maxResources     = 1000 // rows of Report.Resources
	maxDepth         = 100  // elements in elements; beyond is a finding, not a crash
)

// Validator holds definitions compiled so far. It is safe for concurrent use.
type Validator struct {
	defs     Definitions
	terms    Terminology
	opt      Options
	packages []string

	bases    sync.Map // type name -> *plan
	owners   sync.Map // *profile.Element -> *kids
	profiles sync.Map // planKey -> *planEntry
	exprs    sync.Map // expression -> *compiled
	families sync.Map // url -> *family
	walks    sync.Pool
}

// New makes a Validator.
func New(defs Definitions, terms Terminology, opt Options) *Validator {
	if opt.MaxIssues <= 0 {
		opt.MaxIssues = defaultMaxIssues
	}
	if opt.TerminologyName == "" {
		opt.TerminologyName = "offline"
	}
	return &Validator{defs: defs, terms: terms, opt: opt, packages: defs.Packages()}
}

// ErrNoResource is returned for a nil root.
var ErrNoResource = errors.New("instance: nothing to validate")

// Validate checks one resource. root is a Document's root or any resource below it; profiles are canonicals to hold it
// against besides its base type and its claims. Positions in the report are those of the whole document. The error is the
// context's.
func (v *Validator) Validate(ctx context.Context, root *fhirjson.Node, profiles ...string) (validators.Report, error) {
	if root == nil {
		return validators.Report{}, ErrNoResource
	}
	return v.run(ctx, root.Doc(), root, profiles)
}

// ValidateDocument is Validate for a whole input, also one that has no value at all.
func (v *Validator) ValidateDocument(ctx context.Context, doc *fhirjson.Document, profiles ...string) (validators.Report, error) {
	return v.run(ctx, doc, doc.Root(), profiles)
}

func (v *Validator) run(ctx context.Context, doc *fhirjson.Document, root *fhirjson.Node, asked []string) (validators.Report, error) {
	w := v.walk(ctx, doc)
	defer v.done(w)
	if fatal := w.form(root); !fatal && root != nil {
		w.start(root, asked)
	}
	if err := ctx.Err(); err != nil {
		return validators.Report{}, err
	}
	return w.report(), nil
}

func (v *Validator) walk(ctx context.Context, doc *fhirjson.Document) *walk {
	w, _ := v.walks.Get().(*walk)
	if w == nil {
		w = &walk{v: v}
	}
	w.ctx, w.doc = ctx, doc
	w.env.Terminology, w.env.Conformance, w.env.Resolver = w, w, w
	w.env.Now = v.opt.Now
	return w
}

// done clears what points into the input and keeps the buffers.
func (v *Validator) done(w *walk) {
	w.reset()
	v.walks.Put(w)
}

func (w *walk) report() validators.Report {
	r := validators.Report{
		Context:   validators.Context{Guides: w.v.packages, Rules: validators.RulesVersion, Terminology: w.v.opt.TerminologyName},
		Resources: slices.Clone(w.resources),
		Checked:   w.checked,
	}
	if w.v.opt.Now != nil {
		r.At = w.v.opt.Now()
	}
	w.settle()
	r.Issues, r.Summary, r.IssuesCut = w.issues(r.Resources)
	return r
}
