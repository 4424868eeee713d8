package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"fhirwire/reference/smartauth"
	"fhirwire/reference/synth"
)

// demoClient plays the client's side of the payer-to-payer scenario through the proxy, with one deliberate mistake.
type demoClient struct {
	base   string // FHIR base behind the proxy
	origin string // what stands for the server's origin behind the proxy
	tokens bool   // whether the server looks at tokens
	http   *http.Client
	now    func() time.Time
	logger *slog.Logger

	authorization string // header of the requests to come, "" for none
}

// demoMember is the seeded member the demo asks for; see reference/synth.
const (
	demoMember     = "pt-90417"
	demoSubscriber = "CM-778812"
)

// payerToPayer plays the payer-to-payer scenario once. It goes on after an answer it did not expect: what happened is recorded either way.
func (d *demoClient) payerToPayer(ctx context.Context) error {
	if _, err := d.get(ctx, "/metadata", nil); err != nil {
		return err
	}
	login, err := d.enrol(ctx, smartauth.MemberMatch+" patient/*.rs")
	if err != nil {
		return err
	}
	if err := d.authorize(ctx, login, smartauth.MemberMatch, ""); err != nil {
		return err
	}
	// The deliberate mistake: a match request without the consent it needs. The server is right to refuse it.
	if _, err := d.post(ctx, "/Patient/$member-match", d.matchRequest(false)); err != nil {
		return err
	}
	if _, err := d.post(ctx, "/Patient/$member-match", d.matchRequest(true)); err != nil {
		return err
	}
	if _, err := d.get(ctx, "/Patient?identifier="+url.QueryEscape("cmu-90417"), nil); err != nil {
		return err
	}
	if err := d.authorize(ctx, login, "patient/*.rs", demoMember); err != nil {
		return err
	}
	for _, search := range []string{
		"Coverage?patient=" + demoMember,
		"Condition?patient=" + demoMember,
		"Observation?patient=" + demoMember + "&category=vital-signs",
		"Observation?patient=" + demoMember + "&category=laboratory&_count=5",
		"MedicationRequest?patient=" + demoMember + "&intent=order&_include=MedicationRequest:medication",
		"ExplanationOfBenefit?patient=" + demoMember,
		"Immunization?patient=" + demoMember + "&_revinclude=Provenance:target",
	} {
		if _, err := d.get(ctx, "/"+search, nil); err != nil {
			return err
		}
	}
	if err := d.everything(ctx); err != nil {
		return err
	}
	return d.export(ctx, "/Patient/$export?_type=Patient,Coverage,Condition,Immunization")
}

// providerAccess plays a provider that exports its group: whole, what changed since, and once with a change of mind.
func (d *demoClient) providerAccess(ctx context.Context) error {
	if err := d.system(ctx); err != nil {
		return err
	}
	if _, err := d.get(ctx, "/Group/"+synth.AllMembersGroup, nil); err != nil {
		return err
	}
	group := "/Group/" + synth.AllMembersGroup + "/$export?_type=Patient,Coverage,Encounter,Condition,Procedure"
	if err := d.export(ctx, group); err != nil {
		return err
	}
	since := d.now().UTC().AddDate(-1, 0, 0).Truncate(time.Second).Format(time.RFC3339)
	if err := d.export(ctx, group+"&_since="+url.QueryEscape(since)); err != nil {
		return err
	}
	status, err := d.kickOff(ctx, group)
	if err != nil {
		return err
	}
	if _, err := d.do(ctx, http.MethodDelete, status, nil, http.Header{"Accept": {fhirMedia}}); err != nil {
		return err
	}
	_, err = d.do(ctx, http.MethodGet, status, nil, http.Header{"Accept": {"application/json"}})
	return err
}

// formulary plays an app that looks at a payer's formularies and downloads them.
func (d *demoClient) formulary(ctx context.Context) error {
	if err := d.system(ctx); err != nil {
		return err
	}
	for _, search := range []string{"/InsurancePlan?type=DRUGPOL", "/Basic?code=formulary-item&_count=5", "/MedicationKnowledge?_count=5"} {
		if _, err := d.get(ctx, search, nil); err != nil {
			return err
		}
	}
	return d.export(ctx, "/InsurancePlan/$export")
}

// system opens a scenario of one system with another: metadata, and a token of its own where tokens are asked for.
func (d *demoClient) system(ctx context.Context) error {
	if _, err := d.get(ctx, "/metadata", nil); err != nil {
		return err
	}
	login, err := d.enrol(ctx, "system/*.rs")
	if err != nil {
		return err
	}
	return d.authorize(ctx, login, "system/*.rs", "")
}

func (d *demoClient) everything(ctx context.Context) error {
	next := d.base + "/Patient/" + demoMember + "/$everything?_count=50"
	for range 20 {
		res, err := d.do(ctx, http.MethodGet, next, nil, nil)
		if err != nil {
			return err
		}
		var page struct {
			Link []struct{ Relation, URL string }
		}
		if err := json.Unmarshal(res.body, &page); err != nil {
			return fmt.Errorf("$everything: %w", err)
		}
		next = ""
		for _, l := range page.Link {
			if l.Relation == "next" {
				next = l.URL
			}
		}
		if next == "" {
			return nil
		}
	}
	return nil
}

// kickOff starts an export and gives the URL of its status.
func (d *demoClient) kickOff(ctx context.Context, path string) (string, error) {
	res, err := d.get(ctx, path, http.Header{"Accept": {fhirMedia}, "Prefer": {"respond-async"}})
	if err != nil {
		return "", err
	}
	status := res.header.Get("Content-Location")
	if status == "" {
		return "", fmt.Errorf("export: status %d without a Content-Location", res.status)
	}
	return status, nil
}

