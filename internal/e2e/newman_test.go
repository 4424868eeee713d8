//go:build e2e

package e2e

import (
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// newmanRun is what these tests read of newman's JSON report.
type newmanRun struct {
	File string `json:"-"` // the report
	Run  struct {
		Executions []struct {
			Item struct {
				Name string `json:"name"`
			} `json:"item"`
			Request struct {
				Method string `json:"method"`
				URL    struct {
					Host []string `json:"host"`
					Port string   `json:"port"`
					Path []string `json:"path"`
				} `json:"url"`
			} `json:"request"`
			Response *struct {
				Code   int `json:"code"`
				Header []struct{ Key, Value string }
			} `json:"response"`
		} `json:"executions"`
	} `json:"run"`
}

func newman(t *testing.T, collection string, vars ...string) newmanRun {
	t.Helper()
	bin := os.Getenv("FHIRWIRE_NEWMAN")
	if bin == "" {
		bin = "newman"
	}
	if _, err := exec.LookPath(bin); err != nil {
		t.Fatalf("newman is needed (FHIRWIRE_NEWMAN): %v", err)
	}
	report := filepath.Join(t.TempDir(), "report.json")
	args := []string{"run", collection, "--reporters", "json", "--reporter-json-export", report, "--timeout-request", "300000"}
	for _, v := range vars {
		args = append(args, "--env-var", v)
	}
	// newman exits 1 for requests without an answer; which ones those may be is judged below.
	out, runErr := exec.Command(bin, args...).CombinedOutput()
	src, err := os.ReadFile(report)
	if err != nil {
		t.Fatalf("newman: %v, %v\n%s", runErr, err, out)
	}
	run := newmanRun{File: report}
	if err := json.Unmarshal(src, &run); err != nil {
		t.Fatal(err)
	}
	return run
}

func TestPDexPayerClientCollection(t *testing.T) {
	collection := filepath.Join(shared(t), "postman", "pdex-payer-client.postman_collection.json")
	p := start(t, "--demo")
	run := newman(t, collection, "url_prefix="+p.proxy+"/newman~reference")

	elsewhere, through := 0, 0
	for _, e := range run.Run.Executions {
		if strings.Join(e.Request.URL.Host, ".") == "localhost" && e.Request.URL.Port == "4567" {
			elsewhere++
			continue
		}
		through++
		switch {
		case e.Response == nil:
			t.Errorf("%s: no answer", e.Item.Name)
		case strings.Contains(e.Item.Name, "missing CoverageToMatch"):
			if e.Response.Code != 422 {
				t.Errorf("%s: %d, want 422", e.Item.Name, e.Response.Code)
			}
		case e.Response.Code != 200 && !(e.Item.Name == "export kick-off" && e.Response.Code == 202):
			t.Errorf("%s: %d", e.Item.Name, e.Response.Code)
		}
	}
	if elsewhere != 3 || through < 20 {
		t.Fatalf("%d requests went elsewhere and %d through the proxy: is this the collection?", elsewhere, through)
	}

	got := p.exchanges(t, url.QueryEscape("channel:newman~reference"), through)
	if len(got) != through {
		t.Errorf("%d exchanges recorded, %d requests sent", len(got), through)
	}
	for _, e := range got {
		want := []string{"pass", "pass-notes"}
		if e.Status == 422 {
			want = []string{"fail"} // the request lacks a parameter, on purpose
		}
		if !slices.Contains(want, e.Verdict) {
			t.Errorf("%s %s (%d): verdict %s, want one of %s: %s", e.Method, e.URL, e.Status, e.Verdict, want, p.findings(t, e.ID))
		}
		if e.Interaction.Kind == "other" || e.Interaction.Kind == "" {
			t.Errorf("%s %s is not classified", e.Method, e.URL)
		}
	}
}

// findings is the report's errors in short, for a failed test.
func (p *program) findings(t *testing.T, id string) string {
	t.Helper()
	var rep struct {
		Issues []struct{ Severity, MessageID, Message, Expression, Profile string } `json:"issues"`
	}
	getJSON(t, p.dashboard+"/api/v1/exchanges/"+id+"/report", &rep)
	var b strings.Builder
	for _, is := range rep.Issues {
		if is.Severity == "error" || is.Severity == "fatal" {
			b.WriteString("\n  " + is.MessageID + " " + is.Expression + ": " + is.Message + " " + is.Profile)
		}
	}
	return b.String()
}

// TestUSCoreClientCollection runs the collection against a channel: its requests name a host of their own, so base URL and the
// variables in its paths are filled in as it is loaded. Its two Patients of another id are refused as they should be.
func TestUSCoreClientCollection(t *testing.T) {
	src, err := os.ReadFile(filepath.Join(shared(t), "postman", "us-core-client.postman_collection.json"))
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, "--demo")
	base, err := url.Parse(p.proxy + "/demo-client~reference/fhir")
	if err != nil {
		t.Fatal(err)
	}
	collection := filepath.Join(t.TempDir(), "collection.json")
	if err := os.WriteFile(collection, relocate(t, src, base), 0o600); err != nil {
		t.Fatal(err)
	}
	run := newman(t, collection)
	if len(run.Run.Executions) < 10 {
		t.Fatalf("%d requests", len(run.Run.Executions))
	}
	for _, e := range run.Run.Executions {
		if e.Response == nil {
			t.Errorf("%s %s: no answer", e.Request.Method, e.Item.Name)
			continue
		}
		if e.Request.Method == "GET" && e.Response.Code != 200 {
			t.Errorf("%s %s: %d", e.Request.Method, e.Item.Name, e.Response.Code)
		}
		if e.Response.Code >= 500 {
			t.Errorf("%s %s: %d", e.Request.Method, e.Item.Name, e.Response.Code)
		}
	}
}

// relocate points every request at base and fills in the path variables ":id" and ":vid".
func relocate(t *testing.T, src []byte, base *url.URL) []byte {
	t.Helper()
	var doc any
	if err := json.Unmarshal(src, &doc); err != nil {
		t.Fatal(err)
	}
	const id = "e86e9cae-89a3-44bf-9033-32a2d56f5113"
	fill := strings.NewReplacer("http://0.0.0.0:9292", base.String(), ":id", id, ":vid", "1", "{{gender}}", "male")
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if u, ok := v["url"].(map[string]any); ok {
				raw, _ := u["raw"].(string)
				v["url"] = fill.Replace(raw)
			}
			for _, c := range v {
				walk(c)
			}
		case []any:
			for _, c := range v {
				walk(c)
			}
		}
	}
	walk(doc)
	out, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
