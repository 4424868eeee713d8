package main

import (
	"cmp"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
	"fhirwire/testplans/judge"
	"fhirwire/validators"
	"fhirwire/validators/guides"
)

func runJudge(ctx context.Context, p *process, args []string) (int, error) {
	fs := newFlags(p, "judge", "PLAN|TESTSCRIPT.json --har FILE | --channel NAME [flags]",
		"Judges recorded traffic by a test plan: a name that plans list shows, or a file; or by the assertions of a FHIR TestScript, a .json file.\n"+
			"Exits with 1 if a SHALL check failed.\n")
	harFile := fs.String("har", "", "HAR `FILE` to judge, - for standard input; or a JSON report of newman, or a folder of request and response files")
	channel := fs.String("channel", "", "`NAME` of the channel to judge, of the data folder or of the HAR")
	data := fs.String("data", dataDir(p), "`DIR` of serve, which may be running")
	database := fs.String("database", p.getenv(envName("database")), "postgres://… where serve has its evidence there")
	since := fs.String("since", "", "judge what began at this `TIME` or later: RFC 3339, a date, 15:04 or an age such as 2h")
	until := fs.String("until", "", "judge what began before this `TIME`")
	format := fs.String("format", "text", judgeFormatsHelp)
	out := fs.String("out", "-", "the `FILE` to write, - for standard output")
	var attested list
	fs.Var(&attested, "attest", "`STEP/CHECK=NAME`: this person says that the check passes; may be given again")
	rest, err := parseFlags(fs, args)
	switch {
	case err != nil:
		return exitUsage, err
	case len(rest) != 1:
		return exitUsage, usagef("name one plan")
	case *harFile == "" && *channel == "":
		return exitUsage, usagef("say what to judge: --har FILE or --channel NAME")
	}
	if err := vetOutput(*format, *out); err != nil {
		return exitUsage, err
	}
	run := testplans.Run{State: testplans.Evaluating, Channel: *channel}
	if run.Since, err = moment("since", *since, p.now()); err == nil {
		run.Until, err = moment("until", *until, p.now())
	}
	if err == nil {
		err = vetWindow(run)
	}
	if err != nil {
		return exitUsage, err
	}
	lib, err := loadLibrary(*data)
	if err != nil {
		return exitUsage, err
	}
	set, err := lib.Set()
	if err != nil {
		return exitUsage, err
	}
	plan, table, err := judgedBy(rest[0], set)
	if err != nil {
		return exitUsage, err
	}
	if run.Attestations, err = attestations(plan, attested, p.now()); err != nil {
		return exitUsage, err
	}
	j := judgement{p: p, plan: plan, run: run, lib: lib, table: table}
	if *harFile != "" {
		err = j.har(ctx, *harFile)
	} else {
		err = j.channel(ctx, *data, *database, *channel)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return exitUsage, fmt.Errorf("stopped after %d exchanges, and nothing is judged", j.read)
	case err != nil:
		return exitUsage, err
	}
	j.sayEmptyWindow()
	return j.finish(*format, *out)
}

// finish writes the results to a file, or to standard output for -, and gives the exit code.
func (j *judgement) finish(format, out string) (int, error) {
	write := func(w io.Writer) error { return judgeFormats[format](w, j) }
	var err error
	if out == "-" {
		err = write(j.p.stdout)
	} else {
		err = writeWhole(out, write)
	}
	if err != nil {
		return exitUsage, err
	}
	if slices.ContainsFunc(j.results, func(r testplans.Result) bool { return r.Failed() }) {
		return exitFindings, nil
	}
	return exitFine, nil
}

func moment(flag, value string, now time.Time) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	t, ok := proxy.Moment(value, now)
	if !ok {
		return t, usagef("--%s: %q is no time; write for example 2022-09-17T09:00:00Z, 09:00 or 2h", flag, value)
	}
	return t, nil
}

