package edgecases

import (
	"bytes"
	"net/http"
	"strings"
	"time"
)

// somebodyElse is a Patient, and anotherType a resource, that nobody asked for.
const (
	somebodyElse = `{"resourceType":"Patient","id":"somebody-else","identifier":[{"system":"https://cedarmesa.example/member-id","value":"0"}],` +
		`"name":[{"family":"Else","given":["Somebody"]}],"gender":"unknown","birthDate":"1970-01-01"}`
	anotherType = `{"resourceType":"Library","id":"another","meta":{"tag":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}]},"status":"active","type":{"text":"Of another type"}}`
)

// extraFile is a mutation that adds a file of one line to the exports whose request contains something.
func extraFile(e Edge, does, typ, line, request string) mutation {
	name := typ + "-extra.ndjson"
	return mutation{
		Description{e, does},
		func(r *http.Request, path string) bool {
			return exportStatus(r, path) || exportFile(r, path) && strings.HasSuffix(path, "/"+name)
		},
		nil,
		func(r *http.Request, a *held, _ time.Time) bool {
			if strings.HasSuffix(r.URL.Path, "/"+name) {
				a.status = http.StatusOK
				a.header.Set("Content-Type", "application/fhir+ndjson")
				a.set([]byte(line + "\n"))
				return true
			}
			return a.object(func(m map[string]any) bool {
				output, _ := m["output"].([]any)
				asked, _ := m["request"].(string)
				if len(output) == 0 || !strings.Contains(asked, request) {
					return false
				}
				file, _ := output[0].(map[string]any)
				url, _ := file["url"].(string)
				m["output"] = append(output, map[string]any{"type": typ, "url": url[:strings.LastIndexByte(url, '/')+1] + name, "count": 1})
				return true
			})
		},
		false,
	}
}

// onManifest is a mutation of complete exports' manifests.
func onManifest(e Edge, does string, change func(m map[string]any) bool) mutation {
	return mutation{Description{e, does}, exportStatus, nil, func(_ *http.Request, a *held, _ time.Time) bool { return a.object(change) }, false}
}

// without takes a member of the manifest away.
func without(e Edge, does, member string) mutation {
	return onManifest(e, does, func(m map[string]any) bool { delete(m, member); return true })
}

// onHeader is a mutation of the headers of answers with a status.
func onHeader(e Edge, does string, on func(*http.Request, string) bool, status int, change func(http.Header)) mutation {
	return mutation{Description{e, does}, on, nil, func(_ *http.Request, a *held, _ time.Time) bool {
		if a.status == status {
			change(a.header)
		}
		return a.status == status
	}, false}
}

func kickoffMutations() []mutation {
	return []mutation{
		onHeader("mutation-content-location-missing", "an export is accepted without Content-Location", exportKickoff, http.StatusAccepted, func(h http.Header) { h.Del("Content-Location") }),
		onHeader("mutation-content-location-relative", "the Content-Location of an export is relative", exportKickoff, http.StatusAccepted, func(h http.Header) {
			_, path, _ := strings.Cut(h.Get("Content-Location"), "://")
			_, path, _ = strings.Cut(path, "/")
			h.Set("Content-Location", "/"+path)
		}),
		{
			Description{"mutation-refusal-in-html", "the refusal of an export is a page"},
			exportKickoff, nil,
			func(_ *http.Request, a *held, _ time.Time) bool {
				if a.status < http.StatusBadRequest {
					return false
				}
				a.header.Set("Content-Type", "text/html; charset=utf-8")
				a.set([]byte("<html><body>No.</body></html>"))
				return true
			}, false,
		},
		{
			Description{"mutation-refusal-without-error", "the OperationOutcome of a refused export has only informational issues"},
			exportKickoff, nil,
			func(_ *http.Request, a *held, _ time.Time) bool {
				if a.status < http.StatusBadRequest || !bytes.Contains(a.body.Bytes(), []byte(`"severity":"error"`)) {
					return false
				}
				a.set(bytes.ReplaceAll(a.body.Bytes(), []byte(`"severity":"error"`), []byte(`"severity":"information"`)))
				return true
			}, false,
		},
	}
}

