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
		for _, e := range earlier[key] {
			if e.Exchange.ID == at.Exchange.ID {
				continue
			}
			mine, why, err := c.values(ctx, at, want.Expr)
			if err != nil {
				return Outcome{}, err
			}
			theirs, why2, err := c.values(ctx, e, want.Expr)
			if err != nil {
				return Outcome{}, err
			}
			switch doubt = cmp.Or(doubt, why, why2); {
			case mine == nil || theirs == nil:
			case !slices.Equal(mine, theirs):
				return Outcome{Verdict: testplans.Fail, Items: []Item{e, at}, Message: fmt.Sprintf(
					"%s is %s here and %s in the answer to the same question", want.Expr, clip(strings.Join(mine, ", ")), clip(strings.Join(theirs, ", ")))}, nil
			case pair == nil:
				pair = []Item{e, at}
			}
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

// values are the sorted results of an expression on a response; nil where it has none to compare, with why where that is not plain.
func (c *Case) values(ctx context.Context, it Item, expr string) (values []string, why string, err error) {
	if it.Exchange.Status() != http.StatusOK {
		return nil, "", nil
	}
	body, err := c.Desk.Body(ctx, it, testplans.OnResponse)
	if err != nil || body.Why != "" || body.Empty() {
		return nil, body.why(), err
	}
	root, fault := body.JSON()
	if fault != "" {
		return nil, "", nil
	}
	values, err = c.Desk.Strings(ctx, expr, root)
	if err != nil {
		return nil, "the expression could not be evaluated: " + err.Error(), nil //nolint:nilerr // beyond us for this data
	}
	slices.Sort(values)
	return append([]string{}, values...), "", nil
}

// question is what a request asks, in one form: the type and the parameters with the ids of references and the codes of tokens.
func (d *Desk) question(ctx context.Context, it Item) (key, why string, err error) {
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
	first := map[string]seen{}
	compared, doubt := 0, ""
	for _, it := range c.Attempts {
		if it.Exchange.Response == nil {
			continue
		}
		body, err := c.Desk.Body(ctx, it, testplans.OnResponse)
		if err != nil {
			return Outcome{}, err
		}
		if doubt = cmp.Or(doubt, body.Why); body.Why != "" || body.Empty() {
			continue
		}
		root, fault := body.JSON()
		if fault != "" {
			continue
		}
		n := root.At(c.Check.Stable.At)
		if n == nil {
			continue
		}
		text := string(n.Raw())
		key := fmt.Sprint(it.Exchange.Status(), " ", c.Desk.requested(it.Exchange)[0])
		before, again := first[key]
		if !again {
			first[key] = seen{text, it}
			continue
		}
		if compared++; before.text != text {
			return Outcome{Verdict: testplans.Fail, Items: []Item{before.item, it}, Message: fmt.Sprintf("%s was %s and is %s", c.Check.Stable.At, clip(before.text), clip(text))}, nil
		}
	}
	switch {
	case compared > 0:
		return passed, nil
	case doubt != "":
		return notChecked(doubt), nil
	default:
		return notShown("no URL was asked for twice"), nil
	}
}
