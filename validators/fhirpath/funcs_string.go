package fhirpath

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"fhirwire/validators/fhirpath/value"
)

// Strings: FHIRPath N1, 5.6, and later additions. Positions count characters.
var stringFunctions = map[string]*function{
	"indexOf":     {min: 1, max: 1, do: funcIndexOf(strings.Index), takes: isString, gives: isInteger},
	"lastIndexOf": {min: 1, max: 1, do: funcIndexOf(strings.LastIndex), takes: isString, gives: isInteger},
	"substring":   {min: 1, max: 2, do: funcSubstring, takes: isString, gives: isString},
	"startsWith":  {min: 1, max: 1, do: testText(strings.HasPrefix), takes: isString, gives: isBoolean},
	"endsWith":    {min: 1, max: 1, do: testText(strings.HasSuffix), takes: isString, gives: isBoolean},
	"contains":    {min: 1, max: 1, do: testText(strings.Contains), takes: isString, gives: isBoolean},
	"upper":       {do: mapText(strings.ToUpper), takes: isString, gives: isString},
	"lower":       {do: mapText(strings.ToLower), takes: isString, gives: isString},
	"trim":        {do: mapText(strings.TrimSpace), takes: isString, gives: isString},
	"replace":     {min: 2, max: 2, do: funcReplace, takes: isString, gives: isString},
	"length": {do: func(s *state, _ *frame, c *call, in, dst []item) ([]item, error) {
		t, ok, err := c.text(s, in)
		if err != nil || !ok {
			return dst, err
		}
		return append(dst, item{val: value.Integer(utf8.RuneCountInString(t))}), nil
	}, takes: isString, gives: isInteger},
	"toChars": {do: func(s *state, _ *frame, c *call, in, dst []item) ([]item, error) {
		t, _, err := c.text(s, in)
		for _, r := range t {
			dst = append(dst, item{val: value.String(string(r))})
		}
		return dst, err
	}, takes: isString, gives: isString},
	"split":          {min: 1, max: 1, do: funcSplit, takes: isString, gives: isString},
	"join":           {max: 1, do: funcJoin, takes: isString, gives: isString},
	"encode":         {min: 1, max: 1, do: coded(encode), takes: isString, gives: isString},
	"decode":         {min: 1, max: 1, do: coded(decode), takes: isString, gives: isString},
	"escape":         {min: 1, max: 1, do: coded(escape), takes: isString, gives: isString},
	"unescape":       {min: 1, max: 1, do: coded(unescape), takes: isString, gives: isString},
	"matches":        {min: 1, max: 2, do: funcMatches, regexArg: true, takes: isString, gives: isBoolean},
	"matchesFull":    {min: 1, max: 2, do: funcMatches, regexArg: true, takes: isString, gives: isBoolean},
	"replaceMatches": {min: 2, max: 3, do: funcReplaceMatches, regexArg: true, takes: isString, gives: isString},
}

// text is the single string of the input. Elements that are written as something else (dates, codes, numbers) count as what
// is written; System values of other types are an error.
func (c *call) text(s *state, in []item) (string, bool, error) {
	switch len(in) {
	case 0:
		return "", false, nil
	case 1:
	default:
		return "", false, fmt.Errorf("%s() takes a single string, not %d", c.name, len(in))
	}
	if t, ok := in[0].text(); ok {
		return t, true, nil
	}
	if in[0].node != nil && (in[0].typ == nil || in[0].typ.Kind == PrimitiveType) {
		return "", false, nil // a primitive without a value
	}
	v, err := s.system(&in[0])
	if err != nil {
		return "", false, err
	}
	name := "complex element"
	if v != nil {
		name = v.Type()
	} else if in[0].typ != nil {
		name = in[0].typ.Name
	}
	return "", false, fmt.Errorf("%w: %s() takes a string, not a %s", value.ErrOperands, c.name, name)
}

// argText is an argument that is a string.
func (c *call) argText(s *state, f *frame, i int) (string, bool, error) {
	b, err := c.arg(s, f, i, s.get())
	if err != nil {
		s.put(b)
		return "", false, err
	}
	t, ok, err := c.text(s, b)
	s.put(b)
	return t, ok, err
}

func testText(test func(s, part string) bool) func(*state, *frame, *call, []item, []item) ([]item, error) {
	return func(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
		t, ok, err := c.text(s, in)
		if err != nil || !ok {
			return dst, err
		}
		part, ok, err := c.argText(s, f, 0)
		if err != nil || !ok {
			return dst, err
		}
		return appendTri(dst, value.Of(test(t, part))), nil
	}
}

