package main

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestInitialTokens(t *testing.T) {
	file := func(text string) string {
		name := filepath.Join(t.TempDir(), "tokens")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	if got, err := initialTokens(file("# of the event\n one\r\n\ntwo\n")); err != nil || !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := initialTokens(""); err != nil || got != nil {
		t.Errorf("no file: %q, %v", got, err)
	}
	for text, want := range map[string]string{"\n# none\n": "there is no token", "a b\n": "no blanks"} {
		if _, err := initialTokens(file(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := initialTokens(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there")
	}
}

// TestRegistrationWithInitialTokens: the reference payer of serve registers whom the event gave a token (P2P-DCR-123).
func TestRegistrationWithInitialTokens(t *testing.T) {
	tokens := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(tokens, []byte("from-the-event\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServe(t, t.TempDir(), "--reference-initial-tokens", tokens)
	for header, want := range map[string]int{"": http.StatusUnauthorized, "Bearer other": http.StatusUnauthorized, "Bearer from-the-event": http.StatusCreated} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.reference+"/oauth/register", strings.NewReader(`{"grant_types":["client_credentials"]}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		if header != "" {
			req.Header.Set("Authorization", header)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%q: %d, want %d", header, res.StatusCode, want)
		}
	}
}

// TestRegistrationsPerMinute: how many registrations a minute the reference payer takes is the operator's to say (P2P-DCR-26).
func TestRegistrationsPerMinute(t *testing.T) {
	for bound, refused := range map[string]bool{"2": true, "0": false} {
		s := startServe(t, t.TempDir(), "--reference-registrations", bound)
		last := 0
		for range 100 { // in no less than 50 minutes would a bound of 2 allow them
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.reference+"/oauth/register", strings.NewReader(`{"grant_types":["client_credentials"]}`))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if last = res.StatusCode; last != http.StatusCreated {
				break
			}
		}
		if want := map[bool]int{true: http.StatusTooManyRequests, false: http.StatusCreated}[refused]; last != want {
			t.Errorf("a bound of %s: %d, want %d", bound, last, want)
		}
	}
	if errs := (&config{ReferenceRegistrations: -1}).check(); !slices.ContainsFunc(errs, func(err error) bool { return strings.HasPrefix(err.Error(), "reference-registrations: ") }) {
		t.Errorf("a negative number is no fault: %v", errs)
	}
}
