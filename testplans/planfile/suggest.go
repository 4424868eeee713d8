package planfile

import (
	"fmt"
	"slices"
	"strings"
)

// suggest is what a word may have been meant as, of those that are known: the nearest one, those that it is a part of, or all of them.
func suggest(word string, known []string) string {
	if best := nearest(word, known); best != "" {
		return best
	}
	if len(known) == 1 {
		return known[0]
	}
	return "one of " + listed(known)
}

// maxListed bounds the words of a message.
const maxListed = 40

func listed(words []string) string {
	if more := len(words) - maxListed; more > 1 {
		return fmt.Sprintf("%s and %d more", strings.Join(words[:maxListed], ", "), more)
	}
	return strings.Join(words, ", ")
}

// nearest is the known word, or words, that another may have been meant as, "" for none.
func nearest(word string, known []string) string {
	lower := strings.ToLower(word)
	best, at := "", reach(word)+1
	for _, k := range known {
		if d := distance(lower, strings.ToLower(k)); d < at {
			best, at = k, d
		}
	}
	if best != "" || len(word) < 3 {
		return best
	}
	var of []string
	for _, k := range known {
		if slices.Contains(strings.FieldsFunc(strings.ToLower(k), func(r rune) bool { return r == '-' || r == '/' }), lower) {
			of = append(of, k)
		}
	}
	if len(of) > 3 {
		return ""
	}
	return strings.Join(of, " or ")
}

// reach is how many edits away a word may be from what was meant.
func reach(word string) int { return min(3, max(1, len(word)/3)) }

// distance counts the edits between two words: a letter more, less or another, or two that stand the wrong way round.
func distance(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for i := range row {
		row[i] = i
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for k := range len(b) {
			cost := row[k]
			if a[i] != b[k] {
				cost++
			}
			next[k+1] = min(cost, next[k]+1, row[k+1]+1)
			if i > 0 && k > 0 && a[i] == b[k-1] && a[i-1] == b[k] {
				next[k+1] = min(next[k+1], before[k-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
