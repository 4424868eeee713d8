//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// browser opens a headless Chromium with nothing of its own going on.
func browser(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.UserDataDir(profileDir(t)), chromedp.WindowSize(1440, 900),
		chromedp.WSURLReadTimeout(5*time.Minute), // a busy machine starts it slowly
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
	)
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithBrowserOption(chromedp.WithDialTimeout(5*time.Minute)))
	t.Cleanup(cancel)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) }) // which waits for the browser
	limited, cancel := context.WithTimeout(ctx, 10*time.Minute)
	t.Cleanup(cancel)
	return limited
}

// profileDir is a folder for a browser, whose helpers may go on writing for a moment after it has ended.
func profileDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fhirwire-browser")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for deadline := time.Now().Add(10 * time.Second); os.RemoveAll(dir) != nil && time.Now().Before(deadline); {
			time.Sleep(50 * time.Millisecond)
		}
	})
	return dir
}

func run(t *testing.T, ctx context.Context, what string, actions ...chromedp.Action) {
	t.Helper()
	patient := make([]chromedp.Action, len(actions))
	for i, a := range actions {
		patient[i] = onLivePage{a}
	}
	if err := chromedp.Run(ctx, patient...); err != nil {
		if dir := os.Getenv("FHIRWIRE_SCREENSHOTS"); dir != "" {
			screenshot(t, ctx, filepath.Join(dir, "failed.png"))
		}
		t.Fatalf("%s: %v", what, err)
	}
}

// onLivePage tries an action again whose element was replaced by an update between being found and being used.
type onLivePage struct{ chromedp.Action }

// Do implements chromedp.Action.
func (a onLivePage) Do(ctx context.Context) error {
	for tries := 5; ; tries-- {
		err := a.Action.Do(ctx)
		if err == nil || tries == 0 || !strings.Contains(err.Error(), "Could not find node with given id") {
			return err
		}
	}
}

func screenshot(t *testing.T, ctx context.Context, file string) {
	t.Helper()
	var png []byte
	if err := chromedp.Run(ctx, chromedp.CaptureScreenshot(&png)); err != nil {
		t.Log(err)
		return
	}
	if err := os.WriteFile(file, png, 0o600); err != nil {
		t.Log(err)
	}
}

// eventually waits until the script is true in the page. How fast that is on a machine at rest, usual says; on a busy one it may take
// a minute more.
func eventually(script string, usual time.Duration) chromedp.Action {
	limit := usual + time.Minute
	return chromedp.ActionFunc(func(ctx context.Context) error {
		for deadline := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
			var ok bool
			err := chromedp.Evaluate(script, &ok).Do(ctx) // an error is a page that is being left, or not yet whole
			if err == nil && ok {
				return nil
			}
			if time.Now().After(deadline) || ctx.Err() != nil {
				return errors.Join(fmt.Errorf("not true within %s: %s", limit, script), err, ctx.Err())
			}
		}
	})
}

// click clicks until the script is true in the page: an update may move or replace what is clicked, and the click is lost.
func click(selector, script string) chromedp.Action {
	once := func(ctx context.Context) error {
		limited, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		return chromedp.Click(selector, chromedp.NodeVisible).Do(limited)
	}
	return chromedp.ActionFunc(func(ctx context.Context) error {
		var err error
		for range 4 {
			clicked := once(ctx)
			waited := eventually(script, 0).Do(ctx)
			if waited == nil {
				return nil
			}
			err = errors.Join(clicked, waited)
		}
		return fmt.Errorf("clicks on %s: %w", selector, err)
	})
}

// scripted waits until the page's script has run, which a key that is pressed before does not find.
var scripted = eventually(`document.documentElement.classList.contains('scripted')`, time.Minute)

