package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"fhirwire/proxy"
)

// ChangeChannel stores changed options of a channel. Faults are proxy.FieldErrors, joined.
func (r *Registry) ChangeChannel(ctx context.Context, ch *proxy.Channel) error {
	if err := r.options(&ch.Options); err != nil {
		return err
	}
	return r.channels.SaveChannel(ctx, ch)
}

// options holds a channel's options against their form and against what there is.
func (r *Registry) options(o *proxy.ChannelOptions) error {
	errs := []error{o.Validate()}
	for typ, profile := range o.Profiles {
		if u, err := url.Parse(profile); err != nil || !u.IsAbs() || typ == "" || strings.ContainsAny(typ, " \t") {
			errs = append(errs, &proxy.FieldError{Field: "profiles", Text: fmt.Sprintf("%q for %q: type a resource type and a profile's URL, for example Patient http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient", profile, typ)})
		}
	}
	if r.settings == nil {
		return errors.Join(errs...)
	}
	guides := r.settings.Guides()
	for _, id := range o.Guides {
		if len(guides) > 0 && !slices.ContainsFunc(guides, func(g Guide) bool { return g.ID == id }) {
			errs = append(errs, &proxy.FieldError{Field: "guides", Text: fmt.Sprintf("%q is not among the guides known here; fhirwire packages list names them", id)})
		}
	}
	if o.ClientCert != "" && !slices.Contains(r.settings.ClientCertificates(), o.ClientCert) {
		errs = append(errs, &proxy.FieldError{Field: "client_cert", Text: fmt.Sprintf("no certificate is called %q; issue it with: fhirwire ca issue --client %s", o.ClientCert, o.ClientCert)})
	}
	return errors.Join(errs...)
}

// getAuth answers with the ledger of a channel's access tokens.
func (a *API) getAuth(c *gin.Context) error {
	if a.deps.Tokens == nil {
		return failed(http.StatusNotImplemented, "This server runs without the token ledger.")
	}
	ch, err := a.deps.Channels.Channel(c.Request.Context(), c.Param("id"))
	if err != nil {
		return err
	}
	ledger, err := a.deps.Tokens.Ledger(c.Request.Context(), ch.Name)
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, ledger)
	return nil
}
