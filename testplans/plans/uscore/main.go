package main

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const folder = "testplans/plans/us-core/3.1"

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
	found, err := filepath.Glob(filepath.Join(shared, "fhir-packages", "*us.core*3.1.1*.tgz"))
	if err != nil {
		return err
	}
	if len(found) == 0 {
		_, err = fmt.Fprintln(out, "uscore: the guide's package is not at hand; nothing checked")
		return err
	}
	types, err := readExpectations(found[0])
	if err != nil {
		return fmt.Errorf("%s: %w", found[0], err)
	}
	client, err := os.ReadFile(filepath.Join(root, folder, "client.txtar"))
	if err != nil {
		return err
	}
	samples, err := readSamples(client)
	if err != nil {
		return err
	}
	g := generate(types, samples)
	if have, err := os.ReadFile(filepath.Join(root, folder, "server.yaml")); err == nil {
		if at := bytes.Index(have, []byte("\nplay:\n")); at >= 0 { // how it is played is written by hand
			g.plan.Write(have[at:])
		}
	}
	var wrong []error
	for name, text := range map[string][]byte{"server.yaml": g.plan.Bytes(), "server.txtar": g.traffic()} {
		path := filepath.Join(root, folder, name)
		if !check {
			wrong = append(wrong, os.WriteFile(path, text, 0o644))
			continue
		}
		if have, err := os.ReadFile(path); err != nil || !bytes.Equal(have, text) {
			wrong = append(wrong, errors.Join(err, fmt.Errorf("%s/%s is stale: go run ./testplans/plans/uscore", folder, name)))
		}
	}
	return errors.Join(wrong...)
}
