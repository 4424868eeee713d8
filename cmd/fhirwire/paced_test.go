package main

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"fhirwire/reference/edgecases"
)

// paced makes the number of polls of an export one that does not depend on the machine: the first is always told that the export runs, and
// later ones are answered when it has ended. What the payer holds back on request passes.
func paced(next http.Handler) http.Handler {
	var mu sync.Mutex
	polled := map[string]bool{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/bulk/") || !strings.HasSuffix(r.URL.Path, "/status") {
			next.ServeHTTP(w, r)
			return
		}
		mu.Lock()
		first := !polled[r.URL.Path]
		polled[r.URL.Path] = true
		mu.Unlock()
		var a *httptest.ResponseRecorder
		for {
			a = httptest.NewRecorder()
			next.ServeHTTP(a, r)
			if first || a.Code != http.StatusAccepted || a.Header().Get("X-Progress") == edgecases.HeldBack || r.Context().Err() != nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		h := w.Header()
		if first && a.Code == http.StatusOK {
			h.Set("X-Progress", "nearly complete")
			h.Set("Retry-After", "1")
			h.Set("Content-Length", "0")
			w.WriteHeader(http.StatusAccepted)
			return
		}
		maps.Copy(h, a.Header())
		w.WriteHeader(a.Code)
		_, _ = w.Write(a.Body.Bytes())
	})
}
