package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"fhirwire/validators/terminology"
)

// Bounds on what a server may send.
const (
	maxAnswer    = 1 << 20
	maxExpansion = 16 << 20
	maxReason    = 200 // bytes of a server's own words
)

// get makes one request within the budget. An error is a reason in words, for whoever reads the report.
func (s *Service) get(path string, query url.Values, limit int64, into resource) error {
	s.slots <- struct{}{}
	defer func() { <-s.slots }()
	if err := s.begin(); err != nil {
		return err
	}
	ctx, cancel := s.within()
	defer cancel()
	known, err := s.fetch(ctx, s.base+path+"?"+query.Encode(), limit, into)
	s.end(err == nil || known)
	return err
}

func (s *Service) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopped != "":
	case s.spent >= s.o.MaxRequests:
		s.stopped = fmt.Sprintf("the budget of %d requests to the terminology server is used up", s.o.MaxRequests)
	default:
		s.asked++
		s.spent++
		return nil
	}
	return errors.New(s.stopped)
}

func (s *Service) end(ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok {
		s.answered++
		s.inARow = 0
		return
	}
	s.failed++
	if s.inARow++; s.inARow >= s.o.MaxFailures && s.stopped == "" {
		s.stopped = fmt.Sprintf("the terminology server failed %d times in a row and is not asked again", s.inARow)
	}
}

// resource is an answer that knows what it has to be.
type resource interface{ check() error }

// fetch reads the answer to one GET. known is true where the error is the server's considered word (it does not have the value
// set), not its failure.
func (s *Service) fetch(ctx context.Context, at string, limit int64, into resource) (known bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("Accept", "application/fhir+json")
	resp, err := s.o.Client.Do(req)
	if err != nil {
		return false, errors.New("the terminology server cannot be reached: " + cause(err))
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return false, errors.New("the terminology server's answer broke off: " + cause(err))
	case int64(len(data)) > limit:
		return false, fmt.Errorf("the terminology server's answer is larger than %d bytes", limit)
	case resp.StatusCode != http.StatusOK:
		var o operationOutcome
		said := ""
		if json.Unmarshal(data, &o) == nil {
			said = o.text()
		}
		refused := resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusBadRequest || resp.StatusCode == http.StatusUnprocessableEntity
		return refused, errors.New("the terminology server answers status " + resp.Status[:min(3, len(resp.Status))] + said)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return false, errors.New("the terminology server's answer is not FHIR JSON")
	}
	return false, into.check()
}

// cause is the innermost error, without the URL that http.Client repeats.
func cause(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		if u.Timeout() {
			return "it did not answer in time"
		}
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "it did not answer in time"
	}
	return printable(err.Error())
}

// printable bounds a server's words and keeps them from steering a terminal.
func printable(s string) string {
	if len(s) > maxReason {
		s = s[:maxReason] + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(s, "?"))
}

// parameters is the answer of $validate-code.
type parameters struct {
	ResourceType string `json:"resourceType"`
	Parameter    []struct {
		Name         string           `json:"name"`
		ValueBoolean *bool            `json:"valueBoolean"`
		ValueString  string           `json:"valueString"`
		ValueCode    string           `json:"valueCode"`
		Resource     operationOutcome `json:"resource"`
	} `json:"parameter"`
}

func (p *parameters) check() error {
	if p.ResourceType != "Parameters" {
		return errors.New("the terminology server's answer is no Parameters resource")
	}
	return nil
}

// answer reads result, message and display. False is a No only where the server does not say that it lacks what it would have to
// look into.
func (p *parameters) answer() answer {
	var result *bool
	message, lacking := "", ""
	var a answer
	for i := range p.Parameter {
		q := &p.Parameter[i]
		switch q.Name {
		case "result":
			result = q.ValueBoolean
		case "message":
			message = printable(q.ValueString)
		case "display":
			a.display = q.ValueString
			if len(a.display) > 4*maxCode {
				a.display = ""
			}
		case "x-caused-by-unknown-system", "x-unknown-system":
			lacking = "it does not have a code system that is needed"
		case "issues":
			if t := q.Resource.cannotTell(); t != "" {
				lacking = t
			}
		}
	}
	switch {
	case result == nil:
		a.Why = "the terminology server does not say whether the code is valid"
	case *result:
		a.Value = terminology.Yes
	case lacking != "":
		a.Why = "the terminology server cannot tell: " + lacking
	default:
		a.Value = terminology.No
		a.Why = "the terminology server says so"
		if message != "" {
			a.Why = "the terminology server says: " + message
		}
		a.display = ""
	}
	return a
}

type operationOutcome struct {
	ResourceType string `json:"resourceType"`
	Issue        []struct {
		Severity    string `json:"severity"`
		Code        string `json:"code"`
		Diagnostics string `json:"diagnostics"`
		Details     struct {
			Text string `json:"text"`
		} `json:"details"`
	} `json:"issue"`
}

// text is the first issue in words, with what leads over to it.
func (o *operationOutcome) text() string {
	for i := range o.Issue {
		is := &o.Issue[i]
		if t := is.Details.Text; t != "" {
			return ": " + printable(t)
		}
		if is.Diagnostics != "" {
			return ": " + printable(is.Diagnostics)
		}
	}
	return ""
}

// cannotTell is the issue by which a server says that it could not look, "" when there is none.
func (o *operationOutcome) cannotTell() string {
	for i := range o.Issue {
		is := &o.Issue[i]
		if is.Severity != "error" && is.Severity != "fatal" {
			continue
		}
		switch is.Code {
		case "not-found", "not-supported", "too-costly", "exception", "timeout", "throttled", "transient", "incomplete", "processing", "security", "forbidden":
			if t := is.Details.Text; t != "" {
				return printable(t)
			}
			return is.Code
		}
	}
	return ""
}
