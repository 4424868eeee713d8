package main

import (
	"bufio"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"fhirwire/validators"
	"fhirwire/validators/directory"
)

const directoryUsage = "say check PATH|URL…"

func runDirectory(ctx context.Context, p *process, args []string) (int, error) {
	fs := newFlags(p, "directory", "check [flags] PATH|URL…",
		"Checks the entries of an mTLS endpoint directory: the Bundles in which payers publish their endpoint and certificate. PATH is a file or a\n"+
			"folder, such as a git checkout; URL a Bundle, or an index.json as the reference server serves one. JSON files of a folder that are no\n"+
			"Bundles are left out and counted. Exit code 1 when an entry has an error.\n")
	format := fs.String("format", "text", "text (each entry explained), json (OperationOutcome) or ndjson (one line per entry)")
	strict := fs.Bool("strict", false, "a signature without data, and a certificate that no trust manager has endorsed, are errors")
	var managers, roots list
	fs.Var(&managers, "trust-manager", "PEM `FILE` with a trust manager's certificate or public key (repeatable)")
	fs.Var(&roots, "roots", "PEM `FILE` with CAs to which signing certificates have to lead (repeatable)")
	rest, err := parseFlags(fs, args)
	switch {
	case err != nil:
		return exitUsage, err
	case len(rest) < 2 || rest[0] != "check":
		return exitUsage, usagef(directoryUsage)
	}
	out, err := newEntryPrinter(*format, p)
	if err != nil {
		return exitUsage, err
	}
	o := directory.Options{Now: p.now(), Strict: *strict}
	if o.TrustManagers, err = readKeys(managers); err != nil {
		return exitUsage, fmt.Errorf("--trust-manager: %w", err)
	}
	if o.Roots, err = readRoots(roots); err != nil {
		return exitUsage, fmt.Errorf("--roots: %w", err)
	}
	in := directoryInput{client: directoryClient()}
	for _, from := range rest[1:] {
		if err := in.add(ctx, from); err != nil {
			return exitUsage, err
		}
	}
	if len(in.files) == 0 {
		return exitUsage, fmt.Errorf("%s: no Bundle there", strings.Join(rest[1:], ", "))
	}
	failed := false
	for _, e := range directory.Check(in.files, o).Entries {
		failed = failed || !e.Valid()
		if err := out.entry(e); err != nil {
			return exitUsage, err
		}
	}
	if err := out.end(in.leftOut); err != nil {
		return exitUsage, err
	}
	if failed {
		return exitFindings, nil
	}
	return exitFine, nil
}

// pemBlocks reads the blocks of PEM files.
func pemBlocks(files []string) ([]*pem.Block, error) {
	var out []*pem.Block
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		n := len(out)
		for b, rest := pem.Decode(src); b != nil; b, rest = pem.Decode(rest) {
			out = append(out, b)
		}
		if len(out) == n {
			return nil, fmt.Errorf("%s: not in PEM", name)
		}
	}
	return out, nil
}

func readKeys(files []string) ([]crypto.PublicKey, error) {
	blocks, err := pemBlocks(files)
	if err != nil {
		return nil, err
	}
	var out []crypto.PublicKey
	for _, b := range blocks {
		if c, err := x509.ParseCertificate(b.Bytes); err == nil {
			out = append(out, c.PublicKey)
			continue
		}
		k, err := x509.ParsePKIXPublicKey(b.Bytes)
		if err != nil {
			return nil, fmt.Errorf("a %s is neither a certificate nor a public key", strings.ToLower(b.Type))
		}
		out = append(out, k)
	}
	return out, nil
}

// readRoots gives nil without files: then chains are not asked for.
func readRoots(files []string) (*x509.CertPool, error) {
	blocks, err := pemBlocks(files)
	if err != nil || len(blocks) == 0 {
		return nil, err
	}
	pool := x509.NewCertPool()
	for _, b := range blocks {
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, err
		}
		pool.AddCert(c)
	}
	return pool, nil
}

// entryPrinter writes entries in one format; end gets the number of files that were no Bundles.
type entryPrinter interface {
	entry(*directory.Entry) error
	end(leftOut int) error
}

