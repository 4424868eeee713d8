package checks_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"testing"

	"fhirwire/proxy"
	"fhirwire/proxy/proxytest"
	"fhirwire/testplans"
	"fhirwire/testplans/checks"
)

// directoryEntry is a look-up that was answered with a Bundle.
func directoryEntry(n int, address, server, object string) checks.Item {
	bodies := proxytest.Bodies{}
	body := fmt.Sprintf(`{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Organization","id":"o"}},{"resource":{"resourceType":"Endpoint","address":%q,"extension":[
		{"url":"http://x/base-ext-associatedServers","extension":[{"url":"serverURL","valueString":%q}]},
		{"url":"http://x/pdex-mtls-signedobject-extension","extension":[{"url":"Object","valueBase64Binary":%q}]}]}}]}`, address, server, object)
	return checks.Item{Exchange: proxytest.Exchange(bodies, n, "GET", "/directory/bundles/x.json", 200, body), Bodies: bodies}
}

// TestListed: a server's certificate is looked for in the entry that leads to it, in each encoding that published entries have; a client's
// in all.
func TestListed(t *testing.T) {
	der := append([]byte{0x30}, "a certificate"...)
	sum := sha256.Sum256(der)
	once := base64.StdEncoding.EncodeToString(der)
	inPEM := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	twice := base64.StdEncoding.EncodeToString([]byte(once))
	bodies := proxytest.Bodies{}
	met := checks.Item{Exchange: proxytest.Exchange(bodies, 9, "POST", "/oauth/register", 201, "{}"), Bodies: bodies}
	met.Exchange.Request.Target = "https://payer.example:8443/oauth/register"
	chain := []proxy.Certificate{{Subject: "CN=p", Issuer: "CN=ca", Fingerprint: hex.EncodeToString(sum[:])}}
	met.Exchange.ServerLeg = &proxy.Leg{TLS: &proxy.TLS{Version: "TLS 1.3", Server: chain, Client: chain}}
	met.Exchange.ClientLeg = met.Exchange.ServerLeg
	const here, there = "https://payer.example:8443/gateway", "https://other.example"
	unread := directoryEntry(1, here, "", once)
	unread.Exchange.Response.Body.Stored = 3
	for _, tt := range []struct {
		name    string
		entries []checks.Item
		leg     string
		want    testplans.Verdict
		message string
	}{
		{"by address", []checks.Item{directoryEntry(1, here, "", once)}, "server", testplans.Pass, ""},
		{"by a server behind it", []checks.Item{directoryEntry(1, there, "https://PAYER.example:8443/oauth", inPEM)}, "server", testplans.Pass, ""},
		{"among several", []checks.Item{directoryEntry(1, there, "", "AAAA"), directoryEntry(2, here, "", twice)}, "server", testplans.Pass, ""},
		{"another certificate", []checks.Item{directoryEntry(1, here, "", "MAAA")}, "server", testplans.Fail, "not the one in the directory entry"},
		{"no certificate", []checks.Item{directoryEntry(1, here, "", "?")}, "server", testplans.Fail, "not the one in the directory entry"},
		{"another server's", []checks.Item{directoryEntry(1, there, "", once)}, "server", testplans.NotShown, "leads to payer.example:8443"},
		{"the client's", []checks.Item{directoryEntry(1, there, "", once)}, "client", testplans.Pass, ""},
		{"no look-up", nil, "server", testplans.NotShown, "was not seen"},
		{"not stored", []checks.Item{unread}, "server", testplans.NotChecked, "only 3 of the body"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check := &testplans.Check{Connection: &testplans.ConnectionCheck{Leg: tt.leg, Listed: "look-up"}}
			ask(t, checks.Table{}, check, []checks.Item{met}, 1, map[string][]checks.Item{"look-up": tt.entries}, tt.want, tt.message)
		})
	}
}
