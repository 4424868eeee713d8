package web

import (
	"encoding/json"
	"strconv"
	"strings"
)

// pointerOffset is where the value that a JSON Pointer (RFC 6901) names begins in src, or the deepest there is on the way to it. It
// finds elements in a body whose secrets were replaced, where offsets of the original mean nothing.
func pointerOffset(src []byte, pointer string) (int, bool) {
	t, ok := nextToken(src, 0)
	if !ok {
		return 0, false
	}
	at := t.start
	for _, seg := range strings.Split(pointer, "/")[1:] {
		seg = strings.NewReplacer("~1", "/", "~0", "~").Replace(seg)
		if at, ok = childOffset(src, at, seg); !ok {
			break
		}
		t.start = at
	}
	return t.start, true
}

// childOffset is where a member or an item of the container at i begins.
func childOffset(src []byte, i int, name string) (int, bool) {
	t, ok := nextToken(src, i)
	if !ok || t.kind != '{' && t.kind != '[' {
		return 0, false
	}
	object := t.kind == '{'
	for n := 0; ; n++ {
		if t, ok = nextToken(src, t.end); !ok || t.kind == '}' || t.kind == ']' {
			return 0, false
		}
		found := !object && name == strconv.Itoa(n)
		if object {
			var key string
			found = json.Unmarshal(src[t.start:t.end], &key) == nil && key == name
			colon, okColon := nextToken(src, t.end)
			if !okColon || colon.kind != ':' {
				return 0, false
			}
			if t, ok = nextToken(src, colon.end); !ok {
				return 0, false
			}
		}
		if found {
			return t.start, true
		}
		if t, ok = nextToken(src, valueEnd(src, t)); !ok || t.kind != ',' {
			return 0, false
		}
	}
}

// valueEnd is where the value that begins with t ends.
func valueEnd(src []byte, t token) int {
	for depth := 0; ; {
		switch t.kind {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if depth <= 0 {
			return t.end
		}
		next, ok := nextToken(src, t.end)
		if !ok {
			return t.end
		}
		t = next
	}
}
