package directory

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fhirwire/validators"
	"fhirwire/validators/fhirjson"
)

func TestGoodEntry(t *testing.T) {
	w := newWorld(t)
	o := w.options()
	o.Strict = true
	e := Check([]File{{"cedarmesa.json", parse(t, w.signBundle(w.bundle()))}}, o).Entries[0]
	if len(e.Issues) != 0 {
		t.Fatalf("%v\n%s", found(e), e.Explain())
	}
	if !e.Valid() || e.Plan.Name != "Cedar Mesa Mutual" || e.Plan.NPI() != "1000008429" || e.Operator.ID != "juniper-relay" || e.Endorsement != Endorsed ||
		e.Endpoint.RegistrationURL() != "https://p2p.cedarmesa.example/oauth/register" || e.Endpoint.FHIRBase() != "https://p2p.cedarmesa.example/fhir" {
		t.Errorf("%+v %+v", e, e.Endpoint)
	}
	if got := e.Explain(); got != "cedarmesa.json: the entry of Cedar Mesa Mutual\nThe entry is complete: partners can connect to https://p2p.cedarmesa.example/gateway and know its certificate.\n" {
		t.Error(got)
	}
}

// Each rule has examples that break it and nothing else.
func TestRules(t *testing.T) {
	w := newWorld(t)
	const (
		plan = "Bundle.entry[0].resource"
		ep   = "Bundle.entry[2].resource"
	)
	leafOf := func(c *signer) func(object) {
		return func(b object) {
			set(extension(b, 0), "Object", "valueBase64Binary", b64(c))
			set(extension(b, 2), "certificate", "valueBase64Binary", b64(c))
			set(extension(b, 2), "expirationDate", "valueDateTime", c.NotAfter.Format(time.RFC3339))
			twin := issueBy(t, w.tm, c.key, nil)
			set(extension(b, 1), "signedArtifact", "valueBase64Binary", b64(twin))
		}
	}
	changed := func(change func(*x509.Certificate)) *signer { return issueBy(t, w.ca, newKey(t), change) }
	signed := func(name string, v any) func(object) { return func(b object) { b["signature"].(object)[name] = v } }
	object0 := ep + ".extension[0].extension[1].valueBase64Binary"
	seen := map[string]bool{}
	for _, tt := range []struct {
		rule, at string
		change   func(object)
		resign   bool // after the change; otherwise before it
	}{
		{"dir-profile", "Bundle", func(b object) { delete(b, "meta") }, true},
		{"dir-type", "Bundle.type", func(b object) { b["type"] = "batch" }, true},
		{"dir-timestamp", "Bundle", func(b object) { delete(b, "timestamp") }, true},
		{"dir-timestamp", "Bundle.timestamp", func(b object) { b["timestamp"] = "2026-02-03" }, true},
		{"dir-collection", "Bundle.total", func(b object) { b["total"] = 3 }, true},
		{"dir-collection", "Bundle.entry[0].search", func(b object) { b["entry"].(array)[0].(object)["search"] = object{"mode": "match"} }, true},
		{"dir-full-url", "Bundle.entry[1].fullUrl", func(b object) {
			b["entry"].(array)[1].(object)["fullUrl"] = b["entry"].(array)[0].(object)["fullUrl"]
		}, true},
		{"dir-signature", "Bundle", func(b object) { delete(b, "signature") }, false},
		{"dir-signature", "Bundle.signature", func(b object) { delete(b["signature"].(object), "who") }, false},
		{"dir-signature-data", "Bundle.signature", func(b object) { delete(b["signature"].(object), "data") }, false},
		{"dir-signature-certificate", "Bundle.signature.data", signed("data", b64(w.leaf)), false},
		{"dir-signature-invalid", "Bundle.signature.data", func(b object) { resource(b, 0)["name"] = "Changed" }, false},
		{"dir-signature-invalid", "Bundle.signature.data", signed("data", "bm90IGEgSldT"), false},
		{"dir-signature-unknown", "Bundle.signature", signed("sigFormat", "image/png"), false},
		{"dir-endpoint", "Bundle", func(b object) {
			b["entry"] = b["entry"].(array)[:2]
		}, true},
		{"dir-endpoint", "Bundle", func(b object) {
			more := w.bundle()["entry"].(array)[2].(object)
			more["fullUrl"] = "urn:uuid:2"
			b["entry"] = append(b["entry"].(array), more)
		}, true},
		{"dir-two-organizations", "Bundle", func(b object) {
			b["entry"] = slices.Delete(b["entry"].(array), 1, 2)
			resource(b, 1)["managingOrganization"] = object{"reference": "Organization/cedarmesa"}
		}, true},
		{"dir-other-resource", "Bundle.entry[3].resource", func(b object) {
			b["entry"] = append(b["entry"].(array), object{"fullUrl": "urn:uuid:3", "resource": object{"resourceType": "Patient", "id": "p"}})
		}, true},
		{"dir-org-active", plan + ".active", func(b object) { resource(b, 0)["active"] = false }, true},
		{"dir-org-active", plan, func(b object) { delete(resource(b, 0), "active") }, true},
		{"dir-org-name", plan, func(b object) { delete(resource(b, 0), "name") }, true},
		{"dir-org-telecom", plan, func(b object) { delete(resource(b, 0), "telecom") }, true},
		{"dir-org-telecom", plan + ".telecom[0]", func(b object) { resource(b, 0)["telecom"] = array{object{"system": "phone", "value": "1"}} }, true},
		{"dir-org-identifier", plan, func(b object) { delete(resource(b, 0), "identifier") }, true},
		{"dir-org-npi", plan + ".identifier[0].value", func(b object) {
			resource(b, 0)["identifier"] = array{object{"system": npiSystem, "value": "1000008428"}}
		}, true},
		{"dir-org-endpoint", plan, func(b object) { delete(resource(b, 0), "endpoint") }, true},
		{"dir-org-endpoint", plan + ".endpoint[0]", func(b object) { resource(b, 0)["endpoint"] = array{object{"reference": "Endpoint/other"}} }, true},
		{"dir-endpoint-status", ep + ".status", func(b object) { resource(b, 2)["status"] = "suspended" }, true},
		{"dir-endpoint-connection", ep, func(b object) { delete(resource(b, 2), "connectionType") }, true},
		{"dir-endpoint-managing", ep, func(b object) { delete(resource(b, 2), "managingOrganization") }, true},
		{"dir-endpoint-managing", ep + ".managingOrganization", func(b object) {
			resource(b, 2)["managingOrganization"] = object{"reference": "Organization/else"}
		}, true},
		{"dir-endpoint-payload", ep, func(b object) { delete(resource(b, 2), "payloadType") }, true},
		{"dir-endpoint-mime", ep + ".payloadMimeType[0]", func(b object) { resource(b, 2)["payloadMimeType"] = array{"application/pdf"} }, true},
		{"dir-endpoint-address", ep + ".address", func(b object) { resource(b, 2)["address"] = "http://p2p.cedarmesa.example/gateway" }, true},
		{"dir-signed-object", ep, func(b object) {
			resource(b, 2)["extension"] = slices.Delete(resource(b, 2)["extension"].(array), 0, 1)
		}, true},
		{"dir-signed-object", ep + ".extension[0]", func(b object) { extension(b, 0)["extension"] = extension(b, 0)["extension"].(array)[1:] }, true},
		{"dir-certificate", object0, func(b object) { set(extension(b, 0), "Object", "valueBase64Binary", "AAAA") }, true},
		{"dir-extension", ep + ".extension[1]", func(b object) { extension(b, 1)["extension"] = extension(b, 1)["extension"].(array)[1:] }, true},
		{"dir-extension", ep + ".extension[3].extension[1].valueUri", func(b object) {
			set(extension(b, 3), "serverURL", "valueUri", "https://p2p.cedarmesa.example/oauth/register")
		}, true},
		{"dir-extension", ep + ".extension[2].extension[3]", func(b object) {
			extension(b, 2)["extension"] = append(extension(b, 2)["extension"].(array), sub("expiry", "valueDateTime", "2027-01-01"))
		}, true},
		{"dir-extension", ep + ".extension[7]", func(b object) {
			resource(b, 2)["extension"] = append(resource(b, 2)["extension"].(array), object{"url": profiles + "base-ext-endpoint-rank", "valuePositiveInt": 2})
		}, true},
		{"dir-extension-code", ep + ".extension[6].valueCodeableConcept.coding[0]", func(b object) { extension(b, 6)["valueCodeableConcept"] = coding("NdhVerificationStatusCS", "done") }, true},
		{"dir-extension-code", ep + ".extension[6].valueCodeableConcept.coding[0]", func(b object) {
			extension(b, 6)["valueCodeableConcept"] = object{"coding": array{object{"system": "http://else.example", "code": "complete"}}}
		}, true},
		{"dir-registration", ep, func(b object) {
			set(extension(b, 3), "associatedServersType", "valueCodeableConcept", coding("NdhAssociatedServersTypeCS", "proxy-server"))
		}, true},
		{"dir-fhir-base", ep, func(b object) {
			set(extension(b, 4), "associatedServersType", "valueCodeableConcept", object{"text": "else"})
		}, true},
		{"dir-cert-dates", object0, leafOf(changed(func(c *x509.Certificate) { c.NotAfter = now.AddDate(0, 0, -1) })), true},
		{"dir-cert-expiration", ep + ".extension[2].extension[2].valueDateTime", func(b object) { set(extension(b, 2), "expirationDate", "valueDateTime", "2031-01-01") }, true},
		{"dir-cert-usage", object0, leafOf(changed(func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[:1] })), true},
		{"dir-cert-name", object0, leafOf(changed(func(c *x509.Certificate) { c.DNSNames, c.URIs[0].Host = []string{"else.example"}, "else.example" })), true},
		{"dir-cert-uri", object0, leafOf(changed(func(c *x509.Certificate) { c.URIs = nil })), true},
		{"dir-cert-self-signed", object0, leafOf(issueBy(t, nil, newKey(t), nil)), true},
		{"dir-cert-differs", ep + ".extension[2].extension[1].valueBase64Binary", func(b object) { set(extension(b, 2), "certificate", "valueBase64Binary", b64(w.twin)) }, true},
		{"dir-endorsement", ep + ".extension[1]", func(b object) { set(extension(b, 1), "publicCertificate", "valueBase64Binary", b64(w.ca)) }, true},
		{"dir-endorsement", ep + ".extension[1]", func(b object) {
			set(extension(b, 1), "signedArtifact", "valueBase64Binary", b64(issueBy(t, w.tm, newKey(t), nil)))
		}, true},
		{"dir-endorsement", ep, func(b object) {
			resource(b, 2)["extension"] = slices.Delete(resource(b, 2)["extension"].(array), 1, 2)
		}, true},
	} {
		seen[tt.rule] = true
		b := w.signBundle(w.bundle())
		tt.change(b)
		if tt.resign {
			w.signBundle(b)
		}
		e := Check([]File{{"x.json", parse(t, b)}}, w.options()).Entries[0]
		if got := found(e); !slices.Equal(got, []string{tt.rule + " " + tt.at}) {
			t.Errorf("want %s %s alone, got %q", tt.rule, tt.at, got)
		}
		for _, i := range e.Issues {
			r := ruleByID(i.MessageID)
			if i.Severity != r.Severity || i.Requirement == "" || i.Line == 0 || i.DoNext == "" || !strings.HasPrefix(i.Requirement, "P2P-") {
				t.Errorf("%s: incomplete issue %+v", tt.rule, i)
			}
		}
	}
	// These make several findings, or none of a good Bundle's; TestBrokenFiles, TestNoOrganization and TestDuplicates have them.
	for _, id := range []string{"dir-json", "dir-bundle", "dir-organization", "dir-duplicate"} {
		seen[id] = true
	}
	for _, r := range Rules() {
		if !seen[r.ID] {
			t.Errorf("no example breaks %s", r.ID)
		}
	}
}

