package main

import (
	"io"
	"log"
)

// quietLibraries silences the standard logger, for the process: by it net/http says what servers did to connections and quotes
// what they sent, which is evidence and may be secret. What concerns an exchange is in its record.
func quietLibraries() { log.SetOutput(io.Discard) }
