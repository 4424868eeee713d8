package testplans

import (
	"fmt"
	"strconv"
	"strings"
)

// InRange reports whether a guide version is in a range: comparisons with >=, >, <=, <, = or none, all of which must hold, as in
// ">=2.0.0 <2.1.0". A label behind a hyphen does not count: 2.1.0-ballot is 2.1.0.
func InRange(version, span string) (bool, error) {
	v, err := numbers(version)
	if err != nil {
		return false, err
	}
	in := true
	terms := strings.Fields(span)
	if len(terms) == 0 {
		return false, fmt.Errorf("the range is empty; write for example >=2.0.0 <2.1.0")
	}
	for _, term := range terms {
		op := term[:len(term)-len(strings.TrimLeft(term, "<>="))]
		w, err := numbers(term[len(op):])
		if err != nil {
			return false, err
		}
		c := compare(v, w)
		switch op {
		case ">=":
			in = in && c >= 0
		case ">":
			in = in && c > 0
		case "<=":
			in = in && c <= 0
		case "<":
			in = in && c < 0
		case "", "=":
			in = in && c == 0
		default:
			return false, fmt.Errorf("%q is no comparison; use >=, >, <=, < or =", op)
		}
	}
	return in, nil
}

// VetRange says what is wrong with a range: a word that is no comparison, or that no version is in it.
func VetRange(span string) error {
	if _, err := InRange("1.0.0", span); err != nil {
		return err
	}
	for term := range strings.FieldsSeq(span) {
		at, err := numbers(strings.TrimLeft(term, "<>="))
		if err != nil {
			return err
		}
		for _, step := range []int{-1, 0, 1} { // a range begins and ends at versions that it names, or beside them
			near := at
			near[2] += step
			for i := 2; i > 0 && near[i] < 0; i-- {
				near[i], near[i-1] = 1<<30, near[i-1]-1
			}
			if near[0] < 0 {
				continue
			}
			if in, err := InRange(fmt.Sprintf("%d.%d.%d", near[0], near[1], near[2]), span); err == nil && in {
				return nil
			}
		}
	}
	return fmt.Errorf("no version is in the range %s; write for example >=2.0.0 <2.1.0", span)
}

func numbers(version string) (out [3]int, err error) {
	plain, _, _ := strings.Cut(version, "-")
	parts := strings.Split(plain, ".")
	if len(parts) > len(out) {
		return out, fmt.Errorf("%q is no version; write for example 2.0.0", version)
	}
	for i, p := range parts {
		if out[i], err = strconv.Atoi(p); err != nil || out[i] < 0 {
			return out, fmt.Errorf("%q is no version; write for example 2.0.0", version)
		}
	}
	return out, nil
}

func compare(a, b [3]int) int {
	for i := range a {
		if a[i] != b[i] {
			return a[i] - b[i]
		}
	}
	return 0
}

// Applies reports whether what is for ranges of guide versions (by package) is for a run with guides ("package#version"). A
// package that the run does not name rules nothing out. The ranges must be valid.
func Applies(ranges map[string]string, guides []string) bool {
	for pkg, span := range ranges {
		named, fits := false, false
		for _, g := range guides {
			name, version, _ := strings.Cut(g, "#")
			if name != pkg {
				continue
			}
			named = true
			if in, err := InRange(version, span); err == nil && in {
				fits = true
			}
		}
		if named && !fits {
			return false
		}
	}
	return true
}
