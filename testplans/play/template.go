package play

import (
	"cmp"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
)

// vars are a run's variables with their values.
type vars map[string][]string

var mark = regexp.MustCompile(`\$\{([^}]*)\}`)

func plain(s string) string { return s }

// jsonText escapes a value for the inside of a JSON string.
func jsonText(s string) string {
	b, err := json.Marshal(s)
	if err != nil { // strings always marshal
		return ""
	}
	return string(b[1 : len(b)-1])
}

// fill puts values into a text; missing is the first variable without one.
func (v vars) fill(text string, escape func(string) string) (out, missing string) {
	out = mark.ReplaceAllStringFunc(text, func(m string) string {
		name := m[2 : len(m)-1]
		if len(v[name]) == 0 {
			if missing == "" {
				missing = name
			}
			return m
		}
		return escape(v[name][0])
	})
	return out, missing
}

// list is the values of texts, of which one that is a variable alone stands for all its values.
func (v vars) list(texts []string) ([]string, error) {
	var out []string
	for _, t := range texts {
		if m := mark.FindString(t); m == t && m != "" {
			name := m[2 : len(m)-1]
			if len(v[name]) == 0 {
				return nil, lacks(name)
			}
			out = append(out, v[name]...)
			continue
		}
		text, missing := v.fill(t, plain)
		if missing != "" {
			return nil, lacks(missing)
		}
		out = append(out, text)
	}
	return out, nil
}

// pathText escapes a value for a path; a reference keeps its slashes.
func pathText(s string) string {
	parts := strings.Split(s, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}

// url fills a URL: a variable that begins it is inserted as it is, values in the path and in the query are escaped.
func (v vars) url(text string) (out, missing string) {
	if strings.HasPrefix(text, "/") {
		text = "${base}" + text
	}
	head := ""
	if m := mark.FindStringIndex(text); m != nil && m[0] == 0 {
		if head, missing = v.fill(text[:m[1]], plain); missing != "" {
			return text, missing
		}
		text = text[m[1]:]
	}
	path, query, asked := strings.Cut(text, "?")
	path, missing = v.fill(path, pathText)
	if !asked {
		return head + path, missing
	}
	query, later := v.fill(query, url.QueryEscape)
	return head + path + "?" + query, cmp.Or(missing, later)
}

// form fills pairs.
func (v vars) form(pairs map[string]string) (url.Values, string) {
	out := url.Values{}
	for name, text := range pairs {
		value, missing := v.fill(text, plain)
		if missing != "" {
			return nil, missing
		}
		out.Set(name, value)
	}
	return out, ""
}
