package instance

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/fhirpath"
	"fhirwire/validators/fhirpath/value"
)

// A pattern for a resource is a resource with placeholders ($date$) and with extensions that say how to compare: matchetype
// (complete or partial), matchetype-optional (on an item, or with the names of members), matchetype-sort.
const matchetypePrefix = "http://hl7.org/fhir/tools/StructureDefinition/matchetype"

// placeholders are the texts of a pattern that stand for any value of a form.
var placeholders = map[string]*regexp.Regexp{
	"$$":          regexp.MustCompile(`(?s).*`),
	"$string$":    regexp.MustCompile(`(?s)^.+$`),
	"$id$":        regexp.MustCompile(`^[A-Za-z0-9\-.]{1,64}$`),
	"$url$":       regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.\-]+:\S+$`),
	"$uuid$":      regexp.MustCompile(`^(urn:uuid:)?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`),
	"$token$":     regexp.MustCompile(`^\S+$`),
	"$code$":      regexp.MustCompile(`^\S+( \S+)*$`),
	"$number$":    regexp.MustCompile(`^-?\d+(\.\d+)?$`),
	"$date$":      regexp.MustCompile(`^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+\-]\d\d:\d\d)?)?$`),
	"$instant$":   regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+\-]\d\d:\d\d)$`),
	"$semver$":    regexp.MustCompile(`^\d+\.\d+(\.\d+)?([-+.].*)?$`),
	"$version$":   regexp.MustCompile(`^\S+$`),
	"$fragments$": regexp.MustCompile(`(?s).*`),
}

// matcher compares a resource with a pattern.
type matcher struct {
	ctx    context.Context //nolint:containedctx // the matcher lives for one call of Match
	v      *Validator
	whole  bool              // what the pattern does not have, the resource must not have
	sorts  map[string]string // member of the root → expression
	issues []validators.Issue
	err    error
}

// Match compares a resource with a pattern and reports the differences. The error is that of an expression to sort by.
func (v *Validator) Match(ctx context.Context, pattern, actual *fhirjson.Node) ([]validators.Issue, error) {
	if pattern == nil || actual == nil {
		return nil, ErrNoResource
	}
	m := &matcher{ctx: ctx, v: v, whole: true, sorts: map[string]string{}}
	for _, x := range pattern.AppendElements(nil, "extension") {
		switch strings.TrimPrefix(x.MemberText("url"), matchetypePrefix) {
		case "":
			m.whole = x.MemberText("valueCode") != "partial"
		case "-sort":
			var element, expression string
			for _, part := range x.AppendElements(nil, "extension") {
				switch part.MemberText("url") {
				case "element":
					element = part.MemberText("valueString")
				case "expression":
					expression = part.MemberText("valueString")
				}
			}
			m.sorts[element] = expression
		}
	}
	m.value(pattern, actual)
	return m.issues, m.err
}

func (m *matcher) add(at *fhirjson.Node, format string, args ...any) {
	m.issues = append(m.issues, validators.Issue{
		Severity: validators.SeverityError, Code: validators.CodeValue, MessageID: "pattern-difference", Message: fmt.Sprintf(format, args...),
		Expression: at.Expression(), Pointer: at.Pointer(), Position: at.Position(), Resource: -1,
	})
}

func (m *matcher) value(p, a *fhirjson.Node) {
	switch {
	case p.Kind() == fhirjson.String && placeholders[p.Text()] != nil && a.IsPrimitive():
		if !placeholders[p.Text()].MatchString(a.Text()) {
			m.add(a, "%s is %s; the pattern asks for %s.", a.Expression(), brief(a), p.Text())
		}
	case p.Kind() == fhirjson.String && strings.HasPrefix(p.Text(), "$choice:") && a.IsPrimitive():
		list := strings.TrimSuffix(strings.TrimPrefix(p.Text(), "$choice:"), "$")
		if !slices.Contains(strings.Split(list, "|"), a.Text()) {
			m.add(a, "%s is %s; the pattern asks for one of %s.", a.Expression(), brief(a), list)
		}
	case p.Kind() != a.Kind():
		m.add(a, "%s is a JSON %s; the pattern has a JSON %s.", a.Expression(), a.Kind(), p.Kind())
	case p.Kind() == fhirjson.Object:
		m.object(p, a)
	case p.Kind() == fhirjson.Array:
		m.list(p, a)
	case !equalPrimitives(p, a):
		m.add(a, "%s is %s; the pattern has %s.", a.Expression(), brief(a), brief(p))
	}
}