func statusMutations() []mutation {
	ended := func(r *http.Request, path string) bool {
		return r.Method == http.MethodDelete && strings.HasPrefix(path, "/bulk/")
	}
	eachOf := func(do func(f map[string]any)) func(map[string]any) bool {
		return func(m map[string]any) bool { return eachFile(m, do) }
	}
	return []mutation{
		{
			Description{"mutation-progress-too-long", "X-Progress has more than a hundred characters"},
			exportStatus, nil,
			func(_ *http.Request, a *held, _ time.Time) bool {
				running := a.status == http.StatusAccepted
				if running {
					a.header.Set("X-Progress", strings.Repeat("still at it ", 12))
				}
				return running
			}, true,
		},
		onHeader("mutation-expires-missing", "a manifest comes without Expires", exportStatus, http.StatusOK, func(h http.Header) { h.Del("Expires") }),
		onHeader("mutation-manifest-as-fhir", "a manifest is application/fhir+json", exportStatus, http.StatusOK, func(h http.Header) { h.Set("Content-Type", "application/fhir+json") }),
		without("mutation-transaction-time-missing", "a manifest has no transactionTime", "transactionTime"),
		onManifest("mutation-transaction-time-date", "transactionTime is a date without a time", func(m map[string]any) bool {
			text, _ := m["transactionTime"].(string)
			m["transactionTime"] = text[:min(len(text), len(time.DateOnly))]
			return true
		}),
		without("mutation-token-flag-missing", "a manifest has no requiresAccessToken", "requiresAccessToken"),
		onManifest("mutation-token-flag-wrong", "a manifest says that files need no token, and they do", func(m map[string]any) bool {
			was := m["requiresAccessToken"] == true
			m["requiresAccessToken"] = false
			return was
		}),
		without("mutation-output-missing", "a manifest has no output", "output"),
		without("mutation-error-missing", "a manifest has no error", "error"),
		onManifest("mutation-file-type-missing", "the files of a manifest have no type", eachOf(func(f map[string]any) { delete(f, "type") })),
		{
			Description{"mutation-manifest-changes", "transactionTime of a complete export is another each time"},
			exportStatus, nil,
			func(_ *http.Request, a *held, now time.Time) bool {
				return a.object(func(m map[string]any) bool {
					text, _ := m["transactionTime"].(string)
					at, err := time.Parse(time.RFC3339, text)
					if err != nil {
						return false
					}
					m["transactionTime"] = at.Add(-time.Duration(now.UnixNano() % int64(time.Hour))).UTC().Format("2006-01-02T15:04:05.000000000Z07:00")
					return true
				})
			}, false,
		},
		onManifest("mutation-deleted-in-output", "what was deleted is also listed as output", func(m map[string]any) bool {
			deleted, _ := m["deleted"].([]any)
			output, _ := m["output"].([]any)
			m["output"] = append(output, deleted...)
			return len(deleted) > 0
		}),
		extraFile("mutation-person-in-formulary", "a formulary comes with a file of Patients", "Patient", somebodyElse, "/InsurancePlan/"),
		extraFile("mutation-types-ignored", "an export has a file of another type than those asked for", "Library", anotherType, "_type="),
		{
			Description{"mutation-cancel-200", "a DELETE of an export is answered 200"},
			ended, nil,
			func(_ *http.Request, a *held, _ time.Time) bool {
				was := a.status == http.StatusAccepted
				if was {
					a.status = http.StatusOK
				}
				return was
			}, false,
		},
		{
			Description{"mutation-cancelled-goes-on", "a DELETE of an export is accepted and does nothing"},
			ended,
			func(r *http.Request) { r.Method = http.MethodHead },
			func(_ *http.Request, a *held, _ time.Time) bool {
				a.status = http.StatusAccepted
				for _, name := range []string{"Content-Type", "Expires", "Retry-After", "X-Progress"} {
					a.header.Del(name)
				}
				a.set(nil)
				return true
			}, false,
		},
	}
}

// onFile is a mutation of files whose name begins with a type.
func onFile(e Edge, does, typ string, change func([]string) []string) mutation {
	return mutation{
		Description{e, does},
		func(r *http.Request, path string) bool {
			return exportFile(r, path) && strings.Contains(path, "/files/"+typ)
		}, nil,
		func(_ *http.Request, a *held, _ time.Time) bool { return a.lines(change) }, false,
	}
}

func fileMutations() []mutation {
	lastLine := func(with func(lines []string) string) func([]string) []string {
		return func(lines []string) []string {
			if len(lines) < 2 {
				return nil
			}
			lines[len(lines)-1] = with(lines)
			return lines
		}
	}
	return []mutation{
		onFile("mutation-types-mixed", "the last line of a file is a resource of another type", "", lastLine(func([]string) string {
			return anotherType
		})),
		onFile("mutation-line-twice", "a file has a resource twice", "", lastLine(func(lines []string) string { return lines[0] })),
		onFile("mutation-somebody-else", "an export has a Patient of whom it was not", "Patient", func(lines []string) []string {
			lines[len(lines)-1] = somebodyElse
			return lines
		}),
		onFile("mutation-file-indented", "a resource goes over two lines of a file", "", func(lines []string) []string {
			if strings.Contains(lines[0], `"resourceType":"Bundle"`) {
				return nil
			}
			lines[0] = strings.Replace(lines[0], ",", ",\n", 1)
			return lines
		}),
		onFile("mutation-deleted-no-transaction", "what was deleted comes in Bundles of the type collection", "deleted", func(lines []string) []string {
			for i := range lines {
				lines[i] = strings.Replace(lines[i], `"type":"transaction"`, `"type":"collection"`, 1)
			}
			return lines
		}),
	}
}
