package instance

import (
	"testing"

	"fhirwire/validators/fhirpath"
)

// TestQuickLookIsNeverLaxer: what the quick look lets pass has no fault in the full check, and the same content.
func TestQuickLook(t *testing.T) {
	const open = `<div xmlns="http://www.w3.org/1999/xhtml">`
	for _, tt := range []struct {
		text           string
		plain, content bool
	}{
		{open + `<p>x</p></div>`, true, true},
		{open + `<p> &nbsp; ` + "\n" + `</p></div>`, true, false},
		{open + `<u>x</u></div>`, false, true},
		{open + `<a href="#x">y</a><br/><img src="http://e/x.png" alt="z"/></div>`, true, true},
		{open + `<table class="grid"><tr><td colspan="2">a &amp; b</td></tr></table></div>`, true, true},
		{open + `é</div>`, true, true},
		{open + `<table><thead><tr><th>a</th></tr></thead> <tbody><tr><td><p>b</p></td></tr></tbody></table></div>`, true, true},
		{open + `<ul><li>x<ol><li><a href="#x">y</a></li></ol></li></ul></div>`, true, true},
		{open + `<p><b>x</b> <i>y</i></p></div>`, true, true},
		{open + `<table>x<tr><td>y</td></tr></table></div>`, false, true},
		{open + `<table><tr>&amp;<td>y</td></tr></table></div>`, false, true},
		{open + `<li>x</li></div>`, false, true},
		{open + `<tr><td>x</td></tr></div>`, false, true},
		{open + `<p>x</div>`, false, true},
		{open + `<p><div>x</div></p></div>`, false, false},
		{open + `<script>x</script></div>`, false, false},
		{open + `<p onclick="x">y</p></div>`, false, false},
		{open + `<a href="javascript:x">y</a></div>`, false, false},
		{open + `<a href="#x" href="#x">y</a></div>`, false, false},
		{open + `x</div>y`, false, true},
		{open + `x</div><div></div>`, false, true},
		{open + `x`, false, true},
		{`<div>x</div>`, false, false},
		{open + `&bogus;</div>`, false, false},
	} {
		got := quickXHTML(tt.text)
		if got.plain != tt.plain || got.plain && got.content != tt.content {
			t.Errorf("%s: %+v, want plain %v, content %v", tt.text, got, tt.plain, tt.content)
		}
		agrees(t, tt.text)
	}
}

func agrees(t *testing.T, text string) {
	t.Helper()
	got := quickXHTML(text)
	if !got.plain {
		return
	}
	if faults := fhirpath.CheckXHTML(text); len(faults) > 0 {
		t.Errorf("%q passes the quick look, the full check says %v", text, faults)
	}
	if got.content && !hasContent(text) {
		t.Errorf("%q has content for the quick look only", text)
	}
}

func FuzzQuickLook(f *testing.F) {
	for _, s := range []string{`<p>x</p></div>`, `<a href="x" name='y'>&lt;</a></div>`, `<br/>]]></div>`, "<td colspan=\"2\">\x00</td></div>", `<img/></div>`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { agrees(t, `<div xmlns="http://www.w3.org/1999/xhtml">`+s) })
}
