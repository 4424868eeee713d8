package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"fhirwire/reference"
	"fhirwire/reference/smartauth"
)

// config is what serve can be told. Precedence: flag, then environment, then file, then default.
type config struct {
	Listen          string `yaml:"listen"`
	ProxyListen     string `yaml:"proxy-listen"`
	ReferenceListen string `yaml:"reference-listen"`
	// ReferenceGuides is the era the reference server follows: a key of eras.
	ReferenceGuides string `yaml:"reference-guides"`
	// ReferenceAuth is whether the reference server asks for tokens: off, optional or required.
	ReferenceAuth string `yaml:"reference-auth"`
	// ReferenceInitialTokens is a file with the initial access tokens without which the reference server registers nobody.
	ReferenceInitialTokens string `yaml:"reference-initial-tokens"`
	// ReferenceRegistrations bounds registrations a minute; clients behind one proxy count as one. 0 is no bound.
	ReferenceRegistrations int64 `yaml:"reference-registrations"`

	ForwardListen string `yaml:"forward-listen"`
	// ForwardUser are the forward proxy's credentials, NAME:SECRET each.
	ForwardUser userList `yaml:"forward-user"`
	TLSListen   string   `yaml:"tls-listen"`
	// TLSHosts are names by which the TLS listener is reached, besides loopback names and Hosts.
	TLSHosts string `yaml:"tls-hosts"`
	// TLSCert and TLSKey are PEM files; without them the local CA issues.
	TLSCert string `yaml:"tls-cert"`
	TLSKey  string `yaml:"tls-key"`
	// ACMEHosts are names for which certificates are got by ACME.
	ACMEHosts string `yaml:"acme-hosts"`
	ACMEEmail string `yaml:"acme-email"`
	// ACMEDirectory is the authority's; empty is Let's Encrypt. ACMECA is a PEM file with the roots of its own server.
	ACMEDirectory string `yaml:"acme-directory"`
	ACMECA        string `yaml:"acme-ca"`
	// ACMEEABKid and ACMEEABKeyFile tie the ACME account to one with the authority (external account binding).
	ACMEEABKid     string `yaml:"acme-eab-kid"`
	ACMEEABKeyFile string `yaml:"acme-eab-key-file"`
	// ReferenceMTLS is whether the reference server asks for client certificates on the TLS listener: off, optional or required.
	ReferenceMTLS string `yaml:"reference-mtls"`
	// Gateways are addresses and prefixes of gateways that end TLS in front of the proxy.
	Gateways string `yaml:"gateways"`
	// ClientCA is a PEM file with the event's CAs for client certificates.
	ClientCA string `yaml:"client-ca"`
	Data     string `yaml:"data"`
	Database string `yaml:"database"`
	Blobs    string `yaml:"blobs"`
	// ProxyURL is how clients reach the proxy listener, for the URLs that are shown and rewritten; empty: its address.
	ProxyURL string `yaml:"proxy-url"`
	// Hosts are names the dashboard may be reached by, besides loopback names.
	Hosts    string `yaml:"hosts"`
	Event    string `yaml:"event"`
	MaxBody  int64  `yaml:"max-body"`
	LogLevel string `yaml:"log-level"`
	// TX is the terminology server that is asked what is not known offline; empty for none.
	TX   string `yaml:"tx"`
	Demo bool   `yaml:"demo"`
	// Load are files and folders of resources for the reference server.
	Load list `yaml:"load"`
	// Plans are files and folders of test plans beside the built-in ones; one with the id of a built-in one replaces it.
	Plans list `yaml:"plans"`
}

// setting ties a key (flag and file) and its environment variable to a field.
type setting struct {
	key, usage string
	field      any // *string, *int64, *bool, *list or *userList
}

