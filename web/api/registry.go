package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"fhirwire/proxy"
)

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// Registry registers systems and connects them; the API and the dashboard's forms share it.
type Registry struct {
	systems  Systems
	channels Channels
	settings Settings
	opts     Options
}

// NewRegistry returns a registry over d.
func NewRegistry(d Deps, o Options) *Registry {
	return &Registry{systems: d.Systems, channels: d.Channels, settings: d.Settings, opts: o.WithDefaults()}
}

// Register stores a new system and sets its ID, its creation time and, when empty, its slug from the name. Faults are
// proxy.FieldErrors, joined.
func (r *Registry) Register(ctx context.Context, s *proxy.System) error {
	s.ID, s.Created = r.opts.NewID(), r.opts.Clock()
	return r.save(ctx, s)
}

// Change stores a changed system. Names of channels that exist stay as they are.
func (r *Registry) Change(ctx context.Context, s *proxy.System) error { return r.save(ctx, s) }

func (r *Registry) save(ctx context.Context, s *proxy.System) error {
	s.Name = strings.TrimSpace(s.Name)
	s.BaseURL = strings.TrimRight(strings.TrimSpace(s.BaseURL), "/")
	if s.Slug = strings.TrimSpace(s.Slug); s.Slug == "" {
		s.Slug = Slug(s.Name)
	}
	if !s.Has(proxy.RoleServer) {
		s.BaseURL = ""
	}
	if err := s.Validate(); err != nil {
		return err
	}
	err := r.systems.SaveSystem(ctx, s)
	if errors.Is(err, proxy.ErrConflict) {
		return &conflict{field: proxy.FieldError{Field: "slug", Text: fmt.Sprintf("%s is taken by another system; choose another short name", s.Slug)}, cause: err}
	}
	return err
}

// conflict is a proxy.ErrConflict that knows its field.
type conflict struct {
	field proxy.FieldError
	cause error
}

func (c *conflict) Error() string   { return c.field.Error() }
func (c *conflict) Unwrap() []error { return []error{&c.field, c.cause} }

// Connect stores a new channel for c.ClientID and c.ServerID, ids or short names, with c.Options and sets the rest.
func (r *Registry) Connect(ctx context.Context, c *proxy.Channel) error {
	client, errC := r.role(ctx, "client_id", c.ClientID, proxy.RoleClient)
	server, errS := r.role(ctx, "server_id", c.ServerID, proxy.RoleServer)
	if err := errors.Join(errC, errS, r.options(&c.Options)); err != nil {
		return err
	}
	c.ID, c.Created = r.opts.NewID(), r.opts.Clock()
	c.ClientID, c.ServerID = client.ID, server.ID
	c.Name, c.ServerURL = proxy.ChannelName(client, server), server.BaseURL
	if r.opts.ChannelSuffix != nil {
		c.Name += "~" + r.opts.ChannelSuffix()
	}
	err := r.channels.SaveChannel(ctx, c)
	if errors.Is(err, proxy.ErrConflict) {
		return &conflict{field: proxy.FieldError{Field: "server_id", Text: fmt.Sprintf("%s and %s are connected already, by channel %s", client.Name, server.Name, c.Name)}, cause: err}
	}
	return err
}

func (r *Registry) role(ctx context.Context, field, id string, role proxy.Role) (*proxy.System, error) {
	s, err := r.systems.System(ctx, id)
	if errors.Is(err, proxy.ErrNotFound) {
		s, err = r.named(ctx, id)
	}
	switch {
	case err == nil && s == nil:
		return nil, &proxy.FieldError{Field: field, Text: "choose a registered " + string(role)}
	case err != nil:
		return nil, err
	case !s.Has(role):
		return nil, &proxy.FieldError{Field: field, Text: fmt.Sprintf("%s is not registered as a %s; choose another or change its role", s.Name, role)}
	}
	return s, nil
}

// named is the system with a short name, nil for none.
func (r *Registry) named(ctx context.Context, slug string) (*proxy.System, error) {
	all, err := r.systems.Systems(ctx)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(all, func(s *proxy.System) bool { return s.Slug == slug }); i >= 0 {
		return all[i], nil
	}
	return nil, nil //nolint:nilnil // no such system is not a fault here
}

// Slug makes a short name from a name: "Diamond Payer, Inc." gives "diamond-payer-inc".
func Slug(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	slug := strings.Join(words, "-")
	if len(slug) > 40 {
		slug = strings.TrimRight(slug[:40], "-")
	}
	return slug
}

// FieldErrors collects the proxy.FieldErrors in err by field; more faults of one field are joined by "; ".
func FieldErrors(err error) map[string]string {
	out := map[string]string{}
	for _, fe := range fieldErrors(err) {
		if out[fe.Field] != "" {
			out[fe.Field] += "; "
		}
		out[fe.Field] += fe.Text
	}
	return out
}

func fieldErrors(err error) []*proxy.FieldError {
	switch e := err.(type) { //nolint:errorlint // walks the tree itself, so that every joined field is found
	case nil:
		return nil
	case *proxy.FieldError:
		return []*proxy.FieldError{e}
	case interface{ Unwrap() []error }:
		var out []*proxy.FieldError
		for _, sub := range e.Unwrap() {
			out = slices.Concat(out, fieldErrors(sub))
		}
		return out
	case interface{ Unwrap() error }:
		return fieldErrors(e.Unwrap())
	}
	return nil
}
