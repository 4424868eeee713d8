package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// atOnce runs a command line that ends by itself.
func atOnce(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	p := &process{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, getenv: func(string) string { return "" }, now: time.Now}
	code = runMain(t.Context(), p, args)
	return code, out.String(), errs.String()
}

func TestHelpNamesEveryFlagWithExamples(t *testing.T) {
	for _, c := range commands() {
		code, out, errs := atOnce(t, c.name, "--help")
		if code != exitFine || errs != "" || !strings.HasPrefix(out, "Usage: fhirwire "+c.name) {
			t.Errorf("%s --help: exit %d, stderr %q, stdout %.60q", c.name, code, errs, out)
		}
		if c.name != "version" && !strings.Contains(out, "\nExamples:\n  ") {
			t.Errorf("%s --help has no example", c.name)
		}
	}
}

// TestAMistakeIsOneLine: what is piped on stays empty, and what is wrong does not scroll away.
func TestAMistakeIsOneLine(t *testing.T) {
	for _, c := range commands() {
		code, out, errs := atOnce(t, c.name, "--no-such-flag")
		if code != exitUsage || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "--no-such-flag") {
			t.Errorf("%s: exit %d, stdout %.60q, stderr %q", c.name, code, out, errs)
		}
	}
	for _, args := range [][]string{
		{"serve", "--listen", "nonsense"},
		{"serve", "--listen", "127.0.0.1:123456"},
		{"serve", "--max-body", "much"},
		{"generate", "--members", "x"},
		{"postman", "export"},
		{"serve", "--data"},
	} {
		code, out, errs := atOnce(t, args...)
		if code != exitUsage || out != "" || strings.Count(errs, "\n") != 1 {
			t.Errorf("%v: exit %d, stdout %.60q, stderr %q", args, code, out, errs)
		}
	}
}

// words splits a line as a shell does, as far as the examples need it: quotes, comments, redirections.
func words(line string) []string {
	var out []string
	var word strings.Builder
	var quote rune
	begun := false
	end := func() {
		if begun {
			out = append(out, word.String())
		}
		word.Reset()
		begun = false
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, begun = r, true
		case quote == 0 && r == ' ':
			end()
		case quote == 0 && (r == '|' || r == '>' || r == '#' && !begun):
			end()
			return out
		default:
			begun = true
			word.WriteRune(r)
		}
	}
	end()
	return out
}

// checkLine holds an example against the command's flags: with --help at its end a line that parses does nothing else.
func checkLine(t *testing.T, where, line string) {
	t.Helper()
	_, line, found := strings.Cut(" "+line, " fhirwire ") // behind a pipe or a variable
	if !found {
		t.Errorf("%s: no command in %q", where, line)
		return
	}
	args := words(line)
	if i := len(args); i > 0 {
		for j, a := range args {
			if a == "--" { // what follows are arguments
				i = j
				break
			}
		}
		args = append(args[:i:i], "--help")
	}
	if code, _, errs := atOnce(t, args...); code != exitFine {
		t.Errorf("%s: %q does not parse: %s", where, line, errs)
	}
}

func TestExamplesParse(t *testing.T) {
	for _, c := range commands() {
		for _, line := range examples(c.name) {
			checkLine(t, c.name, line)
		}
	}
	if code, _, _ := atOnce(t, words(`serve --demmo 'x y' --help`)...); code != exitUsage {
		t.Error("a line with a flag that does not exist parses")
	}
}

// TestReadmeCommandsParse holds the lines of the README's code blocks that begin with the program's name against its flags.
func TestReadmeCommandsParse(t *testing.T) {
	src, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	block, n := "", 0
	for line := range strings.Lines(string(src)) {
		line = strings.TrimRight(line, "\n")
		if lang, fence := strings.CutPrefix(line, "```"); fence {
			block = lang
			continue
		}
		if block == "sh" && strings.HasPrefix(line, "fhirwire ") {
			n++
			checkLine(t, "README.md", line)
		}
	}
	if n < 8 {
		t.Errorf("%d command lines found in the README", n)
	}
}
