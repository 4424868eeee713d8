package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// lockName is the file in a data folder that says which serve has it. The lock ends with the process, however that ends.
const lockName = "serve.lock"

var errLocked = errors.New("locked")

// lockData keeps a second serve out of the data folder: each would take the other's unfinished bodies for leftovers of a crash and
// judge the other's traffic again. The other commands work beside serve, so they do not ask.
func (a *app) lockData() error {
	path := filepath.Join(a.cfg.Data, lockName)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	switch err := lockFile(f); {
	case errors.Is(err, errLocked):
		by := "another fhirwire serve"
		if said, readErr := os.ReadFile(path); readErr == nil && len(strings.TrimSpace(string(said))) > 0 {
			by += " (process " + strings.TrimSpace(string(said)) + ")"
		}
		return errors.Join(fmt.Errorf("data: %s is in use by %s: stop that one, or give this one a folder of its own with --data", a.cfg.Data, by), f.Close())
	case err != nil:
		return errors.Join(fmt.Errorf("data: lock %s: %w", path, err), f.Close())
	}
	a.closers = append(a.closers, f.Close)
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("data: %w", err)
	}
	if _, err := fmt.Fprintln(f, os.Getpid()); err != nil {
		return fmt.Errorf("data: %w", err)
	}
	return nil
}
