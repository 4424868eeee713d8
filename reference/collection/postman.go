package collection

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

// postmanSchema is the format's version 2.1.
const postmanSchema = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"

type pmCollection struct {
	Info     pmInfo       `json:"info"`
	Item     []pmFolder   `json:"item"`
	Variable []pmVariable `json:"variable"`
}

type pmInfo struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Schema      string `json:"schema"`
}

type pmVariable struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

type pmFolder struct {
	Name string   `json:"name"`
	Item []pmItem `json:"item"`
}

type pmItem struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Event   []pmEvent `json:"event"`
	Request pmRequest `json:"request"`
}

type pmEvent struct {
	Listen string   `json:"listen"`
	Script pmScript `json:"script"`
}

type pmScript struct {
	Type string   `json:"type"`
	Exec []string `json:"exec"`
}

type pmRequest struct {
	Method string       `json:"method"`
	Header []pmVariable `json:"header"`
	Body   *pmBody      `json:"body,omitempty"`
	URL    pmURL        `json:"url"`
}

type pmBody struct {
	Mode string `json:"mode"`
	Raw  string `json:"raw"`
}

type pmURL struct {
	Raw   string       `json:"raw"`
	Host  []string     `json:"host"`
	Path  []string     `json:"path,omitempty"`
	Query []pmVariable `json:"query,omitempty"`
}

// Postman writes the collection in Postman's format 2.1, with a test on each status.
func (c *Collection) Postman() ([]byte, error) {
	out := pmCollection{Info: pmInfo{
		Name: "fhirwire: " + c.Title, Schema: postmanSchema,
		Description: "Made by fhirwire for its synthetic data (fhirwire serve --demo). Set base to the server, or to a channel of the proxy; token may stay empty where none is asked for.",
	}}
	for _, v := range c.Variables {
		out.Variable = append(out.Variable, pmVariable{v.Name, v.Value})
	}
	for i := range c.Requests {
		r := &c.Requests[i]
		// Requests go in the table's order; a folder opens where its name changes.
		if n := len(out.Item); n == 0 || out.Item[n-1].Name != r.Folder {
			out.Item = append(out.Item, pmFolder{Name: r.Folder})
		}
		f := &out.Item[len(out.Item)-1]
		item := pmItem{ID: fmt.Sprintf("%s-%d", c.Track, i+1), Name: r.Name, Request: pmRequest{Method: r.Method, Header: []pmVariable{}, URL: postmanURL(r.Path)}}
		for _, h := range r.Headers {
			item.Request.Header = append(item.Request.Header, pmVariable{h.Name, h.Value})
		}
		if r.Body != "" {
			item.Request.Body = &pmBody{"raw", r.Body}
		}
		item.Event = []pmEvent{
			{"prerequest", pmScript{"text/javascript", []string{`if (pm.variables.get("token")) { pm.request.headers.add({key: "Authorization", value: "Bearer " + pm.variables.get("token")}); }`}}},
			{"test", pmScript{"text/javascript", script(r)}},
		}
		f.Item = append(f.Item, item)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "\t")
	if err := e.Encode(out); err != nil {
		return nil, fmt.Errorf("collection %s: %w", c.Track, err)
	}
	return b.Bytes(), nil
}

func postmanURL(path string) pmURL {
	if !strings.HasPrefix(path, "/") {
		return pmURL{Raw: path, Host: []string{path}}
	}
	u := pmURL{Raw: "{{base}}" + path, Host: []string{"{{base}}"}}
	p, query, _ := strings.Cut(path, "?")
	u.Path = strings.Split(strings.TrimPrefix(p, "/"), "/")
	if query == "" {
		return u
	}
	for part := range strings.SplitSeq(query, "&") {
		k, v, _ := strings.Cut(part, "=")
		u.Query = append(u.Query, pmVariable{k, v})
	}
	return u
}

