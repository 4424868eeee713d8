package planfile

import (
	"regexp"
	"slices"
	"strings"

	"fhirwire/proxy"
	"fhirwire/testplans"
	"fhirwire/validators/fhirpath"
	"fhirwire/validators/fhirpath/parse"
)

// systemTypes are those of FHIRPath itself.
var systemTypes = []string{"Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time", "Quantity"}

// typesIn vets the types that an expression names, where the model lists all of them: one that is not there is no fault of the language, and
// holds of nothing for ever.
func (v *vetter) typesIn(at string, n parse.Node) {
	if len(v.resourceTypes()) == 0 {
		return
	}
	switch n := n.(type) {
	case *parse.Call:
		for _, arg := range n.Args {
			if len(n.Args) == 1 && slices.Contains([]string{"ofType", "is", "as"}, n.Name) {
				v.typeName(at, arg)
				continue
			}
			v.typesIn(at, arg)
		}
	case *parse.TypeOp:
		v.typesIn(at, n.X)
		v.knownType(at, int(n.Position()), n.Type.Namespace, n.Type.Name)
	case *parse.Dot:
		v.typesIn(at, n.Left)
		v.typesIn(at, n.Right)
	case *parse.Index:
		v.typesIn(at, n.Left)
		v.typesIn(at, n.Index)
	case *parse.Unary:
		v.typesIn(at, n.X)
	case *parse.Binary:
		v.typesIn(at, n.Left)
		v.typesIn(at, n.Right)
	}
}

// typeName vets the argument of ofType, is and as.
func (v *vetter) typeName(at string, arg parse.Node) {
	switch n := arg.(type) {
	case *parse.Identifier:
		v.knownType(at, int(n.Position()), "", n.Name)
	case *parse.Dot:
		left, ok := n.Left.(*parse.Identifier)
		right, ok2 := n.Right.(*parse.Identifier)
		if ok && ok2 {
			v.knownType(at, int(left.Position()), left.Name, right.Name)
		}
	}
}

func (v *vetter) knownType(at string, offset int, space, name string) {
	if slices.Contains(systemTypes, name) && space != "FHIR" {
		return
	}
	if _, ok := v.model.Type(name); ok && space != "System" {
		return
	}
	best := nearest(name, v.resourceTypes())
	if best == "" {
		best = "a type of FHIR R4, such as Patient or HumanName"
	}
	v.add(v.inside(at, offset, "FHIRPath: there is no type %s; expected %s", name, best))
}

var (
	functionForm = regexp.MustCompile(`^unknown function "(.*)"$`)
	elementForm  = regexp.MustCompile(`^(.*) has no element "(.*)"$`)
)

// meant is what a fault of an expression says, and what was probably meant.
func (v *vetter) meant(message string) string {
	var word string
	var known []string
	if m := functionForm.FindStringSubmatch(message); m != nil {
		word, known = m[1], fhirpath.FunctionNames()
	} else if m := elementForm.FindStringSubmatch(message); m != nil {
		word = m[2]
		for name := range strings.SplitSeq(m[1], " or ") {
			if t, ok := v.model.Type(name); ok {
				for _, e := range t.Elements() {
					if e.Choice && strings.HasPrefix(word, e.Name) && word != e.Name {
						return message + "; expected " + e.Name + ".ofType(TYPE)"
					}
					known = append(known, e.Name)
				}
			}
		}
	}
	if best := nearest(word, known); best != "" {
		return message + "; expected " + best
	}
	return message
}

// compile vets an expression; where the model lists all types also for elements that what it is asked of does not have, which are no fault of
// the language either.
func (v *vetter) compile(src string) error {
	var err error
	if len(v.resourceTypes()) == 0 {
		_, err = fhirpath.Compile(src, v.model)
	} else {
		_, err = fhirpath.CompileFor(src, v.model, v.on...)
	}
	return err
}

// answered are the types that the answers of a step may have, none where that cannot be told.
func (v *vetter) answered(s *testplans.Select) []*fhirpath.Type {
	if len(s.Kind) == 0 || len(v.resourceTypes()) == 0 {
		return nil
	}
	names := []string{"OperationOutcome"}
	for _, kind := range s.Kind {
		switch proxy.Kind(kind) {
		case proxy.KindSearchType, proxy.KindSearchSystem, proxy.KindHistoryInstance, proxy.KindHistoryType, proxy.KindHistorySystem:
			names = append(names, "Bundle")
		case proxy.KindRead, proxy.KindVRead:
			if len(s.Type) == 0 {
				return nil
			}
			names = append(names, s.Type...)
		case proxy.KindCapabilities:
			names = append(names, "CapabilityStatement")
		default:
			return nil
		}
	}
	var out []*fhirpath.Type
	for _, name := range names {
		if t, ok := v.model.Type(name); ok && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}
