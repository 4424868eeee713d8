package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"fhirwire/internal/store"
	"fhirwire/proxy"
	"fhirwire/proxy/har"
	"fhirwire/validators/inspect"
)

const harUsage = "say import FILE --channel NAME, or export"

func runHAR(ctx context.Context, p *process, args []string) (int, error) {
	fs := newFlags(p, "har", "import FILE --channel NAME | export [--filter …] [--out FILE]",
		"Brings exchanges that other tools recorded into the evidence of a data folder, and writes evidence as HAR 1.2. FILE is a HAR, a JSON\n"+
			"report of newman (newman run … -r json), or a folder of messages: NAME.request and NAME.response, as they are on the wire.\n"+
			"Secrets are replaced by fingerprints before anything is stored, so that none can be written.\n")
	data := fs.String("data", dataDir(p), "`DIR` of serve, which may be running")
	database := fs.String("database", p.getenv(envName("database")), "postgres://… where serve has its evidence there")
	channel := fs.String("channel", "", "import: `NAME` of the registered channel that the exchanges belong to")
	filter := fs.String("filter", "", "export: the exchanges to write, in the words of the dashboard's filter: \"channel:… type:Patient\"")
	out := fs.String("out", "-", "export: the `FILE` to write, - for standard output")
	secrets := fs.Bool("with-secrets", false, "export: refused, since secrets are not kept")
	rest, err := parseFlags(fs, args)
	switch {
	case err != nil:
		return exitUsage, err
	case *secrets:
		return exitUsage, usagef("--with-secrets: secrets are never stored in clear, so there is nothing to add; their fingerprints are in the file")
	case len(rest) == 2 && rest[0] == "import" && *channel == "":
		return exitUsage, usagef("import: say with --channel NAME whose exchanges they are")
	case len(rest) == 2 && rest[0] == "import" && *filter == "":
		return exitFine, importHAR(ctx, p, *data, *database, rest[1], *channel)
	case len(rest) == 1 && rest[0] == "export" && *channel == "":
		return exitFine, exportHAR(ctx, p, *data, *database, *filter, *out)
	}
	return exitUsage, usagef(harUsage)
}

func importHAR(ctx context.Context, p *process, data, database, file, channel string) (err error) {
	st, closeAll, err := openStore(ctx, p, data, database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	ch, err := st.ChannelByName(ctx, channel)
	if errors.Is(err, proxy.ErrNotFound) {
		return fmt.Errorf("channel %q is not registered; make it in the dashboard first", channel)
	}
	if err != nil {
		return err
	}
	lib, err := loadLibrary(data)
	if err != nil {
		return err
	}
	key, err := fingerprintKey(data)
	if err != nil {
		return err
	}
	t, err := openTraffic(p, file)
	if err != nil {
		return err
	}
	defer func() { _ = t.close() }() // it was only read
	inspector := inspect.New(lib, st, inspect.Options{Channels: st, Now: p.now})
	source := newHARSource(p, nil, key)
	source.known.channels[channel] = ch
	added, there := 0, 0
	for it, err := range source.read(ctx, t, channel) {
		if err != nil {
			return fmt.Errorf("%w; %d exchanges before it are stored", err, added)
		}
		ex := it.Exchange
		if _, err := st.Exchange(ctx, ex.ID); err == nil {
			there++
			continue
		} else if !errors.Is(err, proxy.ErrNotFound) {
			return err
		}
		if err := st.Put(ctx, ex, it.Bodies); err != nil {
			return err
		}
		report, err := inspector.Inspect(ctx, ex)
		if err != nil {
			return err
		}
		if err := st.SaveReport(ctx, report); err != nil {
			return err
		}
		added++
	}
	_, err = fmt.Fprintf(p.stdout, "%d exchanges imported into %s, %d were there already\n", added, channel, there)
	return err
}

func exportHAR(ctx context.Context, p *process, data, database, text, out string) (err error) {
	filter, faults := proxy.ParseFilter(text)
	if len(faults) > 0 {
		return usagef("--filter: %v", faults[0])
	}
	st, closeAll, err := openStore(ctx, p, data, database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	channels, err := channelsOf(ctx, st, filter)
	if err != nil {
		return err
	}
	o := har.Options{Version: version, Channels: channels}
	if out == "-" {
		return har.Encode(ctx, p.stdout, selected(ctx, st, filter), st, o)
	}
	return writeWhole(out, func(w io.Writer) error { return har.Encode(ctx, w, selected(ctx, st, filter), st, o) })
}

// channelsOf are the registered channels of the exchanges selected, which go along in the file.
func channelsOf(ctx context.Context, st *store.Store, filter proxy.Filter) ([]*proxy.Channel, error) {
	all, err := st.Channels(ctx)
	if err != nil {
		return nil, err
	}
	byName := map[string]*proxy.Channel{}
	for _, c := range all {
		f := proxy.Filter{Terms: append(slices.Clip(filter.Terms), proxy.Term{Key: proxy.KeyChannel, Op: proxy.OpEq, Values: []string{c.Name}})}
		page, err := st.Exchanges(ctx, proxy.Query{Filter: f, Limit: 1, SkipTotal: true})
		if err != nil {
			return nil, err
		}
		if len(page.Exchanges) > 0 {
			byName[c.Name] = c
		}
	}
	out := make([]*proxy.Channel, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, byName[name])
	}
	return out, nil
}
