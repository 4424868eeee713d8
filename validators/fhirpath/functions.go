package fhirpath

import (
	"maps"
	"regexp"

	"fhirwire/validators/fhirpath/parse"
	"fhirwire/validators/fhirpath/value"
)

// function is one entry of the table of functions.
type function struct {
	min, max int
	// do appends the result of calling it on in.
	do func(s *state, f *frame, c *call, in, dst []item) ([]item, error)
	// typeArg: the argument is a type specifier. sortKeys: a minus before an argument means descending. regexArg: the first
	// argument is a regular expression.
	typeArg, sortKeys, regexArg bool
	// lambda: arguments are evaluated on each item, with $this.
	lambda bool
	// takes and gives are for the static check.
	takes kinds
	gives kinds
}

// call is a function call.
type call struct {
	parse.Pos
	fn         *function
	name       string
	input      node // nil: $this
	args       []node
	criterion  truther // args[0], where it is one
	descending uint32  // bits of sort keys
	regex      *regexp.Regexp
	regexErr   error
	regexFixed bool // the pattern is a literal
}

func (c *call) position() parse.Pos { return c.Pos }

func (c *call) eval(s *state, f *frame, dst []item) ([]item, error) {
	in := s.get()
	if c.input == nil {
		in = f.input(in)
	} else {
		var err error
		if in, err = c.input.eval(s, f, in); err != nil {
			s.put(in)
			return dst, err
		}
	}
	before := len(dst)
	dst, err := c.fn.do(s, f, c, in, dst)
	if err == nil {
		err = s.spend(len(in) + len(dst) - before + 1)
	}
	s.put(in)
	return dst, fail2(c.Pos, err)
}

// arg evaluates an argument that does not depend on single items.
func (c *call) arg(s *state, f *frame, i int, dst []item) ([]item, error) {
	return operand(s, f, c.args[i], dst)
}

// value evaluates an argument to at most one System value.
func (c *call) value(s *state, f *frame, i int) (value.Value, error) {
	vars := f.vars
	v, err := s.single(c.args[i], f)
	f.vars = vars
	return v, err
}

// functions is the table by name.
var functions = table()

func table() map[string]*function {
	out := map[string]*function{}
	for _, part := range []map[string]*function{existenceFunctions, filterFunctions, conversionFunctions, stringFunctions, mathFunctions, utilityFunctions, fhirFunctions} {
		maps.Copy(out, part)
	}
	return out
}
