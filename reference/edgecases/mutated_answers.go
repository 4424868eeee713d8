package edgecases

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// readOne is for reads of one resource.
func readOne(r *http.Request, path string) bool {
	typ, id, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return ok && r.Method == http.MethodGet && typ != "" && typ[0] >= 'A' && typ[0] <= 'Z' && id != "" && !strings.ContainsAny(id, "/$")
}

// onAnswer is a mutation of JSON objects that are answered 200.
func onAnswer(e Edge, does string, on func(*http.Request, string) bool, change func(m map[string]any) bool) mutation {
	return mutation{Description{e, does}, on, nil, func(_ *http.Request, a *held, _ time.Time) bool { return a.object(change) }, false}
}

// onResult is a mutation of the Groups that a match of many gives: those that say what became of who was submitted.
func onResult(e Edge, does string, change func(g map[string]any) bool) mutation {
	return onFile(e, does, "Group", func(lines []string) []string {
		changed := false
		out := make([]string, len(lines))
		for i, line := range lines {
			out[i] = line
			var g map[string]any
			d := json.NewDecoder(strings.NewReader(line))
			d.UseNumber()
			if !strings.Contains(line, `match"`) || d.Decode(&g) != nil || !change(g) {
				continue
			}
			if text, err := json.Marshal(g); err == nil {
				out[i], changed = string(text), true
			}
		}
		if !changed {
			return nil
		}
		return out
	})
}

// ofSystem gives the codings of a member another system.
func ofSystem(of map[string]any, member, system string) bool {
	concept, _ := of[member].(map[string]any)
	codings, _ := concept["coding"].([]any)
	for _, c := range codings {
		if coding, ok := c.(map[string]any); ok {
			coding["system"] = system
		}
	}
	return len(codings) > 0
}

// withoutParameters takes parameters out of a request's Parameters.
func withoutParameters(r *http.Request, names ...string) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return // the server behind meets the same
	}
	var m map[string]any
	if json.Unmarshal(text, &m) == nil {
		var kept []any
		list, _ := m["parameter"].([]any)
		for _, p := range list {
			name, _ := p.(map[string]any)["name"].(string)
			if !strings.Contains(" "+strings.Join(names, " ")+" ", " "+name+" ") {
				kept = append(kept, p)
			}
		}
		m["parameter"] = kept
		if changed, err := json.Marshal(m); err == nil {
			text = changed
		}
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
}

// forgetful is a mutation of exports that are not of what their parameters ask for; their manifests repeat the request as it was.
func forgetful(e Edge, does string, forget func(q url.Values)) mutation {
	const asked = "asked" // a parameter of the status URL and a header on the way there
	return mutation{
		Description{e, does},
		func(r *http.Request, path string) bool {
			return exportKickoff(r, path) || exportStatus(r, path) && r.URL.Query().Has(asked)
		},
		func(r *http.Request) {
			q := r.URL.Query()
			if q.Has(asked) {
				return
			}
			if r.Header.Get(asked) == "" { // another mistake may have forgotten something before
				r.Header.Set(asked, r.URL.RawQuery)
			}
			forget(q)
			r.URL.RawQuery = q.Encode()
		},
		func(r *http.Request, a *held, _ time.Time) bool {
			if was := r.URL.Query().Get(asked); was != "" {
				return a.object(func(m map[string]any) bool {
					text, _ := m["request"].(string)
					base, _, _ := strings.Cut(text, "?")
					m["request"] = base + "?" + was
					return true
				})
			}
			was, at := r.Header.Get(asked), a.header.Get("Content-Location")
			if a.status == http.StatusAccepted && was != "" && !strings.Contains(at, "?") {
				a.header.Set("Content-Location", at+"?"+url.Values{asked: {was}}.Encode())
			}
			return true
		}, false,
	}
}

const anotherSystem = "https://cedarmesa.example/codes"