// attestations reads what people say on the command line.
func attestations(plan testplans.Plan, given []string, now time.Time) ([]testplans.Attestation, error) {
	var out []testplans.Attestation
	for _, text := range given {
		place, by, ok := strings.Cut(text, "=")
		step, check, ok2 := strings.Cut(place, "/")
		if !ok || !ok2 || by == "" {
			return nil, usagef("--attest: %q is not STEP/CHECK=NAME", text)
		}
		asked := false
		for _, s := range plan.Steps {
			for _, c := range s.Checks {
				asked = asked || s.ID == step && c.ID == check && c.Attestation != nil
			}
		}
		if !asked {
			return nil, usagef("--attest: the plan asks nobody about %s", place)
		}
		out = append(out, testplans.Attestation{Step: step, Check: check, Verdict: testplans.Pass, By: by, At: now})
	}
	return out, nil
}

// judgement is one use of the command.
type judgement struct {
	p       *process
	plan    testplans.Plan
	run     testplans.Run
	lib     *guides.Library
	table   checks.Table
	results []testplans.Result
	read    int // exchanges
	inside  int // those of them that the run is over
	names   map[string]bool
	listed  []judgedExchange
}

func (j *judgement) har(ctx context.Context, file string) (err error) {
	t, err := openTraffic(j.p, file)
	if err != nil {
		return err
	}
	defer func() { _ = t.close() }() // it was only read
	spool, err := newBodySpool()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, spool.close()) }()
	source := newHARSource(j.p, j.lib, passingKey())
	source.wants, source.spool = j.wants, spool
	j.run.Kind = testplans.Imported
	if err := j.judge(ctx, source.read(ctx, t, ""), func() (*proxy.Channel, error) {
		if c := source.known.channels[j.run.Channel]; c != nil {
			return c, nil
		}
		if len(source.known.channels) == 1 {
			for _, c := range source.known.channels {
				return c, nil
			}
		}
		return &proxy.Channel{}, nil
	}); err != nil {
		return err
	}
	return j.vetRead()
}

// wants reports what the plan needs of an exchange.
func (j *judgement) wants(ex *proxy.Exchange) (wanted, report bool) {
	return judge.Selects(&j.plan, ex)
}