// script tests the status and keeps what later requests need. A poll that is too early is sent again a second later.
func script(r *Request) (exec []string) {
	var out []string
	if r.Polls {
		out = append(out,
			`if (pm.response.code === 202) {`,
			`	setTimeout(function () {}, 1000);`,
			`	postman.setNextRequest(pm.info.requestId);`,
			`} else {`)
		defer func() { exec = append(exec, `}`) }()
	}
	out = append(out, fmt.Sprintf(`pm.test("status %d", function () { pm.response.to.have.status(%d); });`, r.Status, r.Status))
	for _, k := range r.Keep {
		if k.Header != "" {
			out = append(out, fmt.Sprintf(`pm.collectionVariables.set(%q, pm.response.headers.get(%q));`, k.Variable, k.Header))
		} else {
			out = append(out, fmt.Sprintf(`pm.collectionVariables.set(%q, pm.response.json().%s);`, k.Variable, k.Member))
		}
	}
	return out
}

// HTTP writes the collection as an .http file, with the named requests and response variables that editors' HTTP clients know.
func (c *Collection) HTTP() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# fhirwire: %s\n# Made by fhirwire for its synthetic data (fhirwire serve --demo).\n\n", c.Title)
	for _, v := range c.Variables {
		if v.Name != "token" {
			fmt.Fprintf(&b, "@%s = %s\n", v.Name, v.Value)
		}
	}
	b.WriteString("# Where a token is asked for, add to each request: Authorization: Bearer …\n")
	kept := map[string]string{}
	for i := range c.Requests {
		r := &c.Requests[i]
		fmt.Fprintf(&b, "\n### %s: %s\n# answers %d", r.Folder, r.Name, r.Status)
		if r.Polls {
			b.WriteString(" (send again while it answers 202)")
		}
		b.WriteByte('\n')
		name := "r" + fmt.Sprint(i+1)
		if len(r.Keep) > 0 {
			fmt.Fprintf(&b, "# @name %s\n", name)
		}
		path := r.Path
		if strings.HasPrefix(path, "/") {
			path = "{{base}}" + path
		} else if v, ok := kept[strings.Trim(path, "{}")]; ok {
			path = v
		}
		fmt.Fprintf(&b, "%s %s\n", r.Method, path)
		for _, h := range r.Headers {
			fmt.Fprintf(&b, "%s: %s\n", h.Name, h.Value)
		}
		if r.Body != "" {
			fmt.Fprintf(&b, "\n%s\n", r.Body)
		}
		for _, k := range r.Keep {
			if k.Header != "" {
				kept[k.Variable] = "{{" + name + ".response.headers." + k.Header + "}}"
			} else {
				kept[k.Variable] = "{{" + name + ".response.body.$." + k.Member + "}}"
			}
		}
	}
	return b.Bytes()
}

// Valid reports what is wrong with a collection's table: names used twice in a folder, variables that nothing sets, paths
// that are no URLs.
func (c *Collection) Valid() error {
	set := map[string]bool{}
	for _, v := range c.Variables {
		set[v.Name] = true
	}
	seen := map[string]bool{}
	for i := range c.Requests {
		r := &c.Requests[i]
		if key := r.Folder + "/" + r.Name; seen[key] {
			return fmt.Errorf("request %s comes twice", key)
		} else {
			seen[key] = true
		}
		if strings.HasPrefix(r.Path, "/") {
			if _, err := url.Parse("http://x" + strings.NewReplacer("{{", "", "}}", "").Replace(r.Path)); err != nil {
				return fmt.Errorf("request %s: %w", r.Name, err)
			}
		}
		for _, text := range []string{r.Path, r.Body} {
			for rest := text; ; {
				_, after, ok := strings.Cut(rest, "{{")
				if !ok {
					break
				}
				name, tail, _ := strings.Cut(after, "}}")
				if !set[name] {
					return fmt.Errorf("request %s: nothing sets {{%s}}", r.Name, name)
				}
				rest = tail
			}
		}
		for _, k := range r.Keep {
			set[k.Variable] = true
		}
	}
	return nil
}
