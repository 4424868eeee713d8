package main

import (
	"context"
	"fmt"
	"runtime/debug"

	"fhirwire/validators/guides"
)

// version is set by a release build with -ldflags "-X main.version=1.2.3".
var version = "dev"

func runVersion(_ context.Context, p *process, args []string) (int, error) {
	fs := newFlags(p, "version", "", "Prints version, commit and the built-in guides.")
	if rest, err := parseFlags(fs, args); err != nil || len(rest) > 0 {
		if err == nil {
			err = usagef("unexpected argument %q", rest[0])
		}
		return exitUsage, err
	}
	lib, err := guides.Load()
	if err != nil {
		return exitUsage, err
	}
	_, _ = fmt.Fprintf(p.stdout, "fhirwire %s, commit %s\n", version, commit())
	for _, pk := range lib.Packages() {
		_, _ = fmt.Fprintln(p.stdout, pk.ID)
	}
	return exitFine, nil
}

// commit is what the build was made from, as the Go toolchain noted it.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	rev, dirty := "unknown", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			rev = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = " with changes"
		}
	}
	return rev + dirty
}
