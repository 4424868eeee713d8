//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
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

// TestCollectionJudgedAfterwards plays the PDex payer client's collection through the proxy. Its traffic is judged live, from the
// evidence, and from a HAR that was exported: the verdicts are the same.
func TestCollectionJudgedAfterwards(t *testing.T) {
	collection := filepath.Join(shared(t), "postman", "pdex-payer-client.postman_collection.json")
	data := t.TempDir()
	p := start(t, "--demo", "--data", data)
	const channel = "newman~reference"
	newman(t, collection, "url_prefix="+p.proxy+"/"+channel)
	p.exchanges(t, url.QueryEscape("channel:"+channel), 20)

	file := filepath.Join(t.TempDir(), "collection.har")
	if out, err := exec.Command(binary, "har", "export", "--data", data, "--filter", "channel:"+channel, "--out", file).CombinedOutput(); err != nil {
		t.Fatalf("har export: %v: %s", err, out)
	}
	for _, plan := range []string{"payer-to-payer-stu2", "payer-to-payer-member", "us-core-3-1-1-client"} {
		stored := judged(t, plan, "--channel", channel, "--data", data)
		afterwards := judged(t, plan, "--har", file)
		passed := 0
		for _, at := range slices.Sorted(maps.Keys(stored)) {
			if stored[at] != afterwards[at] {
				t.Errorf("%s: %+v from the evidence, %+v from the HAR", plan, stored[at], afterwards[at])
			}
			if v := stored[at].Verdict; v == "pass" || v == "pass-notes" {
				passed++
			}
		}
		if passed < 3 {
			t.Errorf("%s: only %d parts pass: was the collection judged?", plan, passed)
		}
		if plan != "payer-to-payer-stu2" {
			continue
		}
		var live map[string]verdict
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(300 * time.Millisecond) {
			live = p.live(t, plan, channel)
			if maps.Equal(live, stored) {
				break
			}
			if time.Now().After(deadline) {
				t.Errorf("%s: live %v, from the evidence %v", plan, live, stored)
				break
			}
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
