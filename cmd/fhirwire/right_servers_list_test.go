package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

const exporting = "bulk-data-export formulary-bulk-export member-attribution payer-to-payer-bulk payer-to-payer-stu2 provider-access-bulk provider-access-match"

// rightServers are the variants that are played.
func rightServers() []rightServer {
	return slices.Concat(rightForms(), rightExports(), rightBundles(), rightAuthorities())
}

// is reports an answer of a media type.
func (a *heldAnswer) is(part string) bool {
	return strings.Contains(a.header.Get("Content-Type"), part) && len(a.body) > 0
}

// rightForms are other forms of the same content, in every plan.
func rightForms() []rightServer {
	return []rightServer{
		{variant: "members in another order, indented, with escapes", why: "RFC 8259", together: "a", do: func(_ *http.Request, a *heldAnswer) bool {
			switch {
			case a.is("ndjson"):
				var lines [][]byte
				for l := range bytes.SplitSeq(a.body, []byte("\n")) {
					if m, ok := jsonObject(l); ok {
						l = []byte(turned(m, ""))
					}
					lines = append(lines, l)
				}
				a.body = bytes.Join(lines, []byte("\n"))
				return true
			case a.is("json"):
				if m, ok := jsonObject(a.body); ok {
					a.body = []byte(turned(m, "\n") + "\n")
					return true
				}
			}
			return false
		}},
		{variant: "media types spelled otherwise", why: "RFC 9110 8.3.1: case and parameters", together: "b", do: func(_ *http.Request, a *heldAnswer) bool {
			for from, to := range map[string]string{
				"application/fhir+json": `Application/FHIR+JSON; fhirVersion=4.0; Charset="UTF-8"`, "application/json": "application/json;charset=UTF-8",
				"application/fhir+ndjson": "application/fhir+ndjson; charset=utf-8",
			} {
				if strings.HasPrefix(a.header.Get("Content-Type"), from) {
					a.header.Set("Content-Type", to)
					return true
				}
			}
			return false
		}},
		{variant: "chunked, with neither ETag nor Last-Modified", why: "RFC 9110 8.8: validators are optional", together: "b", do: func(_ *http.Request, a *heldAnswer) bool {
			a.chunked = a.status != http.StatusNoContent && a.status != http.StatusNotModified
			for _, name := range []string{"ETag", "Last-Modified"} {
				a.header.Del(name)
			}
			return true
		}},
		{variant: "more headers", why: "RFC 9110 5.1: unknown fields are ignored", together: "b", do: func(_ *http.Request, a *heldAnswer) bool {
			for name, value := range map[string]string{"X-Request-Id": "7", "Strict-Transport-Security": "max-age=1", "Server": "payer", "Via": "1.1 gateway", "Vary": "*"} {
				a.header.Set(name, value)
			}
			return true
		}},
		{variant: "outcomes with several issues and no narrative", why: "OperationOutcome: issue 1..*, text 0..1", together: "a", do: func(_ *http.Request, a *heldAnswer) bool {
			return a.is("json") && a.object(func(m map[string]any) bool {
				if m["resourceType"] != "OperationOutcome" {
					return false
				}
				delete(m, "text")
				list, _ := m["issue"].([]any)
				m["issue"] = append([]any{map[string]any{"severity": "information", "code": "informational", "details": map[string]any{"text": "Call us."}}}, list...)
				return true
			})
		}},
	}
}

// turned writes a value with the members of objects from z to a, and letters of strings escaped; with a separator it is indented.
func turned(v any, sep string) string {
	inner := sep
	if sep != "" {
		inner += "\t"
	}
	join := func(open string, parts []string, end string) string {
		if len(parts) == 0 {
			return open + end
		}
		return open + inner + strings.Join(parts, ","+inner) + sep + end
	}
	switch v := v.(type) {
	case map[string]any:
		var names, parts []string
		for n := range v {
			names = append(names, n)
		}
		slices.Sort(names)
		slices.Reverse(names)
		for _, n := range names {
			parts = append(parts, string(jsonBytes(n))+":"+turned(v[n], inner))
		}
		return join("{", parts, "}")
	case []any:
		var parts []string
		for _, x := range v {
			parts = append(parts, turned(x, inner))
		}
		return join("[", parts, "]")
	case string:
		text := string(jsonBytes(v))
		return strings.ReplaceAll(strings.ReplaceAll(text, "e", `\u0065`), "/", `\/`)
	}
	return string(jsonBytes(v))
}

