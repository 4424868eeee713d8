package main

import (
	"flag"
	"fmt"
	"io"
	"strings"
)

// examples are lines that work as they stand or with the reader's own names put in; a test parses each.
func examples(command string) []string {
	switch command {
	case "serve":
		return []string{
			"fhirwire serve --demo",
			"fhirwire serve --event \"Connectathon 31\" --load members --reference-auth required",
			"fhirwire serve --listen 0.0.0.0:8080 --hosts wire.example --proxy-listen 0.0.0.0:8081 --proxy-url http://wire.example:8081 --forward-listen off",
			"FHIRWIRE_DATA=/srv/fhirwire fhirwire serve --config fhirwire.yaml",
		}
	case "validate":
		return []string{
			"fhirwire validate patient.json",
			"fhirwire validate --ig hl7.fhir.us.core#3.1.1 --format ndjson export/*.ndjson",
			"fhirwire validate --format html --coverage members > report.html",
			"curl -s https://payer.example/fhir/Patient/1 | fhirwire validate --profile http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient -",
		}
	case "fhirpath":
		return []string{
			"fhirwire fhirpath \"name.where(use = 'official').given\" patient.json",
			"fhirwire fhirpath --context entry.resource \"id\" bundle.json",
			"fhirwire fhirpath -- \"-1.50 + 2\"",
		}
	case "generate":
		return []string{
			"fhirwire generate --members 1000 --seed 7 --out members",
			"fhirwire serve --load members",
		}
	case "postman":
		return []string{
			"fhirwire postman export --track payer-to-payer --out payer.postman_collection.json",
			"fhirwire postman export --track formulary --format http --base http://127.0.0.1:8081/acme-app~diamond-payer/fhir",
		}
	case "plans":
		return []string{
			"fhirwire plans list",
			"fhirwire plans show payer-to-payer-stu2",
			"fhirwire plans check mine.yaml",
			"fhirwire plans coverage --format csv",
		}
	case "run":
		return []string{
			"fhirwire run payer-to-payer-stu2",
			"fhirwire run payer-to-payer-stu2 --server https://payer.example/fhir --dry-run",
			"fhirwire run us-core-3-1-1-server --server https://payer.example/fhir --set-file accessToken=token.txt --format html --out result.html",
			"fhirwire run provider-access-bulk --server https://payer.example/fhir --set group=g-17 --client-cert acme.pem --client-key acme.key --har evidence.har",
		}
	case "judge":
		return []string{
			"fhirwire judge payer-to-payer-stu2 --channel acme-app~diamond-payer --since 2h",
			"fhirwire judge us-core-3-1-1-client --har traffic.har --format junit",
			"fhirwire judge testscript.json --har newman-report.json",
		}
	case "har":
		return []string{
			"fhirwire har import traffic.har --channel acme-app~diamond-payer",
			"fhirwire har export --filter \"channel:acme-app~diamond-payer type:Patient\" --out patients.har",
		}
	case "check":
		return []string{
			"fhirwire check https://payer.example/fhir",
			"fhirwire check --channel acme-app~diamond-payer",
		}
	case "directory":
		return []string{
			"fhirwire directory check https://payer.example/directory/index.json",
			"fhirwire directory check --strict --roots root.pem --format ndjson entries",
		}
	case "ca":
		return []string{
			"fhirwire ca init --name \"Connectathon 31\"",
			"fhirwire ca issue --client acme-app --org Acme --uri https://acme.example/client",
			"fhirwire ca export acme-app --with-key --out acme.pem",
			"fhirwire ca import partner --cert partner.pem --key partner.key",
			"fhirwire ca show --format json",
		}
	case "packages":
		return []string{
			"fhirwire packages list",
			"fhirwire packages add my-guide.tgz",
			"fhirwire packages add hl7.fhir.us.core#7.0.0 --registry https://registry.example",
			"fhirwire packages show hl7.fhir.us.davinci-pdex#2.0.0",
			"fhirwire packages remove my.guide#0.1.0",
		}
	}
	return nil
}

// newFlags makes a command's flag set; help goes to stdout and names the arguments.
func newFlags(p *process, name, args, does string) *flag.FlagSet {
	fs := flag.NewFlagSet("fhirwire "+name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() { _, _ = io.WriteString(p.stdout, commandHelp(fs, name, args, does)) }
	return fs
}

// commandHelp is a command's usage, examples and flags, the flags with the two dashes that every text here uses.
func commandHelp(fs *flag.FlagSet, name, args, does string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage: %s\n\n%s\n", strings.TrimSpace("fhirwire "+name+" "+args), does)
	if lines := examples(name); len(lines) > 0 {
		fmt.Fprintf(&b, "Examples:\n  %s\n\n", strings.Join(lines, "\n  "))
	}
	fs.VisitAll(func(f *flag.Flag) {
		placeholder, usage := flag.UnquoteUsage(f)
		fmt.Fprintf(&b, "  --%s\n    \t%s", strings.TrimSpace(f.Name+" "+placeholder), usage)
		if d := shownDefault(f); d != "" {
			fmt.Fprintf(&b, " (default %s)", d)
		}
		b.WriteByte('\n')
	})
	return b.String()
}

// shownDefault is a flag's default where it says something.
func shownDefault(f *flag.Flag) string {
	switch f.DefValue {
	case "", "false", "0":
		return ""
	}
	return f.DefValue
}

// inDashes gives a message of the flag package the two dashes that help and README use.
func inDashes(message string) string {
	for _, before := range []string{"not defined: -", "argument: -", "for flag -", "flag -"} {
		if head, tail, found := strings.Cut(message, before); found && !strings.HasPrefix(tail, "-") {
			return head + before + "-" + tail
		}
	}
	return message
}
