package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"fhirwire/proxy"
	"fhirwire/proxy/localca"
)

const caUsage = "say init, issue --client NAME, issue --server HOST, import NAME --cert FILE --key FILE, show or export [NAME]"

// caDir is the local CA's folder.
func caDir(data string) string { return filepath.Join(data, "ca") }

func runCA(_ context.Context, p *process, args []string) (int, error) {
	c := caCommand{p: p}
	fs := newFlags(p, "ca", "init | issue --client NAME|--server HOST | import NAME | show | export [NAME]",
		"The local certificate authority: a root that people install, certificates for the TLS listener and the forward proxy, and client\n"+
			"certificates by name. serve makes it on first use; its issuing certificates are constrained to the hosts of registered systems.\n"+
			"  init     makes it and prints the root's fingerprint\n"+
			"  issue    issues a client certificate, or one for a server elsewhere; what had the name before stays as NAME.1, NAME.2 …\n"+
			"  import   stores a certificate that was issued elsewhere, for the proxy to present\n"+
			"  show     lists everything with fingerprints and what is about to expire\n"+
			"  export   writes the root, or a named certificate with its chain, as PEM\n")
	fs.StringVar(&c.data, "data", dataDir(p), "`DIR` of serve, which may be running")
	fs.StringVar(&c.name, "name", "", "init: `TEXT` for the root's subject, such as the event")
	fs.StringVar(&c.client, "client", "", "issue: `NAME` of the client certificate")
	fs.StringVar(&c.server, "server", "", "issue: `HOST` (name or IP address) of the server elsewhere")
	fs.StringVar(&c.org, "org", "", "issue: the client's `ORGANIZATION`")
	fs.Var(&c.dns, "dns", "issue: DNS `NAME` of the client (repeatable)")
	fs.Var(&c.uris, "uri", "issue: `URI` of the client, as HRex asks for (repeatable); default urn:fhirwire:NAME")
	fs.IntVar(&c.days, "days", 0, "issue: `N` days of validity, at most 825; default 365 for clients, 90 for servers")
	fs.StringVar(&c.cert, "cert", "", "import: PEM `FILE` with the certificate and its chain")
	fs.StringVar(&c.key, "key", "", "import: PEM `FILE` with the key")
	fs.StringVar(&c.format, "format", "text", "show: text or json")
	fs.StringVar(&c.out, "out", "", "export: `FILE` to write; default stdout")
	fs.BoolVar(&c.withKey, "with-key", false, "export: write the key, too, beside --out with the ending .key and mode 0600")
	rest, err := parseFlags(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(rest) == 0 {
		return exitUsage, usagef(caUsage)
	}
	switch verb, rest := rest[0], rest[1:]; {
	case verb == "init" && len(rest) == 0:
		err = c.init()
	case verb == "issue" && len(rest) == 0 && (c.client == "") != (c.server == ""):
		err = c.issue()
	case verb == "import" && len(rest) == 1 && c.cert != "" && c.key != "":
		err = c.importPair(rest[0])
	case verb == "show" && len(rest) == 0 && slices.Contains([]string{"text", "json"}, c.format):
		err = c.show()
	case verb == "export" && len(rest) <= 1:
		err = c.export(strings.Join(rest, ""))
	default:
		err = usagef(caUsage)
	}
	if err != nil {
		return exitUsage, err
	}
	return exitFine, nil
}

type caCommand struct {
	p                               *process
	data, name, client, server, org string
	cert, key, format, out          string
	dns, uris                       list
	days                            int
	withKey                         bool
}

func (c *caCommand) init() error {
	before, err := localca.Load(caDir(c.data), localca.Options{Clock: c.p.now})
	if err == nil {
		_, err = fmt.Fprintf(c.p.stdout, "The local CA is there already.\n%s", caSummary(before, c.data))
		return err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	a, err := localca.Open(caDir(c.data), localca.Options{Clock: c.p.now, Name: c.name})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.p.stdout, "The local CA is made.\n%s", caSummary(a, c.data))
	return err
}

func caSummary(a *localca.Authority, data string) string {
	return fmt.Sprintf("root         %s\nfingerprint  %s\nsubject      %s\nexpires      %s\n",
		filepath.Join(caDir(data), "root.pem"), colons(a.Fingerprint()), a.Root().Subject, a.Root().NotAfter.UTC().Format(time.DateOnly))
}

// colons is a fingerprint as openssl and browsers print it.
func colons(hex string) string {
	var b strings.Builder
	for i := 0; i+2 <= len(hex); i += 2 {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(strings.ToUpper(hex[i : i+2]))
	}
	return b.String()
}

func (c *caCommand) load() (*localca.Authority, error) {
	a, err := localca.Load(caDir(c.data), localca.Options{Clock: c.p.now})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no local CA in %s; fhirwire ca init makes one", caDir(c.data))
	}
	return a, err
}

func (c *caCommand) issue() error {
	a, err := c.load()
	if err != nil {
		return err
	}
	valid := time.Duration(c.days) * 24 * time.Hour
	var e localca.Entry
	if c.client != "" {
		e, err = a.IssueClient(localca.ClientRequest{Name: c.client, Organization: c.org, DNSNames: c.dns, URIs: c.uris, Valid: valid})
	} else {
		e, err = a.IssueServer(c.server, valid)
	}
	if err != nil {
		return err
	}
	return c.stored(e)
}

