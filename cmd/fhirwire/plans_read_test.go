package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFormatRules vets the ids of rules in the example of the page of the format against those of this build, and one that is none.
func TestFormatRules(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "testplans", "planfile", "FORMAT.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	example, _, _ := strings.Cut(rest, "```\n")
	if _, err := readPlan("plan.yaml", []byte(example), nil); err != nil {
		t.Error(err)
	}
	wrong := strings.Replace(example, "rules: [", "rules: [no-such-rule, ", 1)
	if _, err := readPlan("plan.yaml", []byte(wrong), nil); err == nil || !strings.Contains(err.Error(), "no rule has the id no-such-rule") {
		t.Errorf("got %v", err)
	}
}