func (c *config) settings() []setting {
	return []setting{
		{"listen", "`ADDRESS` of the dashboard and the JSON API", &c.Listen},
		{"proxy-listen", "`ADDRESS` of the peer-to-peer proxy", &c.ProxyListen},
		{"reference-listen", "`ADDRESS` of the built-in reference payer server; \"off\" for none", &c.ReferenceListen},
		{"reference-guides", "`GUIDES` the reference server follows: stu2 (PDex 2.0.0, US Core 3.1.1) or 2.2 (PDex 2.2.0, US Core 6.1.0)", &c.ReferenceGuides},
		{"reference-auth", "`MODE`: whether the reference server asks for tokens: off, optional (its own are honoured, foreign ones ignored) or required", &c.ReferenceAuth},
		{"reference-initial-tokens", "`FILE` with initial access tokens, one a line: the reference server then registers only who presents one", &c.ReferenceInitialTokens},
		{"reference-registrations", "`NUMBER` of registrations a minute that the reference server takes from one certificate, or from one address without; 0 for any number", &c.ReferenceRegistrations},
		{"forward-listen", "`ADDRESS` of the forward proxy, for clients' HTTP proxy setting; \"off\" for none", &c.ForwardListen},
		{"forward-user", "`NAME:SECRET` that clients of the forward proxy may give, needed off loopback; may be repeated", &c.ForwardUser},
		{"tls-listen", "`ADDRESS` of the TLS listener: proxy and reference server; \"off\" for none", &c.TLSListen},
		{"tls-hosts", "comma-separated `NAMES` by which the TLS listener is reached, besides loopback and hosts", &c.TLSHosts},
		{"tls-cert", "PEM `FILE` with the TLS listener's certificate and chain, instead of the local CA's; read again when it changes", &c.TLSCert},
		{"tls-key", "PEM `FILE` with the key of tls-cert", &c.TLSKey},
		{"acme-hosts", "comma-separated public `NAMES` to get certificates for by ACME; their port 443 has to lead to the TLS listener", &c.ACMEHosts},
		{"acme-email", "`ADDRESS` that the ACME authority may write to", &c.ACMEEmail},
		{"acme-directory", "directory `URL` of the ACME authority, for instance the event's own; default: Let's Encrypt", &c.ACMEDirectory},
		{"acme-ca", "PEM `FILE` with the roots by which the ACME authority's own server is verified, instead of the machine's", &c.ACMECA},
		{"acme-eab-kid", "key `ID` of the account that the ACME authority gave you (external account binding)", &c.ACMEEABKid},
		{"acme-eab-key-file", "`FILE` with that account's key in base64url, as the authority gives it", &c.ACMEEABKeyFile},
		{"reference-mtls", "`MODE`: whether the reference server looks at client certificates on the TLS listener: off, optional (those presented have to be good) or required (and listed in the directory)", &c.ReferenceMTLS},
		{"gateways", "comma-separated `ADDRESSES` (10.0.0.5, 192.0.2.0/24) of gateways that end TLS in front of the proxy and are believed about client certificates (Client-Cert, RFC 9440)", &c.Gateways},
		{"client-ca", "PEM `FILE` with the CAs whose client certificates are accepted from everybody at the event", &c.ClientCA},
		{"data", "`DIR` that holds the database, bodies and keys", &c.Data},
		{"database", "`URL`, postgres://…, instead of the SQLite file in the data folder", &c.Database},
		{"blobs", "`URL`, file://DIR, for bodies instead of the data folder", &c.Blobs},
		{"proxy-url", "public `URL` of the proxy listener, when it is not its address", &c.ProxyURL},
		{"hosts", "comma-separated host `NAMES` the dashboard answers to, besides loopback", &c.Hosts},
		{"event", "`NAME` of the event, shown in the dashboard", &c.Event},
		{"max-body", "`BYTES` of a body that are stored; the rest is forwarded, counted and hashed", &c.MaxBody},
		{"tx", "terminology server `URL` to ask for codes that cannot be checked offline; its answers are kept in the data folder", &c.TX},
		{"log-level", "`LEVEL`: debug, info, warn or error", &c.LogLevel},
		{"demo", "seed the reference server and play a client through the proxy", &c.Demo},
		{"load", "`PATH`: file or folder of resources (NDJSON, JSON, Bundles) for the reference server; may be repeated", &c.Load},
		{"plans", "`PATH`: file or folder (*.yaml) of test plans beside the built-in ones, or in place of one with the same id; read again when a file changes; may be repeated. Those in plans/ of the data folder are read too", &c.Plans},
	}
}

