package main

import (
	"slices"
	"testing"

	"fhirwire/reference/edgecases"
	"fhirwire/testplans"
	"fhirwire/validators"
)

// TestWrongServers: each mistake is found by exactly the checks that are listed for it, and these name the requirement, also where several
// mistakes are played together.
func TestWrongServers(t *testing.T) {
	if raceDetector {
		t.Skip("plays with the race detector take minutes; testplans/play is under it, and one run of the scripts")
	}
	for _, m := range edgecases.Mutations() {
		if !slices.ContainsFunc(wrongServers, func(w wrongServer) bool { return w.edge == m.Edge }) {
			t.Errorf("no plan is listed that finds %s", m.Edge)
		}
	}
	lib, set := builtinGuides(t)
	from := newSeeds(t, lib)
	for _, play := range wrongPlays() {
		t.Run(play[0].plan+"/"+string(play[0].edge), func(t *testing.T) {
			t.Parallel()
			var edges, want []string
			for _, w := range play {
				edges, want = append(edges, string(w.edge)), append(want, w.check+" "+w.requirement)
			}
			j, _ := played(t, lib, set, from, play[0].plan, edges...)
			var got []string
			for _, r := range j.results {
				if r.Check == "" || r.Verdict != testplans.Fail || r.Side == "client" && r.Strength != validators.Shall {
					continue // what our client ought to do better is not the server's mistake
				}
				if r.Side != "server" {
					t.Errorf("%s/%s blames the %s", r.Step, r.Check, r.Side)
				}
				named := ""
				for _, w := range play {
					if w.check == r.Step+"/"+r.Check && slices.Contains(r.Requirements, w.requirement) {
						named = " " + w.requirement
					}
				}
				got = append(got, r.Step+"/"+r.Check+named)
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("with %q\n\tthe checks %q fail,\n\twant     %q", edges, got, want)
			}
		})
	}
}

// wrongPlays are the mistakes in the groups that are played: those of a plan with one letter together, the others alone.
func wrongPlays() [][]wrongServer {
	var out [][]wrongServer
	for _, w := range wrongServers {
		at := slices.IndexFunc(out, func(p []wrongServer) bool {
			return w.together != "" && p[0].plan == w.plan && p[0].together == w.together
		})
		if at < 0 {
			out = append(out, []wrongServer{w})
			continue
		}
		out[at] = append(out[at], w)
	}
	return out
}

// TestEdgeHeader: the runner and the reference payer mean the same header, and the plans ask for edges that there are.
func TestEdgeHeader(t *testing.T) {
	if testplans.EdgeHeader != edgecases.Header {
		t.Errorf("%s is sent, and %s is read", testplans.EdgeHeader, edgecases.Header)
	}
	_, set := builtinGuides(t)
	all, err := builtinPlans(set)
	if err != nil {
		t.Fatal(err)
	}
	known := slices.Concat(edgecases.Edges(), edgecases.Mutations())
	for _, plan := range all {
		if plan.Play == nil {
			continue
		}
		for _, a := range plan.Play.Acts {
			for _, e := range a.Edges {
				if !slices.ContainsFunc(known, func(d edgecases.Description) bool { return string(d.Edge) == e }) {
					t.Errorf("%s: act %s asks for %s, which there is not", plan.ID, a.Name, e)
				}
			}
		}
	}
}
