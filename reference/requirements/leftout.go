package main

import (
	"bufio"
	"bytes"
	_ "embed"
	"fmt"
	"path"
	"strings"
)

//go:embed leftout.txt
var leftOutFile []byte

// rule is a line of leftout.txt: an id or a pattern of ids, and why no test of ours holds them.
type rule struct {
	pattern, reason string
	line            int
	used            bool
}

func readLeftOut(src []byte) ([]*rule, error) {
	var out []*rule
	sc := bufio.NewScanner(bytes.NewReader(src))
	for n := 1; sc.Scan(); n++ {
		text := strings.TrimSpace(sc.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		pattern, reason, ok := strings.Cut(text, " ")
		if _, err := path.Match(pattern, ""); err != nil || !ok || strings.TrimSpace(reason) == "" {
			return nil, fmt.Errorf("leftout.txt:%d: want an id or pattern and a reason", n)
		}
		out = append(out, &rule{pattern: pattern, reason: strings.TrimSpace(reason), line: n})
	}
	return out, sc.Err()
}

// match finds the first rule for an id.
func match(rules []*rule, id string) *rule {
	for _, r := range rules {
		if ok, err := path.Match(r.pattern, id); ok && err == nil { // patterns were checked when read
			return r
		}
	}
	return nil
}
