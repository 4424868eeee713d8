package instance_test

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/ig"
	"fhirwire/validators/instance"
)

type expectedIssue struct {
	Severity, Code, Expression string
	MessageID                  string `json:"message_id"`
	External                   bool   `json:"external_terminology"`
}

type step struct {
	Step       string
	Supporting []string
	Profiles   []string
	Pattern    string
	Options    map[string]any
	Expected   struct {
		ErrorsLocal int `json:"errors_local"`
		Issues      []expectedIssue
	}
}

type testCase struct {
	Name, Module, File string
	Packages           []string
	Resolvable         map[string]string
	Steps              []step
}

// files resolves references to the files that a case names.
type files struct {
	dir string
	of  map[string]string
}

func (f files) Resolve(_ context.Context, _ *fhirjson.Node, ref string) (*fhirjson.Node, error) {
	if ref == "Patient/test" {
		return fhirjson.Parse([]byte(`{"resourceType":"Patient","id":"test"}`)).Root(), nil
	}
	name, ok := f.of[ref]
	if !ok {
		return nil, nil
	}
	b, err := os.ReadFile(filepath.Join(f.dir, name))
	if err != nil {
		return nil, err
	}
	return fhirjson.Parse(b).Root(), nil
}

type difference struct{ Case, Step string }

type score struct {
	agree, steps     int
	wanted, recalled int
	found, right     int
	wrong            []string
	unloadable       int
	differ           []difference
}

// TestCases compares with what HL7's validator is expected to report on its own cases.
func TestCases(t *testing.T) {
	dir := shared(t, "conformance", "validator-cases-dev")
	b, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index struct{ Cases []testCase }
	if err := json.Unmarshal(b, &index); err != nil {
		t.Fatal(err)
	}
	var core, other, match score
	for i := range index.Cases {
		c := &index.Cases[i]
		s := &core
		switch c.Module {
		case "questionnaire":
			s = &other
		case "matchetype":
			s = &match
		}
		for j := range c.Steps {
			runStep(t, filepath.Join(dir, "files"), c, &c.Steps[j], s)
		}
	}
	for name, s := range map[string]*score{"core": &core, "questionnaire": &other, "matchetype": &match} {
		t.Logf("%s: %d of %d steps agree on errors or none, recall %.1f %% of %d, precision %.1f %% of %d, %d not loadable", name,
			s.agree, s.steps, pct(s.recalled, s.wanted), s.wanted, pct(s.right, s.found), s.found, s.unloadable)
	}
	for _, l := range slices.Concat(core.wrong, match.wrong) {
		t.Log(l)
	}
	if testing.Verbose() {
		for _, l := range other.wrong {
			t.Log(l)
		}
	}
	b, err = os.ReadFile(filepath.Join("testdata", "case-differences.json"))
	if err != nil {
		t.Fatal(err)
	}
	var known struct{ Differences []difference }
	if err := json.Unmarshal(b, &known); err != nil {
		t.Fatal(err)
	}
	differ := slices.Concat(core.differ, other.differ, match.differ)
	for _, d := range differ {
		if !slices.Contains(known.Differences, d) {
			t.Errorf("%s, step %s: differs from the expected result and is not listed", d.Case, d.Step)
		}
	}
	for _, d := range known.Differences {
		if !slices.Contains(differ, d) {
			t.Errorf("%s, step %s: is listed and agrees", d.Case, d.Step)
		}
	}
	for name, c := range map[string]struct {
		s                        *score
		agree, recall, precision float64
	}{
		"core": {&core, 98, 96, 96}, "questionnaire": {&other, 92, 91, 97}, "matchetype": {&match, 100, 100, 100},
	} {
		agree, recall, precision := pct(c.s.agree, c.s.steps), pct(c.s.recalled, c.s.wanted), pct(c.s.right, c.s.found)
		if agree < c.agree || recall < c.recall || precision < c.precision {
			t.Errorf("%s: agreement %.1f %%, recall %.1f %%, precision %.1f %%; it was %.1f, %.1f, %.1f", name, agree, recall, precision, c.agree, c.recall, c.precision)
		}
	}
}