// export kicks off, polls as often as it is asked to, and downloads every file.
func (d *demoClient) export(ctx context.Context, path string) error {
	status, err := d.kickOff(ctx, path)
	if err != nil {
		return err
	}
	for {
		res, err := d.do(ctx, http.MethodGet, status, nil, http.Header{"Accept": {"application/json"}})
		if err != nil {
			return err
		}
		if res.status == http.StatusAccepted {
			if err := sleep(ctx, retryAfter(res)); err != nil {
				return err
			}
			continue
		}
		var manifest struct {
			Output []struct{ URL string }
		}
		if err := json.Unmarshal(res.body, &manifest); err != nil {
			return fmt.Errorf("export manifest: %w", err)
		}
		for _, f := range manifest.Output {
			if _, err := d.do(ctx, http.MethodGet, f.URL, nil, http.Header{"Accept": {"application/fhir+ndjson"}}); err != nil {
				return err
			}
		}
		return nil
	}
}

// retryAfter is how long the server asks to wait, 1 second where it does not say.
func retryAfter(res answer) time.Duration {
	if n, err := strconv.Atoi(res.header.Get("Retry-After")); err == nil && n > 0 && n < 60 {
		return time.Duration(n) * time.Second
	}
	return time.Second
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// answer is a response that was read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

const fhirMedia = "application/fhir+json"

func (d *demoClient) get(ctx context.Context, path string, h http.Header) (answer, error) {
	if h == nil {
		h = http.Header{"Accept": {fhirMedia}}
	}
	return d.do(ctx, http.MethodGet, d.base+path, nil, h)
}

func (d *demoClient) post(ctx context.Context, path, body string) (answer, error) {
	return d.do(ctx, http.MethodPost, d.base+path, []byte(body), http.Header{"Accept": {fhirMedia}, "Content-Type": {fhirMedia}})
}

func (d *demoClient) do(ctx context.Context, method, url string, body []byte, h http.Header) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	maps.Copy(req.Header, h)
	if d.authorization != "" && req.Header.Get("Authorization") == "" {
		req.Header.Set("Authorization", d.authorization)
	}
	req.Header.Set("User-Agent", "fhirwire-demo")
	res, err := d.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", method, url, err)
	}
	d.logger.DebugContext(ctx, "demo request", "method", method, "url", url, "status", res.StatusCode)
	return answer{status: res.StatusCode, header: res.Header, body: got}, nil
}

// matchRequest is the body of $member-match for the demo member, with or without the consent.
func (d *demoClient) matchRequest(consent bool) string {
	part := ""
	if consent {
		part = ",\n" + matchConsent
	}
	body := strings.Replace(matchParameters, "{consent}", part, 1)
	return strings.NewReplacer(
		"{subscriber}", demoSubscriber, "{payer}", synth.PayerNPI, "{plan}", synth.PayerName,
		"{from}", d.now().AddDate(0, -1, 0).Format(time.DateOnly),
		"{until}", d.now().AddDate(1, 0, 0).Format(time.DateOnly),
	).Replace(body)
}

const matchParameters = `{
  "resourceType": "Parameters",
  "parameter": [
    {
      "name": "MemberPatient",
      "resource": {
        "resourceType": "Patient",
        "id": "member",
        "identifier": [
          {
            "type": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MB" }] },
            "system": "https://harborlight.example/member-id",
            "value": "HL-55021"
          }
        ],
        "name": [{ "family": "Brannigan-Reyes", "given": ["Odalys"] }],
        "gender": "female",
        "birthDate": "1979-04-18"
      }
    },
    {
      "name": "CoverageToMatch",
      "resource": {
        "resourceType": "Coverage",
        "id": "old",
        "status": "active",
        "subscriberId": "{subscriber}",
        "beneficiary": { "reference": "Patient/member" },
        "relationship": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/subscriber-relationship", "code": "self" }] },
        "payor": [{ "identifier": { "system": "http://hl7.org/fhir/sid/us-npi", "value": "{payer}" }, "display": "{plan}" }]
      }
    },
    {
      "name": "CoverageToLink",
      "resource": {
        "resourceType": "Coverage",
        "id": "new",
        "identifier": [
          {
            "type": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MB" }] },
            "system": "https://harborlight.example/member-id",
            "value": "HL-55021"
          }
        ],
        "status": "active",
        "beneficiary": { "reference": "Patient/member" },
        "payor": [{ "identifier": { "system": "http://hl7.org/fhir/sid/us-npi", "value": "1245319599" }, "display": "Harborlight Mutual" }]
      }
    }{consent}
  ]
}
`

const matchConsent = `    {
      "name": "Consent",
      "resource": {
        "resourceType": "Consent",
        "status": "active",
        "scope": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy" }] },
        "category": [{ "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IDSCL" }] }],
        "patient": { "reference": "Patient/member" },
        "performer": [{ "reference": "Patient/member" }],
        "sourceReference": { "reference": "https://harborlight.example/fhir/DocumentReference/consent-55021" },
        "policy": [{ "uri": "http://hl7.org/fhir/us/davinci-hrex/StructureDefinition-hrex-consent.html#regular" }],
        "provision": {
          "type": "permit",
          "period": { "start": "{from}", "end": "{until}" },
          "actor": [
            {
              "role": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "performer" }] },
              "reference": { "identifier": { "system": "http://hl7.org/fhir/sid/us-npi", "value": "{payer}" }, "display": "{plan}" }
            },
            {
              "role": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP" }] },
              "reference": { "identifier": { "system": "http://hl7.org/fhir/sid/us-npi", "value": "1245319599" }, "display": "Harborlight Mutual" }
            }
          ],
          "action": [{ "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/consentaction", "code": "disclose" }] }]
        }
      }
    }`
