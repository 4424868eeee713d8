package web

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

var seenField = regexp.MustCompile(`name="seen" value="([^"]*)"`)

func seenIn(t *testing.T, page string) string {
	t.Helper()
	m := seenField.FindStringSubmatch(page)
	if m == nil {
		t.Fatal("the page has no form to decide")
	}
	return m[1]
}

// Two leads look at one run: who decides second is told of the first, keeps what was typed, and decides again knowingly.
func TestTwoLeadsDecide(t *testing.T) {
	store, channel := matched(t)
	s := kept(t, store, attestPlan)
	page := "/scenarios/attest?channel=" + channel
	const act = "/scenarios/attest/review"
	both := seenIn(t, get(t, s, page).Body.String())
	decide := func(status int, state, by, comment, seen string) string {
		t.Helper()
		return send(t, s, act, status, url.Values{"channel": {channel}, "state": {state}, "by": {by}, "comment": {comment}, "seen": {seen}, "role": {"track lead"}})
	}
	decide(http.StatusSeeOther, "claimed", "Grace", "", both)
	body := decide(http.StatusConflict, "rejected", "Ada", "the match is a 500", both)
	for _, want := range []string{"Not decided yet. Grace decided while you looked: claimed, 10:45:02.", "Grace claimed this, 10:45:02. Talk to them before you decide.", `value="the match is a 500"`, `role="alert"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if list, err := s.deps.Runs.Reviews(t.Context(), "run-0001"); err != nil || len(list["run-0001"]) != 1 {
		t.Errorf("it was decided all the same: %v, %v", list, err)
	}
	decide(http.StatusSeeOther, "rejected", "Ada", "the match is a 500", seenIn(t, body))
	decide(http.StatusSeeOther, "verified", "Ada", "", both) // nobody else came after her
	body = decide(http.StatusConflict, "verified", "Grace", "", both)
	if !strings.Contains(body, "Ada decided while you looked: verified") {
		t.Error("the first lead is not told of the second")
	}
	// From the queue it is the same, and a form that does not say what was seen is not held up.
	queue := seenIn(t, get(t, s, "/review").Body.String())
	send(t, s, act, http.StatusSeeOther, url.Values{"channel": {channel}, "state": {"claimed"}, "by": {"Script"}, "role": {"track lead"}})
	send(t, s, act, http.StatusConflict, url.Values{"channel": {channel}, "state": {"verified"}, "by": {"Grace"}, "role": {"track lead"}, "seen": {queue}, "back": {"/review"}})
}
