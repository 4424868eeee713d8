package checks

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"fhirwire/testplans"
)

// agrees: the answers say the same as those to attempts of an earlier step that asked for the same. One pair is enough to show it; a pair
// that differs fails.
func agrees(ctx context.Context, c *Case) (Outcome, error) {
	want := c.Check.Agrees
	earlier := map[string][]Item{}
	for _, e := range c.Steps[want.Step] {
		key, why, err := c.Desk.question(ctx, e)
		if err != nil {
			return Outcome{}, err
		}
		if why == "" {
			earlier[key] = append(earlier[key], e)
		}
	}
	doubt := ""
	var pair []Item
	for _, at := range c.Attempts {
		key, why, err := c.Desk.question(ctx, at)
		if err != nil {
			return Outcome{}, err
		}
		if doubt = cmp.Or(doubt, why); why != "" {
			continue
		}
		at0 := slices.IndexFunc(earlier[key], func(e Item) bool { return e.Exchange.ID != at.Exchange.ID })
		if at0 < 0 {
			continue
		}
		e := earlier[key][at0] // the first is enough: all others are compared with it as well
		mine, err := c.values(ctx, at, want.Expr)
		if err != nil {
			return Outcome{}, err
		}
		theirs, err := c.values(ctx, e, want.Expr)
		if err != nil {
			return Outcome{}, err
		}
		switch doubt = cmp.Or(doubt, mine.why, theirs.why); {
		case mine.list == nil || theirs.list == nil:
		case !slices.Equal(mine.list, theirs.list):
			return Outcome{Verdict: testplans.Fail, Items: []Item{e, at}, Message: fmt.Sprintf(
				"%s is %s here and %s in the answer to the same question", want.Expr, clip(strings.Join(mine.list, ", ")), clip(strings.Join(theirs.list, ", ")))}, nil
		case pair == nil:
			pair = []Item{e, at}
		}
	}
	switch {
	case pair != nil:
		return Outcome{Verdict: testplans.Pass, Items: pair}, nil
	case doubt != "":
		return notChecked(doubt), nil
	}
	return notShown("the same was not asked twice"), nil
}

// answered are the sorted results of an expression on a response; list is nil where it has none to compare, with why where that is not
// plain.
type answered struct {
	list []string
	why  string
}

func (c *Case) values(ctx context.Context, it Item, expr string) (answered, error) {
	key := it.Exchange.ID + " " + expr
	a, ok := c.Desk.answers[key]
	if !ok {
		var err error
		if a, err = c.newValues(ctx, it, expr); err != nil {
			return a, err
		}
		c.Desk.answers[key] = a
	}
	return a, nil
}

func (c *Case) newValues(ctx context.Context, it Item, expr string) (answered, error) {
	if it.Exchange.Status() != http.StatusOK {
		return answered{}, nil
	}
	body, err := c.Desk.Body(ctx, it, testplans.OnResponse)
	if err != nil || body.Why != "" || body.Empty() {
		return answered{why: body.why()}, err
	}
	root, fault := body.JSON()
	if fault != "" {
		return answered{}, nil
	}
	values, err := c.Desk.Strings(ctx, expr, root)
	if err != nil {
		return answered{why: "the expression could not be evaluated: " + err.Error()}, nil //nolint:nilerr // beyond us for this data
	}
	slices.Sort(values)
	return answered{list: append([]string{}, values...)}, nil
}

// question is what a request asks, in one form: the type and the parameters with the ids of references and the codes of tokens.
func (d *Desk) question(ctx context.Context, it Item) (key, why string, err error) {
	q, ok := d.questions[it.Exchange.ID]
	if !ok {
		if q.key, q.why, err = d.newQuestion(ctx, it); err != nil {
			return "", "", err
		}
		d.questions[it.Exchange.ID] = q
	}
	return q.key, q.why, nil
}

// question is what a request asks; why says what kept us from knowing.
type question struct{ key, why string }

