//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestAttestAndReview ticks a step by a named person's word, decides on the run, and sees on the open page that the decision is of older
// results once more traffic passes.
func TestAttestAndReview(t *testing.T) {
	p := start(t, "--demo")
	p.demo(t)
	ctx := browser(t)
	page := p.dashboard + scenario + "?channel=newman~reference"
	dir := os.Getenv("FHIRWIRE_SCREENSHOTS")

	run(t, ctx, "a question to people", chromedp.Navigate(page+"&step=mtls"), chromedp.WaitVisible(`.attest`),
		eventually(`document.querySelector('#s-mtls .sym').getAttribute('aria-label') === 'Not shown'`, time.Second),
		eventually(`document.querySelector('#light-word').textContent === 'Recording'`, 5*time.Second),
		click(`.attest input[value=pass]`, `document.querySelector('.attest input[value=pass]').checked`), chromedp.SendKeys(`.attest input[name=by]`, "Ada Lovelace"))
	if code := send(t, "GET", p.proxy+"/newman~reference/custom/pdex_payer_client/fhir/metadata", "", nil); code != 200 {
		t.Fatalf("the capability statement was answered with %d", code)
	}
	run(t, ctx, "traffic ticks its step and leaves what is typed",
		eventually(`document.querySelector('#s-metadata .sym').getAttribute('aria-label').startsWith('Pass')`, 2*time.Second),
		eventually(`document.querySelector('.attest input[name=by]').value === 'Ada Lovelace' && document.querySelector('.attest input[value=pass]').checked`, time.Second),
		eventually(`document.activeElement.name === 'by'`, time.Second),
		chromedp.SendKeys(`.attest input[name=note]`, "on both screens"), click(`.attest button`, `document.querySelector('#s-mtls .sym').getAttribute('aria-label') === 'Pass'`))
	run(t, ctx, "the step is ticked, as a person's word",
		eventually(`document.querySelector('#s-mtls .sym')?.getAttribute('aria-label') === 'Pass'`, 5*time.Second),
		eventually(`document.querySelector('#detail').textContent.includes('Attested by Ada Lovelace: on both screens') && document.querySelector('#detail .ev.e-attested') !== null`, time.Second),
		eventually(`document.querySelector('.past summary')?.textContent.includes('2 results') ?? false`, time.Second))

	run(t, ctx, "the form to decide", click(`.reviewbar .decide summary`, `document.querySelector('.reviewbar .decide').open`),
		eventually(`document.querySelector('#rv-by').value === 'Ada Lovelace'`, time.Second))
	if dir != "" {
		screenshot(t, ctx, filepath.Join(dir, "decide.png"))
	}
	run(t, ctx, "a rejection without a reason is refused in words",
		click(`.reviewbar button[value=rejected]`, `document.querySelector('.reviewbar [role=alert]').textContent.includes('Not decided')`))
	run(t, ctx, "a decision",
		click(`.reviewbar button[value=verified]`, `document.querySelector('.runfacts .review').textContent.includes('Verified')`),
		eventually(`document.querySelector('#light-word').textContent === 'Recording'`, 5*time.Second))

	if code := send(t, "POST", p.proxy+"/newman~reference/custom/pdex_payer_client/fhir/Patient/$member-match", "{}", http.Header{"Content-Type": {"application/fhir+json"}}); code < 400 {
		t.Fatalf("an empty match was answered with %d", code)
	}
	run(t, ctx, "which more traffic makes one of older results",
		eventually(`document.querySelector('.runfacts .review').textContent.includes('of older results')`, 4*time.Second))
	run(t, ctx, "the queue says so too", chromedp.Navigate(p.dashboard+"/review"), chromedp.WaitVisible(`#changed`),
		eventually(`document.querySelector('#changed').parentElement.textContent.includes('Newman')`, time.Second))
	run(t, ctx, "and the matrix", chromedp.Navigate(p.dashboard+"/results?plan=payer-to-payer-stu2"), chromedp.WaitVisible(`.cell.e-simulated`),
		eventually(`[...document.querySelectorAll('.cell')].some(c => c.getAttribute('aria-label').includes('verified'))`, 5*time.Second))
	run(t, ctx, "coverage leads to the exchange", chromedp.Navigate(p.dashboard+"/coverage?plan=payer-to-payer-stu2&channel=newman~reference"),
		click(`.cover tbody a[href^="/exchanges/"]`, `location.pathname.startsWith('/exchanges/')`))

	res, err := http.Get(p.dashboard + "/api/v1/runs?" + url.Values{"plan": {"payer-to-payer-stu2"}, "channel": {"newman~reference"}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var list struct {
		Items []struct {
			Review string
			Stale  bool `json:"review_stale"`
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&list); err != nil || len(list.Items) != 1 || list.Items[0].Review != "verified" || !list.Items[0].Stale {
		t.Errorf("%v: %+v", err, list)
	}
	if dir != "" {
		for name, path := range map[string]string{"review": "/review", "coverage": "/coverage?plan=payer-to-payer-stu2"} {
			for suffix, size := range map[string][2]int64{"": {1440, 900}, "-390": {390, 844}} {
				run(t, ctx, "picture of "+path, chromedp.EmulateViewport(size[0], size[1]), chromedp.Navigate(p.dashboard+path), chromedp.WaitReady("#main"), chromedp.Sleep(300*time.Millisecond))
				var wide bool
				run(t, ctx, "width", chromedp.Evaluate(`document.documentElement.scrollWidth > innerWidth`, &wide))
				if wide {
					t.Errorf("%s scrolls sideways at %d", path, size[0])
				}
				screenshot(t, ctx, filepath.Join(dir, name+suffix+".png"))
			}
		}
	}
}
