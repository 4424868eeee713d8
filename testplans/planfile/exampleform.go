package planfile

import (
	"fmt"
	"regexp"
	"strings"
)

// The first lines of the messages of an example. A status line may leave out the version and the reason, a request line the version.
var (
	requestForm = regexp.MustCompile(`^[A-Z]+ +(/|https?://)[^ ]*( +HTTP/[0-9](\.[0-9])?)?$`)
	statusForm  = regexp.MustCompile(`^(HTTP/[0-9](\.[0-9])? +)?[1-5][0-9][0-9]( .*)?$`)
)

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
	case "failure", "clientleg", "serverleg":
		return nil
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
