package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"fhirwire/web/api"
	"fhirwire/web/views"
)

// rootPath is where the local CA's root is downloaded.
const rootPath = "/ca/root.pem"

// rootName is its file name in the commands of the page.
const rootName = "fhirwire-root.pem"

var errNoCertificates = &pageError{http.StatusNotImplemented, "There is no certificate authority here", "This dashboard was started without one."}

// rootPEM serves the local CA's root, which is no secret.
func (s *Server) rootPEM(c *gin.Context) error {
	if s.deps.Certificates == nil {
		return errNoCertificates
	}
	c.Header("Content-Disposition", `attachment; filename="`+rootName+`"`)
	c.Header("Cache-Control", "no-cache")
	c.Data(http.StatusOK, "application/x-pem-file", s.deps.Certificates.RootPEM())
	return nil
}

// uses says what a certificate of each kind is for.
var uses = map[string]string{
	"root": "Root, to be trusted", "servers": "Issues for servers", "clients": "Issues for clients", "client": "Client", "server": "Server elsewhere",
	"imported": "Client, issued elsewhere", "acme": "TLS listener, by ACME", "file": "TLS listener, from --tls-cert",
}

func (s *Server) certificates(c *gin.Context) error {
	if s.deps.Certificates == nil {
		return errNoCertificates
	}
	ctx := c.Request.Context()
	n, err := s.names(ctx)
	if err != nil {
		return err
	}
	all := s.deps.Certificates.Certificates()
	v := views.Certificates{Shell: s.shell(ctx, c, "Certificates", "systems", n, ""), Download: rootPath}
	for _, e := range all {
		row := views.CertificateRow{
			Name: visible([]byte(e.Name)), Use: uses[e.Kind], Warning: strings.Join(e.Warnings, "; "), Dim: e.Replaced,
		}
		if !e.Expires.IsZero() {
			row.Expires = e.Expires.Format(time.DateOnly)
		}
		if len(e.Chain) > 0 {
			leaf := e.Chain[0]
			row.Subject, row.Names, row.Fingerprint = visible([]byte(leaf.Subject)), visible([]byte(strings.Join(leaf.Names, ", "))), leaf.Fingerprint
			if e.Kind == "root" {
				v.Fingerprint = views.Copy{ID: "root-print", Label: "SHA-256 fingerprint", Text: colons(leaf.Fingerprint)}
				v.Facts = append(v.Facts, views.Fact{Name: "Subject", Value: row.Subject}, views.Fact{Name: "Expires", Value: row.Expires})
				v.Ways = trustWays(s.opts.TLSURL, leaf.Serial, leaf.Fingerprint)
			}
		}
		v.Entries = append(v.Entries, row)
	}
	hosts := "no host yet"
	if h := s.deps.Certificates.Hosts(); len(h) > 0 {
		hosts = strings.Join(h, ", ")
	}
	v.Facts = append(v.Facts, views.Fact{Name: "Can issue for", Value: visible([]byte(hosts)) + ". Certificates for any other name do not verify, whoever has the issuing key."})
	if s.opts.TLSURL != "" {
		v.Facts = append(v.Facts, views.Fact{Name: "TLS listener", Value: s.opts.TLSURL, Mono: true})
	}
	return render(c, http.StatusOK, views.CertificatesPage(v))
}

// colons is a fingerprint as openssl and browsers print it.
func colons(hexadecimal string) string {
	var b strings.Builder
	for i := 0; i+2 <= len(hexadecimal); i += 2 {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(strings.ToUpper(hexadecimal[i : i+2]))
	}
	return b.String()
}

