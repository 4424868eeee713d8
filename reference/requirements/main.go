package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
)

const tableFile = "reference/REQUIREMENTS.md"

func main() {
	check := flag.Bool("check", false, "report what is wrong instead of writing")
	run := flag.Bool("run", false, "run the tests and print the table with their results")
	root := flag.String("root", ".", "folder of the module")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt) //nolint:forbidigo // a command's own context
	err := work(ctx, *root, *check, *run, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func work(ctx context.Context, root string, check, run bool, out io.Writer) error {
	shared := cmp.Or(os.Getenv("FHIRWIRE_SHARED"), filepath.Join(root, "..", "shared")) //nolint:forbidigo // a command's own environment
	dir := filepath.Join(shared, "spec")
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		_, err = fmt.Fprintln(out, "requirements: the specification pages are not at hand; nothing checked")
		return err
	}
	all, err := readDocuments(dir)
	if err != nil {
		return err
	}
	cited, err := readTests(root)
	if err != nil {
		return err
	}
	rules, err := readLeftOut(leftOutFile)
	if err != nil {
		return err
	}
	t := build(all, cited, rules)
	if run {
		results, err := runTests(ctx, root, t.tests())
		if err != nil {
			return err
		}
		_, err = out.Write(t.markdown(results))
		return err
	}
	text, path := t.markdown(nil), filepath.Join(root, tableFile)
	if !check {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
		_, err = fmt.Fprintln(out, t.summary())
		return err
	}
	wrong := t.wrong(rules)
	if have, err := os.ReadFile(path); err != nil {
		wrong = append(wrong, err)
	} else if !bytes.Equal(have, text) {
		wrong = append(wrong, fmt.Errorf("%s is stale: go run ./reference/requirements", tableFile))
	}
	if len(wrong) == 0 {
		_, err = fmt.Fprintln(out, t.summary())
	}
	return errors.Join(append(wrong, err)...)
}

// row is a requirement with what holds it.
type row struct {
	requirement
	tests  []citation
	reason string
}

type table struct{ rows []row }

// build joins the three sources. A test wins over a reason.
func build(all []requirement, cited map[string][]citation, rules []*rule) table {
	var t table
	for _, r := range all {
		w := row{requirement: r, tests: cited[r.id]}
		if len(w.tests) == 0 {
			if left := match(rules, r.id); left != nil {
				left.used = true
				w.reason = left.reason
			}
		}
		t.rows = append(t.rows, w)
	}
	return t
}

// wrong lists the SHALLs without test or reason, and the reasons for nothing.
func (t *table) wrong(rules []*rule) []error {
	var out []error
	for _, r := range t.rows {
		if len(r.tests) == 0 && r.reason == "" {
			out = append(out, fmt.Errorf("%s (%s) has neither test nor reason", r.id, r.strength))
		}
	}
	for _, r := range rules {
		if !r.used {
			out = append(out, fmt.Errorf("leftout.txt:%d: %s leaves out nothing", r.line, r.pattern))
		}
	}
	return out
}

func (t *table) summary() string {
	held, left := 0, 0
	for _, r := range t.rows {
		switch {
		case len(r.tests) > 0:
			held++
		case r.reason != "":
			left++
		}
	}
	return fmt.Sprintf("%d requirements: %d held by tests, %d left out with a reason, %d open", len(t.rows), held, left, len(t.rows)-held-left)
}

func (t *table) tests() []citation {
	seen := map[citation]bool{}
	for _, r := range t.rows {
		for _, c := range r.tests {
			seen[c] = true
		}
	}
	return slices.SortedFunc(maps.Keys(seen), func(a, b citation) int { return strings.Compare(a.String(), b.String()) })
}

// maxTests bounds the tests named in a row.
const maxTests = 3

// markdown is the table; results is nil where the tests were not run.
func (t *table) markdown(results map[citation]string) []byte {
	var b bytes.Buffer
	b.WriteString("# What the specifications ask of the reference server\n\n")
	b.WriteString("Made by `go run ./reference/requirements`; do not edit. `-run` runs the tests and adds their results.\n\n" + t.summary() + ".\n")
	last := -1
	for _, r := range t.rows {
		if r.document != last {
			last = r.document
			fmt.Fprintf(&b, "\n## %s\n\n| id | strength | test or reason |\n| --- | --- | --- |\n", documents[last].title)
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.id, r.strength, r.cell(results))
	}
	return b.Bytes()
}

func (r *row) cell(results map[citation]string) string {
	switch {
	case len(r.tests) > 0:
		var parts []string
		for _, c := range r.tests[:min(len(r.tests), maxTests)] {
			text := c.String()
			if results != nil {
				text += ": " + cmp.Or(results[c], "not run")
			}
			parts = append(parts, text)
		}
		if n := len(r.tests) - maxTests; n > 0 {
			parts = append(parts, fmt.Sprintf("%d more", n))
		}
		return strings.Join(parts, ", ")
	case r.reason != "":
		return "left out: " + r.reason
	default:
		return "**open**"
	}
}

// runTests runs the packages of the tests and gives each test's result.
func runTests(ctx context.Context, root string, tests []citation) (map[citation]string, error) {
	var pkgs []string
	byPath := map[string]string{}
	for _, t := range tests {
		if !slices.Contains(pkgs, t.pkg) {
			pkgs = append(pkgs, t.pkg)
			byPath["fhirwire/"+strings.TrimPrefix(t.pkg, "./")] = t.pkg
		}
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, pkgs...)...)
	cmd.Dir = root
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	out := map[citation]string{}
	sc := bufio.NewScanner(stdout)
	sc.Buffer(nil, 16<<20)
	for sc.Scan() {
		var e struct{ Action, Package, Test string }
		if json.Unmarshal(sc.Bytes(), &e) == nil && (e.Action == "pass" || e.Action == "fail" || e.Action == "skip") {
			out[citation{byPath[e.Package], e.Test}] = e.Action
		}
	}
	if err := cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		return nil, err // a failed test is a result
	}
	return out, sc.Err()
}
