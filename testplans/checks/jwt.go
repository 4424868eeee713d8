package checks

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"fhirwire/testplans"
)

// skew is the difference between clocks that is no fault.
const skew = time.Minute

// token is what recording keeps of a JWT, each member as it stands.
type token map[string]json.RawMessage

// jwt: a token in the request has the members and values asked for.
func jwt(ctx context.Context, c *Case) (Outcome, error) {
	want := c.Check.JWT
	got, out, ok, err := c.Desk.token(ctx, c.Attempt, want.In)
	if !ok {
		return out, err
	}
	for _, name := range want.Has {
		if len(got[name]) == 0 {
			return failed(fmt.Sprintf("the %s has no %s", spoken[want.In], name)), nil
		}
	}
	for _, name := range want.Same {
		if first := want.Same[0]; string(got[name]) != string(got[first]) {
			return failed(fmt.Sprintf("%s is %s and %s is %s, which is not the same", first, got[first], name, got[name])), nil
		}
	}
	if alg := got.text("alg"); len(want.Algorithms) > 0 && !slices.Contains(want.Algorithms, alg) {
		return failed(fmt.Sprintf("alg is %q%s", alg, expected(want.Algorithms, ""))), nil
	}
	if want.Lifetime > 0 {
		var exp float64
		if json.Unmarshal(got["exp"], &exp) != nil {
			return failed("exp is no number"), nil
		}
		start := c.Attempt.Exchange.Timing.Start
		switch life := time.Unix(int64(exp), 0).Sub(start); {
		case start.IsZero():
			return notChecked("it is not known when the request began"), nil
		case life < -skew:
			return failed(fmt.Sprintf("it expired %s before the request", (-life).Round(time.Second))), nil
		case life > time.Duration(want.Lifetime)*time.Second+skew:
			return failed(fmt.Sprintf("it expires %s after the request, where %d seconds are the most", life.Round(time.Second), want.Lifetime)), nil
		}
	}
	if want.Audience && !c.isAudience(got["aud"]) {
		return failed(fmt.Sprintf("aud is %s, and the request went to %s", clip(string(got["aud"])), c.Attempt.Exchange.Request.URL)), nil
	}
	return passed, nil
}

var spoken = map[string]string{"client_assertion": "client assertion", "bearer": "bearer token", "software_statement": "software statement"}

// token reads what was kept of a request's JWT.
func (d *Desk) token(ctx context.Context, it Item, in string) (got token, out Outcome, ok bool, err error) {
	text, why := "", ""
	switch in {
	case "bearer":
		text = bearer(it.Exchange)
	case "client_assertion":
		values, doubt, err := d.Parameters(ctx, it)
		if err != nil {
			return nil, Outcome{}, false, err
		}
		why = doubt
		if list := values["client_assertion"]; len(list) > 0 {
			text = list[0]
		}
	case "software_statement":
		body, err := d.Body(ctx, it, testplans.OnRequest)
		if err != nil {
			return nil, Outcome{}, false, err
		}
		why = body.Why
		if why == "" && !body.Empty() {
			if root, fault := body.JSON(); fault == "" {
				text = root.MemberText("software_statement")
			}
		}
	}
	at := strings.IndexByte(text, '{')
	switch {
	case text == "" && why != "":
		return nil, notChecked(why), false, nil
	case text == "":
		return nil, failed("the request has no " + spoken[in]), false, nil
	case at < 0 || json.Unmarshal([]byte(text[at:]), &got) != nil:
		return nil, notChecked("nothing was kept of the " + spoken[in] + " that can be read: it may be no JWT"), false, nil
	}
	return got, Outcome{}, true, nil
}

func (t token) text(name string) string {
	var s string
	if json.Unmarshal(t[name], &s) != nil {
		return ""
	}
	return s
}

// isAudience reports whether aud names the URL asked for, with or without its query.
func (c *Case) isAudience(raw json.RawMessage) bool {
	var list []string
	if json.Unmarshal(raw, &list) != nil {
		list = []string{strings.Trim(string(raw), `"`)}
	}
	keys := c.Desk.requested(c.Attempt)
	return slices.ContainsFunc(list, func(aud string) bool {
		key := urlKey(aud, nil)
		return key != "" && slices.ContainsFunc(keys[:], func(k string) bool {
			k, _, _ = strings.Cut(k, "?")
			return k == key
		})
	})
}

// once: no two attempts sent a token of one issuer with one jti.
func once(ctx context.Context, c *Case) (Outcome, error) {
	in := c.Check.Once.In
	seen := map[string]Item{}
	doubt := ""
	for _, it := range c.Attempts {
		v, err := c.Desk.jti(ctx, it, in)
		if err != nil {
			return Outcome{}, err
		}
		if doubt = cmp.Or(v.why, doubt); v.text == "" {
			continue
		}
		if before, again := seen[v.text]; again {
			return Outcome{Verdict: testplans.Fail, Message: "one jti was used twice", Items: []Item{before, it}}, nil
		}
		seen[v.text] = it
	}
	switch {
	case len(seen) > 0:
		return passed, nil
	case doubt != "":
		return notChecked(doubt), nil
	}
	return notShown("no " + spoken[in] + " with a jti was seen"), nil
}

// jti is what must not come twice: the issuer and the id of a token.
func (d *Desk) jti(ctx context.Context, it Item, in string) (valued, error) {
	key := valueKey{it.Exchange.ID, "jti " + in}
	if v, ok := d.values[key]; ok {
		return v, nil
	}
	got, out, ok, err := d.token(ctx, it, in)
	if err != nil {
		return valued{}, err
	}
	var v valued
	switch {
	case ok && len(got["jti"]) > 0:
		v.text = string(got["iss"]) + " " + string(got["jti"])
	case out.Verdict == testplans.NotChecked:
		v.why = out.Message
	}
	d.values[key] = v
	return v, nil
}