func answerMutations() []mutation {
	identifier := func(change func(coding map[string]any)) func(m map[string]any) bool {
		return func(m map[string]any) bool {
			list, _ := m["parameter"].([]any)
			for _, p := range list {
				v, _ := p.(map[string]any)["valueIdentifier"].(map[string]any)
				typ, _ := v["type"].(map[string]any)
				codings, _ := typ["coding"].([]any)
				for _, c := range codings {
					if coding, ok := c.(map[string]any); ok {
						change(coding)
					}
				}
			}
			return len(list) > 0
		}
	}
	metadata := func(_ *http.Request, path string) bool { return path == "/metadata" }
	status := func(e Edge, does string, on func(*http.Request, string) bool, from, to int) mutation {
		return mutation{Description{e, does}, on, nil, func(_ *http.Request, a *held, _ time.Time) bool {
			was := a.status == from
			if was {
				a.status = to
			}
			return was
		}, false}
	}
	group := func(name string) func(*http.Request, string) bool {
		return func(_ *http.Request, path string) bool {
			return strings.HasPrefix(path, "/Group/") && strings.HasSuffix(path, "/$"+name)
		}
	}
	files := func(change func(f map[string]any)) func(m map[string]any) bool {
		return func(m map[string]any) bool { return eachFile(m, change) }
	}
	return []mutation{
		onAnswer("mutation-read-another", "a read gives another resource than the one asked for", readOne, func(m map[string]any) bool {
			m["id"] = "another"
			return true
		}),
		onAnswer("mutation-umb-only", "the type of the identifier that $member-match returns is UMB alone", memberMatch, identifier(func(c map[string]any) {
			if c["code"] == "MB" {
				delete(c, "code")
			}
		})),
		onAnswer("mutation-type-of-another-system", "the code MB of the identifier that $member-match returns is of another system", memberMatch, identifier(func(c map[string]any) { c["system"] = anotherSystem })),
		onAnswer("mutation-identifier-of-nobody", "the identifier that $member-match returns finds nobody", memberMatch, func(m map[string]any) bool {
			list, _ := m["parameter"].([]any)
			for _, p := range list {
				if v, ok := p.(map[string]any)["valueIdentifier"].(map[string]any); ok {
					v["value"] = "nobody"
				}
			}
			return len(list) > 0
		}),
		status("mutation-match-201", "$member-match answers 201", memberMatch, 200, 201),
		onManifest("mutation-transaction-time-future", "transactionTime is an hour ahead", func(m map[string]any) bool {
			text, _ := m["transactionTime"].(string)
			at, err := time.Parse(time.RFC3339, text)
			if err != nil {
				return false
			}
			m["transactionTime"] = at.Add(time.Hour).Format(time.RFC3339Nano)
			return true
		}),
		onManifest("mutation-request-of-another", "the request of a manifest is of another export", func(m map[string]any) bool {
			text, _ := m["request"].(string)
			m["request"] = text[:strings.LastIndexByte(text, '/')+1] + "$another"
			return true
		}),
		onManifest("mutation-count-text", "the counts of a manifest are texts", files(func(f map[string]any) {
			if n, ok := f["count"].(json.Number); ok {
				f["count"] = n.String()
			}
		})),
		{
			Description{"mutation-retry-after-words", "Retry-After is neither seconds nor a date"},
			exportStatus, nil,
			func(_ *http.Request, a *held, _ time.Time) bool {
				if a.status == http.StatusAccepted {
					a.header.Set("Retry-After", "soon")
				}
				return a.status == http.StatusAccepted
			}, true,
		},
		forgetful("mutation-since-ignored", "an export of what changed has what did not change, too", func(q url.Values) {
			if q.Has("_since") {
				q.Set("_since", "1970-01-01T00:00:00Z")
			}
		}),
		forgetful("mutation-elements-ignored", "an export of some elements has all", func(q url.Values) { q.Del("_elements") }),
		{
			Description{"mutation-patients-ignored", "an export of some patients of a group is of all"},
			func(r *http.Request, path string) bool { return exportKickoff(r, path) && r.Method == http.MethodPost },
			func(r *http.Request) { withoutParameters(r, "patient") },
			func(*http.Request, *held, time.Time) bool { return true }, false,
		},
		onGroup("mutation-version-unchanged", "a list keeps its version when it changes", func(g map[string]any) bool {
			meta, _ := g["meta"].(map[string]any)
			meta["versionId"], meta["lastUpdated"] = "1", "2020-01-01T00:00:00Z"
			return true
		}),
		onAnswer("mutation-list-code-system", "the code of a list that is found is of another system",
			func(r *http.Request, path string) bool { return path == "/Group" && r.URL.Query().Has("code") },
			func(m map[string]any) bool {
				list, _ := m["entry"].([]any)
				for _, e := range list {
					if g, ok := e.(map[string]any)["resource"].(map[string]any); ok {
						ofSystem(g, "code", anotherSystem)
					}
				}
				return len(list) > 0
			}),
		{
			Description{"mutation-removal-ignored", "a removal is accepted and does nothing"},
			group("member-remove"),
			func(r *http.Request) {
				withoutParameters(r, "memberId", "patientReference", "providerNpi", "providerReference", "coverageReference")
			},
			func(_ *http.Request, a *held, _ time.Time) bool {
				a.status = http.StatusOK
				a.set([]byte(`{"resourceType":"OperationOutcome","issue":[{"severity":"information","code":"informational","diagnostics":"The member was removed."}]}`))
				return true
			}, false,
		},
		{
			Description{"mutation-addition-failed-200", "an addition is answered 200 with an error"},
			group("member-add"), nil,
			func(_ *http.Request, a *held, _ time.Time) bool {
				if a.status != http.StatusOK {
					return false
				}
				a.set([]byte(`{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"processing","diagnostics":"No."}]}`))
				return true
			}, false,
		},
		onResult("mutation-result-code-system", "the codes of the Groups of a match of many are of another system", func(g map[string]any) bool { return ofSystem(g, "code", anotherSystem) }),
		onAnswer("mutation-metadata-no-operations", "the CapabilityStatement has no operations", metadata, func(m map[string]any) bool {
			rest, _ := m["rest"].([]any)
			for _, r := range rest {
				of := r.(map[string]any)
				delete(of, "operation")
				list, _ := of["resource"].([]any)
				for _, res := range list {
					delete(res.(map[string]any), "operation")
				}
			}
			return true
		}),
	}
}
