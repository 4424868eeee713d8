package httprules

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"fhirwire/proxy"
	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
)

func asyncRules() []Rule {
	return []Rule{
		rule("bulk-kickoff-method", validators.SeverityError, validators.CodeProcessing, validators.SideClient, bulkData,
			"A kick-off is a GET or POST").when(kickoffMethod),
		rule("bulk-kickoff-prefer", validators.SeverityWarning, validators.CodeRequired, validators.SideClient, bulkData,
			"A kick-off asks for asynchronous processing", "BULK-KO-02").when(kickoffPrefer),
		rule("bulk-kickoff-accept", validators.SeverityWarning, validators.CodeRequired, validators.SideClient, bulkData,
			"A kick-off accepts application/fhir+json", "BULK-KO-01").when(kickoffAccept),
		rule("bulk-kickoff-since", validators.SeverityError, validators.CodeValue, validators.SideClient, bulkData,
			"_since is an instant", "BULK-KO-21").when(kickoffSince),
		rule("bulk-content-location", validators.SeverityError, validators.CodeRequired, validators.SideServer, bulkData,
			"A kick-off is answered with the absolute URL of the job's status", "BULK-KO-20").when(contentLocation),
		rule("bulk-kickoff-body", validators.SeverityError, validators.CodeStructure, validators.SideServer, bulkData,
			"A kick-off is answered with no body or an OperationOutcome", "BULK-KO-24").when(kickoffBody),
		rule("bulk-progress", validators.SeverityWarning, validators.CodeValue, validators.SideServer, bulkData,
			"X-Progress is shorter than 100 characters", "BULK-ST-02").when(progress),
		rule("bulk-retry-after", validators.SeverityWarning, validators.CodeRequired, validators.SideServer, bulkData,
			"A running job says when to ask again, in whole seconds", "BULK-ST-02").when(retryAfter),
		rule("bulk-manifest-type", validators.SeverityError, validators.CodeStructure, validators.SideServer, bulkData,
			"The manifest is sent as application/json", "BULK-MF-01").when(manifestType),
		rule("bulk-manifest", validators.SeverityError, validators.CodeStructure, validators.SideServer, bulkData,
			"The manifest has its required members with their JSON types", "BULK-MF-01").when(manifestShape),
		rule("bulk-manifest-url", validators.SeverityError, validators.CodeValue, validators.SideServer, bulkData,
			"File URLs in the manifest are absolute", "BULK-MF-02").when(manifestURLs),
		rule("bulk-manifest-time", validators.SeverityError, validators.CodeValue, validators.SideServer, bulkData,
			"transactionTime is an instant that is not in the future", "CF-18").when(manifestTime),
		rule("bulk-manifest-expires", validators.SeverityWarning, validators.CodeRequired, validators.SideServer, bulkData,
			"The manifest says when its files expire").when(manifestExpires),
		rule("bulk-file-type", validators.SeverityError, validators.CodeStructure, validators.SideServer, bulkData,
			"Files are sent as application/fhir+ndjson", "BULK-FI-05").when(fileType),
	}
}

func kickoffMethod(c *Case, report func(finding)) {
	if m := c.Exchange.Request.Method; c.kind() == proxy.KindBulkKickoff && m != http.MethodGet && m != http.MethodPost && m != http.MethodOptions && m != http.MethodHead {
		report(finding{part: validators.PartRequestLine, message: "The kick-off is a " + m + ".", expected: "GET or POST", found: m, doNext: "Send the kick-off as GET or POST."})
	}
}

func kickoffPrefer(c *Case, report func(finding)) {
	if c.kind() != proxy.KindBulkKickoff || c.prefers("respond-async") {
		return
	}
	report(finding{
		part: validators.PartRequestHeader, message: "The kick-off does not ask for asynchronous processing.",
		expected: "Prefer: respond-async", found: inWords(c.requestHeader("Prefer")), doNext: "Add the header Prefer: respond-async.",
	})
}

