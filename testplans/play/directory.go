package play

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"fhirwire/testplans"
)

// maxBundles bounds how many Bundles of a directory are read.
const maxBundles = 200

// directory looks the server up in an endpoint directory: a Bundle, or all that an index lists on the same host, as who has the whole
// directory does. The answer is the Bundle that leads to the server.
func (r *run) directory(ctx context.Context, d *testplans.PlayDirectory) (answer, error) {
	at, missing := r.vars.url(d.URL)
	if missing != "" {
		return answer{}, lacks(missing)
	}
	first, err := r.lookUp(ctx, at)
	if err != nil {
		return first, err
	}
	found, err := r.leadsHere(first)
	if err != nil || found {
		return first, err
	}
	var index struct{ Bundles []struct{ URL string } }
	if json.Unmarshal(first.body, &index) != nil {
		return first, errors.New("the directory is neither a Bundle nor an index of Bundles")
	}
	var errs []error
	var entry *answer
	for _, b := range index.Bundles[:min(len(index.Bundles), maxBundles)] {
		to := absolute(first.url, b.URL)
		if !sameHost(to, first.url) {
			errs = append(errs, fmt.Errorf("the index leads to another host: %s", short(to)))
			continue
		}
		got, err := r.lookUp(ctx, to)
		if ctx.Err() != nil {
			return got, ctx.Err()
		}
		leads := false
		if err == nil {
			leads, err = r.leadsHere(got)
		}
		if leads && entry == nil {
			entry = &got
		}
		errs = append(errs, err)
	}
	if entry != nil { // what is wrong with others is theirs
		return *entry, nil
	}
	return first, errors.Join(append(errs, fmt.Errorf("no entry of the directory leads to %s", r.to.Base))...)
}

func (r *run) lookUp(ctx context.Context, at string) (answer, error) {
	got, err := r.send(ctx, outgoing{method: http.MethodGet, url: at, header: http.Header{"Accept": {fhirJSON + ", " + plainJSON}}})
	if err == nil && got.status != http.StatusOK {
		err = fmt.Errorf("%s was answered %d", short(at), got.status)
	}
	return got, err
}

// leadsHere reports a Bundle whose Endpoint, by its address or by a server behind it, is on the server's host.
func (r *run) leadsHere(got answer) (bool, error) {
	var bundle struct {
		ResourceType string
		Entry        []struct {
			Resource struct {
				ResourceType, Address string
				Extension             []struct {
					URL       string
					Extension []struct{ URL, ValueString, ValueURL string }
				}
			}
		}
	}
	if err := json.Unmarshal(got.body, &bundle); err != nil {
		return false, fmt.Errorf("%s is no JSON: %w", short(got.url), err)
	}
	for _, e := range bundle.Entry {
		if bundle.ResourceType != "Bundle" || e.Resource.ResourceType != "Endpoint" {
			continue
		}
		urls := []string{e.Resource.Address}
		for _, x := range e.Resource.Extension {
			for _, p := range x.Extension {
				if strings.HasSuffix(x.URL, "associatedServers") && p.URL == "serverURL" {
					urls = append(urls, p.ValueString, p.ValueURL)
				}
			}
		}
		if slices.ContainsFunc(urls, func(u string) bool { return u != "" && sameHost(u, r.to.Base) }) {
			return true, nil
		}
	}
	return false, nil
}
