package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"
)

// Exit codes of every command.
const (
	exitFine     = 0
	exitFindings = 1
	exitUsage    = 2
)

// process is what a command may touch of the world around it.
type process struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	now            func() time.Time
	// terminal reports whether stderr is one, so that progress is worth showing.
	terminal bool
}

// command is one word of the command line.
type command struct {
	name, args, does string
	run              func(ctx context.Context, p *process, args []string) (int, error)
}

func commands() []command {
	return []command{
		{"serve", "[--demo] [flags]", "runs dashboard, proxy and reference server in one process", runServe},
		{"validate", "[flags] FILE|DIR|GLOB|-…", "validates FHIR JSON and NDJSON", runValidate},
		{"fhirpath", "[--context EXPR] EXPR [FILE|-]", "evaluates FHIRPath", runFHIRPath},
		{"generate", "--members N --seed S --out DIR", "writes synthetic payer data as NDJSON", runGenerate},
		{"postman", "export --track TRACK [flags]", "writes a track's requests as a Postman collection or .http file", runPostman},
		{"plans", "list|show|check|coverage", "shows and checks test plans", runPlans},
		{"run", "PLAN [--server URL] [flags]", "plays the client's side of a test plan against a server", runRun},
		{"judge", "PLAN --har FILE|--channel NAME", "judges recorded traffic by a test plan", runJudge},
		{"har", "import|export", "HAR 1.2 in and out", runHAR},
		{"check", "URL|--channel NAME", "looks at a connection before the event", runCheck},
		{"directory", "check PATH|URL…", "checks the entries of an mTLS endpoint directory", runDirectory},
		{"ca", "init|issue|import|show|export", "the local certificate authority", runCA},
		{"packages", "list|show|add|remove", "shows and adds implementation guides", runPackages},
		{"version", "", "prints version, commit and the built-in guides", runVersion},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first signal asks to end in order; the next one ends at once
	quietLibraries()
	gin.SetMode(gin.ReleaseMode) // process-wide; in debug mode it prints its routes on stdout
	p := &process{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, now: time.Now, terminal: isTerminal(os.Stderr),
	}
	code := runMain(ctx, p, os.Args[1:])
	stop()
	os.Exit(code)
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// usageError is wrong use of the command line: exit 2, with a word on where help is.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

func runMain(ctx context.Context, p *process, args []string) int {
	if len(args) == 0 {
		help(p.stderr)
		return exitUsage
	}
	name := args[0]
	if slices.Contains([]string{"help", "-h", "-help", "--help"}, name) {
		help(p.stdout)
		return exitFine
	}
	for _, c := range commands() {
		if c.name == name {
			return c.do(ctx, p, args[1:])
		}
	}
	_, _ = fmt.Fprintf(p.stderr, "fhirwire: unknown command %q; see fhirwire help\n", name)
	return exitUsage
}

func (c command) do(ctx context.Context, p *process, args []string) int {
	code, err := c.run(ctx, p, args)
	var usage *usageError
	switch {
	case err == nil:
		return code
	case errors.Is(err, flag.ErrHelp):
		return exitFine
	case errors.As(err, &usage):
		_, _ = fmt.Fprintf(p.stderr, "fhirwire %s: %s; see fhirwire %s --help\n", c.name, oneLine(err), c.name)
	default:
		_, _ = fmt.Fprintf(p.stderr, "fhirwire %s: %s\n", c.name, oneLine(err))
	}
	return exitUsage
}

// oneLine folds joined errors, so that a failure to start is one line.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

func help(w io.Writer) {
	var b strings.Builder
	b.WriteString("fhirwire records FHIR exchanges between clients and servers, validates them and shows them in a dashboard.\n\nUsage: fhirwire COMMAND\n\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "  %-10s %-32s %s\n", c.name, c.args, c.does)
	}
	b.WriteString("\nfhirwire COMMAND --help lists a command's flags. Start with: fhirwire serve --demo\n" +
		"Exit codes: 0 fine, 1 findings of severity error, 2 wrong use, unreadable input or cannot start.\n")
	_, _ = io.WriteString(w, b.String())
}

// parseFlags accepts flags before, between and behind the arguments, as the users of curl expect.
func parseFlags(fs *flag.FlagSet, args []string) ([]string, error) {
	var rest []string
	for {
		if err := parseQuietly(fs, args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				fs.Usage()
				return nil, err
			}
			return nil, usagef("%s", inDashes(err.Error()))
		}
		args = fs.Args()
		if len(args) == 0 {
			return rest, nil
		}
		rest, args = append(rest, args[0]), args[1:]
	}
}

// parseQuietly leaves out the help that the flag package prints at every mistake: that is one line on stderr.
func parseQuietly(fs *flag.FlagSet, args []string) error {
	help := fs.Usage
	fs.Usage = func() {}
	defer func() { fs.Usage = help }()
	return fs.Parse(args)
}

// list is a flag that may be given more than once.
type list []string

func (l *list) String() string { return strings.Join(*l, ", ") }

// Set adds a value.
func (l *list) Set(s string) error {
	*l = append(*l, s)
	return nil
}
