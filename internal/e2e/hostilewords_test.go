//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestHostileWordsStayText plants script in a plan file and in everything that people type about a run, and opens every page that shows it.
func TestHostileWordsStayText(t *testing.T) {
	const script = `<script>window.pwned=1</script><img src=x onerror="window.pwned=1">`
	data := t.TempDir()
	if err := os.MkdirAll(filepath.Join(data, "plans"), 0o700); err != nil {
		t.Fatal(err)
	}
	quoted := fmt.Sprintf("%q", script)
	plan := "plan: hostile\ntitle: " + quoted + "\ntrack: Payer to payer\nscenario: " + quoted + "\nroles: {client: " + quoted + ", server: " + quoted + "}\npreconditions: [" + quoted + "]\n" +
		"steps:\n  - step: look\n    title: " + quoted + "\n    claim: " + quoted + "\n    requirements: [EX-1]\n    select: {kind: [capabilities]}\n    checks:\n" +
		"      - {check: status, claim: " + quoted + ", side: server, status: [\"201\"]}\n" +
		"  - step: said\n    title: " + quoted + "\n    claim: " + quoted + "\n    requirements: [EX-2]\n    checks:\n" +
		"      - {check: seen, claim: " + quoted + ", side: both, attestation: {question: " + quoted + "}}\n"
	if err := os.WriteFile(filepath.Join(data, "plans", "hostile.yaml"), []byte(plan), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, "--demo", "--data", data)
	if code := send(t, "GET", p.proxy+"/newman~reference/fhir/metadata", "", nil); code != http.StatusOK {
		t.Fatalf("the capability statement was answered with %d", code)
	}
	const channel = "newman~reference"
	page := "/scenarios/hostile?channel=" + channel
	fill := func(path string, fields ...string) {
		t.Helper()
		form := url.Values{"channel": {channel}, "by": {script[:60]}, "role": {"track lead"}}
		for i := 0; i < len(fields); i += 2 {
			form.Set(fields[i], fields[i+1])
		}
		res, err := http.PostForm(p.dashboard+"/scenarios/hostile/"+path, form)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK { // of the page that it leads to
			t.Fatalf("%s was answered with %d", path, res.StatusCode)
		}
	}
	fill("attest", "step", "said", "check", "seen", "verdict", "pass", "note", script)
	fill("review", "state", "disputed", "comment", script)
	fill("window", "name", script, "since", "2026-01-01T10:00")

	ctx := browser(t)
	run(t, ctx, "the plan is judged", chromedp.Navigate(p.dashboard+page), chromedp.WaitVisible(`.steps`),
		eventually(`document.querySelector('#s-look .sym')?.getAttribute('aria-label') === 'Fail'`, 5*time.Second),
		eventually(`document.querySelector('h1').textContent.includes('<script>')`, time.Second))
	bad := url.QueryEscape(script)
	for _, path := range []string{
		page + "&step=look", page + "&step=said", page + "&step=" + bad, "/scenarios", "/results?plan=hostile", "/results?plan=" + bad, "/results/all", "/results/all?track=" + bad,
		"/results/sheet", "/review", "/review?by=" + bad, "/coverage?plan=hostile", "/coverage?requirement=" + bad,
	} {
		var pwned, foreign bool
		run(t, ctx, path, chromedp.Navigate(p.dashboard+path), chromedp.WaitReady("#main"),
			chromedp.Evaluate(`window.pwned === 1`, &pwned),
			chromedp.Evaluate(`document.querySelector('img, [onerror], a[href^="javascript:"]') !== null || [...document.scripts].some(s => !s.src)`, &foreign))
		if pwned || foreign {
			t.Errorf("%s: script ran: %v; foreign markup: %v", path, pwned, foreign)
		}
	}
	var live string
	run(t, ctx, "what arrives later is text too", chromedp.Navigate(p.dashboard+page+"&step=look"), chromedp.WaitVisible(`#light`),
		eventually(`document.querySelector('#light-word').textContent === 'Recording'`, 5*time.Second))
	if code := send(t, "GET", p.proxy+"/newman~reference/fhir/metadata", "", nil); code != http.StatusOK {
		t.Fatalf("the capability statement was answered with %d", code)
	}
	run(t, ctx, "what arrives later is text too", eventually(`document.querySelectorAll('#latest tbody tr').length >= 2`, 5*time.Second),
		chromedp.Evaluate(`String(window.pwned) + document.querySelectorAll('#fresh img, #fresh script').length`, &live))
	if !strings.HasPrefix(live, "undefined0") {
		t.Errorf("an update brought markup: %s", live)
	}
}
