package edgecases

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// withStatus are the types that US Core searches by patient and status, which a server may insist on.
var withStatus = []string{
	"CarePlan", "CareTeam", "DiagnosticReport", "DocumentReference", "Encounter", "Immunization", "MedicationRequest", "Observation", "Procedure",
}

// withoutStatus reports a search by patient, by GET, that has no status though the type has one.
func withoutStatus(r *http.Request, path string) bool {
	q := r.URL.Query()
	return r.Method == http.MethodGet && slices.Contains(withStatus, strings.TrimPrefix(path, "/")) && q.Has("patient") && !q.Has("status")
}

// maxOpen bounds how many exports are remembered as open.
const maxOpen = 10_000

// openFiles makes the files of an export free, and its manifest say so.
func (s *Switches) openFiles() mutation {
	return mutation{
		Description{OpenFiles, ""},
		exportStatus, nil,
		func(r *http.Request, a *held, _ time.Time) bool {
			return a.object(func(m map[string]any) bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				if len(s.open) >= maxOpen {
					return false
				}
				s.open[r.URL.Path] = s.o.Client(r)
				m["requiresAccessToken"] = false
				return true
			})
		}, false,
	}
}

// Opened reports a request for a file that OpenFiles has made free: it is not to be asked for a token, and is the client's whose export
// it is.
func (s *Switches) Opened(r *http.Request) (client string, ok bool) {
	job, _, ok := strings.Cut(r.URL.Path, "/files/")
	if !ok || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return "", false
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	client, ok = s.open[job+"/status"]
	return client, ok
}
