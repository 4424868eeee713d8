package attribution

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"fhirwire/reference/resources"
	"fhirwire/validators/fhirjson"
)

const npiSystem = "http://hl7.org/fhir/sid/us-npi"

// The parameters of the operations, ATR 2.1.0; all are 0..1.
var (
	addParams    = []string{"memberId", "providerNpi", "patientReference", "providerReference", "attributionPeriod"}
	removeParams = []string{"memberId", "providerNpi", "patientReference", "providerReference", "coverageReference"}
	statusParams = []string{"memberId", "patientReference"}
)

type identifier struct{ system, value string }

// token is the identifier as a search asks for it.
func (i identifier) token() string {
	esc := strings.NewReplacer(`\`, `\\`, `,`, `\,`, `|`, `\|`, `$`, `\$`)
	if i.system == "" {
		return esc.Replace(i.value)
	}
	return esc.Replace(i.system) + "|" + esc.Replace(i.value)
}

// input is the Parameters of an operation.
type input struct {
	given              []string
	member, npi        identifier
	patient, provider  string // references as Type/id
	coverage           string
	period             []byte
	unused             []string
	patientExpression  string
	providerExpression string
}

func bad(status int, code, expression, format string, args ...any) error {
	return &RefusedError{Status: status, Code: code, Text: fmt.Sprintf(format, args...), Expression: expression}
}

// readInput reads a body. What is no Parameters is 400; a parameter of the right name that holds nothing of use is 422. Others
// are not used, which the answer tells.
func readInput(body []byte, base string, known []string) (*input, error) {
	doc := fhirjson.Parse(body)
	root := doc.Root()
	if len(doc.Problems()) > 0 || root == nil || root.ResourceType() != "Parameters" {
		return nil, refuse(http.StatusBadRequest, "structure", "The body is not a Parameters resource.")
	}
	in := &input{}
	for p := root.Member("parameter").FirstOrNil(); p != nil; p = p.Next() {
		name := p.MemberText("name")
		if !slices.Contains(known, name) {
			in.unused = append(in.unused, fmt.Sprintf("Parameter %q is not one of this operation; it was not used.", name))
			continue
		}
		if slices.Contains(in.given, name) {
			return nil, bad(http.StatusUnprocessableEntity, "structure", p.Expression(), "The parameter %s is given twice.", name)
		}
		in.given = append(in.given, name)
		if !in.take(name, base, p) {
			return nil, bad(http.StatusUnprocessableEntity, "value", p.Expression(), "The parameter %s does not hold what it should.", name)
		}
	}
	return in, nil
}

func (in *input) take(name, base string, p *fhirjson.Node) bool {
	switch name {
	case "memberId", "providerNpi":
		id := identifier{p.Member("valueIdentifier").MemberText("system"), p.Member("valueIdentifier").MemberText("value")}
		if name == "memberId" {
			in.member, in.patientExpression = id, p.Expression()
		} else {
			if id.system == "" {
				id.system = npiSystem
			}
			in.npi, in.providerExpression = id, p.Expression()
		}
		return id.value != ""
	case "attributionPeriod":
		period := p.Member("valuePeriod")
		if period == nil || period.Kind() != fhirjson.Object || period.MemberText("start") == "" && period.MemberText("end") == "" {
			return false
		}
		in.period = period.Raw()
		return true
	}
	ref := strings.TrimPrefix(p.Member("valueReference").MemberText("reference"), strings.TrimSuffix(base, "/")+"/")
	typ, _, ok := splitReference(ref)
	switch name {
	case "patientReference":
		in.patient, in.patientExpression = ref, p.Expression()
		return ok && typ == "Patient"
	case "coverageReference":
		in.coverage = ref
		return ok && typ == "Coverage"
	default:
		in.provider, in.providerExpression = ref, p.Expression()
		return ok && slices.Contains(providerTypes, typ)
	}
}

var providerTypes = []string{"Practitioner", "Organization", "PractitionerRole"}

func splitReference(ref string) (typ, id string, ok bool) {
	typ, id, ok = strings.Cut(ref, "/")
	return typ, id, ok && typ != "" && id != "" && !strings.Contains(id, "/")
}

// combination checks that the parameters given are one of the combinations; a period goes with any.
func (in *input) combination(operation string, allowed ...[]string) error {
	given := slices.DeleteFunc(slices.Clone(in.given), func(n string) bool { return n == "attributionPeriod" })
	slices.Sort(given)
	var texts []string
	for _, set := range allowed {
		sorted := slices.Sorted(slices.Values(set))
		if slices.Equal(sorted, given) {
			return nil
		}
		texts = append(texts, strings.Join(set, " + "))
	}
	if given == nil {
		return refuse(http.StatusUnprocessableEntity, "required", "%s wants %s.", operation, strings.Join(texts, ", or "))
	}
	return refuse(http.StatusUnprocessableEntity, "business-rule", "%s does not take %s together; it wants %s.", operation, strings.Join(given, " + "), strings.Join(texts, ", or "))
}

func (in *input) givesProvider() bool { return in.provider != "" || in.npi.value != "" }

// patients are the members that the input can mean, at least one. A number can be one of several: twins share a subscriber.
func (s *Lists) patients(ctx context.Context, in *input) ([]string, error) {
	var out []string
	if in.member.value != "" {
		found, err := s.lookup.Search(ctx, "Patient", "identifier", in.member.token())
		if err != nil {
			return nil, err
		}
		for _, raw := range found {
			out = append(out, strings.Clone(fhirjson.Parse(raw).Root().MemberText("id")))
		}
		if len(out) == 0 { // ATR-14: the number is on the card
			if out, err = s.cardHolders(ctx, in.member); err != nil {
				return nil, err
			}
		}
		if len(out) == 0 {
			return nil, bad(http.StatusNotFound, "not-found", in.patientExpression, "No member has the identifier %s.", in.member.token())
		}
	}
	if in.patient == "" {
		return out, nil
	}
	_, id, _ := splitReference(in.patient)
	if err := s.known(ctx, in.patient, in.patientExpression); err != nil {
		return nil, err
	}
	if out != nil && !slices.Contains(out, id) {
		return nil, bad(http.StatusUnprocessableEntity, "business-rule", in.patientExpression, "memberId and patientReference name different members.")
	}
	return []string{id}, nil
}

func (s *Lists) cardHolders(ctx context.Context, card identifier) ([]string, error) {
	var out []string
	for _, q := range [...]struct{ param, value string }{{"identifier", card.token()}, {"subscriber-id", identifier{"", card.value}.token()}} {
		if q.param == "subscriber-id" && card.system != "" {
			continue // a subscriber number has no system
		}
		found, err := s.lookup.Search(ctx, "Coverage", q.param, q.value)
		if err != nil && q.param == "subscriber-id" {
			return out, nil // not every set of guides defines the parameter
		}
		if err != nil {
			return nil, err
		}
		for _, raw := range found {
			id := strings.Clone(patientID(fhirjson.Parse(raw).Root().Member("beneficiary").MemberText("reference")))
			if id != "" && !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	return out, nil
}

// patient is the one member meant.
func (s *Lists) patient(ctx context.Context, in *input) (string, error) {
	all, err := s.patients(ctx, in)
	if err == nil && len(all) > 1 {
		err = bad(http.StatusUnprocessableEntity, "multiple-matches", in.patientExpression, "The identifier is of several members.")
	}
	if err != nil {
		return "", err
	}
	return all[0], nil
}

func (s *Lists) known(ctx context.Context, ref, expression string) error {
	typ, id, _ := splitReference(ref)
	_, err := s.store.Get(ctx, typ, id)
	if errors.Is(err, resources.ErrNotFound) || errors.Is(err, resources.ErrDeleted) {
		return bad(http.StatusNotFound, "not-found", expression, "%s is not known.", ref)
	}
	return err
}

// providers are the references of the provider, the one to store first; never empty.
func (s *Lists) providers(ctx context.Context, in *input) ([]string, error) {
	if in.provider != "" {
		return []string{in.provider}, s.known(ctx, in.provider, in.providerExpression)
	}
	var out []string
	for _, typ := range providerTypes {
		found, err := s.lookup.Search(ctx, typ, "identifier", in.npi.token())
		if err != nil {
			return nil, err
		}
		for _, raw := range found {
			out = append(out, typ+"/"+fhirjson.Parse(raw).Root().MemberText("id"))
		}
	}
	if out == nil {
		return nil, bad(http.StatusNotFound, "not-found", in.providerExpression, "No provider has the identifier %s.", in.npi.token())
	}
	return out, nil
}

// coverage is the member's coverage to name on the list: an active one, else any; "" for none.
func (s *Lists) coverage(ctx context.Context, patient string) (string, error) {
	found, err := s.lookup.Search(ctx, "Coverage", "patient", patient)
	if err != nil {
		return "", err
	}
	out := ""
	for _, raw := range found {
		root := fhirjson.Parse(raw).Root()
		active := root.MemberText("status") == "active"
		if out == "" || active {
			out = "Coverage/" + strings.Clone(root.MemberText("id"))
		}
		if active {
			break
		}
	}
	return out, nil
}
