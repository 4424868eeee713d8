package fhirpath_test

import (
	"slices"
	"strings"
	"testing"

	"fhirwire/validators/fhirpath"
)

func TestCheckXHTML(t *testing.T) {
	div := func(s string) string { return `<div xmlns="http://www.w3.org/1999/xhtml">` + s + `</div>` }
	for _, tt := range []struct {
		src  string
		want []string
	}{
		{div(`<p class="a">x &nbsp;&amp;&#160; <b>y</b><br/></p><!-- c --><table border="1"><tr><td colspan="2">1</td></tr></table>`), nil},
		{div(`<a href="#x" name="y">z</a><img src="#i" alt="i"/>`), nil},
		{`<div>x</div>`, []string{"the div element is not in the namespace http://www.w3.org/1999/xhtml"}},
		{`<p xmlns="http://www.w3.org/1999/xhtml">x</p>`, []string{"the root element is p, not div"}},
		{div(`<script>x</script>`), []string{"the element script is not allowed"}},
		{div(`<a onclick="x()">y</a>`), []string{"the attribute onclick of the element a is not allowed"}},
		{div(`<a href="JavaScript:x()">y</a>`), []string{"the attribute href runs a script"}},
		{div(`<p><div>x</div></p>`), []string{"the element div cannot stand in a paragraph"}},
		{div(`<table><caption>c</caption><colgroup><col/></colgroup><thead><tr><th>a</th></tr></thead> <tbody><tr><td><p>b</p></td></tr></tbody></table>`), nil},
		{div(`<ul><li>x<ol><li>y</li></ol></li></ul><dl><dt>a</dt><dd>b</dd></dl><b><p>x</p></b>`), nil},
		{div(`<table><td>x</td></table>`), []string{"the element td cannot stand directly in the element table"}},
		{div(`<table>x<tr>y</tr></table>`), []string{"the element table holds no text of its own", "the element tr holds no text of its own"}},
		{div(`<li>x</li>`), []string{"the element li cannot stand directly in the element div"}},
		{div(`<ul><p>x</p></ul>`), []string{"the element p cannot stand directly in the element ul"}},
		{div(`<dt>x</dt>`), []string{"the element dt cannot stand directly in the element div"}},
		{div(`<b><table><tr><td>x</td></tr></table></b>`), []string{"the element table cannot stand in the element b"}},
		{div(`<h2><div>x</div></h2>`), []string{"the element div cannot stand in the element h2"}},
		{div(`<a href="x"><b><a href="y">z</a></b></a>`), []string{"a link cannot stand in a link"}},
		{div(`<p>x`), []string{"the end tag div closes nothing", "the element p is not closed"}},
		{div(`<u>x</u><ins>y</ins>`), []string{"the element u is not allowed", "the element ins is not allowed"}},
		{div(`<a href="x" target="y">z</a>`), []string{"the attribute target of the element a is not allowed"}},
		{div(`&nothing;`), []string{"it is not well-formed: invalid character entity &nothing;"}},
		{div(`<b a="1" a="2"/>`), []string{"the attribute a of the element b is not allowed", "the attribute a occurs twice", "the attribute a of the element b is not allowed"}},
		{"plain", []string{"there is text outside the div element", "there is no div element"}},
		{"", []string{"there is no div element"}},
		{div("") + div(""), []string{"there is more than one root element"}},
		{`<?x y?>` + div(""), []string{"processing instructions are not allowed"}},
		{`<!DOCTYPE html>` + div(""), []string{"a document type is not allowed"}},
	} {
		var got []string
		for _, f := range fhirpath.CheckXHTML(tt.src) {
			if f.Offset < 0 || f.Offset > len(tt.src) {
				t.Errorf("%s: offset %d", tt.src, f.Offset)
			}
			got = append(got, f.Text)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.src, got, tt.want)
		}
	}
}

func TestCheckXHTMLIsBounded(t *testing.T) {
	if n := len(fhirpath.CheckXHTML(strings.Repeat("<div>", 100_000))); n == 0 || n > 40 {
		t.Fatalf("%d faults", n)
	}
}