func newEntryPrinter(format string, p *process) (entryPrinter, error) {
	w := bufio.NewWriter(p.stdout)
	switch format {
	case "text":
		return &entryText{w: w}, nil
	case "ndjson":
		return entryLines{w}, nil
	case "json":
		return entryOutcomes{&outcomePrinter{w: w}}, nil
	default:
		return nil, usagef("--format %q is none of text, json, ndjson", format)
	}
}

// entryText explains each entry.
type entryText struct {
	w                                *bufio.Writer
	entries, valid, errors, warnings int
}

func (t *entryText) entry(e *directory.Entry) error {
	sum := validators.Summarize(e.Issues)
	t.entries, t.errors, t.warnings = t.entries+1, t.errors+sum.Errors, t.warnings+sum.Warnings
	if e.Valid() {
		t.valid++
	}
	for line := range strings.Lines(e.Explain()) {
		if _, err := fmt.Fprintln(t.w, printable(strings.TrimSuffix(line, "\n"))); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(t.w)
	return err
}

func (t *entryText) end(leftOut int) error {
	words := "entries"
	if t.entries == 1 {
		words = "entry"
	}
	_, err := fmt.Fprintf(t.w, "%d %s checked: %d complete, %d deficient; %s, %s.\n", t.entries, words, t.valid, t.entries-t.valid, counted(t.errors, "error"), counted(t.warnings, "warning"))
	if err == nil && leftOut > 0 {
		_, err = fmt.Fprintf(t.w, "%s without a Bundle left out.\n", counted(leftOut, "JSON file"))
	}
	return errors.Join(err, t.w.Flush())
}

// entryLine is the documented shape of --format ndjson.
type entryLine struct {
	Source       string           `json:"source"`
	Valid        bool             `json:"valid"`
	Errors       int              `json:"errors"`
	Warnings     int              `json:"warnings"`
	Plan         string           `json:"plan,omitempty"`
	NPI          string           `json:"npi,omitempty"`
	Operator     string           `json:"operator,omitempty"`
	Address      string           `json:"address,omitempty"`
	FHIRBase     string           `json:"fhirBase,omitempty"`
	Registration string           `json:"registration,omitempty"`
	Certificates []string         `json:"certificates,omitempty"` // SHA-256
	Endorsement  string           `json:"endorsement"`
	Issues       []directoryIssue `json:"issues"`
}

// directoryIssue adds to validate's issue what an entry's owner needs to mend it.
type directoryIssue struct {
	issueLine
	Requirement string `json:"requirement,omitempty"`
	Expected    string `json:"expected,omitempty"`
	Found       string `json:"found,omitempty"`
	DoNext      string `json:"doNext,omitempty"`
}

type entryLines struct{ w *bufio.Writer }

func (l entryLines) entry(e *directory.Entry) error {
	sum := validators.Summarize(e.Issues)
	out := entryLine{Source: e.File, Valid: e.Valid(), Errors: sum.Errors, Warnings: sum.Warnings, NPI: e.Plan.NPI(), Endorsement: e.Endorsement, Issues: []directoryIssue{}}
	if e.Plan != nil {
		out.Plan = e.Plan.Name
	}
	if e.Operator != nil {
		out.Operator = e.Operator.Name
	}
	if e.Endpoint != nil {
		out.Address, out.FHIRBase, out.Registration = e.Endpoint.Address, e.Endpoint.FHIRBase(), e.Endpoint.RegistrationURL()
		for _, c := range e.Endpoint.Certificates {
			out.Certificates = append(out.Certificates, directory.Fingerprint(c))
		}
	}
	for _, is := range lineOf(result{source: e.File, report: validators.Report{Issues: e.Issues}}).Issues {
		i := &e.Issues[len(out.Issues)]
		out.Issues = append(out.Issues, directoryIssue{is, i.Requirement, i.Expected, i.Found, i.DoNext})
	}
	enc := json.NewEncoder(l.w)
	enc.SetEscapeHTML(false)
	return enc.Encode(out)
}

func (l entryLines) end(int) error { return l.w.Flush() }

type entryOutcomes struct{ p *outcomePrinter }

func (o entryOutcomes) entry(e *directory.Entry) error {
	return o.p.print(result{source: e.File, report: validators.Report{Issues: e.Issues, Summary: validators.Summarize(e.Issues)}})
}

func (o entryOutcomes) end(int) error { return o.p.end() }