func kickoffAccept(c *Case, report func(finding)) {
	accept := c.requestHeader("Accept")
	if c.kind() != proxy.KindBulkKickoff || strings.Contains(accept, fhirJSON) {
		return
	}
	report(finding{
		part: validators.PartRequestHeader, message: "The kick-off does not accept application/fhir+json.",
		expected: "Accept: " + fhirJSON, found: inWords(accept), doNext: "Add the header Accept: application/fhir+json.",
	})
}

func inWords(header string) string {
	if header == "" {
		return "no such header"
	}
	return header
}

func kickoffSince(c *Case, report func(finding)) {
	if c.kind() != proxy.KindBulkKickoff {
		return
	}
	// A "+" in a query is a blank once decoded; an offset written that way is the usual slip, so it is named.
	for _, since := range c.target().Query()["_since"] {
		if _, err := time.Parse(time.RFC3339, since); err == nil {
			continue
		}
		do := "Send an instant with seconds and zone, for example 2026-01-31T00:00:00Z."
		if strings.Contains(since, " ") {
			do = "Write the + of the zone offset as %2B in the query."
		}
		report(finding{part: validators.PartRequestLine, message: "_since is not an instant.", expected: "2026-01-31T00:00:00Z", found: since, doNext: do})
	}
}

func contentLocation(c *Case, report func(finding)) {
	if c.kind() != proxy.KindBulkKickoff || c.status() != http.StatusAccepted {
		return
	}
	f := finding{part: validators.PartResponseHeader, expected: "Content-Location: https://…", doNext: "Send the absolute URL of the job's status in Content-Location."}
	switch loc := c.responseHeader("Content-Location"); {
	case loc == "":
		f.message, f.found = "The 202 has no Content-Location: the client cannot ask for the job's status.", "none"
	case !absoluteHTTP(loc):
		f.message, f.found = "Content-Location is not an absolute URL.", loc
	default:
		return
	}
	report(f)
}

func kickoffBody(c *Case, report func(finding)) {
	if c.kind() != proxy.KindBulkKickoff || c.status() != http.StatusAccepted || c.Response.Size == 0 || !c.Response.Read || c.Response.resourceType() == "OperationOutcome" {
		return
	}
	report(finding{
		part: validators.PartResponseBody, at: c.Response.Root(), message: "The answer to the kick-off has a body that is no OperationOutcome.",
		expected: "no body, or an OperationOutcome in JSON", found: bodyInWords(c.Response), doNext: "Leave the body empty; data belongs into the files of the manifest.",
	})
}

func progress(c *Case, report func(finding)) {
	if c.kind() != proxy.KindBulkStatus || c.status() != http.StatusAccepted {
		return
	}
	if p := c.responseHeader("X-Progress"); len(p) >= 100 {
		report(finding{part: validators.PartResponseHeader, message: fmt.Sprintf("X-Progress has %d characters.", len(p)), expected: "fewer than 100", found: p, doNext: "Shorten the progress text."})
	}
}

func retryAfter(c *Case, report func(finding)) {
	if c.kind() != proxy.KindBulkStatus || c.status() != http.StatusAccepted {
		return
	}
	v := c.responseHeader("Retry-After")
	if n, err := strconv.Atoi(v); err == nil && n >= 1 {
		return
	}
	f := finding{part: validators.PartResponseHeader, expected: "Retry-After: SECONDS", found: inWords(v), doNext: "Send Retry-After with whole seconds, 1 or more."}
	if v == "" {
		f.message = "The running job does not say when to ask again."
	} else {
		f.message = "Retry-After is not a number of seconds; some clients then poll in a tight loop."
	}
	report(f)
}

// manifest is the body of a finished job's status.
func (c *Case) manifest() *fhirjson.Node {
	if c.kind() == proxy.KindBulkStatus && c.status() == http.StatusOK && c.Response.Root() != nil && c.Response.Root().Kind() == fhirjson.Object &&
		c.Response.resourceType() != "OperationOutcome" {
		return c.Response.Root()
	}
	return nil
}