// askedAt is the scheme and host by which a server was asked.
func askedAt(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// below are requests for what is below a path.
func below(path string) which {
	return func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, path) }
}

// manifest changes the manifests of complete exports.
func manifest(change func(r *http.Request, m map[string]any) bool) func(*http.Request, *heldAnswer) bool {
	return func(r *http.Request, a *heldAnswer) bool {
		return a.status == http.StatusOK && a.object(func(m map[string]any) bool { return change(r, m) })
	}
}

// filesOf are those that a manifest lists.
func filesOf(m map[string]any, lists ...string) (out []map[string]any) {
	for _, name := range lists {
		list, _ := m[name].([]any)
		for _, f := range list {
			if f, ok := f.(map[string]any); ok {
				out = append(out, f)
			}
		}
	}
	return out
}

// running changes answers that say that an export runs.
func running(change func(http.Header)) func(*http.Request, *heldAnswer) bool {
	return func(_ *http.Request, a *heldAnswer) bool {
		if a.status == http.StatusAccepted {
			change(a.header)
		}
		return a.status == http.StatusAccepted
	}
}

const note = `{"resourceType":"OperationOutcome","issue":[{"severity":"information","code":"informational","diagnostics":"The export goes on."}]}`

// elsewhere is the path below which a server has files and states that the reference payer has below /fhir.
const elsewhere = "/store/v1/object"