func TestBrokenFiles(t *testing.T) {
	w := newWorld(t)
	files := []File{
		{"good.json", parse(t, w.signBundle(w.bundle()))},
		{"empty.json", parse(t, "")},
		{"cut.json", parse(t, `{"resourceType":"Bundle","type":`)},
		{"patient.json", parse(t, `{"resourceType":"Patient"}`)},
		{"list.json", parse(t, `[1]`)},
		{"odd.json", parse(t, `{"resourceType":"Bundle","entry":[null,{},{"resource":7}],"signature":[],"meta":3}`)},
	}
	d := Check(files, w.options())
	for i, want := range []string{"", "dir-json", "dir-json", "dir-bundle", "dir-bundle", "dir-profile"} {
		e := d.Entries[i]
		switch {
		case want == "" && !e.Valid():
			t.Errorf("%s: a broken neighbour spoilt it: %v", e.File, found(e))
		case want != "" && (e.Valid() || e.Issues[0].MessageID != want):
			t.Errorf("%s: %v, want %s first", e.File, found(e), want)
		}
		if e.Explain() == "" {
			t.Errorf("%s: no words", e.File)
		}
	}
}

func TestNoOrganization(t *testing.T) {
	w := newWorld(t)
	b := w.bundle()
	b["entry"] = b["entry"].(array)[2:]
	e := Check([]File{{"x.json", parse(t, w.signBundle(b))}}, w.options()).Entries[0]
	if !slices.Contains(found(e), "dir-organization Bundle") || e.Plan != nil || e.Valid() {
		t.Errorf("%v", found(e))
	}
}