func (d *Desk) newQuestion(ctx context.Context, it Item) (key, why string, err error) {
	values, why, err := d.Parameters(ctx, it)
	if err != nil || why != "" {
		return "", why, err
	}
	plain := url.Values{}
	for name, list := range values {
		if name == "_format" || name == "_pretty" {
			continue
		}
		for _, v := range list {
			parts := strings.Split(v, ",")
			for i, p := range parts {
				parts[i] = bare(p)
			}
			slices.Sort(parts)
			plain.Add(name, strings.Join(parts, ","))
		}
		slices.Sort(plain[name])
	}
	i := it.Exchange.Interaction
	return i.ResourceType + "/" + i.ResourceID + "/" + i.Operation + "?" + plain.Encode(), "", nil
}

// bare is a parameter's value without a token's system or a reference's type.
func bare(v string) string {
	if _, code, ok := strings.Cut(v, "|"); ok && code != "" {
		return code
	}
	if before, id, ok := strings.Cut(v, "/"); ok && (isTypeName(before) || strings.HasPrefix(v, "http")) && id != "" {
		return path.Base(v)
	}
	return v
}

func isTypeName(s string) bool {
	return len(s) > 3 && s[0] >= 'A' && s[0] <= 'Z' && !strings.ContainsFunc(s, func(r rune) bool { return (r|0x20) < 'a' || (r|0x20) > 'z' })
}

// stable: what is at a place does not change between answers with one status to requests for one URL.
func stable(ctx context.Context, c *Case) (Outcome, error) {
	type seen struct {
		text string
		item Item
	}
	first, asked := map[string]seen{}, map[string]bool{}
	again, doubt := false, ""
	for _, it := range c.Attempts {
		if it.Exchange.Response == nil {
			continue
		}
		v, per, err := c.stableAt(ctx, it)
		if err != nil {
			return Outcome{}, err
		}
		if doubt = cmp.Or(doubt, v.why, per.why); v.text == "" || c.Check.Stable.Per != "" && per.text == "" {
			continue
		}
		url := fmt.Sprint(it.Exchange.Status(), " ", c.Desk.requested(it)[0])
		again = again || asked[url]
		asked[url] = true
		key := url + " " + per.text
		before, had := first[key]
		if !had {
			first[key] = seen{v.text, it}
			continue
		}
		if before.text != v.text {
			message := fmt.Sprintf("%s was %s and is %s", c.Check.Stable.At, clip(before.text), clip(v.text))
			if per.text != "" {
				message += fmt.Sprintf(", where %s is %s both times", c.Check.Stable.Per, clip(per.text))
			}
			return Outcome{Verdict: testplans.Fail, Items: []Item{before.item, it}, Message: message}, nil
		}
	}
	switch {
	case again:
		return passed, nil
	case doubt != "":
		return notChecked(doubt), nil
	default:
		return notShown("no URL was asked for twice"), nil
	}
}

// stableAt are an answer's value and what it is compared per.
func (c *Case) stableAt(ctx context.Context, it Item) (at, per valued, err error) {
	if at, err = c.Desk.valueAt(ctx, it, c.Check.Stable.At); err != nil || c.Check.Stable.Per == "" {
		return at, per, err
	}
	per, err = c.Desk.valueAt(ctx, it, c.Check.Stable.Per)
	return at, per, err
}

// valueKey is a place in an exchange's response.
type valueKey struct{ exchange, at string }

// valued is the JSON at a place, "" where there is none, with why where that is not plain.
type valued struct{ text, why string }

func (d *Desk) valueAt(ctx context.Context, it Item, at string) (valued, error) {
	key := valueKey{it.Exchange.ID, at}
	if v, ok := d.values[key]; ok {
		return v, nil
	}
	body, err := d.Body(ctx, it, testplans.OnResponse)
	if err != nil {
		return valued{}, err
	}
	v := valued{why: body.Why}
	if body.Why == "" && !body.Empty() {
		if root, fault := body.JSON(); fault == "" {
			if n := root.At(at); n != nil {
				v.text = string(n.Raw())
			}
		}
	}
	d.values[key] = v
	return v, nil
}
