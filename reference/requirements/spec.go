package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// documents are the pages with requirements on a server, and the prefixes of the ids that are theirs.
var documents = []struct{ file, title string }{
	{"payer-to-payer.md", "Payer to payer"},
	{"provider-access-bulk.md", "Provider access, attribution and bulk data"},
	{"formulary.md", "Drug formulary"},
	{"us-core-and-validation.md", "US Core"},
}

// requirement is a SHALL of a page.
type requirement struct {
	id, strength string
	document     int
	order        int
}

var (
	idPattern = regexp.MustCompile(`\b(?:P2P-(?:DIR|TLS|DCR|DSC|TOK|MM|DAT|PRV|CAP|BLK)|ATR|PMM|BULK-(?:KO|ST|MF|DEL|FI|INC)|DDE|AUTH|DATA|FORM-(?:GEN|CAP|ERR|DM|PIP|FRM|ITM|DRG|LOC|EXT|TX|SP|INC|PG|Q|ACC|BLK)|USC-(?:CAP|ERR|SRCH|MD|INT|SP))-[0-9]{2,3}\b`)
	bullet    = regexp.MustCompile(`^\s*-?\s*\*\*(` + idPattern.String() + `)\*\*[ |]+([^(:|]*)`)
)

// readDocuments collects the SHALLs of the pages, in their order.
func readDocuments(dir string) ([]requirement, error) {
	var out []requirement
	var errs []error
	for n := range documents {
		found, err := readDocument(filepath.Join(dir, documents[n].file))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for i := range found {
			found[i].document, found[i].order = n, i
		}
		out = append(out, found...)
	}
	return out, errors.Join(errs...)
}

// readDocument finds requirements in the rows of tables that have an id and a strength, and in list items that begin with an id.
func readDocument(path string) ([]requirement, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	var out []requirement
	add := func(id, strength string) {
		strength = strings.TrimSpace(strength)
		if isShall(strength) && !slices.ContainsFunc(out, func(r requirement) bool { return r.id == id }) {
			out = append(out, requirement{id: id, strength: strength})
		}
	}
	column := -1 // of the strength in the table that goes on
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		line := sc.Text()
		cells, isRow := cells(line)
		switch {
		case !isRow:
			column = -1
			if m := bullet.FindStringSubmatch(line); m != nil {
				add(m[1], m[2])
			}
		case strings.EqualFold(cells[0], "id"):
			column = slices.IndexFunc(cells, func(c string) bool { c = strings.ToLower(c); return c == "str" || c == "strength" })
		case column > 0 && column < len(cells) && idPattern.FindString(cells[0]) == cells[0]:
			add(cells[0], cells[column])
		}
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no requirement found", path)
	}
	return out, nil
}

// isShall holds for a strength that binds, and not for one that binds the client only.
func isShall(strength string) bool {
	return strings.Contains(strength, "SHALL") && !strings.HasPrefix(strength, "MAY") && !strings.HasPrefix(strength, "SHOULD")
}

// cells are those of a table's row; a bar behind a backslash is text.
func cells(line string) ([]string, bool) {
	line = strings.TrimSpace(line)
	if len(line) < 3 || line[0] != '|' {
		return nil, false
	}
	const bar = "\x00"
	line = strings.Trim(strings.ReplaceAll(line, `\|`, bar), "|")
	out := strings.Split(line, "|")
	for i := range out {
		out[i] = strings.TrimSpace(strings.ReplaceAll(out[i], bar, "|"))
	}
	return out, true
}