func TestStrict(t *testing.T) { // P2P-DIR-11, P2P-DIR-48
	w := newWorld(t)
	b := w.signBundle(w.bundle())
	delete(b["signature"].(object), "data")
	o := w.options()
	o.TrustManagers = nil
	for _, strict := range []bool{false, true} {
		o.Strict = strict
		e := Check([]File{{"x.json", parse(t, b)}}, o).Entries[0]
		if e.Valid() == strict || e.Endorsement != SelfConsistent {
			t.Errorf("strict %v: valid %v, %s, %v", strict, e.Valid(), e.Endorsement, found(e))
		}
	}
}

func TestCertificateFieldsAreReadLeniently(t *testing.T) { // P2P-DIR-24
	w := newWorld(t)
	der := b64(w.leaf)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.leaf.Raw})
	for name, field := range map[string]string{
		"DER": der, "PEM": base64.StdEncoding.EncodeToString(text), "base64 twice": base64.StdEncoding.EncodeToString([]byte(der)),
		"broken lines": der[:40] + "\n " + der[40:], "PEM itself": string(text),
	} {
		c, err := Certificate(field)
		if err != nil || !c.Equal(w.leaf.Certificate) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, field := range []string{"", "AAAA", "MAMC", "{}", "-----BEGIN CERTIFICATE-----"} {
		if _, err := Certificate(field); err == nil {
			t.Errorf("%q passed", field)
		}
	}
}

