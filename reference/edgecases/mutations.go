package edgecases

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The mutations: each makes one mistake that servers make, so that it can be shown that a test plan finds it, and finds nothing else.
const (
	WrongStatus         Edge = "mutation-wrong-status"
	MissingManifestKey  Edge = "mutation-missing-manifest-key"
	CountOffByOne       Edge = "mutation-count-off-by-one"
	PatientFilter       Edge = "mutation-patient-filter-widened"
	TransactionTimeLate Edge = "mutation-transaction-time-at-job-end"
	TokenLeaked         Edge = "mutation-token-leaked"
	MemberCodeMissing   Edge = "mutation-mb-code-missing"
	OKForNoMatch        Edge = "mutation-200-for-no-match"
	RelativeURL         Edge = "mutation-absolute-url-missing"
	FileType            Edge = "mutation-content-type-wrong"
)

// mutation changes an answer that was held back whole; it reports whether it did.
type mutation struct {
	Description

	// on says whether an answer to a request below the FHIR base may be concerned, so that others are not held back.
	on func(r *http.Request, path string) bool
	// ask, if set, changes the request before it is answered.
	ask func(r *http.Request)
	do  func(r *http.Request, a *held, now time.Time) bool
	// running makes an export say that it runs for a second after its first poll, so that there is an answer that says so; now is then
	// the same each time.
	running bool
}

// Mutations lists the mistakes that there are for trying test plans; people are not offered them.
func Mutations() []Description {
	var out []Description
	for _, m := range mutations() {
		out = append(out, m.Description)
	}
	return out
}

func mutations() []mutation {
	return slices.Concat(firstMutations(), kickoffMutations(), statusMutations(), fileMutations(), matchMutations(), listMutations(), answerMutations(), oauthMutations())
}

// exportKickoff is for the starts of exports.
func exportKickoff(_ *http.Request, path string) bool {
	return strings.HasSuffix(path, "/$export") || strings.HasSuffix(path, "/$davinci-data-export")
}

// exportStatus is for the status of exports.
func exportStatus(r *http.Request, path string) bool {
	return r.Method == http.MethodGet && strings.HasPrefix(path, "/bulk/") && strings.HasSuffix(path, "/status")
}

// exportFile is for the files of exports.
func exportFile(_ *http.Request, path string) bool {
	return strings.HasPrefix(path, "/bulk/") && strings.Contains(path, "/files/")
}

// memberMatch is for $member-match.
func memberMatch(r *http.Request, path string) bool {
	return r.Method == http.MethodPost && path == "/Patient/$member-match"
}

// firstMutations are the ten that the issue of test plans names.
func firstMutations() []mutation {
	return []mutation{
		{
			Description{WrongStatus, "an export is accepted with 200 instead of 202"},
			exportKickoff, nil,
			func(_ *http.Request, a *held, _ time.Time) bool {
				was := a.status
				if was == http.StatusAccepted {
					a.status = http.StatusOK
				}
				return was == http.StatusAccepted
			}, false,
		},
		{
			Description{MissingManifestKey, "the manifest of an export has no request"},
			exportStatus, nil,
			func(_ *http.Request, a *held, _ time.Time) bool {
				return a.object(func(m map[string]any) bool { delete(m, "request"); return true })
			}, false,
		},
		{
			Description{CountOffByOne, "the manifest of an export counts one line too many in each file"},
			exportStatus, nil,
			func(_ *http.Request, a *held, _ time.Time) bool {
				return a.object(func(m map[string]any) bool {
					return eachFile(m, func(f map[string]any) {
						if n, ok := f["count"].(json.Number); ok {
							if v, err := n.Int64(); err == nil {
								f["count"] = v + 1
							}
						}
					})
				})
			}, false,
		},
		{
			Description{PatientFilter, "a search by patient also finds what belongs to others"},
			func(r *http.Request, _ string) bool {
				return r.URL.Query().Has("patient") && r.Method == http.MethodGet
			},
			func(r *http.Request) {
				q := r.URL.Query()
				q.Del("patient")
				r.URL.RawQuery = q.Encode()
			},
			func(*http.Request, *held, time.Time) bool { return true }, false,
		},
		{
			Description{TransactionTimeLate, "transactionTime of an export is when it was complete, not when the data were looked at"},
			exportStatus, nil,
			func(_ *http.Request, a *held, now time.Time) bool {
				return a.object(func(m map[string]any) bool { m["transactionTime"] = now.UTC().Format(time.RFC3339Nano); return true })
			}, true,
		},
		{
			Description{TokenLeaked, "the URLs of an export's files have the access token in them"},
			exportStatus, nil,
			func(r *http.Request, a *held, _ time.Time) bool {
				token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
				return a.object(func(m map[string]any) bool {
					return eachFile(m, func(f map[string]any) {
						if u, ok := f["url"].(string); ok {
							f["url"] = u + "?access_token=" + url.QueryEscape(token)
						}
					})
				})
			}, false,
		},
		{
			Description{MemberCodeMissing, "the identifier that $member-match returns has no type code"},
			memberMatch, nil,
			func(_ *http.Request, a *held, _ time.Time) bool {
				return a.status == http.StatusOK && a.object(func(m map[string]any) bool {
					list, _ := m["parameter"].([]any)
					for _, p := range list {
						if v, ok := p.(map[string]any)["valueIdentifier"].(map[string]any); ok {
							return withoutCode(v)
						}
					}
					return false
				})
			}, false,
		},
		{
			Description{OKForNoMatch, "$member-match answers 200 without an identifier where nobody matches"},
			memberMatch, nil,
			func(_ *http.Request, a *held, _ time.Time) bool {
				if a.status != http.StatusUnprocessableEntity || !bytes.Contains(a.body.Bytes(), []byte(`"not-found"`)) {
					return false
				}
				a.status = http.StatusOK
				a.set([]byte(`{"resourceType":"Parameters","parameter":[]}`))
				return true
			}, false,
		},
		{
			Description{RelativeURL, "the URLs of an export's files are relative"},
			exportStatus, nil,
			func(_ *http.Request, a *held, _ time.Time) bool {
				return a.object(func(m map[string]any) bool {
					return eachFile(m, func(f map[string]any) {
						if text, ok := f["url"].(string); ok {
							if u, err := url.Parse(text); err == nil {
								f["url"] = u.RequestURI()
							}
						}
					})
				})
			}, false,
		},
		{
			Description{FileType, "the files of an export are application/json"},
			exportFile, nil,
			func(_ *http.Request, a *held, _ time.Time) bool {
				a.header.Set("Content-Type", "application/json")
				return true
			}, false,
		},
	}
}

