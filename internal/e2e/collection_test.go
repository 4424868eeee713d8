//go:build e2e

package e2e

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestOwnCollections plays each track's collection with newman through the proxy: every request gets the answer it announces.
func TestOwnCollections(t *testing.T) {
	bin := cmp.Or(os.Getenv("FHIRWIRE_NEWMAN"), "newman")
	p := start(t, "--demo")
	for _, track := range []string{"payer-to-payer", "provider-access", "formulary"} {
		file := filepath.Join(t.TempDir(), track+".json")
		out, err := exec.Command(binary, "postman", "export", "--track", track, "--base", p.proxy+"/demo-client~reference/fhir", "--out", file).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		// newman exits 1 when a test of the collection fails
		if out, err = exec.Command(bin, "run", file, "--timeout-request", "300000", "--color", "off").CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", track, err, out)
		}
	}
}