func TestCanonical(t *testing.T) { // RFC 8785
	doc := parse(t, `{"b":[1.50,1e3,-0,0.0000001,1e21,true,null],"a":"\u20ac\"\\\/\n\u000f<","\ud83d\ude00":1,"\ufb33":2,"sig":1}`)
	got, err := Canonical(doc.Root(), "sig")
	want := "{\"a\":\"€\\\"\\\\/\\n\\u000f<\",\"b\":[1.5,1000,0,1e-7,1e+21,true,null],\"😀\":1,\"\ufb33\":2}"
	if err != nil || string(got) != want {
		t.Errorf("%s\n%s %v", got, want, err)
	}
}

func TestDuplicates(t *testing.T) { // P2P-DIR-49
	w := newWorld(t)
	first, second := w.signBundle(w.bundle()), w.bundle()
	resource(second, 0)["identifier"] = array{object{"system": npiSystem, "value": "1000007314"}}
	resource(second, 2)["address"] = "https://P2P.cedarmesa.example/gateway/"
	w.signBundle(second)
	d := Check([]File{{"a.json", parse(t, first)}, {"b.json", parse(t, second)}}, w.options())
	for i, e := range d.Entries {
		got := found(e)
		if e.Valid() || !slices.Equal(got, []string{"dir-duplicate Bundle.entry[2].resource"}) || len(e.Issues) != 2 || !strings.Contains(e.Issues[0].Message, []string{"b.json", "a.json"}[i]) {
			t.Errorf("%s: %v %+v", e.File, got, e.Issues)
		}
	}
	if h := d.ByCertificate([]*x509.Certificate{w.leaf.Certificate}, BindOptions{Now: now}); h.Outcome != NotListed {
		t.Errorf("%+v", h)
	}
	if h := d.ByCertificate([]*x509.Certificate{w.leaf.Certificate}, BindOptions{Now: now, Invalid: true}); h.Outcome != Ambiguous || len(h.Candidates) != 2 {
		t.Errorf("%+v", h)
	}
}

