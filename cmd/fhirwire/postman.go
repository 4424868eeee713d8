package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"fhirwire/reference/collection"
)

func runPostman(_ context.Context, p *process, args []string) (int, error) {
	var tracks []string
	for _, t := range collection.Tracks() {
		tracks = append(tracks, string(t))
	}
	const does = "Writes the requests of a track as a Postman collection or an .http file. They fit the data of \"fhirwire serve --demo\".\n"
	fs := newFlags(p, "postman", "export --track "+strings.Join(tracks, "|")+" [flags]", does)
	track := fs.String("track", "", "`TRACK`: "+strings.Join(tracks, ", "))
	format := fs.String("format", "postman", "`FORMAT`: postman or http")
	base := fs.String("base", collection.DefaultBase, "FHIR base `URL` of the server, or of a channel of the proxy")
	out := fs.String("out", "-", "`FILE` to write; - for standard output")
	rest, err := parseFlags(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(rest) != 1 || rest[0] != "export" {
		return exitUsage, usagef("want: fhirwire postman export --track %s", strings.Join(tracks, "|"))
	}
	if *track == "" {
		return exitUsage, usagef("say with --track which: %s", strings.Join(tracks, ", "))
	}
	c, err := collection.For(collection.Track(*track), *base)
	if err != nil {
		return exitUsage, usagef("--track: %v", err)
	}
	var text []byte
	switch *format {
	case "postman":
		if text, err = c.Postman(); err != nil {
			return exitUsage, err
		}
	case "http":
		text = c.HTTP()
	default:
		return exitUsage, usagef("--format: %q is neither postman nor http", *format)
	}
	if *out == "-" {
		_, err = p.stdout.Write(text)
	} else {
		err = os.WriteFile(*out, text, 0o644)
	}
	if err != nil {
		return exitUsage, fmt.Errorf("--out: %w", err)
	}
	return exitFine, nil
}
