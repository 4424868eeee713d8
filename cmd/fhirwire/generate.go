package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"fhirwire/reference/synth"
)

func runGenerate(ctx context.Context, p *process, args []string) (int, error) {
	fs := newFlags(p, "generate", "--members N --seed S --out DIR", "Writes synthetic payer data as NDJSON, one file per resource type. The same numbers give the same bytes.\n")
	members := fs.Int("members", 100, "`N` members besides the fixed ones")
	seed := fs.Uint64("seed", 1, "`S`, the seed of the random choices")
	out := fs.String("out", "", "`DIR` to write to; it is made if it is not there")
	today := fs.String("today", "", "`YYYY-MM-DD`, last day of every history (default 2026-02-02, whatever the clock says)")
	force := fs.Bool("force", false, "write into a folder that is not empty; files of the same name are replaced")
	rest, err := parseFlags(fs, args)
	if err != nil {
		return exitUsage, err
	}
	o := synth.Options{Seed: *seed, Members: *members}
	switch {
	case len(rest) > 0:
		return exitUsage, usagef("unexpected argument %q", rest[0])
	case *out == "":
		return exitUsage, usagef("--out is needed")
	case *members < 0:
		return exitUsage, usagef("--members: %d is less than none", *members)
	}
	if *today != "" {
		if o.Today, err = time.Parse(time.DateOnly, *today); err != nil {
			return exitUsage, usagef("--today: %q is no day like 2026-02-02", *today)
		}
	}
	if err := makeFolder(*out, *force); err != nil {
		return exitUsage, err
	}
	counts, err := writeSynthetic(ctx, p, synth.New(o), *out)
	if err != nil {
		return exitUsage, err
	}
	total := 0
	for _, typ := range slices.Sorted(maps.Keys(counts)) {
		total += counts[typ]
		_, _ = fmt.Fprintf(p.stdout, "%9d %s\n", counts[typ], typ)
	}
	_, _ = fmt.Fprintf(p.stdout, "%9d resources in %s\n", total, *out)
	return exitFine, nil
}

// makeFolder refuses a folder with something in it, unless forced.
func makeFolder(dir string, force bool) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	have, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	if len(have) > 0 && !force {
		return fmt.Errorf("--out: %s is not empty; --force writes into it all the same", dir)
	}
	return nil
}

// ndjsonFile is one type's file. It has its name when it is whole.
type ndjsonFile struct {
	*bufio.Writer
	f    *os.File
	name string
}

// writeSynthetic streams the generator into a file per type and counts.
func writeSynthetic(ctx context.Context, p *process, g *synth.Generator, dir string) (map[string]int, error) {
	files := map[string]*ndjsonFile{}
	defer func() {
		for _, f := range files {
			_ = f.f.Close()           // closed already, unless an error is on its way
			_ = os.Remove(f.f.Name()) // renamed already, as above
		}
	}()
	counts := map[string]int{}
	show := newProgress(p, "resources written")
	defer show.end()
	for r := range g.All() {
		f := files[r.Type]
		if f == nil {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			name := filepath.Join(dir, r.Type+".ndjson")
			file, err := os.Create(name + ".part")
			if err != nil {
				return nil, err
			}
			f = &ndjsonFile{bufio.NewWriterSize(file, 128<<10), file, name}
			files[r.Type] = f
		}
		if _, err := f.Write(append(r.JSON, '\n')); err != nil {
			return nil, err
		}
		counts[r.Type]++
		if show.step(); show.n%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	for _, f := range files {
		if err := errors.Join(f.Flush(), f.f.Close(), os.Rename(f.f.Name(), f.name)); err != nil {
			return nil, err
		}
	}
	return counts, nil
}
