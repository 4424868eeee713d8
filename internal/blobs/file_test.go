package blobs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fhirwire/internal/blobs"
	"fhirwire/internal/blobs/blobstest"
)

func TestDir(t *testing.T) {
	blobstest.Run(t, func(t *testing.T) blobstest.Store {
		d, err := blobs.OpenDir(filepath.Join(t.TempDir(), "blobs"), blobs.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return d
	})
}

func TestFilesArePrivateAndNoLeftoversStay(t *testing.T) {
	root := filepath.Join(t.TempDir(), "blobs")
	d, err := blobs.OpenDir(root, blobs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	key := blobstest.Key([]byte("x"))
	if err := d.Put(t.Context(), key, 1, strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	if err := d.Put(t.Context(), blobstest.Key([]byte("y")), 2, strings.NewReader("y")); err == nil {
		t.Fatal("a short body was stored")
	}
	info, err := os.Stat(filepath.Join(root, key[:2], key[2:]))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
	if left, err := os.ReadDir(filepath.Join(root, "tmp")); err != nil || len(left) != 0 {
		t.Errorf("temporary files %v, error %v", left, err)
	}
}

func TestOpenRemovesOldTemporaryFiles(t *testing.T) {
	root := t.TempDir()
	old, fresh := filepath.Join(root, "tmp", "old"), filepath.Join(root, "tmp", "fresh")
	if err := os.MkdirAll(filepath.Dir(old), 0o700); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for path, at := range map[string]time.Time{old: now.Add(-48 * time.Hour), fresh: now.Add(-time.Hour)} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := blobs.OpenDir(root, blobs.Options{Clock: func() time.Time { return now }}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Errorf("old file: %v", err)
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Errorf("fresh file: %v", err)
	}
}