func pct(a, b int) float64 {
	if b == 0 {
		return 100
	}
	return 100 * float64(a) / float64(b)
}

func runStep(t *testing.T, dir string, c *testCase, s *step, sc *score) {
	t.Helper()
	sc.steps++
	lib, err := library()
	if err != nil {
		t.Fatal(err)
	}
	pkg := &ig.Package{Name: "case." + c.Name, Version: "1"}
	for _, name := range s.Supporting {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		r, err := ig.ReadFile(name, data)
		if err != nil {
			sc.wrong = append(sc.wrong, c.Name+": "+name+": "+err.Error())
			continue
		}
		if r != nil {
			pkg.Resources = append(pkg.Resources, r)
		}
	}
	ids := []string{"hl7.fhir.r4.core#4.0.1"}
	ids = append(ids, c.Packages...)
	if len(pkg.Resources) > 0 {
		if lib, err = lib.With(pkg); err != nil {
			sc.unloadable++
			sc.wrong = append(sc.wrong, c.Name+" "+s.Step+": not loadable: "+strings.ReplaceAll(err.Error(), "\n", "; "))
			if lib, err = library(); err != nil {
				t.Fatal(err)
			}
		} else {
			ids = append(ids, pkg.ID())
		}
	}
	set, err := lib.Set(ids...)
	if err != nil {
		t.Fatal(err)
	}
	opt := instance.Options{Now: now}
	opt.SecurityChecks = s.Options["security-checks"] == true
	opt.AllowComments = s.Options["allow-comments"] == true
	opt.NoHTMLInMarkdown = s.Options["noHtmlInMarkdown"] == true
	opt.ForbidExamples = s.Options["examples"] == false
	opt.BundledOnly = s.Options["enforceAggregationOutsideBundles"] != false
	opt.SkipContained = s.Options["validateContains"] == "IGNORE"
	opt.MustResolve = s.Options["validateReference"] == "CHECK_EXISTS_AND_TYPE"
	opt.Namespaces = []string{"http://hl7.org/fhir/us/", "http://hl7.org/fhir/uv/"} // the reference takes HL7's guides as known
	if opt.ExtraProfiles, err = extraProfiles(dir, s); err != nil {
		t.Fatal(err)
	}
	resolvable := maps.Clone(c.Resolvable)
	for _, name := range s.Supporting {
		var q struct{ ResourceType, URL string }
		if b, err := os.ReadFile(filepath.Join(dir, name)); err == nil && json.Unmarshal(b, &q) == nil && q.ResourceType == "Questionnaire" {
			if resolvable == nil {
				resolvable = map[string]string{}
			}
			resolvable[q.URL] = name
		}
	}
	if len(resolvable) > 0 {
		opt.Resolver = files{dir, resolvable}
	}
	src, err := os.ReadFile(filepath.Join(dir, c.File))
	if err != nil {
		t.Fatal(err)
	}
	v := instance.New(set, set.Terms(), opt)
	if s.Pattern != "" {
		b, err := os.ReadFile(filepath.Join(dir, s.Pattern))
		if err != nil {
			t.Fatal(err)
		}
		actual := fhirjson.Parse(src).Root()
		issues, err := v.Match(t.Context(), fhirjson.Parse(b).Root(), actual)
		if err != nil {
			t.Fatal(err)
		}
		for i := range issues {
			issues[i].Expression = strings.Replace(issues[i].Expression, actual.ResourceType(), "$", 1)
		}
		compare(c, s, issues, sc)
		return
	}
	r, err := v.ValidateDocument(t.Context(), fhirjson.Parse(src), s.Profiles...)
	if err != nil {
		t.Fatal(err)
	}
	compare(c, s, errorsOf(r), sc)
}

