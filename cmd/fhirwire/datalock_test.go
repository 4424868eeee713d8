//go:build unix

package main

import (
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestOneServePerDataFolder: a second serve says who has the folder and touches nothing; the folder is free once the first has ended.
func TestOneServePerDataFolder(t *testing.T) {
	data := t.TempDir()
	t.Run("two", func(t *testing.T) {
		first := startServe(t, data)
		args := []string{"--data", data}
		for _, f := range listenerFlags {
			args = append(args, "--"+f, "127.0.0.1:0")
		}
		code, said := serveOnce(t, args...)
		if code != exitUsage || strings.Count(said, "\n") != 1 || !strings.Contains(said, "is in use by another fhirwire serve (process "+strconv.Itoa(os.Getpid())+")") {
			t.Errorf("exit %d: %s", code, said)
		}
		if status, _, _ := first.do(http.DefaultClient, http.MethodGet, first.dashboard+"/readyz", "", ""); status != http.StatusOK {
			t.Errorf("the first answers %d", status)
		}
	})
	startServe(t, data)
}