func manifestType(c *Case, report func(finding)) {
	if c.manifest() == nil || c.Response.MediaType == "application/json" {
		return
	}
	report(finding{
		part: validators.PartResponseHeader, message: "The manifest is sent as " + inWords(c.Response.MediaType) + ".", expected: "Content-Type: application/json",
		found: inWords(c.Response.MediaType), doNext: "The manifest is no FHIR resource: send it as application/json.",
	})
}

func manifestShape(c *Case, report func(finding)) {
	if m := c.manifest(); m != nil {
		checkSchema("manifest.json", c.Response, validators.PartResponseBody, report)
		return
	}
	if c.kind() == proxy.KindBulkStatus && c.status() == http.StatusOK && c.Response.Read {
		report(finding{
			part: validators.PartResponseBody, message: "The finished job is answered without a manifest.", expected: "a JSON object with transactionTime, request, requiresAccessToken, output and error",
			found: bodyInWords(c.Response), doNext: "Answer 200 with the manifest, or a 4xx or 5xx when the job failed.",
		})
	}
}

func manifestURLs(c *Case, report func(finding)) {
	m := c.manifest()
	if m == nil {
		return
	}
	for _, list := range []string{"output", "deleted", "error"} {
		for e := m.Member(list).FirstOrNil(); e != nil; e = e.Next() {
			if u := e.Member("url"); u != nil && !absoluteHTTP(u.Text()) {
				report(finding{
					part: validators.PartResponseBody, at: u, message: "The URL of a file in " + list + " is not absolute.", expected: "https://…", found: u.Text(),
					doNext: "Write file URLs with scheme and host.",
				})
			}
		}
	}
}

// clockAllowance is how far a server's clock may be ahead of ours before we call its time the future.
const clockAllowance = 5 * time.Second

func manifestTime(c *Case, report func(finding)) {
	m := c.manifest()
	if m == nil || m.Member("transactionTime") == nil {
		return
	}
	at := m.Member("transactionTime")
	t, err := time.Parse(time.RFC3339, at.Text())
	switch {
	case err != nil:
		report(finding{part: validators.PartResponseBody, at: at, message: "transactionTime is not an instant.", expected: "2026-01-31T12:00:00Z", found: at.Text(), doNext: "Send date, time with seconds, and zone."})
	case !c.end().IsZero() && t.After(c.end().Add(clockAllowance)):
		report(finding{
			part: validators.PartResponseBody, at: at, message: "transactionTime is later than the answer that carries it.", expected: "not after " + c.end().UTC().Format(time.RFC3339),
			found: at.Text(), doNext: "Use the time of the query, taken when the export began; check the server's clock.",
		})
	}
}

func manifestExpires(c *Case, report func(finding)) {
	if c.manifest() == nil {
		return
	}
	v := c.responseHeader("Expires")
	f := finding{part: validators.PartResponseHeader, expected: "Expires: an HTTP date in the future", found: inWords(v), doNext: "Send Expires with the time until which the files can be fetched."}
	t, err := http.ParseTime(v)
	switch {
	case v == "":
		f.message = "The manifest does not say when its files expire."
	case err != nil:
		f.message = "Expires is not an HTTP date."
	case !c.end().IsZero() && t.Before(c.end()):
		f.message = "The files had expired before the manifest was sent."
	default:
		return
	}
	report(f)
}

func fileType(c *Case, report func(finding)) {
	if c.kind() != proxy.KindBulkFile || c.status() != http.StatusOK || c.Response.MediaType == "application/fhir+ndjson" || c.Exchange.Request.Method == http.MethodHead {
		return
	}
	report(finding{
		part: validators.PartResponseHeader, message: "The file is sent as " + inWords(c.Response.MediaType) + ".", expected: "Content-Type: application/fhir+ndjson",
		found: inWords(c.Response.MediaType), doNext: "Send the header Content-Type: application/fhir+ndjson.",
	})
}
