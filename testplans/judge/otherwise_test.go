package judge_test

import (
	"strings"
	"testing"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/testplans/judge"
)

const otherwisePlan = `plan: p
title: P
track: T
roles: {client: C, server: S}
steps:
  - step: search
    title: Search
    claim: A search works
    requirements: [X-1]
    select: {kind: [search-type], type: [Patient]}
    checks:
      - {check: ok, claim: It is 200, side: server, status: ["200"]}
      - {check: tls, claim: TLS is spoken, side: server, connection: {leg: server, presented: client}}
      - {check: said, claim: Somebody saw it, side: both, attestation: {question: "Was it seen?", otherwise: true}}
`

// TestOtherwise: what was seen decides where all of it is seen, else what a person said; and each says which it was.
func TestOtherwise(t *testing.T) {
	plan := read(t, otherwisePlan)
	seen := testplans.Run{Kind: testplans.Observed}
	said := seen
	said.Attestations = []testplans.Attestation{{Step: "search", Check: "said", Verdict: testplans.Pass, By: "Ada"}}
	denied := seen
	denied.Attestations = []testplans.Attestation{{Step: "search", Check: "said", Verdict: testplans.Fail, By: "Ada"}}
	secure := func(status int) checks.Item {
		it := search(1, status, bundle)
		it.Exchange.ServerLeg = legWithCertificate()
		return it
	}
	type want struct {
		step, ok, tls, said testplans.Verdict
		kind                testplans.EvidenceKind
	}
	const pass, fail, open, unchecked, na = testplans.Pass, testplans.Fail, testplans.NotShown, testplans.NotChecked, testplans.NotApplicable
	for _, tt := range []struct {
		name string
		run  testplans.Run
		item []checks.Item
		want want
	}{
		{"nothing", seen, nil, want{open, open, open, open, testplans.Observed}},
		{"nothing seen, and a word", said, nil, want{pass, na, na, pass, testplans.Attested}},
		{"nothing seen, and a word against it", denied, nil, want{fail, na, na, fail, testplans.Attested}},
		{"half of it", seen, []checks.Item{search(1, 200, bundle)}, want{unchecked, pass, unchecked, open, testplans.Observed}},
		{"half of it, and a word", said, []checks.Item{search(1, 200, bundle)}, want{pass, pass, na, pass, testplans.Observed}},
		{"half of it wrong, and a word", said, []checks.Item{search(1, 500, bundle)}, want{fail, fail, na, pass, testplans.Observed}},
		{"all of it", seen, []checks.Item{secure(200)}, want{pass, pass, pass, na, testplans.Observed}},
		{"all of it, and a word", denied, []checks.Item{secure(200)}, want{pass, pass, pass, na, testplans.Observed}},
		{"all of it wrong, and a word", said, []checks.Item{secure(404)}, want{fail, fail, pass, na, testplans.Observed}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			results, err := judge.Judge(t.Context(), plan, tt.run, items(tt.item...), checks.NewTable(nil))
			if err != nil {
				t.Fatal(err)
			}
			step := verdict(t, results, "search", "")
			got := want{step.Verdict, verdict(t, results, "search", "ok").Verdict, verdict(t, results, "search", "tls").Verdict, verdict(t, results, "search", "said").Verdict, step.Kind}
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func legWithCertificate() *proxy.Leg {
	return &proxy.Leg{TLS: &proxy.TLS{Version: "TLS 1.3", Client: []proxy.Certificate{{Subject: "CN=c", Issuer: "CN=ca"}}}}
}

// TestSelectByCertificate: an exchange is picked by whether the client showed a certificate, as far as that is known.
func TestSelectByCertificate(t *testing.T) {
	for want, legs := range map[string]map[string]*proxy.Leg{
		"*": {"presented": legWithCertificate()},
		"-": {"none": {TLS: &proxy.TLS{Version: "TLS 1.3"}}},
		"neither": {
			"in clear": {}, "not recorded": nil, "the channel's own": {TLS: &proxy.TLS{Version: "TLS 1.3"}}, "resumed": {TLS: &proxy.TLS{Version: "TLS 1.3", Resumed: true}},
		},
	} {
		for name, leg := range legs {
			for _, asked := range []string{"*", "-"} {
				plan := read(t, strings.Replace(otherwisePlan, "type: [Patient]", `type: [Patient], certificate: "`+asked+`"`, 1))
				it := search(1, 200, bundle)
				it.Exchange.ClientLeg = leg
				if name == "the channel's own" {
					it.Exchange.ServerLeg = legWithCertificate()
				}
				results, err := judge.Judge(t.Context(), plan, testplans.Run{}, items(it), checks.NewTable(nil))
				if err != nil {
					t.Fatal(err)
				}
				if got := verdict(t, results, "search", "ok").Verdict == testplans.Pass; got != (asked == want) {
					t.Errorf("%s, asked for %q: %v", name, asked, got)
				}
			}
		}
	}
}
