package main

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const signIn = "discovery register token "

// wrongClients are the mistakes that are played.
func wrongClients() []wrongClient {
	return slices.Concat(wrongExporters(), wrongBackends(), wrongMatchers(), wrongGroups(), wrongProviders(), wrongPayers(), wrongRegistrants(), wrongSearchers())
}

func setQuery(name, value string) func(url.Values) {
	return func(q url.Values) { q.Set(name, value) }
}

func setForm(name, value string) func(*clientSide, url.Values) {
	return func(_ *clientSide, f url.Values) { f.Set(name, value) }
}

func delForm(name string) func(*clientSide, url.Values) {
	return func(_ *clientSide, f url.Values) { f.Del(name) }
}

// wrongExporters export in bulk.
func wrongExporters() []wrongClient {
	export, since := signIn+"export", signIn+"export-since"
	return []wrongClient{
		{"no Prefer at kick-off", "bulk-data-export", export, without(kickoff, "Prefer"), []string{"kickoff/async BULK-KO-02"}},
		{"no Accept at kick-off", "bulk-data-export", export, without(kickoff, "Accept"), []string{"kickoff/accept BULK-KO-01"}},
		{"polls at once", "bulk-data-export", export, hurried, []string{"poll/waits BULK-ST-01"}},
		{"asks for files as JSON", "bulk-data-export", export, with(fileRequest, "Accept", "application/json"), []string{"files/accept BULK-FI-02"}},
		{"polls when it has the manifest", "bulk-data-export", export, again(statusRequest, 4), []string{"over/stops UC3-C-09"}},
		{"downloads nothing", "bulk-data-export", export, leftOut(fileRequest), []string{"files/all CHK-60 not-shown"}},
		{"downloads twice", "bulk-data-export", export, again(fileRequest, 1), []string{"had/once CHK-60"}},
		{"downloads without the token", "bulk-data-export", export, without(fileRequest, "Authorization"), []string{"protected-files/token CHK-59"}},
		{"_since is a date", "bulk-data-export", since, query(kickoff, setQuery("_since", "2024-01-01")), []string{"since-ask/instant CHK-03"}},
		{"sends its token to open files", "bulk-data-export", signIn + "open", with(fileRequest, "Authorization", "Bearer x"), []string{"open-files/no-token BULK-FI-04"}},
		{"insists after a refusal", "bulk-data-export", signIn + "refused", insisted(kickoff, 7), []string{"insists/repeats UC3-C-14"}},

		{"no Prefer at kick-off", "formulary-bulk-export", "export", without(kickoff, "Prefer"), []string{"kickoff/respond-async FORM-BLK-32"}},
		{"polls at once", "formulary-bulk-export", "export", hurried, []string{"poll/waits FORM-BLK-60"}},
		{"no Accept at kick-off", "formulary-bulk-export", "export", without(kickoff, "Accept"), []string{"kickoff/accept-fhir FORM-BLK-32"}},
		{"polls when it has the manifest", "formulary-bulk-export", "export", again(statusRequest, 4), []string{"over/stops FORM-BLK-60"}},
		{"downloads nothing", "formulary-bulk-export", "export", leftOut(fileRequest), []string{"downloads/all FORM-BLK-54 not-shown"}},
		{"says who it asks for", "formulary-bulk-export", "export", query(kickoff, setQuery("patient", "pt-90417")), []string{"ask/no-person FORM-ACC-04"}},
		{"sends a token to open files", "formulary-bulk-export", "export", with(fileRequest, "Authorization", "Bearer x"), []string{"open-files/no-token FORM-BLK-56"}},
		{"insists after a refusal", "formulary-bulk-export", "export-refused", insisted(kickoff, 7), []string{"insists/repeats UC3-C-14"}},
		{"_since is a date", "formulary-bulk-export", "dates export-since", query(kickoff, setQuery("_since", "2024-01-01")), []string{"later-export/instant FORM-BLK-36"}},
	}
}

