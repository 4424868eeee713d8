//go:build !unix

package main

import "os"

// lockFile has no lock to take on this system: a second serve is not noticed.
func lockFile(*os.File) error { return nil }
