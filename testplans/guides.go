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
