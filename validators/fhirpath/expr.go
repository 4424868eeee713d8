package fhirpath

import (
	"context"
	"errors"
	"fmt"
	"time"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/fhirpath/parse"
	"fhirwire/validators/fhirpath/value"
)

// Env is what an evaluation may ask for besides its focus. The zero Env works.
type Env struct {
	// Resource is %resource, RootResource %rootResource, Context %context. Where nil they are the nearest resource at or
	// above the focus, its container when it is contained, and the focus.
	Resource, RootResource, Context *fhirjson.Node
	// FocusType is the type of the focus. Where nil it is found from the nearest resource downwards.
	FocusType   *Type
	Resolver    Resolver
	Terminology Terminology
	Conformance Conformance
	// Now is the clock of now(), today() and timeOfDay(), which are not checked without one.
	Now func() time.Time
	// Trace receives what trace() is given.
	Trace func(name string, v value.Collection)
	// Vars are further external constants by name, without the percent sign.
	Vars map[string]value.Collection
	// MaxItems bounds how many items an evaluation may visit; 0 is 5 million.
	MaxItems int
}

const defaultMaxItems = 5_000_000

// Expr is a compiled expression. It is immutable and safe for concurrent use.
type Expr struct {
	src   string
	ast   parse.Node
	model Model
	root  node
	truth truther
}

// String is the source.
func (x *Expr) String() string { return x.src }

// EvalError says what went wrong in an evaluation, and at which place of the expression. It wraps ErrNotChecked where the
// expression is beyond us rather than wrong for the data.
type EvalError struct {
	Place *parse.Error // Msg is empty; the cause is Err
	Err   error
}

// Error is the place and the cause.
func (e *EvalError) Error() string {
	if e.Place.Line > 1 {
		return fmt.Sprintf("line %d, col %d: %v", e.Place.Line, e.Place.Column, e.Err)
	}
	return fmt.Sprintf("col %d: %v", e.Place.Column, e.Err)
}

// Unwrap is the cause.
func (e *EvalError) Unwrap() error { return e.Err }

// Eval evaluates on focus, which may be nil for none.
func (x *Expr) Eval(ctx context.Context, focus *fhirjson.Node, env Env) (value.Collection, error) {
	s := x.begin(ctx, focus, env)
	defer s.end()
	items, err := x.root.eval(s, &s.root, s.get())
	if err != nil {
		return nil, s.located(x.root, err)
	}
	return s.export(items), nil
}

// Truth evaluates an invariant on focus: it holds when the result is true or any single value that is no boolean. An empty
// result does not hold. A result of several values is an error.
func (x *Expr) Truth(ctx context.Context, focus *fhirjson.Node, env Env) (holds bool, err error) {
	s := x.begin(ctx, focus, env)
	t, err := x.truth.truth(s, &s.root)
	if err != nil {
		err = s.located(x.root, err)
	}
	s.end()
	return t == value.True, err
}

// failure marks an error with the place it belongs to; it becomes an EvalError at the top.
type failure struct {
	pos parse.Pos
	err error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func fail(pos parse.Pos, err error) error {
	if _, ok := errors.AsType[*failure](err); ok {
		return err
	}
	return &failure{pos, err}
}

func failf(pos parse.Pos, format string, args ...any) error {
	return &failure{pos, fmt.Errorf(format, args...)}
}

func (s *state) located(n node, err error) error {
	pos := n.position()
	if f, ok := errors.AsType[*failure](err); ok {
		pos, err = f.pos, f.err
	}
	if errors.Is(err, value.ErrUnit) && !errors.Is(err, ErrNotChecked) {
		err = fmt.Errorf("%w: %w", ErrNotChecked, err)
	}
	return &EvalError{Place: parse.ErrorAt(s.expr.src, pos, ""), Err: err}
}
