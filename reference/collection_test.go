package reference_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"fhirwire/reference/collection"
)

var variable = regexp.MustCompile(`\{\{(\w+)\}\}`)

// Every request of our own collections gets the answer it announces.
func TestOwnCollections(t *testing.T) {
	s := start(t, 3)
	for _, track := range collection.Tracks() {
		c, err := collection.For(track, s.url)
		if err != nil {
			t.Fatal(err)
		}
		vars := map[string]string{}
		for _, v := range c.Variables {
			vars[v.Name] = v.Value
		}
		fill := func(text string) string {
			return variable.ReplaceAllStringFunc(text, func(m string) string { return vars[strings.Trim(m, "{}")] })
		}
		for _, r := range c.Requests {
			var header []string
			for _, h := range r.Headers {
				header = append(header, h.Name, h.Value)
			}
			var got reply
			for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
				if got = s.do(r.Method, fill(r.Path), fill(r.Body), header...); got.status != 202 || !r.Polls {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			if got.status != r.Status {
				t.Errorf("%s: %s/%s: %d, want %d: %.300s", track, r.Folder, r.Name, got.status, r.Status, got.raw)
				continue
			}
			if got.json["resourceType"] == "Bundle" && got.json["entry"] == nil {
				t.Errorf("%s: %s/%s finds nothing", track, r.Folder, r.Name)
			}
			for _, k := range r.Keep {
				vars[k.Variable] = got.header.Get(k.Header)
				if k.Member != "" {
					vars[k.Variable], _ = member(got.json, k.Member).(string)
				}
				if vars[k.Variable] == "" {
					t.Errorf("%s: %s/%s: nothing to keep as %s", track, r.Folder, r.Name, k.Variable)
				}
			}
		}
	}
}

// member follows a path like output[0].url.
func member(v any, path string) any {
	for step := range strings.FieldsFuncSeq(path, func(c rune) bool { return strings.ContainsRune(".[]", c) }) {
		if i, err := strconv.Atoi(step); err == nil {
			list, _ := v.([]any)
			if i >= len(list) {
				return nil
			}
			v = list[i]
			continue
		}
		m, _ := v.(map[string]any)
		v = m[step]
	}
	return v
}
