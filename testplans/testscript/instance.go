package testscript

import (
	"cmp"
	"regexp"
	"strings"

	"fhirwire/testplans"
)

// instance is a path that ends with an id: "/p1", "Patient/${id}", "${base}/Patient/p1/_history/2".
var instance = regexp.MustCompile(`(?:^/?|[A-Z][A-Za-z]+/)([A-Za-z0-9.-]{1,64}|\$\{[A-Za-z][A-Za-z0-9]*\})(?:/_history/[^/]+)?$`)

// ofInstance narrows a step to the resource that its operation names. A value captured from an earlier message has to be in the URL; a
// literal one is compared with the bodies, since plans have no ids of their own to ask for. An answer without a resource, such as that to
// a delete, is not told apart by a literal id.
func (c *converter) ofInstance(s *testplans.Step, o *operation) {
	path, _, _ := strings.Cut(cmp.Or(o.Params, o.URL), "?")
	m := instance.FindStringSubmatch(path)
	if m == nil {
		return
	}
	id := m[1]
	if name, ok := strings.CutPrefix(id, "${"); ok {
		name = strings.TrimSuffix(name, "}")
		if at, known := c.capturedAt(name); known {
			s.Select.Follows = append(s.Select.Follows, testplans.Follows{Step: c.out.Plan.Steps[at].ID, By: testplans.ByID, Variable: name})
			return
		}
	}
	switch strings.TrimPrefix(o.Type.Code, "$") {
	case "read", "vread":
		s.Select.Response = "$this is OperationOutcome or id = '" + id + "'"
	case "update", "updateCreate":
		s.Select.Request = "id = '" + id + "'"
	}
}

// capturedAt is the earlier step from whose messages a variable is taken.
func (c *converter) capturedAt(name string) (step int, known bool) {
	for _, v := range c.script.Variable {
		if v.Name != name || v.Expression == "" && v.HeaderField == "" {
			continue
		}
		if step, known = c.byResponse[v.SourceID]; !known {
			step, known = c.byRequest[v.SourceID]
		}
		return step, known
	}
	return 0, false
}
