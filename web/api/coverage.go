package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"fhirwire/testplans"
	"fhirwire/validators"
)

// Support counts which must-support elements of profiles recorded responses have, of a channel or of all.
type Support interface {
	Support(ctx context.Context, channel string) ([]testplans.Supported, error)
}

// Coverage is what is known about the requirements that a plan asks for.
type Coverage struct {
	Plan  string        `json:"plan"`
	Items []Requirement `json:"items"`
	Total int           `json:"total"`
	// Exercised counts those that some pair showed.
	Exercised int `json:"exercised"`
	// Scenario counts those of them that are the scenario's own checks, which no guide asks for.
	Scenario CoverageCount `json:"scenario"`
}

// CoverageCount is a part of the coverage.
type CoverageCount struct {
	Total     int `json:"total"`
	Exercised int `json:"exercised"`
}

// OfGuides counts the requirements that are not the scenario's own checks.
func (v *Coverage) OfGuides() CoverageCount {
	return CoverageCount{v.Total - v.Scenario.Total, v.Exercised - v.Scenario.Exercised}
}

// tellApart marks the scenario's own checks.
func (v *Coverage) tellApart(own func(id string) bool) {
	for i := range v.Items {
		r := &v.Items[i]
		if r.Scenario = own(r.ID); !r.Scenario {
			continue
		}
		v.Scenario.Total++
		if r.Exercised {
			v.Scenario.Exercised++
		}
	}
}

// Requirement is one requirement over the channels that play a plan.
type Requirement struct {
	ID string `json:"id"`
	// Scenario says that it is a check of the scenario itself, not a requirement of a guide.
	Scenario bool `json:"scenario,omitempty"`
	// Strength is the strongest of the checks that decide it.
	Strength validators.Strength `json:"strength"`
	// DecidedBy is "traffic", "attestation" or "both".
	DecidedBy string `json:"decided_by"`
	// Exercised says that a check of it was decided somewhere.
	Exercised bool `json:"exercised"`
	// Verdicts counts pairs by the verdict that the checks of it give together.
	Verdicts map[testplans.Verdict]int `json:"verdicts"`
	// Checks are those that decide it, over each channel.
	Checks []CoveredCheck `json:"checks"`
}

// CoveredCheck is a check of a requirement over one channel.
type CoveredCheck struct {
	Channel  string               `json:"channel"`
	Step     string               `json:"step"`
	Check    string               `json:"check"`
	Claim    string               `json:"claim"`
	Strength validators.Strength  `json:"strength"`
	Verdict  testplans.Verdict    `json:"verdict"`
	Side     validators.Side      `json:"side,omitempty"`
	Message  string               `json:"message,omitempty"`
	Evidence []testplans.Evidence `json:"evidence,omitempty"`
}

// exercised reports whether something happened that decides a check, for or against.
func (c *CoveredCheck) exercised() bool {
	return c.Verdict != testplans.NotShown && c.Verdict != testplans.NotApplicable && c.Verdict != testplans.ToolError
}

// CoverageOf gathers a plan's requirements, by id, with how their checks stand in judgements of it.
func CoverageOf(p *testplans.Plan, judgements []testplans.Judgement) Coverage {
	byID := map[string]*Requirement{}
	for i := range p.Steps {
		s := &p.Steps[i]
		for k := range s.Checks {
			c := &s.Checks[k]
			how := "traffic"
			if c.Attestation != nil {
				how = "attestation"
			}
			for _, id := range s.RequirementsOf(c) {
				r := byID[id]
				if r == nil {
					r = &Requirement{ID: id, DecidedBy: how, Strength: s.StrengthOf(c), Verdicts: map[testplans.Verdict]int{}, Checks: []CoveredCheck{}}
					byID[id] = r
				}
				if r.DecidedBy != how {
					r.DecidedBy = "both"
				}
				if strengthRank(s.StrengthOf(c)) < strengthRank(r.Strength) {
					r.Strength = s.StrengthOf(c)
				}
			}
		}
	}
	for i := range judgements {
		j := &judgements[i]
		parts := map[string][]testplans.Part{}
		for _, res := range j.Results {
			if res.Check == "" {
				continue
			}
			for _, id := range res.Requirements {
				r := byID[id]
				if r == nil {
					continue
				}
				check := CoveredCheck{
					Channel: j.Channel, Step: res.Step, Check: res.Check, Claim: res.Claim, Strength: res.Strength, Verdict: res.Verdict, Side: res.Side, Message: res.Message, Evidence: res.Evidence,
				}
				if r.Exercised = r.Exercised || check.exercised(); !check.exercised() {
					check.Evidence = nil
				}
				r.Checks = append(r.Checks, check)
				parts[id] = append(parts[id], testplans.Part{Verdict: res.Verdict})
			}
		}
		for id, list := range parts {
			byID[id].Verdicts[testplans.RollUp(list)]++
		}
	}
	out := Coverage{Plan: p.ID, Items: []Requirement{}, Total: len(byID)}
	for _, r := range byID {
		if r.Exercised {
			out.Exercised++
		}
		out.Items = append(out.Items, *r)
	}
	slices.SortFunc(out.Items, func(a, b Requirement) int { return compareIDs(a.ID, b.ID) })
	return out
}

