package planfile

import (
	"slices"

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
