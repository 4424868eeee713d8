package main

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const listFile = "testplans/plans/requirements.csv"

//go:embed classes.txt
var classesFile []byte

func main() {
	check := flag.Bool("check", false, "report what is wrong instead of writing")
	root := flag.String("root", ".", "folder of the module")
	flag.Parse()
	if err := work(*root, *check, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func work(root string, check bool, out io.Writer) error {
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
	classes, err := readClasses(classesFile)
	if err != nil {
		return err
	}
	text, err := list(all, classes)
	if err != nil {
		return err
	}
	path := filepath.Join(root, listFile)
	if check {
		have, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if !bytes.Equal(have, text) {
			return fmt.Errorf("%s is stale: go run ./testplans/plans/requirements", listFile)
		}
	} else if err := os.WriteFile(path, text, 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%d requirements\n", len(all))
	return err
}

// list is the file: facts of the pages joined with their classes.
func list(all []entry, classes []*class) ([]byte, error) {
	var b bytes.Buffer
	var errs []error
	w := csv.NewWriter(&b)
	rows := [][]string{{"id", "document", "strength", "who", "shown", "reason"}}
	for _, r := range all {
		row := []string{r.id, r.document, r.strength, "", "", ""}
		c := match(classes, r.id)
		switch {
		case c != nil:
			row[3], row[4], row[5] = c.who, c.shown, c.reason
		case r.binds():
			errs = append(errs, fmt.Errorf("%s (%s) is in no class", r.id, r.strength))
		}
		rows = append(rows, row)
	}
	for _, c := range classes {
		if !c.used {
			errs = append(errs, fmt.Errorf("classes.txt:%d: %s is for nothing", c.line, c.pattern))
		}
	}
	if err := w.WriteAll(rows); err != nil {
		return nil, err
	}
	return b.Bytes(), errors.Join(errs...)
}
