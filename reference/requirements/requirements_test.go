package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestMentioned(t *testing.T) {
	for text, want := range map[string][]string{
		"// FORM-SP-01 to FORM-SP-03, and FORM-Q-14":  {"FORM-Q-14", "FORM-SP-01", "FORM-SP-02", "FORM-SP-03"},
		"P2P-TLS-04, 05, 08; RFC 8705":                {"P2P-TLS-04", "P2P-TLS-05", "P2P-TLS-08"},
		"P2P-DSC-101 to 103 and 105":                  {"P2P-DSC-101", "P2P-DSC-102", "P2P-DSC-103", "P2P-DSC-105"},
		"P2P-DCR-121, 24":                             {"P2P-DCR-121", "P2P-DCR-24"},
		"AUTH-06 to BULK-KO-01, 2026":                 {"AUTH-06", "BULK-KO-01"},
		"nothing like X-01 or FORM-XX-01, P2P-SC-01.": {},
	} {
		got := mentioned(text)
		if !slices.Equal(got, want) && len(got)+len(want) > 0 {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

const page = `# A page
| ID | Str | Requirement |
| --- | --- | --- |
| P2P-MM-01 | SHALL | a bar \| in a cell |
| P2P-MM-02 | SHOULD | not asked |
| P2P-MM-03 | base SHALL (R4) | asked |
| P2P-MM-04 | MAY; SHALL if offered | not asked |
| see P2P-MM-09 | SHALL | no id |

| id | element | card | strength |
|---|---|---|---|
| FORM-SP-01 | x | 1..1 | SHALL NOT |
| FORM-SP-01 | x | 1..1 | SHALL |

| id | element | card |
| FORM-PIP-01 | SHALL | 1..1 |
- **FORM-DM-01** SHALL: as an item
- **FORM-DM-02** SHOULD: not asked
- **P2P-DIR-10** | SHALL | as a cell
text about FORM-DM-03 SHALL not count
`

func TestReadDocument(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(path, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := readDocument(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range found {
		got = append(got, r.id+" "+r.strength)
	}
	want := []string{"P2P-MM-01 SHALL", "P2P-MM-03 base SHALL (R4)", "FORM-SP-01 SHALL NOT", "FORM-DM-01 SHALL", "P2P-DIR-10 SHALL"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if err := os.WriteFile(path, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readDocument(path); err == nil || !strings.Contains(err.Error(), "no requirement") {
		t.Errorf("a page without requirements: %v", err)
	}
}

func TestReadTests(t *testing.T) {
	root := t.TempDir()
	src := `package x

// FORM-SP-01 to
// FORM-SP-02 hold.
func TestOne(t *testing.T) {
	_ = "FORM-SP-03"
	_ = 1 // FORM-SP-04
}

func helper() {} // FORM-SP-05

func TestTwo(t *testing.T) {}

// FORM-SP-06 is behind every test.
`
	for name, text := range map[string]string{"x_test.go": src, "x.go": "package x // FORM-SP-07", "testdata/y_test.go": "package y // FORM-SP-08"} {
		path := filepath.Join(root, "pkg", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readTests(root)
	if err != nil {
		t.Fatal(err)
	}
	for id, test := range map[string]string{"FORM-SP-01": "TestOne", "FORM-SP-02": "TestOne", "FORM-SP-03": "TestOne", "FORM-SP-04": "TestOne", "FORM-SP-05": "TestTwo"} {
		if len(got[id]) != 1 || got[id][0] != (citation{"./pkg", test}) {
			t.Errorf("%s: %v, want %s", id, got[id], test)
		}
	}
	if len(got) != 5 {
		t.Errorf("%v", got)
	}
}

func TestTable(t *testing.T) {
	all := []requirement{{id: "P2P-MM-01", strength: "SHALL"}, {id: "P2P-MM-02", strength: "SHALL", document: 0}, {id: "ATR-01", strength: "SHALL", document: 1}}
	cited := map[string][]citation{"P2P-MM-01": {{"./a", "TestA"}}}
	rules, err := readLeftOut([]byte("# a remark\nP2P-MM-* the client's duty\nFORM-* not here\n"))
	if err != nil {
		t.Fatal(err)
	}
	table := build(all, cited, rules)
	var wrong []string
	for _, err := range table.wrong(rules) {
		wrong = append(wrong, err.Error())
	}
	if want := []string{"ATR-01 (SHALL) has neither test nor reason", "leftout.txt:3: FORM-* leaves out nothing"}; !slices.Equal(wrong, want) {
		t.Errorf("%q", wrong)
	}
	text := string(table.markdown(map[citation]string{{"./a", "TestA"}: "pass"}))
	for _, want := range []string{
		"3 requirements: 1 held by tests, 1 left out with a reason, 1 open", "| P2P-MM-01 | SHALL | a TestA: pass |",
		"| P2P-MM-02 | SHALL | left out: the client's duty |", "| ATR-01 | SHALL | **open** |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("without %q:\n%s", want, text)
		}
	}
	for _, bad := range []string{"P2P-MM-01", "[ reason"} {
		if _, err := readLeftOut([]byte(bad)); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
	if rules, err := readLeftOut(leftOutFile); err != nil || len(rules) == 0 {
		t.Errorf("our own: %v, %d", err, len(rules))
	}
}