func TestFind(t *testing.T) { // P2P-DIR-50
	w := newWorld(t)
	other := w.bundle()
	resource(other, 0)["identifier"] = array{object{"system": npiSystem, "value": "1000007314"}}
	resource(other, 0)["name"] = "Harborlight Health Plan"
	resource(other, 2)["identifier"] = array{object{"system": "x", "value": "hl-1"}}
	resource(other, 2)["address"] = "https://p2p.harborlight.example/gateway"
	d := Check([]File{{"cm.json", parse(t, w.signBundle(w.bundle()))}, {"hl.json", parse(t, w.signBundle(other))}}, w.options())
	for _, tt := range []struct {
		key     string
		outcome Outcome
		file    string
		by      string
	}{
		{"1000008429", Found, "cm.json", "npi"},
		{npiSystem + "|1000007314", Found, "hl.json", "npi"},
		{"1000009534", Ambiguous, "", "identifier"}, // the operator of both
		{"cedarmesa-p2p-1", Found, "cm.json", "endpoint-identifier"},
		{"x|hl-1", Found, "hl.json", "endpoint-identifier"},
		{"y|hl-1", NotListed, "", ""},
		{"harborlight health plan", Found, "hl.json", "name"},
		{"Harborlight", NotListed, "", ""},
		{"P2P.cedarmesa.example", Found, "cm.json", "address"},
		{"1000001648", NotListed, "", ""},
		{"", NotListed, "", ""},
	} {
		h := d.Find(tt.key)
		file := ""
		if h.Entry != nil {
			file = h.Entry.File
		}
		if h.Outcome != tt.outcome || file != tt.file || h.By != tt.by || h.Key != tt.key {
			t.Errorf("%q: %+v", tt.key, h)
		}
	}
	for u, want := range map[string]string{
		"https://p2p.harborlight.example/gateway/x": "hl.json", "https://p2p.harborlight.example/elsewhere": "hl.json", "https://p2p.cedarmesa.example/gateway": "cm.json",
		"https://gullwing.example/fhir": "", "https://p2p.harborlight.example.evil.example/gateway": "", "": "",
	} {
		h := d.ByBaseURL(u)
		if file := h.Entry; file == nil && want != "" || file != nil && file.File != want {
			t.Errorf("%s: %+v, want %q", u, h, want)
		}
	}
}

func TestByCertificate(t *testing.T) { // P2P-TLS-20, P2P-DIR-51
	w := newWorld(t)
	d := Check([]File{{"cm.json", parse(t, w.signBundle(w.bundle()))}}, w.options())
	caBundle := w.bundle()
	set(extension(caBundle, 0), "Object", "valueBase64Binary", b64(w.ca))
	resource(caBundle, 2)["extension"] = array{extension(caBundle, 0)}
	byCA := Check([]File{{"ca.json", parse(t, w.signBundle(caBundle))}}, Options{Now: now})
	if !byCA.Entries[0].Valid() {
		t.Fatal(found(byCA.Entries[0]))
	}
	roots := x509.NewCertPool()
	roots.AddCert(w.root.Certificate)
	renewed := issueBy(t, w.ca, w.leaf.key, nil)
	sibling := issueBy(t, w.ca, newKey(t), nil)
	elsewhere := issueBy(t, w.ca, newKey(t), func(c *x509.Certificate) {
		c.DNSNames, c.URIs[0].Host = []string{"gullwing.example"}, "gullwing.example"
	})
	strangers := issueBy(t, nil, newKey(t), nil)
	for _, tt := range []struct {
		name  string
		d     *Directory
		leaf  *signer
		o     BindOptions
		level Level
	}{
		{"the certificate", d, w.leaf, BindOptions{}, Exact},
		{"renewed with its key", d, renewed, BindOptions{}, SameKey},
		{"signed twin", d, w.twin, BindOptions{}, SameKey},
		{"another of the CA", d, sibling, BindOptions{}, ""},
		{"another of the CA, by name", d, sibling, BindOptions{AllowNameOnly: true, Roots: roots}, NameOnly},
		{"another name", d, elsewhere, BindOptions{AllowNameOnly: true, Roots: roots}, ""},
		{"self-made, by name", d, strangers, BindOptions{AllowNameOnly: true, Roots: roots}, ""},
		{"the entry has the CA", byCA, sibling, BindOptions{}, Issued},
		{"the entry has the CA, another name", byCA, elsewhere, BindOptions{}, ""},
		{"the entry has another CA", byCA, strangers, BindOptions{}, ""},
	} {
		tt.o.Now = now
		h := tt.d.ByCertificate([]*x509.Certificate{tt.leaf.Certificate, w.ca.Certificate}, tt.o)
		if h.Level != tt.level || (h.Outcome == Found) != (tt.level != "") || h.Key != Fingerprint(tt.leaf.Certificate) {
			t.Errorf("%s: %+v, want level %q", tt.name, h, tt.level)
		}
	}
	if h := d.ByCertificate(nil, BindOptions{Now: now}); h.Outcome != NotListed {
		t.Errorf("%+v", h)
	}
}

