package search

import (
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"fhirwire/validators/fhirpath"
)

// Kind is a search parameter's type.
type Kind string

// The kinds this server indexes. Special parameters are not served.
const (
	Token     Kind = "token"
	String    Kind = "string"
	Reference Kind = "reference"
	Date      Kind = "date"
	Number    Kind = "number"
	Quantity  Kind = "quantity"
	URI       Kind = "uri"
	// Composite is of parts that are all tokens.
	Composite Kind = "composite"
)

// Definition is what a SearchParameter says about one base type.
type Definition struct {
	URL        string
	Code       string
	Kind       Kind
	Expression string
	Targets    []string
	// Parts are the expressions of a composite's components, on what Expression gives.
	Parts []string
}

// Definitions gives the SearchParameters of a type, those of its base types included.
type Definitions interface {
	SearchDefinitions(base string) []Definition
}

// Param is a search parameter of one resource type. It is immutable.
type Param struct {
	Type string
	Code string
	Kind Kind
	// URL is the canonical of the definition, "" where the server defines the parameter itself.
	URL string
	// ID names (Type, Code) in index rows. It is a hash, so it stays the same over versions and databases.
	ID int64
	// Targets are the resource types a reference parameter may point to; empty: any.
	Targets []string
	// Compartment marks the parameter whose Patient value is kept in the resource's compartment instead of in the index.
	Compartment bool

	exprs []*fhirpath.Expr
	parts []*fhirpath.Expr
}

// The parameters of every type; they are no index rows but columns of the store.
const (
	CodeID          = "_id"
	CodeLastUpdated = "_lastUpdated"
)

// codeProfile is a URI that may name a version behind a bar; the version is kept apart, so that it may be left out of a search.
const codeProfile = "_profile"

// Column reports a parameter that the store answers from the resource's own row.
func (p *Param) Column() bool { return p.Code == CodeID || p.Code == CodeLastUpdated }

// Typed reports an identifier parameter that is indexed by the identifiers' types too, for the modifier of-type: on the types that
// people look up by a number of a certain kind.
func (p *Param) Typed() bool {
	return p.Code == "identifier" && slices.Contains([]string{"Group", "Organization", "Patient", "Practitioner"}, p.Type)
}

// SubID is the index id of a second view on the parameter: "identifier" for logical references, "of-type" for typed identifiers.
func (p *Param) SubID(view string) int64 { return paramID(p.Type, p.Code+":"+view) }

func paramID(typ, code string) int64 {
	h := fnv.New64a()
	h.Write([]byte(typ))
	h.Write([]byte{'.'})
	h.Write([]byte(code))
	return int64(h.Sum64() & 0x7fffffff)
}

// Registry is the served types with their parameters, compiled. It is immutable and shared.
type Registry struct {
	types     map[string]*typeParams
	names     []string
	model     fhirpath.Model
	referents referents
	// missing are served parameters that the definitions do not know.
	missing []string
}

type typeParams struct {
	params  []*Param // by code
	byCode  map[string]*Param
	patient *Param
}

// NewRegistry compiles the served table over the definitions. A parameter that they do not define (its guide is not active)
// is left out and listed by Missing. One of a kind that this package does not index, or with an expression that does not
// compile, is an error.
func NewRegistry(defs Definitions, model fhirpath.Model) (*Registry, error) {
	r := &Registry{types: map[string]*typeParams{}, model: model, referents: newReferents(typeNames())}
	seen := map[int64]string{}
	var errs []error
	for _, row := range served {
		t := &typeParams{byCode: map[string]*Param{}}
		add := func(p *Param) {
			if other, ok := seen[p.ID]; ok {
				errs = append(errs, fmt.Errorf("search parameter %s.%s: index id collides with %s", p.Type, p.Code, other))
			}
			seen[p.ID] = p.Type + "." + p.Code
			t.params = append(t.params, p)
			t.byCode[p.Code] = p
		}
		known := defs.SearchDefinitions(row.Type)
		codes := append(strings.Fields(row.Codes), everyType...)
		slices.Sort(codes)
		for _, code := range codes {
			p, err := r.define(row.Type, code, known)
			if errors.Is(err, errUndefined) {
				r.missing = append(r.missing, row.Type+"."+code)
				continue
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("search parameter %s.%s: %w", row.Type, code, err))
				continue
			}
			p.Compartment = row.Patient != "" && (code == row.Patient || code == "subject" && row.Patient == "patient")
			add(p)
		}
		t.patient = t.byCode[row.Patient]
		if row.Patient != "" && t.patient == nil {
			errs = append(errs, fmt.Errorf("search table: %s has no parameter %s", row.Type, row.Patient))
		}
		r.types[row.Type] = t
		r.names = append(r.names, row.Type)
	}
	slices.Sort(r.names)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return r, nil
}

var errUndefined = errors.New("no definition")

// everyType are the parameters each type has.
var everyType = []string{CodeID, CodeLastUpdated, "_tag", "_security", codeProfile, "_source"}

