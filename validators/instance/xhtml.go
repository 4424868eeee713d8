package instance

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// narrativeText is what one quick look at a narrative's div found.
type narrativeText struct {
	plain   bool // it is certainly XHTML that FHIR allows; otherwise fhirpath.CheckXHTML decides
	content bool // there is text or an image
	links   bool // something starts with "#"
}

// Tags and attributes of nearly all narratives. What is not here is not wrong, only not decided by the quick look.
const (
	quickBlock  = " p div h1 h2 h3 h4 h5 h6 ul ol dl table blockquote pre hr "
	quickInline = " a span b em i strong small br li dt dd caption colgroup col thead tbody tfoot tr td th code sub sup tt img "
	quickAttrs  = " title style class id lang xml:lang dir "
	quickOwn    = " a:href a:name img:src img:alt td:colspan td:rowspan th:colspan th:rowspan table:border table:cellpadding table:cellspacing "
)

const maxQuickDepth = 64

// quickXHTML reads a div in one pass without allocating.
func quickXHTML(s string) narrativeText {
	var (
		out   narrativeText
		open  [maxQuickDepth]string
		depth int
		// holder: the innermost element holds no text.
		ascii, holder = true, false
	)
	const root = `<div xmlns="http://www.w3.org/1999/xhtml"`
	if !strings.HasPrefix(s, root) || len(s) == len(root) || s[len(root)] != '>' && s[len(root)] != ' ' {
		return out
	}
	for i := 0; i < len(s); {
		if c := s[i]; c != '<' {
			switch {
			case depth == 0:
				return out // text outside of the div
			case c == '&':
				n := entity(s[i:])
				if n == 0 || holder {
					return out
				}
				if s[i:i+n] != "&nbsp;" && s[i:i+n] != "&#160;" && s[i:i+n] != "&#9;" {
					out.content = true
				}
				i += n
				continue
			case c < ' ' && !isBlank(c), c == ']' && strings.HasPrefix(s[i:], "]]>"), holder && !isBlank(c):
				return out
			case c >= utf8.RuneSelf:
				ascii = false
				if !strings.HasPrefix(s[i:], "\u00a0") && s[i] != 0xa0 {
					out.content = true
				}
			case !isBlank(c):
				out.content = true
			}
			i++
			continue
		}
		i++
		if i < len(s) && s[i] == '/' {
			end := strings.IndexByte(s[i:], '>')
			if end < 0 || depth == 0 || s[i+1:i+end] != open[depth-1] {
				return out
			}
			depth--
			i += end + 1
			if depth == 0 && i != len(s) {
				return out
			}
			holder = depth > 0 && isHolder(open[depth-1])
			continue
		}
		from := i
		for i < len(s) && (s[i] >= 'a' && s[i] <= 'z' || s[i] >= '0' && s[i] <= '9') {
			i++
		}
		tag := s[from:i]
		if !isQuickTag(tag) || depth == maxQuickDepth || depth > 0 && !quickPlace(open[:depth], tag) {
			return out
		}
		next, closed, ok := quickAttributes(s, i, tag, depth == 0, &out)
		if !ok {
			return out
		}
		i = next
		out.content = out.content || tag == "img"
		if !closed {
			open[depth] = tag
			depth++
			holder = isHolder(tag)
		} else if depth == 0 {
			return out
		}
	}
	out.plain = depth == 0 && (ascii || utf8.ValidString(s) && !strings.Contains(s, "\ufffe") && !strings.Contains(s, "\uffff"))
	return out
}

// isHolder reports an element that holds no text of its own.
func isHolder(tag string) bool {
	switch tag {
	case "table", "tr", "tbody", "thead", "tfoot", "ul", "ol", "colgroup":
		return true
	}
	return false
}

