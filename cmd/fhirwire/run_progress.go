package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/testplans/play"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/fhirpath"
)

// bodyValues reads a play's variables as the judge reads those of plans.
type bodyValues struct{ model fhirpath.Model }

// Values implements play.Values.
func (b bodyValues) Values(ctx context.Context, c *testplans.Capture, body []byte) ([]string, error) {
	doc := fhirjson.Parse(body)
	defer doc.Release()
	if f := doc.Fatal(); f != nil {
		return nil, nil // what is no JSON has no values; the judge says that it is none
	}
	if c.FHIRPath != "" {
		values, err := checks.NewDesk(b.model).Strings(ctx, c.FHIRPath, doc.Root())
		return slices.Clone(values), err
	}
	n := doc.Root().At(c.Pointer)
	if n == nil || !n.IsPrimitive() || n.Text() == "" {
		return nil, nil
	}
	return []string{strings.Clone(n.Text())}, nil
}

// runProgress shows on a terminal what a run is at, in one line that is written over.
type runProgress struct {
	w       io.Writer // nil: not a terminal
	columns func() int
	width   int
}

func newRunProgress(p *process) *runProgress {
	if !p.terminal {
		return &runProgress{}
	}
	s := &runProgress{w: p.stderr, columns: func() int { return 0 }}
	if f, ok := p.stderr.(*os.File); ok {
		s.columns = func() int { return columns(f) } // a window changes its size
	}
	return s
}

func (s *runProgress) event(e play.Event) {
	if s.w == nil {
		return
	}
	text := fmt.Sprintf("%d/%d %s", e.Index, e.Total, e.Act)
	switch {
	case e.Outcome != nil && e.Outcome.State == play.Played:
		return
	case e.Outcome != nil:
		s.end()
		_, _ = fmt.Fprintf(s.w, "%s: %s: %s\n", text, e.Outcome.State, printable(inFlags(e.Outcome.Why))) // whole: it stays, and is said nowhere else
		return
	case e.Wait > 0:
		text += fmt.Sprintf(": %s, asking again in %s", e.Progress, e.Wait.Round(time.Second/10))
	case e.URL != "":
		text += ": " + e.Method + " "
		tail := fmt.Sprintf(" %d, %s", e.Status, kilobytes(e.Bytes))
		text += ending(e.URL, s.most()-len([]rune(text))-len(tail)) + tail
	}
	s.line(text)
}

// ending is a URL in so many letters, of which the last tell most; none are left out that would leave too little.
func ending(url string, most int) string {
	const least = 8
	if r := []rune(url); len(r) > most && most >= least {
		return "…" + string(r[len(r)-most+1:])
	}
	return url
}

func kilobytes(n int64) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f kB", float64(n)/(1<<10))
}

// line writes over the one before. It is shorter than the terminal is wide: a line that wraps cannot be written over.
func (s *runProgress) line(text string) {
	most := s.most()
	text = printable(text)
	if r := []rune(text); len(r) > most {
		text = string(r[:most-1]) + "…"
	}
	n := len([]rune(text))
	_, _ = fmt.Fprintf(s.w, "\r%s%s", text, strings.Repeat(" ", min(max(0, s.width-n), most-n))) // nobody to tell
	s.width = n
}

// most is how many letters a line has room for.
func (s *runProgress) most() int { return cmp.Or(max(0, s.columns()-1), 79) }

func (s *runProgress) end() {
	if s.w != nil && s.width > 0 {
		_, _ = fmt.Fprintf(s.w, "\r%s\r", strings.Repeat(" ", s.width))
		s.width = 0
	}
}

// explain says on stderr what was not played, where no terminal showed it.
func (r *runner) explain() {
	if r.stopped {
		_, _ = fmt.Fprintf(r.p.stderr, "fhirwire run: stopped after %d of %d acts; judging what was recorded\n", r.done(), len(r.plan.Play.Acts))
	}
	if r.p.terminal {
		return
	}
	for _, o := range r.outcomes {
		if o.State != play.Played {
			_, _ = fmt.Fprintf(r.p.stderr, "fhirwire run: %s %s: %s\n", o.Act, o.State, printable(inFlags(o.Why)))
		}
	}
}

// done counts the acts that came to their end.
func (r *runner) done() int {
	n := len(r.outcomes)
	if n > 0 && r.outcomes[n-1].State == play.Broken { // the one that was stopped
		n--
	}
	return n
}

// describeRun prints a dry run.
func describeRun(w io.Writer, plan *testplans.Plan, lines []play.Line) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", plan.ID, plan.Title)
	if plan.Play.Writes {
		b.WriteString("This plan sends requests that change data on the server; they are marked.\n")
	}
	if len(plan.Play.Inputs) > 0 {
		b.WriteString("\nInputs, for --set NAME=VALUE:\n")
		for _, in := range plan.Play.Inputs {
			value := in.Default
			if in.Secret {
				value = "(secret)"
			}
			fmt.Fprintf(&b, "  %-18s %s [%s]\n", in.Name, in.About, value)
		}
	}
	act := ""
	for _, l := range lines {
		if l.Act != act {
			fmt.Fprintf(&b, "\n# %s\n", l.Act)
			act = l.Act
		}
		mark := ""
		if l.Writes {
			mark = "  (writes)"
		}
		if l.Method != "" {
			fmt.Fprintf(&b, "%s %s%s\n", l.Method, l.URL, mark)
		}
		names := make([]string, 0, len(l.Header))
		for name := range l.Header {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(l.Header[name], ", "))
		}
		if l.Body != "" {
			fmt.Fprintf(&b, "\n%s\n", strings.TrimRight(l.Body, "\n"))
		}
		if l.Then != "" {
			fmt.Fprintf(&b, "  … %s\n", l.Then)
		}
	}
	if len(plan.Play.Unplayed) > 0 {
		b.WriteString("\nNot played:\n")
		for _, u := range plan.Play.Unplayed {
			fmt.Fprintf(&b, "  %-18s %s\n", u.Step, u.Why)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
