package web

import (
	"bytes"
	"context"
	"encoding/csv"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"fhirwire/testplans"
	"fhirwire/web/views"
)

// sheetLinks lead to the results as a sheet to print or sign, and as CSV; of one plan or of all.
func sheetLinks(plan string) []views.Link {
	q := ""
	if plan != "" {
		q = "?plan=" + url.QueryEscape(plan)
	}
	return []views.Link{{Text: "Sheet to print", Href: "/results/sheet" + q}, {Text: "CSV", Href: "/results/csv" + q}}
}

// sheetRuns are the runs of the plan asked for, or of all, by plan and then by pair.
func (s *Server) sheetRuns(ctx context.Context, c *gin.Context) (list []queued, more bool, err error) {
	plans, err := s.plans(ctx)
	if err != nil {
		return nil, false, err
	}
	if id := c.Query("plan"); id != "" {
		p, err := s.planNamed(ctx, plans, id)
		if err != nil {
			return nil, false, err
		}
		plans = []testplans.Plan{*p}
	}
	if s.deps.Runs == nil {
		return nil, false, nil
	}
	list, more, err = s.queue(ctx, plans)
	order := map[string]int{}
	for i := range plans {
		order[plans[i].ID] = i
	}
	slices.SortStableFunc(list, func(a, b queued) int {
		if d := order[a.plan.ID] - order[b.plan.ID]; d != 0 {
			return d
		}
		return strings.Compare(a.channel, b.channel)
	})
	return list, more, err
}

// sheet is every run with who decided what, to print and to sign.
func (s *Server) sheet(c *gin.Context) error {
	ctx := c.Request.Context()
	n, err := s.names(ctx)
	if err != nil {
		return err
	}
	list, more, err := s.sheetRuns(ctx, c)
	if err != nil {
		return err
	}
	v := views.Sheet{
		Shell: s.shell(ctx, c, "Results sheet", "results", n, ""), At: s.opts.Clock().Format("2 January 2006, 15:04 MST"), CSV: "/results/csv",
		Back: "/results",
	}
	if id := c.Query("plan"); id != "" {
		v.CSV, v.Back = v.CSV+"?plan="+url.QueryEscape(id), resultsHref(id)
	}
	if more {
		v.Note = "The newest " + views.Count(queuePage) + " runs are listed."
	}
	open := 0
	for i := range list {
		q := &list[i]
		if k := len(v.Plans); k == 0 || v.Plans[k-1].ID != q.plan.ID {
			v.Plans = append(v.Plans, views.SheetPlan{ID: q.plan.ID, Title: planName(q.plan)})
		}
		whole := q.j.Whole()
		client, server := n.sides(q.channel)
		row := views.SheetRow{
			Client: client, Server: server, Href: q.href(), Verdict: planMark(whole.Verdict), Side: string(whole.Side), Evidence: evidenceView(q.j.Kind),
			Tally: tallyOf(&q.j), Stamp: s.stampOf(q.list, q.j.Digest()), Comment: visible([]byte(clip(q.last.Comment, 600))), Run: visible([]byte(q.run.Name)),
		}
		if q.last.By != "" {
			row.Stamp.Note = visible([]byte(q.last.By)) + ", " + q.last.At.In(s.opts.Clock().Location()).Format("2 Jan 2006 15:04 MST")
			if q.stale {
				row.Stamp.Note += ", of older results"
			}
		}
		if q.group() != decided {
			open++
		}
		p := &v.Plans[len(v.Plans)-1]
		p.Rows = append(p.Rows, row)
	}
	v.Summary = views.Plural(len(list), "run", "runs") + ", " + views.Count(len(list)-open) + " decided, " + views.Count(open) + " open."
	if len(list) == 0 {
		v.Empty = &views.Empty{Title: "Nothing was tried yet", Text: "A run appears here once its first exchange was recorded.", Actions: []views.Link{{Text: "Scenarios", Href: "/scenarios"}}}
	}
	return render(c, http.StatusOK, views.SheetPage(v))
}

var sheetColumns = []string{
	"track", "plan", "scenario", "client", "server", "channel", "run", "state", "verdict", "side", "evidence", "required_passed", "required_steps",
	"exchanges", "last_exchange", "review", "reviewed_by", "reviewed_as", "reviewed_at", "of_older_results", "comment",
}

// sheetCSV is the sheet for a spreadsheet.
func (s *Server) sheetCSV(c *gin.Context) error {
	ctx := c.Request.Context()
	n, err := s.names(ctx)
	if err != nil {
		return err
	}
	list, _, err := s.sheetRuns(ctx, c)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write(sheetColumns) // the buffer takes everything; Error says otherwise
	for i := range list {
		q := &list[i]
		whole := q.j.Whole()
		client, server := n.sides(q.channel)
		counts, total := required(&q.j), 0
		for _, k := range counts {
			total += k
		}
		row := []string{
			q.plan.Track, q.plan.ID, q.plan.Title, client, server, q.channel, q.run.Name, string(q.j.State), string(whole.Verdict), string(whole.Side), string(q.j.Kind),
			strconv.Itoa(counts[testplans.Pass] + counts[testplans.PassNotes]), strconv.Itoa(total), strconv.Itoa(q.j.Exchanges), utc(q.j.Last),
			string(q.last.State), q.last.By, q.last.Role, utc(q.last.At), strconv.FormatBool(q.stale && q.last.By != ""), q.last.Comment,
		}
		for j := range row {
			row[j] = spreadsheetSafe(row[j])
		}
		_ = w.Write(row)
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return err
	}
	c.Header("Cache-Control", "no-store")
	c.Header("Content-Disposition", `attachment; filename="fhirwire-results.csv"`)
	c.Data(http.StatusOK, "text/csv; charset=utf-8", b.Bytes())
	return nil
}

func utc(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// spreadsheetSafe keeps a cell from being taken for a formula.
func spreadsheetSafe(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
