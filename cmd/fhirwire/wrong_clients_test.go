package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fhirwire/proxy/record"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/testplans/play"
	"fhirwire/validators/guides"
	"fhirwire/validators/profile"
)

// wrongClient is a mistake of a client, and what finds it.
type wrongClient struct {
	mistake string
	plan    string
	// acts are those of the plan that the client plays, separated by spaces.
	acts  string
	lapse lapse
	// finds are the checks that find it, each with the requirement that it names. A check that cannot fail has its verdict behind that; one
	// that blames the server too, which let it pass, "fail server".
	finds []string
}

// clientRigs are the programs under which clients are played: one for each era and for servers with and without tokens.
type clientRigs struct {
	lib *guides.Library
	set *profile.Set
	of  map[string]*clientRig
	n   atomic.Int64
}

type clientRig struct {
	*served

	cert, another tls.Certificate
}

func rigOf(plan *testplans.Plan) string { return eraOf(plan) + " " + string(authOf(plan)) }

func (rs *clientRigs) start(t *testing.T, plan *testplans.Plan) {
	t.Helper()
	if rs.of[rigOf(plan)] != nil {
		return
	}
	event := newAuthority(t)
	caFile := filepath.Join(t.TempDir(), "event.pem")
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: event.cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	named := func(c *x509.Certificate) { c.URIs = []*url.URL{{Scheme: "https", Host: "acme.example", Path: "/fhir"}} }
	r := &clientRig{cert: event.issue("acme-app", named), another: event.issue("acme-app-2", named)}
	r.served = startServe(t, t.TempDir(), "--demo", "--client-ca", caFile, "--reference-guides", eraOf(plan), "--reference-auth", string(authOf(plan)),
		"--reference-registrations", "0") // the proxy is one peer of the payer, whoever registers through it
	for deadline := time.Now().Add(patience); !strings.Contains(r.out.String(), "Demo played"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the demo did not end: %s", r.out.String())
		}
	}
	rs.of[rigOf(plan)] = r
}

// play plays some acts of a plan through a channel of its own and judges what was recorded there.
func (rs *clientRigs) play(t *testing.T, plan testplans.Plan, acts []string, wrongly lapse) map[string]testplans.Result {
	t.Helper()
	s := *rs.of[rigOf(&plan)].served
	s.t = t
	n := rs.n.Add(1)
	guides, err := json.Marshal(map[string]any{"guides": eras[eraOf(&plan)], "discovery": "rewrite"})
	if err != nil {
		t.Fatal(err)
	}
	client, server := fmt.Sprintf("client-%d", n), fmt.Sprintf("payer-%d", n)
	s.channel(client, server, s.at+"/fhir", string(guides))
	var legs []*counting
	by := func(certs ...tls.Certificate) http.RoundTripper {
		legs = append(legs, &counting{next: plainTransport(t, s.client(false, certs...))})
		return legs[len(legs)-1]
	}
	rig := rs.of[rigOf(&plan)]
	side := &clientSide{next: by(rig.cert), bare: by(), another: by(rig.another), key: newClientKey(t)}
	var wire http.RoundTripper = side
	if wrongly != nil {
		wire = wrongly(side)
	}
	script := *plan.Play
	script.Acts = nil
	for _, name := range acts {
		at := slices.IndexFunc(plan.Play.Acts, func(a testplans.Act) bool { return a.Name == name })
		if at < 0 {
			t.Fatalf("%s has no act %s", plan.ID, name)
		}
		script.Acts = append(script.Acts, plan.Play.Acts[at])
	}
	played := plan
	played.Play = &script
	key, err := play.ReadKey(side.key.pem(t))
	if err != nil {
		t.Fatal(err)
	}
	rec := record.New(discard{}, passingKey(), record.Options{SpoolDir: t.TempDir()})
	player := play.New(rec, wire, bodyValues{rs.set}, play.Options{Key: key, Certificate: &rig.cert, Wait: longer, Patience: patience})
	outcomes, err := player.Run(t.Context(), &played, play.Target{Base: s.at + "/" + client + "~" + server + "/fhir", Channel: "client", Edges: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range outcomes {
		switch {
		case o.State == play.Played:
		case wrongly == nil:
			t.Errorf("act %s is %s: %s", o.Act, o.State, o.Why)
		default:
			t.Logf("act %s is %s: %s", o.Act, o.State, o.Why)
		}
	}
	sent := 0
	for _, leg := range legs {
		sent += int(leg.n.Load())
	}
	s.stored("channel:"+client+"~"+server, sent)
	j := &judgement{
		p: &process{now: time.Now}, plan: plan, lib: rs.lib, table: checks.NewTable(rs.set),
		run: testplans.Run{State: testplans.Evaluating, Channel: client + "~" + server},
	}
	if err := j.channel(t.Context(), s.data, "", j.run.Channel); err != nil {
		t.Fatal(err)
	}
	out := map[string]testplans.Result{}
	for _, r := range j.results {
		if r.Check != "" {
			out[r.Step+"/"+r.Check] = r
		}
	}
	return out
}

// plainTransport is a client's transport, which asks for no compression by itself.
func plainTransport(t *testing.T, c *http.Client) http.RoundTripper {
	t.Helper()
	tr, ok := c.Transport.(*http.Transport)
	if !ok {
		t.Fatal("no transport")
	}
	tr.DisableCompression = true
	return tr
}

// longer waits longer than a server asked for, so that what the proxy noted of the waits is never less.
func longer(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d + time.Second)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// TestWrongClients plays clients through the proxy to the reference payer: for each mistake one that makes it and one that plays the same
// without it. The mistake is found by exactly the checks listed, which name the requirement and blame the client; where it is not made
// they pass.
func TestWrongClients(t *testing.T) {
	if raceDetector {
		t.Skip("plays with the race detector take minutes; TestClientsUnderTest plays some with it")
	}
	testClients(t, wrongClients())
}

// TestClientsUnderTest is a part of it that is short enough for the race detector.
func TestClientsUnderTest(t *testing.T) {
	if !raceDetector {
		t.Skip("TestWrongClients plays these too")
	}
	list := wrongClients()
	testClients(t, slices.DeleteFunc(list, func(w wrongClient) bool { return w.plan != "smart-backend-services" }))
}

func testClients(t *testing.T, list []wrongClient) {
	rs := &clientRigs{of: map[string]*clientRig{}}
	rs.lib, rs.set = builtinGuides(t)
	plans := map[string]testplans.Plan{}
	groups := map[string][]wrongClient{}
	for _, w := range list {
		if _, read := plans[w.plan]; !read {
			plan, err := findPlan(w.plan, rs.set)
			if err != nil {
				t.Fatal(err)
			}
			plans[w.plan] = plan
			rs.start(t, &plan)
		}
		groups[w.plan+": "+w.acts] = append(groups[w.plan+": "+w.acts], w)
	}
	for name, group := range groups {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan, acts := plans[group[0].plan], strings.Fields(group[0].acts)
			right := rs.play(t, plan, acts, nil)
			for id, r := range right {
				if r.Verdict == testplans.Fail || r.Verdict == testplans.ToolError {
					t.Errorf("the right client: %s %s: %s", id, r.Verdict, r.Message)
				}
			}
			for _, w := range group {
				t.Run(w.mistake, func(t *testing.T) { w.compare(t, right, rs.play(t, plan, acts, w.lapse)) })
			}
		})
	}
}