// quickPlace reports whether tag may certainly stand in the innermost of the open elements.
func quickPlace(open []string, tag string) bool {
	parent := open[len(open)-1]
	switch tag {
	case "tr":
		return parent == "table" || parent == "tbody" || parent == "thead" || parent == "tfoot"
	case "td", "th":
		return parent == "tr"
	case "li":
		return parent == "ul" || parent == "ol"
	case "thead", "tbody", "tfoot", "caption":
		return parent == "table"
	case "dt", "dd":
		return parent == "dl"
	case "col", "colgroup":
		return false
	case "a":
		return !isHolder(parent) && !slices.Contains(open, "a")
	}
	switch parent {
	case "div", "td", "li", "blockquote":
		return true
	}
	return !isHolder(parent) && !hasWord(quickBlock, tag)
}

func isQuickTag(tag string) bool {
	return tag != "" && (hasWord(quickInline, tag) || hasWord(quickBlock, tag))
}

// hasWord looks word up in a list with blanks around each.
func hasWord(list, word string) bool {
	for i := 0; ; {
		at := strings.Index(list[i:], word)
		if at < 0 {
			return false
		}
		at += i
		end := at + len(word)
		if list[at-1] == ' ' && list[end] == ' ' {
			return true
		}
		i = end
	}
}

// quickAttributes reads up to the end of a tag.
func quickAttributes(s string, i int, tag string, root bool, out *narrativeText) (next int, closed, ok bool) {
	var seen [8]string
	count := 0
	for {
		from := i
		for i < len(s) && isBlank(s[i]) {
			i++
		}
		switch {
		case i+1 >= len(s):
			return i, false, i < len(s) && s[i] == '>'
		case s[i] == '>':
			return i + 1, false, true
		case s[i] == '/' && s[i+1] == '>':
			return i + 2, true, true
		case from == i:
			return i, false, false
		}
		eq := strings.IndexByte(s[i:], '=')
		if eq <= 0 || i+eq+1 >= len(s) || s[i+eq+1] != '"' || count == len(seen) {
			return i, false, false
		}
		name := s[i : i+eq]
		i += eq + 2
		end := strings.IndexByte(s[i:], '"')
		if end < 0 {
			return i, false, false
		}
		val := s[i : i+end]
		i += end + 1
		if slices.Contains(seen[:count], name) {
			return i, false, false
		}
		seen[count] = name
		count++
		if !quickAttribute(tag, name, val, root, out) {
			return i, false, false
		}
	}
}

func quickAttribute(tag, name, val string, root bool, out *narrativeText) bool {
	for i := range len(val) {
		if c := val[i]; c == '<' || c < ' ' || c >= utf8.RuneSelf {
			return false
		} else if c == '&' && entity(val[i:]) == 0 {
			return false
		}
	}
	if strings.IndexByte(name, ' ') >= 0 || name == "" {
		return false
	}
	switch {
	case name == "xmlns":
		return root
	case hasWord(quickAttrs, name):
		return true
	case name == "href" && tag == "a" || name == "src" && tag == "img":
		if val != "" && val[0] == '#' {
			out.links = true
			return true
		}
		if val == "" {
			return false
		}
		first := val[0] | 0x20 // javascript: and vbscript: are for the full check
		return first >= 'a' && first <= 'z' && first != 'j' && first != 'v'
	}
	for i := 0; ; {
		at := strings.Index(quickOwn[i:], name)
		if at < 0 {
			return false
		}
		at += i
		end := at + len(name)
		if quickOwn[end] == ' ' && quickOwn[at-1] == ':' && at-1-len(tag) > 0 && quickOwn[at-1-len(tag):at-1] == tag && quickOwn[at-2-len(tag)] == ' ' {
			return true
		}
		i = end
	}
}

// entity is the length of a common entity at the start of s, 0 for any other.
func entity(s string) int {
	for _, e := range [...]string{"&nbsp;", "&amp;", "&quot;", "&lt;", "&gt;", "&apos;", "&#39;", "&#9;", "&#160;"} {
		if strings.HasPrefix(s, e) {
			return len(e)
		}
	}
	return 0
}