func (m *matcher) object(p, a *fhirjson.Node) {
	optional := optionalMembers(p)
	for c := p.First(); c != nil; c = c.Next() {
		if c.Key() == "extension" && len(ownExtensions(c)) == 0 {
			continue
		}
		got := a.Member(c.Key())
		switch {
		case got != nil:
			m.value(c, got)
		case slices.Contains(optional, c.Key()) || c.Key() == "extension" && !slices.ContainsFunc(ownExtensions(c), func(x *fhirjson.Node) bool { return !isOptional(x) }):
		default:
			m.add(a, "%s.%s is missing; the pattern has it.", a.Expression(), c.Key())
		}
	}
	if !m.whole {
		return
	}
	for c := a.First(); c != nil; c = c.Next() {
		if in := p.Member(c.Key()); in == nil && !slices.Contains(optional, c.Key()) || in != nil && in.Key() == "extension" && len(ownExtensions(in)) == 0 {
			m.add(a, "%s.%s is not in the pattern.", a.Expression(), c.Key())
		}
	}
}

// optionalMembers are the members that an object of a pattern names as optional.
func optionalMembers(p *fhirjson.Node) []string {
	var out []string
	for _, x := range p.AppendElements(nil, "extension") {
		if x.MemberText("url") == matchetypePrefix+"-optional" {
			for name := range strings.SplitSeq(x.MemberText("valueString"), ",") {
				out = append(out, strings.TrimSpace(name))
			}
		}
	}
	return out
}

// ownExtensions are the extensions in a list that belong to the resource and not to the pattern.
func ownExtensions(list *fhirjson.Node) []*fhirjson.Node {
	var out []*fhirjson.Node
	for x := list.FirstOrNil(); x != nil; x = x.Next() {
		if !strings.HasPrefix(x.MemberText("url"), matchetypePrefix) {
			out = append(out, x)
		}
	}
	return out
}

func isOptional(item *fhirjson.Node) bool {
	return slices.ContainsFunc(item.AppendElements(nil, "extension"), func(x *fhirjson.Node) bool {
		return x.MemberText("url") == matchetypePrefix+"-optional" && x.MemberText("valueBoolean") == "true"
	})
}

// list compares items in order: those of the pattern that are optional may be left out, and where the pattern is partial others
// may stand between.
func (m *matcher) list(p, a *fhirjson.Node) {
	want := ownExtensions(p) // of other lists: all
	got := ownExtensions(a)
	if m.sorts[a.Key()] != "" && a.Parent().ResourceType() != "" {
		m.sort(got, m.sorts[a.Key()])
	}
	if len(want) == 1 && len(got) == 1 {
		m.value(want[0], got[0])
		return
	}
	next := 0
	for _, item := range got {
		at := next
		for at < len(want) && !m.same(want[at], item) && isOptional(want[at]) {
			at++
		}
		switch {
		case at < len(want) && m.same(want[at], item):
			next = at + 1
		case m.whole:
			m.add(a, "%s is not in the pattern at this place.", item.Expression())
		}
	}
	for _, left := range want[next:] {
		if !isOptional(left) {
			m.add(a, "%s lacks %s, which the pattern has.", a.Expression(), brief(left))
		}
	}
}

func (m *matcher) same(p, a *fhirjson.Node) bool {
	trial := matcher{ctx: m.ctx, v: m.v, whole: m.whole}
	trial.value(p, a)
	return len(trial.issues) == 0
}

// sort orders items by an expression.
func (m *matcher) sort(items []*fhirjson.Node, expression string) {
	x, err := fhirpath.Compile(expression, m.v.defs)
	if err != nil {
		m.err = fmt.Errorf("pattern: sort by %s: %w", expression, err)
		return
	}
	keys := map[*fhirjson.Node]string{}
	for _, item := range items {
		found, err := x.Eval(m.ctx, item, fhirpath.Env{Context: item})
		if err != nil {
			m.err = fmt.Errorf("pattern: sort by %s: %w", expression, err)
			return
		}
		for _, one := range found {
			if e, ok := one.(value.Element); ok && e.Node != nil {
				keys[item] += e.Node.Text() + "\x00"
			}
		}
	}
	slices.SortStableFunc(items, func(a, b *fhirjson.Node) int { return strings.Compare(keys[a], keys[b]) })
}
