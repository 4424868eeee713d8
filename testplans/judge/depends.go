package judge

import (
	"encoding/json"
	"slices"
	"strings"
)

// depends is what an answer may rest on beside the exchange that it is about: variables, and attempts and verdicts of steps.
type depends struct {
	vars  []string
	steps []*step
	// attempts says that verdicts do not matter.
	attempts bool
}

// dependsOn finds what a part of a plan names. It looks for names in the part's text, so that it knows too much rather than too little, and
// needs not know the kinds of checks. A step is named by a value that is its id; the words of the format itself, which steps may be called
// by too, name none.
func (j *Judging) dependsOn(parts ...any) depends {
	var d depends
	text, err := json.Marshal(parts)
	if err != nil { // it was read from text; be safe
		return depends{vars: slices.Clone(j.names), steps: slices.Clone(j.steps)}
	}
	for _, name := range j.names {
		if hasWord(string(text), name) {
			d.vars = append(d.vars, name)
		}
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil { // it was written just now; be safe
		d.steps = slices.Clone(j.steps)
		return d
	}
	said := map[string]bool{}
	values(tree, said)
	for _, s := range j.steps {
		if said[s.ID] {
			d.steps = append(d.steps, s)
		}
	}
	return d
}

// values adds the texts in a JSON value, without the names of members.
func values(v any, to map[string]bool) {
	switch v := v.(type) {
	case string:
		to[v] = true
	case []any:
		for _, e := range v {
			values(e, to)
		}
	case map[string]any:
		for name, e := range v {
			if name != "by" { // a kind of relation, such as token, which a step may be called too
				values(e, to)
			}
		}
	}
}

func (d *depends) none() bool { return len(d.vars)+len(d.steps) == 0 }

// state is what d stands at: equal states, equal answers.
func (d *depends) state(j *Judging) []int {
	if d.none() {
		return nil
	}
	out := make([]int, 0, len(d.vars)+3*len(d.steps))
	for _, name := range d.vars {
		out = append(out, j.stamp[name])
	}
	for _, s := range d.steps {
		out = append(out, s.grown, s.changed)
		if !d.attempts {
			out = append(out, s.concluded)
		}
	}
	return out
}

// onlyGrew reports whether between two states nothing happened but that steps got more attempts. It is for one with attempts set.
func (d *depends) onlyGrew(now, before []int) bool {
	if len(now) != len(before) || !slices.Equal(now[:len(d.vars)], before[:len(d.vars)]) {
		return false
	}
	for i := len(d.vars) + 1; i < len(now); i += 2 { // where they changed otherwise
		if now[i] != before[i] {
			return false
		}
	}
	return true
}

func hasWord(text, word string) bool {
	for rest := text; ; {
		before, after, found := strings.Cut(rest, word)
		if !found {
			return false
		}
		if (before == "" || !wordByte(before[len(before)-1])) && (after == "" || !wordByte(after[0])) {
			return true
		}
		rest = rest[len(before)+1:]
	}
}

func wordByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
