package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"fhirwire/proxy"
)

// SaveSystem inserts sys, or updates the system that has its ID. An empty ID and a zero Created are filled in. The error
// wraps proxy.ErrInvalid for a field that is not acceptable and proxy.ErrConflict when another system has the slug.
func (s *Store) SaveSystem(ctx context.Context, sys *proxy.System) error {
	if err := sys.Validate(); err != nil {
		return err
	}
	if sys.ID == "" {
		sys.ID = s.opt.NewID()
	}
	if sys.Created.IsZero() {
		sys.Created = s.opt.Clock()
	}
	roles := make([]string, len(sys.Roles))
	for i, r := range sys.Roles {
		roles[i] = string(r)
	}
	options, err := json.Marshal(sys.Options)
	if err != nil {
		return fmt.Errorf("system %s: options: %w", sys.Slug, err)
	}
	row := systemRow{
		ID: sys.ID, Slug: sys.Slug, Name: sys.Name, Roles: strings.Join(roles, ","), BaseURL: strings.TrimRight(sys.BaseURL, "/"),
		Simulated: sys.Simulated, Options: string(options), CreatedUS: micros(sys.Created),
	}
	err = s.write(ctx).Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "id"}},
		DoUpdates: clause.AssignmentColumns([]string{"slug", "name", "roles", "base_url", "simulated", "options"}),
	}).Create(&row).Error
	s.forget()
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return fmt.Errorf("system %s: another system has this slug: %w", sys.Slug, proxy.ErrConflict)
	}
	if err != nil {
		return fmt.Errorf("save system %s: %w", sys.Slug, err)
	}
	return nil
}

// System reads the system with id; the error wraps proxy.ErrNotFound when there is none.
func (s *Store) System(ctx context.Context, id string) (*proxy.System, error) {
	return s.system(ctx, "id", id)
}

// SystemBySlug reads the system with slug; the error wraps proxy.ErrNotFound when there is none.
func (s *Store) SystemBySlug(ctx context.Context, slug string) (*proxy.System, error) {
	return s.system(ctx, "slug", slug)
}

func (s *Store) system(ctx context.Context, column, value string) (*proxy.System, error) {
	var row systemRow
	err := s.read(ctx).Where(clause.Eq{Column: clause.Column{Name: column}, Value: value}).Take(&row).Error
	if err != nil {
		return nil, fmt.Errorf("system %s: %w", value, absent(err))
	}
	return row.word()
}

// Systems reads all systems by name.
func (s *Store) Systems(ctx context.Context) ([]*proxy.System, error) {
	var rows []systemRow
	if err := s.read(ctx).Order("lower(name), id").Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("systems: %w", err)
	}
	out := make([]*proxy.System, len(rows))
	for i := range rows {
		sys, err := rows[i].word()
		if err != nil {
			return nil, err
		}
		out[i] = sys
	}
	return out, nil
}

func (r *systemRow) word() (*proxy.System, error) {
	sys := &proxy.System{
		ID: r.ID, Slug: r.Slug, Name: r.Name, BaseURL: r.BaseURL, Simulated: r.Simulated, Created: fromMicros(r.CreatedUS),
	}
	for role := range strings.SplitSeq(r.Roles, ",") {
		sys.Roles = append(sys.Roles, proxy.Role(role))
	}
	if err := json.Unmarshal([]byte(r.Options), &sys.Options); err != nil {
		return nil, fmt.Errorf("system %s: stored options: %w", r.Slug, err)
	}
	return sys, nil
}

// DeleteSystem deletes the system and its channels. What was recorded over them stays, under the channels' names. The
// error wraps proxy.ErrNotFound when there is none.
func (s *Store) DeleteSystem(ctx context.Context, id string) error {
	return s.deleteRow(ctx, "system", id, &systemRow{})
}

// DeleteChannel deletes the channel; what was recorded over it stays. The error wraps proxy.ErrNotFound when there is none.
func (s *Store) DeleteChannel(ctx context.Context, id string) error {
	return s.deleteRow(ctx, "channel", id, &channelRow{})
}

func (s *Store) deleteRow(ctx context.Context, what, id string, row any) error {
	res := s.write(ctx).Where("id = ?", id).Delete(row)
	s.forget()
	if res.Error != nil {
		return fmt.Errorf("delete %s %s: %w", what, id, res.Error)
	}
	if res.RowsAffected == 0 {
		return fmt.Errorf("%s %s: %w", what, id, proxy.ErrNotFound)
	}
	return nil
}