func (c *caCommand) importPair(name string) error {
	a, err := c.load()
	if err != nil {
		return err
	}
	cert, err := os.ReadFile(c.cert)
	if err != nil {
		return err
	}
	key, err := os.ReadFile(c.key)
	if err != nil {
		return err
	}
	e, err := a.Import(name, cert, key)
	if err != nil {
		return err
	}
	return c.stored(e)
}

func (c *caCommand) stored(e localca.Entry) error {
	if len(e.Chain) == 0 {
		return errors.New(e.Name + ": " + strings.Join(e.Warnings, "; "))
	}
	leaf := e.Chain[0]
	_, err := fmt.Fprintf(c.p.stdout, "name         %s\nsubject      %s\nnames        %s\nfingerprint  %s\nexpires      %s\nfiles        fhirwire ca export %s --with-key --out %s.pem\n",
		printable(e.Name), printable(leaf.Subject), printable(strings.Join(leaf.Names, ", ")), leaf.Fingerprint, e.Expires.Format(time.DateOnly), e.Name, e.Name)
	return err
}

// caShown is the documented shape of show --format json.
type caShown struct {
	Folder       string         `json:"folder"`
	Fingerprint  string         `json:"fingerprint"` // the root's
	Hosts        []string       `json:"hosts"`       // that server certificates may be issued for
	Issuers      []caShownEntry `json:"issuers"`
	Certificates []caShownEntry `json:"certificates"`
}

type caShownEntry struct {
	Name     string              `json:"name"`
	Kind     localca.Kind        `json:"kind"`
	Expires  time.Time           `json:"expires,omitzero"`
	Replaced bool                `json:"replaced,omitempty"`
	Warnings []string            `json:"warnings,omitempty"`
	Chain    []proxy.Certificate `json:"chain"`
}

func (c *caCommand) show() error {
	a, err := c.load()
	if err != nil {
		return err
	}
	if c.format == "json" {
		out := caShown{Folder: caDir(c.data), Fingerprint: a.Fingerprint(), Hosts: append([]string{}, a.Hosts()...), Issuers: shownEntries(a.Issuers()), Certificates: shownEntries(a.Entries())}
		enc := json.NewEncoder(c.p.stdout)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(out)
	}
	b := bufio.NewWriter(c.p.stdout)
	_, _ = fmt.Fprint(b, caSummary(a, c.data))
	_, _ = fmt.Fprintf(b, "hosts        %s\n\n", cmp.Or(strings.Join(a.Hosts(), ", "), "none yet; serve permits those of registered systems"))
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "NAME\tKIND\tSUBJECT\tEXPIRES\tSHA-256\tNOTE")
	for _, e := range slices.Concat(a.Issuers(), a.Entries()) {
		subject, fingerprint, expires := "", "", ""
		if len(e.Chain) > 0 {
			subject, fingerprint, expires = e.Chain[0].Subject, e.Chain[0].Fingerprint, e.Expires.Format(time.DateOnly)
		}
		note := strings.Join(e.Warnings, "; ")
		if e.Replaced {
			note = strings.TrimPrefix(note+"; replaced", "; ")
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", printable(e.Name), e.Kind, printable(subject), expires, fingerprint, printable(note))
	}
	return errors.Join(w.Flush(), b.Flush())
}

func shownEntries(all []localca.Entry) []caShownEntry {
	out := []caShownEntry{}
	for _, e := range all {
		out = append(out, caShownEntry{Name: e.Name, Kind: e.Kind, Expires: e.Expires, Replaced: e.Replaced, Warnings: e.Warnings, Chain: append([]proxy.Certificate{}, e.Chain...)})
	}
	return out
}

func (c *caCommand) export(name string) error {
	a, err := c.load()
	if err != nil {
		return err
	}
	if name == "" || name == "root" {
		if c.withKey {
			return errors.New("the root's key stays where it is")
		}
		return c.write(a.RootPEM())
	}
	if c.withKey && c.out == "" {
		return usagef("--with-key needs --out FILE: a key is never printed")
	}
	cert, chain, key, err := a.Export(name)
	if err != nil {
		return err
	}
	if c.withKey {
		path := strings.TrimSuffix(c.out, filepath.Ext(c.out)) + ".key"
		if path == c.out {
			return usagef("--out %s is where the key would go; give it the ending .pem", c.out)
		}
		if err := writeKey(path, key); err != nil {
			return err
		}
		_, _ = fmt.Fprintf(c.p.stderr, "The key is in %s.\n", path)
	}
	return c.write(slices.Concat(cert, chain))
}

// writeKey replaces path by a file that only its owner can read.
func writeKey(path string, key []byte) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(key)
	return errors.Join(err, f.Close())
}

func (c *caCommand) write(pem []byte) error {
	if c.out == "" {
		_, err := c.p.stdout.Write(pem)
		return err
	}
	return os.WriteFile(c.out, pem, 0o644)
}
