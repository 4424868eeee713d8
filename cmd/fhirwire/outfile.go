package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// writeWhole leaves either the whole file or what was there before. A link is followed, and what is no regular file, such as a pipe or
// /dev/null, is written to as it is: it must not be replaced by a file.
func writeWhole(path string, write func(io.Writer) error) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return writeInto(path, write)
	case err == nil:
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return fmt.Errorf("out: %w", err)
		}
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".fhirwire-*")
	if err != nil {
		return fmt.Errorf("out: %w", err)
	}
	err = errors.Join(write(f), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func writeInto(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("out: %w", err)
	}
	return errors.Join(write(f), f.Close())
}

// vetOutFile reports a file that cannot be written, before a command that takes long begins.
func vetOutFile(flag, path string) error {
	if path == "" || path == "-" {
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return usagef("--%s: %s is a folder", flag, path)
	case err == nil && !info.Mode().IsRegular():
		return nil // whether a pipe takes it shows when it is written
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".fhirwire-*")
	if err != nil {
		if at, ok := errors.AsType[*os.PathError](err); ok {
			err = at.Err
		}
		return usagef("--%s: no file can be made in %s: %v", flag, filepath.Dir(path), err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