// wrongBackends sign in as backend services.
func wrongBackends() []wrongClient {
	const plan = "smart-backend-services"
	use := signIn + "use"
	return []wrongClient{
		{"asks for another grant", plan, use, form(tokenRequest, setForm("grant_type", "password")), []string{"ask/grant AUTH-08"}},
		{"asks for no scope", plan, use, form(tokenRequest, delForm("scope")), []string{"ask/scope AUTH-08"}},
		{"asks for a user's scope", plan, use, form(tokenRequest, setForm("scope", "user/*.rs")), []string{"ask/scope AUTH-08"}},
		{"no client_assertion_type", plan, use, form(tokenRequest, delForm("client_assertion_type")), []string{"ask/assertion-type AUTH-08"}},
		{"no kid", plan, use, assertion(func(h, _ map[string]any) { delete(h, "kid") }), []string{"ask/assertion AUTH-07"}},
		{"no jti", plan, use, assertion(func(_, p map[string]any) { delete(p, "jti") }), []string{"ask/assertion AUTH-07"}},
		{"another subject", plan, use, assertion(func(_, p map[string]any) { p["sub"] = "somebody" }), []string{"ask/one-client AUTH-07"}},
		{"not signed", plan, use, assertion(func(h, _ map[string]any) { h["alg"] = "none" }), []string{"ask/algorithm AUTH-07"}},
		{"signed by a secret", plan, use, assertion(func(h, _ map[string]any) { h["alg"] = "HS256" }), []string{"ask/algorithm AUTH-07"}},
		{"lasts for years", plan, use, assertion(func(_, p map[string]any) { p["exp"] = 4000000000 }), []string{"ask/lifetime AUTH-07"}},
		{"for another audience", plan, use, assertion(func(_, p map[string]any) { p["aud"] = "https://elsewhere.example/token" }), []string{"ask/audience AUTH-07"}},
		{"sends an assertion twice", plan, use, again(tokenRequest, 1), []string{"ask/fresh AUTH-07"}},
		{"asks in JSON", plan, use, with(tokenRequest, "Content-Type", "application/json"), []string{"ask-form/form AUTH-08"}},
		{"asks by GET", plan, use, byGet(tokenRequest), []string{"ask-form/form AUTH-08"}},
		{"its clock is slow", plan, use, assertion(func(_, p map[string]any) { p["exp"] = 1700000000 }), []string{"ask/lifetime AUTH-07"}},
		{"expires soon", plan, use, assertion(func(_, p map[string]any) { p["exp"] = "soon" }), []string{"ask/lifetime AUTH-07"}},
		{"a scheme of its own", plan, use, sentAs(fhirRequest, func(_ *clientSide, r *http.Request, body string) string {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "Bearer", "Token", 1))
			return body
		}), []string{"present/bearer BULK-KO-06", "use/seen AUTH-13 not-shown"}},
		{"its token in the URL", plan, use, inURL(false), []string{"present/not-in-url BULK-KO-06", "use/seen AUTH-13 not-shown"}},
		{"its token in the URL too", plan, use, inURL(true), []string{"present/not-in-url BULK-KO-06"}},
		{"does not use its token", plan, use, leftOut(fhirRequest), []string{"use/seen AUTH-13 not-shown"}},
	}
}

// inParameters changes the parameters of an operation that have a name; nil leaves one out.
func inParameters(name string, edit func(map[string]any) []any) lapse {
	return inJSON(to(http.MethodPost, "$member-match"), func(m map[string]any) { m["parameter"] = editedParts(m["parameter"], name, edit) })
}

// inBundles does it in each member of a request with many.
func inBundles(operation, name string, edit func(map[string]any) []any) lapse {
	return inJSON(to(http.MethodPost, operation), func(m map[string]any) {
		list, _ := m["parameter"].([]any)
		for _, p := range list {
			if p, ok := p.(map[string]any); ok {
				p["part"] = editedParts(p["part"], name, edit)
			}
		}
	})
}

func editedParts(parts any, name string, edit func(map[string]any) []any) []any {
	var out []any
	list, _ := parts.([]any)
	for _, p := range list {
		if m, ok := p.(map[string]any); ok && m["name"] == name {
			out = append(out, edit(m)...)
			continue
		}
		out = append(out, p)
	}
	return out
}