func defaultConfig() config {
	return config{
		Listen: "127.0.0.1:8080", ProxyListen: "127.0.0.1:8081", ReferenceListen: "127.0.0.1:8083",
		ForwardListen: "127.0.0.1:8082", TLSListen: "127.0.0.1:8443", ReferenceMTLS: string(mutualOptional),
		ReferenceGuides: "stu2", ReferenceAuth: string(smartauth.Optional), ReferenceRegistrations: 60, Data: "./fhirwire-data",
		MaxBody: 64 << 20, LogLevel: "info",
	}
}

// off is the address of a listener that is not there.
const off = "off"

// pathSeparator stands between the paths of a list in one string.
const pathSeparator = string(filepath.ListSeparator)

// envName is the environment variable of a key: FHIRWIRE_PROXY_LISTEN.
func envName(key string) string {
	return "FHIRWIRE_" + strings.ToUpper(strings.ReplaceAll(key, "-", "_"))
}

// loadConfig puts the four sources together and reports everything wrong with them at once.
func loadConfig(p *process, args []string) (config, error) {
	c := defaultConfig()
	fs := newFlags(p, "serve", "[--demo] [flags]", "Runs the dashboard, the proxy and the reference server in one process, until interrupted.\n"+
		"Every flag can be set in the environment (--proxy-listen is FHIRWIRE_PROXY_LISTEN) or in a YAML file.\n")
	file := fs.String("config", p.getenv(envName("config")), "YAML `FILE` with these flags as keys")
	given := map[string]string{}
	for _, s := range c.settings() {
		set := func(v string) error { given[s.key] = v; return assign(s.field, v) }
		if between := separator(s.field); between != "" {
			fs.Func(s.key, s.usage, func(v string) error {
				given[s.key] = strings.TrimPrefix(given[s.key]+between+v, between)
				return nil
			})
			continue
		}
		usage := s.usage
		if v := deref(s.field); v != "" {
			usage += fmt.Sprintf(" (default %v)", v)
		}
		if _, isBool := s.field.(*bool); isBool {
			fs.BoolFunc(s.key, s.usage, set)
		} else {
			fs.Func(s.key, usage, set)
		}
	}
	rest, err := parseFlags(fs, args)
	if err != nil {
		return c, err
	}
	if len(rest) > 0 {
		return c, usagef("unexpected argument %q", rest[0])
	}
	c = defaultConfig() // the flags have the last word, below
	var errs []error
	if *file != "" {
		if err := readConfigFile(*file, &c); err != nil {
			errs = append(errs, err)
		}
	}
	for _, s := range c.settings() {
		if v := p.getenv(envName(s.key)); v != "" {
			if err := assign(s.field, v); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", envName(s.key), err))
			}
		}
		if v, ok := given[s.key]; ok {
			if err := assign(s.field, v); err != nil {
				errs = append(errs, err)
			}
		}
	}
	errs = append(errs, c.check()...)
	return c, errors.Join(errs...)
}

func assign(field any, v string) error {
	switch f := field.(type) {
	case *string:
		*f = v
	case *int64:
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return fmt.Errorf("%q is no whole number", v)
		}
		*f = n
	case *bool:
		b, err := strconv.ParseBool(v)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", v)
		}
		*f = b
	case *list:
		*f = filepath.SplitList(v)
	case *userList:
		*f = strings.Split(v, userSeparator)
	}
	return nil
}

// separator stands between the values of a field that may be given more than once, "" for other fields.
func separator(field any) string {
	switch field.(type) {
	case *list:
		return pathSeparator
	case *userList:
		return userSeparator
	}
	return ""
}

