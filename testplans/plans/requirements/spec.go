package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"iter"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// documents are the pages with requirements, in the list's order.
var documents = []string{"payer-to-payer.md", "provider-access-bulk.md", "formulary.md", "us-core-and-validation.md"}

// entry is a requirement as a page gives it.
type entry struct{ id, document, strength string }

func (e *entry) binds() bool {
	return strings.Contains(e.strength, "SHALL") && !strings.HasPrefix(e.strength, "MAY") && !strings.HasPrefix(e.strength, "SHOULD")
}

var (
	idPattern = regexp.MustCompile(`^(?:P2P-[A-Z]+|ATR|PMM|BULK-[A-Z]+|DDE|AUTH|DATA|CHK|FORM-[A-Z]+|UC3-[SC]|USC-[A-Z]+)-[0-9]{2,3}$`)
	bullet    = regexp.MustCompile(`^\s*-?\s*\*\*([A-Z0-9-]+)\*\*[ |]+((?:base )?(?:SHALL|SHOULD|MAY)(?: NOT)?)?`)
	word      = regexp.MustCompile(`^(?:base )?(?:SHALL|SHOULD|MAY|OPTIONAL|LOCAL|INFO|MS|DEC|P|C|proj)[^|;:,]*`)
	bold      = regexp.MustCompile(`\*\*([A-Z0-9-]+-[0-9]{2,3})\*\*`)
	verb      = regexp.MustCompile(`\b(?:SHALL|SHOULD|MAY)\b`)
	card      = regexp.MustCompile(`^[0-9]\.\.`)
)

// scenario are the prefixes of a track's own checks, whose tables give no strength.
var scenario = []string{"CHK-", "UC3-", "P2P-SC-"}

func readDocuments(dir string) ([]entry, error) {
	var out []entry
	var errs []error
	for _, name := range documents {
		src, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found := readDocument(strings.TrimSuffix(name, ".md"), src)
		if len(found) == 0 {
			errs = append(errs, fmt.Errorf("%s: no requirement found", name))
		}
		out = append(out, found...)
	}
	return out, errors.Join(errs...)
}

// readDocument finds requirements in the rows of tables that have an id, and in list items that begin with one.
func readDocument(document string, src []byte) []entry {
	var out []entry
	add := func(id, strength string) {
		if slices.ContainsFunc(scenario, func(p string) bool { return strings.HasPrefix(id, p) }) {
			strength = "scenario"
		}
		if idPattern.MatchString(id) && !slices.ContainsFunc(out, func(e entry) bool { return e.id == id }) {
			out = append(out, entry{id: id, document: document, strength: strings.TrimSpace(strength)})
		}
	}
	ids, strengths, cards := -1, -1, -1 // columns of the table that goes on
	sc := bufio.NewScanner(bytes.NewReader(src))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		row := cells(sc.Text())
		if row == nil {
			ids, strengths, cards = -1, -1, -1
			if m := bullet.FindStringSubmatch(sc.Text()); m != nil {
				add(m[1], m[2])
			}
			for id, strength := range inline(sc.Text()) {
				add(id, strength)
			}
			continue
		}
		at := func(names ...string) int {
			return slices.IndexFunc(row, func(c string) bool {
				return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(strings.Trim(c, ". "), n) })
			})
		}
		if ids < 0 {
			if ids = at("id", "check"); ids >= 0 {
				strengths, cards = at("str", "strength"), at("card")
				if strengths < 0 {
					strengths = at("3.1.1") // the strength in the version of the tracks
				}
				continue
			}
		}
		if ids < 0 || ids >= len(row) {
			continue
		}
		strength := ""
		if strengths >= 0 && strengths < len(row) {
			strength = word.FindString(row[strengths])
		}
		if strength == "" && cards >= 0 && cards < len(row) && card.MatchString(row[cards]) {
			strength, _, _ = strings.Cut(row[cards], ",")
		}
		id, _, _ := strings.Cut(row[ids], " ") // a name may follow
		add(id, strength)
	}
	return out
}

// inline yields the requirements that a sentence names in bold, each with the verb behind it or the one said of all.
func inline(line string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		all := bold.FindAllStringSubmatchIndex(line, -1)
		for i, at := range all {
			end := len(line)
			if i+1 < len(all) {
				end = all[i+1][0]
			}
			strength := verb.FindString(line[at[1]:end])
			if strings.Contains(line, "All SHALL") && strength == "" {
				strength = "SHALL"
			}
			if !yield(line[at[2]:at[3]], strength) {
				return
			}
		}
	}
}

// cells are those of a table's row, nil for other lines; a bar behind a backslash is text.
func cells(line string) []string {
	line = strings.TrimSpace(line)
	if len(line) < 3 || line[0] != '|' {
		return nil
	}
	const bar = "\x00"
	out := strings.Split(strings.Trim(strings.ReplaceAll(line, `\|`, bar), "|"), "|")
	for i := range out {
		out[i] = strings.TrimSpace(strings.ReplaceAll(out[i], bar, "|"))
	}
	return out
}

// class is a line of classes.txt.
type class struct {
	pattern, who, shown, reason string
	line                        int
	used                        bool
}

func readClasses(src []byte) ([]*class, error) {
	var out []*class
	sc := bufio.NewScanner(bytes.NewReader(src))
	for n := 1; sc.Scan(); n++ {
		words := strings.Fields(sc.Text())
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		c := &class{pattern: words[0], line: n}
		fault := fmt.Errorf("classes.txt:%d: want a pattern, client, server or both, and traffic, profile NAME, directory or no with a reason", n)
		if _, err := path.Match(c.pattern, ""); err != nil || len(words) < 3 || !slices.Contains([]string{"client", "server", "both"}, words[1]) {
			return nil, fault
		}
		c.who, c.shown = words[1], words[2]
		switch {
		case (c.shown == "traffic" || c.shown == "directory") && len(words) == 3:
		case c.shown == "profile" && len(words) == 4:
			c.shown += " " + words[3]
		case c.shown == "no" && len(words) > 3:
			c.reason = strings.Join(words[3:], " ")
		default:
			return nil, fault
		}
		out = append(out, c)
	}
	return out, sc.Err()
}

// match finds the first class for an id.
func match(classes []*class, id string) *class {
	for _, c := range classes {
		if ok, err := path.Match(c.pattern, id); ok && err == nil { // patterns were checked when read
			c.used = true
			return c
		}
	}
	return nil
}
