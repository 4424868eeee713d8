package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fhirwire/validators"
)

// TestPageIsCurrent is what -check does: the page has every rule with an example.
func TestPageIsCurrent(t *testing.T) {
	if err := run(true); err != nil {
		t.Error(err)
	}
}

func TestExamples(t *testing.T) {
	dir := t.TempDir()
	const src = "package x_test\n" +
		"var a = []struct{ rule, in, old, new string }{{\"one\", patient, `\"a\":1`, `\"a\":` + \"\\x00\"}, {\"one\", patient, `b`, strings.Repeat(\"x\", 3)}}\n" +
		"var b = []row{{\"two\", \"read\", swap(\"x\", \"\")}, {\"two\", \"search\", func(e *exchange) { e.status = 500 }}, {\"two\", path + \".x\", set(\"a\", 1), true}, {\"other\", \"read\", nil}}\n" +
		"var c = map[string]string{\"three\": strings.Replace(observation, `x`, `y`, 1), \"four\": \"z\"}\n" +
		"func TestFive(t *testing.T) { check(\"five\", \"one\", \"five\") }\nfunc helper() { check(\"four\") }\n"
	if err := os.WriteFile(filepath.Join(dir, "x_test.go"), []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	var rules []ruleRow
	for _, id := range []string{"one", "two", "three", "four", "five"} {
		rules = append(rules, ruleRow{Rule: validators.Rule{ID: id, Title: "T"}})
	}
	found, err := examplesIn(dir, rules)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string][]example{
		"one":   {{base: "patient", before: `"a":1`, after: "\"a\":\x00"}, {base: "patient", before: "b", after: `{strings.Repeat("x", 3)}`}},
		"two":   {{base: "read", before: "x"}, {base: "search", change: "e.status = 500"}, {base: `path + ".x"`, change: `set("a", 1)`}},
		"three": {{base: "observation", before: "x", after: "y"}},
		"four":  nil,
		"five":  {{test: "TestFive"}},
	} {
		got := found[id]
		if len(got) != len(want) {
			t.Errorf("%s: %+v", id, got)
			continue
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: %+v, want %+v", id, got[i], want[i])
			}
		}
	}
}

func TestCode(t *testing.T) {
	for in, want := range map[string]string{
		"a\n\t b": "`a b`", "a`b": "`` a`b ``", "x\x00": `` + "`x\\u0000`",
	} {
		if got := code(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
	if got := code(strings.Repeat("é", 1000)); len(got) > maxShown+10 || !strings.Contains(got, " … ") {
		t.Errorf("long text: %s", got)
	}
}
