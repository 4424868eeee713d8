package edgecases

import (
	"bytes"
	"net/http"
	"strings"
	"time"
)

// onGroup is a mutation of Groups that are read.
func onGroup(e Edge, does string, change func(g map[string]any) bool) mutation {
	return mutation{
		Description{e, does},
		func(r *http.Request, path string) bool {
			id, ok := strings.CutPrefix(path, "/Group/")
			return ok && r.Method == http.MethodGet && !strings.Contains(id, "/")
		},
		nil,
		func(_ *http.Request, a *held, _ time.Time) bool { return a.object(change) }, false,
	}
}

// withoutExtension takes the extensions away whose URL ends so.
func withoutExtension(of map[string]any, end string) bool {
	list, _ := of["extension"].([]any)
	var kept []any
	for _, e := range list {
		if x, _ := e.(map[string]any); x != nil {
			if url, _ := x["url"].(string); strings.HasSuffix(url, end) {
				continue
			}
		}
		kept = append(kept, e)
	}
	if of["extension"] = kept; len(kept) == 0 {
		delete(of, "extension")
	}
	return len(kept) < len(list)
}

func listMutations() []mutation {
	operation := func(name string) func(*http.Request, string) bool {
		return func(_ *http.Request, path string) bool {
			return strings.HasPrefix(path, "/Group/") && strings.HasSuffix(path, "/$"+name)
		}
	}
	// answered gives another status to answers of a status that say something.
	answered := func(e Edge, does, op string, from, to int, says string) mutation {
		return mutation{
			Description{e, does},
			operation(op), nil,
			func(_ *http.Request, a *held, _ time.Time) bool {
				was := a.status == from && bytes.Contains(a.body.Bytes(), []byte(says))
				if was {
					a.status = to
					a.set(bytes.ReplaceAll(a.body.Bytes(), []byte(`"severity":"error"`), []byte(`"severity":"information"`)))
				}
				return was
			}, false,
		}
	}
	return []mutation{
		onGroup("mutation-list-without-status", "a list of attributed members has no status", func(g map[string]any) bool {
			return withoutExtension(g, "ext-attributionListStatus")
		}),
		onGroup("mutation-list-not-actual", "a list of attributed members is not of actual persons", func(g map[string]any) bool {
			g["actual"] = false
			return true
		}),
		onGroup("mutation-addition-not-marked", "a member that was added is not marked as new", func(g map[string]any) bool {
			list, _ := g["member"].([]any)
			unmarked := false
			for _, m := range list {
				if member, ok := m.(map[string]any); ok && withoutExtension(member, "ext-changeType") {
					unmarked = true
				}
			}
			return unmarked
		}),
		{
			Description{"mutation-code-ignored", "a search for Groups ignores the code"},
			func(r *http.Request, path string) bool { return path == "/Group" && r.URL.Query().Has("code") },
			func(r *http.Request) {
				q := r.URL.Query()
				q.Del("code")
				r.URL.RawQuery = q.Encode()
			},
			func(*http.Request, *held, time.Time) bool { return true }, false,
		},
		answered("mutation-final-takes-more", "a list that is final takes an addition", "member-add", http.StatusUnprocessableEntity, http.StatusOK, "is final"),
		answered("mutation-confirm-200", "a confirmation answers 200", "confirm-attribution-list", http.StatusCreated, http.StatusOK, ""),
		{
			Description{"mutation-everybody-attributed", "$attribution-status says yes to whoever is asked about"},
			operation("attribution-status"), nil,
			func(_ *http.Request, a *held, _ time.Time) bool {
				if a.status < http.StatusBadRequest {
					return false
				}
				a.status = http.StatusOK
				a.set([]byte(`{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"https://cedarmesa.example/fhir/Patient/somebody-else","resource":` + somebodyElse + `},` +
					`{"fullUrl":"https://cedarmesa.example/fhir/Coverage/of-somebody-else","resource":{"resourceType":"Coverage","id":"of-somebody-else","status":"active",` +
					`"beneficiary":{"reference":"Patient/somebody-else"},"payor":[{"display":"Cedar Mesa Mutual"}]}}]}`))
				return true
			}, false,
		},
	}
}
