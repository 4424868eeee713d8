package main

import (
	"strings"

	"fhirwire/proxy"
)

// vet reports flags that make no sense, alone or together, before anything is sent.
func (f *runFlags) vet() error {
	if f.server != "" {
		if err := proxy.ValidateBaseURL(f.server); err != nil {
			return usagef("--server: %v", err)
		}
	}
	switch {
	case f.server != "" && len(f.edges) > 0:
		return usagef("only the built-in reference payer does wrong on request")
	case f.certKey != "" && f.cert == "":
		return usagef("--client-key: it is the key of --client-cert, which is missing")
	case f.patience <= 0:
		return usagef("--patience: %s is no time to wait", f.patience)
	case f.channel != "" && f.data == "":
		return usagef("--channel: only a data folder has channels; name it with --data")
	case f.har == "-" && f.out == "-":
		return usagef("--har: standard output has the results; name a file with --out or --har")
	}
	if err := vetOutput(f.format, f.out); err != nil {
		return err
	}
	return vetOutFile("har", f.har)
}

// inFlags says in terms of the command line what the proxy says in those of its settings.
func inFlags(why string) string {
	return strings.NewReplacer(
		"add it to the server system's CA certificates if it is theirs", "if it is theirs, name it with --ca FILE",
		"add its CA certificate to the server system, or", "name its CA certificate with --ca FILE, or",
		"choose one in the channel's settings", "name one with --client-cert FILE",
		"(the CA certificates set for the server system cannot be read:", "(the certificates of --ca cannot be read:",
		"the channel presents none", "this run presents none",
		"the channel's client certificate", "the certificate of --client-cert",
	).Replace(why)
}
