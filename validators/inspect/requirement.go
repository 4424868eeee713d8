package inspect

import (
	"strings"

	"fhirwire/validators"
)

// requirementRow says which requirement a finding breaks. Empty fields match anything; the first row that matches counts.
type requirementRow struct {
	profile    string // the profile's URL ends in this
	slice      string // ends in this
	constraint string
	path       string // the expression contains this
	id         string
}

// requirementRows ties findings of profiles to the ids of our specifications.
var requirementRows = []requirementRow{
	{profile: "hrex-parameters-member-match-in", slice: "memberPatient", id: "P2P-MM-101"},
	{profile: "hrex-parameters-member-match-in", slice: "coverageToMatch", id: "P2P-MM-102"},
	{profile: "hrex-parameters-member-match-in", slice: "coverageToLink", id: "P2P-MM-103"},
	{profile: "hrex-parameters-member-match-in", slice: "consent", id: "P2P-MM-104"},
	{profile: "hrex-parameters-member-match-in", id: "P2P-MM-105"},
	{profile: "hrex-parameters-member-match-out", id: "P2P-MM-02"},
	{constraint: "hrex-pat-1", id: "P2P-MM-113"},
	{constraint: "hrex-cov-1", id: "P2P-MM-122"},
	{profile: "hrex-consent", path: ".policy", id: "P2P-MM-147"},
	{profile: "hrex-consent", path: ".provision.period", id: "P2P-MM-149"},
	{profile: "hrex-consent", path: ".provision.actor", id: "P2P-MM-150"},
	{profile: "hrex-consent", path: ".provision.action", id: "P2P-MM-152"},
	{profile: "hrex-consent", path: ".provision", id: "P2P-MM-148"},
	{profile: "hrex-consent", path: ".sourceReference", id: "P2P-MM-146"},
	{profile: "hrex-consent", path: ".category", id: "P2P-MM-143"},
	{profile: "hrex-consent", path: ".scope", id: "P2P-MM-142"},
	{profile: "hrex-consent", path: ".status", id: "P2P-MM-141"},
}

func requirement(is *validators.Issue) string {
	if is.Profile == "" {
		return ""
	}
	url, _, _ := strings.Cut(is.Profile, "|")
	for _, r := range requirementRows {
		if strings.HasSuffix(url, r.profile) && hasSuffixFold(is.Slice, r.slice) && (r.constraint == "" || r.constraint == is.Constraint) &&
			(r.path == "" || strings.Contains(is.Expression+".", r.path)) {
			return r.id
		}
	}
	return ""
}

func hasSuffixFold(s, suffix string) bool {
	return len(s) >= len(suffix) && strings.EqualFold(s[len(s)-len(suffix):], suffix)
}
