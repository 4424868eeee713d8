package parse_test

import (
	"errors"
	"testing"

	"fhirwire/validators/fhirpath/parse"
)

var printed = []struct{ src, want string }{
	{"a.b[0].c(1, 'x')", "a.b[0].c(1, 'x')"},
	{"1+2*3", "1 + 2 * 3"},
	{"(1+2)*3", "(1 + 2) * 3"},
	{"1-(2-3)", "1 - (2 - 3)"},
	{"a or b and c implies d", "a or b and c implies d"},
	{"a or (b implies c)", "a or (b implies c)"},
	{"1 > 2 is Boolean", "1 > 2 is Boolean"},
	{"(1 > 2) is System.Boolean", "(1 > 2) is System.Boolean"},
	{"-a.count() = -5", "-a.count() = -5"},
	{"(-a).count()", "(-a).count()"},
	{"@2015-02-04T14:34:28.123+10:00 + 7.7 days", "@2015-02-04T14:34:28.123+10:00 + 7.7 days"},
	{"@2015T = @T14:30 // end", "@2015T = @T14:30"},
	{"4 'mg' /* x */ ~ {}", "4 'mg' ~ {}"},
	{"`a b`.`div`.is(X) and %`vs-a-b` = %ucum", "`a b`.`div`.`is`(X) and %`vs-a-b` = %ucum"},
	{`'\'\\\/\u0041\n\"\d'`, `'\'\\/A\n"\\d'`},
	{"$this in $total | $index", "$this in $total | $index"},
	{"contains.contains('a') contains in", "`contains`.`contains`('a') contains `in`"},
	{`%"ext-x" = %vs-y-z`, "%`ext-x` = %`vs-y-z`"},
}

func TestPrint(t *testing.T) {
	for _, tt := range printed {
		n, err := parse.Parse(tt.src)
		if err != nil {
			t.Errorf("%s: %v", tt.src, err)
			continue
		}
		if got := n.String(); got != tt.want {
			t.Errorf("%s: printed %s, want %s", tt.src, got, tt.want)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		src       string
		line, col int
	}{
		{"", 1, 1},
		{"2 + 2 /", 1, 8},
		{"2 + /* not closed", 1, 5},
		{"a.\n  b c", 2, 5},
		{"'abc", 1, 1},
		{`"abc"`, 1, 1},
		{`'\u00'`, 1, 2},
		{"a..b", 1, 3},
		{"f(1,)", 1, 5},
		{"(1", 1, 3},
		{"@T14:34:28Z", 1, 3},
		{"@20", 1, 4},
		{"$that", 1, 1},
		{"a # b", 1, 3},
		{"and b", 1, 1},
		{"a is", 1, 5},
		{"{1}", 1, 2},
	} {
		_, err := parse.Parse(tt.src)
		var e *parse.Error
		if !errors.As(err, &e) {
			t.Errorf("%q: error %v, want a *parse.Error", tt.src, err)
			continue
		}
		if e.Line != tt.line || e.Column != tt.col {
			t.Errorf("%q: %v at %d:%d, want %d:%d", tt.src, e, e.Line, e.Column, tt.line, tt.col)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, tt := range printed {
		f.Add(tt.src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		n, err := parse.Parse(src)
		if err != nil {
			var e *parse.Error
			if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(src) || e.Line < 1 || e.Column < 1 {
				t.Fatalf("%q: bad error %#v", src, err)
			}
			return
		}
		once := n.String()
		again, err := parse.Parse(once)
		if err != nil {
			t.Fatalf("%q printed as %q, which does not parse: %v", src, once, err)
		}
		if twice := again.String(); twice != once {
			t.Fatalf("%q printed as %q, then as %q", src, once, twice)
		}
	})
}