func rightExports() []rightServer {
	poll := to(http.MethodGet, "/status")
	var throttled sync.Map // by path
	return []rightServer{
		{variant: "throttled once when complete", why: "Bulk Data 2.0, Status: 429 and 503 with Retry-After", plans: exporting, together: "a", on: poll, do: func(r *http.Request, a *heldAnswer) bool {
			if a.status != http.StatusOK {
				return false
			}
			if _, before := throttled.LoadOrStore(r.Method+r.Host+r.URL.Path, true); before {
				return false
			}
			a.status = http.StatusServiceUnavailable
			a.header = http.Header{"Retry-After": {"1"}, "Content-Type": {"application/fhir+json"}}
			a.body = []byte(strings.Replace(note, `"information","code":"informational"`, `"error","code":"transient"`, 1))
			return true
		}},
		{variant: "files elsewhere, with signed URLs", why: "Bulk Data 2.0, Response: url is any absolute path to the file", plans: exporting, together: "a", on: func(r *http.Request) bool {
			return poll(r) || r.URL.Path == elsewhere
		}, ask: func(r *http.Request) {
			if r.URL.Path == elsewhere {
				path, query, _ := strings.Cut(r.URL.Query().Get("object"), "?")
				r.URL.Path, r.URL.RawQuery = path, query
				r.RequestURI = r.URL.RequestURI()
			}
		}, do: manifest(func(r *http.Request, m map[string]any) bool {
			list := filesOf(m, "output", "error", "deleted")
			for _, f := range list {
				text, _ := f["url"].(string)
				f["url"] = askedAt(r) + elsewhere + "?X-Amz-Signature=a%2Fb%3D&object=" + url.QueryEscape(strings.TrimPrefix(text, askedAt(r)))
			}
			return len(list) > 0
		})},
		{variant: "Retry-After is a date", why: "RFC 9110 10.2.3", plans: exporting, together: "a", on: poll, do: running(func(h http.Header) {
			h.Set("Retry-After", time.Now().Add(2*time.Second).UTC().Format(http.TimeFormat))
		})},
		{variant: "neither X-Progress nor Retry-After", why: "Bulk Data 2.0, Status: both MAY", plans: exporting, together: "b", on: poll, do: running(func(h http.Header) {
			h.Del("X-Progress")
			h.Del("Retry-After")
		}), moves: []string{
			"bulk-data-export,formulary-bulk-export,payer-to-payer-stu2,provider-access-bulk poll/waits not-shown: nobody asked for a wait",
		}},
		{variant: "an outcome with each 202", why: "Bulk Data 2.0: the body of a 202 is optional", plans: exporting, together: "b", on: func(r *http.Request) bool {
			return poll(r) || kickoff(r) || r.Method == http.MethodDelete
		}, do: func(_ *http.Request, a *heldAnswer) bool {
			if a.status != http.StatusAccepted {
				return false
			}
			a.header.Set("Content-Type", "application/fhir+json")
			a.body = []byte(note)
			return true
		}},
		{variant: "a manifest that says more, in another order", why: "Bulk Data 2.0, Response: extension, link and further members", plans: exporting, together: "a", on: poll, do: manifest(func(_ *http.Request, m map[string]any) bool {
			m["extension"] = map[string]any{"https://payer.example/cost": map[string]any{"seconds": 3}}
			m["serial"] = "7"
			output, _ := m["output"].([]any)
			slices.Reverse(output)
			for _, f := range filesOf(m, "output") {
				f["extension"] = map[string]any{"https://payer.example/digest": "0"}
			}
			return true
		})},
		{variant: "nothing is counted", why: "Bulk Data 2.0, Response: count is optional", plans: exporting, together: "b", on: poll, do: manifest(func(_ *http.Request, m map[string]any) bool {
			for _, f := range filesOf(m, "output", "error", "deleted") {
				delete(f, "count")
			}
			return true
		}), moves: []string{
			"bulk-data-export lines/count pass-notes: what is not counted cannot be compared",
			"formulary-bulk-export,member-attribution,payer-to-payer-stu2,provider-access-bulk files/count pass-notes: what is not counted cannot be compared",
			"payer-to-payer-bulk,provider-access-match all-files/count pass-notes: what is not counted cannot be compared",
		}},
		{variant: "a time with an offset and a fraction", why: "FHIR instant", plans: exporting, together: "a", on: poll, do: manifest(func(_ *http.Request, m map[string]any) bool {
			text, _ := m["transactionTime"].(string)
			at, err := time.Parse(time.RFC3339, text)
			m["transactionTime"] = at.In(time.FixedZone("", -7*3600)).Format("2006-01-02T15:04:05.000-07:00")
			return err == nil
		})},
		{variant: "several files of a type", why: "Bulk Data 2.0, Response: the server MAY split", plans: strings.Replace(exporting, "member-attribution ", "", 1), together: "a", on: func(r *http.Request) bool {
			return poll(r) || fileRequest(r)
		}, do: halves},
		{variant: "no line end at the end", why: "ndjson: the last line may have none", plans: exporting, together: "a", on: fileRequest, do: func(_ *http.Request, a *heldAnswer) bool {
			if a.status == http.StatusOK {
				a.body = bytes.TrimSuffix(a.body, []byte("\n"))
			}
			return a.status == http.StatusOK
		}},
	}
}

// halves makes two files of each that has more than one line.
func halves(r *http.Request, a *heldAnswer) bool {
	if a.status != http.StatusOK {
		return false
	}
	if part := r.URL.Query().Get("part"); part != "" {
		lines := bytes.SplitAfter(bytes.TrimSuffix(a.body, []byte("\n")), []byte("\n"))
		at := len(lines) / 2
		if part == "1" {
			lines = lines[:at]
		} else {
			lines = lines[at:]
		}
		a.body = bytes.Join(lines, nil)
		return true
	}
	return !fileRequest(r) && a.object(func(m map[string]any) bool {
		split := false
		for _, name := range []string{"output", "deleted"} {
			var out []any
			for _, f := range filesOf(m, name) {
				var n int
				if _, err := fmt.Sscan(fmt.Sprint(f["count"]), &n); err != nil || n < 2 {
					out = append(out, f)
					continue
				}
				split = true
				for part, lines := range []int{n / 2, n - n/2} {
					out = append(out, map[string]any{"type": f["type"], "url": fmt.Sprintf("%s?part=%d", f["url"], part+1), "count": lines})
				}
			}
			if out != nil {
				m[name] = out
			}
		}
		return split
	})
}

