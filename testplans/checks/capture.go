package checks

import (
	"context"
	"slices"
	"strings"

	"fhirwire/testplans"
)

// Capture gives the values that a capture finds in an exchange, none where it finds none or cannot read it.
func (d *Desk) Capture(ctx context.Context, c *testplans.Capture, it Item) ([]string, error) {
	m := message(it.Exchange, c.From)
	switch {
	case m == nil:
		return nil, nil
	case c.Header != "":
		return slices.Collect(m.Header.Values(c.Header)), nil
	case c.Parameter != "":
		values, _, err := d.Parameters(ctx, it)
		return values[c.Parameter], err
	}
	body, err := d.Body(ctx, it, c.From)
	if err != nil || body.Why != "" || body.Empty() {
		return nil, err
	}
	root, fault := body.JSON()
	if fault != "" {
		return nil, nil
	}
	if c.FHIRPath != "" {
		values, err := d.Strings(ctx, c.FHIRPath, root)
		if err != nil {
			return nil, nil //nolint:nilerr // beyond us for this data: a variable without a value makes its users not-shown
		}
		return values, nil
	}
	var values []string
	nodes, _ := expandPointer(root, c.Pointer)
	for _, n := range nodes {
		if n.IsPrimitive() && n.Text() != "" {
			values = append(values, strings.Clone(n.Text())) // a part of the body would keep all of it
		}
	}
	return values, nil
}
