package fetch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"fhirwire/validators/ig"
)

// download asks the registry: {registry}/{name}/{version} gives the archive, or npm's description of the version, which says where
// it is. A version that is a pattern is looked up in {registry}/{name}.
func (f *Finder) download(ctx context.Context, name, version string) (*ig.Package, error) {
	id := name + "#" + version
	if isPattern(version) {
		versions, err := f.versions(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("package %s: %w", id, err)
		}
		if version = Pick(versions, version); version == "" {
			return nil, fmt.Errorf("package %s: %w: the registry has no such version", id, ErrNotFound)
		}
	}
	data, err := f.get(ctx, f.o.Registry+"/"+url.PathEscape(name)+"/"+url.PathEscape(version))
	if err != nil {
		return nil, fmt.Errorf("package %s: %w", id, err)
	}
	if !bytes.HasPrefix(data, gzipMagic) {
		at, err := archiveURL(data)
		if err != nil {
			return nil, fmt.Errorf("package %s: %w", id, err)
		}
		if data, err = f.get(ctx, at); err != nil {
			return nil, fmt.Errorf("package %s: %w", id, err)
		}
	}
	p, err := ig.ReadTGZ(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("package %s: the registry's answer: %w", id, err)
	}
	return p, sameName(p, name, version)
}

var gzipMagic = []byte("\x1f\x8b")

func isPattern(version string) bool { return version == "latest" || strings.HasSuffix(version, ".x") }

// archiveURL reads npm's description of a version.
func archiveURL(data []byte) (string, error) {
	var m struct{ Dist struct{ Tarball string } }
	if err := json.Unmarshal(data, &m); err != nil {
		return "", errors.New("the registry's answer is neither an archive nor a description of one")
	}
	u, err := url.Parse(m.Dist.Tarball)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", fmt.Errorf("the registry names no archive to fetch: %.100q", m.Dist.Tarball)
	}
	return u.String(), nil
}

func (f *Finder) versions(ctx context.Context, name string) ([]string, error) {
	data, err := f.get(ctx, f.o.Registry+"/"+url.PathEscape(name))
	if err != nil {
		return nil, err
	}
	var m struct{ Versions map[string]json.RawMessage }
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, errors.New("the registry's answer is no list of versions")
	}
	out := make([]string, 0, len(m.Versions))
	for v := range m.Versions {
		out = append(out, v)
	}
	return out, nil
}

func (f *Finder) get(ctx context.Context, at string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, err
	}
	resp, err := f.o.Client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	switch {
	case resp.StatusCode == http.StatusNotFound:
		return nil, fmt.Errorf("%w: %s answers %s", ErrNotFound, at, resp.Status)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s answers %s", at, resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, f.o.MaxDownload+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", at, err)
	case int64(len(data)) > f.o.MaxDownload:
		return nil, fmt.Errorf("%s: the answer is larger than %d bytes", at, f.o.MaxDownload)
	}
	return data, nil
}
