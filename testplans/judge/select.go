package judge

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
)

// plainly reports whether an exchange may be an attempt, by what needs no body.
func plainly(s *testplans.Select, ex *proxy.Exchange) bool {
	if s.Certificate != "" {
		if presented, known := checks.ClientCertificate(ex); !known || presented != (s.Certificate == "*") {
			return false
		}
	}
	for name, want := range s.Headers {
		if ex.Request.Header.Has(name) != (want == "*") {
			return false
		}
	}
	return briefly(s, ex)
}

// briefly is plainly by what the short form of an exchange tells, which has neither headers nor handshakes.
func briefly(s *testplans.Select, ex *proxy.Exchange) bool {
	i := ex.Interaction
	one := func(list []string, v string) bool { return len(list) == 0 || slices.Contains(list, v) }
	if !one(s.Kind, string(i.Kind)) || !one(s.Type, i.ResourceType) || !one(s.Operation, i.Operation) || !one(s.Method, ex.Request.Method) {
		return false
	}
	if len(s.Status) > 0 && !checks.MatchStatus(ex.Status(), s.Status) {
		return false
	}
	switch s.Level {
	case "system":
		return i.ResourceType == ""
	case "type":
		return i.ResourceType != "" && i.ResourceID == ""
	case "instance":
		return i.ResourceID != ""
	default:
		return true
	}
}

// isWanted reports whether an exchange is an attempt by what it says itself.
func (j *Judging) isWanted(ctx context.Context, s *testplans.Select, it checks.Item) (ok bool, why string, err error) {
	if len(s.Parameters) > 0 {
		if ok, why, err := j.hasParameters(ctx, s.Parameters, it); !ok {
			return false, why, err
		}
	}
	if s.Request != "" {
		if ok, why, err := j.holds(ctx, s.Request, testplans.OnRequest, it); !ok {
			return false, why, err
		}
	}
	if s.Response != "" {
		if ok, why, err := j.holds(ctx, s.Response, testplans.OnResponse, it); !ok {
			return false, why, err
		}
	}
	return true, "", nil
}

// isPlaced reports whether an exchange is an attempt by what it is related to.
func (j *Judging) isPlaced(ctx context.Context, s *step, it checks.Item) (ok bool, why string, err error) {
	if len(s.unless) > 0 {
		ruledOut, why, err := j.isRelated(ctx, s.unless, it)
		if ruledOut || err != nil || why != "" {
			return false, why, err
		}
	}
	return j.isRelated(ctx, s.follows, it)
}

// byStep are the relations to each step together.
func byStep(follows []testplans.Follows) [][]testplans.Follows {
	var out [][]testplans.Follows
	for _, f := range follows {
		at := slices.IndexFunc(out, func(list []testplans.Follows) bool { return list[0].Step == f.Step })
		if at < 0 {
			out = append(out, []testplans.Follows{f})
			continue
		}
		out[at] = append(out[at], f)
	}
	return out
}

// isRelated reports whether for each step that follows names one of its attempts has all the relations asked for.
func (j *Judging) isRelated(ctx context.Context, follows [][]testplans.Follows, it checks.Item) (ok bool, why string, err error) {
	for _, list := range follows {
		_, ok, why, err := j.desk.RelatedTo(ctx, it, list, j.attempts[list[0].Step])
		if !ok {
			return false, why, err
		}
	}
	return true, "", nil
}

func (j *Judging) hasParameters(ctx context.Context, want map[string]string, it checks.Item) (ok bool, why string, err error) {
	values, why, err := j.desk.Parameters(ctx, it)
	if err != nil {
		return false, "", err
	}
	for name, w := range want {
		got := values[name]
		switch w {
		case "*":
			ok = len(got) > 0
		case "-":
			ok = len(got) == 0
		default:
			ok = j.hasValue(values, name, w)
		}
		if !ok {
			return false, why, nil
		}
	}
	return true, "", nil
}

func (j *Judging) hasValue(values url.Values, name, want string) bool {
	want, missing := j.desk.Expand(want)
	if missing != "" {
		return false // not seen yet: nothing can be told to be this
	}
	return slices.ContainsFunc(values[name], func(v string) bool {
		return slices.ContainsFunc(strings.Split(v, ","), func(v string) bool { return checks.SameID(v, want) })
	})
}

// holds evaluates a select expression on a half's JSON body; a message without one does not hold.
func (j *Judging) holds(ctx context.Context, expr string, half testplans.Half, it checks.Item) (ok bool, why string, err error) {
	body, err := j.desk.Body(ctx, it, half)
	if err != nil || body.Why != "" || body.Empty() {
		if body != nil {
			why = body.Why
		}
		return false, why, err
	}
	root, fault := body.JSON()
	if fault != "" {
		return false, "", nil
	}
	ok, err = j.desk.Truth(ctx, expr, root)
	if err != nil {
		return false, fmt.Sprintf("whether exchange %s belongs here could not be told: %v", it.Exchange.ID, err), nil
	}
	return ok, "", nil
}