// SaveChannel inserts ch, or updates the channel that has its ID. An empty ID, Name (CLIENT~SERVER) and a zero Created are
// filled in, ServerURL is set to the server system's. The error wraps proxy.ErrInvalid for a field that is not acceptable
// and proxy.ErrConflict when another channel has the name.
func (s *Store) SaveChannel(ctx context.Context, ch *proxy.Channel) error {
	client, errClient := s.party(ctx, "client_id", ch.ClientID, proxy.RoleClient)
	server, errServer := s.party(ctx, "server_id", ch.ServerID, proxy.RoleServer)
	if err := errors.Join(errClient, errServer, ch.Options.Validate()); err != nil {
		return err
	}
	if ch.ID == "" {
		ch.ID = s.opt.NewID()
	}
	if ch.Name == "" {
		ch.Name = proxy.ChannelName(client, server)
	}
	if strings.ContainsAny(ch.Name, "/?#% ") {
		return &proxy.FieldError{Field: "name", Text: "a channel name is CLIENT~SERVER, it is part of a URL"}
	}
	if ch.Created.IsZero() {
		ch.Created = s.opt.Clock()
	}
	ch.ServerURL, ch.Server = server.BaseURL, server.Options
	options, err := json.Marshal(ch.Options)
	if err != nil {
		return fmt.Errorf("channel %s: options: %w", ch.Name, err)
	}
	row := channelRow{
		ID: ch.ID, Name: ch.Name, ClientID: ch.ClientID, ServerID: ch.ServerID, Options: string(options), CreatedUS: micros(ch.Created),
	}
	err = s.write(ctx).Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "id"}},
		DoUpdates: clause.AssignmentColumns([]string{"name", "client_id", "server_id", "options"}),
	}).Create(&row).Error
	s.forget()
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return fmt.Errorf("channel %s: another channel has this name: %w", ch.Name, proxy.ErrConflict)
	}
	if err != nil {
		return fmt.Errorf("save channel %s: %w", ch.Name, err)
	}
	return nil
}

// party reads the system a channel names and checks its role.
func (s *Store) party(ctx context.Context, field, id string, role proxy.Role) (*proxy.System, error) {
	sys, err := s.System(ctx, id)
	if errors.Is(err, proxy.ErrNotFound) {
		return nil, &proxy.FieldError{Field: field, Text: "choose a registered system with the role " + string(role)}
	}
	if err != nil {
		return nil, err
	}
	if !sys.Has(role) {
		return nil, &proxy.FieldError{Field: field, Text: sys.Name + " does not have the role " + string(role)}
	}
	return sys, nil
}

// channelWithURL is a channel joined with its server's base URL.
type channelWithURL struct {
	Row           channelRow `gorm:"embedded"`
	ServerURL     string
	ServerOptions string
}

func (s *Store) channelQuery(ctx context.Context) *gorm.DB {
	return s.read(ctx).Table("channels").Select("channels.*, systems.base_url AS server_url, systems.options AS server_options").
		Joins("JOIN systems ON systems.id = channels.server_id")
}

func (r *channelWithURL) word() (*proxy.Channel, error) {
	ch := &proxy.Channel{
		ID: r.Row.ID, Name: r.Row.Name, ClientID: r.Row.ClientID, ServerID: r.Row.ServerID, ServerURL: r.ServerURL, Created: fromMicros(r.Row.CreatedUS),
	}
	if err := json.Unmarshal([]byte(r.Row.Options), &ch.Options); err != nil {
		return nil, fmt.Errorf("channel %s: stored options: %w", r.Row.Name, err)
	}
	if err := json.Unmarshal([]byte(r.ServerOptions), &ch.Server); err != nil {
		return nil, fmt.Errorf("channel %s: stored options of its server: %w", r.Row.Name, err)
	}
	return ch, nil
}

// Channel reads the channel with id; the error wraps proxy.ErrNotFound when there is none.
func (s *Store) Channel(ctx context.Context, id string) (*proxy.Channel, error) {
	return s.channel(ctx, "id", id)
}

func (s *Store) channel(ctx context.Context, column, value string) (*proxy.Channel, error) {
	var row channelWithURL
	err := s.channelQuery(ctx).Where(clause.Eq{Column: clause.Column{Table: "channels", Name: column}, Value: value}).Take(&row).Error
	if err != nil {
		return nil, fmt.Errorf("channel %s: %w", value, absent(err))
	}
	return row.word()
}

// ChannelByName reads the channel called name, from memory when it was asked for before; the error wraps proxy.ErrNotFound
// when there is none. The caller does not change the result.
func (s *Store) ChannelByName(ctx context.Context, name string) (*proxy.Channel, error) {
	s.mu.Lock()
	ch, generation := s.channels[name], s.generation
	s.mu.Unlock()
	if ch != nil {
		return ch, nil
	}
	ch, err := s.channel(ctx, "name", name)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.generation == generation {
		s.channels[name] = ch
	}
	return ch, nil
}

// forget empties the cache of channels after a change.
func (s *Store) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.channels)
	s.generation++
}

// Channels reads all channels by name.
func (s *Store) Channels(ctx context.Context) ([]*proxy.Channel, error) {
	var rows []channelWithURL
	if err := s.channelQuery(ctx).Order("channels.name").Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("channels: %w", err)
	}
	out := make([]*proxy.Channel, len(rows))
	for i := range rows {
		ch, err := rows[i].word()
		if err != nil {
			return nil, err
		}
		out[i] = ch
	}
	return out, nil
}