func mapText(do func(string) string) func(*state, *frame, *call, []item, []item) ([]item, error) {
	return func(s *state, _ *frame, c *call, in, dst []item) ([]item, error) {
		t, ok, err := c.text(s, in)
		if err != nil || !ok {
			return dst, err
		}
		return append(dst, item{val: value.String(do(t))}), nil
	}
}

func funcIndexOf(find func(s, part string) int) func(*state, *frame, *call, []item, []item) ([]item, error) {
	return func(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
		t, ok, err := c.text(s, in)
		if err != nil || !ok {
			return dst, err
		}
		part, ok, err := c.argText(s, f, 0)
		if err != nil || !ok {
			return dst, err
		}
		i := find(t, part)
		if i > 0 {
			i = utf8.RuneCountInString(t[:i])
		}
		return append(dst, item{val: value.Integer(i)}), nil
	}
}

func funcSubstring(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	t, ok, err := c.text(s, in)
	if err != nil || !ok {
		return dst, err
	}
	start, ok, err := c.integer(s, f, 0)
	if err != nil || !ok {
		return dst, err
	}
	count, limited := 0, false
	if len(c.args) == 2 {
		if count, limited, err = c.integer(s, f, 1); err != nil {
			return dst, err
		}
	}
	from := runeOffset(t, start)
	if start < 0 || from >= len(t) {
		return dst, nil
	}
	t = t[from:]
	if limited {
		t = t[:runeOffset(t, count)]
	}
	return append(dst, item{val: value.String(t)}), nil
}

// runeOffset is where the n-th character starts, or the end.
func runeOffset(t string, n int) int {
	if n <= 0 {
		return 0
	}
	for i := range t {
		if n == 0 {
			return i
		}
		n--
	}
	return len(t)
}

// maxText bounds strings that an expression makes.
const maxText = 16 << 20 // bytes

func funcReplace(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	t, ok, err := c.text(s, in)
	if err != nil || !ok {
		return dst, err
	}
	pattern, ok, err := c.argText(s, f, 0)
	if err != nil || !ok {
		return dst, err
	}
	with, ok, err := c.argText(s, f, 1)
	if err != nil || !ok {
		return dst, err
	}
	if (len(t)+1)*(len(with)+1) > maxText {
		return dst, errTooLong
	}
	return append(dst, item{val: value.String(strings.ReplaceAll(t, pattern, with))}), nil
}

func funcSplit(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	t, ok, err := c.text(s, in)
	if err != nil || !ok {
		return dst, err
	}
	sep, ok, err := c.argText(s, f, 0)
	if err != nil || !ok {
		return dst, err
	}
	for part := range strings.SplitSeq(t, sep) {
		dst = append(dst, item{val: value.String(part)})
	}
	return dst, nil
}

func funcJoin(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	if len(in) == 0 {
		return dst, nil
	}
	sep := ""
	if len(c.args) == 1 {
		var err error
		if sep, _, err = c.argText(s, f, 0); err != nil {
			return dst, err
		}
	}
	var b strings.Builder
	first := true
	for i := range in {
		t, ok, err := c.text(s, in[i:i+1])
		if err != nil {
			return dst, err
		}
		if !ok {
			continue
		}
		if !first {
			b.WriteString(sep)
		}
		first = false
		b.WriteString(t)
		if b.Len() > maxText {
			return dst, errTooLong
		}
	}
	return append(dst, item{val: value.String(b.String())}), nil
}

// coded makes the functions whose argument names a format. A format that is not known gives nothing, as does a text that is
// not in it.
func coded(do func(t, format string) (string, bool)) func(*state, *frame, *call, []item, []item) ([]item, error) {
	return func(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
		t, ok, err := c.text(s, in)
		if err != nil || !ok {
			return dst, err
		}
		format, ok, err := c.argText(s, f, 0)
		if err != nil || !ok {
			return dst, err
		}
		if out, ok := do(t, format); ok {
			dst = append(dst, item{val: value.String(out)})
		}
		return dst, nil
	}
}

func encode(t, format string) (string, bool) {
	switch format {
	case "hex":
		return hex.EncodeToString([]byte(t)), true
	case "base64":
		return base64.StdEncoding.EncodeToString([]byte(t)), true
	case "urlbase64":
		return base64.URLEncoding.EncodeToString([]byte(t)), true
	}
	return "", false
}

func decode(t, format string) (string, bool) {
	var b []byte
	var err error
	switch format {
	case "hex":
		b, err = hex.DecodeString(t)
	case "base64":
		b, err = base64.StdEncoding.DecodeString(t)
	case "urlbase64":
		if b, err = base64.URLEncoding.DecodeString(t); err != nil {
			b, err = base64.RawURLEncoding.DecodeString(t)
		}
	default:
		return "", false
	}
	return string(b), err == nil
}

var htmlEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

func escape(t, format string) (string, bool) {
	switch format {
	case "html":
		return htmlEscape.Replace(t), true
	case "json":
		var b strings.Builder
		for _, r := range t {
			switch {
			case r == '"' || r == '\\':
				b.WriteByte('\\')
				b.WriteRune(r)
			case r == '\n':
				b.WriteString(`\n`)
			case r == '\r':
				b.WriteString(`\r`)
			case r == '\t':
				b.WriteString(`\t`)
			case r < 0x20:
				b.WriteString(`\u00`)
				b.WriteString(hex.EncodeToString([]byte{byte(r)}))
			default:
				b.WriteRune(r)
			}
		}
		return b.String(), true
	}
	return "", false
}

func unescape(t, format string) (string, bool) {
	switch format {
	case "html":
		return html.UnescapeString(t), true
	case "json":
		var b strings.Builder
		for i := 0; i < len(t); i++ {
			if t[i] != '\\' || i+1 == len(t) {
				b.WriteByte(t[i])
				continue
			}
			i++
			switch t[i] {
			case 'n':
				b.WriteByte('\n')
			case 'r':
				b.WriteByte('\r')
			case 't':
				b.WriteByte('\t')
			case 'b':
				b.WriteByte('\b')
			case 'f':
				b.WriteByte('\f')
			case 'u':
				n, err := strconv.ParseUint(t[i+1:min(i+5, len(t))], 16, 16)
				if err != nil || i+5 > len(t) {
					return "", false
				}
				b.WriteRune(rune(n))
				i += 4
			default:
				b.WriteByte(t[i])
			}
		}
		return b.String(), true
	}
	return "", false
}

// prepareRegex compiles a pattern that is written in the expression.
func (c *call) prepareRegex() {
	l, ok := c.args[0].(*literal)
	if !ok || len(l.items) != 1 {
		return
	}
	if t, isText := l.items[0].text(); isText && (len(c.args) < 2 || c.name == "replaceMatches" && len(c.args) == 2) {
		c.regex, c.regexErr = compileRegex(t, c.name == "matchesFull", "")
		c.regexFixed = true
	}
}

// compileRegex makes a search of a pattern. The point matches line ends, as the specification says. RE2 has no look-around
// and no back references; patterns with them are beyond us.
func compileRegex(pattern string, full bool, flags string) (*regexp.Regexp, error) {
	var mode strings.Builder
	mode.WriteString("(?s")
	for _, f := range flags {
		switch f {
		case 'i', 'm':
			mode.WriteString(string(f))
		default:
			return nil, fmt.Errorf("there is no regular expression flag %q", f)
		}
	}
	if full {
		pattern = `\A(?:` + pattern + `)\z`
	}
	re, err := regexp.Compile(mode.String() + ")" + pattern)
	if err != nil {
		return nil, fmt.Errorf("%w: regular expression %q: %w", ErrNotChecked, pattern, err)
	}
	return re, nil
}

// pattern is the regular expression of a call; nil when the argument is empty.
func (c *call) pattern(s *state, f *frame, flagArg int) (*regexp.Regexp, error) {
	if c.regexFixed {
		return c.regex, c.regexErr
	}
	t, ok, err := c.argText(s, f, 0)
	if err != nil || !ok {
		return nil, err
	}
	flags := ""
	if len(c.args) > flagArg {
		if flags, _, err = c.argText(s, f, flagArg); err != nil {
			return nil, err
		}
	}
	return compileRegex(t, c.name == "matchesFull", flags)
}

func funcMatches(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	t, ok, err := c.text(s, in)
	if err != nil || !ok {
		return dst, err
	}
	re, err := c.pattern(s, f, 1)
	if err != nil || re == nil {
		return dst, err
	}
	return appendTri(dst, value.Of(re.MatchString(t))), nil
}

var group = regexp.MustCompile(`\$(\d+)`)

func funcReplaceMatches(s *state, f *frame, c *call, in, dst []item) ([]item, error) {
	t, ok, err := c.text(s, in)
	if err != nil || !ok {
		return dst, err
	}
	re, err := c.pattern(s, f, 2)
	if err != nil || re == nil {
		return dst, err
	}
	with, ok, err := c.argText(s, f, 1)
	if err != nil || !ok {
		return dst, err
	}
	if re.String() == "(?s)" {
		return append(dst, item{val: value.String(t)}), nil // nothing replaces nothing
	}
	if (len(t)+1)*(len(with)+1) > maxText {
		return dst, errTooLong
	}
	return append(dst, item{val: value.String(re.ReplaceAllString(t, group.ReplaceAllString(with, "$${$1}")))}), nil
}
