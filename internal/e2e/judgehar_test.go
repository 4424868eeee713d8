//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// verdict is what the two ways of judging must have in common.
type verdict struct {
	Step, Check, Verdict, Side string
}

// judged is what a "judge … --format json" says, by step and check.
func judged(t *testing.T, args ...string) map[string]verdict {
	t.Helper()
	out, err := exec.Command(binary, append([]string{"judge"}, append(args, "--format", "json")...)...).Output() // exit 1 is a failed check
	var got struct{ Results []verdict }
	if jerr := json.Unmarshal(out, &got); jerr != nil {
		t.Fatalf("judge %v: %v, %v: %.300s", args, err, jerr, out)
	}
	all := map[string]verdict{}
	for _, v := range got.Results {
		all[v.Step+"/"+v.Check] = v
	}
	if len(all) < 10 {
		t.Fatalf("judge %v: %d results", args, len(all))
	}
	return all
}

// TestCollectionJudgedAfterwards plays the PDex payer client's collection through the proxy. By every built-in plan its traffic is judged
// live, from the evidence, from a HAR that was exported, and from the report of newman, which has its secrets in clear: the verdicts are
// the same.
func TestCollectionJudgedAfterwards(t *testing.T) {
	collection := filepath.Join(shared(t), "postman", "pdex-payer-client.postman_collection.json")
	data := t.TempDir()
	p := start(t, "--demo", "--data", data)
	const channel = "newman~reference"
	p.playsAnyTrack(t, channel, "/custom/pdex_payer_client/fhir")
	sent := newman(t, collection, "url_prefix="+p.proxy+"/"+channel)
	report := sent.File
	p.exchanges(t, url.QueryEscape("channel:"+channel), max(sent.through(), 20))

	file := filepath.Join(t.TempDir(), "collection.har")
	if out, err := exec.Command(binary, "har", "export", "--data", data, "--filter", "channel:"+channel, "--out", file).CombinedOutput(); err != nil {
		t.Fatalf("har export: %v: %s", err, out)
	}
	var plans struct{ Items []struct{ ID string } }
	getJSON(t, p.dashboard+"/api/v1/plans", &plans)
	if len(plans.Items) < 10 {
		t.Fatalf("%d plans", len(plans.Items))
	}
	for _, plan := range plans.Items {
		t.Run(plan.ID, func(t *testing.T) {
			stored := judged(t, plan.ID, "--channel", channel, "--data", data)
			same(t, stored, judged(t, plan.ID, "--har", file), func(string) bool { return false })
			// newman knows nothing of handshakes.
			same(t, stored, judged(t, plan.ID, "--har", report), func(at string) bool { return strings.HasPrefix(at, "handshake/") || at == "/" })
			passed := 0
			for _, v := range stored {
				if v.Verdict == "pass" || v.Verdict == "pass-notes" {
					passed++
				}
			}
			if atLeast := map[string]int{"payer-to-payer-stu2": 30, "payer-to-payer-member": 3, "us-core-3-1-1-client": 10, "us-core-3-1-1-must-support": 30}[plan.ID]; passed < atLeast {
				t.Errorf("only %d parts pass: was the collection judged?", passed)
			}
			var live map[string]verdict
			for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(300 * time.Millisecond) {
				live = p.live(t, plan.ID, channel)
				if maps.Equal(live, stored) || live == nil && passed == 0 {
					break
				}
				if time.Now().After(deadline) {
					t.Errorf("live %v, from the evidence %v", live, stored)
					break
				}
			}
		})
	}
}

// playsAnyTrack has a channel judged by the plans of every track.
func (p *program) playsAnyTrack(t *testing.T, name, basePath string) {
	t.Helper()
	var id string
	for deadline := time.Now().Add(5 * time.Minute); id == ""; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no channel %s", name)
		}
		var channels struct{ Items []struct{ ID, Name string } }
		getJSON(t, p.dashboard+"/api/v1/channels", &channels)
		for _, c := range channels.Items {
			if c.Name == name {
				id = c.ID
			}
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, p.dashboard+"/api/v1/channels/"+id, strings.NewReader(`{"options":{"base_path":"`+basePath+`"}}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("channel %s: %s", name, res.Status)
	}
}

// same reports where two ways of judging differ, but for what one of them cannot know.
func same(t *testing.T, stored, afterwards map[string]verdict, unknown func(string) bool) {
	t.Helper()
	for _, at := range slices.Sorted(maps.Keys(stored)) {
		if stored[at] != afterwards[at] && !unknown(at) {
			t.Errorf("%+v from the evidence, %+v from the file", stored[at], afterwards[at])
		}
	}
}

// live is how the dashboard judges a plan over a channel now.
func (p *program) live(t *testing.T, plan, channel string) map[string]verdict {
	t.Helper()
	var page struct {
		Items []struct{ ID string }
	}
	getJSON(t, fmt.Sprintf("%s/api/v1/runs?plan=%s&channel=%s", p.dashboard, plan, url.QueryEscape(channel)), &page)
	if len(page.Items) == 0 {
		return nil
	}
	var run struct{ Results []verdict }
	getJSON(t, p.dashboard+"/api/v1/runs/"+page.Items[0].ID, &run)
	out := map[string]verdict{}
	for _, v := range run.Results {
		out[v.Step+"/"+v.Check] = v
	}
	return out
}
