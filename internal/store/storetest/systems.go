package storetest

import (
	"errors"
	"reflect"
	"sync"
	"testing"

	"fhirwire/proxy"
)

func systems(t *testing.T, s Store) (client, server *proxy.System) {
	t.Helper()
	client = &proxy.System{ID: "c1", Slug: "acme-ehr", Name: "Acme EHR", Roles: []proxy.Role{proxy.RoleClient}}
	server = &proxy.System{
		ID: "s1", Slug: "diamond-payer", Name: "Diamond payer", Roles: []proxy.Role{proxy.RoleClient, proxy.RoleServer},
		BaseURL: "http://payer.example/fhir", Simulated: true, Created: Epoch,
		Options: proxy.SystemOptions{
			Auxiliary: []proxy.Auxiliary{{Name: "auth", URL: "https://auth.example/oauth2"}}, InsecureUntil: Epoch,
			ClientPins: []string{"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"},
		},
	}
	fatal(t, s.SaveSystem(t.Context(), client))
	fatal(t, s.SaveSystem(t.Context(), server))
	return client, server
}

func testSystems(t *testing.T, s Store) {
	client, server := systems(t, s)
	if client.Created.IsZero() {
		t.Error("a system saved without a creation time got none")
	}
	got, err := s.System(t.Context(), "s1")
	fatal(t, err)
	if !reflect.DeepEqual(got, server) {
		t.Errorf("got %+v, want %+v", got, server)
	}
	if got, err := s.SystemBySlug(t.Context(), "acme-ehr"); err != nil || got.ID != "c1" {
		t.Errorf("by slug: %+v, %v", got, err)
	}
	all, err := s.Systems(t.Context())
	if err != nil || len(all) != 2 || all[0].ID != "c1" || all[1].ID != "s1" {
		t.Errorf("systems %v, %v", all, err)
	}

	server.Name, server.Simulated = "Diamond", false
	fatal(t, s.SaveSystem(t.Context(), server))
	if got, err := s.System(t.Context(), "s1"); err != nil || got.Name != "Diamond" || got.Simulated {
		t.Errorf("after an update: %+v, %v", got, err)
	}
	nameless := &proxy.System{Slug: "fresh", Name: "Fresh", Roles: []proxy.Role{proxy.RoleClient}}
	fatal(t, s.SaveSystem(t.Context(), nameless))
	if nameless.ID == "" {
		t.Error("a system saved without an id got none")
	}

	taken := &proxy.System{ID: "x", Slug: "acme-ehr", Name: "Other", Roles: []proxy.Role{proxy.RoleClient}}
	if err := s.SaveSystem(t.Context(), taken); !errors.Is(err, proxy.ErrConflict) {
		t.Errorf("a taken slug: %v", err)
	}
	var field *proxy.FieldError
	if err := s.SaveSystem(t.Context(), &proxy.System{ID: "y"}); !errors.As(err, &field) {
		t.Errorf("an empty system: %v", err)
	}
	fatal(t, s.DeleteSystem(t.Context(), "c1"))
	if err := s.DeleteSystem(t.Context(), "c1"); !errors.Is(err, proxy.ErrNotFound) {
		t.Errorf("deleted twice: %v", err)
	}
	if _, err := s.System(t.Context(), "c1"); !errors.Is(err, proxy.ErrNotFound) {
		t.Errorf("a deleted system: %v", err)
	}
}

