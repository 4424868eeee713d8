package collection_test

import (
	"encoding/json"
	"strings"
	"testing"

	"fhirwire/reference/collection"
)

func TestTables(t *testing.T) {
	for _, track := range collection.Tracks() {
		c, err := collection.For(track, "http://payer.example/fhir/")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Valid(); err != nil {
			t.Errorf("%s: %v", track, err)
		}
		if c.Variables[0].Value != "http://payer.example/fhir" || len(c.Requests) < 20 {
			t.Errorf("%s: %v, %d requests", track, c.Variables, len(c.Requests))
		}
		for _, r := range c.Requests {
			if r.Method == "POST" && r.Body != "" && r.Name != "No resource at all" && strings.HasPrefix(r.Body, "{") && !json.Valid([]byte(r.Body)) {
				t.Errorf("%s: body is no JSON", r.Name)
			}
		}
	}
	if _, err := collection.For("no-such-track", ""); err == nil || !strings.Contains(err.Error(), "payer-to-payer") {
		t.Errorf("unknown track: %v", err)
	}
}

func TestValidFindsFaults(t *testing.T) {
	for name, c := range map[string]collection.Collection{
		"twice":      {Requests: []collection.Request{{Folder: "f", Name: "n", Path: "/x"}, {Folder: "f", Name: "n", Path: "/x"}}},
		"unset":      {Requests: []collection.Request{{Name: "n", Path: "{{status}}"}}},
		"body":       {Requests: []collection.Request{{Name: "n", Path: "/x", Body: "{{status}}"}}},
		"no path":    {Requests: []collection.Request{{Name: "n", Path: "/%zz"}}},
		"set behind": {Requests: []collection.Request{{Name: "a", Path: "{{v}}"}, {Name: "b", Path: "/x", Keep: []collection.Capture{{Variable: "v", Header: "H"}}}}},
	} {
		if c.Valid() == nil {
			t.Errorf("%s is valid", name)
		}
	}
}

func TestPostman(t *testing.T) {
	c, err := collection.For(collection.Formulary, "")
	if err != nil {
		t.Fatal(err)
	}
	src, err := c.Postman()
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Info struct{ Schema string }
		Item []struct {
			Name string
			Item []struct {
				Name    string
				Request struct {
					URL struct {
						Raw  string
						Host []string
					}
				}
				Event []struct {
					Listen string
					Script struct{ Exec []string }
				}
			}
		}
		Variable []struct{ Key, Value string }
	}
	if err := json.Unmarshal(src, &got); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(got.Info.Schema, "v2.1.0") || got.Variable[0].Value != collection.DefaultBase {
		t.Errorf("%+v %+v", got.Info, got.Variable)
	}
	n, polls := 0, 0
	for _, f := range got.Item {
		for _, i := range f.Item {
			n++
			if strings.Contains(strings.Join(i.Event[1].Script.Exec, "\n"), "setNextRequest") {
				polls++
			}
			if i.Request.URL.Raw == "" || len(i.Request.URL.Host) != 1 {
				t.Errorf("%s/%s: URL %+v", f.Name, i.Name, i.Request.URL)
			}
		}
	}
	if n != len(c.Requests) || polls != 4 {
		t.Errorf("%d of %d requests, %d polls", n, len(c.Requests), polls)
	}
}

func TestHTTP(t *testing.T) {
	c, err := collection.For(collection.ProviderAccess, "")
	if err != nil {
		t.Fatal(err)
	}
	text := string(c.HTTP())
	for _, want := range []string{
		"@base = " + collection.DefaultBase, "GET {{base}}/Group/{{group}}/$export?", "Prefer: respond-async",
		".response.headers.Content-Location}}\nAccept: application/json", ".response.body.$.output[0].url}}",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("without %q", want)
		}
	}
	if strings.Contains(text, "{{status_") || strings.Count(text, "\n### ") != len(c.Requests) {
		t.Errorf("variables left, or %d requests of %d", strings.Count(text, "\n### "), len(c.Requests))
	}
}