// The published entry of 2022 is a negative fixture: it is read, and explained.
func TestDirectoryOf2022(t *testing.T) {
	shared := os.Getenv("FHIRWIRE_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "shared")
	}
	const name = "Bundle-example-mtls-endpoint-bundle.json"
	raw, err := os.ReadFile(filepath.Join(shared, "directory", "payer-payer", name))
	if err != nil {
		t.Skip("the published directory is not at hand: ", err)
	}
	e := Check([]File{{name, fhirjson.Parse(raw)}}, Options{Now: now}).Entries[0]
	want := []string{
		"dir-signature-data Bundle.signature", "dir-endpoint Bundle", "dir-two-organizations Bundle", "dir-org-active Bundle.entry[0].resource",
		"dir-org-name Bundle.entry[0].resource", "dir-org-telecom Bundle.entry[0].resource", "dir-org-identifier Bundle.entry[0].resource",
	}
	if got := found(e); !slices.Equal(got, want) || e.Valid() {
		t.Errorf("%q", got)
	}
	text := e.Explain()
	for _, s := range []string{"id DiamondOnyxHealth1", "Nobody can connect", "Deficient:\n1. The Bundle has no Endpoint", "P2P-DIR-41", "Next: Add an Endpoint", "Worth a look:", "line 14"} {
		if !strings.Contains(text, s) {
			t.Errorf("no %q in\n%s", s, text)
		}
	}
	t.Log("\n" + text)
}

func FuzzCheck(f *testing.F) {
	w := newWorld(f)
	f.Add(string(parse(f, w.signBundle(w.bundle())).Source()))
	f.Add(`{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Endpoint","extension":{"url":"x"},"managingOrganization":1}}]}`)
	f.Add(`{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Organization","endpoint":[{"identifier":{"value":"1"}}]}}],"signature":{"data":"AAAA"}}`)
	o := w.options()
	f.Fuzz(func(t *testing.T, src string) {
		d := Check([]File{{"x", fhirjson.Parse([]byte(src))}}, o)
		e := d.Entries[0]
		for _, i := range e.Issues {
			if i.Offset > len(src) || i.MessageID == "" || i.Severity == validators.Severity("") {
				t.Fatalf("%+v", i)
			}
		}
		if e.Valid() && (e.Endpoint == nil || len(e.Endpoint.Certificates) == 0 || e.Plan == nil) {
			t.Fatal("valid without an endpoint, a certificate or a plan")
		}
		_ = e.Explain()
		d.Find("1000008429")
		d.ByBaseURL("https://p2p.cedarmesa.example/gateway")
	})
}

func BenchmarkCheck(b *testing.B) {
	w := newWorld(b)
	src := parse(b, w.signBundle(w.bundle())).Source()
	b.ReportAllocs()
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		Check([]File{{"x", fhirjson.Parse(src)}}, w.options())
	}
}