func none(map[string]any) []any    { return nil }
func two(m map[string]any) []any   { return []any{m, m} }
func other(m map[string]any) []any { m["name"] = "Other" + m["name"].(string); return []any{m} }

// inResource changes the resource of a parameter.
func inResource(edit func(map[string]any)) func(map[string]any) []any {
	return func(m map[string]any) []any {
		r, _ := m["resource"].(map[string]any)
		edit(r)
		return []any{m}
	}
}

// wrongMatchers ask for a member.
func wrongMatchers() []wrongClient {
	const plan = "payer-to-payer-member"
	match, data := signIn+"match", signIn+"match member-id member-token data"
	return []wrongClient{
		{"no Consent", plan, match, inParameters("Consent", none), []string{"ask/consent P2P-MM-104"}},
		{"two patients", plan, match, inParameters("MemberPatient", two), []string{"ask/patient P2P-MM-101"}},
		{"no CoverageToMatch", plan, match, inParameters("CoverageToMatch", none), []string{"ask/coverage P2P-MM-102"}},
		{"no CoverageToLink", plan, match, inParameters("CoverageToLink", none), []string{"ask/link P2P-MM-103", "match/link P2P-MM-103"}},
		{"a parameter of another name", plan, match, inParameters("CoverageToLink", other), []string{"ask/parts P2P-MM-105", "ask/link P2P-MM-103"}},
		{"coverage of somebody else", plan, match, inParameters("CoverageToMatch", inResource(func(r map[string]any) {
			r["beneficiary"] = map[string]any{"reference": "Patient/somebody"}
		})), []string{"ask/same-patient P2P-MM-10"}},
		{"no birth date", plan, match, inParameters("MemberPatient", inResource(func(r map[string]any) { delete(r, "birthDate") })), []string{"ask/demographics P2P-MM-11"}},
		{"a consent for nobody", plan, match, inParameters("Consent", inResource(func(r map[string]any) {
			p, _ := r["provision"].(map[string]any)
			delete(p, "actor")
		})), []string{"ask/actors P2P-MM-14"}},
		{"a consent that is not active", plan, match, inConsent(func(r map[string]any) { r["status"] = "proposed" }), []string{"ask/consent-whole P2P-MM-104"}},
		{"a consent without a policy", plan, match, inConsent(func(r map[string]any) { delete(r, "policy") }), []string{"ask/consent-whole P2P-MM-104"}},
		{"a consent without a source", plan, match, inConsent(func(r map[string]any) { delete(r, "sourceReference") }), []string{"ask/consent-whole P2P-MM-104"}},
		{"a consent for ever", plan, match, inConsent(func(r map[string]any) {
			p, _ := r["provision"].(map[string]any)
			delete(p, "period")
		}), []string{"ask/consent-whole P2P-MM-104"}},
		{"a consent of somebody else", plan, match, inConsent(func(r map[string]any) { r["patient"] = map[string]any{"reference": "Patient/somebody"} }), []string{"ask/same-patient P2P-MM-10"}},
		{"no name", plan, match, inParameters("MemberPatient", inResource(func(r map[string]any) { delete(r, "name") })), []string{"ask/demographics P2P-MM-11"}},
		{"nothing of the card", plan, match, inParameters("CoverageToMatch", inResource(func(r map[string]any) {
			delete(r, "subscriberId")
			delete(r, "identifier")
		})), []string{"ask/demographics P2P-MM-11"}},
		{"a resource that is no Parameters", plan, match, inJSON(to(http.MethodPost, "$member-match"), func(m map[string]any) { m["resourceType"] = "Bundle" }), []string{"ask/type-level P2P-MM-01"}},
		{"no token", plan, match, without(to(http.MethodPost, "$member-match"), "Authorization"), []string{"ask/token P2P-MM-07"}},
		{"looks for another member", plan, data, query(to(http.MethodGet, "/Patient"), setQuery("identifier", "CM-000000")), []string{"member-id/the-identifier P2P-MM-17"}},
		{"no token for the member", plan, data, firstToken(), []string{"ask-data/member-token P2P-TOK-16"}},
	}
}

