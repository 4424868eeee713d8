//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestKillLosesNothingTheClientSaw kills the program under load and compares what the clients had in full with what is
// recorded after a restart.
func TestKillLosesNothingTheClientSaw(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/fhir+json")
		// Small ones stay in the row, large ones become files.
		_, _ = fmt.Fprintf(w, `{"resourceType":"Patient","id":%q,"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">%s</div>"}}`,
			r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:], strings.Repeat("x", 100+len(r.URL.Path)%7*8000))
	}))
	defer upstream.Close()
	data := t.TempDir()
	p := start(t, "--data", data)
	p.register(t, upstream.URL+"/fhir")

	var seen sync.Map
	var count atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var clients sync.WaitGroup
	for c := range 16 {
		clients.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				id := fmt.Sprintf("k%d-%d%s", c, i, strings.Repeat("z", i%7))
				if fetch(ctx, p.proxy+"/killer~victim/fhir/Patient/"+id) == nil {
					seen.Store(id, true)
					count.Add(1)
				}
			}
		})
	}
	for count.Load() < 400 {
		time.Sleep(5 * time.Millisecond)
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cancel()
	clients.Wait()
	p.killed = true
	p.stop(t) // it has the data folder until it is gone

	again := start(t, "--data", data)
	missing := 0
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(500 * time.Millisecond) {
		recorded := again.recordedIDs(t)
		missing = 0
		seen.Range(func(id, _ any) bool {
			if !recorded[id.(string)] {
				missing++
			}
			return true
		})
		if missing == 0 || time.Now().After(deadline) {
			break
		}
	}
	if missing > 0 {
		t.Fatalf("%d of %d answers that clients had in full are not recorded", missing, count.Load())
	}
	t.Logf("%d answers seen before the kill, all recorded", count.Load())
}

func fetch(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return nil
}

// register makes the channel killer~victim to a server.
func (p *program) register(t *testing.T, base string) {
	t.Helper()
	var client, server struct{ ID string }
	p.post(t, "/api/v1/systems", `{"slug":"killer","name":"Killer","roles":["client"]}`, &client)
	p.post(t, "/api/v1/systems", fmt.Sprintf(`{"slug":"victim","name":"Victim","roles":["server"],"base_url":%q}`, base), &server)
	p.post(t, "/api/v1/channels", fmt.Sprintf(`{"client_id":%q,"server_id":%q}`, client.ID, server.ID), new(struct{ ID string }))
}

// recordedIDs lists the ids of the Patients that were read, over all pages.
func (p *program) recordedIDs(t *testing.T) map[string]bool {
	t.Helper()
	ids := map[string]bool{}
	for cursor := ""; ; {
		var page struct {
			Items []exchange `json:"items"`
			Next  string     `json:"next"`
		}
		getJSON(t, p.dashboard+"/api/v1/exchanges?limit=200&filter="+url.QueryEscape("channel:killer~victim")+"&cursor="+url.QueryEscape(cursor), &page)
		for _, e := range page.Items {
			ids[e.URL[strings.LastIndex(e.URL, "/")+1:]] = true
		}
		if page.Next == "" {
			return ids
		}
		cursor = page.Next
	}
}

// TestStopIsGraceful ends the program as a service manager does, with a browser's event stream open.
func TestStopIsGraceful(t *testing.T) {
	p := start(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.dashboard+"/api/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	p.stop(t)
	if said, err := os.ReadFile(p.stderr); err != nil || strings.Contains(string(said), "still running at shutdown") {
		t.Errorf("the stream was waited for: %v\n%s", err, said)
	}
}
