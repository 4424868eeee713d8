package inspect

import (
	"cmp"
	"slices"
	"strings"

	"fhirwire/proxy"
	"fhirwire/validators"
)

// report gathers what is found in one exchange.
type report struct {
	validators.Report
	max     int
	counted validators.Summary // of all issues, those beyond the cap too
	reasons []string           // why nothing could be judged
}

const maxResources = 2000 // listed in a report; all are counted

func newReport(subject string, c validators.Context, o Options) *report {
	r := &report{max: o.MaxIssues}
	r.Subject, r.Context = subject, c
	if o.Now != nil {
		r.At = o.Now()
	}
	return r
}

func (r *report) add(issues ...validators.Issue) {
	for _, is := range issues {
		is.Requirement = cmp.Or(is.Requirement, requirement(&is))
		r.Issues = append(r.Issues, is)
	}
	if len(r.Issues) > 2*r.max {
		r.trim()
	}
}

// unjudged notes that a body could not be judged.
func (r *report) unjudged(h half, id, why string) {
	r.reasons = append(r.reasons, why)
	r.add(validators.Issue{
		Severity: validators.SeverityInformation, Code: validators.CodeIncomplete, MessageID: id, Message: why, NotChecked: true,
		Part: h.part, Side: validators.SideTool, Resource: -1,
	})
}

// merge takes over the report on one resource of a message.
func (r *report) merge(rep validators.Report, h half, asked []validators.ProfileChoice) {
	offset := len(r.Resources)
	for _, res := range rep.Resources {
		res.Part = h.part
		for i := range res.Profiles {
			for _, a := range asked {
				if url, _, _ := strings.Cut(res.Profiles[i].URL, "|"); url == a.URL {
					res.Profiles[i].Why = a.Why
				}
			}
		}
		if len(r.Resources) < maxResources {
			r.Resources = append(r.Resources, res)
		}
	}
	r.Checked += rep.Checked
	r.IssuesCut += rep.IssuesCut
	for _, is := range rep.Issues {
		is.Part = h.part
		is.Side = cmp.Or(is.Side, h.side)
		if is.Resource >= 0 {
			demote(&is, rep.Resources)
			if is.Resource += offset; is.Resource >= len(r.Resources) {
				is.Resource = -1
			}
		}
		r.add(is)
	}
}

// demote makes a warning of an error against a profile that only our content rules chose: the resource looks like one of the
// profile's and never said it is (VAL-SEL-05).
func demote(is *validators.Issue, resources []validators.ResourceResult) {
	if !is.IsError() || is.Profile == "" || is.Resource >= len(resources) {
		return
	}
	issueURL, _, _ := strings.Cut(is.Profile, "|")
	byRule := false
	for _, p := range resources[is.Resource].Profiles {
		if url, _, _ := strings.Cut(p.URL, "|"); url == issueURL {
			if !strings.HasPrefix(p.Why, contentRule) {
				return
			}
			byRule = true
		}
	}
	if byRule {
		is.Severity = validators.SeverityWarning
		is.DoNext = strings.TrimSpace("The resource does not claim this profile; it looks like one of its kind. " + is.DoNext)
	}
}

func bySeverity(a, b validators.Issue) int {
	return cmp.Or(
		cmp.Compare(a.Severity.Rank(), b.Severity.Rank()),
		cmp.Compare(a.Part, b.Part),
		cmp.Compare(a.Offset, b.Offset),
		cmp.Compare(a.MessageID, b.MessageID),
	)
}

// trim drops the least severe issues beyond the cap, after counting them.
func (r *report) trim() {
	slices.SortStableFunc(r.Issues, bySeverity)
	if len(r.Issues) <= r.max {
		return
	}
	s := validators.Summarize(r.Issues[r.max:])
	r.counted.Errors += s.Errors
	r.counted.Warnings += s.Warnings
	r.counted.Information += s.Information
	r.counted.NotChecked += s.NotChecked
	r.IssuesCut += len(r.Issues) - r.max
	r.Issues = slices.Clip(r.Issues[:r.max])
}

func (r *report) finish(ex *proxy.Exchange) validators.Report {
	r.trim()
	s := validators.Summarize(r.Issues)
	s.Errors += r.counted.Errors
	s.Warnings += r.counted.Warnings
	s.Information += r.counted.Information
	s.NotChecked += r.counted.NotChecked
	if f := ex.Failure; f != nil {
		for _, is := range r.Issues {
			if is.MessageID == "http-failure" {
				r.reasons = append([]string{is.Message}, r.reasons...)
			}
		}
		s.Side = cmp.Or(s.Side, validators.Side(f.Side))
	}
	if len(r.reasons) > 0 {
		s.Unjudged = r.reasons[0]
		s.Headline = cmp.Or(s.Headline, s.Unjudged)
	}
	r.Summary = s
	return r.Report
}
