package web

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"fhirwire/web/views"
)

// show writes a layout as plain text, one line a line.
func show(l *layout) string {
	var b strings.Builder
	for i := range l.lines {
		for _, s := range l.line(i, nil, false).Spans {
			b.WriteString(s.Text)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestPrettyLayout(t *testing.T) {
	tests := []struct {
		name, src string
		records   bool
		want      string
	}{
		{name: "empty", src: "", want: ""},
		{name: "members and small containers", src: `{"resourceType":"Patient","name":[{"family":"A","given":["B","C"]}],"type":{"coding":[{"code":"UMB"}]},"meta":{},"active":true}`, want: `{
  "resourceType": "Patient",
  "name": [
    {
      "family": "A",
      "given": ["B", "C"]
    }
  ],
  "type": { "coding": [{ "code": "UMB" }] },
  "meta": {},
  "active": true
}
`},
		{name: "small body", src: `{"a":1}`, want: "{\n  \"a\": 1\n}\n"},
		{name: "records", src: "{\"a\":[1\n{\"b\":2}\n", records: true, want: "{\n  \"a\": [\n    1\n{\n  \"b\": 2\n}\n"},
		{name: "missing comma and quote", src: `{"a":1 "b":"x` + "\n" + `}`, want: "{\n  \"a\": 1 \"b\": \"x\n}\n"},
		{name: "closers only", src: `}]}`, want: "}\n]\n}\n"},
		{name: "not JSON", src: "hello <b>world", want: "hello\n<b>world\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := show(prettyLayout([]byte(tt.src), tt.records)); got != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}

func TestOffsetToLine(t *testing.T) {
	src := []byte(`{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","identifier":[{"system":"s","value":"v"},{"value":"w","type":{"text":"long enough to be on lines of its own, surely"}}]}}]}`)
	l := prettyLayout(src, false)
	for _, at := range []string{`"resourceType":"Patient"`, `{"value":"w"`, `"long enough`} {
		offset := bytes.Index(src, []byte(at))
		i := l.lineAt(offset)
		line := l.line(i, []mark{{offset: offset, class: "sev-error"}}, false)
		marked := 0
		for _, s := range line.Spans {
			if s.Marked {
				marked++
				if !strings.HasPrefix(at, s.Text[:1]) {
					t.Errorf("%s: marked %q", at, s.Text)
				}
			}
		}
		if marked != 1 {
			t.Errorf("%s: line %d has %d marked tokens", at, i+1, marked)
		}
	}
	if got := l.lineAt(1 << 30); got != len(l.lines)-1 {
		t.Errorf("offset beyond the end is on line %d of %d", got, len(l.lines))
	}
	if got := prettyLayout(nil, false).lineAt(5); got != -1 {
		t.Errorf("empty layout has line %d", got)
	}
}

func TestRawLayoutContinuesLongLines(t *testing.T) {
	src := []byte("a\n" + strings.Repeat("é", maxRawLine) + "\nb")
	l := rawLayout(src)
	var joined []byte
	numbers := 0
	for _, s := range l.lines {
		joined = append(joined, src[s.start:s.end]...)
		if s.number > 0 {
			numbers++
		}
	}
	if want := bytes.ReplaceAll(src, []byte("\n"), nil); !bytes.Equal(joined, want) {
		t.Error("lines do not add up to the source")
	}
	if numbers != 3 || l.numberOf(len(l.lines)-2) != 2 {
		t.Errorf("%d numbered lines, the continuation counts as %d", numbers, l.numberOf(len(l.lines)-2))
	}
}

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"plain\ttext": "plain\ttext",
		"a\x00b\x1b":  "a␀b␛",
		"x\u202ey":    "x⟨U+202E⟩y",
		"\xff\xfe":    "⟨FF⟩⟨FE⟩",
		"né 😀":        "né 😀",
	} {
		if got := visible([]byte(in)); got != want {
			t.Errorf("visible(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzLayout(f *testing.F) {
	for _, s := range []string{`{"a":[1,2,{"b":null}]}`, "{\n\n}}", `"\`, "[[[[[[[[[", "{\"a\":1}\n{\"b\":[}\n", "\xff\x00"} {
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, src []byte, records bool) {
		for _, l := range []*layout{prettyLayout(src, records), rawLayout(src)} {
			last := 0
			for i, s := range l.lines {
				if s.start < last || s.end < s.start || s.end > len(src) {
					t.Fatalf("line %d covers [%d,%d) after %d of %d", i, s.start, s.end, last, len(src))
				}
				if s.close != 0 && (s.close <= i || s.close >= len(l.lines)) {
					t.Fatalf("line %d closes at %d of %d", i, s.close, len(l.lines))
				}
				last = s.end
			}
			count(l.blocks(0, len(l.lines), nil, true), len(l.lines), t)
		}
		if l := prettyLayout(src, false); json.Valid(src) {
			var want, got bytes.Buffer
			_ = json.Compact(&want, src)
			for _, s := range l.lines {
				for i := s.start; ; {
					tok, ok := nextToken(src[:s.end], i)
					if !ok {
						break
					}
					got.Write(src[tok.start:tok.end])
					i = tok.end
				}
			}
			if !bytes.Equal(got.Bytes(), want.Bytes()) {
				t.Fatalf("tokens %q, want %q", got.Bytes(), want.Bytes())
			}
		}
	})
}

func count(blocks []views.Block, want int, t *testing.T) {
	t.Helper()
	n := 0
	var walk func([]views.Block)
	walk = func(bs []views.Block) {
		for _, b := range bs {
			n++
			walk(b.Inner)
		}
	}
	walk(blocks)
	if n != want {
		t.Fatalf("%d blocks for %d lines", n, want)
	}
}

func BenchmarkPrettyPart(b *testing.B) {
	var src bytes.Buffer
	src.WriteString(`{"resourceType":"Bundle","entry":[`)
	for i := range 2000 {
		if i > 0 {
			src.WriteByte(',')
		}
		src.WriteString(`{"fullUrl":"https://payer.example/fhir/Patient/1","resource":{"resourceType":"Patient","id":"1","name":[{"family":"Doe","given":["Jane","Q"]}],"gender":"female","birthDate":"1979-04-18"}}`)
	}
	src.WriteString(`]}`)
	b.SetBytes(int64(src.Len()))
	b.ReportAllocs()
	for b.Loop() {
		l := prettyLayout(src.Bytes(), false)
		if len(l.blocks(0, l.parts()[1], nil, true)) == 0 {
			b.Fatal("no blocks")
		}
	}
}