func testChannels(t *testing.T, s Store) {
	systems(t, s)
	ch := &proxy.Channel{ClientID: "c1", ServerID: "s1", Options: proxy.ChannelOptions{
		Track: "Payer to payer", BasePath: "/custom/fhir", Guides: []string{"g#1"}, Profiles: map[string]string{"Patient": "http://x"},
	}}
	fatal(t, s.SaveChannel(t.Context(), ch))
	if len(ch.Server.Auxiliary) != 1 {
		t.Errorf("the channel has no options of its server: %+v", ch.Server)
	}
	if ch.ID == "" || ch.Name != "acme-ehr~diamond-payer" || ch.ServerURL != "http://payer.example/fhir" || ch.Created.IsZero() {
		t.Errorf("saved as %+v", ch)
	}
	got, err := s.Channel(t.Context(), ch.ID)
	fatal(t, err)
	if !reflect.DeepEqual(got, ch) {
		t.Errorf("got %+v, want %+v", got, ch)
	}
	if all, err := s.Channels(t.Context()); err != nil || len(all) != 1 || !reflect.DeepEqual(all[0], ch) {
		t.Errorf("channels %+v, %v", all, err)
	}
	if err := s.SaveChannel(t.Context(), &proxy.Channel{ID: "other", ClientID: "c1", ServerID: "s1"}); !errors.Is(err, proxy.ErrConflict) {
		t.Errorf("a taken name: %v", err)
	}
	for field, bad := range map[string]*proxy.Channel{
		"client_id": {ClientID: "gone", ServerID: "s1"},
		"server_id": {ClientID: "c1", ServerID: "c1"}, // a pure client
		"base_path": {ClientID: "c1", ServerID: "s1", Name: "n", Options: proxy.ChannelOptions{BasePath: "x"}},
		"name":      {ClientID: "c1", ServerID: "s1", Name: "a/b"},
	} {
		var fe *proxy.FieldError
		if err := s.SaveChannel(t.Context(), bad); !errors.As(err, &fe) || fe.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	fatal(t, s.DeleteChannel(t.Context(), ch.ID))
	if err := s.DeleteChannel(t.Context(), ch.ID); !errors.Is(err, proxy.ErrNotFound) {
		t.Errorf("deleted twice: %v", err)
	}

	// A system takes its channels along; what was recorded stays.
	fatal(t, s.SaveChannel(t.Context(), &proxy.Channel{ClientID: "c1", ServerID: "s1"}))
	bodies := Bodies{}
	putAll(t, s, bodies, Exchange(1, bodies))
	fatal(t, s.DeleteSystem(t.Context(), "s1"))
	if all, err := s.Channels(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("channels of a deleted system: %v, %v", all, err)
	}
	if e, err := s.Exchange(t.Context(), ID(1)); err != nil || e.Channel != "acme-ehr~diamond-payer" {
		t.Errorf("exchange of a deleted channel: %+v, %v", e, err)
	}
}

func testChannelCache(t *testing.T, s Store) {
	_, server := systems(t, s)
	name := "acme-ehr~diamond-payer"
	if _, err := s.ChannelByName(t.Context(), name); !errors.Is(err, proxy.ErrNotFound) {
		t.Errorf("before it is registered: %v", err)
	}
	ch := &proxy.Channel{ClientID: "c1", ServerID: "s1"}
	fatal(t, s.SaveChannel(t.Context(), ch))
	for range 2 {
		if got, err := s.ChannelByName(t.Context(), name); err != nil || !reflect.DeepEqual(got, ch) {
			t.Fatalf("got %+v, %v", got, err)
		}
	}
	// Every change shows at once, also while others read.
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				if _, err := s.ChannelByName(t.Context(), name); err != nil {
					t.Error(err)
				}
			}
		})
	}
	server.BaseURL = "http://elsewhere.example/r4"
	fatal(t, s.SaveSystem(t.Context(), server))
	if got, err := s.ChannelByName(t.Context(), name); err != nil || got.ServerURL != server.BaseURL {
		t.Errorf("after the server moved: %+v, %v", got, err)
	}
	ch.Options.BasePath = "/x"
	fatal(t, s.SaveChannel(t.Context(), ch))
	wg.Wait()
	if got, err := s.ChannelByName(t.Context(), name); err != nil || got.Options.BasePath != "/x" {
		t.Errorf("after an option changed: %+v, %v", got, err)
	}
	fatal(t, s.DeleteChannel(t.Context(), ch.ID))
	if _, err := s.ChannelByName(t.Context(), name); !errors.Is(err, proxy.ErrNotFound) {
		t.Errorf("after it was deleted: %v", err)
	}
}
