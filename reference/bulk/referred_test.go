package bulk

import (
	"errors"
	"iter"
	"maps"
	"slices"
	"strconv"
	"testing"

	"fhirwire/reference/resources"
)

func TestReferred(t *testing.T) {
	known := newReferred()
	known.add([]byte(`{"a":{"reference":"Organization/o1"},"b":[{"reference":"Patient/p"},{"reference":"Practitioner/x/_history/2"}],
		"c":{"reference":"#contained"},"d":{"reference":"Organization/"},"e":{"reference":"Location/l1"},"text":"Organization/none"}`))
	known.add([]byte(`{"reference":"no slash"}`))
	for typ, want := range map[string][]string{"Organization": {"o1"}, "Practitioner": {"x"}, "Location": {"l1"}, "Medication": nil} {
		if got := slices.Sorted(maps.Keys(known.ids[typ])); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", typ, got, want)
		}
	}
	if len(known.ids) != len(contextTypes) {
		t.Errorf("types %v", slices.Collect(maps.Keys(known.ids)))
	}
}

func TestAhead(t *testing.T) {
	ended := false
	source := func(n int, err error) iter.Seq2[resources.Resource, error] {
		return func(yield func(resources.Resource, error) bool) {
			ended = false
			defer func() { ended = true }()
			for i := range n {
				if !yield(resources.Resource{ID: strconv.Itoa(i)}, nil) {
					return
				}
			}
			if err != nil {
				yield(resources.Resource{}, err)
			}
		}
	}
	for _, n := range []int{0, 1, 127, 128, 129, 1000} {
		i := 0
		for res, err := range ahead(source(n, nil)) {
			if err != nil || res.ID != strconv.Itoa(i) {
				t.Fatalf("%d of %d: %v %v", i, n, res.ID, err)
			}
			i++
		}
		if i != n || !ended {
			t.Errorf("%d of %d, ended %t", i, n, ended)
		}
	}
	broken := errors.New("broken")
	var last error
	for _, err := range ahead(source(5, broken)) {
		last = err
	}
	if !errors.Is(last, broken) {
		t.Errorf("error %v", last)
	}
	for _, err := range ahead(source(10_000, nil)) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	if !ended {
		t.Error("the source goes on behind a reader that has enough")
	}
}
