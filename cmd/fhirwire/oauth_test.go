package main

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"fhirwire/internal/blobs"
	"fhirwire/internal/sqldb"
	"fhirwire/internal/store"
	"fhirwire/proxy"
)

// TestTokenURLs: an assertion may name the token endpoint behind each channel to the reference payer, and no other channel's.
func TestTokenURLs(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	dir := t.TempDir()
	db, err := sqldb.Open(t.Context(), sqldb.SQLiteDSN(filepath.Join(dir, "a.db")), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	files, err := blobs.OpenDir(filepath.Join(dir, "blobs"), blobs.Options{Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), db, files, store.Options{Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	a := &app{store: s, logger: slog.New(slog.DiscardHandler), reference: &listener{ln: ln}, proxyURL: "http://proxy.example:8081"}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	add := func(slug, base string, role proxy.Role, auxiliary ...proxy.Auxiliary) *proxy.System {
		if err := s.SaveSystem(t.Context(), &proxy.System{Slug: slug, Name: slug, Roles: []proxy.Role{role}, BaseURL: base, Created: time.Now(), Options: proxy.SystemOptions{Auxiliary: auxiliary}}); err != nil {
			t.Fatal(err)
		}
		sys, err := s.SystemBySlug(t.Context(), slug)
		if err != nil {
			t.Fatal(err)
		}
		return sys
	}
	client := add("app", "", proxy.RoleClient)
	for slug, base := range map[string]string{"ours": "http://localhost:" + port + "/fhir", "theirs": "https://payer.example/fhir", "borrowed": "https://other.example/fhir"} {
		var auxiliary []proxy.Auxiliary
		if slug == "borrowed" {
			auxiliary = []proxy.Auxiliary{{Name: "auth", URL: "http://127.0.0.1:" + port + "/oauth"}, {Name: "files", URL: "https://files.example"}}
		}
		server := add(slug, base, proxy.RoleServer, auxiliary...)
		if err := s.SaveChannel(t.Context(), &proxy.Channel{Name: proxy.ChannelName(client, server), ClientID: client.ID, ServerID: server.ID, Created: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	got := a.tokenURLs(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/oauth/token", nil))
	want := []string{"http://localhost:" + port + "/oauth/token", "http://proxy.example:8081/app~ours/oauth/token", "http://app~ours.proxy.example:8081/oauth/token", "http://proxy.example:8081/app~borrowed/@auth/token", "http://app~borrowed.proxy.example:8081/@auth/token"}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}
