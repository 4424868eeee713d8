//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestLargeMatrix scrolls a matrix of many systems: its heads stay in sight, the page stays as wide as the window, and an update leaves the
// place where it was.
func TestLargeMatrix(t *testing.T) {
	p := start(t, "--demo")
	const long = "Regional Insurance Exchange of the Upper Midwest and Plains"
	var made struct{ ID string }
	for i := range 20 {
		p.post(t, "/api/v1/systems", fmt.Sprintf(`{"slug":"many-client-%d","name":"Client %d %s","roles":["client"]}`, i, i, long), &made)
		p.post(t, "/api/v1/systems", fmt.Sprintf(`{"slug":"many-server-%d","name":"Server %d %s","roles":["server"],"base_url":"https://payer-%d.example/fhir"}`, i, i, long, i), &made)
	}
	ctx := browser(t)
	const results = "/results?plan=payer-to-payer-stu2"
	for _, size := range [][2]int64{{1440, 900}, {390, 844}} {
		run(t, ctx, fmt.Sprintf("at %d", size[0]), chromedp.EmulateViewport(size[0], size[1]), chromedp.Navigate(p.dashboard+results), chromedp.WaitVisible(`.mx`),
			eventually(`document.querySelector('#light-word').textContent === 'Recording'`, 5*time.Second),
			eventually(`document.documentElement.scrollWidth <= innerWidth`, time.Second),
			chromedp.Evaluate(`document.querySelector('.mx').scrollTo({ left: 500, top: 400, behavior: 'instant' })`, nil),
			eventually(`(() => { const at = (s) => document.querySelector(s).getBoundingClientRect(), box = at('.mx');
				return box.height < innerHeight && Math.abs(at('.matrix thead th:nth-child(3)').top - box.top) < 4 && Math.abs(at('.matrix tbody th').left - box.left) < 4; })()`, time.Second))
	}
	if code := send(t, "GET", p.proxy+"/newman~reference/fhir/metadata", "", nil); code != http.StatusOK {
		t.Fatalf("the capability statement was answered with %d", code)
	}
	run(t, ctx, "an update keeps the place",
		eventually(`[...document.querySelectorAll('.cell')].some(c => /^Newman with Reference payer: (?!not tried)/.test(c.getAttribute('aria-label')))`, 5*time.Second),
		eventually(`document.querySelector('.mx').scrollTop === 400 && document.querySelector('.mx').scrollLeft === 500`, time.Second))
}
