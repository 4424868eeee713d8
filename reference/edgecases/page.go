package edgecases

import (
	"bytes"
	"html/template"
	"net/http"
	"strconv"
	"strings"
)

// page is the switches for people: forms without script.
var page = template.Must(template.New("edges").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Edge cases of the reference payer</title>
<h1>Edge cases of the reference payer</h1>
<p>What is switched on here makes the server answer wrongly to a client, so that the client can be tried. Each such answer says so in
the header <code>{{.Header}}</code>.</p>
{{with .Problem}}<p role="alert"><strong>{{.}}</strong></p>{{end}}
<h2>On</h2>
{{range .Switches}}<form method="post"><p>
<strong>{{if eq .Client "*"}}every client{{else}}{{.Client}}{{end}}</strong>: {{range $i, $e := .Edges}}{{if $i}}, {{end}}{{$e}}{{end}}
{{if .Times}}, {{.Times}} more times{{end}}, {{.Seconds}} seconds
<input type="hidden" name="client" value="{{.Client}}">
<button name="off" value="1">Turn off</button></p></form>
{{else}}<p>Nothing.</p>
{{end}}<h2>Turn on</h2>
<form method="post">
<p><label>Client: its OAuth client id, the address it calls from, or * for every client<br><input name="client" required maxlength="255"></label></p>
<fieldset><legend>What goes wrong</legend>
{{range .Edges}}<div><label><input type="checkbox" name="edge" value="{{.Edge}}"> {{.Edge}}: {{.Does}}</label></div>
{{end}}</fieldset>
<p><label>How often (0: until turned off) <input name="times" type="number" min="0" value="0"></label>
<label>Seconds <input name="seconds" type="number" min="1" max="3600" value="30"></label></p>
<p><button>Turn on</button></p>
</form>
`))

// wantsPage holds for browsers.
func wantsPage(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

func (s *Switches) show(w http.ResponseWriter, status int, problem string) {
	var b bytes.Buffer
	err := page.Execute(&b, struct {
		Header, Problem string
		Edges           []Description
		Switches        []Switch
	}{Header, problem, Edges(), s.List()})
	if err != nil { // the template and its data are ours
		panic(err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the client is gone; there is nobody to tell
}

// submit takes the page's forms. A browser says where a form comes from; one that does not is refused.
func (s *Switches) submit(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Origin") == "" {
		problem(w, http.StatusForbidden, "A form without origin is not taken; PUT a switch as JSON.")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		s.show(w, http.StatusBadRequest, "The form cannot be read.")
		return
	}
	in := Switch{Client: strings.TrimSpace(r.PostForm.Get("client"))}
	if r.PostForm.Get("off") != "" {
		s.Clear(in.Client)
		http.Redirect(w, r, AdminPath, http.StatusSeeOther)
		return
	}
	for _, e := range r.PostForm["edge"] {
		in.Edges = append(in.Edges, Edge(e))
	}
	for name, to := range map[string]*int{"times": &in.Times, "seconds": &in.Seconds} {
		n, err := strconv.Atoi(r.PostForm.Get(name))
		if err != nil && r.PostForm.Get(name) != "" {
			s.show(w, http.StatusBadRequest, name+" is no number.")
			return
		}
		*to = n
	}
	if err := s.Set(in); err != nil {
		s.show(w, http.StatusBadRequest, err.Error())
		return
	}
	http.Redirect(w, r, AdminPath, http.StatusSeeOther)
}
