package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fhirwire/validators/directory"
	"fhirwire/validators/fhirjson"
)

const (
	maxDirectoryFile  = 16 << 20
	maxDirectoryFiles = 10000
	directoryTimeout  = 30 * time.Second
)

// directoryInput collects the files of a directory.
type directoryInput struct {
	client  *http.Client
	files   []directory.File
	leftOut int // JSON files of folders that are no Bundles
}

func directoryClient() *http.Client { return &http.Client{Timeout: directoryTimeout} }

// add reads a file, a folder or a URL. What it cannot read is an error; what it can read and not understand becomes an entry,
// which says so.
func (d *directoryInput) add(ctx context.Context, from string) error {
	if strings.HasPrefix(from, "http://") || strings.HasPrefix(from, "https://") {
		return d.addURL(ctx, from)
	}
	info, err := os.Stat(from)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return d.addFolder(ctx, from)
	}
	src, err := readBounded(from)
	if err != nil {
		return err
	}
	return d.put(from, src)
}

func (d *directoryInput) put(name string, src []byte) error {
	if len(d.files) >= maxDirectoryFiles {
		return fmt.Errorf("more than %d entries", maxDirectoryFiles)
	}
	d.files = append(d.files, directory.File{Name: name, Doc: fhirjson.Parse(src)})
	return nil
}

// addFolder takes the Bundles below a folder, outside hidden folders such as .git, and what is broken.
func (d *directoryInput) addFolder(ctx context.Context, dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		hidden := path != dir && strings.HasPrefix(e.Name(), ".")
		switch {
		case e.IsDir() && hidden:
			return fs.SkipDir
		case e.IsDir() || hidden || !strings.EqualFold(filepath.Ext(path), ".json"):
			return nil
		}
		src, err := readBounded(path)
		if err != nil {
			return err
		}
		doc := fhirjson.Parse(src)
		defer doc.Release()
		if doc.Fatal() == nil && doc.Root().ResourceType() != "Bundle" {
			d.leftOut++
			return nil
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return d.put(filepath.ToSlash(name), src)
	})
}

// addURL takes a Bundle, or the files of an index on the same server.
func (d *directoryInput) addURL(ctx context.Context, from string) error {
	src, base, err := d.fetch(ctx, from)
	if err != nil {
		return err
	}
	doc := fhirjson.Parse(src)
	defer doc.Release()
	list := doc.Root().Member("bundles")
	if doc.Fatal() != nil || list == nil || doc.Root().ResourceType() != "" {
		return d.put(from, src)
	}
	for b := list.FirstOrNil(); b != nil; b = b.Next() {
		to, err := base.Parse(b.MemberText("url"))
		if err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
		if to.Scheme != base.Scheme || to.Host != base.Host {
			return fmt.Errorf("%s: the index leads to another server: %s", from, to)
		}
		src, _, err := d.fetch(ctx, to.String())
		if err != nil {
			return err
		}
		name := b.MemberText("file")
		if name == "" {
			name = to.String()
		}
		if err := d.put(strings.Clone(name), src); err != nil {
			return err
		}
	}
	return nil
}

// fetch gives a body and the URL where it was found, redirects followed.
func (d *directoryInput) fetch(ctx context.Context, from string) ([]byte, *url.URL, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Accept", "application/fhir+json, application/json")
	res, err := d.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("%s: status %d", from, res.StatusCode)
	}
	src, err := bounded(from, res.Body)
	return src, res.Request.URL, err
}

func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	src, err := bounded(name, f)
	return src, errors.Join(err, f.Close())
}

func bounded(name string, r io.Reader) ([]byte, error) {
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(r, maxDirectoryFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case n > maxDirectoryFile:
		return nil, fmt.Errorf("%s: more than %d bytes", name, maxDirectoryFile)
	}
	return b.Bytes(), nil
}
