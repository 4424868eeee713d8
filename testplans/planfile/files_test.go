package planfile_test

import (
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"

	"fhirwire/testplans/planfile"
	"fhirwire/validators/fhirpath/fhirpathtest"
)

// inUTF16 is a text as some editors save it.
func inUTF16(text string, order binary.AppendByteOrder, mark bool) []byte {
	var out []byte
	if mark {
		out = order.AppendUint16(out, 0xfeff)
	}
	for _, unit := range utf16.Encode([]rune(text)) {
		out = order.AppendUint16(out, unit)
	}
	return out
}

// TestFiles: what an editor or a mistake makes of the file as a whole.
func TestFiles(t *testing.T) {
	const nothing = "p.yaml:1:1: there is nothing in the file; expected one plan, which begins with plan: and its name"
	for _, tt := range []struct {
		name string
		src  []byte
		want string
	}{
		{"empty", nil, nothing},
		{"blank", []byte(" \n\n"), nothing},
		{"a comment", []byte("# plan\n"), nothing},
		{"an empty document", []byte("---\n"), nothing},
		{"two documents", []byte(good + "---\n" + good), "p.yaml:33:1: a second document begins here; expected one plan, which begins with plan: and its name"},
		{"UTF-16, little end first", inUTF16(good, binary.LittleEndian, true), "p.yaml:1:1: the text is UTF-16; expected it to be saved as UTF-8"},
		{"UTF-16, big end first", inUTF16(good, binary.BigEndian, true), "p.yaml:1:1: the text is UTF-16; expected it to be saved as UTF-8"},
		{"UTF-16 without a mark", inUTF16(good, binary.LittleEndian, false), "p.yaml:1:1: the text is UTF-16; expected it to be saved as UTF-8"},
		{"ten megabytes", []byte(good + strings.Repeat("# more\n", 10<<20/7)), "p.yaml:1:1: the file has more than 262144 bytes"},
		{"a list", []byte("- plan: x\n"), "p.yaml:1:1: the plan: expected keys of its own, of guides, plan, play, preconditions, roles, scenario, steps, title, track"},
		{"a word", []byte("plan\n"), "p.yaml:1:1: the plan: expected keys of its own, of guides, plan, play, preconditions, roles, scenario, steps, title, track"},
		{"JSON", []byte(`{"plan": "x"}`), "p.yaml:1:1: the plan: missing key: title, track, roles, steps"},
		{"a page of the web", []byte("<!DOCTYPE html>\n<html>\n"), "p.yaml:1:1: the plan: expected keys of its own, of guides, plan, play, preconditions, roles, scenario, steps, title, track"},
		{"a byte of a program", []byte("\x7fELF\x02\x01"), "p.yaml:1:1: the control character U+007F; expected text without"},
	} {
		if _, err := planfile.Parse("p.yaml", tt.src, nil); err == nil || err.Error() != tt.want {
			t.Errorf("%s: got\n%v\nwant\n%s", tt.name, err, tt.want)
		}
	}
}

// TestLineEnds: a plan with CRLF, or with a byte order mark, is the same plan, and its faults have the same places.
func TestLineEnds(t *testing.T) {
	wrong := strings.Replace(good, "expr: id = %member", "expr: |-\n            id.exists()\n            and id.exits()", 1)
	for name, change := range map[string]func(string) string{
		"CRLF":                       func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
		"a byte order mark":          func(s string) string { return "\ufeff" + s },
		"both":                       func(s string) string { return "\ufeff" + strings.ReplaceAll(s, "\n", "\r\n") },
		"no line end after the last": func(s string) string { return strings.TrimSuffix(s, "\n") },
	} {
		if _, err := planfile.Parse("p.yaml", []byte(change(good)), fhirpathtest.Small()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		_, err := planfile.Parse("p.yaml", []byte(change(wrong)), fhirpathtest.Small())
		if err == nil || err.Error() != `p.yaml:34:20: FHIRPath: unknown function "exits"; expected exists` {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestColumnsAreCharacters: letters of more than one byte before a fault count once, as editors count them.
func TestColumnsAreCharacters(t *testing.T) {
	src := strings.Replace(good, `{name: member, from: response, fhirpath: "parameter.where(name = 'x').value"}`, `{name: member, from: response, fhirpath: "parameter.where(name = 'äöü').wher(true)"}`, 1)
	_, err := planfile.Parse("p.yaml", []byte(src), fhirpathtest.Small())
	if err == nil || err.Error() != `p.yaml:13:81: FHIRPath: unknown function "wher"; expected where` {
		t.Errorf("got %v", err)
	}
	src = strings.Replace(good, "title: Read\n", "title: Über\n    tittle: größer\n", 1)
	_, err = planfile.Parse("p.yaml", []byte(src), fhirpathtest.Small())
	if err == nil || err.Error() != `p.yaml:21:5: unknown key "tittle"; expected title` {
		t.Errorf("got %v", err)
	}
}
