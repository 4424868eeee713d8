package planfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"fhirwire/proxy"
)

// The first lines of the messages of an example. A status line may leave out the version and the reason, a request line the version.
var (
	requestForm = regexp.MustCompile(`^[A-Z]+ +(/|https?://)[^ ]*( +HTTP/[0-9](\.[0-9])?)?$`)
	statusForm  = regexp.MustCompile(`^(HTTP/[0-9](\.[0-9])? +)?[1-5][0-9][0-9]( .*)?$`)
)

// reasons are why an exchange failed.
var reasons = []proxy.Reason{
	proxy.ReasonUpstreamDown, proxy.ReasonUpstreamTimeout, proxy.ReasonUpstreamTLS, proxy.ReasonUpstreamReset, proxy.ReasonUpstreamInvalid,
	proxy.ReasonClientGone, proxy.ReasonClientTLS, proxy.ReasonNoChannel, proxy.ReasonRefused, proxy.ReasonProxy,
}

// messageFault is what is wrong with the head of a message, nil for nothing; name is that of its file without the folder, which begins
// at a line of the archive.
func messageFault(file string, line int, name string, data []byte) *Fault {
	number, half, ok := strings.Cut(name, ".")
	if !ok || number == "" || strings.Trim(number, "0123456789") != "" {
		return &Fault{File: file, Line: line, Column: 1, Message: fmt.Sprintf("file %q; expected N.request, N.response, N.failure, N.clientleg, N.serverleg, expect or edit", name)}
	}
	form, want := requestForm, "a method and a path, such as GET /fhir/Patient"
	switch half {
	case "request":
	case "response":
		form, want = statusForm, "a status line such as HTTP/1.1 200 OK"
	case "failure":
		if words := strings.Fields(string(data)); len(words) < 3 || !slices.Contains(reasons, proxy.Reason(words[0])) || !slices.Contains([]string{"client", "server", "proxy"}, words[1]) {
			return &Fault{File: file, Line: line + 1, Column: 1, Message: fmt.Sprintf("%q is no failure; expected a reason, a side (client, server or proxy) and what happened: upstream-down server connection refused", strings.TrimSpace(string(data)))}
		}
		return nil
	case "clientleg", "serverleg":
		return legFault(file, line, data)
	default:
		return &Fault{File: file, Line: line, Column: 1, Message: fmt.Sprintf("file %q; expected N.request, N.response, N.failure, N.clientleg, N.serverleg, expect or edit", name)}
	}
	for i, text := range strings.Split(string(data), "\n") {
		text = strings.TrimRight(text, "\r ")
		if text == "" && i > 0 {
			return nil // the body follows
		}
		switch at := line + 1 + i; {
		case i == 0 && !form.MatchString(text):
			return &Fault{File: file, Line: at, Column: 1, Message: fmt.Sprintf("%q begins a %s; expected %s", text, half, want)}
		case i > 0 && !strings.Contains(text, ":"):
			return &Fault{File: file, Line: at, Column: 1, Message: fmt.Sprintf("%q is no header: it has no colon; expected NAME: VALUE, or an empty line before the body", text)}
		}
	}
	return nil
}

// legFault is what is wrong with what is said of a connection.
func legFault(file string, line int, data []byte) *Fault {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(new(proxy.Leg))
	if err == nil {
		return nil
	}
	read := data[:min(int(d.InputOffset()), len(data))]
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		read = data[:min(max(0, int(e.Offset)-1), len(data))]
	}
	if _, key, ok := strings.Cut(err.Error(), "unknown field "); ok {
		read = data[:max(0, bytes.Index(data, []byte(key)))]
	}
	return &Fault{
		File: file, Line: line + 1 + bytes.Count(read, []byte("\n")), Column: len(read) - bytes.LastIndexByte(read, '\n'),
		Message: fmt.Sprintf("no connection as recording writes it: %s; expected JSON such as %s", strings.TrimPrefix(err.Error(), "json: "), legForm),
	}
}

const legForm = `{"tls": {"version": "TLS 1.3", "client": [{"subject": "CN=a"}]}}`