func send(t *testing.T, method, url, body string, h http.Header) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range h {
		req.Header[k] = v
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// TestFindingLeadsToItsLine is the demo of the product: a row arrives by itself, the red one is opened, its finding is
// clicked, and the line it is about is in view.
func TestFindingLeadsToItsLine(t *testing.T) {
	p := start(t, "--demo")
	failing := p.exchanges(t, url.QueryEscape("verdict:fail op:$member-match"), 1)[0]
	ctx := browser(t)

	run(t, ctx, "open the dashboard", chromedp.Navigate(p.dashboard+"/"), chromedp.WaitVisible(`#rows tr`))
	run(t, ctx, "remember the page", chromedp.Evaluate(`window.sameDocument = true`, nil))
	if code := send(t, "GET", p.proxy+"/demo-client~reference/fhir/Patient?identifier=arrives-live", "", nil); code != 200 {
		t.Fatalf("the search was answered with %d", code)
	}
	run(t, ctx, "a row arrives within a second or so, without loading the page again",
		eventually(`[...document.querySelectorAll('#rows tr')].some(r => r.textContent.includes('arrives-live'))`, 5*time.Second),
		eventually(`window.sameDocument === true`, time.Second))
	run(t, ctx, "its verdict follows",
		eventually(`[...document.querySelectorAll('#rows tr')].some(r => r.textContent.includes('arrives-live') && /Pass|Notes/.test(r.textContent))`, 5*time.Second))

	run(t, ctx, "open the failing exchange", chromedp.Navigate(p.dashboard+"/?filter="+url.QueryEscape("verdict:fail")), chromedp.WaitVisible(`#rows tr[data-failed] a`))
	var open []string
	run(t, ctx, "the failing rows are links", chromedp.Evaluate(`[...document.querySelectorAll('#rows tr[data-failed] a')].map(a => a.getAttribute('href'))`, &open))
	if !strings.Contains(strings.Join(open, " "), failing.ID) {
		t.Fatalf("no link to %s among %q", failing.ID, open)
	}
	run(t, ctx, "open its page", chromedp.Navigate(p.dashboard+"/exchanges/"+failing.ID), chromedp.WaitVisible(`a[data-finding]`))
	run(t, ctx, "click the finding", click(`.fitem[data-finding]`, `location.hash.length > 1`))
	run(t, ctx, "its line is marked and in view",
		eventually(`location.hash.length > 1`, 3*time.Second),
		eventually(`(() => { const e = document.getElementById(location.hash.slice(1)); if (!e) return false;
			const r = e.getBoundingClientRect(); return r.bottom > 0 && r.top < innerHeight; })()`, 3*time.Second),
		eventually(`document.querySelector('.callout') !== null && /CoverageToMatch|Consent/i.test(document.querySelector('.callout').textContent)`, 3*time.Second),
		eventually(`/P2P-MM-10[0-9]/.test(document.body.textContent)`, 3*time.Second))
	if dir := os.Getenv("FHIRWIRE_SCREENSHOTS"); dir != "" {
		screenshot(t, ctx, filepath.Join(dir, "finding.png"))
	}
}

// TestHostileContentStaysText plants script in everything that is recorded, and opens every page that shows it.
func TestHostileContentStaysText(t *testing.T) {
	p := start(t, "--demo")
	const script = `<script>window.pwned=1</script><img src=x onerror="window.pwned=1">`
	body := `{"resourceType":"Patient","id":"x","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">` +
		strings.ReplaceAll(script, `"`, `\"`) + `</div>"},"name":[{"family":"` + strings.ReplaceAll(script, `"`, `\"`) + `"}],"` + strings.ReplaceAll(script, `"`, `\"`) + `":1}`
	h := http.Header{"Content-Type": {"application/fhir+json"}, "X-Note": {script}, "User-Agent": {script}}
	send(t, "POST", p.proxy+"/demo-client~reference/fhir/Patient?x="+url.QueryEscape(script), body, h)
	send(t, "GET", p.proxy+"/demo-client~reference/fhir/Patient/javascript:window.pwned=1", "", h)
	send(t, "GET", p.proxy+"/"+url.PathEscape("<script>window.pwned=1<"), "", h)
	got := p.exchanges(t, "", 3)
	res, err := http.Post(p.dashboard+"/api/v1/systems", "application/json", strings.NewReader(
		`{"slug":"hostile","name":`+fmt.Sprintf("%q", script)+`,"roles":["client"]}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		t.Fatalf("the hostile system was answered with %d", res.StatusCode)
	}

	ctx := browser(t)
	pages := []string{"/", "/systems", "/scenarios", "/results", scenario + "?channel=demo-client~reference", "/?filter=" + url.QueryEscape(script)}
	for _, e := range got[:3] {
		for _, tab := range []string{"", "/request", "/response", "/findings", "/connection", "/changes"} {
			pages = append(pages, "/exchanges/"+e.ID+tab)
		}
	}
	for _, page := range pages {
		var pwned, foreign bool
		run(t, ctx, page, chromedp.Navigate(p.dashboard+page), chromedp.WaitReady("body"), chromedp.Sleep(100*time.Millisecond),
			chromedp.Evaluate(`window.pwned === 1`, &pwned),
			chromedp.Evaluate(`document.querySelector('img, [onerror], a[href^="javascript:"]') !== null || [...document.scripts].some(s => !s.src)`, &foreign))
		if pwned || foreign {
			t.Errorf("%s: script ran: %v; foreign markup: %v", page, pwned, foreign)
		}
	}
}
