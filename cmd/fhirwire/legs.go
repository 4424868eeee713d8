package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/localca"
	"fhirwire/proxy/peers"
	"fhirwire/proxy/upstream"
	"fhirwire/validators/directory"
)

// openCertificates opens the local CA and makes what judges clients' certificates.
func (a *app) openCertificates(context.Context) error {
	var err error
	if a.ca, err = localca.Open(filepath.Join(a.cfg.Data, "ca"), localca.Options{Clock: a.p.now, Name: a.cfg.Event}); err != nil {
		return err
	}
	a.listed = a.listing()
	o := peers.Options{
		Local: a.ca.ClientRoots(), Systems: a.store, Clock: a.p.now,
		Directory: a.listed,
	}
	if a.cfg.ClientCA != "" {
		if o.EventCA, err = certificatePool(a.cfg.ClientCA); err != nil {
			return fmt.Errorf("client-ca: %w", err)
		}
		o.EventCAName = filepath.Base(a.cfg.ClientCA)
	}
	a.peers = peers.New(o)
	return nil
}

// toServers is the way to servers: own are the listeners that no channel may reach.
func (a *app) toServers() *upstream.Transports {
	return upstream.New(upstream.Options{Own: a.ownListeners(), Certificates: a.ca, LocalRoot: a.ca.Root(), Clock: a.p.now})
}

func certificatePool(file string) (*x509.CertPool, error) {
	src, err := readBounded(file)
	if err != nil {
		return nil, err
	}
	certs, err := proxy.CertificatesFromPEM(string(src))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	pool := x509.NewCertPool()
	for _, c := range certs {
		pool.AddCert(c)
	}
	return pool, nil
}

// directoryPeers looks client certificates up in the endpoint directory of a folder, which people change while we run.
type directoryPeers struct {
	dir string
	now func() time.Time

	mu      sync.Mutex // guards what follows
	read    time.Time
	state   string
	entries *directory.Directory
}

const (
	directoryAge   = 5 * time.Second
	directoryFiles = 2000 // of a folder whose changes are looked for
)

// Entry implements peers.Directory.
func (d *directoryPeers) Entry(ctx context.Context, chain []*x509.Certificate) (string, error) {
	known, err := d.current(ctx)
	switch {
	case err != nil:
		return "", fmt.Errorf("it cannot be read: %w", err)
	case known == nil || len(known.Entries) == 0:
		return "", errors.New("it has no entries")
	}
	hit := known.ByCertificate(chain, directory.BindOptions{Now: d.now()})
	switch hit.Outcome {
	case directory.Found:
		name := hit.Entry.File
		if hit.Entry.Plan != nil && hit.Entry.Plan.Name != "" {
			name = hit.Entry.Plan.Name + " (" + name + ")"
		}
		return fmt.Sprintf("%s, bound at level %s", name, hit.Level), nil
	case directory.Ambiguous:
		return "", errors.New("several entries fit: " + strings.Join(hit.Candidates, ", "))
	case directory.NotListed: // below
	}
	return "", errors.New("no valid entry has it")
}

// current is the directory, read again when a file of it has changed.
func (d *directoryPeers) current(ctx context.Context) (*directory.Directory, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	if !d.read.IsZero() && now.Sub(d.read).Abs() < directoryAge {
		return d.entries, nil
	}
	state, err := folderState(d.dir)
	if errors.Is(err, fs.ErrNotExist) {
		d.read, d.state, d.entries = now, "", nil
		return nil, nil //nolint:nilnil // no folder is no directory
	}
	if err != nil {
		return nil, err
	}
	if state != d.state || d.read.IsZero() {
		var in directoryInput
		if err := in.addFolder(ctx, d.dir); err != nil {
			return nil, err
		}
		d.entries, d.state = directory.Check(in.files, directory.Options{Now: now}), state
	}
	d.read = now
	return d.entries, nil
}

// folderState changes with the names, sizes and times of a folder's files.
func folderState(dir string) (string, error) {
	var b strings.Builder
	files := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if path != dir && strings.HasPrefix(e.Name(), ".") {
				return fs.SkipDir
			}
			return nil
		}
		if files++; files > directoryFiles {
			return fmt.Errorf("more than %d files", directoryFiles)
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %d %d\n", path, info.Size(), info.ModTime().UnixNano())
		return nil
	})
	return b.String(), err
}
