package reference_test

import (
	"bufio"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
	"fhirwire/validators/instance"
)

// judge validates what the server answers and tells each kind of error once.
type judge struct {
	t     *testing.T
	v     *instance.Validator
	seen  map[string]string // kind of error to the first place
	count int
}

func newJudge(t *testing.T) *judge {
	t.Helper()
	set, err := guideSet()
	if err != nil {
		t.Fatal(err)
	}
	return &judge{t: t, v: instance.New(set, set.Terms(), instance.Options{}), seen: map[string]string{}}
}

func (j *judge) check(where, body string) {
	j.t.Helper()
	doc := fhirjson.Parse([]byte(body))
	report, err := j.v.ValidateDocument(j.t.Context(), doc)
	if err != nil {
		j.t.Fatal(err)
	}
	j.count += report.Checked
	for _, i := range report.Issues {
		if i.Severity != validators.SeverityError && i.Severity != validators.SeverityFatal {
			continue
		}
		kind := fmt.Sprintf("%s %s %s: %s", i.MessageID, i.Expression, i.Constraint, i.Message)
		if j.seen[kind] == "" {
			j.seen[kind] = where
		}
	}
}

func (j *judge) report() {
	j.t.Helper()
	for n, kind := range slices.Sorted(maps.Keys(j.seen)) {
		if n == 30 {
			j.t.Errorf("… and %d more", len(j.seen)-n)
			break
		}
		j.t.Errorf("%s: %s", j.seen[kind], kind)
	}
	j.t.Logf("%d resources validated", j.count)
}

// TestAnswersAreValid walks what the server can say and holds every Bundle, resource, outcome and file line against the
// profiles it claims. FHIRWIRE_CRAWL is how many synthetic members there are, 4 where it is not set.
func TestAnswersAreValid(t *testing.T) {
	members := 4
	if v := os.Getenv("FHIRWIRE_CRAWL"); v != "" {
		var err error
		if members, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	}
	s, j := start(t, members), newJudge(t)
	crawl := func(path string, want, pages int, header ...string) {
		t.Helper()
		for ; path != "" && pages > 0; pages-- {
			r := s.get(path, header...)
			if r.status != want {
				t.Errorf("%s: status %d, want %d: %.300s", path, r.status, want, r.raw)
				return
			}
			j.check(path, r.raw)
			path = r.link("next")
		}
	}
	crawl("/metadata", 200, 1)
	counts, err := s.ref.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for typ := range counts {
		crawl("/"+typ+"?_count=100&_revinclude=Provenance:target", 200, 4)
	}
	crawl("/Patient/999/$everything?_count=60", 200, 20)
	crawl("/Patient/999", 200, 1)
	crawl("/Patient/999/_history", 200, 1)
	crawl("/Patient?_summary=count", 200, 1)
	crawl("/Patient?_elements=name&_count=3", 200, 1)
	crawl("/ExplanationOfBenefit?patient=999&_include=*", 200, 1)
	crawl("/MedicationRequest?patient=999&_include=MedicationRequest:medication", 200, 1)
	crawl("/Patient/unknown", 404, 1)
	crawl("/Nothing/1", 404, 1)
	crawl("/nowhere/at/all/here", 404, 1)
	crawl("/Patient?birthdate=yesterday", 400, 1)
	crawl("/Patient?birthdate:near=2000", 400, 1)
	crawl("/Patient?unheard-of=1", 400, 1, "Prefer", "handling=strict")
	crawl("/Patient/999", 406, 1, "Accept", "application/fhir+xml")
	crawl("/Patient/$export?_outputFormat=csv", 400, 1)
	crawl("/bulk/none/status", 404, 1)
	for _, file := range s.export("/Patient/$export").files("output") {
		r := s.get(file)
		sc := bufio.NewScanner(strings.NewReader(r.raw))
		sc.Buffer(nil, 16<<20)
		for sc.Scan() {
			j.check(file, sc.Text())
		}
	}
	j.report()
}

// manifest waits for an export and gives the final poll.
func (s *server) export(path string, header ...string) reply {
	s.t.Helper()
	kick := s.get(path, header...)
	if kick.status != http.StatusAccepted {
		s.t.Fatalf("%s: status %d: %s", path, kick.status, kick.raw)
	}
	return s.wait(kick.header.Get("Content-Location"))
}

// patience is how long a test waits for what does end, however busy the machine is.
const patience = 10 * time.Minute

func (s *server) wait(status string) reply {
	s.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		r := s.get(status)
		if r.status != http.StatusAccepted {
			return r
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.t.Fatal("the export does not end")
	return reply{}
}

// files are the URLs of a list of a manifest.
func (r reply) files(list string) []string {
	var out []string
	entries, _ := r.json[list].([]any)
	for _, e := range entries {
		out = append(out, e.(map[string]any)["url"].(string))
	}
	return out
}
