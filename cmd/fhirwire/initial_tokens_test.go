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
