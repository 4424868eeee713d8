package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/tools/txtar"
)

// search is a parameter or a combination with its strength.
type search struct {
	params   []string
	strength string
}

// expected is what the statement expects of one type.
type expected struct {
	name       string
	read, find string // strengths
	searches   []search
	provenance bool // _revinclude=Provenance:target
	includes   []string
}

const (
	expectationURL = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-expectation"
	combinationURL = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-search-parameter-combination"
)

type extension struct {
	URL         string      `json:"url"`
	ValueCode   string      `json:"valueCode"`
	ValueString string      `json:"valueString"`
	Extension   []extension `json:"extension"`
}

func strength(list []extension) string {
	for _, e := range list {
		if e.URL == expectationURL {
			return e.ValueCode
		}
	}
	return ""
}

type statement struct {
	Rest []struct {
		Resource []struct {
			Type        string `json:"type"`
			Extension   []extension
			Interaction []struct {
				Code      string
				Extension []extension
			}
			SearchInclude    []string
			SearchRevInclude []string
			SearchParam      []struct {
				Name      string
				Extension []extension
			}
		}
	}
}

// readExpectations reads the server's CapabilityStatement of a package.
func readExpectations(file string) (out []expected, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("it has no CapabilityStatement us-core-server")
		}
		if err != nil {
			return nil, err
		}
		if !strings.HasSuffix(h.Name, "/CapabilityStatement-us-core-server.json") {
			continue
		}
		var s statement
		if err := json.NewDecoder(t).Decode(&s); err != nil {
			return nil, err
		}
		for i := range s.Rest[0].Resource {
			r := &s.Rest[0].Resource[i]
			e := expected{name: r.Type, includes: r.SearchInclude, provenance: len(r.SearchRevInclude) > 0}
			for _, in := range r.Interaction {
				switch in.Code {
				case "read":
					e.read = strength(in.Extension)
				case "search-type":
					e.find = strength(in.Extension)
				}
			}
			for _, p := range r.SearchParam {
				e.searches = append(e.searches, search{[]string{p.Name}, strength(p.Extension)})
			}
			for _, x := range r.Extension {
				if x.URL != combinationURL {
					continue
				}
				c := search{strength: strength(x.Extension)}
				for _, part := range x.Extension {
					if part.URL == "required" {
						c.params = append(c.params, part.ValueString)
					}
				}
				e.searches = append(e.searches, c)
			}
			out = append(out, e)
		}
		return out, nil
	}
}

// readSamples takes the resource of each type that the client's examples read.
func readSamples(archive []byte) (map[string]string, error) {
	out := map[string]string{}
	for _, f := range txtar.Parse(archive).Files {
		_, body, ok := strings.Cut(string(f.Data), "\n\n")
		if !strings.HasPrefix(f.Name, "good/") || !strings.HasSuffix(f.Name, ".response") || !ok {
			continue
		}
		var r struct {
			ResourceType, ID string
			Entry            []struct{ Resource json.RawMessage }
		}
		if err := json.Unmarshal([]byte(body), &r); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		if r.ID != "" && r.ResourceType != "Bundle" && out[r.ResourceType] == "" {
			out[r.ResourceType] = strings.TrimSpace(body)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("the client's examples have no resources")
	}
	return out, nil
}
