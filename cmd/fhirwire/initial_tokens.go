package main

import (
	"errors"
	"fmt"
	"strings"
)

// initialTokens reads initial access tokens (RFC 7591), one a line; lines that begin with # are for people. No file, no tokens.
func initialTokens(file string) ([]string, error) {
	if file == "" {
		return nil, nil
	}
	src, err := readBounded(file)
	if err != nil {
		return nil, fmt.Errorf("reference-initial-tokens: %w", err)
	}
	var out []string
	for line := range strings.Lines(string(src)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.ContainsAny(line, " \t"):
			return nil, fmt.Errorf("reference-initial-tokens: %s: a token has no blanks; expected one a line", file)
		default:
			out = append(out, line)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("reference-initial-tokens: there is no token in " + file)
	}
	return out, nil
}
