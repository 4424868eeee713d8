package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const page = `# A page
| ID | Str | Requirement |
| --- | --- | --- |
| P2P-MM-01 | SHALL | a bar \| in a cell |
| P2P-MM-02 | SHOULD | a wish |
| P2P-MM-01 | MAY | twice |
| see P2P-MM-09 | SHALL | no id |

- **USC-SRCH-12** SHALL: a list item

Codes: **FORM-ERR-01** 400 · **FORM-ERR-02** 401. All SHALL. **FORM-ERR-05** SHOULD: bodies.

| Step | ID | Evidence |
|---|---|---|
| x | P2P-SC-10 | y |

| id | element | card |
|---|---|---|
| FORM-PIP-01 | x | 1..1, 1..* |
`

func TestReadDocument(t *testing.T) {
	var got []string
	for _, e := range readDocument("page", []byte(page)) {
		got = append(got, e.id+"="+e.strength)
	}
	if want := "P2P-MM-01=SHALL P2P-MM-02=SHOULD USC-SRCH-12=SHALL FORM-ERR-01=SHALL FORM-ERR-02=SHALL FORM-ERR-05=SHOULD P2P-SC-10=scenario FORM-PIP-01=1..1"; strings.Join(got, " ") != want {
		t.Errorf("got %v", got)
	}
}

func TestClasses(t *testing.T) {
	if _, err := readClasses(classesFile); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"A", "A client", "A nobody traffic", "A both no", "A both profile", "[ both traffic", "A both traffic why"} {
		if _, err := readClasses([]byte(bad)); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
	classes, err := readClasses([]byte("A-1 client traffic\nA-* both no because\nB-1 both directory"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := list([]entry{{"A-1", "d", "SHALL"}, {"A-2", "d", "MAY"}, {"C-1", "d", "SHALL"}}, classes)
	if err == nil || err.Error() != "C-1 (SHALL) is in no class\nclasses.txt:3: B-1 is for nothing" {
		t.Errorf("got %v", err)
	}
	if want := "id,document,strength,who,shown,reason\nA-1,d,SHALL,client,traffic,\nA-2,d,MAY,both,no,because\nC-1,d,SHALL,,,\n"; string(text) != want {
		t.Errorf("got %s", text)
	}
}

// TestCurrent holds the list against the pages, where they are at hand.
func TestCurrent(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	shared := os.Getenv("FHIRWIRE_SHARED")
	if shared == "" {
		shared = filepath.Join(root, "..", "shared")
	}
	if _, err := os.Stat(filepath.Join(shared, "spec")); err != nil {
		t.Skip("the specification pages are not at hand")
	}
	t.Setenv("FHIRWIRE_SHARED", shared)
	if err := work(root, true, new(strings.Builder)); err != nil {
		t.Error(err)
	}
}
