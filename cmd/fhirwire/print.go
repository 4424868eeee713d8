package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strings"

	"fhirwire/validators"
	"fhirwire/web/api"
)

// printer writes results in one format.
type printer interface {
	print(result) error
	end() error
}

func newPrinter(format string, p *process) (printer, error) {
	w := bufio.NewWriter(p.stdout)
	switch format {
	case "text":
		return &textPrinter{w: w}, nil
	case "ndjson":
		return &linePrinter{w: w}, nil
	case "json":
		return &outcomePrinter{w: w}, nil
	case "html":
		return &htmlPrinter{w: w, now: p.now}, nil
	default:
		return nil, usagef("--format %q is none of text, json, ndjson, html", format)
	}
}

// resultLine is the documented shape of --format ndjson.
type resultLine struct {
	Source       string      `json:"source"`
	Index        int         `json:"index"`
	Line         int         `json:"line"`
	ResourceType string      `json:"resourceType"`
	ID           string      `json:"id,omitempty"`
	Profiles     []string    `json:"profiles"`
	Valid        bool        `json:"valid"`
	Errors       int         `json:"errors"`
	Warnings     int         `json:"warnings"`
	NotChecked   int         `json:"notChecked,omitempty"`
	IssuesCut    int         `json:"issuesCut,omitempty"` // counted and not in issues, which is capped
	Issues       []issueLine `json:"issues"`
}

type issueLine struct {
	Severity   validators.Severity `json:"severity"`
	Code       validators.Code     `json:"code"`
	MessageID  string              `json:"messageId"`
	Message    string              `json:"message"`
	Expression string              `json:"expression,omitempty"`
	Pointer    string              `json:"pointer"`
	Line       int                 `json:"line,omitempty"`
	Column     int                 `json:"column,omitempty"`
	Profile    string              `json:"profile,omitempty"`
	Slice      string              `json:"slice,omitempty"`
	Constraint string              `json:"constraint,omitempty"`
	NotChecked bool                `json:"notChecked,omitempty"`
}

func lineOf(r result) resultLine {
	l := resultLine{
		Source: r.source, Index: r.index, Line: r.line, ResourceType: r.root.resourceType, ID: r.root.id, Profiles: profilesOf(r.report),
		Valid: r.report.Summary.Errors == 0, Errors: r.report.Summary.Errors, Warnings: r.report.Summary.Warnings, NotChecked: r.report.Summary.NotChecked,
		IssuesCut: r.report.IssuesCut, Issues: make([]issueLine, len(r.report.Issues)),
	}
	for i := range r.report.Issues {
		is := &r.report.Issues[i]
		l.Issues[i] = issueLine{
			Severity: is.Severity, Code: is.Code, MessageID: is.MessageID, Message: is.Message, Expression: is.Expression, Pointer: is.Pointer, Line: is.Line,
			Column: is.Column, Profile: is.Profile, Slice: is.Slice, Constraint: is.Constraint, NotChecked: is.NotChecked,
		}
	}
	return l
}

// profilesOf lists what the resource itself, not those nested in it, was held against.
func profilesOf(rep validators.Report) []string {
	urls := []string{}
	if len(rep.Resources) > 0 {
		for _, c := range rep.Resources[0].Profiles {
			urls = append(urls, c.URL)
		}
	}
	return urls
}

type linePrinter struct{ w *bufio.Writer }

func (lp *linePrinter) print(r result) error {
	enc := json.NewEncoder(lp.w)
	enc.SetEscapeHTML(false)
	return enc.Encode(lineOf(r))
}

func (lp *linePrinter) end() error { return lp.w.Flush() }

// outcomePrinter gives an OperationOutcome, or a Bundle of them for several resources.
type outcomePrinter struct {
	w     *bufio.Writer
	first []byte
	n     int
}

func (op *outcomePrinter) print(r result) error {
	o, err := api.Outcome(&r.report)
	if err != nil {
		return err
	}
	switch op.n++; op.n {
	case 1:
		op.first = o
		return nil
	case 2:
		if _, err := fmt.Fprintf(op.w, `{"resourceType":"Bundle","type":"collection","entry":[{"resource":%s}`, op.first); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(op.w, ",\n{\"resource\":%s}", o)
	return err
}

func (op *outcomePrinter) end() error {
	var err error
	switch op.n {
	case 0:
		_, err = fmt.Fprintln(op.w, `{"resourceType":"Bundle","type":"collection"}`)
	case 1:
		_, err = fmt.Fprintf(op.w, "%s\n", op.first)
	default:
		_, err = fmt.Fprintln(op.w, "]}")
	}
	if err != nil {
		return err
	}
	return op.w.Flush()
}

type textPrinter struct {
	w                                           *bufio.Writer
	resources, errors, warnings, unchecked, cut int
}

func (tp *textPrinter) print(r result) error {
	tp.resources++
	tp.errors += r.report.Summary.Errors
	tp.warnings += r.report.Summary.Warnings
	tp.unchecked += r.report.Summary.NotChecked
	tp.cut += r.report.IssuesCut
	for i := range r.report.Issues {
		is := &r.report.Issues[i]
		where := fmt.Sprintf("%s:%d:%d", r.source, is.Line, is.Column)
		rule := is.MessageID
		if is.Constraint != "" {
			rule += " " + is.Constraint
		}
		if is.Profile != "" {
			rule += ", " + is.Profile
		}
		where += ": " + string(is.Severity)
		if is.Expression != "" { // input that is not JSON has none
			where += ": " + printable(is.Expression)
		}
		if _, err := fmt.Fprintf(tp.w, "%s: %s [%s]\n", where, printable(unplaced(is)), rule); err != nil {
			return err
		}
	}
	return tp.w.Flush()
}

// unplaced is an issue's message without the path that it may begin with: the line has it before.
func unplaced(is *validators.Issue) string {
	rest, ok := strings.CutPrefix(is.Message, is.Expression)
	if !ok || is.Expression == "" {
		return is.Message
	}
	if sentence, ok := strings.CutPrefix(rest, ": "); ok {
		return sentence
	}
	if predicate, ok := strings.CutPrefix(rest, " "); ok {
		return predicate
	}
	return is.Message // another path, which only begins like it
}

// printable keeps text of the input from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, s)
}

func (tp *textPrinter) end() error {
	verdict := "no errors"
	if tp.errors > 0 {
		verdict = counted(tp.errors, "error")
	}
	unlisted := ""
	if tp.cut > 0 {
		unlisted = fmt.Sprintf(" Not listed: %s, the mildest of a resource with very many.", counted(tp.cut, "finding"))
	}
	_, err := fmt.Fprintf(tp.w, "%s validated: %s, %s, %d not checked.%s\n", counted(tp.resources, "resource"), verdict, counted(tp.warnings, "warning"), tp.unchecked, unlisted)
	if err != nil {
		return err
	}
	return tp.w.Flush()
}

func counted(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
