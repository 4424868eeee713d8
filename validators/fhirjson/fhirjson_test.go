package fhirjson_test

import (
	"slices"
	"strings"
	"testing"

	"fhirwire/validators/fhirjson"
)

func parse(t *testing.T, src string) *fhirjson.Document {
	t.Helper()
	return fhirjson.Parse([]byte(src))
}

func problems(d *fhirjson.Document) []string {
	var ids []string
	for _, p := range d.Problems() {
		ids = append(ids, p.ID)
	}
	return ids
}

func TestProblems(t *testing.T) {
	for _, tt := range []struct {
		name, src string
		want      []string
	}{
		{"clean", ` {"a":[1,-2.50e3,true,null,"x\u00e9\n"],"b":{}} `, nil},
		{"empty", " \n", []string{"json-empty"}},
		{"not json", "<html>", []string{"json-syntax"}},
		{"unclosed", `{"a":[1,2`, []string{"json-syntax"}},
		{"trailing text", `{} {}`, []string{"json-syntax"}},
		{"comma at the end", `{"a":1,}`, []string{"json-comma-extra"}},
		{"comma twice", `[1,,2]`, []string{"json-comma-extra"}},
		{"comma first", `[,1]`, []string{"json-comma-extra"}},
		{"comma missing", `{"a":1 "b":2}`, []string{"json-comma-missing"}},
		{"comment", "{// x\n\"a\":1/* y */}", []string{"json-comment", "json-comment"}},
		{"name without quotes", `{a:1}`, []string{"json-name-quotes"}},
		{"value without quotes", `{"a":male}`, []string{"json-value-quotes"}},
		{"duplicate", `{"a":1,"a":2}`, []string{"json-duplicate"}},
		{"leading zero", `[012]`, []string{"json-number"}},
		{"bare point", `[1.]`, []string{"json-number"}},
		{"bad escape", `["\x"]`, []string{"json-escape"}},
		{"control character", "[\"a\tb\"]", []string{"json-control"}},
		{"not utf-8", "[\"\xff\"]", []string{"json-utf8"}},
		{"byte order mark", "\xef\xbb\xbf{}", []string{"json-bom"}},
		{"mismatched bracket", `{"a":[1}`, []string{"json-syntax"}},
		{"value missing", `{"a":}`, []string{"json-syntax"}},
		{"too deep", strings.Repeat("[", 200) + strings.Repeat("]", 200), []string{"json-depth"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := problems(parse(t, tt.src)); !slices.Equal(got, tt.want) {
				t.Fatalf("problems %q, want %q", got, tt.want)
			}
		})
	}
}

func TestParseGoesOnPastASlip(t *testing.T) {
	d := parse(t, "{\"resourceType\":\"Patient\",\n \"name\":[{\"given\":[\"a\",],\"family\":\"f\"},]\n \"gender\":male}")
	if got, want := problems(d), []string{"json-comma-extra", "json-comma-extra", "json-comma-missing", "json-value-quotes"}; !slices.Equal(got, want) {
		t.Fatalf("problems %q, want %q", got, want)
	}
	g := d.Root().Member("gender")
	if g.Text() != "male" || g.Position().Line != 3 || g.Position().Column != 11 {
		t.Fatalf("gender %q at %+v", g.Text(), g.Position())
	}
}

func TestText(t *testing.T) {
	d := parse(t, `{"s":"a\"\\\/\b\f\n\r\té😀","n":1.50,"t":true,"k\u0065y":"v","e":"","bad":"\ud83d!"}`)
	for name, want := range map[string]string{"s": "a\"\\/\b\f\n\r\té😀", "n": "1.50", "t": "true", "key": "v", "e": "", "bad": "�!"} {
		if got := d.Root().MemberText(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestPathsOfNodes(t *testing.T) {
	d := parse(t, `{"resourceType":"Patient","name":[{"given":["a","b"]}],"_birthDate":{"extension":[{"url":"u"}]},"x y/z~":1}`)
	for pointer, want := range map[string]string{
		"/name/0/given/1":             "Patient.name[0].given[1]",
		"/_birthDate/extension/0/url": "Patient.birthDate.extension[0].url",
		"/x y~1z~0":                   "Patient.`x y/z~`",
		"":                            "Patient",
	} {
		n := d.Root().At(pointer)
		if n == nil {
			t.Fatalf("%s: no node", pointer)
		}
		if n.Expression() != want || n.Pointer() != pointer {
			t.Errorf("%s: expression %s, pointer %s, want %s", pointer, n.Expression(), n.Pointer(), want)
		}
	}
}

func TestElements(t *testing.T) {
	d := parse(t, `{"given":["a",null,"c"],"_given":[null,{"id":"2"},{"id":"3"},{"id":"4"}],"birthDate":"2000","_birthDate":{"id":"b"},
		"_gender":{"id":"g"},"name":[{"x":1},{"x":2}],"nothing":null}`)
	for name, want := range map[string][]string{
		"given":     {"a|", "null|2", "c|3", "object|4"},
		"birthDate": {"2000|b"},
		"gender":    {"object|g"},
		"name":      {"object|", "object|"},
		"nothing":   nil,
		"absent":    nil,
	} {
		var got []string
		for _, n := range d.Root().AppendElements(nil, name) {
			text := n.Text()
			if !n.IsPrimitive() {
				text = n.Kind().String()
			}
			got = append(got, text+"|"+n.Properties().MemberText("id"))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestWideObjectsStayLinear(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"a0":1`)
	for i := range 200_000 {
		b.WriteString(`,"k`)
		b.WriteString(strings.Repeat("x", i%7))
		b.WriteString(strings.Repeat("y", i%5))
		b.WriteString(`":1`)
	}
	b.WriteString(`,"_a0":{}}`)
	d := parse(t, b.String())
	if d.Root().Member("a0").Twin() == nil {
		t.Fatal("the twin of the first member was not found")
	}
	if !d.Root().Member("kx").Next().Repeated() && len(d.Problems()) == 0 {
		t.Fatal("no duplicate was found")
	}
}

func TestReleaseLeavesNothingBehind(t *testing.T) {
	for range 3 {
		d := parse(t, `{"a":[1,2,{"b":null}]}`)
		if d.Root().Len() != 1 || d.Root().First().Len() != 3 || len(d.Problems()) != 0 || d.Root().First().Next() != nil {
			t.Fatal("a reused document is not clean")
		}
		d.Release()
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,"x",null,{"_b":{}}]}`, `[1.e,]`, "{a:b//", `"\ud800`, `{"a":1,"a"`, "\xef\xbb\xbf[[[["} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		d := fhirjson.Parse(src)
		if d.Root() == nil && d.Fatal() == nil {
			t.Fatal("no value and no reason")
		}
		var walk func(n *fhirjson.Node)
		walk = func(n *fhirjson.Node) {
			_ = n.Text()
			if n.Offset() > n.End() || n.End() > len(src) {
				t.Fatalf("node spans %d to %d of %d bytes", n.Offset(), n.End(), len(src))
			}
			for c := n.First(); c != nil; c = c.Next() {
				walk(c)
			}
		}
		if d.Root() != nil && d.Fatal() == nil {
			walk(d.Root())
		}
	})
}