// inConsent changes the consent of a member match.
func inConsent(edit func(map[string]any)) lapse { return inParameters("Consent", inResource(edit)) }

// inURL sends the token in the URL of requests for data, and in the header too or not.
func inURL(too bool) lapse {
	return sentAs(fhirRequest, func(_ *clientSide, r *http.Request, body string) string {
		q := r.URL.Query()
		q.Set("access_token", strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		r.URL.RawQuery = q.Encode()
		if !too {
			r.Header.Del("Authorization")
		}
		return body
	})
}

// byGet sends a form as the query of a GET.
func byGet(what which) lapse {
	return inPlaceOf(what, func(c *clientSide, r *http.Request, body string) (*http.Response, error) {
		out := copyOf(r, "")
		out.Method, out.URL.RawQuery = http.MethodGet, body
		out.Header.Del("Content-Type")
		return c.RoundTrip(out)
	})
}

// firstToken sends the first access token with every request for data, whatever tokens come later.
func firstToken() lapse {
	return func(c *clientSide) http.RoundTripper {
		first := ""
		return sentAs(fhirRequest, func(_ *clientSide, r *http.Request, body string) string {
			first = cmp.Or(first, r.Header.Get("Authorization"))
			r.Header.Set("Authorization", first)
			return body
		})(c)
	}
}

// wrongGroups match many members, or keep a list of them.
func wrongGroups() []wrongClient {
	var out []wrongClient
	for _, p := range []struct{ plan, operation, async, patient, coverage, consent, ids, posted, typ string }{
		{"payer-to-payer-bulk", "$bulk-member-match", "P2P-BLK-01", "P2P-BLK-101", "P2P-BLK-102", "P2P-BLK-104", "P2P-BLK-12", "P2P-BLK-30", "P2P-BLK-31"},
		{"provider-access-match", "$provider-member-match", "PMM-01", "PMM-02", "PMM-02", "PMM-02", "PMM-13", "PMM-10", "DDE-05"},
	} {
		asks := to(http.MethodPost, p.operation)
		match, export := signIn+"match", signIn+"match read export"
		out = append(out,
			wrongClient{"no Prefer", p.plan, match, without(asks, "Prefer"), []string{"ask/async " + p.async}},
			wrongClient{"no patient", p.plan, match, inBundles(p.operation, "MemberPatient", none), []string{"ask/patient " + p.patient}},
			wrongClient{"no coverage", p.plan, match, inBundles(p.operation, "CoverageToMatch", none), []string{"ask/coverage " + p.coverage}},
			wrongClient{"no consent", p.plan, match, inBundles(p.operation, "Consent", none), []string{"ask/consent " + p.consent}},
			wrongClient{"one id for all", p.plan, match, inBundles(p.operation, "MemberPatient", inResource(func(r map[string]any) { r["id"] = "m1" })), []string{"ask/ids " + p.ids}},
			wrongClient{"asks for another kind of export", p.plan, export, inJSON(kickoff, func(m map[string]any) {
				m["parameter"] = []any{map[string]any{"name": "exportType", "valueCanonical": "hl7.fhir.us.davinci-atr"}}
			}), []string{"ask-export/export-type " + p.typ, "export/export-type " + p.typ}},
			wrongClient{"exports without Prefer", p.plan, export, without(kickoff, "Prefer"), []string{"ask-export/async BULK-KO-02"}},
		)
	}
	list := signIn + "list submit "
	nobody := func(m map[string]any) { m["parameter"] = []any{} }
	return append(out,
		wrongClient{"asks about nobody", "member-attribution", list + "status", inJSON(to(http.MethodPost, "$attribution-status"), nobody), []string{"ask-status/who CHK-08"}},
		wrongClient{"adds without the provider", "member-attribution", list + "add", inJSON(to(http.MethodPost, "$member-add"), func(m map[string]any) {
			m["parameter"] = editedParts(m["parameter"], "providerReference", none)
		}), []string{"ask-add/pairs CHK-08"}},
		wrongClient{"removes nobody", "member-attribution", list + "add remove", inJSON(to(http.MethodPost, "$member-remove"), nobody), []string{"remove/who CHK-26"}},
	)
}

// wrongProviders export what is attributed to them.
func wrongProviders() []wrongClient {
	const plan = "provider-access-bulk"
	export := signIn + "group export"
	return []wrongClient{
		{"no Prefer at kick-off", plan, export, without(kickoff, "Prefer"), []string{"kickoff/respond-async BULK-KO-01"}},
		{"no Accept at kick-off", plan, export, without(kickoff, "Accept"), []string{"kickoff/accept-fhir BULK-KO-01"}},
		{"never asks how far it is", plan, export, leftOut(statusRequest), []string{"poll/seen CHK-04 not-shown"}},
		{"downloads nothing", plan, export, leftOut(fileRequest), []string{"downloads/all CHK-60 not-shown"}},
	}
}

// wrongPayers move a member's data, as the track of 2022 had it.
func wrongPayers() []wrongClient {
	const plan = "payer-to-payer-stu2"
	match := signIn + "match"
	export := match + " member-id member-token export"
	asked := to(http.MethodPost, "$member-match")
	fhirGet := func(r *http.Request) bool { return r.Method == http.MethodGet && fhirRequest(r) }
	return []wrongClient{
		{"posts something else", plan, match, inJSON(asked, func(m map[string]any) { m["resourceType"] = "Bundle" }), []string{"ask-match/posted P2P-MM-01"}},
		{"registers two key sets", plan, match, inJSON(registration7591, func(m map[string]any) { m["jwks_uri"] = "https://acme.example/jwks" }), []string{"ask-register/one-key-set P2P-DCR-106"}},
		{"registers for members only", plan, match, inJSON(registration7591, func(m map[string]any) {
			m["grant_types"] = []string{"urn:ietf:params:oauth:grant-type:jwt-bearer"}
		}), []string{"ask-register/grant-types P2P-DCR-102"}},
		{"asks for no scope", plan, match, form(tokenRequest, delForm("scope")), []string{"ask-token/scope-asked P2P-TOK-102"}},
		{"no token", plan, match, without(asked, "Authorization"), []string{"ask-match/with-token P2P-SC-92"}},
		{"no token for the data", plan, match + " member-id", without(fhirGet, "Authorization"), []string{"member-id/answered P2P-SC-51 not-shown"}},
		{"no Prefer at kick-off", plan, export, without(kickoff, "Prefer"), []string{"kickoff/respond-async BULK-KO-01"}},
		{"no Accept at kick-off", plan, export, without(kickoff, "Accept"), []string{"kickoff/accept-fhir BULK-KO-01"}},
		{"never asks how far it is", plan, export, leftOut(statusRequest), []string{"poll/seen P2P-DAT-152 not-shown"}},
		{"downloads nothing", plan, export, leftOut(fileRequest), []string{"downloads/all P2P-DAT-153 not-shown"}},
	}
}

var registration7591 = to(http.MethodPost, "/oauth/register")

// wrongRegistrants register and use what they got.
func wrongRegistrants() []wrongClient {
	const plan = "payer-to-payer-registration"
	use := signIn + "use"
	withHeader := with
	letIn := []string{"no-certificate/refused P2P-DCR-21 fail server", "no-certificate/no-credentials P2P-DCR-21 fail server"}
	with := func(name string, value any) lapse {
		return inJSON(registration7591, func(m map[string]any) { m[name] = value })
	}
	return []wrongClient{
		{"registers for members only", plan, use, with("grant_types", []string{"urn:ietf:params:oauth:grant-type:jwt-bearer"}), []string{"ask-register/grant P2P-DCR-102", "register/grant P2P-DCR-102"}},
		{"registers a response type", plan, use, with("response_types", []string{"code"}), []string{"ask-register/response-types P2P-DCR-103"}},
		{"registers two key sets", plan, use, with("jwks_uri", "https://acme.example/jwks"), []string{"ask-register/keys P2P-DCR-106"}},
		{"keys in clear", plan, use, inJSON(registration7591, func(m map[string]any) {
			delete(m, "jwks")
			m["jwks_uri"] = "http://acme.example/jwks"
		}), []string{"ask-register/keys-https AUTH-04"}},
		{"gives its private key away", plan, use, inJSON(registration7591, func(m map[string]any) {
			set, _ := m["jwks"].(map[string]any)
			keys, _ := set["keys"].([]any)
			for _, k := range keys {
				if k, ok := k.(map[string]any); ok {
					k["d"] = "AAAA"
				}
			}
		}), []string{"ask-register/public-keys AUTH-05"}},
		{"gives a secret away as its key", plan, use, inJSON(registration7591, func(m map[string]any) {
			m["jwks"] = map[string]any{"keys": []any{map[string]any{"kty": "oct", "kid": "s", "k": "AAAA"}}}
		}), []string{"ask-register/public-keys AUTH-05"}},
		{"gives no key", plan, use, inJSON(registration7591, func(m map[string]any) { delete(m, "jwks") }), []string{"ask-register/keys-given P2P-DCR-106"}},
		{"its grant is a text", plan, use, with("grant_types", "client_credentials"), []string{"ask-register/grant-list P2P-DCR-102"}},
		{"registers by a form", plan, use, withHeader(registration7591, "Content-Type", "application/x-www-form-urlencoded"), []string{"ask-register/json P2P-DCR-20"}},
		{"authenticates in two ways", plan, use, withHeader(tokenRequest, "Authorization", "Basic eDp5"), []string{"by-header/no-assertion P2P-TOK-111"}},
		{"asks for no scope", plan, use, form(tokenRequest, delForm("scope")), []string{"ask-token/scope-asked P2P-TOK-102"}},
		{"asks for another grant", plan, use, form(tokenRequest, setForm("grant_type", "password")), []string{"ask-token/grant P2P-TOK-101"}},
		{"registers an app of members", plan, use, with("grant_types", []string{"authorization_code"}), []string{"ask-register/grant P2P-DCR-102"}},
		{"registers without a certificate", plan, use, uncertified(registration7591), slices.Concat([]string{"register/over-tls P2P-DCR-04"}, letIn)},
		{"never shows a certificate", plan, use, uncertified(func(*http.Request) bool { return true }), slices.Concat([]string{"register/over-tls P2P-DCR-04", "token/certificate P2P-TLS-03", "use/certificate P2P-TLS-08"}, letIn)},
		{"gets its token without a certificate", plan, use, uncertified(tokenRequest), []string{"token/certificate P2P-TLS-03"}},
		{"uses its token without a certificate", plan, use, uncertified(fhirRequest), []string{"use/certificate P2P-TLS-08"}},
		{"uses its token with another certificate", plan, use, recertified(fhirRequest), []string{"use/same-certificate P2P-TLS-08"}},
		{"a certificate by no name", plan, use, with("token_endpoint_auth_method", "tls_client_auth"), []string{"ask-register/certificate-name P2P-DCR-112", "ask-register/certificate-uri P2P-TLS-04", "ask-register/bound P2P-DCR-113"}},
	}
}

// wrongSearchers read and search.
func wrongSearchers() []wrongClient {
	return []wrongClient{
		{"a patient without an id", "us-core-3-1-1-client", signIn + "parameters", query(to(http.MethodGet, "/Observation"), setQuery("patient", "Patient/")), []string{"references/id USC-CLI-04"}},
		{"a system without a code", "us-core-3-1-1-client", signIn + "parameters", query(to(http.MethodGet, "/Observation"), setQuery("category", "http://terminology.hl7.org/CodeSystem/observation-category|")), []string{"tokens/code USC-CLI-04"}},
		{"a date without its day", "us-core-3-1-1-client", signIn + "parameters", query(to(http.MethodGet, "/Observation"), setQuery("date", "2020")), []string{"dates/exact USC-CLI-04"}},
		{"says who it looks for", "formulary-search", "plans", query(to(http.MethodGet, "/InsurancePlan"), setQuery("patient", "pt-90417")), []string{"open/no-person UC3-C-10"}},
		{"items without their code", "formulary-search", "plans items", query(to(http.MethodGet, "/Basic"), func(q url.Values) { q.Del("code") }), []string{"item-costs/code FORM-Q-07"}},
	}
}