func strengthRank(s validators.Strength) int {
	return slices.Index([]validators.Strength{validators.Shall, validators.Should, validators.May}, s)
}

// compareIDs orders "P2P-SC-2" before "P2P-SC-10".
func compareIDs(a, b string) int {
	x, y := strings.LastIndexByte(a, '-')+1, strings.LastIndexByte(b, '-')+1
	m, errA := strconv.Atoi(a[x:])
	n, errB := strconv.Atoi(b[y:])
	if a[:x] == b[:y] && errA == nil && errB == nil {
		return m - n
	}
	return cmp.Compare(a, b)
}

// CSV is the coverage as a table, a line for each requirement, pair and check.
func (v *Coverage) CSV() ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	write := func(cells ...string) {
		for i := range cells {
			cells[i] = harmless(cells[i])
		}
		_ = w.Write(cells) // a buffer takes everything
	}
	write("requirement", "strength", "decided by", "exercised", "plan", "channel", "step", "check", "claim", "verdict", "side", "message", "exchanges", "exchange ids")
	for _, r := range v.Items {
		if len(r.Checks) == 0 {
			write(r.ID, string(r.Strength), r.DecidedBy, "no", v.Plan)
			continue
		}
		for _, c := range r.Checks {
			exercised := "no"
			if c.exercised() {
				exercised = "yes"
			}
			var numbers, ids []string
			for _, e := range c.Evidence {
				numbers, ids = append(numbers, strconv.FormatInt(e.Number, 10)), append(ids, e.Exchange)
			}
			write(r.ID, string(c.Strength), r.DecidedBy, exercised, v.Plan, c.Channel, c.Step, c.Check, c.Claim, string(c.Verdict), string(c.Side), c.Message, strings.Join(numbers, " "), strings.Join(ids, " "))
		}
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

// harmless keeps a spreadsheet from taking a cell for a formula.
func harmless(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

// Covered judges a plan over the channels that play it, or over one, and gathers its requirements.
func Covered(ctx context.Context, d *Deps, p *testplans.Plan, plans []testplans.Plan, channel string) (Coverage, error) {
	channels, err := d.Channels.Channels(ctx)
	if err != nil {
		return Coverage{}, err
	}
	var list []testplans.Judgement
	known := false
	for _, ch := range channels {
		known = known || ch.Name == channel
		if channel != "" && ch.Name != channel || channel == "" && !PlaysTrack(ch, p.Track, plans) {
			continue
		}
		j, err := Judged(ctx, d.Scenarios, p, ch.Name)
		if err != nil && j.Results == nil {
			return Coverage{}, err
		}
		list = append(list, j)
	}
	if channel != "" && !known {
		return Coverage{}, failed(http.StatusNotFound, "No channel has this name.")
	}
	v := CoverageOf(p, list)
	if d.ScenarioCheck != nil {
		v.tellApart(d.ScenarioCheck)
	}
	return v, nil
}

func (a *API) coverage(c *gin.Context) error {
	if c.Query("plan") == "" {
		return failed(http.StatusBadRequest, "Name the test plan: ?plan=ID. GET /plans lists them.")
	}
	p, plans, err := a.plan(c, c.Query("plan"))
	if err != nil {
		return err
	}
	v, err := Covered(c.Request.Context(), &a.deps, &p, plans, c.Query("channel"))
	if err != nil {
		return err
	}
	if c.Query("format") != "csv" {
		c.JSON(http.StatusOK, v)
		return nil
	}
	text, err := v.CSV()
	if err != nil {
		return err
	}
	c.Header("Content-Disposition", `attachment; filename="coverage-`+p.ID+`.csv"`)
	c.Data(http.StatusOK, "text/csv; charset=utf-8", text)
	return nil
}

// support is what profiles want supported and what of it was seen.
func (a *API) support(c *gin.Context) error {
	if a.deps.Support == nil {
		return failed(http.StatusNotImplemented, "This server runs without profiles.")
	}
	list, err := a.deps.Support.Support(c.Request.Context(), c.Query("channel"))
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, List[testplans.Supported]{Items: append([]testplans.Supported{}, list...), Total: len(list)})
	return nil
}