// withoutCode takes the codes out of an identifier's type: MB, and UMB, which stands for it later.
func withoutCode(identifier map[string]any) bool {
	typ, _ := identifier["type"].(map[string]any)
	codings, _ := typ["coding"].([]any)
	for _, c := range codings {
		if coding, ok := c.(map[string]any); ok {
			delete(coding, "code")
		}
	}
	return len(codings) > 0
}

func eachFile(manifest map[string]any, do func(map[string]any)) bool {
	list, _ := manifest["output"].([]any)
	for _, f := range list {
		if file, ok := f.(map[string]any); ok {
			do(file)
		}
	}
	return len(list) > 0
}

// mutate plays the mutations that are on; it reports whether it answered.
func (s *Switches) mutate(w http.ResponseWriter, r *http.Request, path string, a *active, next http.Handler) bool {
	var on []mutation
	for _, m := range append(mutations(), s.openFiles()) {
		if a.has(m.Edge) && m.on(r, path) {
			on = append(on, m)
		}
	}
	if len(on) == 0 {
		return false
	}
	r = r.Clone(r.Context())
	for _, name := range []string{"Accept-Encoding", "Range", "If-None-Match", "If-Modified-Since"} {
		r.Header.Del(name) // a whole, plain answer is there to be changed
	}
	for _, m := range on {
		if m.ask != nil {
			m.ask(r)
		}
	}
	h := &held{header: w.Header()}
	next.ServeHTTP(h, r)
	if h.status == 0 {
		h.status = http.StatusOK
	}
	now := s.o.Clock()
	if slices.ContainsFunc(on, func(m mutation) bool { return m.running }) && h.status == http.StatusOK {
		if s.held(path, 1) > 0 {
			clear(h.header)
			h.set(nil)
			h.status = 0
			stillRunning(h, "1")
		}
		now = s.asked(path).Add(1500 * time.Millisecond)
	}
	for _, m := range on {
		if m.do(r, h, now) {
			s.played(a, m.Edge)
		}
	}
	h.header.Del("ETag")
	if h.header.Get("Content-Length") != "" {
		h.header.Set("Content-Length", strconv.Itoa(h.body.Len()))
	}
	w.WriteHeader(h.status)
	_, _ = w.Write(h.body.Bytes()) // the client is gone; there is nobody to tell
	return true
}

// held is an answer that is kept until it is complete.
type held struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *held) Header() http.Header { return h.header }

func (h *held) WriteHeader(status int) {
	if h.status == 0 {
		h.status = status
	}
}

func (h *held) Write(p []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	return h.body.Write(p)
}

func (h *held) set(body []byte) {
	h.body.Reset()
	h.body.Write(body)
}

// object changes a body that is a JSON object, answered 200.
func (h *held) object(change func(map[string]any) bool) bool {
	return h.status == http.StatusOK && h.json(change)
}

// json changes a body that is a JSON object, whatever the status.
func (h *held) json(change func(map[string]any) bool) bool {
	var m map[string]any
	d := json.NewDecoder(bytes.NewReader(h.body.Bytes()))
	d.UseNumber()
	if d.Decode(&m) != nil || !change(m) {
		return false
	}
	text, err := json.Marshal(m)
	if err != nil { // it came from JSON
		return false
	}
	h.set(text)
	return true
}

// lines changes a body of lines, answered 200.
func (h *held) lines(change func([]string) []string) bool {
	if h.status != http.StatusOK || h.body.Len() == 0 {
		return false
	}
	changed := change(strings.Split(strings.TrimSuffix(h.body.String(), "\n"), "\n"))
	if changed == nil {
		return false
	}
	h.set([]byte(strings.Join(changed, "\n") + "\n"))
	return true
}