func deref(field any) any {
	switch f := field.(type) {
	case *string:
		return *f
	case *int64:
		return *f
	default:
		return ""
	}
}

func readConfigFile(path string, c *config) error {
	src, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	if len(bytes.TrimSpace(src)) == 0 {
		return nil
	}
	if err := yaml.UnmarshalWithOptions(src, c, yaml.DisallowUnknownField()); err != nil {
		return fmt.Errorf("config %s: %s", path, strings.Join(strings.Fields(yaml.FormatError(err, false, false)), " "))
	}
	return nil
}

// check reports what cannot work, with the key.
func (c *config) check() []error {
	var errs []error
	if _, err := c.ForwardUser.users(); err != nil {
		errs = append(errs, err)
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		errs = append(errs, errors.New("tls-cert: give tls-cert and tls-key together"))
	}
	if c.TLSListen == off && (c.TLSCert != "" || c.ACMEHosts != "") {
		errs = append(errs, errors.New("tls-listen: certificates are given and the listener is off"))
	}
	errs = append(errs, c.checkACME()...)
	if _, err := c.gateways(); err != nil {
		errs = append(errs, err)
	}
	if err := mutualTLS(c.ReferenceMTLS).check(); err != nil {
		errs = append(errs, err)
	}
	if c.Blobs != "" && !strings.HasPrefix(c.Blobs, "file://") {
		errs = append(errs, errors.New("blobs: this version stores bodies under file://DIR only"))
	}
	if c.Database != "" && !strings.HasPrefix(c.Database, "postgres://") && !strings.HasPrefix(c.Database, "postgresql://") {
		errs = append(errs, errors.New("database: want postgres://…; leave it out for SQLite in the data folder"))
	}
	if c.MaxBody < 1<<10 {
		errs = append(errs, errors.New("max-body: want 1024 bytes or more"))
	}
	if _, err := c.level(); err != nil {
		errs = append(errs, err)
	}
	if len(c.Load) > 0 && c.ReferenceListen == off {
		errs = append(errs, errors.New("load: needs the reference server; leave reference-listen on"))
	}
	if err := reference.CheckFiles(c.Load); err != nil {
		errs = append(errs, fmt.Errorf("load: %w", err))
	}
	if eras[c.ReferenceGuides] == nil {
		errs = append(errs, fmt.Errorf("reference-guides: %q is none of stu2, 2.2", c.ReferenceGuides))
	}
	switch smartauth.Mode(c.ReferenceAuth) {
	case smartauth.Off, smartauth.Optional, smartauth.Required:
	default:
		errs = append(errs, fmt.Errorf("reference-auth: %q is none of off, optional, required", c.ReferenceAuth))
	}
	if c.ReferenceRegistrations < 0 || c.ReferenceRegistrations > math.MaxInt32 {
		errs = append(errs, errors.New("reference-registrations: want a number a minute, or 0 for any number"))
	}
	if c.Demo && c.ReferenceInitialTokens != "" {
		errs = append(errs, errors.New("reference-initial-tokens: the demo's clients have none; leave demo out"))
	}
	if c.Demo && c.ReferenceListen == off {
		errs = append(errs, errors.New("demo: needs the reference server; leave reference-listen on"))
	}
	return errs
}

func (c *config) level() (slog.Level, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return l, fmt.Errorf("log-level: %q is none of debug, info, warn, error", c.LogLevel)
	}
	return l, nil
}

func (c *config) blobDir() string {
	if dir, ok := strings.CutPrefix(c.Blobs, "file://"); ok {
		return dir
	}
	return filepath.Join(c.Data, "blobs")
}

func (c *config) hosts() []string {
	var out []string
	for h := range strings.SplitSeq(c.Hosts, ",") {
		if h = strings.TrimSpace(h); h != "" {
			out = append(out, h)
		}
	}
	return out
}

var _ flag.Value = (*list)(nil)
