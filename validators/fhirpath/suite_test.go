package fhirpath_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"fhirwire/validators/fhirjson"
	"fhirwire/validators/fhirpath"
	"fhirwire/validators/fhirpath/fhirpathtest"
	"fhirwire/validators/fhirpath/value"
)

func shared(t testing.TB, elem ...string) string {
	t.Helper()
	dir := os.Getenv("FHIRWIRE_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	p := filepath.Join(append([]string{dir}, elem...)...)
	if _, err := os.Stat(p); err != nil {
		t.Skipf("the conformance material is absent: %v", err)
	}
	return p
}

var r4 = sync.OnceValues(func() (*fhirpathtest.Model, error) {
	dir := os.Getenv("FHIRWIRE_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	return fhirpathtest.Package(filepath.Join(dir, "fhir-packages", "hl7.fhir.r4.core-4.0.1.tgz"))
})

func r4Model(t testing.TB) *fhirpathtest.Model {
	t.Helper()
	shared(t, "fhir-packages", "hl7.fhir.r4.core-4.0.1.tgz")
	m, err := r4()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

type suiteCase struct {
	Group, Name, InputFile, Expression, Invalid, Mode string
	Predicate, Ordered                                *bool
	Outputs                                           []struct{ Type, Value string }
}

// conformance answers for the types themselves only: that is what the suite asks.
type conformance struct{}

func (conformance) ConformsTo(_ context.Context, item *fhirjson.Node, profile string) (bool, error) {
	name, ok := strings.CutPrefix(profile, "http://hl7.org/fhir/StructureDefinition/")
	if !ok {
		return false, fmt.Errorf("profile %s: %w", profile, fhirpath.ErrNotChecked)
	}
	return item.ResourceType() == name, nil
}

func suiteEnv() fhirpath.Env {
	return fhirpath.Env{
		Conformance: conformance{},
		Now:         func() time.Time { return time.Date(2024, 5, 6, 7, 8, 9, 123e6, time.UTC) },
	}
}

func show(v value.Value) string {
	switch x := v.(type) {
	case value.Date, value.DateTime:
		return "@" + x.String()
	case value.Time:
		return "@T" + x.String()
	case value.Element:
		switch x.FHIRType {
		case "date", "dateTime", "instant":
			return "@" + x.String()
		case "time":
			return "@T" + x.String()
		}
		return x.String()
	}
	return v.String()
}

func (c *suiteCase) run(t *testing.T, m fhirpath.Model, inputs string) error {
	t.Helper()
	var root *fhirjson.Node
	var contexts []*fhirpath.Type
	if c.InputFile != "" {
		src, err := os.ReadFile(filepath.Join(inputs, c.InputFile))
		if err != nil {
			t.Fatal(err)
		}
		root = fhirjson.Parse(src).Root()
		ct, _ := m.Type(root.ResourceType())
		contexts = append(contexts, ct)
	}
	if c.Invalid == "semantic" {
		if _, err := fhirpath.CompileFor(c.Expression, m, contexts...); err == nil {
			return errors.New("the static check accepts it")
		}
		return nil
	}
	x, err := fhirpath.Compile(c.Expression, m)
	if c.Invalid == "syntax" {
		if err == nil {
			return errors.New("it parses")
		}
		return nil
	}
	if err != nil {
		if c.Invalid != "" {
			return nil
		}
		return err
	}
	got, err := x.Eval(t.Context(), root, suiteEnv())
	if c.Invalid == "execution" {
		if err == nil {
			return fmt.Errorf("it gives %v", got)
		}
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := fhirpath.CompileFor(c.Expression, m, contexts...); err != nil {
		return fmt.Errorf("the static check refuses it: %w", err)
	}
	if c.Predicate != nil && *c.Predicate {
		holds := len(got) > 0
		if len(got) == 1 {
			if b, ok := got[0].(value.Boolean); ok {
				holds = bool(b)
			}
		}
		got = value.Collection{value.Boolean(holds)}
	}
	return c.compare(got)
}

func (c *suiteCase) compare(got value.Collection) error {
	if len(got) != len(c.Outputs) {
		return fmt.Errorf("%d results %v, want %v", len(got), got, c.Outputs)
	}
	used := make([]bool, len(got))
	for i, want := range c.Outputs {
		found := false
		for j, v := range got {
			if used[j] || i != j && (c.Ordered == nil || *c.Ordered) {
				continue
			}
			if show(v) == want.Value && (want.Type == "" || sameType(v.Type(), want.Type)) {
				found, used[j] = true, true
				break
			}
		}
		if !found {
			return fmt.Errorf("result %d is %s %s, want %s %s", i, got[i].Type(), show(got[i]), want.Type, want.Value)
		}
	}
	return nil
}

func sameType(got, want string) bool {
	return strings.EqualFold(got, want) || got == "Date" && want == "dateTime"
}

// exceptions are cases that we answer otherwise, with the reason.
func exceptions(t *testing.T) map[string]string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "suite-exceptions.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	out := map[string]string{}
	for sc := bufio.NewScanner(f); sc.Scan(); {
		name, reason, ok := strings.Cut(sc.Text(), ": ")
		if ok && !strings.HasPrefix(name, "#") {
			out[name] = reason
		}
	}
	return out
}

func TestSuite(t *testing.T) {
	path := shared(t, "conformance", "fhirpath-dev.json")
	inputs := shared(t, "conformance", "fhirpath-inputs")
	m := r4Model(t)
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var suite struct{ Tests []suiteCase }
	if err := json.Unmarshal(src, &suite); err != nil {
		t.Fatal(err)
	}
	known := exceptions(t)
	passed := 0
	for i := range suite.Tests {
		c := &suite.Tests[i]
		err := c.run(t, m, inputs)
		reason, excepted := known[c.Name]
		switch {
		case err == nil && excepted:
			t.Errorf("%s passes and is listed as an exception (%s)", c.Name, reason)
		case err == nil:
			passed++
		case !excepted:
			t.Errorf("%s/%s: %s: %v", c.Group, c.Name, c.Expression, err)
		}
	}
	t.Logf("%d of %d pass (%.2f %%)", passed, len(suite.Tests), 100*float64(passed)/float64(len(suite.Tests)))
	if passed*1000 < len(suite.Tests)*990 {
		t.Errorf("only %d of %d pass", passed, len(suite.Tests))
	}
}
