package profile_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"fhirwire/validators/ig"
	"fhirwire/validators/profile"
)

func published(t *testing.T, ids ...string) []*ig.Package {
	t.Helper()
	dir := os.Getenv("FHIRWIRE_SHARED")
	if dir == "" {
		dir = "../../../shared"
	}
	var out []*ig.Package
	for _, id := range ids {
		data, err := os.ReadFile(filepath.Join(dir, "fhir-packages", id+".tgz"))
		if err != nil {
			t.Skip("the published packages are not at hand")
		}
		p, err := ig.ReadTGZ(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// core is R4 as this build embeds it.
func core(t testing.TB) *ig.Package {
	t.Helper()
	data, err := os.ReadFile("../guides/tables/hl7.fhir.r4.core-4.0.1.fwt")
	if err != nil {
		t.Fatal(err)
	}
	p, err := ig.OpenTable(data)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// facts is what of an element a snapshot generator has to get right.
func facts(e *ig.ElementDefinition) map[string]string {
	content := e.ContentReference
	if _, id, ok := strings.Cut(content, "#"); ok { // absolute or not, and with the slice that the id named last
		content, _, _ = strings.Cut(id, ":")
	}
	m := map[string]string{
		"min": fmt.Sprint(max(e.Min, 0)), "max": e.Max, "path": e.Path, "sliceName": e.SliceName, "content": content,
		"mustSupport": fmt.Sprint(e.MustSupport == ig.Yes), "isModifier": fmt.Sprint(e.IsModifier == ig.Yes), "maxLength": fmt.Sprint(e.MaxLength),
	}
	var types []string
	for _, t := range e.Types {
		var targets []string
		for _, target := range t.TargetProfiles {
			targets = append(targets, unpinned(target))
		}
		slices.Sort(targets)
		types = append(types, fmt.Sprint(t.Code, t.Profiles, targets))
	}
	m["type"] = strings.Join(types, " ")
	for k, v := range map[string]ig.Value{"fixed": e.Fixed, "pattern": e.Pattern} {
		if v.Node != nil {
			m[k] = v.Type + strings.Join(strings.Fields(string(v.Node.Raw())), "")
		}
	}
	if e.Binding != nil {
		m["binding"] = fmt.Sprint(*e.Binding)
	}
	// Extensions are sliced by url whether a snapshot says so or not.
	extensions := strings.HasSuffix(e.Path, ".extension") || strings.HasSuffix(e.Path, ".modifierExtension")
	if e.Slicing != nil && !(extensions && fmt.Sprint(*e.Slicing) == "{[{value url}] false open}") {
		m["slicing"] = fmt.Sprint(*e.Slicing)
	}
	var keys []string
	for _, k := range e.Constraints {
		keys = append(keys, k.Key)
	}
	slices.Sort(keys)
	m["constraint"] = strings.Join(keys, " ")
	return m
}

// unpinned is text without the version that some publishers add to the canonicals of FHIR itself.
func unpinned(s string) string { return strings.ReplaceAll(s, "|4.0.1", "") }

// raised reports that a snapshot writes the minima of the slices, which hold anyway, also at the element that is sliced.
func raised(want []ig.ElementDefinition, w *ig.ElementDefinition) bool {
	sum := 0
	for i := range want {
		if s := &want[i]; s.Path == w.Path && s.SliceName != "" && s.ID == w.ID+":"+s.SliceName {
			sum += max(s.Min, 0)
		}
	}
	return w.Slicing != nil && w.Min <= sum
}

func differences(want, got []ig.ElementDefinition) []string {
	byID, expanded := map[string]*ig.ElementDefinition{}, map[string]bool{}
	for i := range got {
		byID[got[i].ID] = &got[i]
		expanded[got[i].ID[:max(0, strings.LastIndexByte(got[i].ID, '.'))]] = true
	}
	var out []string
	for i := range want {
		w := &want[i]
		g := byID[w.ID]
		if g == nil {
			// A snapshot may spell out the content of a type that it does not constrain; ours leaves that to the type.
			if up := w.ID[:strings.LastIndexByte(w.ID, '.')]; expanded[up] {
				out = append(out, w.ID+": missing")
			}
			continue
		}
		delete(byID, w.ID)
		fw, fg := facts(w), facts(g)
		for _, k := range []string{"path", "sliceName", "min", "max", "type", "content", "fixed", "pattern", "binding", "slicing", "constraint", "mustSupport", "isModifier", "maxLength"} {
			if unpinned(fw[k]) != unpinned(fg[k]) && !(k == "min" && raised(want, w)) {
				out = append(out, fmt.Sprintf("%s: %s: published %q, generated %q", w.ID, k, fw[k], fg[k]))
			}
		}
	}
	spelled := map[string]bool{}
	for i := range want {
		spelled[want[i].ID[:max(0, strings.LastIndexByte(want[i].ID, '.'))]] = true
	}
	for id := range byID {
		if up := id[:max(0, strings.LastIndexByte(id, '.'))]; spelled[up] { // and the reverse
			out = append(out, id+": extra")
		}
	}
	sort.Strings(out)
	return out
}

func TestRegenerate(t *testing.T) {
	packages := append([]*ig.Package{core(t)}, published(t, "hl7.fhir.us.core-3.1.1", "hl7.fhir.us.core-6.1.0", "hl7.fhir.us.core-7.0.0",
		"hl7.fhir.us.davinci-hrex-1.0.0", "hl7.fhir.us.davinci-pdex-2.0.0", "hl7.fhir.us.davinci-pdex-2.2.0", "hl7.fhir.us.davinci-atr-2.1.0",
		"hl7.fhir.us.carin-bb-1.1.0", "hl7.fhir.us.carin-bb-2.0.0", "hl7.fhir.us.davinci-pdex-plan-net-1.1.0", "hl7.fhir.us.davinci-drug-formulary-2.0.1")...)
	c, err := profile.NewCatalog(packages, nil)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	data, err := os.ReadFile("testdata/regenerated.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			known[line] = true
		}
	}
	for _, p := range packages[1:] {
		for _, r := range p.Resources {
			if r.ResourceType != "StructureDefinition" {
				continue
			}
			pub, gen, err := c.Regenerate(p.ID(), r.URL)
			if err != nil {
				line := fmt.Sprintf("%s %s: %v", p.ID(), r.ID, err)
				if !known[line] {
					t.Error(line)
				}
				delete(known, line)
				continue
			}
			for _, d := range differences(pub, gen) {
				line := fmt.Sprintf("%s %s: %s", p.ID(), r.ID, d)
				if !known[line] {
					t.Error(line)
				}
				delete(known, line)
			}
		}
	}
	for line := range known {
		t.Errorf("a known difference is gone: %s", line)
	}
}