func (r *Registry) define(typ, code string, known []Definition) (*Param, error) {
	p := &Param{Type: typ, Code: code, ID: paramID(typ, code)}
	switch code {
	case CodeID:
		p.Kind, p.URL = Token, "http://hl7.org/fhir/SearchParameter/Resource-id"
		return p, nil
	case CodeLastUpdated:
		p.Kind, p.URL = Date, "http://hl7.org/fhir/SearchParameter/Resource-lastUpdated"
		return p, nil
	}
	var sources, parts []string
	for _, d := range known {
		if d.Code != code {
			continue
		}
		if p.Kind == "" {
			p.Kind, p.URL, p.Targets = d.Kind, d.URL, slices.Clone(d.Targets)
			parts = d.Parts
		}
		if d.Kind != p.Kind {
			continue // a guide that retypes a base parameter; the first definition decides
		}
		for _, t := range d.Targets {
			if !slices.Contains(p.Targets, t) {
				p.Targets = append(p.Targets, t)
			}
		}
		for _, alt := range alternatives(d.Expression, typ) {
			if !slices.Contains(sources, alt) {
				sources = append(sources, alt)
			}
		}
	}
	switch p.Kind {
	case Token, String, Reference, Date, Number, Quantity, URI:
	case Composite:
		if len(parts) < 2 { // a source that tells no parts does not define it
			return nil, errUndefined
		}
	case "":
		return nil, errUndefined
	default:
		return nil, fmt.Errorf("kind %s is not indexed", p.Kind)
	}
	if len(sources) == 0 {
		return nil, errors.New("no expression for this type")
	}
	var err error
	if p.exprs, err = r.compile(sources); err == nil {
		p.parts, err = r.compile(parts)
	}
	return p, err
}

func (r *Registry) compile(sources []string) ([]*fhirpath.Expr, error) {
	out := make([]*fhirpath.Expr, len(sources))
	for i, src := range sources {
		var err error
		if out[i], err = fhirpath.Compile(src, r.model); err != nil {
			return nil, fmt.Errorf("expression %q: %w", src, err)
		}
	}
	return out, nil
}

// alternatives cuts a definition's expression at its top-level unions and keeps what concerns typ: definitions that serve
// many types list them all. Casts become filters, since "x as date" is an error where x repeats.
func alternatives(src, typ string) []string {
	var out []string
	depth, start, quoted := 0, 0, false
	flush := func(end int) {
		alt := strings.TrimSpace(src[start:end])
		if alt == "" || !concerns(alt, typ) {
			return
		}
		out = append(out, filterCast(alt))
	}
	for i := range len(src) {
		switch c := src[i]; {
		case c == '\'':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == '|' && depth == 0:
			flush(i)
			start = i + 1
		}
	}
	flush(len(src))
	return out
}

func concerns(alt, typ string) bool {
	name := strings.TrimLeft(alt, "( ")
	end := strings.IndexFunc(name, func(r rune) bool {
		return r != '_' && !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9')
	})
	if end >= 0 {
		name = name[:end]
	}
	return name == typ || name == "Resource" || name == "DomainResource" || name != "" && 'a' <= name[0] && name[0] <= 'z'
}

func filterCast(alt string) string {
	if inner, ok := strings.CutPrefix(alt, "("); ok {
		if end := strings.IndexByte(inner, ')'); end > 0 {
			if path, typ, ok := strings.Cut(inner[:end], " as "); ok && !strings.ContainsAny(path, "('") {
				alt = path + ".ofType(" + strings.TrimSpace(typ) + ")" + inner[end+1:]
			}
		}
	}
	return strings.ReplaceAll(alt, ".as(", ".ofType(")
}

// Missing are the served parameters, as Type.code, that no active definition describes.
func (r *Registry) Missing() []string { return slices.Clone(r.missing) }

// Types are the served resource types, sorted.
func (r *Registry) Types() []string { return r.names }

// Serves reports whether the type is served.
func (r *Registry) Serves(typ string) bool { return r.types[typ] != nil }

// Params are the parameters of a type by code, nil for a type that is not served.
func (r *Registry) Params(typ string) []*Param {
	if t := r.types[typ]; t != nil {
		return t.params
	}
	return nil
}

// Param finds a parameter of a type.
func (r *Registry) Param(typ, code string) (*Param, bool) {
	t := r.types[typ]
	if t == nil {
		return nil, false
	}
	p, ok := t.byCode[code]
	return p, ok
}

// InPatientCompartment reports whether resources of the type belong to one patient: Patient itself and the types whose
// table row names the parameter.
func (r *Registry) InPatientCompartment(typ string) bool {
	t := r.types[typ]
	return typ == "Patient" || t != nil && t.patient != nil
}

// Fingerprint changes when the same resource would be indexed differently.
func (r *Registry) Fingerprint() string {
	var b strings.Builder
	fmt.Fprintf(&b, "v%d;", indexVersion)
	for _, name := range r.names {
		for _, p := range r.types[name].params {
			fmt.Fprintf(&b, "%s.%s:%s:%t", p.Type, p.Code, p.Kind, p.Compartment)
			for _, e := range slices.Concat(p.exprs, p.parts) {
				b.WriteString("|" + e.String())
			}
			b.WriteByte('\n')
		}
	}
	h := fnv.New64a()
	h.Write([]byte(b.String()))
	return fmt.Sprintf("%016x", h.Sum64())
}

// indexVersion goes up when the normal forms change.
const indexVersion = 2