// compare holds the verdicts on a wrong client against those on the right one.
func (w *wrongClient) compare(t *testing.T, right, wrong map[string]testplans.Result) {
	t.Helper()
	var want, got []string
	for _, f := range w.finds {
		words := strings.Fields(f)
		id, verdict, side := words[0], testplans.Fail, "client"
		if len(words) > 2 {
			verdict = testplans.Verdict(words[2])
		}
		if len(words) > 3 {
			side = words[3]
		}
		r, there := wrong[id]
		switch {
		case !there:
			t.Errorf("%s has no check %s", w.plan, id)
			continue
		case string(r.Side) != side && verdict == testplans.Fail:
			t.Errorf("%s blames the %s", id, r.Side)
		case !slices.Contains(r.Requirements, words[1]):
			t.Errorf("%s names %q, not %s", id, r.Requirements, words[1])
		}
		if v := right[id].Verdict; v == verdict || v != testplans.Pass && v != testplans.NotShown {
			t.Errorf("%s is %s without the mistake: %s", id, v, right[id].Message)
		}
		want = append(want, id+" "+string(verdict))
		if verdict != testplans.Fail {
			got = append(got, id+" "+string(r.Verdict))
		}
	}
	for id, r := range wrong {
		if r.Verdict == testplans.Fail || r.Verdict == testplans.ToolError {
			got = append(got, id+" "+string(r.Verdict))
			t.Logf("%s: %s", id, r.Message)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("found by %q,\n\twant     %q", got, want)
		for _, f := range w.finds {
			r := wrong[strings.Fields(f)[0]]
			t.Logf("%s/%s is %s: %s", r.Step, r.Check, r.Verdict, r.Message)
		}
	}
}

// TestClientPlans: each plan in which a client is judged by a SHALL has mistakes that are played, or is listed with the reason why not.
func TestClientPlans(t *testing.T) {
	_, set := builtinGuides(t)
	all, err := builtinPlans(set)
	if err != nil {
		t.Fatal(err)
	}
	for _, plan := range all {
		asks := slices.ContainsFunc(plan.Steps, func(s testplans.Step) bool {
			return slices.ContainsFunc(s.Checks, func(c testplans.Check) bool { return c.Side == "client" })
		})
		if asks && !slices.ContainsFunc(wrongClients(), func(w wrongClient) bool { return w.plan == plan.ID }) {
			t.Errorf("%s: no wrong client is played", plan.ID)
		}
	}
}
