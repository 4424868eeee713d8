package web

import (
	"encoding/json"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"fhirwire/proxy"
	"fhirwire/validators"
	"fhirwire/web/api/apitest"
)

func TestFindingsPage(t *testing.T) {
	store := apitest.NewStore()
	s := newServer(t, store, Options{})
	if body := get(t, s, "/findings").Body.String(); !strings.Contains(body, "Nothing recorded yet") {
		t.Error("an empty data folder is not told from a clean one")
	}
	demo(t, store)
	checkPage(t, "findings.html", get(t, s, "/findings").Body.String())
	if body := get(t, s, "/findings?severity=error&side=client").Body.String(); strings.Count(body, `<details id="g`) != 1 || !strings.Contains(body, "The match request carries no Consent") {
		t.Error("the client's errors are not shown by themselves")
	}
	if body := get(t, s, "/findings?severity=error&side=client&channel=harborlight~cedar").Body.String(); strings.Count(body, `<details id="g`) != 1 {
		t.Error("the pair's findings are not shown")
	}
	if code := get(t, s, "/findings?channel=no~body").Code; code != http.StatusNotFound {
		t.Errorf("an unknown pair is %d", code)
	}

	clean := apitest.NewStore()
	ch := addPair(t, clean, "Harborlight Health Plan", "Cedar Mesa Mutual", false)
	addExchange(clean, "x1", 0, spec{path: "/fhir/metadata", channel: ch, kind: proxy.Interaction{Kind: proxy.KindCapabilities}, status: 200})
	addReport(clean, "x1", nil)
	if body := get(t, newServer(t, clean, Options{}), "/findings").Body.String(); !strings.Contains(body, "No such findings") {
		t.Error("clean traffic is not said to be clean")
	}
}

// TestFindingsGroup says which findings are one mistake: the same rule at the same element by the same system.
func TestFindingsGroup(t *testing.T) {
	issue := func(at string, side validators.Side) validators.Issue {
		return validators.Issue{Severity: validators.SeverityError, MessageID: "cardinality-min", Message: at + " is missing", Expression: at, Side: side, Resource: 0}
	}
	report := func(id string, issues ...validators.Issue) *validators.Report {
		return &validators.Report{Subject: id, Resources: []validators.ResourceResult{{ResourceType: "Patient", ID: "p", Expression: "Bundle.entry[3].resource"}}, Issues: issues}
	}
	list := []*proxy.Exchange{{ID: "a", Channel: "c1~s", Number: 1}, {ID: "b", Channel: "c2~s", Number: 2}, {ID: "c", Channel: "c2~s", Number: 3}}
	reports := map[string]*validators.Report{
		"a": report("a", issue("Bundle.entry[3].resource.name[0].family", validators.SideServer), issue("Bundle.entry[3].resource.name[1].family", validators.SideServer)),
		"b": report("b", issue("Bundle.entry[3].resource.name[0].family", validators.SideServer), issue("Bundle.entry[3].resource.id", validators.SideClient)),
	}
	groups := groupFindings(list, reports, findingsFilter{}, func(*proxy.Exchange) string { return "" })
	if len(groups) != 2 || groups[0].times != 3 || groups[0].exchanges != 2 || len(groups[0].places) != 3 || groups[1].times != 1 {
		t.Fatalf("%d groups: %+v", len(groups), groups)
	}
	if got := elementPath(groups[0].report, groups[0].issue); got != "Patient.name.family" {
		t.Errorf("the path is %s", got)
	}
	if got := groupFindings(list, reports, findingsFilter{side: "client"}, func(*proxy.Exchange) string { return "" }); len(got) != 1 {
		t.Errorf("%d groups of the client", len(got))
	}
}

func TestCopiedFinding(t *testing.T) {
	store := apitest.NewStore()
	demo(t, store)
	s := newServer(t, store, Options{})
	body := get(t, s, "/exchanges/x3/findings").Body.String()
	var texts []string
	for _, m := range regexp.MustCompile(`data-copy="([^"]*)"`).FindAllStringSubmatch(body, -1) {
		texts = append(texts, html.UnescapeString(m[1]))
	}
	if len(texts) != 3 { // curl, Markdown, JSON
		t.Fatalf("%d texts to copy", len(texts))
	}
	for _, want := range []string{"**Error**: `The match request carries no Consent`", "- Whose side: Harborlight Health Plan (client)", "`P2P-MM-104`", "http://127.0.0.1:8080/exchanges/x3/request?finding=0#f0"} {
		if !strings.Contains(texts[1], want) {
			t.Errorf("the Markdown has no %q:\n%s", want, texts[1])
		}
	}
	var got struct {
		Exchange string
		Issue    validators.Issue
	}
	if err := json.Unmarshal([]byte(texts[2]), &got); err != nil || got.Exchange != "x3" || got.Issue.MessageID != "member-match-consent" {
		t.Errorf("%v: %+v", err, got)
	}
	for _, want := range []string{`href="/?channel=harborlight~cedar&amp;filter=rule%3Amember-match-consent"`, `href="/coverage?requirement=P2P-MM-104"`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestMarkdownIsText(t *testing.T) {
	for in, want := range map[string]string{"": "", "a": "`a`", "a`b": "`` a`b ``", "``": "``` `` ```", "a\nb": "`a b`"} {
		if got := markdownCode(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
	if got := markdownText("[x](javascript:1) <b>"); got != `\[x\](javascript:1) \<b\>` {
		t.Error(got)
	}
}

func TestRequirementLeadsToItsPlan(t *testing.T) {
	store, _ := matched(t)
	s := kept(t, store, attestPlan)
	w := get(t, s, "/coverage?requirement=P2P-MM-104")
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/coverage?plan=attest#r-P2P-MM-104" {
		t.Errorf("%d %s", w.Code, w.Header().Get("Location"))
	}
	if body := get(t, s, "/coverage?plan=attest").Body.String(); !strings.Contains(body, `id="r-P2P-MM-104"`) {
		t.Error("the row is not there")
	}
	if w := get(t, s, "/coverage?requirement=NONE"); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "No plan decides this requirement") {
		t.Errorf("%d", w.Code)
	}
}
