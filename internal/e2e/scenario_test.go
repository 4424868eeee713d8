//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

const scenario = "/scenarios/payer-to-payer-stu2"

// TestScenarioTicksItself follows the payer-to-payer plan: the demo's match is there with its exchange, and a step of a pair
// that did nothing yet is ticked by its traffic, on the page that is open.
func TestScenarioTicksItself(t *testing.T) {
	p := start(t, "--demo")
	p.demo(t)
	ctx := browser(t)

	run(t, ctx, "the list of scenarios leads to the run", chromedp.Navigate(p.dashboard+"/scenarios"), click(`.plan .runs a[href*="demo-client"]`, `document.querySelector('.steps') !== null`), chromedp.WaitVisible(`.steps`))
	run(t, ctx, "the match is judged", eventually(`/Pass|Fail/.test(document.querySelector('#s-match .sym')?.getAttribute('aria-label'))`, 20*time.Second))
	var href string
	run(t, ctx, "its evidence is a link", click(`#s-match`, `location.search.includes('step=match')`), chromedp.WaitVisible(`#evidence a`),
		chromedp.AttributeValue(`#evidence a`, "href", &href, nil))
	if !strings.HasPrefix(href, "/exchanges/") {
		t.Fatalf("the evidence leads to %q", href)
	}
	run(t, ctx, "which is the match", chromedp.Navigate(p.dashboard+href), eventually(`document.querySelector('h1').textContent.includes('$member-match')`, 5*time.Second))

	run(t, ctx, "a pair that did nothing", chromedp.Navigate(p.dashboard+scenario+"?channel=newman~reference&step=metadata"), chromedp.WaitVisible(`#s-metadata`),
		eventually(`document.querySelector('#s-metadata .sym').getAttribute('aria-label') === 'Not shown'`, time.Second),
		eventually(`document.querySelector('#light-word').textContent === 'Recording'`, 5*time.Second),
		chromedp.Evaluate(`window.sameDocument = true; document.querySelector('#s-metadata').focus()`, nil))
	if code := send(t, "GET", p.proxy+"/newman~reference/custom/pdex_payer_client/fhir/metadata", "", nil); code != 200 {
		t.Fatalf("the capability statement was answered with %d", code)
	}
	run(t, ctx, "the step is ticked within two seconds, the rest stays",
		eventually(`document.querySelector('#s-metadata .sym').getAttribute('aria-label').startsWith('Pass') && document.querySelector('#evidence a') !== null`, 2*time.Second),
		eventually(`window.sameDocument && document.activeElement.id === 's-metadata'`, time.Second))

	run(t, ctx, "the matrix shows the pairs", chromedp.Navigate(p.dashboard+"/results?plan=payer-to-payer-stu2"), chromedp.WaitVisible(`.cell.e-simulated`),
		eventually(`document.querySelectorAll('.cell.e-simulated').length === 3`, 5*time.Second),
		chromedp.Evaluate(`document.querySelector('.cell').focus()`, nil), chromedp.KeyEvent(kb.ArrowDown),
		eventually(`[...document.querySelectorAll('.cell')].indexOf(document.activeElement) === 2`, time.Second)) // the next of the same server

	res, err := http.Get(p.dashboard + "/api/v1/matrix?plan=payer-to-payer-stu2")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var m struct {
		Cells []struct {
			Channel, State string
			Kind           string `json:"evidence_kind"`
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&m); err != nil || len(m.Cells) != 3 || m.Cells[0].Kind != "simulated" {
		t.Errorf("%v: %+v", err, m)
	}
	if dir := os.Getenv("FHIRWIRE_SCREENSHOTS"); dir != "" {
		for name, page := range map[string]string{
			"scenarios": "/scenarios", "run": scenario + "?channel=demo-client~reference&step=match", "results": "/results?plan=payer-to-payer-stu2",
		} {
			for suffix, size := range map[string][2]int64{"": {1440, 900}, "-1100": {1100, 800}, "-390": {390, 844}} {
				for _, theme := range []string{"light", "dark"} {
					run(t, ctx, "picture of "+page, emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}),
						chromedp.EmulateViewport(size[0], size[1]), chromedp.Navigate(p.dashboard+page), chromedp.WaitReady("#main"), chromedp.Sleep(700*time.Millisecond))
					var wide bool
					run(t, ctx, "width", chromedp.Evaluate(`document.documentElement.scrollWidth > innerWidth`, &wide))
					if wide {
						t.Errorf("%s scrolls sideways at %d", page, size[0])
					}
					screenshot(t, ctx, filepath.Join(dir, name+suffix+"-"+theme+".png"))
				}
			}
		}
	}
}
