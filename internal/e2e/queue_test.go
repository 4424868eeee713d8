//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestSignEverything is a track lead who signs all runs of the demo by keyboard, from one to the next.
func TestSignEverything(t *testing.T) {
	p := start(t, "--demo")
	p.demo(t)
	ctx := browser(t)
	dir := os.Getenv("FHIRWIRE_SCREENSHOTS")

	var waiting int
	run(t, ctx, "the queue", chromedp.Navigate(p.dashboard+"/review"), chromedp.WaitVisible(`#wait`),
		chromedp.Evaluate(`document.querySelectorAll('.queue > li').length`, &waiting),
		eventually(`document.querySelector('[data-count=Review]').textContent === String(document.querySelectorAll('.queue > li').length)`, time.Minute))
	if waiting < 5 {
		t.Fatalf("%d runs wait", waiting)
	}
	// Runs begin while the demo is judged: the place is the run's when its page was asked for.
	place := `parseInt(document.querySelector('.reviewbar small')?.textContent)`
	var at int
	run(t, ctx, "the first run", click(`.queue > li a`, `document.querySelector('.reviewbar') !== null`), chromedp.WaitVisible(`.reviewbar`), eventually(place+` >= 1`, time.Minute),
		scripted, chromedp.Evaluate(place, &at), chromedp.KeyEvent("n"), eventually(fmt.Sprintf(`%s > %d`, place, at), time.Minute))
	const byHand = 3
	for i := range byHand {
		run(t, ctx, "the form by its key", scripted, chromedp.KeyEvent("d"),
			eventually(`document.querySelector('.reviewbar .decide').open && document.querySelector('.reviewbar .decide').contains(document.activeElement)`, time.Minute))
		if i == 0 {
			run(t, ctx, "a name, once", eventually(`document.activeElement.name === 'by'`, time.Minute), chromedp.KeyEvent("Grace Hopper"))
			if dir != "" {
				screenshot(t, ctx, filepath.Join(dir, "sign.png"))
			}
		}
		run(t, ctx, "go on afterwards", chromedp.Evaluate(`document.querySelector('.reviewbar [name=next]').checked = true`, nil),
			chromedp.Evaluate(`window.before = true`, nil))
		run(t, ctx, "verify", chromedp.Focus(`.reviewbar button[value=verified]`), chromedp.KeyEvent(kb.Enter),
			eventually(`window.before === undefined && document.querySelector('#main') !== null`, time.Minute))
	}
	if signed := signRest(t, p); signed != byHand {
		t.Errorf("%d runs were signed by hand", signed)
	}
	// What is judged on after it was signed needs a second look, and is counted until it has it.
	for deadline := time.Now().Add(2 * time.Minute); ; {
		var left bool
		run(t, ctx, "nothing waits", chromedp.Navigate(p.dashboard+"/review"), chromedp.WaitVisible(`.queue`),
			chromedp.Evaluate(`document.querySelector('#wait, #changed, [data-count=Review]') !== null`, &left))
		if !left {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("something waits after everything was signed")
		}
		signRest(t, p)
	}
	run(t, ctx, "by whom", chromedp.Navigate(p.dashboard+"/review?by=Grace+Hopper&state=verified"), chromedp.WaitVisible(`#decided`),
		eventually(`document.querySelector('#f-by').value === 'Grace Hopper'`, time.Minute))
	run(t, ctx, "the sheet", chromedp.Navigate(p.dashboard+"/results/sheet"), chromedp.WaitVisible(`.sheet`),
		eventually(`[...document.querySelectorAll('.sheet tbody tr')].every(r => r.textContent.includes('Verified') && r.textContent.includes('Grace Hopper'))`, time.Minute))
	if dir != "" {
		screenshot(t, ctx, filepath.Join(dir, "sheet.png"))
	}
}

// signRest verifies over the API what is not decided yet, or was on older results. It returns how many runs were decided.
func signRest(t *testing.T, p *program) (signed int) {
	t.Helper()
	res, err := http.Get(p.dashboard + "/api/v1/runs")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var list struct {
		Items []struct {
			ID, Review string
			Stale      bool `json:"review_stale"`
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&list); err != nil {
		t.Fatal(err)
	}
	for _, r := range list.Items {
		if r.Review == "verified" {
			if signed++; !r.Stale {
				continue
			}
		}
		body := `{"run":"` + r.ID + `","state":"verified","by":"Grace Hopper","role":"track lead"}`
		if code := send(t, "POST", p.dashboard+"/api/v1/reviews", body, http.Header{"Content-Type": {"application/json"}}); code >= 300 {
			t.Fatalf("the review of %s was answered with %d", r.ID, code)
		}
	}
	return signed
}

// TestFindingGroupLeadsToItsLine goes from the list of causes to the line in two clicks.
func TestFindingGroupLeadsToItsLine(t *testing.T) {
	p := start(t, "--demo")
	p.exchanges(t, "verdict:fail", 1)
	ctx := browser(t)
	run(t, ctx, "causes", chromedp.Navigate(p.dashboard+"/findings?severity=error"), chromedp.WaitVisible(`.fgroups summary`),
		click(`.fgroups summary`, `document.querySelector('.fgroups a[href*="finding="]').checkVisibility()`),
		click(`.fgroups a[href*="finding="]`, `location.pathname.startsWith('/exchanges/')`))
	run(t, ctx, "its line", eventually(`location.pathname.startsWith('/exchanges/') && location.hash.startsWith('#f')`, time.Minute),
		eventually(`(() => { const e = document.getElementById(location.hash.slice(1)); if (!e) return false;
			const r = e.getBoundingClientRect(); return r.bottom > 0 && r.top < innerHeight && /Consent/.test(e.textContent); })()`, time.Minute))
}
