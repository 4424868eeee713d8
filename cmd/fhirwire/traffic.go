package main

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"regexp"

	"fhirwire/proxy"
	"fhirwire/proxy/har"
)

// traffic is what other tools recorded: a HAR, a report of newman, or a folder of messages.
type traffic struct {
	entries  iter.Seq2[har.Entry, error]
	channels func() []*proxy.Channel
	close    func() error
}

// newmanStart is how newman's JSON report begins; a HAR begins with "log".
var newmanStart = regexp.MustCompile(`^\s*\{\s*"(collection|environment|globals|run)"`)

// openTraffic opens a file, "-" for standard input, or a folder, and finds out what it is.
func openTraffic(p *process, name string) (traffic, error) {
	none := func() []*proxy.Channel { return nil }
	in, done := p.stdin, func() error { return nil }
	if name != "-" {
		info, err := os.Stat(name)
		if err != nil {
			return traffic{}, fmt.Errorf("har: %w", err)
		}
		if info.IsDir() {
			root, err := os.OpenRoot(name)
			if err != nil {
				return traffic{}, fmt.Errorf("folder: %w", err)
			}
			return traffic{har.Folder(root.FS()), none, root.Close}, nil
		}
		f, err := os.Open(name)
		if err != nil {
			return traffic{}, fmt.Errorf("har: %w", err)
		}
		in, done = f, f.Close
	}
	b, err := plainText(in)
	if err != nil {
		return traffic{}, errors.Join(fmt.Errorf("har: %w", err), done())
	}
	if start, _ := b.Peek(512); newmanStart.Match(start) {
		return traffic{har.Newman(b), none, done}, nil
	}
	d := har.NewDecoder(b)
	return traffic{d.Entries(), d.Channels, done}, nil
}
