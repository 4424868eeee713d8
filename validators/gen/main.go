// Command gen writes validators/RULES.md: every rule of the validator by its id, with the examples that break it. Rules come from
// the tables that do the checking, examples from the tests that run them, so that the page says nothing of its own. Run it with
// go run ./validators/gen; with -check it writes nothing and fails when the page is not current.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"fhirwire/validators"
	"fhirwire/validators/directory"
	"fhirwire/validators/httprules"
	"fhirwire/validators/instance"
	"fhirwire/validators/tokens"
)

func main() {
	check := flag.Bool("check", false, "compare the page with the rules, write nothing")
	flag.Parse()
	if err := run(*check); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(check bool) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	page, err := render(root)
	if err != nil {
		return err
	}
	name := filepath.Join(root, "validators", "RULES.md")
	if !check {
		return os.WriteFile(name, page, 0o644) //nolint:gosec // a page of the source tree
	}
	old, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if !bytes.Equal(old, page) {
		return errors.New("validators/RULES.md is not current: go run ./validators/gen")
	}
	return nil
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("this is not below the module")
		}
		dir = up
	}
}

// chapter is the rules of one package, with the tests that have their examples.
type chapter struct {
	title, about string
	tests        string // folder of the tests
	rules        []ruleRow
}

type ruleRow struct {
	validators.Rule
	side validators.Side
}

func chapters() []chapter {
	resources := chapter{
		title: "Resources", tests: "validators/instance",
		about: "Checks of one resource against FHIR R4 and the profiles it is held to. Beside the page that states a rule, each finding names the definition at fault: " +
			"a StructureDefinition of FHIR 4.0.1 or of a guide, with the slice and the invariant's key.",
	}
	for _, r := range instance.Rules() {
		resources.rules = append(resources.rules, ruleRow{Rule: r})
	}
	exchanges := chapter{
		title: "Exchanges", tests: "validators/httprules",
		about: "Checks of one HTTP exchange. An example is a clean exchange of the test with one change.",
	}
	for _, r := range httprules.Table() {
		exchanges.rules = append(exchanges.rules, ruleRow{Rule: r.Rule, side: r.Side})
	}
	directories := chapter{
		title: "Directories", tests: "validators/directory",
		about: "Checks of one entry of an mTLS endpoint directory. An example is a sound entry of the test with one change, and names the place of the finding.",
	}
	for _, r := range directory.Rules() {
		directories.rules = append(directories.rules, ruleRow{Rule: r})
	}
	ledger := chapter{
		title: "Tokens", tests: "validators/tokens",
		about: "Checks over the exchanges of a channel that concern one access token or assertion. They stand on the channel's page of tokens, not in the report of an exchange. " +
			"An example is what passes in the test, by the second, the token's name and the answer's status.",
	}
	for _, r := range tokens.Rules() {
		ledger.rules = append(ledger.rules, ruleRow{Rule: r})
	}
	return []chapter{resources, exchanges, directories, ledger}
}
