package fhirjson_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
)

// slowly gives few bytes at a time, so that chunks end anywhere.
type slowly struct {
	*bytes.Reader
	step int
}

func (s slowly) ReadAt(p []byte, off int64) (int, error) {
	return s.Reader.ReadAt(p[:min(len(p), s.step)], off)
}

const splittable = "{ \"type\": \"x\", \"a\":[1,{\"entry\":[{}]}],\n \"entry\" : [ {\"b\":\"]}\\\"\"},\n\n  {\"c\":[{}]} , {} ],\n\"link\":[\n 1 ]}"

func TestSplitArray(t *testing.T) {
	for _, step := range []int{1, 2, 7, 1000} {
		s, err := fhirjson.SplitArray(t.Context(), slowly{bytes.NewReader([]byte(splittable)), step}, "entry")
		if step < 1000 {
			if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !strings.Contains(err.Error(), "bytes 0 to") {
				t.Errorf("step %d: %v", step, err)
			}
			continue // Before and After are read in one go, which this reader does not give
		}
		if err != nil {
			t.Fatal(err)
		}
		var items []string
		for i := range s.Items {
			at := s.Items[i].Position()
			items = append(items, splittable[s.Items[i].Offset:s.Items[i].End])
			whole := fhirjson.Parse([]byte(splittable)).Root().Member("entry").Item(i).Position()
			if want := (validators.Position{Offset: at.Offset, Line: at.Line + 1, Column: at.Column + 1}); whole != want {
				t.Errorf("item %d is at %+v, want %+v", i, want, whole)
			}
		}
		if got := strings.Join(items, "|"); got != `{"b":"]}\""}|{"c":[{}]}|{}` || s.Cut {
			t.Errorf("items %s", got)
		}
		doc, list := fhirjson.ParseAround(s.Before, s.After, s.Rest)
		if doc.Fatal() != nil || list == nil || list.Key() != "entry" || list.Len() != 0 {
			t.Fatalf("around: %+v", doc.Problems())
		}
		for _, at := range []string{"/type", "/a/1/entry/0", "/entry", "/link", "/link/0"} {
			got, want := doc.Root().At(at).Position(), fhirjson.Parse([]byte(splittable)).Root().At(at).Position()
			if got != want {
				t.Errorf("%s is at %+v, want %+v", at, got, want)
			}
		}
		item := fhirjson.Parse([]byte(items[1])).Root()
		list.Adopt(item, 1)
		list.Show(item, 3)
		if got := item.Member("c").Item(0).Pointer(); got != "/entry/1/c/0" || list.Len() != 3 || list.First() != item || item.Next() != nil {
			t.Errorf("pointer %s", got)
		}
	}
}

func TestSplitArrayRefuses(t *testing.T) {
	for _, src := range []string{
		``, `[]`, `{}`, `{"entry":1}`, `{"entry":[1]}`, `{"entry":[{},]}`, `{"entry":[{} {}]}`, `{"a" 1}`, `{entry:[{}]}`, `/**/{"entry":[{}]}`, `{"a":"`, `{"a`,
	} {
		if s, err := fhirjson.SplitArray(t.Context(), bytes.NewReader([]byte(src)), "entry"); !errors.Is(err, fhirjson.ErrNotSplit) {
			t.Errorf("%s: %+v, %v", src, s, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	many := []byte(`{"entry":[` + strings.Repeat("{},", 5000) + `{}]}`)
	if _, err := fhirjson.SplitArray(ctx, bytes.NewReader(many), "entry"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	for _, cut := range []string{`{"entry":[`, `{"entry":[{}`, `{"entry":[{},`, `{"entry":[{"a":"`, `{"entry":[{"a":"\`} {
		if s, err := fhirjson.SplitArray(t.Context(), bytes.NewReader([]byte(cut)), "entry"); err != nil || !s.Cut {
			t.Errorf("%s: %+v, %v", cut, s, err)
		}
	}
}

// FuzzSplitArray: the items of valid JSON are where the parser finds them.
func FuzzSplitArray(f *testing.F) {
	f.Add([]byte(splittable))
	f.Add([]byte(`{"entry":[{"a":"\\"},{"b":[[]]}],"entry":[]}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		s, err := fhirjson.SplitArray(t.Context(), bytes.NewReader(src), "entry")
		doc := fhirjson.Parse(src)
		defer doc.Release()
		if err != nil || len(doc.Problems()) > 0 || s.Cut {
			return
		}
		list := doc.Root().Member("entry")
		for list.Kind() != fhirjson.Array { // the first of several that is one
			for list = list.Next(); list.Key() != "entry"; list = list.Next() {
			}
		}
		if list.Len() != len(s.Items) {
			t.Fatalf("%d items, %d found", list.Len(), len(s.Items))
		}
		for i := range s.Items {
			if n := list.Item(i); int64(n.Offset()) != s.Items[i].Offset || int64(n.End()) != s.Items[i].End {
				t.Fatalf("item %d: %d to %d, found %+v", i, n.Offset(), n.End(), s.Items[i])
			}
		}
	})
}

func BenchmarkSplitArray(b *testing.B) {
	src := []byte(`{"resourceType":"Bundle","entry":[` + strings.Repeat(splittable+",\n", 20_000) + `{}]}`)
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := fhirjson.SplitArray(b.Context(), bytes.NewReader(src), "entry"); err != nil {
			b.Fatal(err)
		}
	}
}
