package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"fhirwire/proxy"
	"fhirwire/validators"
)

// Epoch is when exchange 0 of the builders began; exchange n began n seconds later.
var Epoch = time.Date(2026, 1, 2, 10, 0, 0, 0, time.UTC)

// Bodies holds bodies in memory by digest.
type Bodies map[proxy.Digest][]byte

// Add keeps b and describes it.
func (m Bodies) Add(b []byte) proxy.Body {
	if len(b) == 0 {
		return proxy.Body{Complete: true}
	}
	sum := sha256.Sum256(b)
	d := proxy.Digest(hex.EncodeToString(sum[:]))
	m[d] = b
	return proxy.Body{Size: int64(len(b)), Stored: int64(len(b)), Digest: d, Complete: true}
}

// OpenBody opens the body with digest d.
func (m Bodies) OpenBody(_ context.Context, d proxy.Digest) (io.ReadCloser, error) {
	b, ok := m[d]
	if !ok {
		return nil, proxy.ErrNoBody
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// ID is the id of exchange n.
func ID(n int) string { return fmt.Sprintf("01900000-0000-7000-8000-%012x", n) }

// Exchange is exchange n: a read of a Patient on channel acme-ehr~diamond-payer that went well, with its response body.
func Exchange(n int, bodies Bodies) *proxy.Exchange {
	start := Epoch.Add(time.Duration(n) * time.Second)
	target := fmt.Sprintf("http://payer.example/fhir/Patient/p%d", n)
	return &proxy.Exchange{
		ID: ID(n), Channel: "acme-ehr~diamond-payer", Matched: "channel URL", Mode: proxy.ModeReverse, ClientAddr: "127.0.0.1:5000",
		ClientLeg:   &proxy.Leg{Address: "127.0.0.1:5000", TLS: &proxy.TLS{Version: "TLS 1.3", Trust: proxy.TrustEventCA, Client: []proxy.Certificate{{Subject: "CN=acme"}}}},
		ServerLeg:   &proxy.Leg{Address: "192.0.2.1:80"},
		Interaction: proxy.Interaction{Kind: proxy.KindRead, ResourceType: "Patient", ResourceID: fmt.Sprintf("p%d", n)},
		Request: proxy.Request{
			Message: proxy.Message{
				Proto: "HTTP/1.1", Header: proxy.Header{{Name: "Accept", Value: "application/fhir+json"}}, Body: bodies.Add(nil),
			},
			Method: "GET", URL: fmt.Sprintf("http://127.0.0.1:8081/acme-ehr~diamond-payer/fhir/Patient/p%d", n), Target: target,
		},
		Response: &proxy.Response{
			Message: proxy.Message{
				Proto: "HTTP/1.1", Header: proxy.Header{{Name: "Content-Type", Value: "application/fhir+json"}},
				Body: bodies.Add(fmt.Appendf(nil, `{"resourceType":"Patient","id":"p%d"}`, n)),
			},
			Status: 200,
		},
		Timing: proxy.Timing{Start: start, FirstByte: start.Add(5 * time.Millisecond), End: start.Add(20 * time.Millisecond)},
	}
}

// Report is a report on exchange n with the issues.
func Report(n, rules int, issues ...validators.Issue) validators.Report {
	return validators.Report{
		Subject: ID(n), Issues: issues, Checked: 1, At: Epoch.Add(time.Hour), Summary: validators.Summarize(issues),
		Context: validators.Context{Guides: []string{"hl7.fhir.us.core#3.1.1"}, Rules: rules, Terminology: "offline"},
		Resources: []validators.ResourceResult{{
			ResourceType: "Patient", Part: validators.PartResponseBody,
			Profiles: []validators.ProfileChoice{{URL: "http://hl7.org/fhir/StructureDefinition/Patient", Why: "base type"}},
		}},
	}
}

// Issue is an issue of severity sev by rule.
func Issue(sev validators.Severity, rule string) validators.Issue {
	return validators.Issue{
		Severity: sev, Code: validators.CodeInvariant, MessageID: rule, Message: rule + " does not hold", Side: validators.SideServer,
		Part: validators.PartResponseBody, Resource: -1,
	}
}
