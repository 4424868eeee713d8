package fhirjson_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"fhirwire/validators/fhirjson"
)

func TestLineScanner(t *testing.T) {
	long := strings.Repeat("x", 200_000)
	for _, tt := range []struct {
		src  string
		want []string
	}{
		{"", nil},
		{"a\nbb\r\n\nc", []string{"0:0:a", "1:2:bb", "2:6:", "3:7:c"}},
		{"a\n", []string{"0:0:a"}},
		{long + "\nb", []string{"0:0:" + long, "1:200001:b"}},
	} {
		sc := fhirjson.NewLineScanner(strings.NewReader(tt.src), 1<<20)
		var got []string
		for sc.Scan() {
			l := sc.Line()
			if l.Open != (l.Position.Offset+len(l.Bytes) == len(tt.src)) {
				t.Errorf("%.20q: line %d: open is %v", tt.src, l.Position.Line, l.Open)
			}
			got = append(got, fmt.Sprintf("%d:%d:%s", l.Position.Line, l.Position.Offset, l.Bytes))
		}
		if sc.Err() != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%.20q: %.80q, error %v", tt.src, got, sc.Err())
		}
	}
}

func TestLineScannerStops(t *testing.T) {
	sc := fhirjson.NewLineScanner(strings.NewReader("ok\n"+strings.Repeat("x", 100)+"\nnever"), 50)
	if !sc.Scan() || sc.Scan() || !errors.Is(sc.Err(), fhirjson.ErrLineTooLong) || sc.Scan() {
		t.Fatalf("error %v", sc.Err())
	}
	sc = fhirjson.NewLineScanner(iotest.TimeoutReader(strings.NewReader(strings.Repeat("y\n", 100_000))), 50)
	for sc.Scan() {
	}
	if !errors.Is(sc.Err(), iotest.ErrTimeout) {
		t.Fatalf("error %v", sc.Err())
	}
}

func TestPositionsOfALine(t *testing.T) {
	sc := fhirjson.NewLineScanner(strings.NewReader("{}\n{\"a\": [1]}\n"), 50)
	sc.Scan()
	sc.Scan()
	l := sc.Line()
	n := fhirjson.ParseAt(l.Bytes, l.Position, fhirjson.Limits{}).Root().At("/a/0")
	if p := n.Position(); p.Line != 2 || p.Column != 8 || p.Offset != 10 {
		t.Fatalf("position %+v", p)
	}
}