// trustWays are the commands, by program.
func trustWays(tlsURL, serial, fingerprint string) []views.TrustWay {
	if tlsURL == "" {
		tlsURL = "https://HOST:8443"
	}
	example := shellQuote(tlsURL + "/CHANNEL/fhir/metadata")
	ways := []views.TrustWay{
		{Title: "curl", Text: "With a client certificate; leave --cert and --key out where none is asked for.", Do: views.Copy{Text: "curl --cacert " + rootName + " --cert acme.pem --key acme.key " + example}},
		{Title: "newman and Postman", Text: "In Postman: Settings, Certificates, CA certificates, and a client certificate for the host.", Do: views.Copy{
			Text: "newman run collection.json --ssl-extra-ca-certs " + rootName + " --ssl-client-cert acme.pem --ssl-client-key acme.key",
		}},
		{Title: "Java", Text: "The trust store replaces Java's own for that program.", Do: views.Copy{
			Text: "keytool -importcert -noprompt -alias fhirwire -file " + rootName + " -keystore fhirwire.p12 -storetype PKCS12 -storepass changeit && " +
				"java -Djavax.net.ssl.trustStore=fhirwire.p12 -Djavax.net.ssl.trustStorePassword=changeit -jar app.jar",
		}, Undo: views.Copy{Text: "rm fhirwire.p12"}},
		{Title: "Node.js", Do: views.Copy{Text: "NODE_EXTRA_CA_CERTS=" + rootName + " node app.js"}},
		{Title: "Python", Text: "For requests and httpx; it stands in place of the other roots.", Do: views.Copy{Text: "REQUESTS_CA_BUNDLE=" + rootName + " SSL_CERT_FILE=" + rootName + " python app.py"}},
		{Title: ".NET and Go on Linux", Text: "It stands in place of the other roots.", Do: views.Copy{Text: "SSL_CERT_FILE=" + rootName + " ./app"}},
		{Title: "Linux, whole system (Debian, Ubuntu)", Do: views.Copy{
			Text: "sudo cp " + rootName + " /usr/local/share/ca-certificates/fhirwire.crt && sudo update-ca-certificates",
		}, Undo: views.Copy{Text: "sudo rm /usr/local/share/ca-certificates/fhirwire.crt && sudo update-ca-certificates --fresh"}},
		{Title: "macOS, your account", Do: views.Copy{
			Text: "security add-trusted-cert -r trustRoot -k ~/Library/Keychains/login.keychain-db " + rootName,
		}, Undo: views.Copy{Text: "security delete-certificate -t -Z " + strings.ToUpper(fingerprint) + " ~/Library/Keychains/login.keychain-db"}},
		{Title: "Windows, your account", Do: views.Copy{Text: "certutil -user -addstore Root " + rootName}, Undo: views.Copy{Text: "certutil -user -delstore Root " + serial}},
		{Title: "Firefox", Text: "Settings, Privacy & Security, View Certificates, Authorities, Import; delete it there afterwards. Other browsers use the system's.", Do: views.Copy{Text: "about:preferences#privacy"}},
	}
	for i := range ways {
		w := &ways[i]
		w.Do.ID, w.Do.Label = "trust-"+strconv.Itoa(i), "Do"
		w.Undo.ID, w.Undo.Label = "undo-"+strconv.Itoa(i), "Undo"
	}
	return ways
}

// certificateDays measures the days until each certificate ends, by name.
type certificateDays struct {
	from api.Certificates
	now  func() time.Time
	desc *prometheus.Desc
}

func newCertificateDays(from api.Certificates, now func() time.Time) *certificateDays {
	return &certificateDays{from, now, prometheus.NewDesc("fhirwire_certificate_expires_days", "Days until a certificate of the local CA's store ends.", []string{"name", "kind"}, nil)}
}

// Describe implements prometheus.Collector.
func (d *certificateDays) Describe(ch chan<- *prometheus.Desc) { ch <- d.desc }

// Collect implements prometheus.Collector. Issuing certificates of one kind count by the first that ends.
func (d *certificateDays) Collect(ch chan<- prometheus.Metric) {
	type key struct{ name, kind string }
	first := map[key]time.Time{}
	for _, e := range d.from.Certificates() {
		k := key{e.Name, e.Kind}
		if at, ok := first[k]; !e.Expires.IsZero() && !e.Replaced && (!ok || e.Expires.Before(at)) {
			first[k] = e.Expires
		}
	}
	for k, at := range first {
		ch <- prometheus.MustNewConstMetric(d.desc, prometheus.GaugeValue, at.Sub(d.now()).Hours()/24, strings.ToValidUTF8(k.name, "?"), k.kind)
	}
}
