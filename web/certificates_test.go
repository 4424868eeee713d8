package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"fhirwire/proxy"
	"fhirwire/web/api"
	"fhirwire/web/api/apitest"
)

// fixedCertificates is a local CA that does not change.
type fixedCertificates struct {
	hosts []string
	list  []api.StoredCertificate
}

func (f fixedCertificates) RootPEM() []byte                       { return []byte("-----BEGIN CERTIFICATE-----\n") }
func (f fixedCertificates) Hosts() []string                       { return f.hosts }
func (f fixedCertificates) Certificates() []api.StoredCertificate { return f.list }

func someCertificates() fixedCertificates {
	certificate := func(subject, print string, names ...string) []proxy.Certificate {
		return []proxy.Certificate{{Subject: subject, Issuer: "CN=fhirwire local CA", Serial: "3f", Names: names, Fingerprint: strings.Repeat(print, 32)}}
	}
	return fixedCertificates{
		hosts: []string{"*.localhost", "127.0.0.1", "localhost", "p2p.cedar.example"},
		list: []api.StoredCertificate{
			{Name: "root", Kind: "root", Chain: certificate("CN=fhirwire local CA,O=fhirwire", "0a"), Expires: start.AddDate(10, 0, 0)},
			{Name: "servers", Kind: "servers", Chain: certificate("CN=fhirwire servers", "1b"), Expires: start.AddDate(0, 0, 60)},
			{Name: "servers", Kind: "servers", Chain: certificate("CN=fhirwire servers", "2c"), Expires: start.AddDate(0, 0, 50)},
			{Name: "acme-app", Kind: "client", Chain: certificate("CN=acme-app,O=Acme", "3d", "https://acme.example/client"), Expires: start.AddDate(0, 0, 9), Warnings: []string{"expires soon, on 2026-09-21"}},
			{Name: "acme-app.1", Kind: "client", Chain: certificate("CN=acme-app", "4e"), Expires: start.AddDate(0, 0, -2), Warnings: []string{"expired on 2026-09-10"}, Replaced: true},
			{Name: "broken", Kind: "", Warnings: []string{"cannot be read: no key followed by its certificate"}},
			{Name: "hostile", Kind: "imported", Chain: certificate("CN="+hostile, "5f", hostile), Expires: start.AddDate(1, 0, 0)},
		},
	}
}

func TestCertificatesPage(t *testing.T) {
	for name, known := range map[string]fixedCertificates{
		"certificates":      someCertificates(),
		"certificates-none": {list: []api.StoredCertificate{someCertificates().list[0]}},
	} {
		deps := apitest.NewStore().Deps()
		deps.Certificates = known
		o := Options{Clock: func() time.Time { return start }}
		if name == "certificates" {
			o.TLSURL = "https://127.0.0.1:8443"
		}
		s, err := New(deps, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		w := get(t, s, "/certificates")
		if w.Code != http.StatusOK {
			t.Fatalf("%s: %d", name, w.Code)
		}
		checkPage(t, name+".html", w.Body.String())
		if strings.Contains(w.Body.String(), "<script>alert") {
			t.Error("a subject becomes markup")
		}
	}
}

func TestRootDownload(t *testing.T) {
	deps := apitest.NewStore().Deps()
	deps.Certificates = someCertificates()
	s, err := New(deps, Options{Clock: func() time.Time { return start }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	w := get(t, s, "/ca/root.pem")
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Body.String(), "-----BEGIN CERTIFICATE-----") || !strings.Contains(w.Header().Get("Content-Disposition"), "attachment") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if m := get(t, s, "/metrics").Body.String(); !strings.Contains(m, `fhirwire_certificate_expires_days{kind="client",name="acme-app"} 9`) ||
		!strings.Contains(m, `fhirwire_certificate_expires_days{kind="servers",name="servers"} 50`) || strings.Contains(m, "acme-app.1") {
		t.Errorf("metrics: %s", m)
	}
	if page := get(t, s, "/systems").Body.String(); !strings.Contains(page, `href="/certificates"`) {
		t.Error("no link from the systems page")
	}
	if w := get(t, newServer(t, apitest.NewStore(), Options{}), "/ca/root.pem"); w.Code != http.StatusNotImplemented {
		t.Errorf("without a CA: %d", w.Code)
	}
}