func (j *judgement) channel(ctx context.Context, data, database, name string) (err error) {
	st, closeAll, err := openStore(ctx, j.p, data, database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	ch, err := st.ChannelByName(ctx, name)
	if errors.Is(err, proxy.ErrNotFound) {
		return fmt.Errorf("channel %q is not registered", name)
	}
	if err != nil {
		return err
	}
	j.run.Kind = testplans.Observed
	for _, id := range []string{ch.ClientID, ch.ServerID} {
		sys, err := st.System(ctx, id)
		if err != nil {
			return fmt.Errorf("channel %s: %w", name, err)
		}
		if sys.Simulated {
			j.run.Kind = testplans.Simulated
		}
	}
	filter := proxy.Filter{Terms: []proxy.Term{{Key: proxy.KeyChannel, Op: proxy.OpEq, Values: []string{name}}}}
	return j.judge(ctx, storedEvidence(ctx, j.p, st, j.lib, filter, j.wants), func() (*proxy.Channel, error) { return ch, nil })
}

// judge judges the evidence as it is read; with the first of it is known which guides its channel is narrowed to.
func (j *judgement) judge(ctx context.Context, evidence iter.Seq2[checks.Item, error], channel func() (*proxy.Channel, error)) error {
	var judging *judge.Judging
	begin := func() error {
		ch, err := channel()
		if err != nil {
			return err
		}
		set, err := j.lib.Set(ch.Options.Guides...)
		if err != nil {
			return fmt.Errorf("guides of channel %s: %w", ch.Name, err)
		}
		j.run.Context = validators.Context{Guides: set.Packages(), Rules: validators.RulesVersion, Terminology: "offline"}
		judging = judge.New(j.plan, j.run, j.table)
		return nil
	}
	for it, err := range evidence {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil && judging == nil {
			err = begin()
		}
		if err != nil {
			return err
		}
		j.read++
		j.note(it.Exchange)
		j.listed = append(j.listed, listedExchange(it.Exchange))
		judging.Add(it)
	}
	if judging == nil {
		if err := begin(); err != nil {
			return err
		}
	}
	var err error
	j.results, err = judging.Results(ctx)
	return err
}

var judgeFormats = map[string]func(io.Writer, *judgement) error{"text": judgedText, "json": judgedJSON, "junit": judgedJUnit, "testreport": judgedTestReport, "html": judgedHTML, "csv": judgedCSV}

func judgedText(w io.Writer, j *judgement) error {
	var b strings.Builder
	for i := range j.results {
		r := &j.results[i]
		switch {
		case r.Step == "":
			fmt.Fprintf(&b, "%s: %s (%s, %d exchanges)\n", j.plan.ID, r.Verdict, r.Kind, j.read)
			if n := testplans.Unverified(j.results); n > 0 {
				fmt.Fprintf(&b, "! %s\n", testplans.SayUnverified(n))
			}
		case r.Check == "":
			optional := ""
			if r.Optional {
				optional = " (optional)"
			}
			fmt.Fprintf(&b, "\n%-14s %s%s: %s%s\n", r.Verdict, r.Step, optional, r.Claim, cited(r))
		case r.Verdict == testplans.Pass:
			fmt.Fprintf(&b, "  %-12s %s\n", r.Verdict, r.Check)
		default:
			fmt.Fprintf(&b, "  %-12s %s%s: %s [%s %s]%s\n", r.Verdict, r.Check, fault(r), cmp.Or(r.Message, r.Claim), r.Strength, strings.Join(r.Requirements, " "), cited(r))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func fault(r *testplans.Result) string {
	if r.Side == "" {
		return ""
	}
	return " (" + string(r.Side) + ")"
}

// cited are the numbers of the exchanges that decided.
func cited(r *testplans.Result) string {
	var b strings.Builder
	for _, e := range r.Evidence {
		fmt.Fprintf(&b, " #%d", e.Number)
	}
	if r.EvidenceCut > 0 {
		fmt.Fprintf(&b, " and %d more", r.EvidenceCut)
	}
	if r.Insecure > 0 {
		fmt.Fprintf(&b, ", server not verified in %d", r.Insecure)
	}
	return b.String()
}

func judgedJSON(w io.Writer, j *judgement) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(struct {
		Plan      string             `json:"plan"`
		Digest    string             `json:"planDigest"`
		Channel   string             `json:"channel,omitempty"`
		Exchanges int                `json:"exchanges"`
		Verdict   testplans.Verdict  `json:"verdict"`
		Insecure  int                `json:"insecure,omitempty"` // exchanges that decided with a server that was not verified
		Results   []testplans.Result `json:"results"`
	}{j.plan.ID, j.plan.Digest, j.run.Channel, j.read, j.results[0].Verdict, testplans.Unverified(j.results), j.results})
}

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Failure *junitMessage `xml:"failure"`
	Error   *junitMessage `xml:"error"`
	Skipped *junitMessage `xml:"skipped"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
}

// judgedJUnit counts as failures what makes the command exit with 1; other checks that fail are skipped with a message.
func judgedJUnit(w io.Writer, j *judgement) error {
	suite := junitSuite{Name: j.plan.ID}
	for i := range j.results {
		r := &j.results[i]
		if r.Check == "" {
			continue
		}
		c := junitCase{Class: j.plan.ID + "." + r.Step, Name: r.Check + ": " + r.Claim, Out: strings.TrimSpace(cited(r))}
		m := &junitMessage{Message: cmp.Or(r.Message, r.Claim) + fault(r), Type: string(r.Verdict)}
		suite.Tests++
		switch {
		case r.Verdict == testplans.Pass:
		case r.Verdict == testplans.PassNotes:
			c.Out = strings.TrimSpace(c.Out + " " + r.Message)
		case r.Failed():
			c.Failure = m
			suite.Failures++
		case r.Verdict == testplans.ToolError:
			c.Error = m
			suite.Errors++
		default:
			c.Skipped = m
			suite.Skipped++
		}
		suite.Cases = append(suite.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(suite); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func judgedTestReport(w io.Writer, j *judgement) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(testplans.NewTestReport(&j.plan, j.results, testplans.ReportOptions{
		Issued: j.p.now(), Exchange: func(id string) string { return "urn:uuid:" + id },
	}))
}
