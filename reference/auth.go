package reference

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"fhirwire/internal/sqldb"
	"fhirwire/reference/directory"
	"fhirwire/reference/edgecases"
	"fhirwire/reference/fhirapi"
	"fhirwire/reference/membermatch"
	"fhirwire/reference/resources"
	"fhirwire/reference/search"
	"fhirwire/reference/smartauth"
	"fhirwire/validators/fhirjson"
)

func openAuth(ctx context.Context, db *sqldb.DB, o Options) (*smartauth.Server, error) {
	switch o.Auth {
	case "", smartauth.Off, smartauth.Optional, smartauth.Required:
	default:
		return nil, fmt.Errorf("%q is no mode of authorization: off, optional or required", o.Auth)
	}
	o.OAuth.Clock, o.OAuth.Logger, o.OAuth.FHIRPath = o.Clock, o.Logger, fhirapi.Prefix
	return smartauth.New(ctx, db, o.DataDir, o.OAuth)
}

// openTypes are what a formulary consists of: public, so that nobody has to show a token to read or search it.
var openTypes = []string{"InsurancePlan", "Basic", "MedicationKnowledge", "Location"}

// routes puts the parts of the server together. The guard stands in front of the edge cases, which may be switched per client.
func (s *Server) routes(o Options) http.Handler {
	if o.Auth == "" {
		o.Auth = smartauth.Optional
	}
	open := s.edges.Wrap(fhirapi.Prefix, s.api.Handler())
	api := s.auth.Protect(open, smartauth.ProtectOptions{
		Mode: o.Auth, ForeignTokens: true, Owner: owner{s.store, s.reg}.patients, Exports: true, Open: openTypes, NarrowsOpen: true, IdentifierLookup: true,
		Searches: func(typ, parameter string) bool { _, ok := s.reg.Param(typ, parameter); return ok },
	})
	mux := http.NewServeMux()
	auth, admin := s.edges.WrapOAuth(s.auth.Handler()), s.edges.Admin()
	mux.Handle(edgecases.AdminPath, admin)
	mux.Handle(edgecases.AdminPath+"/", admin)
	mux.Handle(smartauth.Prefix+"/", auth)
	discovery := []string{smartauth.WellKnown}
	if o.OAuth.UDAP != nil {
		discovery = append(discovery, smartauth.UDAPWellKnown)
	}
	for _, at := range discovery {
		mux.Handle(at, auth)
		mux.Handle(fhirapi.Prefix+at, auth)
	}
	if o.Directory != nil {
		mux.Handle(directory.Prefix+"/", directory.New(o.Directory, directory.Options{Logger: o.Logger}).Handler())
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The mux cleans paths by redirecting; a FHIR server answers for the path it was asked.
		if h, pattern := mux.Handler(r); pattern != "" && strings.HasPrefix(r.URL.Path, strings.TrimSuffix(pattern, "/")) {
			h.ServeHTTP(w, r)
			return
		}
		if client, ok := s.edges.Opened(r); ok {
			open.ServeHTTP(w, r.WithContext(smartauth.WithGrant(r.Context(), &smartauth.Grant{Client: client})))
			return
		}
		api.ServeHTTP(w, r)
	})
}

// security is what the capability statement says (P2P-DSC-02).
func (s *Server) security(mode smartauth.Mode) func(*http.Request) fhirapi.Security {
	description := "A request without a token is answered. With a token of this server a client has what the token allows; tokens issued elsewhere are not looked at."
	switch mode {
	case smartauth.Off:
		return nil
	case smartauth.Required:
		description = "Every request needs a token, save those for discovery and for formularies."
	case smartauth.Optional: // as above, and the default
	}
	return func(r *http.Request) fhirapi.Security {
		at := s.auth.Endpoints(r)
		return fhirapi.Security{Token: at.Token, Register: at.Register, Description: description}
	}
}

// clientOf is the client whose token the guard in front has accepted, "" where it lets anybody in.
func clientOf(ctx context.Context) string {
	if g := smartauth.GrantFrom(ctx); g != nil {
		return g.Client
	}
	return ""
}

// memberOf is the one member that the token is for.
func memberOf(ctx context.Context) string {
	if g := smartauth.GrantFrom(ctx); g != nil {
		return g.Patient
	}
	return ""
}

// generalOf reports a token for one member whose consent leaves sensitive data out.
func generalOf(ctx context.Context) bool {
	g := smartauth.GrantFrom(ctx)
	return g != nil && g.Patient != "" && !g.Sensitive
}

// organizationOf is the payer whose client certificate the client registered with.
func organizationOf(ctx context.Context) string {
	if g := smartauth.GrantFrom(ctx); g != nil {
		return g.Organization
	}
	return ""
}

// matcher adapts membermatch to the HTTP side and notes what a client may then ask a member's token for.
type matcher struct {
	m    *membermatch.Matcher
	auth *smartauth.Server
}

func (a matcher) Match(ctx context.Context, body []byte) (int, []byte, time.Duration, error) {
	r, err := a.m.Match(ctx, body)
	if client := clientOf(ctx); err == nil && r.Grant != nil && client != "" {
		err = a.auth.RecordMatch(ctx, smartauth.Match{
			Client: client, Patient: r.Grant.PatientID, Identifier: r.Grant.Identifier.Value, Start: r.Grant.Start, End: r.Grant.End, Sensitive: r.Grant.Sensitive,
		})
	}
	return r.Status, r.Body, r.RetryAfter, err
}

// owner tells whose a resource is.
type owner struct {
	store *resources.Store
	reg   *search.Registry
}

// patients are those in whose compartment the resource is, or for the past any version of it was. Of a deleted resource the last
// version counts.
func (o owner) patients(ctx context.Context, typ, id string, past bool) ([]string, error) {
	versions, err := o.store.History(ctx, typ, id)
	if errors.Is(err, resources.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []string
	var entries search.Entries
	for _, v := range versions {
		if v.Deleted {
			continue
		}
		entries.Reset()
		doc := fhirjson.Parse(v.Body)
		err := o.reg.Index(ctx, doc.Root(), &entries)
		doc.Release()
		if err != nil {
			return nil, fmt.Errorf("owner of %s/%s: %w", typ, id, err)
		}
		if entries.Patient != "" && !slices.Contains(out, entries.Patient) {
			out = append(out, strings.Clone(entries.Patient))
		}
		if !past {
			break
		}
	}
	return out, nil
}
