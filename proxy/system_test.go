package proxy_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"fhirwire/proxy"
)

func TestSystemValidate(t *testing.T) {
	good := proxy.System{Slug: "diamond-payer", Name: "Diamond", Roles: []proxy.Role{proxy.RoleServer}, BaseURL: "https://payer.example/fhir"}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for field, change := range map[string]func(*proxy.System){
		"slug":     func(s *proxy.System) { s.Slug = "Diamond~x" },
		"name":     func(s *proxy.System) { s.Name = "  " },
		"roles":    func(s *proxy.System) { s.Roles = nil },
		"base_url": func(s *proxy.System) { s.BaseURL = "payer.example/fhir" },
	} {
		s := good
		change(&s)
		err := s.Validate()
		var fe *proxy.FieldError
		if !errors.Is(err, proxy.ErrInvalid) || !errors.As(err, &fe) || fe.Field != field {
			t.Errorf("%s: error %v", field, err)
		}
	}
	for _, u := range []string{"", "ftp://x/", "http://", "http://u:p@h/", "http://h/?a", "http://h/#a", "::"} {
		if proxy.ValidateBaseURL(u) == nil {
			t.Errorf("base URL %q was accepted", u)
		}
	}
}

func TestChannelPaths(t *testing.T) {
	mapped := proxy.Channel{Name: "a~b", ServerURL: "http://h:1/fhir", Options: proxy.ChannelOptions{BasePath: "/custom/x/fhir"}}
	plain := proxy.Channel{Name: "a~b", ServerURL: "http://h:1/fhir"}
	for _, tt := range []struct {
		c              *proxy.Channel
		client, server string
	}{
		{&mapped, "/custom/x/fhir/Patient/$member-match", "/fhir/Patient/$member-match"},
		{&mapped, "/custom/x/fhir", "/fhir"},
		{&mapped, "/custom/x/fhirish", "/custom/x/fhirish"},
		{&plain, "/fhir/Patient", "/fhir/Patient"},
		{&plain, "/oauth/token", "/oauth/token"},
	} {
		if got := tt.c.ToServer(tt.client); got != tt.server {
			t.Errorf("to server: %s is %s, want %s", tt.client, got, tt.server)
		}
		if got := tt.c.ToClient(tt.server); got != tt.client {
			t.Errorf("to client: %s is %s, want %s", tt.server, got, tt.client)
		}
	}
	if got := mapped.ClientBase("http://p:8081"); got != "http://p:8081/a~b/custom/x/fhir" {
		t.Errorf("client base %s", got)
	}
	if got := plain.ClientBase("http://p:8081"); got != "http://p:8081/a~b/fhir" {
		t.Errorf("client base %s", got)
	}
	for _, p := range []string{"x", "/x/", "/a/../b"} {
		if (proxy.ChannelOptions{BasePath: p}).Validate() == nil {
			t.Errorf("base path %q was accepted", p)
		}
	}
}

func TestFingerprintsHideAndMatch(t *testing.T) {
	k := proxy.NewFingerprintKey([]byte("key-material"))
	a, b := k.Of("secret"), k.Of("secret")
	if a != b || a == k.Of("other") || strings.Contains(string(a), "secret") || len(a) != len("hmac:")+16 {
		t.Fatalf("fingerprints %s %s", a, b)
	}
	if out := fmt.Sprintf("%v %+v %#v %s", k, k, k, k); strings.Contains(out, "key-material") || strings.Contains(out, "107") {
		t.Fatalf("the key prints: %s", out)
	}
}

func TestHeader(t *testing.T) {
	h := proxy.Header{{Name: "link", Value: "a"}, {Name: "X", Value: ""}, {Name: "Link", Value: "b"}}
	if got := slices.Collect(h.Values("LINK")); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("values %q", got)
	}
	if !h.Has("x") || h.Has("y") || h.Get("Link") != "a" || len(h.Map()["Link"]) != 2 {
		t.Errorf("header %v", h)
	}
}