// bundles changes the answers to searches.
func bundles(change func(r *http.Request, b map[string]any) bool) func(*http.Request, *heldAnswer) bool {
	return func(r *http.Request, a *heldAnswer) bool {
		return a.status == http.StatusOK && a.is("fhir+json") && a.object(func(m map[string]any) bool {
			return m["resourceType"] == "Bundle" && m["type"] == "searchset" && change(r, m)
		})
	}
}

func entriesOf(b map[string]any) (out []map[string]any) { return filesOf(b, "entry") }

func rightBundles() []rightServer {
	return []rightServer{
		{variant: "no total and no id", why: "Bundle.total 0..1, Bundle.id 0..1", together: "a", do: bundles(func(_ *http.Request, b map[string]any) bool {
			delete(b, "total")
			delete(b, "id")
			return true
		})},
		{variant: "self in another order and host", why: "R4 search: the self link is the server's account of the search", together: "a", do: bundles(func(_ *http.Request, b map[string]any) bool {
			for _, l := range filesOf(b, "link") {
				if u, err := url.Parse(fmt.Sprint(l["url"])); err == nil && l["relation"] == "self" {
					parts := strings.Split(u.RawQuery, "&")
					slices.Reverse(parts)
					u.RawQuery = strings.Join(parts, "&")
					u.Host = "PAYER.internal.example"
					l["url"] = u.String()
				}
			}
			return true
		})},
		{variant: "an outcome beside what was found", why: "R4 search: an entry of mode outcome", together: "b", do: bundles(func(_ *http.Request, b map[string]any) bool {
			m, _ := jsonObject([]byte(note))
			list, _ := b["entry"].([]any)
			b["entry"] = append(list, map[string]any{"resource": m, "search": map[string]any{"mode": "outcome"}})
			return true
		})},
		{variant: "nothing says that an entry matches", why: "Bundle.entry.search.mode 0..1", together: "b", do: bundles(func(_ *http.Request, b map[string]any) bool {
			for _, e := range entriesOf(b) {
				if s, ok := e["search"].(map[string]any); ok && s["mode"] == "match" {
					delete(e, "search")
				}
			}
			return true
		})},
		{variant: "references are absolute", why: "R4 references: absolute or relative", together: "a", ask: func(r *http.Request) {
			if body, err := io.ReadAll(r.Body); err == nil { // it knows its own
				body = bytes.ReplaceAll(body, []byte(askedAt(r)+"/fhir/"), nil)
				r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			}
		}, do: func(r *http.Request, a *heldAnswer) bool {
			return below("/fhir/")(r) && a.is("fhir+") && a.resources(func(m map[string]any) bool { return madeAbsolute(m, askedAt(r)+"/fhir/") })
		}},
		{variant: "references say more", why: "Reference: display, type", together: "b", on: below("/fhir/"), do: func(_ *http.Request, a *heldAnswer) bool {
			return a.is("fhir+") && a.resources(func(m map[string]any) bool {
				return eachReference(m, func(ref map[string]any, text string) bool {
					if typ, _, ok := strings.Cut(text, "/"); ok && !strings.HasPrefix(text, "http") && ref["display"] == nil {
						ref["display"], ref["type"] = "Who or what is meant", typ
					}
					return true
				})
			})
		}},
		{variant: "an extension that nobody knows", why: "R4 extensibility: none is refused", together: "b", on: below("/fhir/"), moves: []string{
			"us-core-3-1-1-client care-plan-read/valid pass-notes: an unknown extension is not checked", "us-core-3-1-1-client care-plan-search/valid pass-notes: an unknown extension is not checked",
			"us-core-3-1-1-client goal-read/valid pass-notes: an unknown extension is not checked", "us-core-3-1-1-client goal-search/valid pass-notes: an unknown extension is not checked",
		}, do: func(_ *http.Request, a *heldAnswer) bool {
			return a.is("fhir+") && a.resources(func(m map[string]any) bool {
				switch m["resourceType"] {
				case "Bundle", "Parameters", "Binary", "OperationOutcome":
					return false
				}
				list, _ := m["extension"].([]any)
				m["extension"] = append(list, map[string]any{"url": "https://payer.example/fhir/StructureDefinition/lot", "valueString": "7"})
				return true
			})
		}},
	}
}

