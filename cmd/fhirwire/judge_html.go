package main

import (
	_ "embed"
	"html/template"
	"io"
	"slices"
	"strconv"
	"time"

	"fhirwire/proxy"
	"fhirwire/testplans"
)

//go:embed judged.html
var judgedPage string

// maxListed bounds the exchanges on a page; those that decided something are on it before others.
const maxListed = 2000

type judgedStep struct {
	testplans.Result

	Title  string
	Open   bool
	Checks []judgedCheck
}

type judgedCheck struct {
	testplans.Result

	Side     string // who is asked, also where nobody is at fault
	Evidence []int64
	More     int
}

type judgedCount struct {
	Verdict testplans.Verdict
	N       int
}

type judgedExchange struct {
	Number          int64
	At, Method, URL string
	Status          string
	Kind            string
}

// judgedHTML writes one page that needs nothing else: no scripts, everything that was recorded escaped.
func judgedHTML(w io.Writer, j *judgement) error {
	page, err := template.New("judged").Parse(judgedPage)
	if err != nil {
		return err
	}
	steps, counts, n := j.htmlSteps()
	list, cut := j.htmlExchanges()
	return page.Execute(w, map[string]any{
		"Plan": j.plan, "Digest": j.plan.Digest[:min(12, len(j.plan.Digest))], "Whole": j.results[0], "Exchanges": j.read, "Channel": j.run.Channel,
		"At": j.p.now().UTC().Format(time.RFC3339), "Version": version, "Steps": steps, "Counts": counts, "Checks": n, "List": list, "Cut": cut,
		"Insecure": testplans.SayUnverified(testplans.Unverified(j.results)),
	})
}

func (j *judgement) htmlSteps() (steps []judgedStep, counts []judgedCount, n int) {
	for i := range j.results {
		r := j.results[i]
		at := slices.IndexFunc(j.plan.Steps, func(s testplans.Step) bool { return s.ID == r.Step })
		if at < 0 {
			continue
		}
		s := &j.plan.Steps[at]
		if r.Check == "" {
			steps = append(steps, judgedStep{Result: r, Title: s.Title, Open: r.Verdict == testplans.Fail || r.Verdict == testplans.ToolError})
			continue
		}
		n++
		if k := slices.IndexFunc(counts, func(c judgedCount) bool { return c.Verdict == r.Verdict }); k >= 0 {
			counts[k].N++
		} else {
			counts = append(counts, judgedCount{r.Verdict, 1})
		}
		c := judgedCheck{Result: r, Side: string(r.Side), More: r.EvidenceCut}
		if k := slices.IndexFunc(s.Checks, func(c testplans.Check) bool { return c.ID == r.Check }); k >= 0 {
			c.Side = string(s.Checks[k].Side)
		}
		for _, e := range r.Evidence {
			c.Evidence = append(c.Evidence, e.Number)
		}
		last := &steps[len(steps)-1]
		last.Checks = append(last.Checks, c)
	}
	return steps, counts, n
}

func listedExchange(ex *proxy.Exchange) judgedExchange {
	status := "no answer"
	if ex.Response != nil {
		status = strconv.Itoa(ex.Response.Status)
	}
	return judgedExchange{
		Number: ex.Number, At: ex.Timing.Start.UTC().Format("15:04:05.000"), Method: ex.Request.Method, URL: ex.Request.URL, Status: status,
		Kind: string(ex.Interaction.Kind),
	}
}

func (j *judgement) htmlExchanges() (list []judgedExchange, cut int) {
	cited := map[int64]bool{}
	for _, r := range j.results {
		for _, e := range r.Evidence {
			cited[e.Number] = true
		}
	}
	room := maxListed - len(cited)
	for _, ex := range j.listed {
		if !cited[ex.Number] {
			if room--; room < 0 {
				cut++
				continue
			}
		}
		list = append(list, ex)
	}
	return list, cut
}