// extraProfiles are those that an ImplementationGuide of the step gives to all resources of a type, and those that its options
// bind to the nth entry of a type in a Bundle.
func extraProfiles(dir string, s *step) (func(*fhirjson.Node) []validators.ProfileChoice, error) {
	global := map[string]string{}
	for _, name := range s.Supporting {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		var guide struct {
			ResourceType string
			Global       []struct{ Type, Profile string }
		}
		if json.Unmarshal(b, &guide) != nil || guide.ResourceType != "ImplementationGuide" {
			continue
		}
		for _, g := range guide.Global {
			global[g.Type] = g.Profile
		}
	}
	var entry, bound string
	if p, ok := s.Options["bundle-param"].(map[string]any); ok {
		entry, bound = p["rule"].(string), p["profile"].(string)
	}
	seen := map[string]int{}
	return func(n *fhirjson.Node) []validators.ProfileChoice {
		var out []validators.ProfileChoice
		rt := n.ResourceType()
		if p := global[rt]; p != "" {
			out = append(out, validators.ProfileChoice{URL: p, Why: "rule of the guide"})
		}
		if n.Key() == "resource" && n.Parent().Parent().Key() == "entry" {
			if rt+":"+strconv.Itoa(seen[rt]) == entry {
				out = append(out, validators.ProfileChoice{URL: bound, Why: "asked for"})
			}
			seen[rt]++
		}
		return out
	}, nil
}

func compare(c *testCase, s *step, got []validators.Issue, sc *score) {
	var paths []string
	for i := range got {
		paths = append(paths, samePath(got[i].Expression))
	}
	agree := (len(got) > 0) == (s.Expected.ErrorsLocal > 0)
	if agree {
		sc.agree++
	} else {
		sc.differ = append(sc.differ, difference{c.Name, s.Step})
	}
	var missing, extra, wanted []string
	for _, e := range s.Expected.Issues {
		if e.Severity != "error" && e.Severity != "fatal" || e.External {
			continue
		}
		sc.wanted++
		p := samePath(e.Expression)
		if e.MessageID == "" { // references of entries are reported with the entries counted from 1
			p = countedFromOne.ReplaceAllStringFunc(p, func(s string) string {
				n, _ := strconv.Atoi(s[len("Bundle.entry[") : len(s)-1])
				return "Bundle.entry[" + strconv.Itoa(n-1) + "]"
			})
		}
		wanted = append(wanted, p)
		if slices.ContainsFunc(paths, func(q string) bool { return near(p, q) }) {
			sc.recalled++
		} else {
			missing = append(missing, e.MessageID+"@"+e.Expression)
		}
	}
	for i, p := range paths {
		sc.found++
		if slices.ContainsFunc(wanted, func(q string) bool { return near(p, q) }) {
			sc.right++
		} else {
			extra = append(extra, got[i].MessageID+"@"+got[i].Expression+" "+got[i].Message)
		}
	}
	if len(missing)+len(extra) > 0 {
		sign := "~"
		if !agree {
			sign = "!"
		}
		if len(extra) > 5 {
			extra = append(extra[:5], "…")
		}
		sc.wrong = append(sc.wrong, sign+" "+c.Module+" "+c.Name+" "+s.Step+"\n    missing "+strings.Join(missing, ", ")+"\n    extra "+strings.Join(extra, "\n          "))
	}
}

var countedFromOne = regexp.MustCompile(`^Bundle\.entry\[[1-9]\d*\]`)

// near reports the same path, or that of parent and child.
func near(a, b string) bool {
	a, b = anyIndex(a), anyIndex(b)
	return a == b || parentOf(a) == b || parentOf(b) == a
}

func anyIndex(p string) string { return lastIndex.ReplaceAllString(p, "") }

func parentOf(p string) string {
	if i := strings.LastIndexByte(p, '.'); i >= 0 {
		return anyIndex(p[:i])
	}
	return p
}
