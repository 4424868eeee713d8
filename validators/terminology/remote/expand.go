package remote

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"fhirwire/validators/terminology"
)

// maxCodes is the size up to which a value set is expanded rather than asked about code by code.
const maxCodes = 1000

// set is what is known of a value set on the server.
type set struct {
	mu    sync.Mutex
	asked int // codes asked one by one
	tried bool
	codes map[[2]string]bool // system and code; nil where it cannot be expanded
	folds map[string]bool    // codes in lower case: a code that differs in case only is asked about
}

// fromExpansion answers from the expansion of a value set, which is fetched when several codes were asked for; not ok where there
// is none.
func (s *Service) fromExpansion(q question) (answer, bool) {
	if s.o.ExpandAfter < 0 {
		return answer{}, false
	}
	s.mu.Lock()
	vs := s.sets[q.valueSet]
	if vs == nil {
		vs = new(set)
		s.sets[q.valueSet] = vs
	}
	s.mu.Unlock()

	vs.mu.Lock()
	defer vs.mu.Unlock()
	if !vs.tried {
		if vs.asked++; vs.asked <= s.o.ExpandAfter {
			return answer{}, false
		}
		vs.tried = true
		vs.codes, vs.folds = s.expand(q.valueSet)
	}
	if vs.codes == nil {
		return answer{}, false
	}
	if vs.has(q) {
		return answer{Answer: terminology.Answer{Value: terminology.Yes}}, true
	}
	if vs.folds[strings.ToLower(q.code)] {
		return answer{}, false
	}
	return answer{Answer: terminology.Answer{Value: terminology.No, Why: "the terminology server's expansion does not have it"}}, true
}

func (vs *set) has(q question) bool {
	system, _, _ := strings.Cut(q.system, "|")
	return vs.codes[[2]string{system, q.code}]
}

// expand fetches the whole value set, nil when it is too large or the server does not give all of it.
func (s *Service) expand(valueSet string) (codes map[[2]string]bool, folds map[string]bool) {
	v := url.Values{"count": {strconv.Itoa(maxCodes)}, "includeDesignations": {"false"}}
	addCanonical(v, "url", "valueSetVersion", valueSet)
	var e expansion
	if err := s.get("/ValueSet/$expand", v, maxExpansion, &e); err != nil {
		return nil, nil // the codes are asked about one by one, which says why that fails
	}
	codes, folds = map[[2]string]bool{}, map[string]bool{}
	n := 0
	e.each(e.Expansion.Contains, 0, func(c *contains) {
		n++
		if c.Code == "" || c.Abstract {
			return
		}
		codes[[2]string{c.System, c.Code}] = true
		codes[[2]string{"", c.Code}] = true
		folds[strings.ToLower(c.Code)] = true
	})
	if !e.whole(n) {
		return nil, nil
	}
	return codes, folds
}

type expansion struct {
	ResourceType string `json:"resourceType"`
	Extension    []struct {
		URL string `json:"url"`
	} `json:"extension"`
	Expansion struct {
		Extension []struct {
			URL string `json:"url"`
		} `json:"extension"`
		Total     *int       `json:"total"`
		Offset    int        `json:"offset"`
		Contains  []contains `json:"contains"`
		Parameter []struct {
			Name string `json:"name"`
			// A limited expansion says so with true.
			ValueBoolean bool `json:"valueBoolean"`
		} `json:"parameter"`
	} `json:"expansion"`
}

type contains struct {
	System   string     `json:"system"`
	Code     string     `json:"code"`
	Abstract bool       `json:"abstract"`
	Contains []contains `json:"contains"`
}

func (e *expansion) check() error {
	if e.ResourceType != "ValueSet" {
		return errors.New("the terminology server's answer is no ValueSet resource")
	}
	return nil
}

func (e *expansion) each(list []contains, depth int, f func(*contains)) {
	for i := range list {
		f(&list[i])
		if depth < 50 {
			e.each(list[i].Contains, depth+1, f)
		}
	}
}

// whole reports whether the n entries are all there is: a page that could be followed by another is not.
func (e *expansion) whole(n int) bool {
	for _, x := range e.Expansion.Extension {
		if strings.HasSuffix(x.URL, "/valueset-unclosed") || strings.HasSuffix(x.URL, "/valueset-toocostly") {
			return false
		}
	}
	for _, p := range e.Expansion.Parameter {
		if p.Name == "limitedExpansion" && p.ValueBoolean {
			return false
		}
	}
	if n == 0 || e.Expansion.Offset != 0 {
		return false // an empty expansion is more often a server that lacks the code system
	}
	if t := e.Expansion.Total; t != nil {
		return *t <= n
	}
	return n < maxCodes
}
