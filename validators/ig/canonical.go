package ig

import (
	"strconv"
	"strings"
)

// SplitCanonical parts "url|version" (with or without a #fragment, which is dropped).
func SplitCanonical(canonical string) (url, version string) {
	url, version, _ = strings.Cut(canonical, "|")
	if i := strings.IndexByte(version, '#'); i >= 0 {
		version = version[:i]
	}
	if i := strings.IndexByte(url, '#'); i > 0 {
		url = url[:i]
	}
	return url, version
}

// SplitID parts a package id "name#version" (or "name@version"). The version is empty when there is none.
func SplitID(id string) (name, version string) {
	if i := strings.IndexAny(id, "#@"); i >= 0 {
		return id[:i], id[i+1:]
	}
	return id, ""
}

// CompareVersions orders versions: numbers by value, a release after its pre-releases, anything else by text.
func CompareVersions(a, b string) int {
	a, preA, _ := strings.Cut(a, "-")
	b, preB, _ := strings.Cut(b, "-")
	for a != "" || b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		if c := comparePart(x, y); c != 0 {
			return c
		}
	}
	switch {
	case preA == preB:
		return 0
	case preA == "":
		return 1
	case preB == "":
		return -1
	}
	return strings.Compare(preA, preB)
}

func comparePart(x, y string) int {
	m, errM := strconv.Atoi(x)
	n, errN := strconv.Atoi(y)
	switch {
	case errM == nil && errN == nil:
		return m - n
	case x == "":
		return -1
	case y == "":
		return 1
	}
	return strings.Compare(x, y)
}