// eachReference visits the references of a resource.
func eachReference(v any, do func(ref map[string]any, text string) bool) bool {
	changed := false
	switch v := v.(type) {
	case map[string]any:
		if text, ok := v["reference"].(string); ok && do(v, text) {
			changed = true
		}
		for name, x := range v {
			if name != "resource" && name != "contained" && eachReference(x, do) {
				changed = true
			}
		}
	case []any:
		for _, x := range v {
			if eachReference(x, do) {
				changed = true
			}
		}
	}
	return changed
}

func madeAbsolute(m map[string]any, base string) bool {
	return eachReference(m, func(ref map[string]any, text string) bool {
		if strings.Contains(text, ":") || strings.HasPrefix(text, "#") || !strings.Contains(text, "/") {
			return false
		}
		ref["reference"] = base + text
		return true
	})
}

func rightAuthorities() []rightServer {
	return []rightServer{
		{variant: "a token in other letters, for a shorter time, with more", why: "RFC 6749 5.1: token_type is case insensitive, further members are ignored", together: "a", on: tokenRequest, do: func(_ *http.Request, a *heldAnswer) bool {
			return a.status == http.StatusOK && a.object(func(m map[string]any) bool {
				m["token_type"] = "bearer"
				m["expires_in"] = 120
				m["issued_token_type"] = "urn:ietf:params:oauth:token-type:access_token"
				m["id"] = 7
				return true
			})
		}},
		{variant: "a token of type BEARER", why: "RFC 6749 5.1", together: "a", on: tokenRequest, do: func(_ *http.Request, a *heldAnswer) bool {
			return a.status == http.StatusOK && a.object(func(m map[string]any) bool {
				m["token_type"] = "BEARER"
				return true
			})
		}},
		{variant: "discovery that says more", why: "SMART App Launch: further members; R4 CapabilityStatement", together: "b", on: to(http.MethodGet, "/smart-configuration"), do: func(_ *http.Request, a *heldAnswer) bool {
			return a.status == http.StatusOK && a.object(func(m map[string]any) bool {
				m["associated_endpoints"] = []any{map[string]any{"url": "https://payer.example/other", "capabilities": []string{"launch-ehr"}}}
				m["x_payer"] = map[string]any{"since": 2020}
				return true
			})
		}},
		{variant: "refused without a challenge of its own", why: "RFC 9110 11.6.1: a realm is enough", together: "b", on: below("/fhir/"), do: func(_ *http.Request, a *heldAnswer) bool {
			if a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") == "" {
				return false
			}
			a.header.Set("WWW-Authenticate", `bearer realm="payer"`)
			return true
		}},
		{variant: "a registration that says more", why: "RFC 7591 3.2.1", together: "b", on: registration7591, do: func(_ *http.Request, a *heldAnswer) bool {
			return a.status == http.StatusCreated && a.object(func(m map[string]any) bool {
				m["registration_client_uri"], m["registration_access_token"] = "https://payer.example/register/7", "t7"
				m["client_id_issued_at"] = 1
				m["software_id"] = "x"
				m["tier"] = "gold"
				return true
			})
		}},
	}
}
